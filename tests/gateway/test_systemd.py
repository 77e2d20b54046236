"""What the service manager hears, on a real datagram socket; and what systemd says of the unit."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devices.wire import ConditionCode
from gateway.health import Health, RadioState
from gateway.systemd import Notifier, Reporter, Unit
from simulator.devices.clock import DeviceClock
from simulator.devices.cuff import Cuff
from simulator.devices.recording import Habits
from simulator.embedded.broker import Broker
from simulator.radio import VirtualRadio
from tests.conftest import missing
from tests.gateway.material import gateway, toml
from tests.gateway.receiver import receiving

UNIT = Unit(
    python=Path("/opt/egenmonitor/bin/python"),
    config=Path("/etc/egenmonitor/gateway.toml"),
    groups=("bluetooth",),
)


class Manager:
    """The service manager's end of the socket."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.settimeout(30)
        self.environment = {**os.environ, "NOTIFY_SOCKET": address}
        self.heard: list[str] = []

    def hears(self) -> str:
        message = self._socket.recv(4096).decode()
        self.heard.append(message)
        return message

    def hears_until(self, wanted: Callable[[str], bool]) -> str:
        while not wanted(message := self.hears()):
            pass
        return message

    def waiting(self) -> list[str]:
        """Return what has come and was not read yet."""
        self._socket.setblocking(False)
        messages = []
        try:
            while True:
                messages.append(self._socket.recv(4096).decode())
        except BlockingIOError:
            return messages
        finally:
            self._socket.settimeout(30)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    listening = Manager(str(tmp_path / "notify"))
    yield listening
    listening.close()


def test_an_abstract_socket_is_spoken_to_as_well() -> None:
    listening = Manager(f"@egenmonitor-test-{os.getpid()}")
    Notifier(listening.environment).tell("READY=1", "STATUS=good")
    assert listening.hears() == "READY=1\nSTATUS=good"
    listening.close()


def test_without_a_manager_nothing_is_said_and_nothing_fails(tmp_path: Path) -> None:
    Notifier({}).tell("READY=1")
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).tell("READY=1")
    assert Notifier({}).watchdog_s is None


def test_the_managers_watchdog_is_for_the_process_it_names() -> None:
    asked = {"WATCHDOG_USEC": "2500000"}
    assert Notifier(asked).watchdog_s == 2.5
    assert Notifier({**asked, "WATCHDOG_PID": str(os.getpid())}).watchdog_s == 2.5
    assert Notifier({**asked, "WATCHDOG_PID": str(os.getpid() + 1)}).watchdog_s is None
    assert Notifier({"WATCHDOG_USEC": "soon"}).watchdog_s is None


def test_alive_is_said_only_while_the_parts_live(manager: Manager) -> None:
    now_s = 0.0
    health = Health(monotonic=lambda: now_s)
    reporter = Reporter(Notifier(manager.environment), health)
    health.pulse.beat("central", within_s=60)
    reporter.report()
    assert "WATCHDOG=1" in manager.waiting()
    now_s = 61.0
    reporter.report()
    said = manager.waiting()
    assert "WATCHDOG=1" not in said
    assert any("hangs: central" in message for message in said)
    health.pulse.beat("central", within_s=60)
    reporter.report()
    assert "WATCHDOG=1" in manager.waiting()


def test_the_status_line_says_radio_and_problems_once_each(manager: Manager) -> None:
    health = Health()
    reporter = Reporter(Notifier(manager.environment), health)
    health.radio = RadioState.SCANNING
    reporter.report()
    assert "STATUS=radio scanning; no problems" in manager.waiting()
    reporter.report()
    assert manager.waiting() == ["WATCHDOG=1"]
    health.problem(ConditionCode.BROKER_AWAY, "no\nbroker")
    reporter.report()
    assert "STATUS=radio scanning; no broker" in manager.waiting()


async def test_alive_is_said_four_times_within_what_the_manager_allows(manager: Manager) -> None:
    environment = {**manager.environment, "WATCHDOG_USEC": "200000"}
    reporting = asyncio.create_task(Reporter(Notifier(environment), Health()).run())
    begun_s = asyncio.get_running_loop().time()
    for _ in range(5):
        await asyncio.to_thread(manager.hears_until, "WATCHDOG=1".__eq__)
    assert asyncio.get_running_loop().time() - begun_s < 1.0
    reporting.cancel()


def test_a_gateway_tells_its_manager_of_its_life(tmp_path: Path, manager: Manager) -> None:
    """READY when it runs, though neither radio nor network is there; alive; then STOPPING."""
    environment = {**manager.environment, "WATCHDOG_USEC": "400000"}
    with contextlib.closing(Alive(toml(tmp_path), environment)) as running:
        assert manager.hears() == "READY=1"
        for _ in range(3):
            manager.hears_until("WATCHDOG=1".__eq__)
        while not any("Bluetooth radio does not work" in message for message in manager.heard):
            manager.hears()
        running.process.send_signal(signal.SIGTERM)
        manager.hears_until("STOPPING=1".__eq__)
        assert running.process.wait(20) == 0


