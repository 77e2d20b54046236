"""``gateway enrol`` at the terminal: what it says, in two languages, and what it never says."""

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from devices.enrolment import (
    parse_code,
)
from gateway.certificate import enrolled
from gateway.commands.enrol import enrol as enrol_command
from gateway.enrol import EnrolFailed, Failure, enrol
from tests.gateway.false_server import Impostor, false_server, sealed
from tests.gateway.registry import Registry, registry

CODE = "0123-4567-89AB-CDEF"


@pytest.fixture
async def server(plain_database: str, tmp_path: Path) -> AsyncIterator[Registry]:
    async with registry(plain_database, tmp_path) as running:
        yield running


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def config(tmp_path: Path, data_dir: Path) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_text(f'data_dir = "{data_dir}"\n')
    return path


async def run(config: Path, code: str, server: str, *words: str) -> tuple[int, str, str]:
    """Run the command as people do, the code on its standard input."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "enrol", "--server", server),
        *("--config", str(config), *words),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    said, complained = await process.communicate(f"{code}\n".encode())
    assert process.returncode is not None
    return process.returncode, said.decode(), complained.decode()


async def test_the_command_says_who_the_box_is_and_will_not_do_it_twice(
    server: Registry, config: Path, data_dir: Path
) -> None:
    code = await server.code("g-home")
    spoken = code.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    status, said, complained = await run(config, spoken, server.address)
    assert (status, complained) == (0, "")
    assert "g-home" in said
    found = enrolled(data_dir)
    assert found is not None
    assert f"{found.valid_until:%Y-%m-%d}" in said
    status, _, complained = await run(config, await server.code("g-new"), server.address)
    assert status == 2
    assert "redan inskriven, som g-home" in complained
    status, said, _ = await run(
        config, await server.code("g-new"), server.address, "--replace", "--language", "en"
    )
    assert (status, "This box is g-new" in said, "again" in said) == (0, True, True)


async def test_the_command_never_repeats_the_code(server: Registry, config: Path) -> None:
    for code in (CODE, "0123-4567-89AB-CDE", await server.code(lasts=timedelta(0))):
        status, said, complained = await run(config, code, server.address)
        assert status != 0
        assert complained
        for shown in (code, code.replace("-", "")):
            assert shown not in said + complained


def complaint(
    capsys: pytest.CaptureFixture[str], config: Path, code: str, server: str, language: str
) -> str:
    status = enrol_command(code, server=server, config=config, language=language)  # type: ignore[arg-type]
    assert status in {1, 2}
    return capsys.readouterr().err.strip()


def test_every_failure_has_words_of_its_own_in_both_languages(
    capsys: pytest.CaptureFixture[str], config: Path
) -> None:
    told = set[str]()
    reasons = ["unknown", "used", "expired", "revoked", "too_many", "not_here"]
    answers = [
        *((404, json.dumps({"v": 1, "reason": reason}).encode()) for reason in reasons),
        (503, b"ill"),
        (200, b"<html>"),
    ]
    for language in ("sv", "en"):
        for status, body in answers:
            with false_server(lambda _, answer=(status, body): answer) as address:  # type: ignore[misc]
                told.add(complaint(capsys, config, CODE, address, language))
        impostor = Impostor()
        with false_server(lambda body, it=impostor: (200, sealed(it.enrolment(body), b"x"))) as at:  # type: ignore[misc]
            told.add(complaint(capsys, config, CODE, at, language))
        for address in ("http://127.0.0.1:9", "http://no-such-host.invalid", "what"):
            told.add(complaint(capsys, config, CODE, address, language))
        told.add(complaint(capsys, config, "ABC", "http://127.0.0.1:9", language))
    assert len(told) == 2 * (len(answers) + 1 + 3 + 1)
    for words in told:
        assert "{" not in words
        assert CODE not in words


def test_a_store_that_cannot_be_written_is_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "data").write_text("a file where the directory should be")
    config = tmp_path / "gateway.toml"
    config.write_text(f'data_dir = "{tmp_path / "data"}"\n')
    words = complaint(capsys, config, CODE, "http://127.0.0.1:9", "sv")
    assert "kunde inte sparas" in words


def test_a_port_that_accepts_and_says_nothing_is_given_up(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.enrol.ANSWER_S_MAX", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(EnrolFailed) as caught:
            enrol(data_dir, parse_code(CODE), address, datetime.now(UTC))
    assert caught.value.failure is Failure.NO_NETWORK
