"""Tables on a terminal: what a person reads; in a pipe they are as wide as they need to be."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

# In a file or a pipe nothing is cut off.
_PIPE_COLUMNS: Final = 400


def show(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
    """Print *rows* under *columns*; numbers to the right."""
    shown = [[_cell(cell) for cell in row] for row in rows]
    table = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left")
    for number, name in enumerate(columns):
        is_number = all(cell.replace(",", "").isdigit() for row in shown if (cell := row[number]))
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in shown:
        # As text: what a stranger sent must not be read as markup, nor move the cursor.
        table.add_row(*[Text(printable(cell)) for cell in row])
    console = Console()
    if not console.is_terminal:
        console = Console(width=_PIPE_COLUMNS)
    console.print(table)


def printable(text: str) -> str:
    """Return *text* with everything that is no letter, digit or sign written out."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def counted(count: int, one: str) -> str:
    """Return so many of what *one* names."""
    return f"{count:,} {one}" if count == 1 else f"{count:,} {one}s"


def utc(moment: datetime | None) -> str:
    """Return a time as people read it; empty for none."""
    return "" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def aware(moment: datetime) -> datetime:
    """Return *moment*, in UTC unless it says otherwise."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _cell(cell: object) -> str:
    if isinstance(cell, datetime):
        return utc(cell)
    if isinstance(cell, int) and not isinstance(cell, bool):
        return f"{cell:,}"
    return "" if cell is None else str(cell)
