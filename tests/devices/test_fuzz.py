"""Hundreds of thousands of random and mutated bytes: no crash, every refusal has a reason.

The seed is printed; EGENMONITOR_FUZZ_SEED runs the same bytes again.
"""

import json
import math
import os
import random
from collections.abc import Iterator
from typing import Final

import pytest

from devices import wire
from devices.drivers import RawValue, driver_named
from devices.errors import MalformedMessage, MalformedPayload
from devices.gatt import CODECS
from devices.reading import Outcome
from tests.devices.golden import rows
from tests.devices.sessions import COMPOSITION, CUFF, DEVICE, MI_V1, MI_V2, NOW, STEPS, STOCKHOLM
from tests.devices.sessions import WEIGHT as SCALE
from tests.devices.test_wire import message, reading

PAYLOADS: Final = 100_000
MESSAGES: Final = 100_000
# A session makes a reading, which costs ten times a decoder.
SESSIONS: Final = 20_000

# Values where formats turn: 0, the sign bit, all ones, SFLOAT's special words.
EDGES: Final = (0x00, 0x01, 0x02, 0x07, 0x08, 0x7F, 0x80, 0xFE, 0xFF)


@pytest.fixture
def rng() -> random.Random:
    seed = int(os.environ.get("EGENMONITOR_FUZZ_SEED", random.SystemRandom().getrandbits(64)))
    print(f"EGENMONITOR_FUZZ_SEED={seed}")  # noqa: T201  # shown when the test fails
    return random.Random(seed)


def mutated(rng: random.Random, seed: bytes) -> bytes:
    """Return *seed* with one to three wounds: bytes changed, cut off, added or taken out."""
    wounded = bytearray(seed)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(wounded) + 1)
        match rng.randrange(5):
            case 0:
                wounded[at : at + 1] = bytes((rng.choice(EDGES),))
            case 1:
                wounded[at : at + 1] = rng.randbytes(1)
            case 2:
                del wounded[at:]
            case 3:
                wounded[at:at] = rng.randbytes(rng.randint(1, 4))
            case 4:
                del wounded[at : at + 1]
    return bytes(wounded)


def payloads(rng: random.Random, codec: str, count: int) -> Iterator[bytes]:
    kinds = ("vector", "refused")
    seeds = [bytes.fromhex(row["hex"]) for kind in kinds for row in rows(codec, kind)]
    for number in range(count):
        yield mutated(rng, rng.choice(seeds)) if number % 2 else rng.randbytes(rng.randrange(33))


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", CODECS)
def test_no_payload_breaks_a_decoder(name: str, rng: random.Random) -> None:
    codec = CODECS[name]
    decoded = refused = 0
    for payload in payloads(rng, name, PAYLOADS):
        try:
            codec.decode(payload)
            decoded += 1
        except MalformedPayload as refusal:
            refused += 1
            if refusal.payload != payload or not refusal.problem:
                pytest.fail(f"{payload.hex()} was refused without itself or a reason")
    # Both must be common, or the fuzz tests only one of them.
    assert min(decoded, refused) > PAYLOADS // 100
    assert decoded + refused == PAYLOADS


SOURCES: Final = (
    ("blood_pressure", CUFF, "blood_pressure"),
    ("beurer_bm", CUFF, "blood_pressure_beurer"),
    ("silvercrest_sbm69", CUFF, "blood_pressure_sbm69"),
    ("weight_scale", SCALE, "weight"),
    ("weight_scale", COMPOSITION, "body_composition"),
    ("mi_scale_v1", MI_V1, "mi_scale_v1"),
    ("mi_scale_v2", MI_V2, "mi_scale_v2"),
    ("infinitime", STEPS, "infinitime_steps"),
)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize(("driver", "source", "codec"), SOURCES)
def test_no_payload_makes_a_driver_raise_or_tell_what_is_no_number(
    driver: str, source: str, codec: str, rng: random.Random
) -> None:
    kind = driver_named(driver, STOCKHOLM)
    outcomes = dict.fromkeys(Outcome, 0)
    for payload in payloads(rng, codec, SESSIONS):
        session = kind.new(DEVICE)
        readings = [*session.received(RawValue(source, payload, NOW)), *session.finished()]
        for told in readings:
            outcomes[told.outcome] += 1
            assert told.payload == payload.hex()
            assert all(math.isfinite(value.value) for value in told.values)
            assert bool(told.values) is (told.outcome is Outcome.MEASURED)
            assert bool(told.problem) is not (told.outcome is Outcome.MEASURED)
            assert wire.decode_reading(wire.encode_reading(told)) == told
    assert outcomes[Outcome.MEASURED] > 0
    assert outcomes[Outcome.UNREADABLE] > 0


