"""A whole gateway process, killed and told to stop, between a virtual radio and a real broker."""

import asyncio
import contextlib
import json
import os
import select
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from devices.wire import GatewayState
from gateway.commands.run import STOP_S_MAX
from gateway.database import depths
from simulator.devices.clock import DeviceClock
from simulator.devices.cuff import Cuff
from simulator.devices.recording import Habits
from simulator.embedded.broker import Broker
from simulator.radio import VirtualRadio
from tests.gateway.dying import POINTS
from tests.gateway.home import until
from tests.gateway.material import toml
from tests.gateway.receiver import Receiver, receiving, say_nothing

pytestmark = pytest.mark.timeout(120)

# A battery and a clock are read too, so values are more than records.
RECORDS = 30
ROOT = Path(__file__).parents[2]


class Town:
    """A cuff on a radio, a gateway's configuration, and who listens at the other end."""

    def __init__(self, radio: VirtualRadio, receiver: Receiver, config: Path) -> None:
        self.radio = radio
        self.receiver = receiver
        self.config = config
        self.data = config.parent / "data"
        self.cuff = Cuff("BP-1", habits=Habits(wake_s=0, linger_s=0.1), clock=DeviceClock())

    async def measure(self, count: int = RECORDS) -> None:
        for _ in range(count):
            self.cuff.measure(120 + self.cuff.produced % 60, 80, self.cuff.produced % 200 + 30)

    @contextlib.asynccontextmanager
    async def gateway(self, *dying: str) -> AsyncIterator[Process]:
        """Run a gateway; what is left of it at the end is killed."""
        arguments = ["-m", "gateway", "run", "--config", str(self.config)]
        if dying:
            arguments = [str(ROOT / "tests/gateway/dying.py"), str(self.config), *dying]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, cwd=ROOT, env=environment, stdout=DEVNULL, stderr=DEVNULL
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def everything_is_stored(self) -> None:
        """Wait until all is delivered and confirmed; each measurement is one reading."""
        self.cuff.wake()
        await asyncio.wait_for(self.cuff.drained(), 60)
        await until(lambda: len(self.receiver.stored) >= self.cuff.produced, within_s=60)
        await until(lambda: depths(self.data)[:2] == (0, 0), within_s=60)
        assert len(self.receiver.stored) == self.cuff.produced
        payloads = {each.payload for message in self.receiver.messages for each in message.readings}
        assert len(payloads) == self.cuff.produced


@pytest.fixture
async def town(embedded_broker: Broker, tmp_path: Path) -> AsyncIterator[Town]:
    async with VirtualRadio() as radio, receiving(embedded_broker.port) as receiver:
        config = toml(tmp_path, transport=radio.transport, port=embedded_broker.port)
        town = Town(radio, receiver, config)
        await radio.attach(town.cuff)
        yield town


@pytest.mark.parametrize("point", POINTS)
async def test_killed_at_any_point_nothing_is_lost_or_doubled(town: Town, point: str) -> None:
    times = 1 if "receipt" in point else 12
    await town.measure()
    async with town.gateway(point, str(times)) as gateway:
        assert await asyncio.wait_for(gateway.wait(), 30) == -signal.SIGKILL
    assert len(town.receiver.stored) < RECORDS or "receipt" in point
    async with town.gateway():
        await town.everything_is_stored()


async def test_killed_at_random_moments_nothing_is_lost_or_doubled(town: Town) -> None:
    seed = Random().randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    random = Random(seed)
    for _ in range(6):
        await town.measure(10)
        async with town.gateway() as gateway:
            stored = len(town.receiver.stored)
            await until(lambda least=stored: len(town.receiver.stored) > least)  # type: ignore[misc]
            await asyncio.sleep(random.uniform(0, 0.1))  # the moment is the point of the test
            gateway.kill()
            await gateway.wait()
        town.cuff.wake()
    async with town.gateway():
        await town.everything_is_stored()


async def test_a_killed_gateway_is_reported_lost_by_its_last_will(town: Town) -> None:
    async with town.gateway() as gateway:
        await town.receiver.until(lambda: bool(town.receiver.statuses))
        assert town.receiver.statuses[-1].state is GatewayState.ONLINE
        gateway.kill()
        await town.receiver.until(lambda: town.receiver.statuses[-1].state is GatewayState.LOST)


async def test_sigterm_drains_says_goodbye_and_ends_well(town: Town) -> None:
    async with town.gateway() as gateway:
        await town.receiver.until(lambda: bool(town.receiver.statuses))
        await town.measure()
        await until(lambda: town.cuff.delivered >= 5)
        gateway.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(gateway.wait(), 10) == 0
    assert depths(town.data)[:2] == (0, 0)
    assert len(town.receiver.stored) >= 5
    await town.receiver.until(lambda: town.receiver.statuses[-1].state is GatewayState.STOPPED)


async def test_a_radio_that_hangs_keeps_nobody_waiting(town: Town) -> None:
    async with town.gateway() as gateway:
        await town.measure(3)
        await until(lambda: len(town.receiver.stored) == 3)
        gateway.send_signal(signal.SIGTERM)
        ended = os.pidfd_open(gateway.pid)
        # Blocking, on purpose: the virtual radio lives in this thread, and answers no more.
        assert select.select([ended], [], [], STOP_S_MAX + 1)[0]
        os.close(ended)
        assert await gateway.wait() == 0
    assert depths(town.data)[:2] == (0, 0)


async def test_a_second_signal_ends_it_at_once_and_loses_nothing(town: Town) -> None:
    town.receiver.answer = say_nothing
    async with town.gateway() as gateway:
        await town.measure(3)
        await town.receiver.until(lambda: len(set(town.receiver.reading_ids)) == 3)
        gateway.send_signal(signal.SIGTERM)
        await town.receiver.until(
            lambda: "stopped" in [status.radio for status in town.receiver.statuses]
        )
        gateway.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(gateway.wait(), 1) == -signal.SIGTERM
    assert depths(town.data)[1] == 3


async def test_status_tells_what_waits_beside_a_running_gateway(town: Town) -> None:
    town.receiver.answer = say_nothing
    async with town.gateway():
        await town.measure(3)
        await town.receiver.until(lambda: len(set(town.receiver.reading_ids)) == 3)
        status = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", "status", "--json", "--config", str(town.config)),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await asyncio.wait_for(status.communicate(), 20)
    assert json.loads(said)["outbox"] == 3


async def test_a_second_gateway_on_the_same_data_says_so_and_ends(town: Town) -> None:
    async with town.gateway():
        await town.receiver.until(lambda: bool(town.receiver.statuses))
        async with town.gateway() as second:
            assert await asyncio.wait_for(second.wait(), 20) == 1
