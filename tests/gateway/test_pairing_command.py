"""``gateway pair`` as a real process: through a running gateway, and without one."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from devices.models import models
from devices.wire import PairingStep
from gateway.commands.pair import NOT_PAIRED
from gateway.commands.terminal import BAD_CONFIGURATION, IN_USE, UNREACHABLE
from gateway.control import ask_status
from gateway.database import Database
from gateway.inbox import Inbox
from gateway.outbox import Outbox
from gateway.pairing import Failure
from gateway.pairing_words import FAILURES, STEPS, WORDS, failure_words, said
from simulator.devices.cuff import Cuff
from simulator.devices.quirks import Guard, Pairing
from simulator.radio import VirtualRadio
from tests.gateway.field.field import cuff
from tests.gateway.material import toml

# A process loads its libraries first, on a machine that does other things too.
PROCESS_S = 45.0


@pytest.fixture
async def room() -> AsyncIterator[VirtualRadio]:
    async with VirtualRadio() as room:
        yield room


@pytest.fixture
def config(tmp_path: Path, room: VirtualRadio) -> Path:
    return toml(tmp_path, transport=room.transport)


class Command:
    """A command that runs, and whoever sits at it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stderr is not None
        self.process = process
        self._out, self._in, self._err = process.stdout, process.stdin, process.stderr

    async def line(self) -> str:
        async with asyncio.timeout(PROCESS_S):
            return (await self._out.readline()).decode().rstrip()

    async def step(self) -> dict[str, Any]:
        """Return the next step, of ``--json``."""
        step: dict[str, Any] = json.loads(await self.line())
        return step

    def type(self, words: str) -> None:
        self._in.write(words.encode() + b"\n")

    async def ends(self) -> tuple[int, str, str]:
        """Return exit code, and what was said since, on both channels."""
        async with asyncio.timeout(PROCESS_S):
            out, err = await asyncio.gather(self._out.read(), self._err.read())
            return await self.process.wait(), out.decode(), err.decode()


@asynccontextmanager
async def running(config: Path, name: str, *options: str) -> AsyncIterator[Command]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", name, "--config", str(config), *options),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE if name == "pair" else asyncio.subprocess.DEVNULL,
        env={**os.environ, "PYTHONUTF8": "1"},
    )
    try:
        yield Command(process) if name == "pair" else _Unheard(process)
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(PROCESS_S):
            await process.wait()


