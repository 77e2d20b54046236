"""``gateway install-service``: the box starts the gateway by itself, and keeps it in its place."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from gateway.commands.terminal import BAD_CONFIGURATION, ConfigFile, complain, configuration
from gateway.config import Config
from gateway.systemd import SERVICE, Unit

NOT_WRITTEN: Final = 1

# Where systemd looks for what an administrator has put there.
UNITS: Final = Path("etc/systemd/system")
ACCOUNTS: Final = Path("etc/sysusers.d")

# The service manager makes a data directory of the account's here, and only here.
_STATES: Final = Path("/var/lib")
# Closed to the service, and often to every account but one.
_HOMES: Final = (Path("/home"), Path("/root"), Path("/run/user"))


def install_service(
    *,
    config: ConfigFile,
    dry_run: bool = False,
    root: Annotated[Path, Parameter(help="Write below this directory instead.")] = Path("/"),
) -> int:
    """Write the systemd unit and the account it runs under; say what to do next.

    Running it again changes nothing, unless the configuration or this program has moved.

    Args:
        config: The gateway's TOML file.
        dry_run: Show what would be written, and write nothing.
        root: The system to write to; for building images.
    """
    path = config.absolute()
    settings = configuration(path)
    if problems := list(_problems(path, settings)):
        return complain("\n".join(problems), BAD_CONFIGURATION)
    unit = _unit(path, settings)
    files = {
        root / ACCOUNTS / f"{SERVICE}.conf": unit.account_text(),
        root / UNITS / f"{SERVICE}.service": unit.text(),
    }
    for file, text in files.items():
        if dry_run:
            print(f"# {file}\n{text}")
            continue
        try:
            print(f"{'written' if _write(file, text) else 'unchanged'}: {file}")
        except OSError as error:
            words = f"{file} cannot be written ({error.strerror}). Run this as root"
            return complain(words, NOT_WRITTEN)
    if not dry_run:
        print(_next(path, settings))
    return 0


def _problems(path: Path, config: Config) -> Iterator[str]:
    """Yield why the service could not work, one line each: ``key: problem. cure``."""
    if config.data_dir.parent != _STATES:
        cure = f"Give {_STATES}/{SERVICE}, or another directory right below {_STATES}"
        yield f"data_dir: {config.data_dir} cannot be the service's. {cure}"
    for what, place in (("--config", path), ("python", Path(sys.executable))):
        if any(place.is_relative_to(home) for home in _HOMES):
            cure = "Move it, for example to /etc/egenmonitor or /opt/egenmonitor"
            yield f"{what}: {place} lies in a home, which is closed to the service. {cure}"
    if any(character.isspace() or character in "\"'%\\" for character in str(path)):
        yield f"--config: {path} has a character in it that means something to systemd. Rename it"


def _unit(path: Path, config: Config) -> Unit:
    uses_bluez = config.radio.backend == "bluez"
    groups, devices = _of_radio(config) if not uses_bluez else (["bluetooth"], [])
    if config.feedback.output == "gpio":
        groups.append("gpio")
        devices.append(config.feedback.chip)
    return Unit(
        python=Path(sys.executable),
        config=path,
        state=config.data_dir.name,
        groups=tuple(groups),
        devices=tuple(devices),
        needs_bluetoothd=uses_bluez,
    )


def _of_radio(config: Config) -> tuple[list[str], list[str]]:
    """Return the groups and devices that a controller of our own needs."""
    kind, _, address = config.radio.transport.partition(":")
    if kind == "serial":
        return ["dialout"], [address.split(",")[0]]
    if kind in {"usb", "pyusb"}:
        return ["plugdev"], ["char-usb_device"]
    return [], []


def _write(file: Path, text: str) -> bool:
    """Put *text* in *file* in one step; return whether it was not there already."""
    if file.exists() and file.read_text(encoding="utf-8") == text:
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f".{file.name}.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.chmod(0o644)
    fresh.replace(file)
    return True


def _next(path: Path, config: Config) -> str:
    steps = [
        "systemd-sysusers",
        "systemctl daemon-reload",
        f"systemctl enable --now {SERVICE}",
        f"{Path(sys.executable)} -m gateway doctor --config {path}",
    ]
    if not path.stat().st_mode & 0o004:
        steps.insert(1, f"chown {SERVICE} {path}")
    if not config.uplink.uses_tls:
        enrol = f"{Path(sys.executable)} -m gateway enrol CODE --config {path}"
        steps.insert(-1, f"{enrol}   # with a code from the service's page")
    return "\nNow:\n" + "\n".join(f"  {step}" for step in steps)
