"""Tables on a terminal: what a person reads; in a pipe they are as wide as they need to be."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

# In a file or a pipe nothing is cut off.
_PIPE_COLUMNS: Final = 400
_LAST_COLUMNS: Final = 24  # a few words a line
_BETWEEN: Final = 3  # of the table's own, for each column
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ")  # as ``utc`` writes it


def show(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
    """Print *rows* under *columns*; numbers to the right.

    Only times and the last column are broken. Where a terminal is too narrow for that, each row is
    printed as lines of its own.
    """
    # As text: what a stranger sent must not be read as markup, nor move the cursor.
    shown = [[printable(_cell(cell)) for cell in row] for row in rows]
    console = Console()
    if not console.is_terminal:
        console = Console(width=_PIPE_COLUMNS)
    elif _least(columns, shown) > console.width:
        print("\n\n".join(_lines(columns, row) for row in shown), end="\n\n")
        return
    table = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left")
    for number, name in enumerate(columns):
        cells = [cell for row in shown if (cell := row[number])]
        table.add_column(
            name,
            justify="right" if all(cell.replace(",", "").isdigit() for cell in cells) else "left",
            overflow="fold",
            no_wrap=number < len(columns) - 1 and not any(map(_is_time, cells)),
        )
    for row in shown:
        table.add_row(*map(Text, row))
    with console.capture() as captured:
        console.print(table)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def _least(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Return how wide a table is that can still be read."""
    widths = [
        max(len(cell) // 2 if _is_time(cell) else len(cell) for cell in (name, *cells))
        for name, *cells in zip(columns, *rows, strict=True)
    ]
    widths[-1] = min(widths[-1], _LAST_COLUMNS)
    return sum(widths) + _BETWEEN * len(widths)


def _lines(columns: Sequence[str], row: Sequence[str]) -> str:
    width = max(map(len, columns))
    return "\n".join(
        f"{name:>{width}}  {cell}" for name, cell in zip(columns, row, strict=True) if cell
    )


def _is_time(cell: str) -> bool:
    return _TIME.fullmatch(cell) is not None


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
