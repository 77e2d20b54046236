"""The composed gateway, and the commands that look at one."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from devices.wire import ConditionCode
from gateway.central import Central
from gateway.commands import run as run_module
from gateway.commands.run import Box, build, intake, operate
from gateway.config import load
from gateway.database import Database
from gateway.feedback import Feedback
from gateway.remote import Remote
from gateway.systemd import Reporter
from gateway.uplink import Uplink
from gateway.watchdog import Watchdog
from tests.gateway.material import toml

# Each part, and what starts it.
PARTS: dict[str, tuple[Any, str]] = {
    "uplink": (Uplink, "run"),
    "replay": (run_module, "_keep_replaying"),
    "time": (run_module, "keep_telling"),
    "central": (Central, "run"),
    "watchdog": (Watchdog, "run"),
    "remote": (Remote, "run"),
    "feedback": (Feedback, "run"),
    "reporter": (Reporter, "run"),
}


def box_in(directory: Path, wake: asyncio.Event, database: Database) -> Box:
    return build(load(toml(directory)), database, wake)


async def test_no_part_is_left_out_of_the_test_below(tmp_path: Path) -> None:
    with Database(tmp_path / "data") as database:
        box = box_in(tmp_path, asyncio.Event(), database)
        assert {"uplink", "reporter", *intake(box)} == set(PARTS)


@pytest.mark.parametrize("part", PARTS)
async def test_a_part_that_raises_is_told_of_and_runs_again_and_the_others_go_on(
    tmp_path: Path, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = dict.fromkeys(PARTS, 0)
    again = asyncio.Event()

    def watch(name: str, owner: Any, attribute: str) -> None:
        original = getattr(owner, attribute)

        async def watched(*arguments: Any, **named: Any) -> None:
            starts[name] += 1
            if name == part and starts[name] == 1:
                problem = "injected"
                raise LookupError(problem)
            if name == part:
                again.set()
            await original(*arguments, **named)

        monkeypatch.setattr(owner, attribute, watched)

    for name, (owner, attribute) in PARTS.items():
        watch(name, owner, attribute)
    stop, wake = asyncio.Event(), asyncio.Event()
    with Database(tmp_path / "data") as database:
        box = box_in(tmp_path, wake, database)
        running = asyncio.create_task(operate(box, stop, wake))
        async with asyncio.timeout(20):
            await again.wait()
            told = [words for words in box.health.problems if "injected" in words]
            assert told == [
                f"the part {part!r} failed and was started again: LookupError: injected"
            ]
            assert ConditionCode.PART_RESTARTED in [each.code for each in box.health.conditions]
            stop.set()
            await running
    assert starts == {**dict.fromkeys(PARTS, 1), part: 2}
