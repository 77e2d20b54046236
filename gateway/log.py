"""The log: one JSON object a line, or coloured text at a terminal. Never a person in it."""

import logging
import sys
from typing import Literal

import structlog


def configure(format_: Literal["auto", "json", "text"], *, quiet: bool = False) -> None:
    """Set the process's log up, to standard error; *quiet* keeps all but errors out of it."""
    as_text = format_ == "text" or (format_ == "auto" and sys.stderr.isatty())
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
            logging.ERROR if quiet else logging.INFO
        ),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
