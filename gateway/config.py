"""Config of the gateway: read once, from TOML and the environment; every problem at once.

``EGENMONITOR_GATEWAY__UPLINK__HOST`` overrides ``host`` under ``[uplink]``. Secrets stand in
files of their own, named by ``…_file`` keys, never in the configuration itself. What neither
says, enrolment may have said (gateway/certificate.py).
"""

import contextlib
import difflib
import os
import tomllib
import zoneinfo
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from devices.wire import HEARTBEAT_S_MAX, is_gateway_id
from gateway.certificate import DEFAULTS
from gateway.radio.config import RadioConfig
from gateway.settings import BadValue, Checked, ConfigProblems, Problem, build, overridden

ENVIRONMENT_PREFIX: Final = "EGENMONITOR_GATEWAY__"

# A password or a key is a line or a page; more is the wrong file.
_SECRET_BYTES_MAX: Final = 64 * 1024

# Keys under [uplink] that go together: who gives one of them gives all.
_TOGETHER: Final = (("host", "port"), ("ca_file", "cert_file", "key_file"))

# A box that is enrolled has these from its server.
_ENROL: Final = "or enrol the box: python -m gateway enrol"


def _gateway_id(text: str) -> str:
    if not is_gateway_id(text):
        problem = f"{text!r} cannot name a gateway"
        raise BadValue(problem, "Give 1 to 64 letters, digits, _ or -")
    return text


def _time_zone(name: str) -> str:
    try:
        zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        near = difflib.get_close_matches(name, zoneinfo.available_timezones(), n=1)
        meant = f"Did you mean {near[0]!r}?" if near else "Give a name such as 'Europe/Stockholm'"
        problem = f"{name!r} is not a time zone"
        raise BadValue(problem, meant) from error
    return name


def _device_id(text: str) -> str:
    groups = text.split(":")
    if len(groups) != 6 or not all(len(g) == 2 and _is_hex(g) for g in groups):  # noqa: PLR2004
        problem = f"{text!r} is not a Bluetooth address"
        raise BadValue(problem, "Give it like 'C4:64:E3:00:00:01'")
    return text.upper()


def _is_hex(text: str) -> bool:
    return all(character in "0123456789abcdefABCDEF" for character in text)


def _readable(path: Path) -> Path:
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        problem = f"{str(path)!r} cannot be read ({error.strerror})"
        raise BadValue(problem, "Give the path of a file this account may read") from error
    return path


ReadableFile = Annotated[Path, Checked(_readable)]
Address = Annotated[
    str, Checked(_device_id), Meta(description="an address such as 'C4:64:E3:00:00:01'")
]
Word = Annotated[str, Meta(min_length=1, max_length=253)]
Argument = Annotated[str, Meta(min_length=1, max_length=4096, description="a word of a command")]
Line = Annotated[int, Meta(ge=0, le=1023)]


_LINE: Final = "for gpio: a line's number, 0 to 1023"


class SessionConfig(Struct, frozen=True, kw_only=True):
    """How devices are served."""

    idle_s: Annotated[
        float,
        Meta(ge=0.5, le=120, description="seconds without a value that end a session, 0.5 to 120"),
    ] = 5.0
    connect_timeout_s: Annotated[
        float, Meta(ge=1, le=60, description="seconds for one try to connect, 1 to 60")
    ] = 10.0
    devices: Annotated[
        tuple[Address, ...],
        Meta(max_length=64, description="the addresses of the devices to serve; empty for all"),
    ] = ()


class UplinkConfig(Struct, frozen=True, kw_only=True):
    """The broker, and who we are to it."""

    host: Annotated[Word, Meta(description=f"the broker's name or address ({_ENROL})")]
    port: Annotated[
        int,
        Meta(ge=1, le=65535, description="the broker's port, 1 to 65535; 8883 is usual with TLS"),
    ] = 8883
    username: Annotated[Word | None, Meta(description="the user name")] = None
    password_file: Annotated[ReadableFile | None, Meta(description="a file with the password")] = (
        None
    )
    tls: Annotated[bool, Meta(description="true or false; any of the files below means true")] = (
        False
    )
    ca_file: Annotated[
        ReadableFile | None, Meta(description="the certificate authority's PEM file")
    ] = None
    cert_file: Annotated[
        ReadableFile | None, Meta(description="the gateway's certificate, PEM")
    ] = None
    key_file: Annotated[ReadableFile | None, Meta(description="the gateway's private key, PEM")] = (
        None
    )
    resend_after_s: Annotated[
        float, Meta(ge=0.1, le=60, description="seconds to the first resend, 0.1 to 60")
    ] = 30.0

    def problems(self) -> Iterator[Problem]:
        """Yield what does not go together."""
        if (self.cert_file is None) != (self.key_file is None):
            problem = "a certificate without its key, or the reverse"
            yield Problem("", problem, "Give both cert_file and key_file, or neither")
        if self.password_file is not None and self.username is None:
            yield Problem("", "a password without a user name", "Give username too")

    @property
    def uses_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.tls or self.ca_file is not None or self.cert_file is not None

    def password(self) -> str | None:
        """Return the password as it stands in its file now, without the final newline."""
        if self.password_file is None:
            return None
        with self.password_file.open(encoding="utf-8") as file:
            return file.read(_SECRET_BYTES_MAX).rstrip("\r\n")


class HeartbeatConfig(Struct, frozen=True, kw_only=True):
    """How often the gateway says that it lives."""

    interval_s: Annotated[
        float,
        Meta(
            ge=1,
            le=HEARTBEAT_S_MAX,
            description=f"seconds between two heartbeats, 1 to {HEARTBEAT_S_MAX}",
        ),
    ] = 60.0


