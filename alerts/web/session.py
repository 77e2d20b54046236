"""Server-side sessions: the cookie is a random token, and only its hash is kept.

A session ends by logging out, by idling, by age, or because its row is deleted; every request
and every open stream asks the database.
"""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from psycopg import AsyncConnection
from psycopg.rows import class_row, dict_row

from alerts import accounts
from alerts.accounts import CURRENT
from alerts.care.people import Viewer
from alerts.web.oidc_token import LEEWAY, LoggedOut

# An hour away from the desk; an open worklist that nobody touches counts as idle.
IDLE_MAX = timedelta(hours=1)
# The longest shift, and its handover.
AGE_MAX = timedelta(hours=13)
# The time of last use is written at most this often.
_TOUCH_EVERY = timedelta(minutes=1)
_TOKEN_BYTES = 32


class Method(StrEnum):
    """How somebody proved who she is."""

    PASSWORD = "password"  # noqa: S105 - a way, no secret
    PASSWORD_CODE = "password_code"  # noqa: S105
    PROVIDER = "provider"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A login that is valid now."""

    token_hash: bytes = field(repr=False)
    account_id: int
    csrf_token: str = field(repr=False)
    viewer: Viewer
    method: Method
    assurance: str  # the provider's acr; "" for a password

    @property
    def topic(self) -> str:
        """What wakes this account's streams when one of its sessions ends."""
        return topic(self.account_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A session as its owner sees it."""

    handle: str  # names it in a form; leads to no cookie
    started_at: datetime
    seen_at: datetime
    method: Method
    is_this: bool


def topic(account_id: int) -> str:
    """Return what wakes an account's streams when one of its sessions ends."""
    return f"a{account_id}"


_FIND = f"""
select l.account_id, l.csrf_token, l.method, l.assurance,
       a.staff_id, a.patient_id, a.relative_id, s.unit_id,
       coalesce(s.name, r.name, concat_ws(' ', p.given_name, p.family_name)) as name,
       coalesce(s.role, '') as role, coalesce(u.name, '') as unit_name,
       array(select f.name from staff_function f where f.staff_id = s.staff_id
             and f.from_at <= now() and (f.until_at is null or f.until_at > now())) as functions
from login_session l
join account a using (account_id)
left join staff s on s.staff_id = a.staff_id
left join unit u on u.unit_id = s.unit_id
left join person p on p.patient_id = a.patient_id
left join relative r on r.relative_id = a.relative_id
where l.token_hash = %s and l.started_at > now() - %s and l.seen_at > now() - %s and {CURRENT}
"""  # noqa: S608 - our own words
_HANDLE = "encode(substring(sha256(l.token_hash) for 12), 'hex')"


async def start(
    connection: AsyncConnection,
    account_id: int,
    method: Method = Method.PASSWORD,
    assurance: str = "",
    provider_sid: str = "",
) -> str:
    """Begin a session and return its token; sessions that are over are cleared away."""
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    await connection.execute(
        "delete from login_session where started_at <= now() - %s or seen_at <= now() - %s",
        (AGE_MAX, IDLE_MAX),
    )
    await connection.execute(
        "insert into login_session"
        " (token_hash, account_id, csrf_token, method, assurance, provider_sid)"
        " values (%s, %s, %s, %s, %s, %s)",
        (
            _hash(token),
            account_id,
            secrets.token_urlsafe(_TOKEN_BYTES),
            method.value,
            assurance,
            provider_sid,
        ),
    )
    return token


async def find(connection: AsyncConnection, token: str) -> Session | None:
    """Return the valid session of *token*, and note that it was used."""
    found = await check(connection, _hash(token))
    if found is not None:
        await connection.execute(
            "update login_session set seen_at = now() "
            "where token_hash = %s and seen_at < now() - %s",
            (found.token_hash, _TOUCH_EVERY),
        )
    return found


async def check(connection: AsyncConnection, token_hash: bytes) -> Session | None:
    """Return the session if it is still valid, without counting as use of it."""
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(_FIND, (token_hash, AGE_MAX, IDLE_MAX))
    row = await cursor.fetchone()
    if row is None:
        return None
    return Session(
        token_hash=token_hash,
        account_id=row.pop("account_id"),
        csrf_token=row.pop("csrf_token"),
        method=Method(row.pop("method")),
        assurance=row.pop("assurance"),
        viewer=Viewer(functions=frozenset(row.pop("functions")), **row),
    )


# With what its account has begun: who logs out leaves no half login behind that leads in again.
_END = """
with ended as (delete from login_session l where {} returning l.account_id)
delete from login_step s using ended e where s.account_id = e.account_id
"""
# One that is played again ends nothing that began later.
_END_AT_PROVIDER = """
delete from login_session l using account a
where a.account_id = l.account_id and l.method = 'provider' and l.started_at <= %(until)s
    and case when %(subject)s = '' then l.provider_sid = %(sid)s
        else a.subject = %(subject)s
            and (%(sid)s = '' or l.provider_sid in ('', %(sid)s)) end
returning l.account_id
"""
_END_THIS = _END.format("l.token_hash = %s")
_END_ONE = _END.format(f"l.account_id = %s and {_HANDLE} = %s")


async def end(connection: AsyncConnection, token_hash: bytes) -> None:
    """End a session, now, and the logins that its account has begun."""
    await connection.execute(_END_THIS.encode(), (token_hash,))


async def end_token(connection: AsyncConnection, token: str) -> None:
    """End the session that a browser had before it logged in anew."""
    await end(connection, _hash(token))


async def of_account(connection: AsyncConnection, found: Session) -> list[Listed]:
    """Return the valid sessions of the account, the last used first."""
    cursor = connection.cursor(row_factory=class_row(Listed))
    await cursor.execute(
        f"select {_HANDLE} as handle, l.started_at, l.seen_at, l.method,"  # noqa: S608
        " l.token_hash = %s as is_this from login_session l where l.account_id = %s"
        " and l.started_at > now() - %s and l.seen_at > now() - %s order by l.seen_at desc",
        (found.token_hash, found.account_id, AGE_MAX, IDLE_MAX),
    )
    return await cursor.fetchall()


async def end_one(connection: AsyncConnection, account_id: int, handle: str) -> None:
    """End one session of the account, now, and the logins that it has begun."""
    if handle.isalnum():
        await connection.execute(_END_ONE.encode(), (account_id, handle))


async def end_at_provider(connection: AsyncConnection, told: LoggedOut) -> list[int]:
    """End what began by the provider before it told of a logout; return whose sessions ended.

    A session whose number there we were not told ends with any of the person's.
    """
    cursor = await connection.execute(
        _END_AT_PROVIDER,
        {"subject": told.subject, "sid": told.sid, "until": told.at + LEEWAY},
    )
    return sorted({row[0] for row in await cursor.fetchall()})


async def end_all(connection: AsyncConnection, account_id: int) -> int:
    """End every session of the account, now, and every login begun; return how many sessions.

    In a transaction: who is just being let in waits for it, and then is not.
    """
    await accounts.hold(connection, account_id)
    await connection.execute("delete from login_step where account_id = %s", (account_id,))
    done = await connection.execute(
        "delete from login_session where account_id = %s", (account_id,)
    )
    return done.rowcount


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
