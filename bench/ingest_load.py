"""Load for the ingest benchmark: a small county, its messages, and a publisher that is no limit.

The messages are encoded beforehand into one string of MQTT packets. ``python -m
bench.ingest_load PORT FILE`` sends such a file over one raw socket and counts the receipts.
"""

import random
import socket
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from devices import wire
from devices.quantity import Quantity
from devices.reading import ClockVerdict, Outcome, Reading, Value, identify

PATIENTS = 2_000
# Every fourth hour, backwards: never more than the usual six an hour from a device.
SPACING = timedelta(hours=4)
BREACHING = 0.01  # of the readings; ten times the alert load that a programme bears

RECEIVED_BYTES = 1 << 20
PUBLISH_QOS_1 = 0x32
PUBACK = 0x40


@dataclass(frozen=True, slots=True)
class Load:
    """Messages ready to send."""

    packets: bytes
    messages: int
    readings: int


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
        connection.execute(
            "insert into plan_limit"
            " select n, q, lows[q], highs[q], null, highs[q] + 20"
            " from generate_series(1, %s) n, (values (1), (2), (4)) as quantity (q),"
            " (select array[100, null, null, 45] lows, array[160, 95, null, 100] highs) b",
            [PATIENTS],
        )


def make_load(readings: int, per_message: int, seed: int) -> Load:
    """Return *readings* blood pressures in messages of *per_message*, one device a message."""
    random_ = random.Random(seed)
    now = datetime.now(UTC)
    sent = [0] * PATIENTS
    parts: list[bytes] = []
    messages = readings // per_message
    for number in range(messages):
        patient = number % PATIENTS
        batch = []
        for _ in range(per_message):
            sent[patient] += 1
            # Each seed has its own minute, so that rounds never repeat a reading.
            at = now - SPACING * sent[patient] - timedelta(minutes=seed)
            batch.append(_reading(f"C4:BE:{patient + 1}", at, random_))
        gateway_id = f"g-{patient + 1}"
        payload = wire.encode_message(gateway_id, now, batch)
        parts.append(_publish(gateway_id, payload, number))
    return Load(b"".join(parts), messages, messages * per_message)


def _reading(device_id: str, at: datetime, random_: random.Random) -> Reading:
    systolic = 192.0 if random_.random() < BREACHING else float(random_.randint(110, 150))
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
    properties = b"\x08" + _text(answer) + b"\x09" + _text(correlation)
    body = _text(topic) + struct.pack("!H", number % 65_535 + 1)
    body += _length(len(properties)) + properties + payload
    return bytes([PUBLISH_QOS_1]) + _length(len(body)) + body


def _text(text: bytes) -> bytes:
    return struct.pack("!H", len(text)) + text


def _length(number: int) -> bytes:
    encoded = bytearray()
    while True:
        number, digit = divmod(number, 128)
        encoded.append(digit | (0x80 if number else 0))
        if not number:
            return bytes(encoded)


class Publisher:
    """One raw MQTT 5 connection: subscribed to all receipts at QoS 0, sending as told."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._rest = b""
        # CONNECT: clean start, keep alive 0, Receive Maximum 65,535.
        body = _text(b"MQTT") + b"\x05\x02\x00\x00" + b"\x00" + _text(b"bench-publisher")
        self._socket.sendall(b"\x10" + _length(len(body)) + body)
        body = b"\x00\x01\x00" + _text(b"egenmonitor/v1/+/receipts") + b"\x00"
        self._socket.sendall(b"\x82" + _length(len(body)) + body)
        kinds: list[int] = []
        while len(kinds) < 2:
            kinds += [kind for kind, _ in self._packets()]
        assert kinds == [0x20, 0x90], kinds

    def send(self, load: Load, window: int) -> tuple[float, float]:
        """Send all; return the seconds until the last PUBACK and until the last receipt."""
        sizes = list(_sizes(load.packets))
        began = time.monotonic()
        sent = acknowledged = answered = position = 0
        accepted_s = 0.0
        while answered < load.messages:
            count = min(window - (sent - acknowledged), load.messages - sent, 500)
            if count > 0:
                size = sum(sizes[sent : sent + count])
                self._socket.sendall(load.packets[position : position + size])
                position += size
                sent += count
            self._socket.setblocking(count <= 0)
            for kind, _ in self._packets():
                acknowledged += kind == PUBACK
                answered += kind & 0xF0 == 0x30
            self._socket.setblocking(True)
            if acknowledged == load.messages and not accepted_s:
                accepted_s = time.monotonic() - began
        return accepted_s, time.monotonic() - began

    def _packets(self) -> Iterator[tuple[int, bytes]]:
        try:
            got = self._socket.recv(RECEIVED_BYTES)
        except BlockingIOError:
            return
        if not got:
            problem = "the broker closed the connection"
            raise ConnectionError(problem)
        buffer, at = self._rest + got, 0
        while True:
            length, shift, head = 0, 0, at + 1
            while head < len(buffer):
                digit = buffer[head]
                length |= (digit & 0x7F) << shift
                shift += 7
                head += 1
                if digit < 0x80:
                    break
            else:
                break
            if head + length > len(buffer):
                break
            yield buffer[at], buffer[head : head + length]
            at = head + length
        self._rest = buffer[at:]


def _sizes(packets: bytes) -> Iterator[int]:
    at = 0
    while at < len(packets):
        length, shift, head = 0, 0, at + 1
        while True:
            digit = packets[head]
            length |= (digit & 0x7F) << shift
            shift += 7
            head += 1
            if digit < 0x80:
                break
        yield head + length - at
        at = head + length


def main() -> None:
    """Send the file named on the command line; print the two times."""
    port, path, messages, window = int(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:5])
    publisher = Publisher(port)
    print("ready", flush=True)
    sys.stdin.readline()
    accepted_s, answered_s = publisher.send(Load(path.read_bytes(), messages, 0), window)
    print(accepted_s, answered_s, flush=True)


if __name__ == "__main__":
    main()
