"""The composed gateway, and the commands that look at one."""

import asyncio
import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from devices.wire import Condition, ConditionCode, GatewayConfig, GatewayState, GatewayStatus
from gateway.central import Central
from gateway.commands import run as run_module
from gateway.commands import status
from gateway.commands.reset import NOT_CONFIRMED
from gateway.commands.run import Box, build, intake, operate
from gateway.commands.terminal import IN_USE
from gateway.config import load
from gateway.control import Control
from gateway.database import FILE_NAME, LOCK_NAME, Database
from gateway.feedback import Feedback
from gateway.inbox import Inbox
from gateway.kept import Kept, write_kept
from gateway.memory import Memory
from gateway.outbox import Outbox
from gateway.remote import Remote
from gateway.renewal import Renewal
from gateway.systemd import Reporter
from gateway.uplink import Uplink
from gateway.watchdog import Watchdog
from tests.gateway.material import DEVICE, START, gateway, reading, toml

# Each part, and what starts it.
PARTS: dict[str, tuple[Any, str]] = {
    "uplink": (Uplink, "run"),
    "replay": (run_module, "_keep_replaying"),
    "time": (run_module, "keep_telling"),
    "central": (Central, "run"),
    "watchdog": (Watchdog, "run"),
    "remote": (Remote, "run"),
    "feedback": (Feedback, "run"),
    "renewal": (Renewal, "run"),
    "control": (Control, "run"),
    "thrift": (run_module, "keep_lean"),
    "reporter": (Reporter, "run"),
}


