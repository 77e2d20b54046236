"""Gateway, whole chain: device → radio → outbox → broker → ingest → PostgreSQL → receipt.

``python bench/gateway.py`` lets 1, 20 and 200 virtual devices measure around one gateway and
prints, in milliseconds (p50, p95, p99, the most):

- advertisement → outbox: from the last advertisement before the visit until the first reading
  lies durable in the outbox, by the gateway's own log;
- reading → receipt: from the raw value's arrival at the gateway until its receipt, which ingest
  sends after COMMIT, passes the broker;
- measured → receipt: from the end of the measurement, with the wait for those served before.

Gateway, broker, ingest and database are processes of their own; the devices and the radio's
controllers live in this one. It ends by itself within three minutes.
"""

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from uuid import UUID

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # this file's own folder would hide the package ingest

import psycopg  # noqa: E402
from paho.mqtt import client as paho  # noqa: E402
from paho.mqtt.enums import CallbackAPIVersion  # noqa: E402

from bench.served import figures, served  # noqa: E402
from devices.wire import TopicKind, decode_message, decode_receipt, topic  # noqa: E402
from ingest.schema.migrate import migrate  # noqa: E402
from simulator.devices.clock import DeviceClock  # noqa: E402
from simulator.devices.cuff import Cuff  # noqa: E402
from simulator.devices.recording import Habits  # noqa: E402
from simulator.embedded.broker import Broker, EmbeddedBroker, Mosquitto  # noqa: E402
from simulator.embedded.postgres import Postgres  # noqa: E402
from simulator.radio import VirtualRadio  # noqa: E402

GATEWAY = "g-bench"
# Devices, and over how many seconds they measure. One gateway serves one device at a time, in
# half a second: 200 in a minute wait for one another, as they would in a day room after lunch.
TOWNS = {1: 10.0, 20: 20.0, 200: 60.0}
# So many measurements in all at least, one device after the other.
MEASUREMENTS_MIN = 20
HABITS = Habits(wake_s=0.0, window_s=None, linger_s=0.1)
RUN_S_MAX = 110.0
START_S_MAX = 30.0


@dataclass
class Ledger:
    """When each record was measured, arrived at the gateway and was confirmed.

    A record is known by its bytes: each measurement of a device has values of its own.
    """

    measured: dict[tuple[str, float, float], float] = field(default_factory=dict)  # wall clock, s
    arrived: dict[UUID, tuple[str, datetime, tuple[float, float]]] = field(default_factory=dict)
    confirmed: dict[UUID, float] = field(default_factory=dict)

    def to_receipt_ms(self) -> list[float]:
        """Return the times from arrival to receipt."""
        return [
            (at_s - self.arrived[reading_id][1].timestamp()) * 1000
            for reading_id, at_s in self.confirmed.items()
            if reading_id in self.arrived
        ]

    def from_measurement_ms(self) -> list[float]:
        """Return the times from the end of the measurement to the receipt."""
        times = []
        for reading_id, at_s in self.confirmed.items():
            if reading_id in self.arrived:
                device_id, _, values = self.arrived[reading_id]
                times.append((at_s - self.measured[device_id, *values]) * 1000)
        return times


