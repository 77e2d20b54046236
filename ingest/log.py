"""Logging: one line per unit of work, JSON unless a terminal reads it. Never a person's name."""

import logging
import sys
from typing import TextIO, cast

import structlog

from ingest.settings import LogSettings


class _StandardError:
    """Standard error as it is when something is written, whoever has replaced it since."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def set_up(settings: LogSettings) -> None:
    """Configure structlog for this process; logs go to standard error."""
    as_text = settings.format == "text" or (settings.format == "auto" and sys.stderr.isatty())
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if as_text else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[settings.level.upper()]
        ),
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, _StandardError())),
    )
