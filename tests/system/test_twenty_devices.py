"""Twenty devices wake in the same minute around one gateway, and nobody is missed.

The gateway is a process of its own; the radio is virtual, the broker real. The figures are
printed; only what was stored is asserted, since a busy machine is slow.
"""

import asyncio
import os
import random
import sys
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
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
        self.seed = seed
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
        # No two alike: with one value in one second they would be one reading, told twice.
        many = self.random.randint(1, 3)
        if isinstance(device, Scale):
            for hectograms in self.random.sample(range(600, 900), many):
                device.measure(hectograms / 10)
        else:
            assert isinstance(device, Cuff)
            for systolic in self.random.sample(range(110, 160), many):
                device.measure(systolic, 80, self.random.randint(50, 90))

    @property
    def records(self) -> Counter[str]:
        """How many were measured, by device."""
        return Counter({device.device_id: device.produced for device in self.devices})

    def is_stored(self, has: Counter[str]) -> bool:
        return all(has[device_id] == count for device_id, count in self.records.items())


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


def stored(receiver: Receiver) -> Counter[str]:
    """Return how many readings of each device are stored."""
    messages = receiver.messages
    whose = {each.reading_id: each.device_id for one in messages for each in one.readings}
    return Counter(whose[reading_id] for reading_id in receiver.stored)


@contextmanager
def saying(block: Block, receiver: Receiver) -> Iterator[None]:
    """Say what is missing, and of which block, if the time is up."""
    try:
        yield
    except TimeoutError:
        has = stored(receiver)
        states = (
            f"{each.name}: {each.produced} measured, {each.pending} still to be told,"
            f" {has[each.device_id]} stored"
            for each in block.devices
            if each.produced != has[each.device_id]
        )
        seen = (
            f"{each.name}: none stored"
            for each in (block.watch, block.weigher)
            if not has[each.device_id]
        )
        pytest.fail("\n".join((f"seed {block.seed}", *states, *seen)))


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
            with saying(block, receiver):
                async with asyncio.timeout(over_s + WINDOW_S + 10):
                    for device in block.devices:
                        await device.drained()
                await until(lambda: block.is_stored(stored(receiver)))
                others = (block.watch.device_id, block.weigher.device_id)
                await until(lambda: all(stored(receiver)[each] for each in others))
        visits = served(log.read_text())
    fruitful = [each for each in visits if each.outbox_ms is not None]
    total = block.records.total()
    lines = (
        f"{CONNECTED} devices in {over_s:.0f} s, seed {seed}, {total} readings stored",
        figures("advertisement to outbox", (each.outbox_ms or 0 for each in fruitful)),
        figures("waited for the slot", (each.waited_ms for each in fruitful)),
        figures("held the slot", (each.took_ms for each in visits)),
    )
    print("", *lines, sep="\n")  # noqa: T201 - the figures are the point
    assert block.is_stored(stored(receiver))
    assert set(receiver.stored.values()) == {1}
    assert all(device.pending for device in block.silent)  # or they would prove nothing
