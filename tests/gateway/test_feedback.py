"""The light in the room: a real gateway and broker, and a program that notes what it is told."""

import asyncio
import stat
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from devices.wire import VERSION, ConditionCode, Message, Receipt
from gateway.config import FeedbackConfig
from gateway.event import GatewayEvent
from gateway.feedback import Feedback
from gateway.feedback.feedback import RETRY_S_MAX, RETRY_S_MIN
from gateway.feedback.light import Lamp, Light, Signal
from gateway.feedback.output import Command, Gpio, OutputFailed, open_output
from gateway.health import Health
from simulator.devices.clock import DeviceClock
from simulator.devices.cuff import Cuff
from simulator.devices.recording import Habits
from simulator.embedded.broker import Broker
from simulator.radio import VirtualRadio
from tests.gateway.home import until
from tests.gateway.material import gateway, ids, reading, toml
from tests.gateway.receiver import Receiver, receiving, say_nothing, store_all


class Room:
    """A cuff, a gateway as a process, and what its light's program was told."""

    def __init__(self, directory: Path, radio: VirtualRadio, receiver: Receiver, port: int) -> None:
        self.cuff = Cuff("BP-1", habits=Habits(wake_s=0, linger_s=0.1), clock=DeviceClock())
        self.receiver = receiver
        self.told_file = directory / "told"
        self.config = toml(directory, transport=radio.transport, port=port, resend_s=0.5)
        script = directory / "light"
        script.write_text(f'#!/bin/sh\necho "$1" >> {self.told_file}\n')
        script.chmod(0o755)
        with self.config.open("a") as file:
            file.write(f'\n[feedback]\noutput = "command"\ncommand = ["{script}"]\n')

    @property
    def told(self) -> list[str]:
        return self.told_file.read_text().split() if self.told_file.exists() else []

    async def is_told(self, *words: str) -> None:
        """Wait until the program has been told just these, in this order."""
        await until(lambda: len(self.told) >= len(words))
        assert self.told == list(words)


@pytest.fixture
async def room(broker: Broker, tmp_path: Path) -> AsyncIterator[Room]:
    async with VirtualRadio() as radio, receiving(broker.port, say_nothing) as receiver:
        room = Room(tmp_path, radio, receiver, broker.port)
        process = gateway("run", room.config)
        try:
            await room.is_told("dark")
            await receiver.until(lambda: bool(receiver.statuses))
            await radio.attach(room.cuff)
            yield room
        finally:
            process.terminate()
            process.communicate(timeout=20)


async def test_green_does_not_come_before_the_receipt(room: Room) -> None:
    room.cuff.measure(128, 81, 66)
    await room.is_told("dark", "received")
    # It came here three times, whole: all that is missing is the word that it is stored.
    await room.receiver.until(lambda: len(room.receiver.messages) >= 3)
    assert room.told == ["dark", "received"]
    room.receiver.answer = store_all
    await room.is_told("dark", "received", "stored")
    await room.is_told("dark", "received", "stored", "dark")


async def test_a_receipt_for_something_else_is_not_green(room: Room) -> None:
    def other(message: Message) -> Receipt:
        return Receipt(v=VERSION, stored=tuple(ids([reading(1)])))

    room.receiver.answer = other
    room.cuff.measure(128, 81, 66)
    await room.receiver.until(lambda: len(room.receiver.messages) >= 3)
    assert room.told == ["dark", "received"]


async def test_a_failed_measurement_is_told_and_its_receipt_is_no_green(room: Room) -> None:
    room.receiver.answer = store_all
    room.cuff.fail()
    await room.is_told("dark", "failed")
    await room.receiver.until(lambda: bool(room.receiver.stored))
    room.cuff.measure(128, 81, 66)
    await until(lambda: "stored" in room.told)
    assert room.told[:4] == ["dark", "failed", "received", "stored"]


class Noted:
    """An output that notes what it shows, and fails when it is told to."""

    def __init__(self, fails: Sequence[Signal] = ()) -> None:
        self.shown: list[Signal] = []
        self.fails = fails
        self.is_closed = False
        self.news = asyncio.Event()

    async def show(self, signal: Signal, elapsed_s: float) -> float:
        self.shown.append(signal)
        self.news.set()
        if signal in self.fails:
            problem = "the lamp is broken"
            raise OutputFailed(problem)
        return float("inf")

    async def close(self) -> None:
        self.is_closed = True

    async def has_shown(self, *signals: Signal) -> None:
        async with asyncio.timeout(10):
            while len(self.shown) < len(signals):
                self.news.clear()
                await self.news.wait()
        assert self.shown == list(signals)


