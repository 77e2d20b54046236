"""``quarantine``: what was refused, counted, listed, shown and tried again."""

from collections import Counter
from datetime import UTC, datetime
from typing import Annotated

import cyclopts

from ingest import pg_binary, quarantined
from ingest.commands.console import ConfigFile, Connection, ask, configured, fail
from ingest.commands.tables import aware, printable, show, utc
from ingest.quarantine import Reason
from ingest.quarantined import Wanted
from ingest.registry import Registry
from ingest.replay import ROWS_MAX, Fate, Tried, replay

app = cyclopts.App(name="quarantine", help="What was refused: count, list, show, try again.")

MOST = 50  # lines of a list
MOST_MAX = 100_000
CONTENT_BYTES_SHOWN = 4_000


@app.command(name="counts")
def counts_command(*, config: ConfigFile = None) -> None:
    """Count what lies there, by reason."""
    found = ask(configured(config), quarantined.counts)
    if not found:
        print("quarantine is empty")
        return
    show(("reason", "waiting", "repeats", "oldest", "newest", "settled"), found)


@app.command(name="list")
def list_command(
    *,
    reason: Reason | None = None,
    gateway: str | None = None,
    device: str | None = None,
    since: datetime | None = None,
    settled: bool = False,
    most: int = MOST,
    config: ConfigFile = None,
) -> None:
    """List what lies there, the newest first.

    Args:
        reason: Only what was refused for it.
        gateway: Only what came through it.
        device: Only what that device measured.
        since: Only what arrived then or later; UTC unless it says otherwise.
        settled: Also what was settled since.
        most: So many lines.
        config: ingest's TOML file.
    """
    wanted = Wanted(
        reason=reason and reason.value,
        gateway=gateway,
        device=device,
        since=since and aware(since),
        settled=settled,
    )
    if not 1 <= most <= MOST_MAX:
        fail(f"--most {most} → 1 to {MOST_MAX}; narrow down with --reason, --device, --since")
    found = ask(configured(config), lambda c: quarantined.rows(c, wanted, most + 1))
    if not found:
        print("nothing of that kind lies in quarantine")
        return
    columns = ("id", "arrived", "reason", "gateway", "device", "repeats", "settled", "detail")
    show(columns, [(str(row.quarantine_id), *row[1:]) for row in found[:most]])
    if len(found) > most:
        print(f"the newest {most}; there are more: --most")


@app.command(name="show")
def show_command(quarantine_id: int, /, *, config: ConfigFile = None) -> None:
    """Show one row whole, with what was sent."""
    row = ask(configured(config), lambda c: quarantined.show(c, quarantine_id))
    if row is None:
        fail(f"quarantine has no row {quarantine_id} → python -m ingest quarantine list")
    for name, value in (
        ("arrived", utc(row.arrived_at)),
        ("reason", row.reason),
        ("detail", row.detail),
        ("gateway", row.gateway_id),
        ("topic", row.topic),
        ("device", row.device_id or "not known"),
        ("reading", row.reading_id or "not known"),
        ("repeats", row.repeats),
        ("settled", utc(row.settled_at) or "no"),
        ("content", f"{len(row.content):,} bytes"),
    ):
        print(f"{name:>8}  {printable(str(value))}")
    print(_content(row.content))


@app.command(name="replay")
def replay_command(
    ids: Annotated[list[int] | None, cyclopts.Parameter(negative="")] = None,
    /,
    *,
    reason: Reason | None = None,
    device: str | None = None,
    gateway: str | None = None,
    dry_run: bool = False,
    config: ConfigFile = None,
) -> None:
    """Try rows again, as of when they were measured. Ends with 1 if some are refused again.

    Args:
        ids: Of the rows; or say which by the options.
        reason: What was refused for it.
        device: What that device measured.
        gateway: What came through it.
        dry_run: Say what would become of them, and change nothing.
        config: ingest's TOML file.
    """
    by_options = bool(reason or device or gateway)
    if bool(ids) == by_options:
        problem = "ids and options exclude each other" if ids else "nothing is named"
        fail(f"{problem} → say which rows: their ids, or --reason, --device, --gateway")
    wanted = Wanted(reason=reason and reason.value, device=device, gateway=gateway)
    tried = ask(configured(config), lambda c: _replay(c, ids, wanted, dry_run=dry_run))
    if not tried:
        print("there is nothing to try: no such row waits in quarantine")
        return
    refused = [one for one in tried if one.fate is Fate.REFUSED]
    if refused:
        show(
            ("id", "refused again"),
            [(str(one.quarantine_id), one.detail) for one in refused[:MOST]],
        )
    count = Counter(one.fate for one in tried)
    would = "would be " if dry_run else ""
    print(
        f"{len(tried):,} tried: {count[Fate.STORED]:,} {would}stored,"
        f" {count[Fate.KNOWN]:,} stored already, {count[Fate.REFUSED]:,} {would}refused again"
    )
    if refused:
        raise SystemExit(1)


async def _replay(
    connection: Connection, ids: list[int] | None, wanted: Wanted, *, dry_run: bool
) -> list[Tried]:
    pg_binary.register(connection)
    registry, now = Registry(), datetime.now(UTC)
    tried: list[Tried] = []
    if ids:
        for start in range(0, len(ids), ROWS_MAX):
            some = ids[start : start + ROWS_MAX]
            tried += await replay(connection, registry, some, now, dry_run=dry_run)
        return tried
    after = 0
    while some := await quarantined.ids(connection, wanted, after, ROWS_MAX):
        tried += await replay(connection, registry, some, now, dry_run=dry_run)
        after = some[-1]
    return tried


def _content(content: bytes) -> str:
    shown = content[:CONTENT_BYTES_SHOWN]
    more = "" if len(shown) == len(content) else f"\n… {len(content) - len(shown):,} bytes more"
    try:
        return printable(shown.decode()) + more
    except UnicodeDecodeError:
        return shown.hex(" ", 4) + more
