"""Processes of the demo: a dead one is started again, an unplugged one not, a broken one never."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from simulator.demo import supervisor
from simulator.demo.supervisor import DemoError, Program, Supervised, last_lines
from simulator.embedded.broker import EmbeddedBroker

LIVES = "import time; print('up', flush=True); time.sleep(600)"
IGNORES_TERM = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {LIVES}"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "RESTART_S", 0.01)
    monkeypatch.setattr(supervisor, "STOP_S_MAX", 0.3)


@pytest.fixture
def said() -> list[str]:
    return []


@asynccontextmanager
async def kept(code: str, tmp_path: Path, said: list[str]) -> AsyncIterator[Supervised]:
    program = Program([sys.executable, "-c", code], tmp_path / "program.log")
    part = Supervised("program", program, said.append)
    watching = asyncio.create_task(part.watch())
    try:
        yield part
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError, DemoError):
            await watching
        await part.stop()
        part.close()


def has_restarted(part: Supervised, times: int) -> bool:
    return part.restarts == times and part.is_running


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110 - a process's state is no event
            await asyncio.sleep(0.01)


async def test_a_killed_process_is_told_of_and_started_again(
    tmp_path: Path, said: list[str]
) -> None:
    async with kept(LIVES, tmp_path, said) as part:
        await part.start()
        await until(lambda: "up" in part.last_words())
        first = part.component.pid
        assert first
        os.kill(first, signal.SIGKILL)
        await until(lambda: part.component.pid not in (None, first))
        assert "SIGKILL" in said[0]
        assert "up" in said[1]


async def test_kills_from_outside_never_end_the_demo(tmp_path: Path, said: list[str]) -> None:
    async with kept(LIVES, tmp_path, said) as part:
        await part.start()
        for restarts in range(1, 5):
            pid = part.component.pid
            assert pid
            os.kill(pid, signal.SIGKILL)
            await until(partial(has_restarted, part, restarts))


async def test_a_process_that_cannot_start_twice_ends_the_demo_with_its_words(
    tmp_path: Path, said: list[str]
) -> None:
    program = Program(
        [sys.executable, "-c", "raise SystemExit('uplink.host: no')"], tmp_path / "p.log"
    )
    part = Supervised("program", program, said.append)
    await part.start()
    with pytest.raises(DemoError, match=r"uplink\.host: no"):
        await part.watch()
    part.close()


async def test_a_server_that_does_not_come_back_ends_the_demo_with_its_words(
    tmp_path: Path, said: list[str]
) -> None:
    """Not with a traceback: somebody else may have taken its port meanwhile."""
    server = EmbeddedBroker(tmp_path / "broker")
    part = Supervised("broker", server, said.append)
    await part.start()
    server.configuration = lambda: "no configuration"  # type: ignore[method-assign]
    pid = part.component.pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(DemoError, match="broker: the broker does not listen"):
        await part.watch()
    with pytest.raises(DemoError, match="broker: the broker does not listen"):
        await part.start()
    part.close()


async def test_an_unplugged_process_stays_away_until_its_plug_is_back(
    tmp_path: Path, said: list[str]
) -> None:
    async with kept(LIVES, tmp_path, said) as part:
        await part.start()
        await until(lambda: "up" in part.last_words())  # and its watcher watches
        await part.pull()
        assert not part.is_running
        await asyncio.sleep(0.3)  # three looks of the watcher
        assert not part.is_running
        await part.start()
        assert part.is_running
        assert not said


async def test_a_process_that_does_not_stop_when_asked_is_killed(
    tmp_path: Path, said: list[str]
) -> None:
    async with kept(IGNORES_TERM, tmp_path, said) as part:
        await part.start()
        await until(lambda: "up" in part.last_words())
        await part.stop()
        assert not part.is_running


async def test_a_command_that_fails_says_why(tmp_path: Path) -> None:
    program = Program([sys.executable, "-c", "raise SystemExit('no table')"], tmp_path / "p.log")
    part = Supervised("alerts migrate", program, print)
    with pytest.raises(DemoError, match=r"alerts migrate ended with 1\n.*no table"):
        await part.finish(20)
    part.close()


async def test_a_command_that_hangs_is_killed(tmp_path: Path) -> None:
    program = Program([sys.executable, "-c", LIVES], tmp_path / "p.log")
    part = Supervised("seed", program, print)
    with pytest.raises(DemoError, match="longer than"):
        await part.finish(0.2)
    assert program.pid is None
    part.close()


def test_the_last_lines_of_a_log_are_its_end(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("\n".join(str(number) for number in range(100)))
    assert last_lines(log).split() == [str(number) for number in range(92, 100)]
    assert "no" in last_lines(tmp_path / "none.log").lower()
