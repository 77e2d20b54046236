"""The composed gateway, and the commands that look at one."""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
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


NOBODY = 65534
_STEPS_DOWN = """
import os, sys
from pathlib import Path
from gateway.commands.terminal import step_down
step_down(Path(sys.argv[1]))
made = Path(sys.argv[1], "made")
made.touch()
print(os.geteuid(), os.getegid(), made.stat().st_uid, os.access("/etc/shadow", os.R_OK))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can step down")
def test_what_root_does_in_the_data_directory_is_done_as_its_owner(tmp_path: Path) -> None:
    """A key that root made could not be read by the gateway that needs it."""
    place = Path(tempfile.mkdtemp(dir="/tmp"))  # tmp_path lies below a directory of root's
    try:
        os.chown(place, NOBODY, NOBODY)
        command = [sys.executable, "-c", _STEPS_DOWN, str(place)]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
        assert ran.stdout.split() == [str(NOBODY), str(NOBODY), str(NOBODY), "False"]
        command[-1] = str(tmp_path)  # root's own: nobody to become
        ran = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
        assert ran.stdout.split() == ["0", "0", "0", "True"]
    finally:
        shutil.rmtree(place)
