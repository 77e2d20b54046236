"""Config of the gateway: read once, from TOML and the environment; every problem at once.

``EGENMONITOR_GATEWAY__UPLINK__HOST`` overrides ``host`` under ``[uplink]``. Secrets stand in
files of their own, named by ``…_file`` keys, never in the configuration itself.
"""

import difflib
import os
import tomllib
import zoneinfo
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from devices.wire import is_gateway_id
from gateway.radio import RadioConfig

ENVIRONMENT_PREFIX: Final = "EGENMONITOR_GATEWAY__"

# A password or a key is a line or a page; more is the wrong file.
_SECRET_BYTES_MAX: Final = 64 * 1024

# Of a wrong value: enough to know it again.
_SHOWN_MAX: Final = 60


class ConfigProblems(Exception):
    """The configuration cannot be used.

    Attributes:
        problems: One line each: ``key: problem. cure``.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class BadValue(ValueError):
    """A value that is of the right type and still cannot be."""

    def __init__(self, problem: str, cure: str) -> None:
        self.problem = problem
        self.cure = cure
        super().__init__(f"{problem}. {cure}")


def _gateway_id(text: str) -> str:
    if not is_gateway_id(text):
        problem = f"{text!r} cannot name a gateway"
        raise BadValue(problem, "Give 1 to 64 letters, digits, _ or -")
    return text


def _time_zone(name: str) -> str:
    known = zoneinfo.available_timezones()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        meant = f"Did you mean {near[0]!r}?" if near else "Give a name such as 'Europe/Stockholm'"
        problem = f"{name!r} is not a time zone"
        raise BadValue(problem, meant)
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


ReadableFile = Annotated[Path, AfterValidator(_readable)]
_FROZEN: Final = ConfigDict(frozen=True, extra="forbid")


class SessionConfig(BaseModel):
    """How devices are served."""

    model_config = _FROZEN

    idle_s: float = Field(
        default=5.0,
        ge=0.5,
        le=120,
        description="seconds without a value that end a session, 0.5 to 120",
    )
    connect_timeout_s: float = Field(
        default=10.0, ge=1, le=60, description="seconds for one try to connect, 1 to 60"
    )
    devices: tuple[Annotated[str, AfterValidator(_device_id)], ...] = Field(
        default=(),
        max_length=64,
        description="the addresses of the devices to serve; empty for all",
    )


class UplinkConfig(BaseModel):
    """The broker, and who we are to it."""

    model_config = _FROZEN

    host: str = Field(min_length=1, max_length=253, description="the broker's name or address")
    port: int = Field(
        default=8883,
        ge=1,
        le=65535,
        description="the broker's port, 1 to 65535; 8883 is usual with TLS",
    )
    username: str | None = Field(
        default=None, min_length=1, max_length=256, description="the user name"
    )
    password_file: ReadableFile | None = Field(default=None, description="a file with the password")
    tls: bool = Field(default=False, description="true or false; any of the files below means true")
    ca_file: ReadableFile | None = Field(
        default=None, description="the certificate authority's PEM file"
    )
    cert_file: ReadableFile | None = Field(
        default=None, description="the gateway's certificate, PEM"
    )
    key_file: ReadableFile | None = Field(
        default=None, description="the gateway's private key, PEM"
    )
    resend_after_s: float = Field(
        default=30.0, ge=0.1, le=60, description="seconds to the first resend, 0.1 to 60"
    )

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            problem = "a certificate without its key, or the reverse"
            raise BadValue(problem, "Give both cert_file and key_file, or neither")
        if self.password_file is not None and self.username is None:
            problem = "a password without a user name"
            raise BadValue(problem, "Give username too")
        return self

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


class HeartbeatConfig(BaseModel):
    """How often the gateway says that it lives."""

    model_config = _FROZEN

    interval_s: float = Field(
        default=60.0, ge=1, le=3600, description="seconds between two heartbeats, 1 to 3600"
    )


class ClockConfig(BaseModel):
    """When the gateway's own clock is doubted."""

    model_config = _FROZEN

    doubt_after_boot_s: float = Field(
        default=900.0,
        ge=0,
        le=86_400,
        description="seconds after boot within which a clock that no network has set is doubted, "
        "0 to 86400; 0 is for a clock that is known to be right",
    )


Line = Annotated[int, Field(ge=0, le=1023)]


class FeedbackConfig(BaseModel):
    """The light or buzzer that tells the room what became of a measurement."""

    model_config = _FROZEN

    output: Literal["none", "gpio", "command"] = Field(
        default="none", description="'none', 'gpio' or 'command'"
    )
    chip: str = Field(
        default="/dev/gpiochip0",
        min_length=1,
        max_length=253,
        description="for gpio: the chip's device file",
    )
    green_line: Line | None = Field(
        default=None, description="for gpio: a line's number, 0 to 1023"
    )
    yellow_line: Line | None = Field(default=None, description="for gpio: a line's number")
    red_line: Line | None = Field(default=None, description="for gpio: a line's number")
    buzzer_line: Line | None = Field(default=None, description="for gpio: a line's number")
    command: tuple[Annotated[str, Field(min_length=1, max_length=4096)], ...] = Field(
        default=(),
        max_length=32,
        description="for command: the program and its arguments; the event's name is appended",
    )
    command_s_max: float = Field(
        default=5.0, ge=0.1, le=60, description="seconds the command may take, 0.1 to 60"
    )