async def test_a_broken_light_is_told_and_stops_nothing() -> None:
    noted, health = Noted(fails=[Signal.DARK]), Health()
    feedback = Feedback(FeedbackConfig(), health=health, open_output=lambda _: noted)
    running = asyncio.create_task(feedback.run())
    await noted.has_shown(Signal.DARK)
    await until(lambda: bool(health.conditions))
    assert [each.code for each in health.conditions] == [ConditionCode.FEEDBACK_FAILED]
    feedback.tell(GatewayEvent.FAILED)
    await noted.has_shown(Signal.DARK, Signal.FAILED)
    await until(lambda: not health.conditions)
    running.cancel()
    await asyncio.wait({running})
    assert noted.is_closed


async def test_what_changes_nothing_is_not_shown_again() -> None:
    noted = Noted()
    feedback = Feedback(FeedbackConfig(), health=Health(), open_output=lambda _: noted)
    running = asyncio.create_task(feedback.run())
    await noted.has_shown(Signal.DARK)
    for _ in range(5):
        feedback.tell(GatewayEvent.STORED, ids([reading(1)]))
        feedback.tell(GatewayEvent.CONNECTED)
        await asyncio.sleep(0)
    feedback.tell(GatewayEvent.RECEIVED, ids([reading(2)]))
    await noted.has_shown(Signal.DARK, Signal.RECEIVED)
    running.cancel()
    await asyncio.wait({running})


def script(directory: Path, text: str) -> Path:
    path = directory / "program"
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


async def test_a_program_gets_its_word_as_one_argument_and_no_shell(tmp_path: Path) -> None:
    written = tmp_path / "written"
    path = script(tmp_path, f"import sys; open({str(written)!r}, 'w').write(repr(sys.argv[1:]))")
    await Command([str(path), "a b", "$(id); `id`"], 5).show(Signal.NOT_CONNECTED, 0)
    assert written.read_text() == "['a b', '$(id); `id`', 'not_connected']"


async def test_a_program_is_not_told_our_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EGENMONITOR_GATEWAY__UPLINK__PASSWORD_FILE", "/secret")
    written = tmp_path / "written"
    path = script(tmp_path, f"import os; open({str(written)!r}, 'w').write(repr(dict(os.environ)))")
    await Command([str(path)], 5).show(Signal.DARK, 0)
    assert "EGENMONITOR" not in written.read_text()


async def test_a_program_that_hangs_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    text = (
        "import os, time\n"
        f"child = os.fork()\n"
        f"if child: open({str(alive)!r}, 'w').write(str(child))\n"
        "time.sleep(600)\n"
    )
    with pytest.raises(OutputFailed, match=r"took longer than 1 s"):
        await Command([str(script(tmp_path, text))], 1).show(Signal.DARK, 0)
    child = int(alive.read_text())
    await until(lambda: is_gone(child))


def is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"  # killed; nobody in this container may reap it


@pytest.mark.parametrize(
    ("text", "told"), [("raise SystemExit(3)", "ended with 3"), (None, "cannot be started")]
)
async def test_a_program_that_does_not_work_says_why(
    tmp_path: Path, text: str | None, told: str
) -> None:
    path = script(tmp_path, text) if text else tmp_path / "nowhere"
    with pytest.raises(OutputFailed, match=told):
        await Command([str(path)], 5).show(Signal.DARK, 0)


class Lines:
    """Behaves as gpiod 2 does, as far as we use it: no GPIO chip is here. Strict."""

    class line:  # noqa: N801 - the module's own name
        class Value:
            ACTIVE, INACTIVE = "active", "inactive"

        class Direction:
            OUTPUT = "output"

    class LineSettings:
        def __init__(self, *, direction: str, output_value: str) -> None:
            assert (direction, output_value) == ("output", "inactive")

    def __init__(self) -> None:
        self.values: dict[int, str] = {}
        self.is_released = True
        self.requests = 0
        self.fails = False  # until the lines are requested anew
        self.is_away = False

    def request_lines(self, chip: str, *, consumer: str, config: dict[tuple[int, ...], Any]) -> Any:
        if chip != "/dev/gpiochip0":
            raise FileNotFoundError(2, "No such file or directory")
        self.requests += 1
        if self.is_away:
            raise OSError(19, "No such device")
        if not self.is_released:
            raise OSError(16, "Device or resource busy")
        (lines,) = config
        self.values = dict.fromkeys(lines, "inactive")
        self.is_released = self.fails = False
        return self

    def set_values(self, values: dict[int, str]) -> None:
        assert not self.is_released
        if self.fails:
            raise OSError(5, "Input/output error")
        assert values.keys() == self.values.keys()
        self.values = dict(values)

    def release(self) -> None:
        assert not self.is_released
        self.is_released = True

    @property
    def on(self) -> set[int]:
        return {line for line, value in self.values.items() if value == "active"}


