"""Enrolment: what a new box and the server say to each other over HTTP, and how each is sure.

A one-time code, read aloud or written on a note, is the only secret both have. It never travels.
Three keys are derived from it: *lookup* names it to the server, *request* proves that the box
knows it, *answer* proves that the server does. The server keeps the hash of the first and the
other two, so neither its database nor a listener on the network can enrol a box with what
they have alone. No trust in the network, its names or its certificates is needed.

Renewal needs no code: the box signs with the key it has, and believes what its authority signed.
"""

import enum
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from devices.reading import Label, Utc, require_utc
from devices.wire.codec import decode_versioned, encoder
from devices.wire.limits import GatewayId, Version

ENROL_PATH: Final = "/enrol"
RENEW_PATH: Final = "/enrol/renew"

# Two certificates and a few words, in both directions.
BODY_BYTES_MAX: Final = 16 * 1024

# Crockford's base 32: no I, L, O, U; what looks like a digit is read as that digit.
ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LOOKALIKES: Final = str.maketrans("ILO", "110", "- \t")
# 80 bits: nobody who saw the lookup finds the code by trying.
CODE_CHARACTERS: Final = 16
_GROUP: Final = 4

_CONTEXT: Final = b"egenmonitor enrolment v1"
_KEY_BYTES: Final = 32

Pem = Annotated[str, Meta(max_length=4096, pattern=r"^[ -~\n]*$(?!\n\n)")]
_Key = Annotated[bytes, Meta(min_length=_KEY_BYTES, max_length=_KEY_BYTES)]
# An ECDSA signature over P-256, DER.
_Signature = Annotated[bytes, Meta(min_length=8, max_length=80)]
Serial = Annotated[str, Meta(pattern=r"^[0-9a-f]{1,40}$(?!\n)")]


class BadCode(ValueError):
    """The text cannot be an enrolment code; a character is missing or was misread."""


class RefusalReason(enum.StrEnum):
    """Why the server does not enrol or renew."""

    MALFORMED = "malformed"  # not a request of this protocol
    UNKNOWN = "unknown"  # no such code, or the box does not know it after all
    USED = "used"  # another box was enrolled with it
    EXPIRED = "expired"  # the code, or the certificate to renew
    REVOKED = "revoked"  # the certificate to renew, or its gateway
    TOO_MANY = "too_many"  # tries or certificates; wait
    NOT_HERE = "not_here"  # this server enrols nobody


class EnrolRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A box asks for its first certificate.

    Attributes:
        lookup: Names the code.
        csr: PKCS #10, PEM; its subject is not looked at.
        mac: HMAC-SHA-256 over *lookup* and *csr* with the request key.
    """

    v: Version
    lookup: _Key
    csr: Pem
    mac: _Key


class Enrolment(msgspec.Struct, frozen=True, kw_only=True):
    """What a box is told once it is believed.

    Attributes:
        gateway: Its id.
        certificate: For the key of its request, PEM.
        authority: The certificate authority's own, PEM; all that the box will trust.
        broker_host: Where the broker is.
        broker_port: The same.
        at: The server's clock.
    """

    v: Version
    gateway: GatewayId
    certificate: Pem
    authority: Pem
    broker_host: Annotated[str, Meta(min_length=1, max_length=253, pattern=r"^[!-~]*$(?!\n)")]
    broker_port: Annotated[int, Meta(ge=1, le=65535)]
    at: Utc

    def __post_init__(self) -> None:
        require_utc(self.at)


class SealedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An ``Enrolment`` as text, and HMAC-SHA-256 over it with the answer key."""

    v: Version
    body: Annotated[str, Meta(max_length=BODY_BYTES_MAX)]
    mac: _Key


class RenewRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A box asks for its next certificate.

    Attributes:
        serial: Of the certificate it has, in lower-case hexadecimal.
        csr: PKCS #10 of the new key, PEM, signed by that key.
        signature: Over ``renewal_text`` by the key of the certificate it has: ECDSA, SHA-256.
    """

    v: Version
    serial: Serial
    csr: Pem
    signature: _Signature


class Renewed(msgspec.Struct, frozen=True, kw_only=True):
    """The next certificate; believed because the box's authority signed it."""

    v: Version
    certificate: Pem


