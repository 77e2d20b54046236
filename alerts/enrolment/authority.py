"""Authority: the certificate authority of this installation's broker, services and gateways.

EC P-256 throughout: every OpenSSL from 1.1.1 on, Mosquitto and paho take it. One root, no
intermediates: what it signs lives for months, and its key lies in one file (0600) that only
alerts can read. A name that an id of a gateway cannot be (it has a dot) is kept for services.
"""

import hashlib
import ipaddress
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CERTIFICATE: Final = "ca.pem"
KEY: Final = "ca.key"

# Longer than any box lives in a home: a new root means visiting every one of them.
ROOT_LASTS: Final = timedelta(days=20 * 365)
# Of the broker and of services; renewed by us long before (``files.prepare``).
SERVICE_LASTS: Final = timedelta(days=825)
# A clock that is a little slow must not find a new certificate "not yet valid".
BACKDATED: Final = timedelta(hours=1)
# A broker refuses everybody once its list is older than this: as long as alerts may be away.
CRL_LASTS: Final = timedelta(days=30)

_SHA256: Final = hashes.SHA256()

PublicKey = ec.EllipticCurvePublicKey


class AuthorityMissing(Exception):
    """There is no authority where one should be; the message says what to do."""


class AuthorityExists(Exception):
    """There is one already, and making another would shut out every box."""


class NotACsr(Exception):
    """What should be a certificate request is none, or not signed by its own key."""