TOKENS: Final = (
    *(b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"9" * 400, b"1e-999", b"-0"),
    *(b"null", b"true", b'""', b"{}", b"[]", b"[" * 2000, b"}", b'"\\ud800"', b'"\\u0000"'),
    *(b"\xff", b'"\xc3"', b'"0001-01-01T00:00:00+14:00"', b'"9999-12-31T23:59:59Z"', b"\\"),
    *(b'"v":2,', b'"v":1e0,', b'"value":2047,', b'"outcome":"failed",', b"1.7976931348623159e308"),
)


def wounded_text(rng: random.Random, seed: bytes) -> bytes:
    text = bytearray(mutated(rng, seed) if rng.random() < 0.5 else seed)
    for _ in range(rng.randint(0, 2)):
        at = rng.randrange(len(text) + 1)
        # Over a whole value, as a person would get it wrong, or anywhere.
        colon = text.find(b": ", at)
        if colon >= 0 and rng.random() < 0.7:
            ends = [end for end in (text.find(s, colon) for s in (b",", b"}", b"]")) if end >= 0]
            text[colon + 2 : min(ends, default=len(text))] = rng.choice(TOKENS)
        else:
            text[at:at] = rng.choice(TOKENS)
    return bytes(text)


def columnar(rows: bytes) -> bytes:
    decoded, _ = wire.decode_message(rows)
    return wire.encode_message(decoded.gateway, decoded.sent_at, decoded.readings)


def messages(rng: random.Random) -> Iterator[bytes]:
    failed = reading(outcome="failed", values=[], problem="failed")
    rows = [message(), message(reading(), failed), message(failed, reading(), reading())]
    # With a space after each colon, as the wounds expect it.
    seeds = [*rows, *(json.dumps(json.loads(columnar(row))).encode() for row in rows)]
    for number in range(MESSAGES):
        if number % 10 == 0:
            yield rng.randbytes(rng.randrange(200))
        else:
            yield wounded_text(rng, rng.choice(seeds))


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_no_message_breaks_ingest_s_reader(rng: random.Random) -> None:
    kept = spoilt = refused = 0
    for payload in messages(rng):
        try:
            decoded, errors = wire.decode_message(payload)
        except MalformedMessage as refusal:
            refused += 1
            if refusal.message != payload or not refusal.problem:
                pytest.fail(f"{payload!r} was refused without itself or a reason")
            continue
        spoilt += len(errors)
        kept += len(decoded.readings)
        for error in errors:
            assert error.problem
        for told in decoded.readings:
            assert all(math.isfinite(value.value) for value in told.values)
            assert 1970 <= told.measured_at.year <= 2199
        # What was let in can be told again, in a form any JSON reader takes.
        json.loads(
            wire.encode_message(decoded.gateway, decoded.sent_at, decoded.readings)
            if decoded.readings
            else b"{}",
            parse_constant=pytest.fail,
        )
        if decoded.v == wire.VERSION:
            assert len(wire.reading_texts(payload)) == len(decoded.readings)
    assert min(kept, spoilt, refused) > MESSAGES // 100


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("decode", [wire.decode_receipt, wire.decode_status, wire.decode_reading])
def test_no_message_breaks_the_gateway_s_readers(decode: object, rng: random.Random) -> None:
    assert callable(decode)
    receipt = wire.Receipt(v=1, refused=(wire.Refusal(reading_id=DEVICE_ID, reason="x"),))
    status = wire.GatewayStatus(v=1, gateway="g", state=wire.GatewayState.ONLINE, at=NOW)
    seeds = [
        wire.encode_receipt(receipt),
        wire.encode_receipt(wire.Receipt(v=2, stored=(DEVICE_ID,), refused=receipt.refused)),
        wire.encode_status(status),
        json.dumps(reading()).encode(),
    ]
    refused = 0
    for _ in range(SESSIONS):
        try:
            decode(wounded_text(rng, rng.choice(seeds)))
        except MalformedMessage:
            refused += 1
    assert SESSIONS // 100 < refused < SESSIONS


DEVICE_ID: Final = wire.decode_message(message())[0].readings[0].reading_id