LAMPS = {Lamp.GREEN: 17, Lamp.YELLOW: 27, Lamp.RED: 22, Lamp.BUZZER: 5}


async def test_lamps_follow_the_rhythm_of_the_signal() -> None:
    lines = Lines()
    output = Gpio("/dev/gpiochip0", LAMPS, lines)
    assert await output.show(Signal.STORED, 0.0) == pytest.approx(0.6)
    assert lines.on == {17, 5}
    assert await output.show(Signal.STORED, 0.6) == float("inf")
    assert lines.on == {17}
    await output.show(Signal.NOT_CONNECTED, 5.05)
    assert lines.on == {27}
    await output.close()
    assert lines.on == set()
    assert lines.is_released


async def test_a_lamp_that_is_not_there_is_left_out() -> None:
    lines = Lines()
    await Gpio("/dev/gpiochip0", {Lamp.GREEN: 17}, lines).show(Signal.STORED, 0.0)
    assert lines.on == {17}


async def test_a_chip_that_does_not_work_says_why() -> None:
    with pytest.raises(OutputFailed, match="No such file"):
        Gpio("/dev/nowhere", LAMPS, Lines())
    lines = Lines()
    output = Gpio("/dev/gpiochip0", LAMPS, lines)
    lines.fails = True
    with pytest.raises(OutputFailed, match="Input/output error"):
        await output.show(Signal.STORED, 0.0)
    await output.close()


async def test_lines_that_failed_once_are_asked_for_anew() -> None:
    lines = Lines()
    output = Gpio("/dev/gpiochip0", LAMPS, lines)
    lines.fails = lines.is_away = True
    for problem in ("Input/output error", "No such device", "No such device"):
        with pytest.raises(OutputFailed, match=problem):
            await output.show(Signal.STORED, 1.0)
        assert lines.is_released
    lines.is_away = False
    await output.show(Signal.STORED, 1.0)
    assert lines.on == {17}
    await output.close()
    assert lines.is_released


async def test_a_chip_that_comes_back_is_lit_without_another_signal() -> None:
    lines, health = Lines(), Health()
    feedback = Feedback(
        FeedbackConfig(),
        health=health,
        open_output=lambda _: Gpio("/dev/gpiochip0", LAMPS, lines),
        retry_s_min=0.01,
    )
    lines.is_away = True
    running = asyncio.create_task(feedback.run())
    await until(lambda: lines.requests > 2)
    assert [each.code for each in health.conditions] == [ConditionCode.FEEDBACK_FAILED]
    lines.is_away = False
    await until(lambda: not health.conditions)
    lines.fails = True
    feedback.tell(GatewayEvent.FAILED)
    await until(lambda: bool(lines.on))
    await until(lambda: not health.conditions)
    running.cancel()
    await asyncio.wait({running})
    assert lines.is_released


def test_waits_for_an_output_grow_to_their_bound() -> None:
    feedback = Feedback(FeedbackConfig(), health=Health())
    waits_s = [feedback.retry_s(failures) for failures in range(2000)]
    assert waits_s == sorted(waits_s)
    assert (waits_s[0], waits_s[-1]) == (RETRY_S_MIN, RETRY_S_MAX)


def test_without_the_library_the_cure_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gpiod", None)
    with pytest.raises(OutputFailed, match="not installed"):
        open_output(FeedbackConfig(output="gpio", green_line=17))


async def test_no_output_is_no_fault() -> None:
    output = open_output(FeedbackConfig())
    assert await output.show(Signal.STORED, 0.0) == float("inf")
    await output.close()


def test_the_light_is_a_value_of_its_own() -> None:
    """Two gateways in one process share nothing."""
    one, other = Light(), Light()
    one.happened(GatewayEvent.FAILED, (), 0.0)
    assert other.shown(1.0).signal is Signal.DARK
    assert replace(one.shown(1.0), since_s=0.0).signal is Signal.FAILED
