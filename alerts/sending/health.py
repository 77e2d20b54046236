"""Which channels and which providers keep failing, so that somebody sees it and mends it.

A provider that is away is not held against the channels that it should have reached: they work
again when it does, and nobody need verify them anew.
"""

from datetime import datetime, timedelta
from typing import Any, Final

from psycopg import AsyncConnection

from alerts.channels.message import Kind
from alerts.channels.outcome import Fault, Outcome, State
from alerts.sending.rows import DIED
from ingest import incident

# Once may be a full mailbox; three times in a row is an address that is no more.
FAILURES_MAX: Final = 3

INCIDENT: Final = "sending"
# An hour's outage of a service must not cost her the channel; one that is gone is hers to mend.
GONE_AFTER: Final = timedelta(days=1)
# Two tries that failed a week apart have little to do with each other.
_SINCE: Final = timedelta(days=7)

# The newest attempts that prove something about the channel: it arrived, or nobody was there.
# One that was accepted, and of which nothing was heard, proves neither. Why a service of her own
# does not take it nobody knows: it is gone if it has taken nothing for a day.
_CHANNEL: Final = """
with this as (
    select channel_id, c.kind = any(%(own)s) as is_own
    from attempt join channel c using (channel_id) where attempt_id = %(attempt_id)s
), proof as (
    select t.state in ('delivered', 'handed_over') as works, this.is_own and t.fault = %(provider)s
        as may_be_away
    from attempt t join this using (channel_id)
    where t.state in ('delivered', 'handed_over') or (t.state = 'failed'
        and (t.fault = %(address)s or (this.is_own and t.fault = %(provider)s)))
    order by t.began_at desc, t.attempt_id desc limit %(most)s
)
update channel c set failing_since = case
    when (select works from proof limit 1) then null
    when (select count(*) filter (where not works) = %(most)s and not bool_or(may_be_away)
          from proof)
        then coalesce(c.failing_since, %(at)s)
    when (select count(*) filter (where not works) = %(most)s from proof) and exists (
            select from attempt t
            where t.channel_id = c.channel_id and t.state = 'failed' and t.began_at <= %(gone)s
              and not exists (
                select from attempt w where w.channel_id = t.channel_id
                  and w.began_at > t.began_at and w.state in ('delivered', 'handed_over')))
        then coalesce(c.failing_since, %(at)s)
    else c.failing_since end
from this where c.channel_id = this.channel_id
  and (select works is distinct from (c.failing_since is null) from proof limit 1)
"""
_KIND: Final = """
select c.kind from attempt t join channel c using (channel_id) where t.attempt_id = %s
"""
# The two newest tries by a kind, of alerts and of reminders. One may be a moment's; of one whose
# sender died the provider is innocent. Where each has a service of her own, two of two people.
_IS_AWAY: Final = """
select count(*) = 2 and bool_and(fault = %(provider)s)
    and (%(has_provider)s or count(distinct channel_id) = 2)
from (
    select fault, channel_id from (
        (select t.began_at, coalesce(t.fault, '') as fault, t.channel_id
         from attempt t join channel c using (channel_id)
         where c.kind = %(kind)s and t.began_at > %(since)s and t.answered_at is not null
            and t.reply <> %(died)s
         order by t.began_at desc limit 2)
        union all
        (select began_at, coalesce(fault, ''), null from reminder_attempt
         where kind = %(kind)s and began_at > %(since)s and state <> 'sending'
         order by began_at desc limit 2)
    ) tries order by began_at desc limit 2
) newest
"""


async def of_channel(connection: AsyncConnection[Any], attempt_id: int, at: datetime) -> None:
    """Note on the attempt's channel whether it works or keeps failing."""
    await connection.execute(
        _CHANNEL,
        {
            "attempt_id": attempt_id,
            "address": Fault.ADDRESS,
            "provider": Fault.PROVIDER,
            "own": [kind.value for kind in Kind if not kind.has_provider],
            "most": FAILURES_MAX,
            "at": at,
            "gone": at - GONE_AFTER,
        },
    )


async def of_provider(
    connection: AsyncConnection[Any], attempt_id: int, outcome: Outcome, at: datetime
) -> None:
    """Say of an attempt's provider whether it takes what it is given."""
    cursor = await connection.execute(_KIND, (attempt_id,))
    (kind,) = await cursor.fetchone() or ("",)
    await of_kind(connection, kind, outcome, at)


async def of_kind(
    connection: AsyncConnection[Any], kind: str, outcome: Outcome, at: datetime
) -> None:
    """Open an incident of a provider that does not take what it is given; close it when it does.

    Args:
        connection: In the transaction that has written the try.
        kind: Of the channel.
        outcome: Of the try.
        at: The database's time.
    """
    if outcome.state in (State.ACCEPTED, State.HANDED_OVER, State.DELIVERED):
        await incident.close(connection, INCIDENT, kind)
    elif outcome.fault is Fault.OURS:
        cure = "nobody is reached by it: correct the account or the settings"
        await incident.open_(connection, INCIDENT, kind, f"{kind}: {outcome.reply} → {cure}")
    elif outcome.fault is Fault.PROVIDER and await _is_away(connection, kind, at):
        cure = "alerts take other channels meanwhile: ask the provider"
        await incident.open_(connection, INCIDENT, kind, f"{kind}: {outcome.reply} → {cure}")


async def _is_away(connection: AsyncConnection[Any], kind: str, at: datetime) -> bool:
    asked = {
        "kind": kind,
        "provider": Fault.PROVIDER,
        "has_provider": Kind(kind).has_provider,
        "since": at - _SINCE,
        "died": DIED,
    }
    cursor = await connection.execute(_IS_AWAY, asked)
    (found,) = await cursor.fetchone() or (False,)
    return bool(found)
