"""Load for the ingest benchmark: a small county, and its messages as one string of MQTT packets."""

import json
import random
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
from psycopg.types.json import Jsonb

from bench.publisher import length, text
from devices import wire
from devices.quantity import Quantity
from devices.reading import ClockVerdict, Outcome, Reading, Value, identify
from ingest.rules.templates import BLOOD_PRESSURE

PATIENTS = 2_000
BACKLOG_SPACING = timedelta(hours=4)
LIVE_SPACING = timedelta(minutes=10)
RED_MMHG = 192.0
# Every kind that blood pressures can have: limits, repeat, k-of-n, rolling means, missing.
PLAN = BLOOD_PRESSURE
REPEATED_AFTER = 100
BREACHING = 0.01  # of the readings; ten times the alert load that a programme bears

PUBLISH_QOS_1 = 0x32
FLAT_TOPIC = "bench/flat"


@dataclass(frozen=True, slots=True)
class Load:
    """Messages ready to send."""

    packets: bytes
    messages: int
    readings: int
    marked: list[int]  # messages with a reading that breaks a limit


def fill_county(dsn: str) -> None:
    """Register gateways, patients, loans and plans."""
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "insert into gateway (gateway_id) select 'g-' || n from generate_series(1, %s) n",
            [PATIENTS],
        )
        connection.execute(
            "insert into patient (patient_id) overriding system value"
            " select n from generate_series(1, %s) n",
            [PATIENTS],
        )
        connection.execute(
            "insert into device_loan (patient_id, device_id, lent_from)"
            " select n, 'C4:BE:' || n, now() - interval '3 years' from generate_series(1, %s) n",
            [PATIENTS],
        )
        connection.execute(
            "insert into plan_version (plan_version_id, patient_id, in_force_from)"
            " overriding system value"
            " select n, n, now() - interval '3 years' from generate_series(1, %s) n",
            [PATIENTS],
        )
        limits, rules = PLAN.dump()
        for row in limits:
            connection.execute(
                "insert into plan_limit select n, %s, %s, %s, %s, %s from generate_series(1, %s) n",
                [*row, PATIENTS],
            )
        for rule in rules:
            connection.execute(
                "insert into plan_rule select n, %s, %s, %s, %s from generate_series(1, %s) n",
                [rule.rule_key, rule.kind, rule.level, Jsonb(dict(rule.spec)), PATIENTS],
            )


def make_load(readings: int, per_message: int, seed: int, *, repeat_every: int = 0) -> Load:
    """Return blood pressures, one device a message, in the order in which they were measured.

    Args:
        readings: How many different ones.
        per_message: More than one is a backlog: every fourth hour, for as long as it takes. One is
            a patient who measures six times an hour, as often as plausibility lets pass.
        seed: Readings of different seeds are never the same.
        repeat_every: Send each so-manieth message twice, a hundred messages later.
    """
    random_ = random.Random(seed)
    messages = readings // per_message
    rounds = -(-messages // PATIENTS) * per_message
    spacing = BACKLOG_SPACING if per_message > 1 else LIVE_SPACING
    began = datetime.now(UTC) - rounds * spacing - timedelta(minutes=seed / 10)
    payloads: list[tuple[str, bytes]] = []
    marked: list[int] = []
    waiting: list[tuple[int, tuple[str, bytes]]] = []  # when, and what, is sent again
    for number in range(messages):
        turn, patient = divmod(number, PATIENTS)
        batch = [
            _reading(f"C4:BE:{patient + 1}", began + spacing * (turn * per_message + one), random_)
            for one in range(per_message)
        ]
        if any(reading.values[0].value == RED_MMHG for reading in batch):
            marked.append(len(payloads))
        gateway_id = f"g-{patient + 1}"
        payloads.append((gateway_id, wire.encode_message(gateway_id, batch[-1].measured_at, batch)))
        if repeat_every and number % repeat_every == 0:
            waiting.append((number + REPEATED_AFTER, payloads[-1]))
        while waiting and (waiting[0][0] <= number or number == messages - 1):
            payloads.append(waiting.pop(0)[1])
    packets = [_publish(*one, number) for number, one in enumerate(payloads)]
    return Load(b"".join(packets), len(packets), messages * per_message, marked)


def flat_load(messages: int, seed: int) -> tuple[str, Load]:
    """Return a topic, and blood pressures as one flat JSON object a message."""
    random_ = random.Random(seed)
    now = datetime.now(UTC)
    packets = []
    for number in range(messages):
        reading = _reading(
            f"C4:BE:{number % PATIENTS + 1}", now - timedelta(seconds=number), random_
        )
        flat = {
            "reading_id": str(reading.reading_id),
            "device_id": reading.device_id,
            "measured_at": reading.measured_at.isoformat(),
            **{value.quantity: value.value for value in reading.values},
        }
        body = text(FLAT_TOPIC.encode()) + struct.pack("!H", number % 65_535 + 1) + b"\0"
        body += json.dumps(flat).encode()
        packets.append(bytes([PUBLISH_QOS_1]) + length(len(body)) + body)
    return FLAT_TOPIC, Load(b"".join(packets), messages, messages, [])


def _reading(device_id: str, at: datetime, random_: random.Random) -> Reading:
    systolic = RED_MMHG if random_.random() < BREACHING else float(random_.randint(110, 149))
    diastolic, pulse = float(random_.randint(65, 90)), float(random_.randint(55, 90))
    raw = random_.randbytes(19)
    values = (
        (Quantity.SYSTOLIC, systolic),
        (Quantity.DIASTOLIC, diastolic),
        (Quantity.PULSE, pulse),
    )
    return Reading(
        reading_id=identify(
            device_id=device_id, device_time=None, received_at=at, slot=None, payload=raw
        ),
        device_id=device_id,
        source="2a35",
        payload=raw.hex(),
        outcome=Outcome.MEASURED,
        measured_at=at,
        received_at=at,
        clock=ClockVerdict.OK,
        device_time=at.replace(tzinfo=None, microsecond=0),
        clock_offset_s=1.0,
        values=tuple(
            Value(quantity=quantity.value, value=value, unit=quantity.facts.unit)
            for quantity, value in values
        ),
    )


def _publish(gateway_id: str, payload: bytes, number: int) -> bytes:
    topic = wire.topic(gateway_id, wire.TopicKind.READINGS).encode()
    answer = wire.topic(gateway_id, wire.TopicKind.RECEIPTS).encode()
    correlation = struct.pack("!QQ", 0, number)
    properties = b"\x08" + text(answer) + b"\x09" + text(correlation)
    body = text(topic) + struct.pack("!H", number % 65_535 + 1)
    body += length(len(properties)) + properties + payload
    return bytes([PUBLISH_QOS_1]) + length(len(body)) + body
