"""The worklist's rows as they are rendered, on the page and again when one changes."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime

from alerts.care.people import Viewer
from alerts.case import Case
from alerts.web.pages import fragment
from alerts.words import ZONE, lasted
from alerts.worklist import Worklist

Row = dict[str, object]


def row_contexts(listed: Worklist, viewer: Viewer) -> list[Row]:
    """Return what the row template shows of each case."""
    return [{"case": case, "viewer": viewer, "version": version(case)} for case in listed.rows]


def version(case: Case) -> str:
    """Return a short text that differs when the row would look different."""
    return hashlib.sha256(repr(case).encode()).hexdigest()[:12]


def stamp(case: Case, now: datetime) -> str:
    """Return a text that differs when the row's words would: with its version, day and wait."""
    return f"{version(case)} {now.astimezone(ZONE).date()} {lasted(now - case.opened_at)}"


def render(row: Mapping[str, object]) -> str:
    """Return one row's HTML."""
    return fragment("_row.html", now=datetime.now(UTC), **row)


def render_counts(listed: Worklist, letters: int, todo: int) -> str:
    """Return the line of numbers above the rows: of alerts, messages and things to do."""
    return fragment("_counts.html", worklist=listed, letters_waiting=letters, todo_waiting=todo)
