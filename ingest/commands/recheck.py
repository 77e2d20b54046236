"""``recheck``: was anything missed? An independent look at what was stored."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import cyclopts

from ingest.commands.console import ConfigFile, Connection, ask, configured, fail
from ingest.commands.tables import aware, counted, show
from ingest.recheck import NIGHTLY, Report, run

app = cyclopts.App(name="recheck", help="Whether every reading was judged as it must be.")

MOST = 50

_OPEN = """
select kind, key, at, patient_id::text, expected, found from recheck_difference
where cleared_by is null order by at desc limit %s
"""


@app.default
def recheck_command(
    *,
    since: Annotated[datetime | None, cyclopts.Parameter(name="--from")] = None,
    until: datetime | None = None,
    config: ConfigFile = None,
) -> None:
    """Look again at what was stored in a period. Ends with 1 if there is a difference.

    Args:
        since: Its begin; UTC unless it says otherwise. Without it: three days before its end.
        until: Its end. Without it: now.
        config: ingest's TOML file.
    """
    end = aware(until) if until else datetime.now(UTC) + timedelta(seconds=1)
    try:
        begin = aware(since) if since else end - NIGHTLY
    except OverflowError:  # the first days of the calendar
        fail("--until: nothing can be before it")
    if begin >= end:
        fail("--from: not before --until")

    async def question(connection: Connection) -> tuple[Report, list[tuple[Any, ...]]]:
        report = await run(connection, begin, end)
        cursor = await connection.execute(_OPEN, [MOST])
        return report, await cursor.fetchall()

    report, differences = ask(configured(config), question)
    if differences:
        differences = [(*row[:4], _facts(row[4]), _facts(row[5])) for row in differences]
        show(("kind", "what", "at", "patient", "expected", "found"), differences)
    looked = counted(report.readings, "reading")
    print(f"{looked} looked at: {counted(report.differences, 'difference')}")
    if len(differences) > report.differences:
        print("differences of other times are open too: run it over theirs")
    if report.differences:
        raise SystemExit(1)


def _facts(facts: dict[str, object] | None) -> str:
    """Return what a breach is, or must be, in the order it is kept in; empty: there is none."""
    return ", ".join(f"{name} {fact}" for name, fact in (facts or {}).items())
