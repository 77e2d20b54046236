"""``gateway reset``: the box forgets the home it stood in, before it goes to another."""

import asyncio
import fcntl
import os
import shutil
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gateway import certificate, kept
from gateway.commands.terminal import (
    IN_USE,
    ConfigFile,
    complain,
    configuration,
    step_down,
)
from gateway.config import Config
from gateway.connection import RADIO_ERRORS
from gateway.control import SOCKET_NAME
from gateway.database import BALLAST_NAME, FILE_NAME, LOCK_NAME, StoreInUse, depths, read_only
from gateway.memory import recorded
from gateway.radio import open_radio
from gateway.radio.config import KEYS_DIRECTORY

NOT_CONFIRMED: Final = 3
INCOMPLETE: Final = 1

# What lies in the data directory besides the identity, which knows its own names. Only these:
# a data directory that was named wrongly, such as a home, keeps what is not ours.
_OURS: Final = (
    FILE_NAME,
    f"{FILE_NAME}-wal",
    f"{FILE_NAME}-shm",
    BALLAST_NAME,
    KEYS_DIRECTORY,
    kept.FILE_NAME,
    kept.FRESH_NAME,
    SOCKET_NAME,
)

# Each bond is one call to bluetoothd, which answers at once or not at all.
_FORGET_S_MAX: Final = 30.0


def reset(*, config: ConfigFile, yes: bool = False) -> int:
    """Wipe store, bonds, keys, certificate and the configuration that came down.

    The gateway's TOML file stays. What is wiped is unlinked, not overwritten: a memory card
    writes elsewhere anyway, so a box that leaves the organisation has its card destroyed.

    Args:
        config: The gateway's TOML file.
        yes: Do not ask; for scripts.
    """
    settings = configuration(config)
    step_down(settings.data_dir)
    if not settings.data_dir.is_dir():
        print(f"{settings.data_dir} is not there: nothing to wipe")
        return 0
    try:
        with _held(settings.data_dir):
            if not yes and not _is_confirmed(settings):
                return complain("nothing was wiped", NOT_CONFIRMED)
            problems = [*_forget_bonds(settings), *wipe(settings.data_dir)]
    except StoreInUse as error:
        return complain(f"data_dir: {error}. Stop it first: systemctl stop", IN_USE)
    for problem in problems:
        complain(problem, INCOMPLETE)
    if problems:
        return INCOMPLETE
    print(f"wiped: {settings.gateway_id} knows nothing of this home any more")
    return 0


@contextmanager
def _held(data_dir: Path) -> Iterator[None]:
    """Keep every gateway off *data_dir*; a new one may come when its store is gone."""
    with (data_dir / LOCK_NAME).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            problem = f"a gateway runs on {data_dir}"
            raise StoreInUse(problem) from error
        yield


def _is_confirmed(config: Config) -> bool:
    waiting = _waiting(config.data_dir)
    if waiting:
        print(f"{waiting} have not reached the service and would be lost.")
    print("Store, bonds, keys, certificate and lending list will be wiped.")
    print(f"Type {config.gateway_id} to do it: ", end="", flush=True)
    return sys.stdin.readline().strip() == config.gateway_id


def _waiting(data_dir: Path) -> str:
    try:
        inbox, outbox, _ = depths(data_dir)
    except (FileNotFoundError, sqlite3.DatabaseError):
        return ""
    return f"{outbox} readings and {inbox} raw values" if inbox or outbox else ""


def _forget_bonds(config: Config) -> Iterator[str]:
    """Let bluetoothd forget our devices; our own stack's bonds are files. Yield what failed."""
    if config.radio.backend != "bluez" or not (devices := _known_devices(config.data_dir)):
        return
    try:
        asyncio.run(_forget(config, devices))
    except (*RADIO_ERRORS,) as error:
        listed = ", ".join(devices)
        words = f"bluetoothd may still have keys of {listed} ({error.args[0]})"
        yield f"{words}. For each: bluetoothctl remove ADDRESS"


async def _forget(config: Config, devices: Iterable[str]) -> None:
    async with asyncio.timeout(_FORGET_S_MAX), open_radio(config.radio) as radio:
        for device_id in devices:
            await radio.forget(device_id)


def _known_devices(data_dir: Path) -> list[str]:
    try:
        with read_only(data_dir) as connection:
            return [known.device_id for known in recorded(connection)]
    except (FileNotFoundError, sqlite3.DatabaseError):
        return []


def wipe(data_dir: Path) -> list[str]:
    """Remove all of ours from *data_dir*; return what went wrong, and what is not ours."""
    problems = []
    for name in _OURS:
        path = data_dir / name
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            problems.append(f"{path} is still there ({error.strerror})")
    try:
        # Last: an enrolled box without it has no configuration, and could not be reset again.
        if not problems:
            certificate.wipe(data_dir)
    except OSError as error:
        problems.append(f"{error.filename} is still there ({error.strerror})")
    left = sorted(path.name for path in data_dir.iterdir() if path.name != LOCK_NAME)
    if left:
        problems.append(f"not ours and left in {data_dir}: {', '.join(left)}")
    _sync(data_dir)
    return problems


def _sync(directory: Path) -> None:
    """Make the unlinking durable: a power cut must not bring a key back."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
