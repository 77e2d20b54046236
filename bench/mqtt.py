"""MQTT alone: what receiving a message and publishing a receipt cost, ours and paho's in turns.

``python bench/mqtt.py`` prints microseconds of processor time a message, least of all rounds: the
machine's noise only ever adds.

- in memory: bytes of one read → reader → deliveries → taken → acknowledged; receipts → bytes;
- through the broker: a consumer that takes and acknowledges at once what a publisher sends, whole
  process with its event loop and sockets; and paho doing the same with acknowledgements by hand.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # this file's own folder would hide the package ingest

from paho.mqtt import client as paho  # noqa: E402
from paho.mqtt.enums import CallbackAPIVersion  # noqa: E402
from paho.mqtt.packettypes import PacketTypes  # noqa: E402
from paho.mqtt.properties import Properties  # noqa: E402

from bench.publisher import length, text  # noqa: E402
from devices import wire  # noqa: E402
from ingest.broker_link import BrokerLink  # noqa: E402
from ingest.config import BrokerSettings  # noqa: E402
from ingest.consumer import MqttConsumer  # noqa: E402
from ingest.delivery import Answer  # noqa: E402
from ingest.mqtt5 import Event, Publish, Reader  # noqa: E402
from simulator.embedded.broker import Mosquitto  # noqa: E402

GATEWAYS = 2_000
AT_ONCE = 700  # messages of 370 bytes in one read of 256 KiB
PAYLOAD = b"x" * 280  # one blood pressure in version 2
RECEIPT = b"y" * 80
ROUNDS = 30
THROUGH = 60_000
THROUGH_ROUNDS = 3
RECEIVE_MAX = 20_000
WAIT_S = 60.0


def packet(number: int) -> bytes:
    """Return a PUBLISH at QoS 1 as a gateway sends it."""
    gateway_id = f"g-{number % GATEWAYS}"
    topic = wire.topic(gateway_id, wire.TopicKind.READINGS).encode()
    answer = wire.topic(gateway_id, wire.TopicKind.RECEIPTS).encode()
    correlation = number.to_bytes(16, "big")
    properties = b"\x08" + text(answer) + b"\x09" + text(correlation)
    body = text(topic) + (number % 65_535 + 1).to_bytes(2, "big")
    body += length(len(properties)) + properties + PAYLOAD
    return b"\x32" + length(len(body)) + body


class Nobody:
    """A link that sends nowhere."""

    is_open = True
    is_paused = False
    is_congested = False
    connection = SimpleNamespace(limits=SimpleNamespace(packet_bytes_max=None))

    def send(self, packets: bytes) -> None:
        """Forget it."""

    def pause(self) -> None:
        """Go on."""


def least(work: Callable[[], None], count: int) -> float:
    """Return the least microseconds of processor time a piece."""
    times = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times) / count * 1e6


async def in_memory() -> None:
    """Print what the code itself costs."""
    data = b"".join(packet(number) for number in range(AT_ONCE))
    reader = Reader(1 << 20)
    consumer = MqttConsumer(BrokerSettings(host="nowhere"), RECEIVE_MAX)
    link = cast("BrokerLink", Nobody())
    consumer._link = link  # noqa: SLF001
    answers = [
        Answer(wire.topic(f"g-{n}", wire.TopicKind.RECEIPTS), RECEIPT, n.to_bytes(16, "big"))
        for n in range(AT_ONCE)
    ]
    kept: list[Event] = []

    def read() -> None:
        kept.clear()
        reader.feed(data, kept)

    def deliver() -> None:
        consumer.arrived(link, cast("list[Publish]", kept))
        consumer.acknowledge(consumer.take(AT_ONCE))

    def publish() -> None:
        consumer.publish(answers)

    def whole() -> None:
        read()
        deliver()

    read()
    print(f"in memory, µs a message: read {least(read, AT_ONCE):.2f}")
    print(f"  deliver, take, acknowledge {least(deliver, AT_ONCE):.2f}")
    print(f"  all of it {least(whole, AT_ONCE):.2f}")
    print(f"  publish a receipt {least(publish, AT_ONCE):.2f}")


async def ours(port: int, ready: threading.Event) -> float:
    """Take and acknowledge ``THROUGH`` messages; return µs of processor time a message."""
    settings = BrokerSettings(host="127.0.0.1", port=port, client_id="bench-ours")
    async with MqttConsumer(settings, RECEIVE_MAX) as consumer:
        await asyncio.sleep(0.5)  # until it has subscribed
        ready.set()
        await consumer.wait(WAIT_S)
        began, count = time.process_time(), 0
        while count < THROUGH and await consumer.wait(WAIT_S):
            taken = consumer.take(1000)
            consumer.acknowledge(taken)
            count += len(taken)
        return (time.process_time() - began) / count * 1e6


def pahos(port: int, ready: threading.Event) -> float:
    """Do the same with paho."""
    done = threading.Event()
    state: dict[str, Any] = {"count": 0, "began": 0.0}
    client = paho.Client(
        CallbackAPIVersion.VERSION2, "bench-paho", protocol=paho.MQTTv5, manual_ack=True
    )

    def on_message(_client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        state["began"] = state["began"] or time.process_time()
        bytes(message.payload)
        getattr(message.properties, "CorrelationData", None)
        client.ack(message.mid, 1)
        state["count"] += 1
        if state["count"] == THROUGH:
            state["took"] = time.process_time() - state["began"]
            done.set()

    topic = wire.topic("+", wire.TopicKind.READINGS)
    client.on_message = on_message
    client.on_connect = lambda client, *_: client.subscribe(topic, 1)
    client.on_subscribe = lambda *_: ready.set()
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.ReceiveMaximum = RECEIVE_MAX
    client.connect("127.0.0.1", port, properties=properties)
    client.loop_start()
    assert done.wait(WAIT_S)
    client.disconnect()
    client.loop_stop()
    return float(state["took"]) / THROUGH * 1e6


def through_the_broker(rounds: int) -> None:
    """Print what a message costs whole processes, in turns."""
    if Mosquitto.program() is None:
        print("mosquitto is not installed: nothing goes through a broker")
        return
    with tempfile.TemporaryDirectory(prefix="egenmonitor-bench-") as place:
        file = Path(place) / "packets"
        file.write_bytes(b"".join(packet(number) for number in range(THROUGH)))
        costs: dict[str, list[float]] = {"ours": [], "paho": []}
        for number in range(2 * rounds):
            name = "paho" if number % 2 else "ours"
            with Mosquitto(Path(place) / f"broker-{number}") as broker:
                ready = threading.Event()
                sending = threading.Thread(target=_send, args=(broker.port, file, ready))
                sending.start()
                if name == "ours":
                    costs[name].append(asyncio.run(ours(broker.port, ready)))
                else:
                    costs[name].append(pahos(broker.port, ready))
                sending.join()
        for name, found in costs.items():
            print(f"through Mosquitto, {name}: {min(found):.1f} µs a message")
        print(f"paho ÷ ours: {min(costs['paho']) / min(costs['ours']):.1f}")


def _send(port: int, file: Path, ready: threading.Event) -> None:
    """Let another process send the file, once the consumer is ready."""
    assert ready.wait(WAIT_S)
    command = [sys.executable, "-m", "bench.mqtt", "--send", str(port), str(file)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=ROOT, env=environment, check=True)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=THROUGH_ROUNDS)
    parser.add_argument("--send", nargs=2, metavar=("PORT", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.send:
        from bench.publisher import Publisher  # noqa: PLC0415

        port, file = options.send
        Publisher(int(port)).send(
            Path(file).read_bytes(), THROUGH, window=5_000, rate=0, answers=False
        )
        return
    asyncio.run(in_memory())
    through_the_broker(options.rounds)


if __name__ == "__main__":
    main()
