"""Anchors: the heads of the chains, kept where who changes the database does not reach.

Two places: a file that only grows, one JSON line for each look (``audit verify --anchors``), and
the process's own log, once an hour, which goes where logs are gathered. Who takes entries from the
end of the log and sets its heads back is found out by either.
"""

import asyncio
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, NoReturn

import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from alerts.audit.checkpoint import Checkpoints
from alerts.audit.verify import Break, Head, Heads, Wrong, read_heads

# What is taken away within it may go unseen; a log line holds all sixteen heads.
EVERY_S: Final = 3_600.0
_AGAIN_S: Final = 30.0

_log = structlog.get_logger()


class NotAnchors(ValueError):
    """The file is not one of ours, or its last line was cut off; the message names the line."""


def line(heads: Heads, at: datetime) -> str:
    """Return the heads as one line of an anchor file."""
    return json.dumps({"at": at.isoformat(), "heads": told(heads)}, sort_keys=True) + "\n"


def told(heads: Heads) -> dict[str, list[int | str]]:
    """Return the heads as they are written: ``{"3": [17, "9f…"]}``."""
    return {str(chain): [head.number, head.hash.hex()] for chain, head in sorted(heads.items())}


def read(path: Path) -> list[Heads]:
    """Return the anchors of a file; none if it is not there yet.

    Raises:
        NotAnchors: A line is none of ours.
        OSError: It cannot be read.
    """
    if not path.exists():
        return []
    return [
        _parsed(text, number)
        for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
    ]


def too_early(path: Path, checkpoints: Checkpoints, kept_for: timedelta) -> list[Break]:
    """Return checkpoints behind which entries went that an anchor shows to have been younger.

    An anchor of a later day than what may be gone names an entry: those behind it were not there
    yet. It is read for whom the database's own clock is not to be believed.

    Raises:
        NotAnchors: A line is none of ours.
        OSError: It cannot be read.
    """
    found = set()
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    for number, text in enumerate(lines, start=1):
        heads, at = _parsed(text, number), _parsed_at(text, number)
        for chain, one in checkpoints.items():
            was = heads.get(chain, Head(0, b"")).number
            if was < one.number and at > one.removed_at - kept_for:
                found.add(Break(chain, one.number, Wrong.TOO_EARLY))
    return sorted(found, key=lambda each: each.chain)


def _parsed_at(text: str, number: int) -> datetime:
    try:
        return datetime.fromisoformat(json.loads(text)["at"])
    except (ValueError, KeyError, TypeError) as error:
        problem = f"line {number} is no anchor"
        raise NotAnchors(problem) from error


def _parsed(text: str, number: int) -> Heads:
    try:
        heads = json.loads(text)["heads"]
        return {int(chain): Head(int(at), bytes.fromhex(was)) for chain, (at, was) in heads.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        problem = f"line {number} is no anchor"
        raise NotAnchors(problem) from error


def keep(path: Path, heads: Heads, at: datetime) -> None:
    """Write the heads at the end of the file.

    Raises:
        OSError: It cannot be written.
    """
    with path.open("a", encoding="utf-8") as file:
        file.write(line(heads, at))


async def log_heads(connection: AsyncConnection[Any]) -> None:
    """Write the heads into the process's log."""
    _log.info("audit.anchor", heads=told(await read_heads(connection)))


async def run(pool: AsyncConnectionPool[AsyncConnection[Any]]) -> NoReturn:
    """Log the heads once an hour, for ever; a database that is away is asked again soon."""
    while True:
        wait_s = EVERY_S
        try:
            async with pool.connection() as connection:
                await log_heads(connection)
        except (psycopg.OperationalError, PoolTimeout) as error:
            _log.warning("audit.anchor_not_logged", problem=type(error).__name__)
            wait_s = _AGAIN_S
        await asyncio.sleep(wait_s)
