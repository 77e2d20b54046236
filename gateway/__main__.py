"""The gateway's command line: names the commands; each lies in a module of its own."""

import contextlib
import os
import sys
from typing import Final

from cyclopts import App

app = App(name="gateway", help="The box in the home: Bluetooth → durable outbox → MQTT.")

# By path: a box that runs for years has in memory what `run` needs, and nothing of the others.
# name, module and function, what the list of commands says
_COMMANDS: Final = (
    ("enrol", "enrol:enrol", "Give this box its identity, with a one-time code."),
    ("pair", "pair:pair", "Connect a measuring device to this box."),
    ("run", "run:run_command", "Run the gateway until it is told to stop."),
    ("status", "status:status", "Show what waits and what is wrong, beside a running gateway."),
    ("doctor", "doctor:doctor", "Look at everything that can be wrong, with a cure for each."),
    ("install-service", "install_service:install_service", "Let systemd start the gateway."),
    ("reset", "reset:reset", "Forget the home it stood in: store, bonds, keys, certificate."),
    ("check-config", "check_config:check_config", "Say everything wrong with the configuration."),
)
for _name, _path, _help in _COMMANDS:
    app.command(f"gateway.commands.{_path}", name=_name, help=_help)


def main() -> None:
    """Run the command line."""
    with contextlib.suppress(BrokenPipeError):
        result = app()
        sys.exit(result if isinstance(result, int) else os.EX_OK)


if __name__ == "__main__":
    main()
