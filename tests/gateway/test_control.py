"""The control socket: who may speak, what is understood, and what hanging up means."""

import asyncio
import json
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from devices.wire import (
    VERSION,
    GatewayState,
    GatewayStatus,
    PairingRequest,
    PairingStatus,
    PairingStep,
)
from gateway.control import (
    SOCKET_NAME,
    AskPair,
    Cancel,
    Control,
    GivePasskey,
    No,
    NobodyListens,
    Progress,
    ask_status,
    conversation,
)
from gateway.control import server as server_module
from gateway.control.message import REQUEST_BYTES_MAX
from gateway.pairing import PairingBusy
from gateway.radio import AskPasskey

WAIT_S = 10.0
NOW = datetime(2026, 11, 2, 7, 0, tzinfo=UTC)
Tell = Callable[[PairingStatus], None]


class FakeCentral:
    """Pairs as a test says; strict about one at a time."""

    def __init__(self) -> None:
        self.requests: list[PairingRequest] = []
        self.typed: list[int] = []
        self.given_up = asyncio.Event()
        self.is_asking = asyncio.Event()
        self.is_busy = False

    async def pair(self, request: PairingRequest, ask: AskPasskey, tell: Tell) -> PairingStatus:
        if self.is_busy:
            raise PairingBusy
        self.requests.append(request)
        try:
            tell(self._at(request, PairingStep.SEARCHING))
            tell(self._at(request, PairingStep.PASSKEY))
            self.is_asking.set()
            self.typed.append(await ask())
        except asyncio.CancelledError:
            self.given_up.set()
            raise
        done = self._at(request, PairingStep.DONE)
        tell(done)
        return done

    def _at(self, request: PairingRequest, step: PairingStep) -> PairingStatus:
        return PairingStatus(request_id=request.request_id, step=step)


def _status() -> GatewayStatus:
    return GatewayStatus(v=VERSION, gateway="g-test", state=GatewayState.ONLINE, outbox=7)


@asynccontextmanager
async def listening(data_dir: Path, central: FakeCentral) -> AsyncIterator[None]:
    control = Control(data_dir, central.pair, _status, lambda: NOW)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(control.run())
        async with asyncio.timeout(WAIT_S):
            while await ask_status(data_dir) is None:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0)
        try:
            yield
        finally:
            running.cancel()


@pytest.fixture
def central() -> FakeCentral:
    return FakeCentral()


async def _raw(data_dir: Path, *lines: bytes) -> list[Any]:
    """Say *lines* as they are; return what is answered until the gateway hangs up."""
    async with asyncio.timeout(WAIT_S):
        reader, writer = await asyncio.open_unix_connection(str(data_dir / SOCKET_NAME))
        writer.writelines(lines)
        said = await reader.read()
        writer.close()
    return [json.loads(line) for line in said.splitlines()]


async def test_the_socket_is_for_our_account_alone(tmp_path: Path, central: FakeCentral) -> None:
    async with listening(tmp_path, central):
        assert stat.S_IMODE((tmp_path / SOCKET_NAME).stat().st_mode) == 0o600
    assert not (tmp_path / SOCKET_NAME).exists()


async def test_the_socket_of_a_killed_gateway_is_replaced(
    tmp_path: Path, central: FakeCentral
) -> None:
    (tmp_path / SOCKET_NAME).touch()
    async with listening(tmp_path, central):
        assert await ask_status(tmp_path) == _status()


async def test_a_data_directory_with_a_long_name_will_do(
    tmp_path: Path, central: FakeCentral
) -> None:
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    async with listening(deep, central):
        assert await ask_status(deep) == _status()


async def test_where_nobody_listens_nobody_answers(tmp_path: Path) -> None:
    assert await ask_status(tmp_path) is None
    assert await ask_status(tmp_path / "none") is None
    (tmp_path / SOCKET_NAME).touch()
    with pytest.raises(NobodyListens):
        async with conversation(tmp_path):
            pass


async def test_a_pairing_is_told_step_by_step_and_its_number_given(
    tmp_path: Path, central: FakeCentral
) -> None:
    async with listening(tmp_path, central), conversation(tmp_path) as gateway:
        gateway.say(AskPair(within_s=60, device_id="C4:64:E3:00:00:01", model="omron"))
        steps = []
        async with asyncio.timeout(WAIT_S):
            while "done" not in steps:
                answer = await gateway.hear()
                assert isinstance(answer, Progress)
                steps.append(answer.status.step.value)
                if answer.status.step is PairingStep.PASSKEY:
                    gateway.say(GivePasskey(42))
    (request,) = central.requests
    assert steps == ["searching", "passkey", "done"]
    assert central.typed == [42]
    assert (request.device_id, request.model) == ("C4:64:E3:00:00:01", "omron")
    assert (request.expires_at - NOW).total_seconds() == 60


