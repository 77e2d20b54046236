"""The file the bonds lie in: replaced whole, never guessed at."""

import json
import os
from pathlib import Path

import pytest
from bumble.keys import PairingKeys

from gateway.radio.bumble import bonds as module
from gateway.radio.bumble.bonds import FILE_NAME, SET_ASIDE_NAME, Bonds

DEVICE = "C4:64:E3:00:00:01"

# The key that resolves a private address has 16 bytes.
BROKEN_KEY = json.dumps(
    {"version": 1, "address": DEVICE, "bonds": {DEVICE: {"irk": {"value": "00"}}}}
)


def _keys(number: int = 1) -> PairingKeys:
    return PairingKeys(ltk=PairingKeys.Key(bytes([number]) * 16))


async def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    bonds = Bonds(tmp_path)
    await bonds.update(DEVICE, _keys(7))
    again = Bonds(tmp_path)
    assert again.address == bonds.address
    kept = await again.get(DEVICE)
    assert kept is not None
    assert kept.to_dict() == _keys(7).to_dict()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"version": 2}',
        '{"version": 1, "address": "C4:64:E3:00:00:01"}',
        '{"version": 1, "address": "00:11:22:33:44:55", "bonds": {}}',
        '{"version": 1, "address": "C4:64:E3:00:00:01", "bonds": {"x": {"ltk": {"value": "zz"}}}}',
        '{"version": 1, "address": "C4:64:E3:00:00:01", "bonds": {"x": 1}}',
        '{"version": 1, "address": "C4:64:E3:00:00:01", "bonds": {"C4:64:E3:00:00": {}}}',
        BROKEN_KEY,
    ],
)
async def test_what_cannot_be_read_is_set_aside(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE_NAME).write_text(text)
    bonds = Bonds(tmp_path)
    assert await bonds.get_all() == []
    assert bonds.address.is_static
    assert (tmp_path / SET_ASIDE_NAME).read_text() == text
    assert Bonds(tmp_path).address == bonds.address


@pytest.mark.parametrize("cut", [0.0, 0.3, 0.9])
async def test_a_power_cut_while_writing_leaves_the_bonds_of_before(
    tmp_path: Path, cut: float
) -> None:
    await Bonds(tmp_path).update(DEVICE, _keys())
    whole = (tmp_path / FILE_NAME).read_bytes()
    part = tmp_path / FILE_NAME.replace(".json", ".part")
    part.write_bytes(whole[: int(len(whole) * cut)])
    bonds = Bonds(tmp_path)
    assert bonds.is_bonded(DEVICE)
    await bonds.update("C4:64:E3:00:00:02", _keys())
    assert Bonds(tmp_path).is_bonded("C4:64:E3:00:00:02")
    assert not part.exists()


async def test_a_bond_that_cannot_be_written_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bonds = Bonds(tmp_path)

    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="space"):
        await bonds.update(DEVICE, _keys())
    assert not bonds.is_bonded(DEVICE)
    monkeypatch.undo()
    assert not Bonds(tmp_path).is_bonded(DEVICE)


async def test_the_bond_made_longest_ago_is_let_go_beyond_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BONDS_MAX", 3)
    bonds = Bonds(tmp_path)
    for number in range(4):
        await bonds.update(f"C4:64:E3:00:00:0{number}", _keys())
        await bonds.update("C4:64:E3:00:00:00", _keys())  # the first is renewed each time
    assert {name for name, _ in await bonds.get_all()} == {
        "C4:64:E3:00:00:00",
        "C4:64:E3:00:00:02",
        "C4:64:E3:00:00:03",
    }


async def test_a_public_address_is_known_with_and_without_its_mark() -> None:
    bonds = Bonds(None)
    await bonds.update("00:11:22:33:44:55/P", _keys())
    assert bonds.is_bonded("00:11:22:33:44:55")
    assert bonds.is_bonded("00:11:22:33:44:55/P")
    await bonds.delete("00:11:22:33:44:55")
    assert not bonds.is_bonded("00:11:22:33:44:55/P")


async def test_a_key_of_zeros_names_nobody() -> None:
    """Devices that do not change their address send such a key."""
    bonds = Bonds(None)
    keys = _keys()
    keys.irk = PairingKeys.Key(bytes(16))
    await bonds.update(DEVICE, keys)
    assert await bonds.get_resolving_keys() == []


async def test_the_file_tells_its_version_first(tmp_path: Path) -> None:
    await Bonds(tmp_path).update(DEVICE, _keys())
    written = json.loads((tmp_path / FILE_NAME).read_bytes())
    assert next(iter(written.items())) == ("version", 1)
