"""A box for tests of enrolment: makes keys and requests with nothing but ``cryptography``."""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from devices.enrolment import (
    Enrolment,
    EnrolRequest,
    RenewRequest,
    SealedAnswer,
    answer_mac,
    code_keys,
    decode_enrolment,
    parse_code,
    renewal_text,
    request_mac,
)

P256 = ec.SECP256R1()


@dataclass
class Box:
    """A key, and what can be asked with it."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(P256))

    def csr(self) -> str:
        request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
        signed = request.sign(self.key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM).decode()

    def enrol(self, code: str) -> EnrolRequest:
        keys, csr = code_keys(parse_code(code)), self.csr()
        mac = request_mac(keys.request, keys.lookup, csr)
        return EnrolRequest(v=1, lookup=keys.lookup, csr=csr, mac=mac)

    def renew(self, certificate: x509.Certificate, next_box: Box) -> RenewRequest:
        serial, csr = f"{certificate.serial_number:x}", next_box.csr()
        signature = self.key.sign(renewal_text(serial, csr), ec.ECDSA(hashes.SHA256()))
        return RenewRequest(v=1, serial=serial, csr=csr, signature=signature)


def opened(sealed: SealedAnswer, code: str) -> Enrolment:
    """Return what a box that knows *code* believes."""
    assert sealed.mac == answer_mac(code_keys(parse_code(code)).answer, sealed.body)
    return decode_enrolment(sealed.body.encode())


def certificate_in(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())