class EnrolmentRefused(msgspec.Struct, frozen=True, kw_only=True):
    """No. The reason is a ``RefusalReason``; text, so that a newer server's is not refused."""

    v: Version
    reason: Label


@dataclass(frozen=True, slots=True)
class CodeKeys:
    """What a code is turned into. Never shown."""

    lookup: bytes = field(repr=False)
    request: bytes = field(repr=False)
    answer: bytes = field(repr=False)


def parse_code(text: str) -> str:
    """Return the code in *text* as its sixteen characters, however it was written.

    Raises:
        BadCode: It cannot be one.
    """
    code = text.strip().upper().translate(_LOOKALIKES)
    if len(code) != CODE_CHARACTERS or not set(code) <= set(ALPHABET):
        problem = f"a code has {CODE_CHARACTERS} letters and digits, in groups of {_GROUP}"
        raise BadCode(problem)
    return code


def format_code(code: str) -> str:
    """Return *code* in groups, for people."""
    return "-".join(code[at : at + _GROUP] for at in range(0, len(code), _GROUP))


def code_keys(code: str) -> CodeKeys:
    """Return the keys of a code as ``parse_code`` gives it (HKDF's steps, RFC 5869)."""
    root = hmac.digest(_CONTEXT, code.encode("ascii"), "sha256")
    lookup, request, answer = (
        hmac.digest(root, label + b"\x01", "sha256") for label in (b"lookup", b"request", b"answer")
    )
    return CodeKeys(lookup, request, answer)


def lookup_hash(lookup: bytes) -> bytes:
    """Return what a server keeps of a lookup."""
    return hashlib.sha256(lookup).digest()


def request_mac(request_key: bytes, lookup: bytes, csr: str) -> bytes:
    """Return the proof that a box knows the code."""
    return hmac.digest(request_key, lookup + csr.encode(), "sha256")


def answer_mac(answer_key: bytes, body: str) -> bytes:
    """Return the proof that a server knows the code."""
    return hmac.digest(answer_key, body.encode(), "sha256")


def is_same(mac: bytes, expected: bytes) -> bool:
    """Compare without telling by time how much was right."""
    return hmac.compare_digest(mac, expected)


def renewal_text(serial: str, csr: str) -> bytes:
    """Return what the old key signs when the new one is to follow it."""
    return b"\0".join((b"egenmonitor renewal v1", serial.encode(), csr.encode()))


_enrol_request = msgspec.json.Decoder(EnrolRequest)
_enrolment = msgspec.json.Decoder(Enrolment)
_sealed = msgspec.json.Decoder(SealedAnswer)
_renew_request = msgspec.json.Decoder(RenewRequest)
_renewed = msgspec.json.Decoder(Renewed)
_refused = msgspec.json.Decoder(EnrolmentRefused)

Said = EnrolRequest | Enrolment | SealedAnswer | RenewRequest | Renewed | EnrolmentRefused


def encode(said: Said) -> bytes:
    """Return *said* as it travels."""
    return encoder.encode(said)


def decode_enrol_request(payload: bytes) -> EnrolRequest:
    """Return the request in *payload*; raises as ``devices.wire.decode_message``."""
    return decode_versioned(_enrol_request, payload)


def decode_enrolment(payload: bytes) -> Enrolment:
    """Return the enrolment in *payload*; raises as ``devices.wire.decode_message``."""
    return decode_versioned(_enrolment, payload)


def decode_sealed(payload: bytes) -> SealedAnswer:
    """Return the sealed answer in *payload*; raises as ``devices.wire.decode_message``."""
    return decode_versioned(_sealed, payload)


def decode_renew_request(payload: bytes) -> RenewRequest:
    """Return the request in *payload*; raises as ``devices.wire.decode_message``."""
    return decode_versioned(_renew_request, payload)


def decode_renewed(payload: bytes) -> Renewed:
    """Return the answer in *payload*; raises as ``devices.wire.decode_message``."""
    return decode_versioned(_renewed, payload)


def decode_refused(payload: bytes) -> EnrolmentRefused:
    """Return the refusal in *payload*; raises as ``devices.wire.decode_message``."""
    return decode_versioned(_refused, payload)
