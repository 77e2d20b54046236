"""Configuration of a process: TOML, then the environment; every problem told at once.

Shared by ingest and alerts. A ``Settings`` subclass names its environment prefix; keys are
nested with two underscores: ``EGENMONITOR_INGEST__BROKER__HOST=mqtt.example``.
"""

import difflib
import os
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

NESTED = "__"
# A secret is one line; what is longer is the wrong file.
SECRET_BYTES_MAX = 4096

_SettingsT = TypeVar("_SettingsT", bound="Settings")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a configuration, and what to do about it."""

    key: str  # dotted
    problem: str
    cure: str

    def __str__(self) -> str:
        return f"{self.key}: {self.problem} → {self.cure}"


class ConfigError(Exception):
    """A configuration cannot be used; holds all its problems."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


def _readable(path: Path) -> Path:
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        problem = f"{path} cannot be read ({error.strerror})"
        raise ValueError(problem) from error
    return path


def _secret(path: Path) -> Path:
    _readable(path)
    try:
        with path.open("rb") as file:
            line = file.read(SECRET_BYTES_MAX).split(b"\n")[0].decode().strip()
    except UnicodeDecodeError as error:
        problem = f"{path} holds no text in UTF-8"
        raise ValueError(problem) from error
    if not line or not line.isprintable():
        problem = f"the first line of {path} is no password"
        raise ValueError(problem)
    return path


# A file that is there and can be read by this process.
ReadableFile = Annotated[Path, AfterValidator(_readable)]
# One whose first line is a password. What it holds may be another when it is used.
SecretFile = Annotated[Path, AfterValidator(_secret)]


class Part(BaseModel):
    """One part of a configuration: a TOML table."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Settings(BaseSettings):
    """A process's whole configuration. Make one with ``load``."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_nested_delimiter=NESTED,
        nested_model_default_partial_update=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic-settings' signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file."""
        return env_settings, init_settings


def _is_conninfo(text: str) -> str:
    try:
        conninfo_to_dict(text)
    except psycopg.ProgrammingError as error:
        problem = f"not a PostgreSQL connection string ({str(error).strip()})"
        raise ValueError(problem) from error
    return text


class DatabaseSettings(Part):
    """Where the database is. The password may stand in a file of its own."""

    dsn: Annotated[str, AfterValidator(_is_conninfo)]
    password_file: SecretFile | None = None

    def conninfo(self) -> str:
        """Return the connection string with the password in it: for connecting, never for a log."""
        if self.password_file is None:
            return self.dsn
        return make_conninfo(self.dsn, password=read_secret(self.password_file))

    def address(self) -> str:
        """Return host, port and database, for people and logs."""
        parts = conninfo_to_dict(self.dsn)
        place = f"{parts.get('host', 'local socket')}:{parts.get('port', 5432)}"
        return f"{place}/{parts.get('dbname', '')}"


class LogSettings(Part):
    """How the process logs; ``auto`` is text on a terminal and JSON elsewhere."""

    format: Literal["auto", "json", "text"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"


Port = Annotated[int, Field(ge=1, le=65535)]


def read_secret(path: Path) -> str:
    """Return the first line of a secret's file."""
    with path.open("rb") as file:
        return file.read(SECRET_BYTES_MAX).split(b"\n")[0].decode(errors="replace").strip()


def load(
    settings: type[_SettingsT], path: Path | None, environment: Mapping[str, str] = os.environ
) -> _SettingsT:
    """Read *path* and the environment into *settings*.

    Raises:
        ConfigError: With every problem there is.
    """
    table, problems = _read_toml(path)
    if problems:
        raise ConfigError(problems)  # what the rest lacks may all stand in there
    prefix = str(settings.model_config.get("env_prefix") or "")
    problems = _unknown_variables(settings, prefix, environment)
    try:
        loaded = settings(**table)
    except ValidationError as error:
        place = str(path) if path else "the configuration file"
        problems += [_explain(settings, detail, place, prefix) for detail in error.errors()]
    else:
        if not problems:
            return loaded
    raise ConfigError(problems)


def _read_toml(path: Path | None) -> tuple[dict[str, Any], list[Problem]]:
    if path is None:
        return {}, []
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")), []
    except OSError as error:
        cure = "give the path of a readable TOML file"
        return {}, [Problem("--config", f"{path}: {error.strerror}", cure)]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return {}, [Problem("--config", f"{path} is not TOML: {error}", "correct that line")]


def _unknown_variables(
    settings: type[BaseModel], prefix: str, environment: Mapping[str, str]
) -> list[Problem]:
    """Return a problem for each variable that looks like ours and begins with no key of ours.

    pydantic-settings finds unknown keys below a known part itself, and passes over the rest.
    """
    problems = []
    for name in sorted(environment):
        if not name.upper().startswith(prefix.upper()) or not prefix:
            continue
        first = name[len(prefix) :].split(NESTED)[0].lower()
        if first not in settings.model_fields:
            cure = f"unset it, or {_suggest(first, settings)}"
            problems.append(Problem(name, "unknown variable", cure))
    return problems


def _explain(settings: type[BaseModel], detail: ErrorDetails, place: str, prefix: str) -> Problem:
    names = [str(part) for part in detail["loc"]]
    key = ".".join(names)
    message = detail["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    variable = prefix + NESTED.join(names).upper()
    if detail["type"] == "extra_forbidden":
        owner = _model_at(settings, names[:-1])
        return Problem(key, "unknown key", f"remove it, or {_suggest(names[-1], owner)}")
    if detail["type"] == "missing":
        return Problem(key, "missing", f"set it in {place} or through {variable}")
    shown = "" if "password" in key else f" (it is {_shorten(detail['input'])})"
    return Problem(key, message + shown, f"correct it in {place} or through {variable}")


def _suggest(name: str, owner: type[BaseModel] | None) -> str:
    known = sorted(owner.model_fields) if owner else []
    near = difflib.get_close_matches(name, known, n=1)
    return f"write {near[0]}" if near else f"use one of: {', '.join(known)}"


def _model_at(settings: type[BaseModel], names: list[str]) -> type[BaseModel] | None:
    model: type[BaseModel] = settings
    for name in names:
        field = model.model_fields.get(name)
        inner = _model_in(field.annotation) if field else None
        if inner is None:
            return None
        model = inner
    return model


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, Annotated):
        return next(filter(None, map(_model_in, typing.get_args(annotation))), None)
    return None


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"  # noqa: PLR2004 - a line of a terminal
