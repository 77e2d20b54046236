"""``gateway status``: what waits, beside a running gateway."""

import json
from typing import Annotated

from cyclopts import Parameter

from gateway.commands.terminal import UNREACHABLE, ConfigFile, complain, configuration
from gateway.database import depths


def status(*, config: ConfigFile, as_json: Annotated[bool, Parameter("--json")] = False) -> int:
    """Show what waits in the inbox and the outbox; works beside a running gateway.

    Args:
        config: The gateway's TOML file.
        as_json: As one JSON object.
    """
    settings = configuration(config)
    try:
        inbox, outbox, oldest_at = depths(settings.data_dir)
    except FileNotFoundError as error:
        return complain(f"data_dir: {error} is not there. Run the gateway first", UNREACHABLE)
    oldest = None if oldest_at is None else oldest_at.isoformat()
    if as_json:
        print(json.dumps({"inbox": inbox, "outbox": outbox, "oldest_at": oldest}))
        return 0
    from rich.console import Console  # noqa: PLC0415 - 6 MB that a running box does not need
    from rich.table import Table  # noqa: PLC0415

    table = Table("what", "now", title=f"gateway {settings.gateway_id}")
    table.add_row("inbox: raw values", str(inbox))
    table.add_row("outbox: readings without a receipt", str(outbox))
    table.add_row("oldest of them", oldest or "–")
    Console().print(table)
    return 0
