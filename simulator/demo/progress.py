"""The list of what is being started, with times: live on a terminal, a line each otherwise."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

_REFRESHES_PER_S: Final = 8


@dataclass(slots=True)
class _Step:
    name: str
    began_s: float
    took_s: float | None = None
    failed: bool = False
    note: str = ""


class Note:
    """What a step wants said when it is done."""

    def __init__(self) -> None:
        self.text = ""


class Progress:
    """Steps that may run side by side. Times are seconds since the list was opened."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began_s = time.monotonic()
        self._steps: list[_Step] = []
        self._spinner = Spinner("dots")
        self._live = Live(
            get_renderable=self._shown,
            console=console,
            refresh_per_second=_REFRESHES_PER_S,
            transient=False,
        )

    @property
    def elapsed_s(self) -> float:
        """Seconds since the list was opened."""
        return time.monotonic() - self._began_s

    @contextmanager
    def step(self, name: str) -> Iterator[Note]:
        """Show *name* as being done for as long as the block lasts."""
        step = _Step(name, self.elapsed_s)
        note = Note()
        self._steps.append(step)
        try:
            yield note
        except BaseException:
            step.failed = True
            raise
        finally:
            step.took_s = self.elapsed_s - step.began_s
            step.note = note.text
            if not self._console.is_terminal:
                self._print(step)

    def tell(self, text: str) -> None:
        """Print *text* above the list."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def _print(self, step: _Step) -> None:
        mark = "failed" if step.failed else "ok"
        line = f"{self.elapsed_s:6.1f} s  {mark:6}  {step.name} ({step.took_s:.1f} s)"
        self.tell(f"{line}  {step.note}".rstrip())

    def _shown(self) -> Group:
        table = Table.grid(padding=(0, 1))
        for step in self._steps:
            table.add_row(*self._row(step))
        return Group(table)

    def _row(self, step: _Step) -> tuple[Spinner | Text, Text, Text, Text]:
        if step.took_s is None:
            took = Text(f"{self.elapsed_s - step.began_s:.1f} s", style="dim", justify="right")
            return self._spinner, Text(step.name), took, Text("")
        mark = Text("✗", style="red") if step.failed else Text("✓", style="green")
        took = Text(f"{step.took_s:.1f} s", justify="right")
        return mark, Text(step.name), took, Text(step.note, style="dim")
