"""Twenty devices wake in the same minute around one gateway, and nobody is missed.

The gateway is a process of its own; the radio is virtual, the broker real. The figures are
printed; only what was stored is asserted, since a busy machine is slow.
"""

import asyncio
import os
import random
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bench.served import figures, served
from simulator.devices.clock import DeviceClock
from simulator.devices.cuff import Cuff
from simulator.devices.mi_scale import MiScale
from simulator.devices.recording import Habits, RecordingPeripheral
from simulator.devices.scale import Scale
from simulator.devices.step_counter import StepCounter
from simulator.embedded.broker import Broker
from simulator.radio import VirtualRadio
from tests.gateway.home import until
from tests.gateway.material import toml
from tests.gateway.receiver import Receiver, receiving

ROOT = Path(__file__).parents[2]
CONNECTED = 20
# The shortest window that may not be missed. A device that was not served in it goes to sleep
# with its record, and says so by not being drained.
WINDOW_S = 30.0
HABITS = Habits(wake_s=0.0, window_s=WINDOW_S, linger_s=1.0)
# On the air for one advertisement and gone: heard, and never reached.
GONE = Habits(wake_s=0.0, window_s=0.05)


class Block:
    """A block of flats: who lives there, and what they measured."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.devices: list[RecordingPeripheral] = [self._device(n) for n in range(CONNECTED)]
        self.silent = [Cuff(f"gone-{n}", habits=GONE) for n in range(2)]
        self.watch = StepCounter()
        self.weigher = MiScale(1)

    def _device(self, number: int) -> RecordingPeripheral:
        kind = Scale if number % 4 == 3 else Cuff
        return kind(f"D-{number}", habits=HABITS, clock=DeviceClock())

    async def move_in(self, radio: VirtualRadio) -> None:
        for device in (*self.devices, *self.silent, self.watch, self.weigher):
            await radio.attach(device)

    async def wake(self, over_s: float) -> None:
        """Everybody measures, at moments of their own within so many seconds."""
        async with asyncio.TaskGroup() as tasks:
            for device in (*self.devices, *self.silent):
                tasks.create_task(self._measure(device, self.random.uniform(0, over_s)))
            self.watch.walk(4321)
            self.weigher.measure(86.55)

    async def _measure(self, device: RecordingPeripheral, after_s: float) -> None:
        await asyncio.sleep(after_s)  # the day's own pace: nobody waits for anything here
        for _ in range(self.random.randint(1, 3)):
            if isinstance(device, Scale):
                device.measure(round(self.random.uniform(60, 90), 1))
            else:
                assert isinstance(device, Cuff)
                device.measure(self.random.randint(110, 160), 80, self.random.randint(50, 90))

    @property
    def records(self) -> int:
        return sum(device.produced for device in self.devices)


@asynccontextmanager
async def gateway(config: Path, log: Path) -> AsyncIterator[Process]:
    """Run a gateway process; its log goes to a file."""
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "gateway", "run", "--config", str(config)),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=output,
            stderr=output,
        )
        try:
            yield process
        finally:
            process.terminate()
            await process.wait()


def stored_by(receiver: Receiver, device_ids: set[str]) -> int:
    """Return how many readings of these devices are stored; each exactly once."""
    messages = receiver.messages
    readings = {each.reading_id: each.device_id for one in messages for each in one.readings}
    return sum(readings[reading_id] in device_ids for reading_id in receiver.stored)


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("over_s", [60.0, 0.5], ids=["in a minute", "all at once"])
async def test_nobody_whose_window_is_thirty_seconds_is_missed(
    over_s: float, embedded_broker: Broker, tmp_path: Path
) -> None:
    seed = random.randrange(1_000_000)
    block, log = Block(seed), tmp_path / "gateway.log"
    async with VirtualRadio() as radio, receiving(embedded_broker.port) as receiver:
        await block.move_in(radio)
        config = toml(tmp_path, transport=radio.transport, port=embedded_broker.port)
        async with gateway(config, log):
            async with asyncio.timeout(30):
                await radio.scanned()
            await block.wake(over_s)
            async with asyncio.timeout(over_s + WINDOW_S + 10):
                for device in block.devices:
                    await device.drained()
            ids = {device.device_id for device in block.devices}
            await until(lambda: stored_by(receiver, ids) == block.records)
            others = {block.watch.device_id, block.weigher.device_id}
            await until(lambda: stored_by(receiver, others) >= len(others))
        visits = served(log.read_text())
    fruitful = [each for each in visits if each.outbox_ms is not None]
    lines = (
        f"{CONNECTED} devices in {over_s:.0f} s, seed {seed}, {block.records} readings stored",
        figures("advertisement to outbox", (each.outbox_ms or 0 for each in fruitful)),
        figures("waited for the slot", (each.waited_ms for each in fruitful)),
        figures("held the slot", (each.took_ms for each in visits)),
    )
    print("", *lines, sep="\n")  # noqa: T201 - the figures are the point
    assert stored_by(receiver, ids) == block.records
    assert set(receiver.stored.values()) == {1}
    assert all(device.pending for device in block.silent)  # or they would prove nothing
