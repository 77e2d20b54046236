"""``incidents``: what is wrong now, and since when."""

import cyclopts

from ingest import incident
from ingest.commands.console import ConfigFile, ask, configured
from ingest.commands.tables import show

app = cyclopts.App(name="incidents", help="What is wrong now; docs/operations.md says what to do.")


@app.default
def incidents_command(*, config: ConfigFile = None) -> None:
    """List the open incidents, the oldest first. Ends with 1 if there is one.

    Args:
        config: ingest's TOML file.
    """
    found = ask(configured(config), incident.open_ones)
    if not found:
        print("no incident is open")
        return
    columns = ("kind", "which", "opened", "last seen", "times", "detail")
    show(
        columns,
        [(one.kind, one.key, one.opened_at, one.seen_at, one.times, one.detail) for one in found],
    )
    raise SystemExit(1)
