"""Logging: one line per unit of work, JSON unless a terminal reads it. Never a person's name.

The database quotes the row that it refuses, and a model what does not fit it (pydantic's own error,
and the web framework's of an answer or a request), so of such errors only kind and place are told,
wherever they are written: in a line of ours, by a library, or as the last words of the process.
"""

import logging
import sys
import traceback
from collections.abc import Container, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Final, TextIO, cast

import psycopg
import structlog
from pydantic import BaseModel, ValidationError

from ingest.settings import LogSettings


class _StandardError:
    """Standard error as it is when something is written, whoever has replaced it since."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


# SQLSTATE of what is wrong with a value: the message itself quotes it.
_OF_A_VALUE = "22"
# Where the web framework says that it looked.
_PARTS: Final = frozenset({"body", "cookie", "header", "path", "query", "response"})
# A greater number is no row of a list, but the key of a mapping: somebody's number, perhaps.
_ROW_MAX: Final = 999

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def told(error: BaseException) -> str:
    """Return an error, where it was raised and what led to it, without values of the database."""
    return "\n".join(_lines(error, set()))


def _lines(error: BaseException, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in seen:
        yield from _lines(before, seen)
        yield "which led to:"
    if error.__traceback__ is not None:
        yield "Traceback (most recent call last):"
        yield "".join(traceback.format_tb(error.__traceback__)).rstrip()
    yield _kind(error)
    for each in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        if id(each) not in seen:
            yield "of which:"
            yield from _lines(each, seen)


def _kind(error: BaseException) -> str:
    if isinstance(error, ValidationError):
        found = error.errors(include_url=False, include_context=False, include_input=False)
        return f"pydantic.ValidationError of {error.title}: {_unfit(found)}"
    kind = f"{type(error).__module__}.{type(error).__qualname__}"
    if isinstance(error, psycopg.Error):
        return _of_database(kind, error)
    if callable(errors := getattr(error, "errors", None)):  # the web framework's
        return f"{kind}: {_unfit(each for each in errors() if isinstance(each, Mapping))}"
    return "".join(traceback.format_exception_only(error)).rstrip()


def _of_database(kind: str, error: psycopg.Error) -> str:
    if error.sqlstate is None:  # not the server's: of the connection, or of a value
        return f"{kind}: {error}" if isinstance(error, psycopg.OperationalError) else kind
    if error.sqlstate.startswith(_OF_A_VALUE):
        return f"{kind} ({error.sqlstate})"
    return f"{kind} ({error.sqlstate}): {error.diag.message_primary}"


def _unfit(found: Iterable[Mapping[str, Any]]) -> str:
    """Say what does not fit, without the words of validators, which may quote it."""
    ours = _PARTS | set(_names(BaseModel))
    return ", ".join(f"{_place(each['loc'], ours)}: {each['type']}" for each in found)


def _place(loc: Iterable[int | str], ours: Container[str]) -> str:
    """Return where it does not fit; the key of a mapping is data, and is not repeated."""
    told = (str(one) if one in ours or _is_row(one) else "(a key)" for one in loc)
    return ".".join(told) or "all of it"


def _is_row(one: int | str) -> bool:
    return isinstance(one, int) and 0 <= one <= _ROW_MAX


def _names(model: type[BaseModel]) -> Iterator[str]:
    """Return the names of the fields of all models that there are."""
    for each in model.__subclasses__():
        for name, field in each.model_fields.items():
            yield name
            if isinstance(field.validation_alias, str):
                yield field.validation_alias
        yield from _names(each)


def _rendered(exc_info: _ExcInfo) -> str:
    return told(exc_info[1])


class _Plain(logging.Formatter):
    """What libraries log, likewise."""

    def formatException(self, ei: object) -> str:  # noqa: N802 - logging's name
        return _rendered(cast(_ExcInfo, ei))


def _last_words(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        sys.stderr.write(f"{told(error)}\n")


def set_up(settings: LogSettings) -> None:
    """Configure structlog for this process; logs go to standard error."""
    if logging.lastResort is not None:  # where libraries write: nothing else is set up
        logging.lastResort.setFormatter(_Plain())
    sys.excepthook = _last_words
    as_text = settings.format == "text" or (settings.format == "auto" and sys.stderr.isatty())
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if as_text else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(_rendered),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[settings.level.upper()]
        ),
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, _StandardError())),
    )