class _Unheard(Command):
    """A gateway: its log is nobody's here."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process


@asynccontextmanager
async def gateway(config: Path) -> AsyncIterator[None]:
    """Run the gateway; it listens to its staff when the block begins."""
    async with running(config, "run"):
        async with asyncio.timeout(PROCESS_S):
            while await ask_status(config.parent / "data") is None:  # noqa: ASYNC110 - its own
                await asyncio.sleep(0.05)
        yield


def waiting(config: Path) -> int:
    """Return how many readings wait in the store of a gateway that does not run."""
    with Database(config.parent / "data") as database:
        return Outbox(database, Inbox(database)).depth


async def _pair_by_json(command: Command, device: Cuff) -> list[str]:
    """Do what the steps ask for; return them."""
    steps: list[str] = []
    while not steps or steps[-1] not in ("done", "failed"):
        step = await command.step()
        steps.append(step["step"])
        if step["step"] == "searching" and len(steps) == 1:
            device.hold_button()
        elif step["step"] == "passkey":
            await device.passkey_shown.wait()
            command.type(f"{device.passkeys_shown[-1]:06}")
        elif step["step"] == "measure":
            device.measure(121, 81)
    return steps


@pytest.mark.parametrize("is_running", [True, False])
async def test_a_device_is_connected(config: Path, room: VirtualRadio, *, is_running: bool) -> None:
    device = cuff(guard=Guard.SUBSCRIPTIONS, pairing=Pairing.SHOWS_PASSKEY)
    await room.attach(device)
    asked = ("--json", "--device", device.device_id.lower())
    if is_running:
        async with gateway(config), running(config, "pair", *asked) as command:
            steps = await _pair_by_json(command, device)
            code, _, err = await command.ends()
    else:
        async with running(config, "pair", *asked) as command:
            steps = await _pair_by_json(command, device)
            code, _, err = await command.ends()
    assert steps[0] == "searching"
    assert [step for step in steps if step in ("passkey", "measure", "done")] == [
        *("passkey", "measure", "done")
    ]
    assert (code, err) == (0, "")
    assert waiting(config) == 1  # the test measurement is kept for the service


async def test_a_bond_made_without_a_gateway_is_the_gateways(
    config: Path, room: VirtualRadio
) -> None:
    device = cuff(guard=Guard.SUBSCRIPTIONS)
    await room.attach(device)
    async with running(config, "pair", "--json", "--device", device.device_id) as command:
        assert (await _pair_by_json(command, device))[-1] == "done"
        await command.ends()
    async with gateway(config):
        device.measure(142, 88)
        async with asyncio.timeout(PROCESS_S):
            await device.drained()
    assert waiting(config) == 2


async def test_a_wrong_number_is_said_in_words(config: Path, room: VirtualRadio) -> None:
    device = cuff(guard=Guard.SUBSCRIPTIONS, pairing=Pairing.SHOWS_PASSKEY, passkey=123456)
    await room.attach(device)
    async with running(config, "pair", "--device", device.device_id) as command:
        assert await command.line() == STEPS[PairingStep.SEARCHING]["sv"]
        device.hold_button()
        assert await command.line() == STEPS[PairingStep.PAIRING]["sv"]
        command.type("12")  # too few: asked again
        command.type("654 321")
        code, out, err = await command.ends()
    assert out.count("Skriv dem") == 2
    assert FAILURES[Failure.WRONG_PASSKEY]["sv"] in " ".join(out.split())
    assert (code, err) == (NOT_PAIRED, "")


async def test_english_is_spoken_on_demand(config: Path, room: VirtualRadio) -> None:
    options = ("--device", "C4:64:E3:00:00:01", "--language", "en", "--within-s", "3")
    async with running(config, "pair", *options) as command:
        code, out, _ = await command.ends()
    assert STEPS[PairingStep.SEARCHING]["en"] in out
    assert FAILURES[Failure.NOT_HEARD]["en"] in " ".join(out.split())
    assert code == NOT_PAIRED


async def test_how_a_model_is_made_ready_is_said_first(config: Path, room: VirtualRadio) -> None:
    model = next(each for each in models() if each.how_to_pair_sv and each.connects)
    async with running(config, "pair", "--model", model.name, "--within-s", "3") as command:
        code, out, _ = await command.ends()
    words = " ".join(out.split())
    assert words.startswith(f"{model.title} {WORDS['ready']['sv']}{model.how_to_pair_sv}")
    assert words.endswith(model.how_to_pair_sv)  # and once more, for the next try
    assert code == NOT_PAIRED


async def test_ctrl_c_gives_up_and_the_gateway_goes_on(config: Path, room: VirtualRadio) -> None:
    device = cuff(guard=Guard.SUBSCRIPTIONS)
    await room.attach(device)
    asked = ("--json", "--device", device.device_id)
    async with gateway(config):
        async with running(config, "pair", *asked) as command:
            assert (await command.step())["step"] == "searching"
            command.process.send_signal(signal.SIGINT)
            code, _, err = await command.ends()
        assert (code, err) == (NOT_PAIRED, "")
        async with running(config, "pair", *asked) as command:
            assert (await _pair_by_json(command, device))[-1] == "done"


async def test_two_at_once_are_told_so(config: Path, room: VirtualRadio) -> None:
    asked = ("--json", "--device", "C4:64:E3:00:00:01")
    async with gateway(config), running(config, "pair", *asked) as first:
        await first.step()
        async with running(config, "pair", *asked) as second:
            code, _, err = await second.ends()
    assert (code, err.strip()) == (IN_USE, said("busy", "sv"))


async def test_without_a_radio_it_is_said_and_not_waited_for(tmp_path: Path) -> None:
    config = toml(tmp_path)  # nothing listens there
    async with running(config, "pair", "--device", "C4:64:E3:00:00:01") as command:
        code, _, err = await command.ends()
    assert code == UNREACHABLE
    assert err.startswith("Dosans Bluetooth fungerar inte: ")


async def test_a_gateway_that_hangs_is_told_so(config: Path) -> None:
    with Database(config.parent / "data"):  # its lock is held, and nobody listens
        async with running(config, "pair", "--device", "C4:64:E3:00:00:01") as command:
            code, _, err = await command.ends()
    assert (code, err.strip()) == (IN_USE, said("in_use", "sv"))


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        ((), BAD_CONFIGURATION, "--model"),
        (("--model", "nonsense"), BAD_CONFIGURATION, "nonsense"),
        (("--device", "nonsense"), BAD_CONFIGURATION, "nonsense"),
        (("--model", "mi_scale_v1"), 0, "behöver inte kopplas ihop"),
    ],
)
async def test_what_cannot_be_asked_for_is_said_with_what_can(
    tmp_path: Path, options: tuple[str, ...], code: int, told: str
) -> None:
    async with running(toml(tmp_path), "pair", *options) as command:
        ended, _, err = await command.ends()
    assert ended == code
    assert told in err


def test_every_step_and_failure_has_words_in_both_languages() -> None:
    assert set(STEPS) == set(PairingStep) - {PairingStep.FAILED}
    assert set(FAILURES) == set(Failure)
    for words in (*STEPS.values(), *FAILURES.values(), *WORDS.values()):
        assert set(words) == {"sv", "en"}
        assert all(words.values())


@pytest.mark.parametrize("failure", list(Failure))
def test_a_failure_says_how_the_model_is_made_ready_where_that_helps(failure: Failure) -> None:
    model = next(each for each in models() if each.how_to_pair_sv)
    words = failure_words(failure.value, model, "sv")
    helps = failure in (Failure.NOT_HEARD, Failure.REFUSED, Failure.WRONG_PASSKEY)
    assert words.endswith(model.how_to_pair_sv) is helps
    assert failure_words(failure.value, None, "sv") == FAILURES[failure]["sv"]
