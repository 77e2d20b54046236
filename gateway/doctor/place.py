"""Place: the account, the data directory and what lies in it, the disk below it."""

import contextlib
import errno
import fcntl
import os
import pwd
import shutil
import sqlite3
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gateway.certificate import LINK
from gateway.config import Config
from gateway.database import (
    BALLAST_BYTES,
    BALLAST_NAME,
    FILE_NAME,
    LOCK_NAME,
    MIGRATIONS,
    read_only,
)
from gateway.doctor.finding import Finding, fail, ok, warn
from gateway.inbox import REPLAYS_MAX
from gateway.radio.config import KEYS_DIRECTORY
from gateway.systemd import SERVICE

# Below this the store may not grow to its bound, while the log and the system want room too.
FREE_BYTES_MIN: Final = 128 * 1024 * 1024

# A write of one page, down to the card. A good card takes milliseconds, a hard disk tens; one
# that takes longer holds up the radio's callbacks, and is usually about to die.
WRITE_S_GOOD: Final = 1.0
_PAGE: Final = bytes(4096)

# What nobody but the account itself may read: bonds, and keys of certificates old and new.
_SECRETS: Final = (f"{KEYS_DIRECTORY}/**/*", f"{LINK}-*/*")
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_WRITABLE_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


def is_running(data_dir: Path) -> bool:
    """Return whether a gateway holds the data directory now.

    Raises:
        PermissionError: This account may not look.
    """
    try:
        with (data_dir / LOCK_NAME).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def gateway(config: Config) -> Iterator[Finding]:
    """Look whether one runs, and as whom we look."""
    account = _name(os.geteuid())
    try:
        running = is_running(config.data_dir)
    except PermissionError:
        owner = _name(config.data_dir.stat().st_uid)
        words = f"{account} may not look into {config.data_dir}"
        yield fail("gateway", words, f"run this as root or as {owner}")
        return
    if running:
        yield ok("gateway", f"{config.gateway_id} runs; looked at as {account}")
    else:
        words = f"{config.gateway_id} does not run"
        yield warn("gateway", words, f"systemctl start {SERVICE}, then look again")


def directory(config: Config) -> Iterator[Finding]:
    """Look at who may read and write what, and at what must be secret."""
    place = config.data_dir
    if not place.is_dir():
        words, cure = f"{place} is not there", "start the gateway once: it makes it"
        yield fail("permissions", words, cure)
        return
    problems = [*_unusable(place), *_secrets_open(place), *_secrets_configured(config)]
    if problems:
        yield from (fail("permissions", words, cure) for words, cure in problems)
    else:
        yield ok("permissions", f"{place} is {_name(place.stat().st_uid)}'s alone")


def _unusable(place: Path) -> Iterator[tuple[str, str]]:
    account = _name(os.geteuid())
    if not os.access(place, os.R_OK | os.W_OK | os.X_OK):
        yield f"{account} may not write in {place}", f"chown -R {account} {place}"
        return
    if place.stat().st_mode & _OTHERS:
        yield f"other accounts may look into {place}", f"chmod 700 {place}"
    for file in sorted(place.rglob("*")):
        if not file.is_symlink() and not os.access(file, os.R_OK | os.W_OK):
            yield f"{account} may not use {file}", f"chown -R {account} {place}"
            return


def _secrets_open(place: Path) -> Iterator[tuple[str, str]]:
    for pattern in _SECRETS:
        for file in sorted(place.glob(pattern)):
            if file.is_file() and file.stat().st_mode & _OTHERS:
                yield f"other accounts may read {file}", f"chmod 600 {file}"


def _secrets_configured(config: Config) -> Iterator[tuple[str, str]]:
    for file in (config.uplink.password_file, config.uplink.key_file):
        if file is None:
            continue
        try:
            is_open = file.stat().st_mode & _OTHERS
            with file.open("rb"):
                pass
        except OSError as error:
            account = _name(os.geteuid())
            yield f"{account} cannot read {file} ({error.strerror})", f"chown {account} {file}"
        else:
            if is_open:
                yield f"other accounts may read {file}", f"chmod 600 {file}"