class WatchdogConfig(BaseModel):
    """When silence on the radio is looked into."""

    model_config = _FROZEN

    silent_s: float = Field(
        default=300.0,
        ge=1,
        le=86_400,
        description="seconds without any advertisement before the scanner is restarted, 1 to 86400",
    )


class LogConfig(BaseModel):
    """What the log looks like."""

    model_config = _FROZEN

    format: Literal["auto", "json", "text"] = Field(
        default="auto", description="'json', 'text', or 'auto': text at a terminal, JSON elsewhere"
    )


class Config(BaseSettings):
    """All a gateway needs to know."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter="__",
    )

    gateway_id: Annotated[str, AfterValidator(_gateway_id)] = Field(
        description="the gateway's id, as the service knows it"
    )
    time_zone: Annotated[str, AfterValidator(_time_zone)] = Field(
        default="Europe/Stockholm", description="the time zone that devices' clocks show"
    )
    data_dir: Path = Field(description="the directory for what must survive a power cut")
    radio: RadioConfig = Field(description="the Bluetooth radio")
    session: SessionConfig = Field(default=SessionConfig(), description="how devices are served")
    uplink: UplinkConfig = Field(description="the broker")
    heartbeat: HeartbeatConfig = Field(default=HeartbeatConfig(), description="how often to say so")
    clock: ClockConfig = Field(default=ClockConfig(), description="when its clock is doubted")
    feedback: FeedbackConfig = Field(
        default=FeedbackConfig(), description="the light or buzzer in the room"
    )
    watchdog: WatchdogConfig = Field(
        default=WatchdogConfig(), description="when silence on the radio is looked into"
    )
    log: LogConfig = Field(default=LogConfig(), description="what the log looks like")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take the environment first, then the file's keys; nothing else."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings

    @model_validator(mode="before")
    @classmethod
    def _absent_sections_are_empty(cls, keys: dict[str, Any]) -> dict[str, Any]:
        # So that a missing section is told as the keys one has to write.
        return {"radio": {}, "uplink": {}, **keys}

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        """The time zone that devices' clocks show."""
        return zoneinfo.ZoneInfo(self.time_zone)


def load(path: Path) -> Config:
    """Return the configuration in *path*, overridden by the environment.

    Raises:
        ConfigProblems: It cannot be used; holds everything that is wrong with it.
    """
    keys = _read(path)
    problems = _unknown_variables(os.environ)
    try:
        config = Config(**keys)
    except ValidationError as error:
        problems += [_line(details) for details in error.errors()]
    except SettingsError as error:
        problems.append(f"environment: {error}. Give lists as JSON, such as '[\"C4:64:…\"]'")
    if problems:
        raise ConfigProblems(problems)
    return config


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        cure = "Give the path of the gateway's TOML file"
        raise ConfigProblems(
            [f"--config: {path} cannot be read ({error.strerror}). {cure}"]
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        cure = "Correct the file there"
        raise ConfigProblems([f"--config: {path} is not TOML ({error}). {cure}"]) from error


def _unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Variables below the top level are checked with the keys they override."""
    lines = []
    for name in environment:
        if name.upper().startswith(ENVIRONMENT_PREFIX):
            key = name[len(ENVIRONMENT_PREFIX) :].split("__")[0].lower()
            if key not in Config.model_fields:
                known = ", ".join(Config.model_fields)
                lines.append(f"{name}: there is no such key. Known here: {known}")
    return lines


def _line(details: ErrorDetails) -> str:
    key = ".".join(str(part) for part in details["loc"])
    cause = details.get("ctx", {}).get("error")
    if isinstance(cause, BadValue):
        return f"{key}: {cause.problem}. {cause.cure}"
    if isinstance(cause, ValueError):  # another part's own words: problem and cure
        return f"{key}: {cause}"
    if details["type"] == "extra_forbidden":
        return f"{key}: there is no such key. {_nearest(details['loc'])}"
    wanted = _description(details["loc"])
    if details["type"] == "missing":
        variable = ENVIRONMENT_PREFIX + key.replace(".", "__").upper()
        return f"{key}: is missing. Give {wanted}, in the file or as {variable}"
    told = details["msg"][:1].lower() + details["msg"][1:]
    return f"{key}: {told}, not {str(details['input'])[:_SHOWN_MAX]!r}. Give {wanted}"


def _nearest(loc: tuple[int | str, ...]) -> str:
    model = _model(loc[:-1])
    known = list(model.model_fields) if model else []
    near = difflib.get_close_matches(str(loc[-1]), known, n=1)
    return f"Did you mean {near[0]!r}?" if near else f"Known here: {', '.join(known)}"


def _description(loc: tuple[int | str, ...]) -> str:
    names = tuple(part for part in loc if isinstance(part, str))
    model = _model(names[:-1])
    field = model.model_fields.get(names[-1]) if model else None
    return (field.description if field else None) or "one that is"


def _model(loc: tuple[int | str, ...]) -> type[BaseModel] | None:
    model: type[BaseModel] = Config
    for part in loc:
        fields = model.model_fields
        inner = fields[str(part)].annotation if str(part) in fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return None
        model = inner
    return model
