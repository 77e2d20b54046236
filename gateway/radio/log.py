"""What the radios' libraries write to the standard log, into ours: warnings, without bytes.

They put what was sent, and keys, into their words. Whatever reads as bytes is taken out, and
what is left is cut.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from gateway.log import get_logger

_log = get_logger()

_WORDS_MAX: Final = 200
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
# Eight hex digits in a row, or Python's notation of bytes. An address has colons in it.
_BYTES: Final = re.compile(r"\b(?:0x)?[0-9a-fA-F]{8,}\b|b'[^']*'|b\"[^\"]*\"|bytearray\([^)]*\)")


@contextmanager
def heard_in_our_log(*libraries: str) -> Iterator[None]:
    """Have the warnings of these libraries in our log for as long as the block lasts."""
    loggers = [logging.getLogger(name) for name in libraries]
    before = [logger.propagate for logger in loggers]
    handler = _Handler(logging.WARNING)
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, propagate in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.propagate = propagate


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        _log.warning(
            "radio.library",
            level=record.levelname.lower(),
            part=record.name,
            line=record.lineno,
            words=without_bytes(record.getMessage()),
            error=None if error is None else type(error).__name__,
        )


def without_bytes(words: str) -> str:
    """Return *words* without what reads as bytes or colours, cut to a line."""
    return _BYTES.sub("…", _COLOUR.sub("", words))[:_WORDS_MAX]
