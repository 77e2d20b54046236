"""``retain``: remove readings that are older than they are kept."""

from datetime import UTC, datetime, timedelta

import cyclopts

from ingest import retention
from ingest.commands.console import ConfigFile, Connection, ask, configured
from ingest.commands.tables import counted

app = cyclopts.App(name="retain", help="Remove readings that are older than they are kept.")

BATCH = 5_000
# Who asks looks at everybody's readings, which the limit for other questions is too short for.
STATEMENT_MAX = "1h"


@app.default
def retain_command(*, dry_run: bool = False, config: ConfigFile = None) -> None:
    """Remove what is older than retention.keep_days. What a breach refers to stays, and so do days.

    Args:
        dry_run: Only count what would be removed.
        config: ingest's TOML file.
    """
    settings = configured(config)
    keep_days, now = settings.retention.keep_days, datetime.now(UTC)

    async def question(connection: Connection) -> str:
        await connection.execute(f"set statement_timeout = '{STATEMENT_MAX}'")
        if dry_run:
            count = await retention.count(connection, now, keep_days)
            return f"{counted(count, 'reading')} older than {keep_days:,} days would be removed"
        if await retention.is_by_job(connection):
            await retention.run(connection, now, keep_days, BATCH)  # tells it for how long
            return f"the database's own job removes what is older than {keep_days:,} days"
        removed, done = 0, BATCH
        while done == BATCH:  # whoever asks does not wait until the sweep has rested
            done = await retention.run(connection, now, keep_days, BATCH, again=timedelta(0))
            removed += done
        told = f"{counted(removed, 'reading')} older than {keep_days:,} days removed"
        if left := await retention.count(connection, now, keep_days):
            told += f"; {left:,} stay for now: days of theirs are not rolled, or another sweeps too"
        return told

    print(ask(settings, question))