def main() -> None:
    """Run each town, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, nargs="*", default=list(TOWNS))
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="egenmonitor-bench-") as place:
        directory = Path(place)
        directory.chmod(0o755)  # the server may run under another account
        kind = EmbeddedBroker if Mosquitto.program() is None else Mosquitto
        with Postgres(directory / "pg") as server, kind(directory / "broker") as broker:
            migrate(server.dsn())
            table: list[str] = []
            for number in options.devices:
                town = directory / str(number)
                town.mkdir()
                lines = asyncio.run(_live(town, number, options.seed, server, broker))
                print("\n".join(lines), flush=True)
                table += lines
    print("\n" + "\n".join(table))


async def _live(
    directory: Path, devices: int, seed: int, server: Postgres, broker: Broker
) -> list[str]:
    chance, ledger = random.Random(seed), Ledger()
    cuffs = [Cuff(f"BP-{devices}-{n}", habits=HABITS, clock=DeviceClock()) for n in range(devices)]
    each = max(1, MEASUREMENTS_MIN // devices)
    _register(server.dsn(), [cuff.device_id for cuff in cuffs])
    began_s = time.monotonic()
    async with AsyncExitStack() as stack:
        radio = await stack.enter_async_context(VirtualRadio())
        for cuff in cuffs:
            await radio.attach(cuff)
        changed = await stack.enter_async_context(_observing(broker.port, ledger))
        await stack.enter_async_context(_ingest(server.dsn(), broker.port, directory))
        log = await stack.enter_async_context(_gateway(radio.transport, broker.port, directory))
        async with asyncio.timeout(START_S_MAX):
            await radio.scanned()
        async with asyncio.timeout(RUN_S_MAX), asyncio.TaskGroup() as tasks:
            for cuff in cuffs:
                first_s = chance.uniform(0, TOWNS.get(devices, 60.0))
                tasks.create_task(_measure(cuff, each, first_s if devices > 1 else 0, ledger))
            while len(ledger.confirmed) < devices * each:
                changed.clear()
                await changed.wait()
    visits = [visit.outbox_ms for visit in served(log.read_text())]
    took_s = time.monotonic() - began_s
    return [
        f"{devices} devices, {devices * each} readings, {took_s:.0f} s",
        figures("advertisement → outbox", [ms for ms in visits if ms is not None]),
        figures("reading → receipt", ledger.to_receipt_ms()),
        figures("measured → receipt", ledger.from_measurement_ms()),
    ]


async def _measure(cuff: Cuff, times: int, after_s: float, ledger: Ledger) -> None:
    """Measure, and once it sleeps again, again; each with values of its own."""
    await asyncio.sleep(after_s)
    for number in range(times):
        systolic, diastolic = 100.0 + number, 60.0 + number % 30
        ledger.measured[cuff.device_id, systolic, diastolic] = time.time()
        cuff.measure(systolic, diastolic, 60)
        await cuff.drained()
        await cuff.silent()


def _register(dsn: str, device_ids: list[str]) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "insert into gateway (gateway_id) values (%s) on conflict do nothing", [GATEWAY]
        )
        patient = connection.execute(
            "insert into patient default values returning patient_id"
        ).fetchone()
        assert patient
        for device_id in device_ids:
            connection.execute(
                "insert into device_loan (patient_id, device_id, lent_from)"
                " values (%s, %s, '2020-01-01')",
                [patient[0], device_id],
            )


@asynccontextmanager
async def _observing(port: int, ledger: Ledger) -> AsyncIterator[asyncio.Event]:
    """Listen to what the gateway sends and to what it is answered."""
    loop, changed = asyncio.get_running_loop(), asyncio.Event()
    ready = asyncio.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    topics = [topic(GATEWAY, kind) for kind in (TopicKind.READINGS, TopicKind.RECEIPTS)]

    def subscribe(*_: object) -> None:
        client.subscribe([(name, 1) for name in topics])

    def subscribed(*_: object) -> None:
        loop.call_soon_threadsafe(ready.set)

    client.on_connect, client.on_subscribe = subscribe, subscribed

    def take(payload: bytes, *, is_receipt: bool, at_s: float) -> None:
        if is_receipt:
            receipt = decode_receipt(payload)
            assert not receipt.refused, receipt.refused
            for reading_id in receipt.stored:
                ledger.confirmed.setdefault(reading_id, at_s)
            changed.set()
            return
        for reading in decode_message(payload)[0].readings:
            values = (reading.values[0].value, reading.values[1].value)
            arrived = (reading.device_id, reading.received_at, values)
            ledger.arrived.setdefault(reading.reading_id, arrived)

    def heard(_client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        is_receipt = message.topic == topic(GATEWAY, TopicKind.RECEIPTS)
        at_s = time.time()
        loop.call_soon_threadsafe(
            lambda: take(bytes(message.payload), is_receipt=is_receipt, at_s=at_s)
        )

    client.on_message = heard
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        async with asyncio.timeout(START_S_MAX):
            await ready.wait()
        yield changed
    finally:
        client.disconnect()
        client.loop_stop()


@asynccontextmanager
async def _gateway(transport: str, port: int, directory: Path) -> AsyncIterator[Path]:
    config = directory / "gateway.toml"
    config.write_text(
        f"""
        gateway_id = "{GATEWAY}"
        data_dir = "{directory}/data"
        [radio]
        backend = "bumble"
        transport = "{transport}"
        [session]
        idle_s = 1.0
        [uplink]
        host = "127.0.0.1"
        port = {port}
        [clock]
        doubt_after_boot_s = 0
        [log]
        format = "json"
        """
    )
    log = directory / "gateway.log"
    async with _process("gateway", "run", "--config", str(config), log=log):
        yield log


@asynccontextmanager
async def _ingest(dsn: str, port: int, directory: Path) -> AsyncIterator[None]:
    log = directory / "ingest.log"
    environment = {
        "EGENMONITOR_INGEST__DATABASE__DSN": dsn,
        "EGENMONITOR_INGEST__BROKER__HOST": "127.0.0.1",
        "EGENMONITOR_INGEST__BROKER__PORT": str(port),
    }
    async with _process("ingest", "run", log=log, environment=environment):
        async with asyncio.timeout(START_S_MAX):
            while "broker.subscribed" not in log.read_text():  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)
        yield


@asynccontextmanager
async def _process(
    room: str, *words: str, log: Path, environment: dict[str, str] | None = None
) -> AsyncIterator[None]:
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", room, *words),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
            stdout=output,
            stderr=output,
        )
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


if __name__ == "__main__":
    main()
