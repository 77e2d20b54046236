"""``retain``: remove readings that are older than they are kept."""

from datetime import UTC, datetime

import cyclopts

from ingest import retention
from ingest.commands.console import ConfigFile, Connection, ask, configured

app = cyclopts.App(name="retain", help="Remove readings that are older than they are kept.")

BATCH = 5_000


@app.default
def retain_command(*, dry_run: bool = False, config: ConfigFile = None) -> None:
    """Remove what is older than retention.keep_days. What a breach refers to stays, and so do days.

    Args:
        dry_run: Only count what would be removed.
        config: ingest's TOML file.
    """
    settings = configured(config)
    keep_days, now = settings.retention.keep_days, datetime.now(UTC)

    async def question(connection: Connection) -> int:
        if dry_run:
            return await retention.count(connection, now, keep_days)
        removed = 0
        while done := await retention.run(connection, now, keep_days, BATCH):
            removed += done
        return removed

    count = ask(settings, question)
    would = "would be removed" if dry_run else "removed"
    print(f"{count:,} readings older than {keep_days:,} days {would}")
