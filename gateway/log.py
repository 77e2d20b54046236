"""The log: one JSON object a line, or text at a terminal. Never a person in it.

Python's own ``logging`` under events with facts, as structlog has them, without the 6 MB that
structlog takes for its colours (docs/decisions/0009-thrift.md).
"""

import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

import msgspec

_NAME: Final = "gateway"
_FACTS: Final = "facts"


class Log:
    """Writes events: a name with dots, and facts by keyword."""

    def debug(self, event: str, **facts: object) -> None:
        _write(logging.DEBUG, event, facts)

    def info(self, event: str, **facts: object) -> None:
        _write(logging.INFO, event, facts)

    def warning(self, event: str, **facts: object) -> None:
        _write(logging.WARNING, event, facts)

    def error(self, event: str, **facts: object) -> None:
        _write(logging.ERROR, event, facts)

    def exception(self, event: str, **facts: object) -> None:
        """Write an error, with the whole traceback of the exception that is being handled."""
        _write(logging.ERROR, event, facts, is_handling=True)


def get_logger() -> Log:
    """Return the log."""
    return Log()


def configure(
    format_: Literal["auto", "json", "text"],
    stream: TextIO | None = None,
    *,
    quiet: bool = False,
) -> None:
    """Set the process's log up: to standard error, if no *stream* is named.

    *quiet* leaves out all but errors: for commands that a person runs.
    """
    stream = stream or sys.stderr
    as_text = format_ == "text" or (format_ == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Text() if as_text else _Json())
    logger = logging.getLogger(_NAME)
    logger.handlers = [handler]
    logger.setLevel(logging.ERROR if quiet else logging.INFO)
    logger.propagate = False


def _write(level: int, event: str, facts: dict[str, object], *, is_handling: bool = False) -> None:
    logging.getLogger(_NAME).log(level, event, exc_info=is_handling, extra={_FACTS: facts})


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "event": record.msg,
            **{name: fact for name, fact in _facts(record).items() if name != "level"},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).astimezone()
        facts = " ".join(f"{name}={fact}" for name, fact in _facts(record).items())
        line = f"{at:%H:%M:%S} {record.levelname.lower():7} {record.msg:28} {facts}".rstrip()
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def _facts(record: logging.LogRecord) -> dict[str, object]:
    return getattr(record, _FACTS, {})
