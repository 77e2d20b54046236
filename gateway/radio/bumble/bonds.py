"""Bonds: the keys of bonded devices and our own address, in one file of the data directory.

They belong together: a bond is with our address, and another address is a stranger to every
device. The file is replaced whole, so that a power cut leaves the old or the new one, and is
for our account alone. What cannot be read is set aside, never overwritten.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bumble import hci
from bumble.keys import KeyStore, PairingKeys

from gateway.log import get_logger

_log = get_logger()

FILE_NAME: Final = "bonds.json"
SET_ASIDE_NAME: Final = "bonds.unreadable.json"
_VERSION: Final = 1

# More than a box serves in its life; beyond it the bond made longest ago is let go.
BONDS_MAX: Final = 256
# A bond is some 300 bytes.
_FILE_BYTES_MAX: Final = 1 << 20

_NO_KEY: Final = bytes(16)  # of a device that does not change its address
_PUBLIC: Final = "/P"  # Bumble's mark of a public address in a name


class Bonds(KeyStore):
    """What Bumble asks for keys.

    Args:
        directory: Where the file lies, made if need be; None keeps nothing.

    Raises:
        OSError: The directory or the file cannot be used.
    """

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._keys: dict[str, PairingKeys] = {}
        self.address = hci.Address.generate_static_address()
        if directory is not None:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._read(directory):
                self._write(self._keys)

    def is_bonded(self, device_id: str) -> bool:
        """Return whether there are keys for a device, named with or without its address' type."""
        return device_id in self._keys or device_id + _PUBLIC in self._keys

    async def get(self, name: str) -> PairingKeys | None:
        return self._keys.get(name)

    async def get_all(self) -> list[tuple[str, PairingKeys]]:
        return list(self._keys.items())

    async def get_resolving_keys(self) -> list[tuple[bytes, hci.Address]]:
        keys = await super().get_resolving_keys()
        return [(key, address) for key, address in keys if key != _NO_KEY]

    async def update(self, name: str, keys: PairingKeys) -> None:
        """Keep a bond, in place of the one there was.

        Raises:
            OSError: It is not kept.
        """
        kept = {each: its for each, its in self._keys.items() if each != name}
        while len(kept) >= BONDS_MAX:
            oldest = next(iter(kept))
            del kept[oldest]
            _log.warning("radio.bond_let_go", device_id=oldest, bonds_max=BONDS_MAX)
        self._replace({**kept, name: keys})

    async def delete(self, name: str) -> None:
        """Throw a device's keys away, named with or without its address' type.

        Raises:
            OSError: They are kept.
        """
        names = {name, name + _PUBLIC, name.removesuffix(_PUBLIC)}
        kept = {each: its for each, its in self._keys.items() if each not in names}
        if len(kept) != len(self._keys):
            self._replace(kept)

    def _replace(self, keys: dict[str, PairingKeys]) -> None:
        self._write(keys)
        self._keys = keys

    def _read(self, directory: Path) -> bool:
        path = directory / FILE_NAME
        try:
            with path.open("rb") as file:
                self.address, self._keys = _decode(file.read(_FILE_BYTES_MAX))
        except FileNotFoundError:
            return False
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            # Whoever bonded must pair anew; the file stays for whoever wants to know why.
            _log.error("radio.bonds_unreadable", error=repr(error), set_aside=SET_ASIDE_NAME)
            path.replace(directory / SET_ASIDE_NAME)
            return False
        return True

    def _write(self, keys: Mapping[str, PairingKeys]) -> None:
        if self._directory is None:
            return
        path = self._directory / FILE_NAME
        part = path.with_suffix(".part")
        part.unlink(missing_ok=True)  # of a power cut
        # Made for our account alone, rather than made and then closed to others.
        file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(file, "wb") as stream:  # noqa: PTH123 - an open file
            stream.write(_encode(self.address, keys))
            stream.flush()
            os.fsync(file)
        part.replace(path)
        directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _encode(address: hci.Address, keys: Mapping[str, PairingKeys]) -> bytes:
    bonds = {name: its.to_dict() for name, its in keys.items()}
    written = {"version": _VERSION, "address": str(address), "bonds": bonds}
    return json.dumps(written, indent=1).encode()


def _decode(written: bytes) -> tuple[hci.Address, dict[str, PairingKeys]]:
    read: Any = json.loads(written)
    if read["version"] != _VERSION:
        problem = f"version {read['version']!r}"
        raise ValueError(problem)
    address = hci.Address(read["address"])
    if not address.is_static:
        problem = "not a random static address"
        raise ValueError(problem)
    return address, {name: _usable(name, its) for name, its in read["bonds"].items()}


def _usable(name: str, its: dict[str, Any]) -> PairingKeys:
    """Return a device's keys; ``ValueError`` for what would keep Bumble from starting."""
    hci.Address(name)
    keys = PairingKeys.from_dict(its)
    for key in (keys.ltk, keys.ltk_central, keys.ltk_peripheral, keys.irk):
        if key is not None and len(key.value) != len(_NO_KEY):
            problem = f"a key of {len(key.value)} bytes"
            raise ValueError(problem)
    return keys
