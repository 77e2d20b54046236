"""``gateway check-config``: everything that is wrong with the configuration, at once."""

import asyncio

from gateway import broker
from gateway.broker import BrokerError, Identity
from gateway.commands.terminal import UNREACHABLE, ConfigFile, complain, configuration
from gateway.config import Config


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


async def try_broker(config: Config) -> None:
    """Connect to the broker and leave again.

    Raises:
        BrokerError: It cannot be reached, or does not let us in.
    """
    # Under its own client id: with the gateway's, a running one would be thrown out.
    async with broker.connect(config.uplink, Identity(client_id=f"{config.gateway_id}-check")):
        pass