def config_file(path: Path) -> Iterator[Finding]:
    """Look at who may change the configuration."""
    if path.stat().st_mode & _WRITABLE_BY_OTHERS:
        words = f"other accounts may change {path}"
        yield fail("configuration", words, f"chmod go-w {path}")
    else:
        yield ok("configuration", f"{path} is good")


def store(config: Config) -> Iterator[Finding]:
    """Look whether the store is whole, of a version we know, and what waits in it."""
    path = config.data_dir / FILE_NAME
    if not path.exists():
        yield warn("store", "there is none yet", "start the gateway once: it makes it")
        return
    try:
        with read_only(config.data_dir) as connection:
            yield from _store(connection)
    except sqlite3.DatabaseError as error:
        cure = f"stop the gateway, move {path} away and keep it, start the gateway"
        yield fail("store", f"{FILE_NAME} cannot be read ({error})", cure)


def _store(connection: sqlite3.Connection) -> Iterator[Finding]:
    (version,) = connection.execute("pragma user_version").fetchone()
    if version > len(MIGRATIONS):
        words = f"the store is of version {version}, newest known here: {len(MIGRATIONS)}"
        yield fail("store", words, "install the newer program again")
        return
    if version < len(MIGRATIONS):
        words = f"the store is of version {version}; this program makes it {len(MIGRATIONS)}"
        yield warn("store", words, f"systemctl restart {SERVICE}")
        return
    (verdict,) = connection.execute("pragma quick_check(1)").fetchone()
    if verdict != "ok":
        words = f"the store is damaged: {verdict}"
        yield fail("store", words, "keep the file, and change the SD card: it forgets")
        return
    (waiting,) = connection.execute("select count(*) from outbox").fetchone()
    query = "select count(*) from session where replays >= ?"
    (aside,) = connection.execute(query, (REPLAYS_MAX,)).fetchone()
    if aside:
        words = f"{aside} sessions of a device could not be read by this version"
        yield warn("store", words, "update the program; nothing is lost meanwhile")
    else:
        yield ok("store", f"version {version}, whole; {waiting} readings wait for a receipt")


def disk(config: Config) -> Iterator[Finding]:
    """Look for room, for what is kept in reserve, and whether a write reaches the disk."""
    place = config.data_dir
    if not place.is_dir():
        return  # told by `directory`
    try:
        took_s = _write_s(place)
    except OSError as error:
        yield fail("disk", *_not_written(place, error))
        return
    free_bytes = shutil.disk_usage(place).free
    room = f"{free_bytes // 1024 // 1024} MiB free at {place}"
    ballast = place / BALLAST_NAME
    if free_bytes < BALLAST_BYTES:
        yield fail("disk", room, f"make room: du -xh {place} / | sort -h | tail")
    elif free_bytes < FREE_BYTES_MIN:
        yield warn("disk", room, "make room: journalctl --vacuum-size=50M")
    elif (place / FILE_NAME).exists() and not ballast.exists():
        words = f"{room}, and the reserve is not there"
        yield warn("disk", words, "wait a minute beside a running gateway: it makes it anew")
    elif took_s > WRITE_S_GOOD:
        words = f"a write took {took_s:.1f} s"
        yield warn("disk", words, "change the SD card: it is worn out")
    else:
        yield ok("disk", f"{room}; a write takes {1000 * took_s:.0f} ms")


def _not_written(place: Path, error: OSError) -> tuple[str, str]:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk of {place} is full", f"make room: du -xh {place} / | sort -h | tail"
    if error.errno == errno.EROFS:
        return f"{place} is read-only", "change the SD card: the system has given it up"
    return f"{place} cannot be written ({error.strerror})", "see the line `permissions`"


def _write_s(place: Path) -> float:
    begun_s = time.monotonic()
    with tempfile.NamedTemporaryFile(dir=place, prefix=".doctor-") as file:
        file.write(_PAGE)
        file.flush()
        os.fsync(file.fileno())
    return time.monotonic() - begun_s


def _name(uid: int) -> str:
    with contextlib.suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return str(uid)
