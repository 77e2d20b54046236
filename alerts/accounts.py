"""Accounts: whose login it is, whether it still counts, and what it is linked to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from psycopg import AsyncConnection, errors
from psycopg.rows import class_row

from alerts import recovery
from alerts.care import identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account that may log in now."""

    account_id: int
    username: str
    is_staff: bool
    password_hash: str | None = field(repr=False)  # none: by the provider only
    totp_secret: str | None = field(repr=False)  # sealed; none: no code was set up


class Linked(StrEnum):
    """What came of linking an account to whom the provider vouches for."""

    DONE = "done"
    TAKEN = "taken"  # the account, or the identity, is linked already


# Whose login has ended, or who works here no more, has none.
CURRENT: Final = (
    "(a.ended_at is null or a.ended_at > now()) and (s.ended_at is null or s.ended_at > now())"
)
_ACCOUNT: Final = f"""
select a.account_id, a.username, a.staff_id is not null as is_staff, a.password_hash,
       case when a.totp_confirmed_at is not null then a.totp_secret end as totp_secret
from account a
left join staff s on s.staff_id = a.staff_id
where {CURRENT} and
"""  # noqa: S608 - our own words


async def by_username(connection: AsyncConnection, username: str) -> Account | None:
    """Return the account of a user name."""
    return await _one(connection, "a.username = %s", username)


async def by_id(connection: AsyncConnection, account_id: int) -> Account | None:
    """Return the account of an id."""
    return await _one(connection, "a.account_id = %s", account_id)


async def by_subject(connection: AsyncConnection, subject: str) -> Account | None:
    """Return the account of whom the provider vouches for."""
    return await _one(connection, "a.subject = %s", subject)


async def hold(connection: AsyncConnection, account_id: int) -> None:
    """Let nobody change the account, or let it in or out, until the transaction ends."""
    await connection.execute(
        "select from account where account_id = %s for no key update", (account_id,)
    )


async def has_password(connection: AsyncConnection, account: Account) -> bool:
    """Return whether the account still has the password that it was read with."""
    done = await connection.execute(
        "select from account where account_id = %s and password_hash = %s for share",
        (account.account_id, account.password_hash),
    )
    return done.rowcount == 1


async def has_subject(connection: AsyncConnection, account_id: int, subject: str) -> bool:
    """Return whether the account is still linked to whom the provider vouched for."""
    done = await connection.execute(
        "select from account where account_id = %s and subject = %s", (account_id, subject)
    )
    return done.rowcount == 1


async def by_claims(
    connection: AsyncConnection, claims: Mapping[str, Any], staff_claim: str, patient_claim: str
) -> Account | None:
    """Return the account whose owner's number the provider tells, if it is linked to nobody yet.

    A number that leads to a staff member and another that leads to a patient lead nowhere.
    """
    hsa_id, number = claims.get(staff_claim), claims.get(patient_claim)
    found = []
    if isinstance(hsa_id, str) and hsa_id.isprintable():
        found.append(
            await _one(connection, "a.subject is null and s.hsa_id = %s", hsa_id.strip().upper())
        )
    if isinstance(number, str):
        found.append(
            await _one(
                connection,
                "a.subject is null and a.patient_id ="
                " (select p.patient_id from person p where p.personal_number = %s)",
                _normal(number),
            )
        )
    known = [account for account in found if account is not None]
    return known[0] if len(known) == 1 else None


async def link(connection: AsyncConnection, account_id: int, subject: str) -> Linked:
    """Link an account to whom the provider vouches for; neither may have been linked before."""
    try:
        done = await connection.execute(
            "update account set subject = %(subject)s where account_id = %(account_id)s"
            " and (subject is null or subject = %(subject)s)",
            {"subject": subject, "account_id": account_id},
        )
    except errors.UniqueViolation:
        return Linked.TAKEN
    return Linked.DONE if done.rowcount else Linked.TAKEN


async def set_code(connection: AsyncConnection, account_id: int, sealed: str, step: int) -> bool:
    """Keep the secret of codes that was just proved by one; false if there is one already."""
    done = await connection.execute(
        "update account set totp_secret = %s, totp_confirmed_at = now(), totp_last_step = %s"
        " where account_id = %s and totp_confirmed_at is null",
        (sealed, step, account_id),
    )
    return done.rowcount == 1


async def reset_code(connection: AsyncConnection, account_id: int) -> None:
    """Forget the codes of an account, those on paper too: the next login sets up new ones."""
    await connection.execute(
        "update account set totp_secret = null, totp_confirmed_at = null, totp_last_step = null"
        " where account_id = %s",
        (account_id,),
    )
    await recovery.forget(connection, account_id)


async def unlink(connection: AsyncConnection, account_id: int) -> None:
    """Let nobody whom the provider vouches for be this account."""
    await connection.execute(
        "update account set subject = null where account_id = %s", (account_id,)
    )


def _normal(number: str) -> str:
    """Return a number as it is kept; what is none is nobody's."""
    try:
        return identity.normalize(number)
    except identity.IdentityError:
        return ""


async def _one(connection: AsyncConnection, which: str, value: object) -> Account | None:
    cursor = connection.cursor(row_factory=class_row(Account))
    await cursor.execute((_ACCOUNT + which).encode(), (value,))
    return await cursor.fetchone()
