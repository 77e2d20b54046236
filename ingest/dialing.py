"""Dialing: a transport to the broker, and the CONNECT that says who we are.

Certificates and the password are read at each connect: what was renewed is used without a restart.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Final, TypeVar

from devices import wire
from ingest.config import BrokerSettings
from ingest.mqtt5 import Connect
from ingest.settings import read_secret

DIAL_S_MAX: Final = 10.0
KEEPALIVE_S: Final = 30
# The broker keeps what comes while we are away this long; gateways resend all the same.
SESSION_EXPIRY_S: Final = 24 * 3600
# Mosquitto hands an absent worker its share of a group too, so one that is gone for good would
# swallow it. A restart takes seconds.
SHARED_SESSION_EXPIRY_S: Final = 60
PACKET_BYTES_MAX: Final = wire.MESSAGE_BYTES_MAX + 4096  # a message, its topic and properties

_ProtocolT = TypeVar("_ProtocolT", bound=asyncio.BaseProtocol)


def introduction(settings: BrokerSettings, receive_max: int) -> Connect:
    """Return who we are, with the password as it is now.

    Raises:
        OSError: The password's file cannot be read.
    """
    password = read_secret(settings.password_file).encode() if settings.password_file else None
    return Connect(
        client_id=settings.client_id,
        keepalive_s=KEEPALIVE_S,
        session_expiry_s=SHARED_SESSION_EXPIRY_S if settings.shared_group else SESSION_EXPIRY_S,
        receive_max=receive_max,
        packet_bytes_max=PACKET_BYTES_MAX,
        username=settings.username,
        password=password if settings.username is not None else None,
    )


async def dial(settings: BrokerSettings, protocol: Callable[[], _ProtocolT]) -> _ProtocolT:
    """Connect, by TLS where ``ca_file`` is set.

    Raises:
        OSError: It cannot be reached in time, its certificate or ours will not do, or a file
            cannot be read.
    """
    context = _tls(settings)
    async with asyncio.timeout(DIAL_S_MAX):
        _, made = await asyncio.get_running_loop().create_connection(
            protocol, settings.host, settings.port, ssl=context
        )
    return made


def _tls(settings: BrokerSettings) -> ssl.SSLContext | None:
    if settings.ca_file is None:
        return None
    context = ssl.create_default_context(cafile=settings.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.cert_file is not None:
        context.load_cert_chain(settings.cert_file, settings.key_file)
    return context