async def test_hanging_up_gives_the_pairing_up(tmp_path: Path, central: FakeCentral) -> None:
    async with listening(tmp_path, central), asyncio.timeout(WAIT_S):
        async with conversation(tmp_path) as gateway:
            gateway.say(AskPair(within_s=60, model="omron"))
            await central.is_asking.wait()
        await central.given_up.wait()


@pytest.mark.parametrize("line", [b'{"do":"cancel"}\n', b"rubbish\n", b'{"do":"status"}\n'])
async def test_what_is_no_number_gives_the_pairing_up(
    tmp_path: Path, central: FakeCentral, line: bytes
) -> None:
    async with listening(tmp_path, central), asyncio.timeout(WAIT_S):
        await _raw(tmp_path, b'{"do":"pair","within_s":60,"model":"omron"}\n', line)
        await central.given_up.wait()
    assert central.typed == []


async def test_cancel_is_said_so(tmp_path: Path, central: FakeCentral) -> None:
    async with listening(tmp_path, central), conversation(tmp_path) as gateway:
        gateway.say(AskPair(within_s=60, model="omron"))
        gateway.say(Cancel())
        async with asyncio.timeout(WAIT_S):
            await central.given_up.wait()


async def test_a_gateway_that_is_pairing_says_busy(tmp_path: Path, central: FakeCentral) -> None:
    central.is_busy = True
    async with listening(tmp_path, central), conversation(tmp_path) as gateway:
        gateway.say(AskPair(within_s=60, model="omron"))
        async with asyncio.timeout(WAIT_S):
            assert await gateway.hear() == No("busy")


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"rubbish\n",
        b"[]\n",
        b'{"do":"reboot"}\n',
        b'{"do":"cancel"}\n',
        b'{"do":"passkey","passkey":1}\n',
        b'{"do":"pair"}\n',
        b'{"do":"pair","within_s":0}\n',
        b'{"do":"pair","within_s":86400}\n',
        b'{"do":"pair","within_s":60,"device_id":"../../etc"}\n',
        b'{"do":"pair","within_s":60,"model":"' + b"m" * 65 + b'"}\n',
        b'{"do":"pair","within_s":60}\n',
        b'{"do":"pair","within_s":60,"device_id":null,"model":""}\n',
        b'{"do":"pair","within_s":60,"shell":"rm"}\n',
        b"x" * (REQUEST_BYTES_MAX + 1),
    ],
)
async def test_what_is_not_understood_is_said_so_and_the_gateway_lives(
    tmp_path: Path, central: FakeCentral, line: bytes
) -> None:
    async with listening(tmp_path, central):
        assert await _raw(tmp_path, line) == [{"said": "no", "why": "malformed"}]
        assert await ask_status(tmp_path) == _status()
    assert central.requests == []


@pytest.mark.parametrize("number", [-1, 1_000_000])
async def test_a_number_of_other_than_six_digits_gives_the_pairing_up(
    tmp_path: Path, central: FakeCentral, number: int
) -> None:
    async with listening(tmp_path, central), asyncio.timeout(WAIT_S):
        given = json.dumps({"do": "passkey", "passkey": number}).encode() + b"\n"
        await _raw(tmp_path, b'{"do":"pair","within_s":60,"model":"omron"}\n', given)
        await central.given_up.wait()
    assert central.typed == []


async def test_so_many_at_once_and_no_more(
    tmp_path: Path, central: FakeCentral, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "CONNECTIONS_MAX", 1)
    async with listening(tmp_path, central), conversation(tmp_path) as gateway:
        async with asyncio.timeout(WAIT_S):
            gateway.say(AskPair(within_s=60, model="omron"))
            await central.is_asking.wait()
            assert await _raw(tmp_path) == [{"said": "no", "why": "busy"}]


async def test_one_who_says_nothing_is_not_waited_for(
    tmp_path: Path, central: FakeCentral, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "REQUEST_S_MAX", 0.05)
    async with listening(tmp_path, central):
        assert await _raw(tmp_path) == []


async def test_it_may_run_again_after_it_was_stopped(tmp_path: Path, central: FakeCentral) -> None:
    for _ in range(2):
        async with listening(tmp_path, central):
            assert await ask_status(tmp_path) == _status()
