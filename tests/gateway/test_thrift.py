"""An idle box: little memory, little processor, and an SD card that is left alone."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.thrift import SETTLED_S
from simulator.devices.cuff import Cuff
from simulator.embedded.broker import Broker
from simulator.radio import VirtualRadio
from tests.gateway.material import gateway, toml
from tests.gateway.receiver import Receiver, receiving

RSS_KIB_MAX = 60 * 1024
CORE_SHARE_MAX = 0.02
# Each says one a second: enough of them to see what one writes.
HEARTBEATS = 6


@dataclass(frozen=True)
class Use:
    """What a process has used up to now."""

    rss_kib: int
    processor_s: float
    written_bytes: int  # by whatever call, files and pipes; sockets are not counted
    files: dict[str, tuple[int, int]]  # name → size, time of the last change


def use(process: subprocess.Popen[str], data: Path) -> Use:
    place = Path(f"/proc/{process.pid}")
    rss = next(
        line for line in (place / "smaps_rollup").read_text().splitlines() if line.startswith("Rss")
    )
    ticks = (place / "stat").read_text().rsplit(")", 1)[1].split()[11:13]
    written = (place / "io").read_text().split("wchar: ")[1].split()[0]
    return Use(
        rss_kib=int(rss.split()[1]),
        processor_s=sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"),
        written_bytes=int(written),
        files={
            path.name: (path.stat().st_size, path.stat().st_mtime_ns)
            for path in data.rglob("*")
            if path.is_file()
        },
    )


@asynccontextmanager
async def idle(
    directory: Path, broker: Broker, backend: str
) -> AsyncIterator[tuple[subprocess.Popen[str], Path, Receiver]]:
    """Run a gateway that has served a cuff, or has no radio; and one that listens to it."""
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(receiving(broker.port))
        radio = await stack.enter_async_context(VirtualRadio())
        config = toml(directory, transport=radio.transport, port=broker.port)
        if backend == "bluez":
            text = config.read_text().replace('"bumble"', '"bluez"')
            config.write_text(text.replace("transport =", "# transport ="))
        process = gateway("run", config)
        try:
            if backend == "bumble":
                cuff = Cuff("BP-1")
                await radio.attach(cuff)
                cuff.measure(120, 80, 60)
                await receiver.until(lambda: len(receiver.stored) == 1)
            yield process, directory / "data", receiver
        finally:
            process.terminate()
            await asyncio.to_thread(process.communicate, timeout=20)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["bluez", "bumble"])
async def test_an_idle_gateway_is_small_and_quiet_and_writes_nothing(
    tmp_path: Path, embedded_broker: Broker, backend: str
) -> None:
    async with idle(tmp_path, embedded_broker, backend) as (process, data, receiver):
        said = len(receiver.statuses)
        settled = said + SETTLED_S + 2
        await receiver.until(lambda: len(receiver.statuses) >= settled)
        before = use(process, data)
        loop = asyncio.get_running_loop()
        since_s, said = loop.time(), len(receiver.statuses)
        await receiver.until(lambda: len(receiver.statuses) >= said + HEARTBEATS)
        after = use(process, data)
        share = (after.processor_s - before.processor_s) / (loop.time() - since_s)
    print(f"{backend}: {after.rss_kib} KiB resident, {share:.1%} of a core")  # noqa: T201 - the figures
    assert after.rss_kib < RSS_KIB_MAX
    assert share < CORE_SHARE_MAX
    assert after.files == before.files
    if backend == "bumble":  # without a radio it says so in the log, at each try to open one
        assert after.written_bytes == before.written_bytes