class ClockConfig(Struct, frozen=True, kw_only=True):
    """When the gateway's own clock is doubted."""

    doubt_after_boot_s: Annotated[
        float,
        Meta(
            ge=0,
            le=86_400,
            description="seconds after boot within which a clock that no network has set is"
            " doubted, 0 to 86400; 0 is for a clock that is known to be right",
        ),
    ] = 900.0


class FeedbackConfig(Struct, frozen=True, kw_only=True):
    """The light or buzzer that tells the room what became of a measurement."""

    output: Annotated[
        Literal["none", "gpio", "command"], Meta(description="'none', 'gpio' or 'command'")
    ] = "none"
    chip: Annotated[Word, Meta(description="for gpio: the chip's device file")] = "/dev/gpiochip0"
    green_line: Annotated[Line | None, Meta(description=_LINE)] = None
    yellow_line: Annotated[Line | None, Meta(description=_LINE)] = None
    red_line: Annotated[Line | None, Meta(description=_LINE)] = None
    buzzer_line: Annotated[Line | None, Meta(description=_LINE)] = None
    command: Annotated[
        tuple[Argument, ...],
        Meta(
            max_length=32,
            description="for command: the program and its arguments in a list; the event's name"
            " is appended",
        ),
    ] = ()
    command_s_max: Annotated[
        float, Meta(ge=0.1, le=60, description="seconds the command may take, 0.1 to 60")
    ] = 5.0

    def problems(self) -> Iterator[Problem]:
        """Yield what does not go together."""
        lines = (self.green_line, self.yellow_line, self.red_line, self.buzzer_line)
        if self.output == "gpio" and all(line is None for line in lines):
            cure = "Give green_line, yellow_line, red_line or buzzer_line"
            yield Problem("output", "'gpio' without any line", cure)
        if self.output == "command" and not self.command:
            yield Problem("command", "is missing", "Give the program and its arguments in a list")


class WatchdogConfig(Struct, frozen=True, kw_only=True):
    """When silence on the radio is looked into."""

    silent_s: Annotated[
        float,
        Meta(
            ge=1,
            le=86_400,
            description="seconds without any advertisement that are looked into, 1 to 86400",
        ),
    ] = 120.0  # who always advertises has then been missed eleven times in a row: Core 5.4, 10.24 s


class LogConfig(Struct, frozen=True, kw_only=True):
    """What the log looks like."""

    format: Annotated[
        Literal["auto", "json", "text"],
        Meta(description="'json', 'text', or 'auto': text at a terminal, JSON elsewhere"),
    ] = "auto"


class Config(Struct, frozen=True, kw_only=True):
    """All a gateway needs to know."""

    gateway_id: Annotated[
        str,
        Checked(_gateway_id),
        Meta(description=f"the gateway's id, as the service knows it ({_ENROL})"),
    ]
    time_zone: Annotated[
        str,
        Checked(_time_zone),
        Meta(description="the time zone that devices' clocks show"),
    ] = "Europe/Stockholm"
    data_dir: Annotated[Path, Meta(description="the directory for what must survive a power cut")]
    radio: RadioConfig = RadioConfig()
    session: SessionConfig = SessionConfig()
    uplink: UplinkConfig
    heartbeat: HeartbeatConfig = HeartbeatConfig()
    clock: ClockConfig = ClockConfig()
    feedback: FeedbackConfig = FeedbackConfig()
    watchdog: WatchdogConfig = WatchdogConfig()
    log: LogConfig = LogConfig()

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        """The time zone that devices' clocks show."""
        return zoneinfo.ZoneInfo(self.time_zone)


class _Place(Struct, frozen=True, kw_only=True):
    data_dir: Annotated[Path, Meta(description="the directory for what must survive a power cut")]


def load(path: Path) -> Config:
    """Return the configuration in *path*, overridden by the environment.

    What neither gives is as enrolment left it in the data directory, if it did.

    Raises:
        ConfigProblems: It cannot be used; holds everything that is wrong with it.
    """
    keys = overridden(_read(path), os.environ, ENVIRONMENT_PREFIX)
    return build(Config, _with_enrolment(keys), ENVIRONMENT_PREFIX)


def data_dir(path: Path) -> Path:
    """Return the data directory of a configuration that may lack the rest.

    Raises:
        ConfigProblems: The file cannot be read, or does not say.
    """
    keys = overridden(_read(path), os.environ, ENVIRONMENT_PREFIX)
    known = {name: key for name, key in keys.items() if name == "data_dir"}
    return build(_Place, known, ENVIRONMENT_PREFIX).data_dir


def _with_enrolment(keys: dict[str, Any]) -> dict[str, Any]:
    enrolled = Path(str(keys.get("data_dir", ""))) / DEFAULTS
    own = keys.get("uplink", {})
    with contextlib.suppress(OSError):
        if "data_dir" not in keys or not enrolled.exists() or not isinstance(own, dict):
            return keys
    given = _read(enrolled, name="data_dir")
    uplink = dict(given.get("uplink", {}))
    for group in _TOGETHER:
        if any(name in own for name in group):
            uplink = {name: key for name, key in uplink.items() if name not in group}
    return {**given, **keys, "uplink": {**uplink, **own}}


def _read(path: Path, name: str = "--config") -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        cure = "Give the path of the gateway's TOML file"
        raise ConfigProblems(
            [f"{name}: {path} cannot be read ({error.strerror}). {cure}"]
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        cure = "Correct the file there"
        raise ConfigProblems([f"{name}: {path} is not TOML ({error}). {cure}"]) from error
