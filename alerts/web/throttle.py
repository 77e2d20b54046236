"""How often a login may fail, held in the database: over restarts and over processes.

An attempt counts before its password is looked at, so a hundred at once are no way round.
"""

import hashlib
import ipaddress
from collections.abc import Iterable, Mapping
from datetime import timedelta

from psycopg import AsyncConnection

WINDOW = timedelta(minutes=15)
# A person mistypes some times; a ward shares one address.
PER_NAME_AND_ADDRESS = 5
PER_ADDRESS = 50
# From many addresses at one name. Above the first, so that a guesser far away does not lock
# the owner out at once.
PER_NAME = 30
# One-time codes of one account, whose password is known to who tries: three codes in a million
# are right at any moment, so a day of tries finds one with a chance of 1 in 700.
PER_ACCOUNT = 5
# Answers of the identity provider that were not believed. A whole region can share one address.
PROVIDER_PER_ADDRESS = 200
# Numbers of nobody, in an emergency: who reads them off wrong is let try again, who tests whether
# somebody is a patient is not.
MISSED_PER_STAFF = 10

Limits = Mapping[bytes, int]


def _keys(username: str, address: str) -> dict[bytes, int]:
    """Return hashed keys and how many failures each may have within ``WINDOW``."""
    asked_from = _network(address)
    return {
        _hash("both", username, asked_from): PER_NAME_AND_ADDRESS,
        _hash("address", asked_from): PER_ADDRESS,
        _hash("name", username): PER_NAME,
    }


def _network(address: str) -> str:
    """Return what counts as one address: of IPv6 the /64 that one subscriber has for himself."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:  # a socket of this machine
        return address
    if isinstance(known, ipaddress.IPv4Address):
        return address
    return str(known.ipv4_mapped or ipaddress.ip_network((int(known), 64), strict=False))


def of_address(address: str) -> bytes:
    """Return where a request came from, as it may be kept."""
    return _hash("address", _network(address))


def _hash(*parts: str) -> bytes:
    return hashlib.sha256("\0".join(parts).encode()).digest()


def of_code(account_id: int) -> Limits:
    """Return how often an account's one-time code may be wrong, from wherever."""
    return {_hash("code", str(account_id)): PER_ACCOUNT}


def of_provider(address: str) -> Limits:
    """Return how often the provider's answers may be refused at an address."""
    return {_hash("provider", _network(address)): PROVIDER_PER_ADDRESS}


def of_missed(staff_id: int) -> Limits:
    """Return how often a staff member may look for a number, in an emergency, that nobody has."""
    return {_hash("missed", str(staff_id)): MISSED_PER_STAFF}


async def admit(connection: AsyncConnection, username: str, address: str) -> bool:
    """Return whether a login may be tried now; it then counts as failed until ``forgive``."""
    return await admit_within(connection, _keys(username, address))


async def admit_within(connection: AsyncConnection, limits: Limits) -> bool:
    """Return whether something may be tried now; it then counts until ``forgive_one``."""
    async with connection.transaction():
        for key in sorted(limits):  # in one order, so that two attempts cannot wait for each other
            await connection.execute(
                "select pg_advisory_xact_lock(%s)", (int.from_bytes(key[:8], signed=True),)
            )
        await connection.execute("delete from login_failure where at <= now() - %s", (WINDOW,))
        counted = await connection.execute(
            "select key, count(*) from login_failure where key = any(%s) group by key",
            (list(limits),),
        )
        if any(count >= limits[bytes(key)] for key, count in await counted.fetchall()):
            return False
        await connection.execute(
            "insert into login_failure (key) select unnest(%s::bytea[])", (list(limits),)
        )
    return True


async def forgive(connection: AsyncConnection, username: str, address: str) -> None:
    """Forget the failures of one who knew the password after all."""
    both, at_address, by_name = _keys(username, address)
    await connection.execute("delete from login_failure where key = %s", (both,))
    await forgive_one(connection, (at_address, by_name))


async def forgive_one(connection: AsyncConnection, keys: Iterable[bytes]) -> None:
    """Forget the try just counted, and not those of others."""
    for key in keys:
        await connection.execute(
            "delete from login_failure where ctid = "
            "(select ctid from login_failure where key = %s order by at desc limit 1)",
            (key,),
        )
