"""The demo starts by one command, shows an alert, and leaves nothing behind however it ends."""

import os
import signal
import socket
from pathlib import Path

import httpx
import pytest

from tests.simulator.demo_process import running_demo, survivors, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

FIRST_START_S_MAX = 60.0
SECOND_START_S_MAX = 15.0
STOP_S_MAX = 3.0


def test_it_starts_stops_and_starts_again(tmp_path: Path) -> None:
    """First start, Ctrl-C, second start, kill -9, third start: data stay, processes go."""
    with running_demo(tmp_path / "demo") as demo:
        assert demo.ready_s < FIRST_START_S_MAX
        assert httpx.get(demo.worklist, follow_redirects=True).status_code == 200
        assert httpx.get(demo.tester).status_code == 200
        assert int(demo.wait_for(r"First alert .* (\d+) given to a nurse")[1]) >= 1
        stored = demo.wait_for(r"(\d+) readings of 30 days stored(.*)")
        assert int(stored[1]) > 800
        assert not stored[2]  # nothing was refused
        password = demo.password("anna")
        family = demo.family()
        assert len(family) >= 6  # ours, gateway, ingest, alerts, broker, postmaster
        demo.process.send_signal(signal.SIGINT)
        stopped_s = wait_until(lambda: not survivors(family), 20)
        assert not survivors(family)
        assert stopped_s < STOP_S_MAX
        assert demo.process.wait(5) == 0
        assert demo.said("Stopped")
    with running_demo(tmp_path / "demo") as demo:
        assert demo.ready_s < SECOND_START_S_MAX
        assert not demo.said(r"\d+ readings of 30 days")  # the history is there
        assert password not in "\n".join(demo.lines)
        assert password in (tmp_path / "demo" / "care_record.json").read_text()
        family = demo.family()
        demo.process.kill()
        wait_until(lambda: not survivors(family), 20)
        assert not survivors(family)
    with running_demo(tmp_path / "demo") as demo:
        assert demo.ready_s < SECOND_START_S_MAX * 2  # PostgreSQL replays its log


def test_a_dead_process_is_told_of_and_comes_back(tmp_path: Path) -> None:
    with running_demo(tmp_path / "demo") as demo:
        assert demo.ready_s
        (gateway,) = [pid for pid in demo.family() if _runs(pid, "gateway")]
        os.kill(gateway, signal.SIGKILL)
        demo.wait_for(r"gateway ended unexpectedly \(SIGKILL\)", 20)
        wait_until(lambda: any(_runs(pid, "gateway") for pid in demo.family()), 20)
        assert any(_runs(pid, "gateway") for pid in demo.family())


def test_a_taken_port_is_not_fought_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with running_demo(tmp_path / "demo", "--port", str(port)) as demo:
            assert demo.process.wait(30) == 1
            demo.wait_for(rf"--port {port}: the port is taken", 5)


def test_two_demos_do_not_share_a_directory(tmp_path: Path) -> None:
    with running_demo(tmp_path / "demo") as first:
        first.wait_for("egenmonitor demo", 30)
        with running_demo(tmp_path / "demo") as second:
            assert second.process.wait(30) == 1
            second.wait_for(rf"a demo runs in .* already \(process {first.process.pid}\)", 5)


def _runs(pid: int, room: str) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return room.encode() in words and b"run" in words
