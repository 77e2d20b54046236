"""``gateway doctor``: one line a check, one cure for each that is not well."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from gateway.commands.terminal import ConfigFile, step_down
from gateway.config import load
from gateway.doctor import Finding, Verdict, examine
from gateway.settings import ConfigProblems

if TYPE_CHECKING:
    from rich.console import Console

FAILED: Final = 1

_MARKS: Final = {
    Verdict.OK: ("✓", "green"),
    Verdict.WARN: ("!", "yellow"),
    Verdict.FAIL: ("✗", "red"),
}
# The longest name of a check.
_CHECK_COLUMNS: Final = 13


def doctor(*, config: ConfigFile, as_json: Annotated[bool, Parameter("--json")] = False) -> int:
    """Look at everything that can be wrong with this box; works beside a running gateway.

    Looks as the account that owns the data directory, if it is started by root. Ends with 1
    if anything fails.

    Args:
        config: The gateway's TOML file.
        as_json: As one JSON list.
    """
    if as_json:
        findings = asyncio.run(_all(config))
        print(json.dumps([_plain(finding) for finding in findings], indent=2, ensure_ascii=False))
    else:
        from rich.console import Console  # noqa: PLC0415 - a running box does not need it

        findings = asyncio.run(_show(config, Console(highlight=False)))
    return FAILED if any(each.verdict is Verdict.FAIL for each in findings) else 0


async def _all(path: Path) -> list[Finding]:
    return [finding async for finding in _findings(path)]


async def _findings(path: Path) -> AsyncIterator[Finding]:
    try:
        config = load(path)
    except ConfigProblems as error:
        for line in error.problems:
            problem, _, cure = line.partition(". ")
            yield Finding("configuration", Verdict.FAIL, problem, cure or "correct it")
        return
    step_down(config.data_dir)
    async for finding in examine(path, config):
        yield finding


async def _show(path: Path, console: "Console") -> list[Finding]:
    findings = []
    with console.status("looking …"):
        async for finding in _findings(path):
            findings.append(finding)
            show(finding, console)
    console.print(_summary(findings))
    return findings


def show(finding: Finding, console: "Console") -> None:
    """Print one finding, and its cure below it."""
    from rich.padding import Padding  # noqa: PLC0415 - as above
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    mark, colour = _MARKS[finding.verdict]
    line = Table.grid(padding=(0, 1))
    line.add_column(width=1)
    line.add_column(width=_CHECK_COLUMNS)
    line.add_column(overflow="fold")
    words = Text(finding.words)
    if finding.cure:
        words.append(f"\n→ {finding.cure}", style="bold")
    line.add_row(Text(mark, style=f"bold {colour}"), Text(finding.check), words)
    console.print(Padding(line, (0, 0, 0, 1)))


def _summary(findings: list[Finding]) -> str:
    counts = {verdict: sum(each.verdict is verdict for each in findings) for verdict in Verdict}
    told = [f"[green]{counts[Verdict.OK]} well[/]"]
    if counts[Verdict.WARN]:
        told.append(f"[yellow]{counts[Verdict.WARN]} to see to[/]")
    if counts[Verdict.FAIL]:
        told.append(f"[red]{counts[Verdict.FAIL]} failed[/]")
    return "\n " + ", ".join(told)


def _plain(finding: Finding) -> dict[str, str]:
    return {
        "check": finding.check,
        "verdict": finding.verdict.value,
        "words": finding.words,
        "cure": finding.cure,
    }