@dataclass(frozen=True, slots=True)
class Revoked:
    """One certificate that must not be let in."""

    serial: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Authority:
    """The root and its key. Make one with ``create`` once, then ``load``."""

    certificate: x509.Certificate
    _key: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def pem(self) -> str:
        """The root certificate, as everybody may see it."""
        return _pem(self.certificate)

    def for_gateway(
        self, key: PublicKey, gateway_id: str, now: datetime, lasts: timedelta
    ) -> x509.Certificate:
        """Return a certificate that lets the owner of *key* in as the client *gateway_id*."""
        return self._signed(key, gateway_id, now, lasts, ExtendedKeyUsageOID.CLIENT_AUTH)

    def for_service(self, name: str, now: datetime) -> tuple[x509.Certificate, bytes]:
        """Return a certificate for the client ``service.NAME``, and its new key in PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        signed = self._signed(
            key.public_key(),
            f"service.{name}",
            now,
            SERVICE_LASTS,
            ExtendedKeyUsageOID.CLIENT_AUTH,
        )
        return signed, key_pem(key)

    def for_broker(self, names: Sequence[str], now: datetime) -> tuple[x509.Certificate, bytes]:
        """Return a certificate for a server that is called any of *names*, and its new key."""
        key = ec.generate_private_key(ec.SECP256R1())
        called = x509.SubjectAlternativeName([_general(name) for name in names])
        usage = ExtendedKeyUsageOID.SERVER_AUTH
        signed = self._signed(
            key.public_key(), names[0][:64], now, SERVICE_LASTS, usage, called=called
        )
        return signed, key_pem(key)

    def revocations(
        self, revoked: Iterable[Revoked], number: int, updated_at: datetime
    ) -> x509.CertificateRevocationList:
        """Return the signed list of *revoked*."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(updated_at)
            .next_update(updated_at + CRL_LASTS)
            .add_extension(x509.CRLNumber(number), critical=False)
            .add_extension(self._issuer_key(), critical=False)
        )
        for each in revoked:
            entry = x509.RevokedCertificateBuilder()
            entry = entry.serial_number(each.serial).revocation_date(each.at)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self._key, _SHA256)

    def has_signed(self, revocations: x509.CertificateRevocationList) -> bool:
        """Return whether the list is ours."""
        return revocations.is_signature_valid(self._key.public_key())

    def _issuer_key(self) -> x509.AuthorityKeyIdentifier:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())

    def _signed(
        self,
        key: PublicKey,
        name: str,
        now: datetime,
        lasts: timedelta,
        usage: x509.ObjectIdentifier,
        *,
        called: x509.SubjectAlternativeName | None = None,
    ) -> x509.Certificate:
        until = min(now + lasts, self.certificate.not_valid_after_utc)
        builder = (
            _unsigned(name, self.certificate.subject, key, now - BACKDATED, until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(self._issuer_key(), critical=False)
        )
        if called is not None:
            builder = builder.add_extension(called, critical=False)
        return builder.sign(self._key, _SHA256)


def create(directory: Path, now: datetime) -> Authority:
    """Make the authority and keep it in *directory*; its key is readable by this account only.

    Raises:
        AuthorityExists: One is there.
        OSError: It cannot be kept.
    """
    if (directory / KEY).exists() or (directory / CERTIFICATE).exists():
        problem = f"{directory}: there is a certificate authority; another would shut out all boxes"
        raise AuthorityExists(problem)
    key = ec.generate_private_key(ec.SECP256R1())
    # The name tells two installations' roots apart when both are in one person's hands.
    fingerprint = key_hash(key.public_key()).hex()[:8]
    name = f"Egenmonitor {fingerprint}"
    certificate = (
        _unsigned(name, _name(name), key.public_key(), now - BACKDATED, now + ROOT_LASTS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, _SHA256)
    )
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    write(directory / KEY, key_pem(key), mode=0o600)
    write(directory / CERTIFICATE, _pem(certificate).encode(), mode=0o644)
    return Authority(certificate, key)


def load(directory: Path) -> Authority:
    """Return the authority in *directory*.

    Raises:
        AuthorityMissing: There is none that can be used.
    """
    cure = "make it once: python -m alerts ca init"
    try:
        certificate = x509.load_pem_x509_certificate((directory / CERTIFICATE).read_bytes())
        key = serialization.load_pem_private_key((directory / KEY).read_bytes(), password=None)
    except OSError as error:
        problem = f"{error.filename} cannot be read ({error.strerror}) → {cure}"
        raise AuthorityMissing(problem) from error
    except ValueError as error:
        problem = f"{directory}: {KEY} or {CERTIFICATE} is damaged → restore it from the backup"
        raise AuthorityMissing(problem) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not _belongs(certificate, key):
        problem = f"{directory}: {KEY} is not the key of {CERTIFICATE} → restore both from a backup"
        raise AuthorityMissing(problem)
    return Authority(certificate, key)


def requested_key(csr: str) -> PublicKey:
    """Return the key of a certificate request that is signed by it.

    Raises:
        NotACsr: It is none, or of another kind of key.
    """
    try:
        request = x509.load_pem_x509_csr(csr.encode())
        key = request.public_key()
        is_signed = request.is_signature_valid
    except (ValueError, TypeError, InvalidSignature) as error:
        raise NotACsr(str(error)) from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        problem = "the key is not on P-256"
        raise NotACsr(problem)
    if not is_signed:
        problem = "the request is not signed by its key"
        raise NotACsr(problem)
    return key


def is_signed_by(certificate: str, signature: bytes, text: bytes) -> bool:
    """Return whether *text* was signed with the key of *certificate* (PEM, one of ours)."""
    key = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    try:
        key.verify(signature, text, ec.ECDSA(_SHA256))
    except InvalidSignature:
        return False
    return True


def key_hash(key: PublicKey) -> bytes:
    """Return what tells a public key from all others."""
    encoded = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(encoded).digest()


def serial_of(certificate: x509.Certificate) -> str:
    """Return the serial number as it stands in tables and messages."""
    return f"{certificate.serial_number:x}"


def certificate_pem(certificate: x509.Certificate) -> str:
    """Return *certificate* as text."""
    return _pem(certificate)


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a private key as it lies in a file."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def write(path: Path, content: bytes, *, mode: int) -> None:
    """Put *content* in place of what was in *path*, in one step; it survives a power cut."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _belongs(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> bool:
    return certificate.public_key() == key.public_key()


def _unsigned(
    name: str,
    issuer: x509.Name,
    key: PublicKey,
    since: datetime,
    until: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
    )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
