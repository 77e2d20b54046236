"""Enrolment's codes and keys, and what travels; the keys computed again from RFC 5869's steps."""

import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import enrolment
from devices.enrolment import (
    ALPHABET,
    BadCode,
    Enrolment,
    EnrolRequest,
    RefusalReason,
    code_keys,
    format_code,
    parse_code,
)
from devices.errors import DeviceError, MalformedMessage, UnsupportedVersion

CODE = "0123456789ABCDEF"
PEM = "-----BEGIN X-----\nAAAA\n-----END X-----\n"
KEY = bytes(range(32))
codes = st.text(alphabet="0123456789ABCDEFGHJKMNPQRSTVWXYZ", min_size=16, max_size=16)


@pytest.mark.parametrize(
    "spoken",
    [
        "0123-4567-89AB-CDEF",
        "0123456789abcdef",
        " o123 4567 89ab cdef\n",
        "OI23-4567-89AB-CDEF",
        "oL23-4567-89ab-cdef",
    ],
)
def test_a_code_is_read_however_it_was_written(spoken: str) -> None:
    assert parse_code(spoken) == CODE


@pytest.mark.parametrize(
    "text", ["", "0123", CODE + "0", "U123-4567-89AB-CDEF", "0123-4567-89AB-CDÉF", "٣" * 16]
)
def test_what_cannot_be_a_code_is_told_at_once(text: str) -> None:
    with pytest.raises(BadCode):
        parse_code(text)


@given(codes)
def test_a_code_goes_there_and_back(code: str) -> None:
    assert parse_code(format_code(code)) == code
    assert format_code(code).count("-") == 3


def test_the_alphabet_has_nothing_that_is_misheard_twice() -> None:
    assert len(ALPHABET) == len(set(ALPHABET)) == 32
    assert not set(ALPHABET) & set("ILOU")


def test_the_keys_of_a_code_are_these() -> None:
    """HKDF-SHA-256 with the context as salt, one block a label, computed step by step."""
    root = hmac.new(b"egenmonitor enrolment v1", CODE.encode(), hashlib.sha256).digest()
    expected = [
        hmac.new(root, label + b"\x01", hashlib.sha256).digest()
        for label in (b"lookup", b"request", b"answer")
    ]
    keys = code_keys(CODE)
    assert [keys.lookup, keys.request, keys.answer] == expected
    assert keys.lookup.hex() == "a891f1031270c5502360c8a8f63925fc8c1cadc5e8770d688f5f39a8a81a723b"


@given(codes, codes)
def test_different_codes_have_nothing_in_common(one: str, other: str) -> None:
    if one != other:
        first, second = code_keys(one), code_keys(other)
        assert not {first.lookup, first.request, first.answer} & {
            second.lookup,
            second.request,
            second.answer,
        }


def request() -> EnrolRequest:
    return EnrolRequest(v=1, lookup=KEY, csr=PEM, mac=KEY)


def test_a_request_looks_like_this() -> None:
    assert json.loads(enrolment.encode(request())) == {
        "v": 1,
        "lookup": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "csr": PEM,
        "mac": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    }
    assert enrolment.decode_enrol_request(enrolment.encode(request())) == request()


@pytest.mark.parametrize(
    "change",
    [
        {"lookup": "AAEC"},
        {"mac": "not base64"},
        {"csr": "x" * 5000},
        {"csr": "\u0000"},
        {"csr": None},
        {"v": -1},
    ],
)
def test_a_request_that_is_none_is_refused(change: dict[str, object]) -> None:
    fields = {**json.loads(enrolment.encode(request())), **change}
    with pytest.raises(MalformedMessage):
        enrolment.decode_enrol_request(json.dumps(fields).encode())


def test_a_newer_protocol_says_so() -> None:
    fields = {**json.loads(enrolment.encode(request())), "v": 2}
    with pytest.raises(UnsupportedVersion):
        enrolment.decode_enrol_request(json.dumps(fields).encode())


@pytest.mark.parametrize("host", ["", "a b", "x" * 254, "a\nb"])
def test_a_broker_s_name_is_one_word(host: str) -> None:
    told = Enrolment(
        v=1,
        gateway="g",
        certificate=PEM,
        authority=PEM,
        broker_host=host,
        broker_port=8883,
        at=datetime(2026, 11, 22, tzinfo=UTC),
    )
    with pytest.raises(MalformedMessage):
        enrolment.decode_enrolment(enrolment.encode(told))


@given(st.binary(max_size=400))
def test_any_bytes_are_a_message_or_a_refusal(payload: bytes) -> None:
    for decode in (
        enrolment.decode_enrol_request,
        enrolment.decode_enrolment,
        enrolment.decode_sealed,
        enrolment.decode_renew_request,
        enrolment.decode_renewed,
        enrolment.decode_refused,
    ):
        try:
            decode(payload)
        except DeviceError:
            continue


def test_reasons_are_words_of_the_format() -> None:
    for reason in RefusalReason:
        refused = enrolment.EnrolmentRefused(v=1, reason=reason.value)
        assert enrolment.decode_refused(enrolment.encode(refused)).reason == reason
