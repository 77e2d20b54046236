"""Home: what time it is here, which devices belong here, and what the room is told."""

import importlib.util
import os
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from gateway.config import Config
from gateway.database import from_us, read_only
from gateway.doctor.finding import Finding, fail, ok, warn
from gateway.kept import Unreadable, read_kept
from gateway.lending import local, remote
from gateway.plugins import load
from gateway.timekeeper import Clocks

_SET_NTP: Final = "timedatectl set-ntp true, and open UDP port 123 outwards"


def clock(config: Config, clocks: Clocks) -> Iterator[Finding]:
    """Look whether the clock is set, and not before what is known to have been."""
    newest = _newest(config)
    now = clocks.wall()
    shown = f"{now:%Y-%m-%d %H:%M} UTC"
    if newest is not None and now < newest:
        words = f"the clock shows {shown}, and the store has heard of {newest:%Y-%m-%d %H:%M}"
        yield fail("clock", words, _SET_NTP)
    elif clocks.is_synchronised():
        yield ok("clock", f"{shown}, kept right by network time")
    else:
        yield warn("clock", f"{shown}, and no network time keeps it right", _SET_NTP)


def _newest(config: Config) -> datetime | None:
    """Return when the last reading in the store was received; none if that cannot be known."""
    query = (
        "select max(received_us) from"
        " (select received_us from outbox union all select received_us from seen)"
    )
    try:
        with read_only(config.data_dir) as connection:
            (newest_us,) = connection.execute(query).fetchone()
    except (FileNotFoundError, sqlite3.DatabaseError):  # told by the line `store`
        return None
    return None if newest_us is None else from_us(newest_us)


def lending(config: Config) -> Iterator[Finding]:
    """Look which devices are served."""
    try:
        kept = read_kept(config.data_dir, config.gateway_id).config
    except Unreadable as error:
        words = f"what the service sent is damaged: {error}"
        yield fail("devices", words, "save the lending list on the service's page once more")
        return
    listed = local(config.session.devices) if kept is None else remote(kept)
    whose = "the file's" if kept is None else f"the service's version {kept.config_version}"
    if listed.serves_others:
        words = f"{whose} list: every device that is heard is served, the neighbours' too"
        yield warn("devices", words, "lend the devices to this home on the service's page")
    elif not listed.models:
        words = f"{whose} list is empty: nothing is served"
        yield warn("devices", words, "lend a device to this home on the service's page")
    else:
        yield ok("devices", f"{whose} list: {len(listed.models)}")


def feedback(config: Config) -> Iterator[Finding]:
    """Look whether the light or buzzer can work."""
    output = config.feedback
    if output.output == "none":
        yield ok("feedback", "no light or buzzer is wanted")
    elif output.output == "command":
        program = output.command[0] if output.command else ""
        if shutil.which(program) is None:
            words = f"feedback.command: {program or 'no program'} cannot be run"
            yield fail("feedback", words, "give a program this account may run")
        else:
            yield ok("feedback", f"tells {program}")
    elif importlib.util.find_spec("gpiod") is None:
        yield fail("feedback", "the library gpiod is not installed", "pip install gpiod")
    elif not os.access(output.chip, os.R_OK | os.W_OK):
        words = f"{output.chip} is not there, or this account may not use it"
        yield fail("feedback", words, "put the account into the group gpio, or correct chip")
    else:
        yield ok("feedback", f"lines of {output.chip}")


def packages() -> Iterator[Finding]:
    """Look whether third-party packages of devices can be used."""
    broken = load()
    for name, why in broken.items():
        yield fail("packages", f"{name} is not used: {why}", f"update or remove {name}")
    if not broken:
        yield ok("packages", "every package of devices that is installed can be used")
