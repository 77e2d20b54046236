"""``python -m simulator play``: captures reach a gateway as they were recorded."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from devices.gatt import uuids
from gateway.radio import RadioConfig, open_radio
from simulator.captures import CaptureError, load
from tests.radio.central import fetch_from
from tests.radio.ear import WAIT_S, Ear

CUFF, SCALE_V1, SCALE_V2 = "C0:00:00:00:2A:35", "C0:00:00:00:18:1D", "C0:00:00:00:18:1B"
FAILED = "16ff07ff07ff07e80706170e230aff070000"
WEIGHT, EMPTY, UNSETTLED = (
    "229e43e507040b101301",
    "821400e507040b101708",
    "0204b207010112101a0000a852",
)
CAPTURES = {
    "note": "as published",
    "sfloat": [{"hex": "7200", "value": 114}],
    "blood_pressure_2a35": [{"hex": FAILED, "meaning": "measurement failed"}],
    "mi_scale_v1_181d": [{"hex": WEIGHT, "kg": 86.55}, {"hex": EMPTY, "kg": 0.1}],
    "mi_scale_v2_181b": [{"hex": UNSETTLED, "kg": 105.8}],
}


@pytest.fixture
def captures(tmp_path: Path) -> Path:
    path = tmp_path / "captures.json"
    path.write_text(json.dumps(CAPTURES))
    return path


async def test_captures_reach_a_gateway_byte_for_byte(captures: Path) -> None:
    playing = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "simulator", "play", str(captures)),
        *("--window-s", "0.5", "--limit-s", "30"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert playing.stdout is not None
    async with asyncio.timeout(30):
        first = (await playing.stdout.readline()).decode().strip()
        transport = first.removeprefix("radio: ")
        ear = Ear()
        async with (
            open_radio(RadioConfig(backend="bumble", transport=transport)) as radio,
            radio.scanner(ear),
        ):
            assert await fetch_from(radio, ear, CUFF) == [bytes.fromhex(FAILED)]
            said = (await playing.stdout.read()).decode()
        assert await playing.wait() == 0
    v1 = [heard.service_data[uuids.WEIGHT_SCALE_SERVICE].hex() for heard in ear.of(SCALE_V1)]
    v2 = {heard.service_data[uuids.BODY_COMPOSITION_SERVICE].hex() for heard in ear.of(SCALE_V2)}
    assert list(dict.fromkeys(v1)) == [WEIGHT, EMPTY]
    assert v2 == {UNSETTLED}
    assert "1 confirmed" in said
    assert "sfloat" in said  # named as not playable


def _refused(path: Path, *options: str) -> str:
    command = [sys.executable, "-m", "simulator", "play", str(path), *options]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S * 3, check=False)
    assert ended.returncode == 2, ended.stderr
    return ended.stderr


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "away.json: No such file" in _refused(tmp_path / "away.json")


def _problems(path: Path, text: str) -> list[str]:
    path.write_text(text)
    with pytest.raises(CaptureError) as refused:
        load(path)
    return list(refused.value.problems)


def test_what_is_not_json_is_named(tmp_path: Path) -> None:
    (problem,) = _problems(tmp_path / "captures.json", "16ff07")
    assert "captures.json: is not JSON" in problem


def test_every_bad_entry_is_named_at_once(tmp_path: Path) -> None:
    sections = {
        "blood_pressure_2a35": [{"hex": FAILED}, {"hex": "zz"}, {"payload": FAILED}],
        "mi_scale_v1_181d": [{"hex": UNSETTLED}],
        "mi_scale_v2_181b": UNSETTLED,
    }
    problems = _problems(tmp_path / "captures.json", json.dumps(sections))
    assert [problem.partition(":")[0] for problem in problems] == [
        "blood_pressure_2a35[1]",
        "blood_pressure_2a35[2]",
        "mi_scale_v1_181d[0]",
        "mi_scale_v2_181b",
    ]


def test_a_file_with_nothing_to_play_says_what_can_be(tmp_path: Path) -> None:
    sections = {"glucose_2a18": [{"hex": "00"}]}
    (problem,) = _problems(tmp_path / "captures.json", json.dumps(sections))
    assert "blood_pressure_2a35" in problem


def test_a_listen_address_that_is_none_is_named(captures: Path) -> None:
    assert "--listen nowhere" in _refused(captures, "--listen", "nowhere")


async def test_what_nobody_takes_is_an_exit_code(captures: Path) -> None:
    playing = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "simulator", "play", str(captures), "--limit-s", "0.1"),
        stdout=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(30):
        assert await playing.wait() == 1
