"""``canary``: set her up, or let her beat once."""

import asyncio

import cyclopts
import psycopg

from ingest.canary import Canary, NotSetUp
from ingest.canary.patient import GatewayTaken, cuffs, set_up
from ingest.commands.console import ConfigFile, ask, configured, fail, fail_of_database
from ingest.config import CanarySettings, Config

app = cyclopts.App(name="canary", help="A made-up patient whose reading goes the whole way.")


@app.default
def canary_command(*, once: bool = True, config: ConfigFile = None) -> None:
    """Let the canary beat, and say how long each leg took; ends with 1 if one was not seen.

    Args:
        once: Once; --no-once: until told to stop, as ``run`` does where [canary] is set.
        config: ingest's TOML file, with [canary].
    """
    settings = configured(config)
    canary = Canary(settings, _canary(settings))
    try:
        if not once:
            asyncio.run(canary.run())
        done = asyncio.run(canary.once())
    except NotSetUp:
        fail("canary: there is none → run: python -m ingest canary set-up")
    except psycopg.Error as error:
        fail_of_database(settings, error)
    if done.failed:
        fail(f"canary: {done} → docs/operations.md says of each leg where to look")
    print(f"the canary is well: {done}")


@app.command(name="set-up")
def set_up_command(*, config: ConfigFile = None) -> None:
    """Register her: patient, gateway, cuffs and plan; harmless to repeat."""
    settings = configured(config)
    hers = _canary(settings)
    try:
        ask(settings, lambda connection: set_up(connection, hers.gateway_id, hers.every_s))
    except GatewayTaken:
        fail(f"canary.gateway_id: {hers.gateway_id} is somebody's gateway → choose another id")
    print(f"gateway {hers.gateway_id} and {cuffs(hers.every_s)} cuffs are the canary's")


def _canary(config: Config) -> CanarySettings:
    if config.canary is None:
        fail("canary: missing → set canary.gateway_id, and canary.broker where it needs its own")
    return config.canary
