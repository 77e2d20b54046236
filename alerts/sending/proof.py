"""Whether what is sent can also be written down.

A sender that claims and never marks tells people twice and knows nothing of it; so does one that
dies at every message. It must not say that it does its work.
"""

from datetime import timedelta
from typing import Any, Final

from psycopg import AsyncConnection

from alerts.sending.move import LEASE
from alerts.sending.rows import DIED

# One that was answered since proves that marks succeed; a night without messages proves nothing.
SINCE: Final = timedelta(minutes=5)

# One at which a sender died, and that was not sent again for somebody had acted, proves nothing.
_MARKS: Final = """
select count(*) filter (where is_lost) = 0 or count(*) filter (where not is_lost) > 0
from (
    select coalesce(answered_at is null or reply = %(died)s, true) as is_lost
    from attempt t
    left join notification n using (notification_id)
    left join technical_notice m using (notice_id)
    where t.began_at > clock_timestamp() - %(since)s and test_id is null
      and (answered_at is not null or t.began_at <= clock_timestamp() - %(lease)s)
      and (reply <> %(died)s or coalesce(n.state, m.state) <> 'cancelled')
) lately
"""


async def marks(connection: AsyncConnection[Any]) -> bool:
    """Return whether an attempt of late was marked by who made it, or there was none."""
    cursor = await connection.execute(_MARKS, {"died": DIED, "since": SINCE, "lease": LEASE})
    (found,) = await cursor.fetchone() or (True,)
    return bool(found)
