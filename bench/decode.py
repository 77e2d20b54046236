"""From MQTT payload to numpy columns, and to receipts: columns on the wire against rows.

``python -m bench.decode [--rounds N]``. One process, no broker and no database: decoding, gathering
into a ``Batch`` and writing receipts for blood pressures (three values), each gateway with a cuff
of its own. Versions and sizes alternate (A B A B); processor time, the best round of each, since
what else runs only adds to it. Prints microseconds a reading and, last, the ratios of version 2
to version 1.
"""

import argparse
import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

import numpy as np

from devices import wire
from devices.quantity import Quantity
from devices.reading import ClockVerdict, Outcome, Reading, Value, identify
from ingest.batch import from_incoming
from ingest.decode import decode
from ingest.delivery import Delivery
from ingest.receipts import receipts

SIZES: Final = (1, 20, 200)
# About what comes in while a batch is being committed at 40,000 a second.
READINGS: Final = 1_000
T = TypeVar("T")
NOW: Final = datetime(2026, 11, 22, 7, 30, tzinfo=UTC)
_PAYLOAD: Final = bytes.fromhex("1e8000510062ea070b1608001c")
_ENCODERS: Final = {1: wire.encode_rows, 2: wire.encode_message}


@dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds a reading, and bytes."""

    decode_us: float
    columns_us: float
    receipts_us: float
    bytes: float

    @property
    def all_us(self) -> float:
        """From payload to receipt."""
        return self.decode_us + self.columns_us + self.receipts_us


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    rounds = parser.parse_args().rounds
    cases = [(version, size) for size in SIZES for version in _ENCODERS]
    deliveries = {case: list(_deliveries(*case)) for case in cases}
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)  # as ingest runs
    measured: dict[tuple[int, int], list[Cost]] = {case: [] for case in cases}
    for _ in range(rounds):
        for case in cases:
            measured[case].append(_measure(deliveries[case]))
    best = {case: _best(costs) for case, costs in measured.items()}
    print("us a reading      bytes   decode  columns receipts      all")
    for (version, size), cost in best.items():
        print(
            f"v{version}, {size:3d} a message {cost.bytes:6.0f} {cost.decode_us:8.2f}"
            f" {cost.columns_us:8.2f} {cost.receipts_us:8.2f} {cost.all_us:8.2f}"
        )
    for size in SIZES:
        two, one = best[2, size], best[1, size]
        print(f"v2 / v1 at {size:3d} a message: {two.all_us / one.all_us:.2f}")


def _deliveries(version: int, size: int) -> Sequence[Delivery]:
    made = []
    for number in range(READINGS // size):
        gateway_id = f"g-{number:06d}"
        readings = [_reading(number, minute) for minute in range(size)]
        payload = _ENCODERS[version](gateway_id, NOW, readings)
        topic = wire.topic(gateway_id, wire.TopicKind.READINGS)
        made.append(Delivery(topic, payload, bytes(16), NOW))
    return made


def _reading(home: int, minute: int) -> Reading:
    at = NOW - timedelta(minutes=minute)
    device_id = f"C4:00:00:{home >> 16:02X}:{home >> 8 & 255:02X}:{home & 255:02X}"
    local = at.replace(tzinfo=None)
    known = {"device_time": local, "slot": None, "payload": _PAYLOAD}
    values = {Quantity.SYSTOLIC: 128.0, Quantity.DIASTOLIC: 81.0, Quantity.PULSE: 60.0 + minute % 9}
    return Reading(
        reading_id=identify(device_id=device_id, received_at=at, **known),  # type: ignore[arg-type]
        device_id=device_id,
        source="2a35",
        payload=_PAYLOAD.hex(),
        outcome=Outcome.MEASURED,
        measured_at=at,
        received_at=at + timedelta(seconds=2),
        clock=ClockVerdict.OK,
        device_time=local,
        clock_offset_s=1.5,
        values=tuple(Value(quantity=q, value=v, unit=q.facts.unit) for q, v in values.items()),
        battery_percent=72,
    )


def _measure(deliveries: Sequence[Delivery]) -> Cost:
    incoming, decode_us = _timed(lambda: [decode(delivery) for delivery in deliveries])
    batch, columns_us = _timed(lambda: from_incoming(incoming))
    assert len(batch) == READINGS
    assert not batch.fault.any()
    reason = np.zeros(len(batch), np.int8)
    answers, receipts_us = _timed(lambda: receipts(incoming, reason, []))
    assert len(answers) == len(deliveries)
    size = sum(len(delivery.payload) for delivery in deliveries) / READINGS
    return Cost(decode_us, columns_us, receipts_us, size)


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    started = time.process_time_ns()
    done = work()
    return done, (time.process_time_ns() - started) / 1_000 / READINGS


def _best(costs: Sequence[Cost]) -> Cost:
    return Cost(
        *(
            min(getattr(cost, name) for cost in costs)
            for name in ("decode_us", "columns_us", "receipts_us", "bytes")
        )
    )


if __name__ == "__main__":
    main()
