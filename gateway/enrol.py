"""Enrol: makes the box's key and gets a certificate for it, the first time and every next time.

Imports ``cryptography``, which holds 18 MB: a box that runs for years must not have it in memory,
so this module is imported only by the command ``enrol`` and by the short-lived process that
renews (renewal.py).
"""

import enum
import http.client
import socket
import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from devices.enrolment import (
    BODY_BYTES_MAX,
    ENROL_PATH,
    RENEW_PATH,
    CodeKeys,
    Enrolment,
    EnrolRequest,
    RefusalReason,
    RenewRequest,
    answer_mac,
    code_keys,
    decode_enrolment,
    decode_refused,
    decode_renewed,
    decode_sealed,
    encode,
    is_same,
    renewal_text,
    request_mac,
)
from devices.errors import MalformedMessage
from devices.wire import VERSION
from gateway.certificate import (
    Enrolled,
    Issued,
    defaults,
    drop_pending_key,
    enrolled,
    keep,
    pending_key,
)

# A server that has not answered by then will not; the person at the terminal tries again.
ANSWER_S_MAX: Final = 15.0
# The broker's certificate is of no use to a clock that is further off than this.
CLOCK_OFF_MAX: Final = timedelta(minutes=5)

_OK: Final = 200
_ILL: Final = 500  # and above: the server's own trouble
# OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED.
_TIME_IS_WRONG: Final = frozenset({9, 10})


class Failure(enum.StrEnum):
    """Why there is no certificate; what the person at the terminal can do depends on it."""

    UNKNOWN = "unknown"  # the server does not know the code (or the certificate)
    USED = "used"  # another box was enrolled with it
    EXPIRED = "expired"
    REVOKED = "revoked"
    TOO_MANY = "too_many"
    NOT_HERE = "not_here"  # a server of ours that enrols nobody
    NO_NETWORK = "no_network"  # nobody answers at the address
    NO_SUCH_HOST = "no_such_host"
    NOT_A_SERVER = "not_a_server"  # somebody answers, and it is not this protocol
    WRONG_SERVER = "wrong_server"  # it does not know the code itself: do not trust it
    UNTRUSTED = "untrusted"  # its TLS certificate is not good
    CLOCK_WRONG = "clock_wrong"  # by this box's clock, its TLS certificate is of another time
    SERVER_ILL = "server_ill"  # it says that something is wrong with itself
    BAD_ADDRESS = "bad_address"  # what was given is no http or https address
    NOT_ENROLLED = "not_enrolled"  # there is nothing to renew


class EnrolFailed(Exception):
    """No certificate.

    Attributes:
        failure: Why.
        detail: What exactly, in English, for a technician; never a secret.
    """

    def __init__(self, failure: Failure, detail: str = "") -> None:
        self.failure = failure
        self.detail = detail
        super().__init__(f"{failure.value}: {detail}" if detail else failure.value)


@dataclass(frozen=True, slots=True)
class Done:
    """The box is enrolled.

    Attributes:
        enrolled: Who it is now.
        clock_off: The box's clock minus the server's; none if they agree well enough.
    """

    enrolled: Enrolled
    clock_off: timedelta | None


def enrol(data_dir: Path, code: str, server: str, now: datetime) -> Done:
    """Get this box's identity with a one-time code, and keep it.

    Can be repeated with the same code until it has worked, since the key is kept from the
    first try on.

    Args:
        data_dir: Where the identity is kept.
        code: As ``devices.enrolment.parse_code`` gives it.
        server: The server's http or https address. Nothing secret is sent there.
        now: The box's clock.

    Raises:
        EnrolFailed: No certificate; what was there before still is.
        OSError: The identity cannot be kept.
    """
    keys, key = code_keys(code), _pending(data_dir)
    try:
        answer = _post(server, ENROL_PATH, _enrol_request(keys, key))
    except EnrolFailed as error:
        if error.failure is not Failure.REVOKED:
            raise
        # An answer was lost, and the certificate in it is over or was revoked since. No code
        # brings it back; another key is all that is needed.
        drop_pending_key(data_dir)
        key = _pending(data_dir)
        answer = _post(server, ENROL_PATH, _enrol_request(keys, key))
    told = _believed(answer, keys.answer)
    try:
        authority = x509.load_pem_x509_certificate(told.authority.encode())
    except ValueError as error:
        raise EnrolFailed(Failure.NOT_A_SERVER, "its authority is no certificate") from error
    certificate = _checked(told.certificate, key, authority, told.gateway)
    issued = Issued(
        gateway_id=told.gateway,
        server=server,
        serial=f"{certificate.serial_number:x}",
        valid_from=certificate.not_valid_before_utc,
        valid_until=certificate.not_valid_after_utc,
        certificate=told.certificate,
        authority=told.authority,
        defaults=defaults(data_dir, told.gateway, told.broker_host, told.broker_port),
    )
    off = now - told.at
    return Done(keep(data_dir, issued), off if abs(off) > CLOCK_OFF_MAX else None)


