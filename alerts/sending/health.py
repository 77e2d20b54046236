"""Which channels and which providers keep failing, so that somebody sees it and mends it.

A provider that is away is not held against the channels that it should have reached: they work
again when it does, and nobody need verify them anew.
"""

from datetime import datetime
from typing import Any, Final

from psycopg import AsyncConnection

from alerts.channels.outcome import Fault, Outcome, State
from ingest import incident

# Once may be a full mailbox; three times in a row is an address that is no more.
FAILURES_MAX: Final = 3

INCIDENT: Final = "sending"

# The newest attempts that prove something about the channel: it arrived, or nobody was there.
# One that was accepted, and of which nothing was heard, proves neither.
_CHANNEL: Final = """
with this as (select channel_id from attempt where attempt_id = %(attempt_id)s),
proof as (
    select t.state in ('delivered', 'handed_over') as works
    from attempt t join this using (channel_id)
    where t.state in ('delivered', 'handed_over') or (t.state = 'failed' and t.fault = %(address)s)
    order by t.began_at desc, t.attempt_id desc limit %(most)s
)
update channel c set failing_since = case
    when (select works from proof limit 1) then null
    when (select count(*) filter (where not works) from proof) = %(most)s
        then coalesce(c.failing_since, %(at)s)
    else c.failing_since end
from this where c.channel_id = this.channel_id
  and (select works is distinct from (c.failing_since is null) from proof limit 1)
"""
_KIND: Final = """
select c.kind from attempt t join channel c using (channel_id) where t.attempt_id = %s
"""


async def of_channel(connection: AsyncConnection[Any], attempt_id: int, at: datetime) -> None:
    """Note on the attempt's channel whether it works or keeps failing."""
    await connection.execute(
        _CHANNEL,
        {"attempt_id": attempt_id, "address": Fault.ADDRESS, "most": FAILURES_MAX, "at": at},
    )


async def of_provider(connection: AsyncConnection[Any], attempt_id: int, outcome: Outcome) -> None:
    """Open an incident of a provider that does not take what it is given; close it when it does."""
    cursor = await connection.execute(_KIND, (attempt_id,))
    (kind,) = await cursor.fetchone() or ("",)
    if outcome.state in (State.ACCEPTED, State.HANDED_OVER, State.DELIVERED):
        await incident.close(connection, INCIDENT, kind)
    elif outcome.fault is Fault.OURS:
        cure = "nobody is reached by it: correct the account or the settings"
        await incident.open_(connection, INCIDENT, kind, f"{kind}: {outcome.reply} → {cure}")
    elif outcome.fault is Fault.PROVIDER:
        cure = "alerts take other channels meanwhile: ask the provider"
        await incident.open_(connection, INCIDENT, kind, f"{kind}: {outcome.reply} → {cure}")
