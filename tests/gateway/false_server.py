"""Servers that are not what they seem: any answer, and an authority of their own."""

import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from devices.enrolment import (
    Enrolment,
    SealedAnswer,
    answer_mac,
    decode_enrol_request,
    encode,
)

Answer = Callable[[bytes], tuple[int, bytes]]


@contextmanager
def false_server(answer: Answer, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve what *answer* makes of a request."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, body = answer(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as listening:
        if context is not None:
            listening.socket = context.wrap_socket(listening.socket, server_side=True)
        thread = threading.Thread(target=listening.serve_forever, args=(0.05,))
        thread.start()
        scheme = "http" if context is None else "https"
        try:
            yield f"{scheme}://127.0.0.1:{listening.server_address[1]}"
        finally:
            listening.shutdown()
            thread.join()


class Impostor:
    """Signs whatever is asked for, with an authority of its own."""

    def __init__(self, name: str = "g-home", *, for_other_key: bool = False) -> None:
        self._root_key = ec.generate_private_key(ec.SECP256R1())
        self._root = self._sign("false root", "false root", self._root_key.public_key(), ca=True)
        self._name = name
        self._other = ec.generate_private_key(ec.SECP256R1()) if for_other_key else None

    def enrolment(self, request: bytes) -> Enrolment:
        csr = x509.load_pem_x509_csr(decode_enrol_request(request).csr.encode())
        key = csr.public_key() if self._other is None else self._other.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        certificate = self._sign(self._name, "false root", key, ca=False)
        return Enrolment(
            v=1,
            gateway="g-home",
            certificate=pem_of(certificate),
            authority=pem_of(self._root),
            broker_host="127.0.0.1",
            broker_port=8883,
            at=datetime.now(UTC),
        )

    def _sign(
        self, name: str, issuer: str, key: ec.EllipticCurvePublicKey, *, ca: bool
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(
            name_of(issuer),
            name_of(name),
            key,
            x509.random_serial_number(),
            now - timedelta(hours=1),
            now + timedelta(days=1),
        )
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), True)
        return builder.sign(self._root_key, hashes.SHA256())


def name_of(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def pem_of(signed: x509.Certificate) -> str:
    return signed.public_bytes(serialization.Encoding.PEM).decode()


def sealed(enrolment: Enrolment, answer_key: bytes) -> bytes:
    body = encode(enrolment).decode()
    return encode(SealedAnswer(v=1, body=body, mac=answer_mac(answer_key, body)))