@contextlib.asynccontextmanager
async def cancelled_at_last(task: asyncio.Task[None]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


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
        async with asyncio.timeout(40), cancelled_at_last(running):
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


def call(
    command: str, config: Path, *options: str, typed: str = ""
) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "gateway", command, "--config", str(config), *options]
    return subprocess.run(
        words, input=typed, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def lived_in(tmp_path: Path) -> Path:
    """The configuration of a box that has been in a home: all it keeps is there."""
    config = toml(tmp_path)
    data = tmp_path / "data"
    with Database(data) as database:
        Outbox(database, Inbox(database)).append([reading(1)])
        Memory(database, lambda: START).served(DEVICE)
        for name in ("keys", "identity-1a2b"):
            (data / name).mkdir()
            (data / name / "key.pem").write_text("secret")
        (data / "identity").symlink_to("identity-1a2b")
        sent = GatewayConfig(v=1, gateway="g-test", config_version=1, at=START)
        write_kept(data, Kept(config=sent))
    return config


def left(config: Path) -> set[str]:
    return {path.name for path in (config.parent / "data").iterdir()}


def test_a_reset_leaves_nothing_of_the_home(lived_in: Path) -> None:
    assert "keys" in left(lived_in)
    ran = call("reset", lived_in, "--yes")
    assert ran.returncode == 0, ran.stderr
    assert left(lived_in) == {LOCK_NAME}
    with Database(lived_in.parent / "data") as database:
        assert Outbox(database, Inbox(database)).depth == 0  # and it starts anew


def test_a_reset_is_done_only_by_who_types_the_gateways_id(lived_in: Path) -> None:
    before = left(lived_in)
    for typed in ("", "yes\n", "g-tes\n"):
        ran = call("reset", lived_in, typed=typed)
        assert ran.returncode == NOT_CONFIRMED
        assert before <= left(lived_in)
        assert "1 readings and 0 raw values have not reached the service" in ran.stdout
    assert call("reset", lived_in, typed="g-test\n").returncode == 0
    assert left(lived_in) == {LOCK_NAME}


def test_a_reset_beside_a_running_gateway_is_refused(lived_in: Path) -> None:
    with Database(lived_in.parent / "data"):
        before = left(lived_in)
        ran = call("reset", lived_in, "--yes")
        assert (ran.returncode, left(lived_in)) == (IN_USE, before)
        assert "a gateway runs on" in ran.stderr


def test_a_reset_leaves_alone_what_is_not_ours_and_says_so(lived_in: Path) -> None:
    (lived_in.parent / "data" / "photos").mkdir()
    ran = call("reset", lived_in, "--yes")
    assert (ran.returncode, left(lived_in)) == (1, {LOCK_NAME, "photos"})
    assert "photos" in ran.stderr


def test_a_reset_says_when_bluetoothd_could_not_be_told(lived_in: Path) -> None:
    text = lived_in.read_text().replace('"bumble"', '"bluez"')
    lived_in.write_text(text.replace('transport = "tcp-client:127.0.0.1:9"', ""))
    environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/no/such/bus"}
    words = [sys.executable, "-m", "gateway", "reset", "--yes", "--config", str(lived_in)]
    ran = subprocess.run(
        words, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, left(lived_in)) == (1, {LOCK_NAME})  # the rest is wiped all the same
    assert f"may still have keys of {DEVICE}" in ran.stderr


def service_config(directory: Path, **keys: str) -> Path:
    path = directory / "gateway.toml"
    lines = {"data_dir": "/var/lib/egenmonitor-gateway", **keys}
    radio = lines.pop("radio", "")
    top = "\n".join(f'{key} = "{value}"' for key, value in lines.items())
    path.write_text(f'gateway_id = "g-1"\n{top}\n[radio]\n{radio}\n[uplink]\nhost = "broker"\n')
    return path


def test_the_service_is_written_once_and_then_unchanged(tmp_path: Path) -> None:
    config, root = service_config(tmp_path), tmp_path / "root"
    first = call("install-service", config, "--root", str(root))
    assert first.returncode == 0, first.stderr
    unit = root / "etc/systemd/system/egenmonitor-gateway.service"
    text = unit.read_text()
    assert f"ExecStart={sys.executable} -m gateway run --config {config}" in text
    assert "SupplementaryGroups=bluetooth" in text
    assert "u egenmonitor-gateway" in (root / "etc/sysusers.d/egenmonitor-gateway.conf").read_text()
    assert "systemctl enable --now egenmonitor-gateway" in first.stdout
    written = unit.stat().st_mtime_ns
    again = call("install-service", config, "--root", str(root))
    assert (again.stdout.count("unchanged"), unit.stat().st_mtime_ns) == (2, written)


def test_a_dry_run_shows_the_unit_and_writes_nothing(tmp_path: Path) -> None:
    ran = call("install-service", service_config(tmp_path), "--dry-run", "--root", f"{tmp_path}/r")
    assert ran.returncode == 0, ran.stderr
    assert "NoNewPrivileges=yes" in ran.stdout
    assert not (tmp_path / "r").exists()


def test_a_serial_controller_is_opened_to_the_service_and_nothing_else(tmp_path: Path) -> None:
    radio = 'backend = "bumble"\ntransport = "serial:/dev/ttyUSB0,115200"'
    ran = call("install-service", service_config(tmp_path, radio=radio), "--dry-run")
    assert "DeviceAllow=/dev/ttyUSB0 rw" in ran.stdout
    assert "SupplementaryGroups=dialout" in ran.stdout
    assert "bluetooth.service" not in ran.stdout


def test_a_service_that_could_not_work_is_refused_with_a_cure(tmp_path: Path) -> None:
    for config in (
        service_config(tmp_path, data_dir="/srv/box"),
        service_config(tmp_path, data_dir="/var/lib/a/b"),
    ):
        ran = call("install-service", config, "--root", f"{tmp_path}/r")
        assert (ran.returncode, "right below /var/lib" in ran.stderr) == (2, True)
    assert not (tmp_path / "r").exists()


def test_status_of_a_gateway_that_does_not_run_is_read_from_its_store(lived_in: Path) -> None:
    told = json.loads(call("status", lived_in, "--json").stdout)
    assert (told["inbox"], told["outbox"], told["running"]) == (0, 1, None)
    assert [device["device_id"] for device in told["devices"]] == [DEVICE]
    shown = call("status", lived_in)
    assert shown.returncode == 0, shown.stderr
    assert DEVICE in shown.stdout


def test_status_of_a_running_gateway_is_said_by_itself(lived_in: Path) -> None:
    running = gateway("run", lived_in)
    try:
        deadline_s = time.monotonic() + 30
        while not (told := json.loads(call("status", lived_in, "--json").stdout))["running"]:
            assert time.monotonic() < deadline_s
        while not (wrong := told["running"].get("conditions")):
            told = json.loads(call("status", lived_in, "--json").stdout)
        shown = call("status", lived_in).stdout
    finally:
        running.terminate()
        running.communicate(timeout=20)
    assert told["running"]["gateway"] == "g-test"
    assert "conditions" in shown
    assert all(condition["code"] in shown for condition in wrong)


def test_words_with_brackets_in_them_are_shown_as_they_are() -> None:
    """What a library says is no markup: a bracket in it must not end the command."""
    words = "RuntimeError: [/dev/hidraw0] is [red]"
    condition = Condition(code=ConditionCode.PART_RESTARTED)
    said = GatewayStatus(
        v=1, gateway="g", state=GatewayState.ONLINE, problems=(words,), conditions=(condition,)
    )
    console = Console(file=io.StringIO(), width=200)
    status.show("g", status.Found(0, 0, None, (), said), console)
    assert words in console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("content", [b"", b"no database"], ids=["without tables", "garbage"])
def test_status_of_a_store_without_tables_is_words_and_no_traceback(
    lived_in: Path, content: bytes
) -> None:
    for file in (lived_in.parent / "data").glob(f"{FILE_NAME}*"):
        file.unlink()
    (lived_in.parent / "data" / FILE_NAME).write_bytes(content)
    ran = call("status", lived_in)
    assert (ran.returncode, "gateway doctor" in ran.stderr) == (1, True)
    assert "Traceback" not in ran.stderr
