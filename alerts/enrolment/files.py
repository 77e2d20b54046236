"""Files: what the broker and the services read: certificates and revocations.

Whoever runs the broker starts it anew when they change (deploy/mosquitto/run.sh).
Everything here can be repeated: what is there and good stays.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from alerts.enrolment.authority import (
    BACKDATED,
    SERVICE_LASTS,
    Authority,
    Revoked,
    certificate_pem,
    write,
)

CA: Final = "ca.pem"
CRL: Final = "crl.pem"
CERTIFICATE: Final = "cert.pem"
KEY: Final = "key.pem"

# A third of its life before its end: months in which a service is started again some time.
RENEWED_BEFORE: Final = SERVICE_LASTS / 3
# The list is good for thirty days; so alerts may be away for twenty. Each writing has the broker
# started anew, so not more often.
CRL_AGE_MAX: Final = timedelta(days=10)
# OpenSSL holds times in seconds, and takes the list that is newer by them.
_TICK: Final = timedelta(seconds=1)

# Readable by the group too: the broker and ingest run under accounts of their own.
_KEY_MODE: Final = 0o640
_MODE: Final = 0o644
_DIRECTORY_MODE: Final = 0o755


def prepare_broker(
    authority: Authority, directory: Path, names: Sequence[str], now: datetime
) -> bool:
    """Give the broker a certificate for *names*, unless it has a good one; return if it is new.

    Raises:
        OSError: It cannot be written.
    """
    if _is_good(authority, directory, now, names):
        return False
    certificate, key = authority.for_broker(names, now)
    _keep(authority, directory, certificate, key)
    return True


def prepare_service(authority: Authority, directory: Path, name: str, now: datetime) -> bool:
    """Give ``service.NAME`` a certificate, unless it has a good one; return if it is new.

    Raises:
        OSError: It cannot be written.
    """
    if _is_good(authority, directory, now, ()):
        return False
    certificate, key = authority.for_service(name, now)
    _keep(authority, directory, certificate, key)
    return True


def publish(
    authority: Authority, directory: Path, revoked: Sequence[Revoked], now: datetime
) -> bool:
    """Write who must not be let in, unless it stands there already; return if it is new.

    Raises:
        OSError: It cannot be written.
    """
    # Backdated, for the broker's clock may be behind ours, and a list of the future shuts out all.
    dated = now - BACKDATED
    known = _read_list(authority, directory / CRL)
    if known is not None and known.last_update_utc > now:
        known = None  # of a clock that was wrong: it shuts out everybody until then
    if known is not None and known.last_update_utc > dated - CRL_AGE_MAX:
        listed = {each.serial_number for each in known}
        if listed == {each.serial for each in revoked}:
            return False
    updated_at = dated if known is None else max(dated, known.last_update_utc + _TICK)
    signed = authority.revocations(revoked, int(updated_at.timestamp()), updated_at)
    write(directory / CRL, signed.public_bytes(Encoding.PEM), mode=_MODE)
    return True


def _read_list(authority: Authority, path: Path) -> x509.CertificateRevocationList | None:
    try:
        found = x509.load_pem_x509_crl(_read(path))
    except ValueError:
        return None
    return found if authority.has_signed(found) else None


def _is_good(authority: Authority, directory: Path, now: datetime, names: Sequence[str]) -> bool:
    """Return whether a certificate of this authority for *names* is there, and for long.

    And its key: two processes that renew at once may leave the one's key and the other's
    certificate.
    """
    if _read(directory / CA) != authority.pem.encode():
        return False
    try:
        found = x509.load_pem_x509_certificate(_read(directory / CERTIFICATE))
        key = load_pem_private_key(_read(directory / KEY), password=None)
    except ValueError:
        return False
    is_in_time = found.not_valid_before_utc <= now < found.not_valid_after_utc - RENEWED_BEFORE
    return is_in_time and found.public_key() == key.public_key() and _names(found) == set(names)


def _names(certificate: x509.Certificate) -> set[str]:
    try:
        called = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return set()
    return {str(name.value) for name in called.value}


def _keep(authority: Authority, directory: Path, certificate: x509.Certificate, key: bytes) -> None:
    directory.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
    write(directory / CA, authority.pem.encode(), mode=_MODE)
    write(directory / KEY, key, mode=_KEY_MODE)
    write(directory / CERTIFICATE, certificate_pem(certificate).encode(), mode=_MODE)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
