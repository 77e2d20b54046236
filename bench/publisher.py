"""A publisher that is no limit: messages encoded beforehand, over one raw MQTT 5 connection.

``python -m bench.publisher PORT FILE MESSAGES`` says ``ready``, waits for a line, sends, and prints
one line of JSON: seconds, and how long the receipts of all messages and of the marked ones took,
in milliseconds. A message's correlation data ends with its number; the marked ones are named in
``FILE.marked``, one number a line.
"""

import argparse
import json
import math
import select
import socket
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

RECEIVED_BYTES = 1 << 20
PUBLISH = 0x30
CORRELATION_DATA = 0x09
# What is sent at once without looking for answers, and how often a paced sender wakes.
BURST = 500
TICK_S = 0.002


@dataclass(frozen=True, slots=True)
class Sent:
    """How it went. Times in milliseconds from the send to the receipt, all or the marked ones."""

    accepted_s: float  # until the last PUBACK of the broker
    answered_s: float  # until the last receipt; 0 if none were waited for
    p50_ms: float
    p99_ms: float
    marked_p50_ms: float
    marked_p99_ms: float


class Publisher:
    """One connection, subscribed to all receipts at QoS 0."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""
        # CONNECT: clean start, keep alive 0.
        body = text(b"MQTT") + b"\x05\x02\x00\x00" + b"\x00" + text(b"bench-publisher")
        self._socket.sendall(b"\x10" + length(len(body)) + body)
        body = b"\x00\x01\x00" + text(b"egenmonitor/v1/+/receipts") + b"\x00"
        self._socket.sendall(b"\x82" + length(len(body)) + body)
        kinds: list[int] = []
        while len(kinds) < 2:
            kinds += [kind for kind, _ in self._packets()]
        assert kinds == [0x20, 0x90], kinds

    def send(
        self, packets: bytes, messages: int, *, window: int, rate: float, answers: bool
    ) -> tuple[float, float, list[float]]:
        """Send all, at *rate* a second (0: as fast as the broker takes).

        Returns:
            Seconds until the last PUBACK, until the last receipt, and each message's own (NaN
            without one).
        """
        sizes = list(split(packets))
        sent_at = [math.nan] * messages
        took_s = [math.nan] * messages
        began = now = time.monotonic()
        sent = acknowledged = answered = position = 0
        accepted_s = answered_s = 0.0
        while acknowledged < messages or (answers and answered < messages):
            room = min(window - (sent - acknowledged), messages - sent, BURST)
            if rate:
                room = min(room, int((now - began) * rate) + 1 - sent)
            if room > 0:
                size = sum(sizes[sent : sent + room])
                for number in range(sent, sent + room):
                    sent_at[number] = now
                self._socket.sendall(packets[position : position + size])
                position += size
                sent += room
            wait_s = 0.0 if room > 0 and not rate else (TICK_S if rate else 1.0)
            if select.select([self._socket], [], [], wait_s)[0]:
                now = time.monotonic()
                kinds = self._packets()
                receipts = [body for kind, body in kinds if kind & 0xF0 == PUBLISH]
                kinds = [one for one in kinds if one[0] & 0xF0 != PUBLISH or is_ours(one[1])]
                numbers = [message_number(body) for body in receipts if is_ours(body)]
                for number in numbers:
                    took_s[number] = now - sent_at[number]
                answered += len(numbers)
                acknowledged += len(kinds) - len(numbers)
            now = time.monotonic()
            if acknowledged == messages and not accepted_s:
                accepted_s = now - began
            if answered == messages:
                answered_s = now - began
        return accepted_s, answered_s, took_s

    def _packets(self) -> list[tuple[int, bytes]]:
        packets: list[tuple[int, bytes]] = []
        got = self._socket.recv(RECEIVED_BYTES)
        if not got:
            problem = "the broker closed the connection"
            raise ConnectionError(problem)
        buffer, at = self._rest + got, 0
        end = len(buffer)
        while at + 1 < end:
            size, head = buffer[at + 1], at + 2
            if size >= 0x80:
                found = _long_size(buffer, at)
                if found is None:
                    break
                size, head = found
            if head + size > end:
                break
            packets.append((buffer[at], buffer[head : head + size]))
            at = head + size
        self._rest = buffer[at:]
        return packets


def is_ours(publish: bytes) -> bool:
    """Return whether a receipt answers a message with a number; others send beside us."""
    return publish[2 + int.from_bytes(publish[:2])] > 0


def message_number(publish: bytes) -> int:
    """Return the number at the end of a receipt's correlation data."""
    at = 2 + int.from_bytes(publish[:2])  # QoS 0: no packet id
    size = publish[at]
    properties = publish[at + 1 : at + 1 + size]
    assert properties[0] == CORRELATION_DATA, properties
    end = 3 + int.from_bytes(properties[1:3])
    return int.from_bytes(properties[end - 8 : end])


def split(packets: bytes) -> Iterator[int]:
    """Yield the size of each packet."""
    at = 0
    while at < len(packets):
        size, head = packets[at + 1], at + 2
        if size >= 0x80:
            found = _long_size(packets, at)
            assert found
            size, head = found
        yield head + size - at
        at = head + size


def _long_size(buffer: bytes, at: int) -> tuple[int, int] | None:
    """Return the size of a body that takes more than one byte to tell, and where it begins."""
    size = shift = 0
    for head in range(at + 1, min(at + 5, len(buffer))):
        digit = buffer[head]
        size |= (digit & 0x7F) << shift
        shift += 7
        if digit < 0x80:
            return size, head + 1
    return None


def text(content: bytes) -> bytes:
    """Return MQTT's string or binary data."""
    return struct.pack("!H", len(content)) + content


def length(number: int) -> bytes:
    """Return MQTT's variable byte integer."""
    encoded = bytearray()
    while True:
        number, digit = divmod(number, 128)
        encoded.append(digit | (0x80 if number else 0))
        if not number:
            return bytes(encoded)


def percentile_ms(seconds: list[float], share: float) -> float:
    """Return the value below which *share* of *seconds* lie; NaN of none."""
    if not seconds:
        return math.nan
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


def main() -> None:
    """Send the file that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("file", type=Path)
    parser.add_argument("messages", type=int)
    parser.add_argument("--rate", type=float, default=0.0, help="messages a second")
    parser.add_argument("--window", type=int, default=60_000, help="messages without PUBACK")
    parser.add_argument("--acks-only", action="store_true", help="wait for no receipts")
    options = parser.parse_args()
    publisher = Publisher(options.port)
    packets = options.file.read_bytes()
    marked = [int(line) for line in Path(f"{options.file}.marked").read_text().split()]
    print("ready", flush=True)
    sys.stdin.readline()
    accepted_s, answered_s, took_s = publisher.send(
        packets,
        options.messages,
        window=options.window,
        rate=options.rate,
        answers=not options.acks_only,
    )
    each = [one for one in took_s if not math.isnan(one)]
    of_marked = [took_s[number] for number in marked if not math.isnan(took_s[number])]
    sent = Sent(
        accepted_s,
        answered_s,
        percentile_ms(each, 0.5),
        percentile_ms(each, 0.99),
        percentile_ms(of_marked, 0.5),
        percentile_ms(of_marked, 0.99),
    )
    print(json.dumps(asdict(sent)), flush=True)


if __name__ == "__main__":
    main()
