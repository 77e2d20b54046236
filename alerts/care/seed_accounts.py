"""Writes the accounts of a care record, and ends staff whom it leaves out."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from alerts import account_end, password
from alerts.audit import chain
from alerts.audit.entry import Action, Entry
from alerts.care.file import CareRecordError

Connection = psycopg.Connection[Any]

_LOGINS_END: Final = (
    "delete from login_session where account_id = %s",
    "delete from login_step where account_id = %s",
)
_HERE: Final = "(s.ended_at is null or s.ended_at > now())"
# Who works in a unit that the file names, and is not in it.
_LEFT_OUT: Final = f"""
select s.staff_id, coalesce(a.username, ''), a.account_id
from staff s left join account a using (staff_id)
where s.unit_id = any(%(units)s) and {_HERE}
    and not coalesce(a.username = any(%(usernames)s), false)
order by s.staff_id
"""  # noqa: S608 - our own words
_STAYING_ENDED: Final = f"""
select a.username from staff s join account a using (staff_id)
where a.username = any(%s)
    and (not {_HERE} or a.ended_at is not null and a.ended_at <= now())
order by 1
"""  # noqa: S608 - our own words


@dataclass(frozen=True, slots=True)
class Left:
    """Staff whom the file leaves out.

    Attributes:
        here: User names of those in the units that it names; "" of one without an account.
        ended: Whether they were ended.
        staying_ended: User names that it names, of accounts or employments that have ended.
    """

    here: tuple[str, ...]
    ended: bool
    staying_ended: tuple[str, ...]


def account(
    connection: Connection,
    username: str,
    secret: str,
    *,
    staff_id: int | None = None,
    patient_id: int | None = None,
) -> str | None:
    """Make the account, or give it the record's name and password, which ends its sessions.

    Returns:
        What is wrong, if it is somebody else's.
    """
    row = connection.execute(
        "select account_id, username, password_hash, staff_id, patient_id from account "
        "where username = %s or staff_id = %s or patient_id = %s",
        (username, staff_id, patient_id),
    ).fetchall()
    if not row:
        connection.execute(
            "insert into account (username, password_hash, staff_id, patient_id) "
            "values (%s, %s, %s, %s)",
            (username, password.hash_password(secret), staff_id, patient_id),
        )
        return None
    account_id, name, password_hash, *holder = row[0]
    if len(row) > 1 or holder != [staff_id, patient_id]:
        return f"username {username!r}: belongs to somebody else already → give another"
    if name != username or not password.is_password(secret, str(password_hash)):
        connection.execute(
            "update account set username = %s, password_hash = %s where account_id = %s",
            (username, password.hash_password(secret), account_id),
        )
        for end in _LOGINS_END:
            connection.execute(end, (account_id,))
    return None


def left_out(
    connection: Connection,
    usernames: Collection[str],
    unit_ids: Collection[int],
    *,
    end_max: int | None,
    by: str,
) -> Left:
    """Return whom the file leaves out, and end them if *end_max* lets so many be ended.

    Args:
        connection: In a transaction.
        usernames: Of the staff whom the file names.
        unit_ids: The units that it names: of others it says nothing.
        end_max: How many may end; None: nobody does.
        by: Who does it, for the access log.

    Raises:
        CareRecordError: More would end than may.
    """
    here = connection.execute(
        _LEFT_OUT, {"units": list(unit_ids), "usernames": list(usernames)}
    ).fetchall()
    if end_max is not None:
        if len(here) > end_max:
            problem = (
                f"staff: {len(here)} who work in the units of this file are not in it, and "
                f"{end_max} may end → is the file whole? If so: --end-left-out {len(here)}"
            )
            raise CareRecordError([problem])
        for staff_id, _, account_id in here:
            _end(connection, staff_id, account_id, by)
    staying = connection.execute(_STAYING_ENDED, (list(usernames),)).fetchall()
    return Left(
        here=tuple(name for _, name, _ in here),
        ended=end_max is not None,
        staying_ended=tuple(name for (name,) in staying),
    )


def _end(connection: Connection, staff_id: int, account_id: int | None, by: str) -> None:
    """End an employment with its account and logins, and keep in the log that it was done."""
    connection.execute(account_end.EMPLOYMENT, (staff_id,))
    if account_id is not None:
        connection.execute(account_end.ACCOUNT, (account_id,))
        for end in _LOGINS_END:
            connection.execute(end, (account_id,))
    entry = Entry(
        actor="system",
        action=Action.ACCOUNT_ENDED.value,
        ground="operator",
        detail={
            "account_id": account_id,
            "staff_id": staff_id,
            "account": by,
            "employment": True,
            "left_out_of_file": True,
        },
    )
    connection.execute(*chain.statement(entry))