def renew(data_dir: Path) -> Enrolled:
    """Get this box's next certificate, and keep it beside the one in use.

    Raises:
        EnrolFailed: No certificate; the one in use is as good as before.
        IdentityDamaged: What is there cannot be used.
        OSError: The identity cannot be read or kept.
    """
    old = enrolled(data_dir)
    if old is None:
        raise EnrolFailed(Failure.NOT_ENROLLED)
    old_key, key = _key(old.key_file.read_bytes()), _pending(data_dir)
    csr = _csr(key)
    signature = old_key.sign(renewal_text(old.serial, csr), ec.ECDSA(hashes.SHA256()))
    request = RenewRequest(v=VERSION, serial=old.serial, csr=csr, signature=signature)
    answer = _post(old.server, RENEW_PATH, encode(request))
    try:
        pem = decode_renewed(answer).certificate
    except MalformedMessage as error:
        raise EnrolFailed(Failure.NOT_A_SERVER, error.problem) from error
    authority = old.ca_file.read_text()
    root = x509.load_pem_x509_certificate(authority.encode())
    certificate = _checked(pem, key, root, old.gateway_id)
    return keep(
        data_dir,
        Issued(
            gateway_id=old.gateway_id,
            server=old.server,
            serial=f"{certificate.serial_number:x}",
            valid_from=certificate.not_valid_before_utc,
            valid_until=certificate.not_valid_after_utc,
            certificate=pem,
            authority=authority,
            defaults=(old.directory / "enrolled.toml").read_text(),
        ),
    )


def _enrol_request(keys: CodeKeys, key: ec.EllipticCurvePrivateKey) -> bytes:
    csr = _csr(key)
    mac = request_mac(keys.request, keys.lookup, csr)
    return encode(EnrolRequest(v=VERSION, lookup=keys.lookup, csr=csr, mac=mac))


def _pending(data_dir: Path) -> ec.EllipticCurvePrivateKey:
    try:
        return _key(pending_key(data_dir, _new_key))
    except ValueError:  # damaged on the disk
        drop_pending_key(data_dir)
        return _key(pending_key(data_dir, _new_key))


def _new_key() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def _csr(key: ec.EllipticCurvePrivateKey) -> str:
    # Without a name: the server knows what to call us.
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def _believed(answer: bytes, answer_key: bytes) -> Enrolment:
    """Return what the answer says, if who gave it knows the code."""
    try:
        sealed = decode_sealed(answer)
    except MalformedMessage as error:
        raise EnrolFailed(Failure.NOT_A_SERVER, error.problem) from error
    if not is_same(sealed.mac, answer_mac(answer_key, sealed.body)):
        raise EnrolFailed(Failure.WRONG_SERVER)
    try:
        return decode_enrolment(sealed.body.encode())
    except MalformedMessage as error:
        raise EnrolFailed(Failure.NOT_A_SERVER, error.problem) from error


def _checked(
    pem: str, key: ec.EllipticCurvePrivateKey, authority: x509.Certificate, gateway_id: str
) -> x509.Certificate:
    """Return the certificate in *pem* if it is ours: our key, our name, our authority's hand."""
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise EnrolFailed(Failure.WRONG_SERVER, "not signed by its authority") from error
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if certificate.public_key() != key.public_key() or [n.value for n in names] != [gateway_id]:
        raise EnrolFailed(Failure.WRONG_SERVER, "the certificate is for another box")
    return certificate


def _post(server: str, path: str, body: bytes) -> bytes:
    """Return what *server* answers; raises ``EnrolFailed`` for everything that is no answer."""
    try:
        status, answer = _exchange(server, path, body)
    except ssl.SSLCertVerificationError as error:
        wrong = error.verify_code in _TIME_IS_WRONG
        failure = Failure.CLOCK_WRONG if wrong else Failure.UNTRUSTED
        raise EnrolFailed(failure, error.verify_message) from error
    except socket.gaierror as error:
        raise EnrolFailed(Failure.NO_SUCH_HOST, error.strerror or "") from error
    except ssl.SSLError as error:
        raise EnrolFailed(Failure.NOT_A_SERVER, f"no TLS ({error.reason})") from error
    except OSError as error:
        raise EnrolFailed(Failure.NO_NETWORK, error.strerror or str(error)) from error
    except http.client.HTTPException as error:
        raise EnrolFailed(Failure.NOT_A_SERVER, f"no HTTP ({type(error).__name__})") from error
    if status == _OK:
        return answer
    try:
        reason = decode_refused(answer).reason
    except MalformedMessage as error:
        failure = Failure.SERVER_ILL if status >= _ILL else Failure.NOT_A_SERVER
        raise EnrolFailed(failure, f"HTTP {status}") from error
    if reason in set(RefusalReason) and reason in set(Failure):
        raise EnrolFailed(Failure(reason), f"HTTP {status}")
    raise EnrolFailed(Failure.NOT_A_SERVER, f"HTTP {status}: {reason}")


def _exchange(server: str, path: str, body: bytes) -> tuple[int, bytes]:
    try:
        address = urlsplit(server)
        host, port = address.hostname, address.port
    except ValueError as error:
        raise EnrolFailed(Failure.BAD_ADDRESS, str(error)) from error
    if address.scheme not in {"http", "https"} or not host or address.username is not None:
        raise EnrolFailed(Failure.BAD_ADDRESS, "give it like https://egenmonitor.example")
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = kind(host, port, timeout=ANSWER_S_MAX)
    try:
        headers = {"Content-Type": "application/json", "Connection": "close"}
        connection.request("POST", address.path.rstrip("/") + path, body, headers)
        response = connection.getresponse()
        return response.status, response.read(BODY_BYTES_MAX)
    finally:
        connection.close()
