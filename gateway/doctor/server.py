"""Server: whether the broker lets us in, and for how long our certificate does."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from gateway import broker as mqtt
from gateway.broker import BrokerError, Identity
from gateway.certificate import IdentityDamaged, enrolled
from gateway.config import Config
from gateway.doctor.finding import Finding, fail, ok, warn

# The connection's own limits are shorter; a name server that does not answer has none.
_CONNECT_S_MAX: Final = 40.0

# Renewal begins when a third of the life is left; half of that, and it has not worked for weeks.
RENEWAL_LATE: Final = 5 / 6
# A certificate that is not ours to renew: a person must have heard of it by then.
_BY_HAND_DAYS_MIN: Final = 30

_ENROL: Final = "gateway enrol CODE --config FILE, with a code from the service's page"


async def try_broker(config: Config) -> None:
    """Connect to the broker and leave again.

    Raises:
        BrokerError: It cannot be reached, or does not let us in.
    """
    # Under its own client id: with the gateway's, a running one would be thrown out.
    async with mqtt.connect(config.uplink, Identity(client_id=f"{config.gateway_id}-check")):
        pass


async def broker(config: Config) -> AsyncIterator[Finding]:
    """Connect, with TLS if it is used, under a name of our own beside the gateway's."""
    where = f"{config.uplink.host}:{config.uplink.port}"
    try:
        async with asyncio.timeout(_CONNECT_S_MAX):
            await try_broker(config)
    except BrokerError as error:
        yield fail("broker", error.problem, f"{error.key}: {error.cure}")
    except TimeoutError:
        words = f"{where} does not answer in {_CONNECT_S_MAX:.0f} s"
        yield fail("broker", words, "check the network cable, and the name server")
    else:
        if config.uplink.uses_tls:
            yield ok("broker", f"{where} lets us in, encrypted")
        else:
            words = f"{where} lets us in, and anybody on the way can read along"
            yield warn("broker", words, _ENROL)


def certificate(config: Config, now: datetime) -> Iterator[Finding]:
    """Look how long the certificate is good."""
    try:
        identity = enrolled(config.data_dir)
    except IdentityDamaged as error:
        yield fail("certificate", str(error), _ENROL)
        return
    if identity is not None:
        late_at = identity.at_fraction(RENEWAL_LATE)
        yield _judged(identity.valid_until, late_at <= now, now)
    elif config.uplink.cert_file is not None:
        yield from _by_hand(config.uplink.cert_file, now)
    elif config.uplink.password_file is not None:
        yield ok("certificate", "none: this box has a user name and a password")
    else:
        yield warn("certificate", "none: this box cannot prove who it is", _ENROL)


def _by_hand(file: Path, now: datetime) -> Iterator[Finding]:
    from cryptography import x509  # noqa: PLC0415 - a running box does not need it

    try:
        until = x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc
    except (OSError, ValueError) as error:
        yield fail("certificate", f"{file} cannot be read ({error})", "put the right file there")
    else:
        yield _judged(until, (until - now).days < _BY_HAND_DAYS_MIN, now)


def _judged(until: datetime, is_late: bool, now: datetime) -> Finding:  # noqa: FBT001
    left = f"good until {until:%Y-%m-%d}, {max(0, (until - now).days)} days left"
    if until <= now:
        return fail("certificate", f"ended on {until:%Y-%m-%d}", _ENROL)
    if is_late:
        return warn("certificate", f"{left}, and renewal has not worked", _ENROL)
    return ok("certificate", left)
