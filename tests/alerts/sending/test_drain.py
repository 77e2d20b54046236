"""Who stops ends the tries that are under way and begins none: nobody is told twice for it."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from alerts.channels.settings import SmsSettings
from alerts.sending import loop
from tests.alerts.sending.conftest import Told
from tests.alerts.sending.post import Behaviour, Elks

ROOT = Path(__file__).parents[3]
NUMBER = "+46700000001"


async def taken(elks: Elks, number: int = 1) -> None:
    """Wait until the provider has taken so many messages."""
    async with asyncio.timeout(20):
        while len(elks.messages) < number:  # noqa: ASYNC110 - the server is ours, and tells nobody
            await asyncio.sleep(0.02)


async def until(process: Process, event: str) -> None:
    """Read what a process logs until it says *event*; fail if it ends before."""
    assert process.stderr is not None
    said = b""
    async with asyncio.timeout(30):
        while line := await process.stderr.readline():
            said += line
            if event.encode() in line:
                return
    pytest.fail(f"it never said {event}:\n{said.decode()}")


@pytest.fixture
async def worker(told: Told, sms_settings: SmsSettings, tmp_path: Path) -> AsyncIterator[Process]:
    """``alerts work`` as a process of its own, sending by the local provider."""
    config = tmp_path / "alerts.toml"
    config.write_text(
        f'[database]\ndsn = "{told.world.dsn}"\n'
        '[web]\npublic_url = "https://egenmonitor.example"\n'
        f'[sms]\nurl = "{sms_settings.url}"\nusername = "{sms_settings.username}"\n'
        f'password_file = "{sms_settings.password_file}"\nsender = "Egenmonitor"\n'
        f'callback_secret_file = "{sms_settings.callback_secret_file}"\n'
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "alerts", "work", "--config", str(config)),
        cwd=ROOT,
        stderr=PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    yield process
    if process.returncode is None:
        process.kill()
        await process.wait()


async def test_a_process_that_is_told_to_stop_ends_what_it_has_begun(
    told: Told, elks: Elks, worker: Process
) -> None:
    elks.behaviour = Behaviour.SLOW
    told.channel("sms", NUMBER)
    told.now = datetime.now(UTC)
    told.notify()
    await taken(elks)
    worker.send_signal(signal.SIGTERM)
    await until(worker, "sending.draining")
    told.notify()  # due, and for another process
    elks.freed.set()
    await until(worker, "alerts.stopped")
    assert await worker.wait() == 0
    assert told.attempts() == [("sms", "accepted")]
    assert told.states() == ["sent", "waiting"]


async def test_who_waits_too_long_for_an_answer_leaves_it_to_another(
    told: Told, elks: Elks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "DRAIN_S", 0.1)
    elks.behaviour = Behaviour.HANGS
    told.channel("sms", NUMBER)
    told.notify()
    stop = asyncio.Event()
    sender = asyncio.create_task(loop.run(told.pool, told.carriers, told.clock, stop))
    await taken(elks)
    stop.set()
    async with asyncio.timeout(10):
        await sender
    assert told.attempts() == [("sms", "sending")]
    elks.behaviour = Behaviour.GOOD
    await told.turn(timedelta(minutes=2))
    assert told.attempts() == [("sms", "unknown"), ("sms", "accepted")]
