"""``gateway check-config``: everything that is wrong with the configuration, at once."""

import asyncio

from gateway.broker import BrokerError
from gateway.commands.terminal import UNREACHABLE, ConfigFile, complain, configuration
from gateway.doctor.server import try_broker


def check_config(*, config: ConfigFile, connect: bool = False) -> int:
    """Check the configuration and say everything that is wrong with it.

    Args:
        config: The gateway's TOML file.
        connect: Try to reach the broker too.
    """
    settings = configuration(config)
    if connect:
        try:
            asyncio.run(try_broker(settings))
        except BrokerError as error:
            return complain(str(error), UNREACHABLE)
    print(f"{config}: good")
    return 0