class Alive:
    """A gateway's process, ended whatever happens."""

    def __init__(self, config: Path, environment: dict[str, str]) -> None:
        self.process = gateway("run", config, environment=environment)

    def close(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=20)


def systemd_analyze(*words: str) -> str:
    program = shutil.which("systemd-analyze")
    if program is None:
        missing("systemd", "systemd-analyze is not installed")
    ran = subprocess.run(
        [program or "", *words], capture_output=True, text=True, timeout=30, check=False
    )
    return ran.stdout + ran.stderr


@pytest.mark.parametrize(
    "unit",
    [
        UNIT,
        Unit(
            python=UNIT.python,
            config=UNIT.config,
            groups=("dialout",),
            devices=("/dev/ttyUSB0",),
            needs_bluetoothd=False,
        ),
    ],
    ids=["bluez", "serial controller"],
)
def test_the_unit_is_hardened(tmp_path: Path, unit: Unit) -> None:
    file = tmp_path / "egenmonitor-gateway.service"
    file.write_text(unit.text())
    told = systemd_analyze("security", "--offline=true", "--no-pager", str(file))
    level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", told)
    assert level is not None, told
    assert float(level[1]) <= 3.0


def test_systemd_understands_every_line_of_the_unit(tmp_path: Path) -> None:
    file = tmp_path / "egenmonitor-gateway.service"
    file.write_text(Unit(python=Path("/bin/true"), config=UNIT.config).text())
    told = systemd_analyze("verify", "--man=no", str(file))
    assert [line for line in told.splitlines() if file.name in line] == []


def test_the_unit_lets_the_gateway_ask_whether_the_clock_is_set() -> None:
    """ProtectClock, and a filter without adjtimex, would leave it doubting for ever."""
    lines = UNIT.text().splitlines()
    assert not any(line.startswith("ProtectClock=yes") for line in lines)
    assert "SystemCallFilter=adjtimex clock_adjtime" in lines


def calls_in(group: str) -> set[str]:
    """Return the system calls in one of systemd's groups."""
    calls: set[str] = set()
    for line in systemd_analyze("syscall-filter", group).splitlines()[1:]:
        word = line.strip()
        if word.startswith("@"):
            calls |= calls_in(word)
        elif word and not word.startswith("#"):
            calls.add(word)
    return calls


def calls_allowed(unit: str) -> set[str]:
    """Return the system calls that *unit* lets through, read as systemd reads its lines."""
    allowed = calls_in("@default")
    for line in unit.splitlines():
        if line.startswith("SystemCallFilter="):
            words = line.removeprefix("SystemCallFilter=").split()
            takes_away = words[0].startswith("~")
            for word in (each.removeprefix("~") for each in words):
                named = calls_in(word) if word.startswith("@") else {word}
                allowed = allowed - named if takes_away else allowed | named
    return allowed


# As root, SQLite gives its files to the owner of the database. The service is not root.
_OF_ROOT = {"fchown"}


def only_child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text())


async def test_all_that_a_gateway_asks_of_the_kernel_is_allowed(
    tmp_path: Path, embedded_broker: Broker
) -> None:
    """From the first start over a measurement and its receipt to the end."""
    if shutil.which("strace") is None:
        missing("strace", "the program is not installed")
    allowed, trace = calls_allowed(UNIT.text()), tmp_path / "trace"
    device = Cuff("BP-1", habits=Habits(wake_s=0.0), clock=DeviceClock())
    async with VirtualRadio() as radio, receiving(embedded_broker.port) as receiver:
        await radio.attach(device)
        config = toml(tmp_path, transport=radio.transport, port=embedded_broker.port)
        command = [sys.executable, "-m", "gateway", "run", "--config", str(config)]
        traced = await asyncio.create_subprocess_exec(
            "strace", "-f", "-qq", "-I", "2", "-o", str(trace), *command
        )
        try:
            device.measure(142, 88)
            await receiver.until(lambda: bool(receiver.stored))
            os.kill(only_child(traced.pid), signal.SIGTERM)
            async with asyncio.timeout(20):
                assert await traced.wait() == 0
        finally:
            if traced.returncode is None:
                os.kill(only_child(traced.pid), signal.SIGKILL)
                await traced.wait()
    asked = set(re.findall(r"^\d+ +([a-z0-9_]+)\(", trace.read_text(), re.MULTILINE))
    assert {"clock_adjtime", "sendto", "fsync"} & asked  # it was seen at work
    assert asked - allowed <= _OF_ROOT


def test_a_manager_that_reads_nothing_holds_nobody_up(tmp_path: Path) -> None:
    """Its queue holds some messages; the event loop must not wait for room in it."""
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        notifier = Notifier({"NOTIFY_SOCKET": address})
        for _ in range(2000):  # more than any system's queue: net.unix.max_dgram_qlen
            notifier.tell("WATCHDOG=1")
