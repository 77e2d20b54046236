"""What stands beside the access log, and what an entry proves of it.

The reason for an emergency is words about a patient, so it is in a table of its own and only its
hash in the log; what came of looking at it likewise. Who changes the row afterwards, puts one in,
or takes one away, is seen by who verifies.
"""

import hashlib
from datetime import UTC, datetime
from typing import Final

from psycopg import AsyncConnection

from alerts.audit.entry import CHAINS


def words(text: str) -> str:
    """Return what an entry holds of a text that it proves and does not tell."""
    return hashlib.sha256(text.encode()).hexdigest()


def moment(at: datetime) -> str:
    """Return a time as an entry holds it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


_WORDS: Final = "encode(sha256(convert_to({}, 'UTF8')), 'hex')"
_MOMENT: Final = """to_char({} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
# The entry of a row may be gone with what is older than the law asks for: nothing proves it then.
_IS_LEFT: Final = f"""not ({{entry}}.chain is null and exists (
        select from gone where gone.chain = {{chain}} % {CHAINS} and {{at}} < gone.before))"""
# A row without entry stands where its entry would: in its patient's chain, before the first.
_CHANGED: Final = f"""
with opened as (select * from access_log where action = 'emergency_opened'),
    looked_at as (select * from access_log where action = 'emergency_reviewed'),
    signed as (select * from access_log where action = 'log_reviewed'),
    gone as (select chain, max(before) as before from access_checkpoint group by chain)
select coalesce(o.chain, e.patient_id % {CHAINS}), coalesce(o.number, 0)
from opened o full join emergency_access e on o.detail ->> 'access_id' = e.access_id::text
where (o.patient_id, o.staff_id, o.detail ->> 'until', o.detail ->> 'why')
    is distinct from (e.patient_id, e.staff_id, {_MOMENT.format("e.until_at")},
                      {_WORDS.format("e.why")})
    and {_IS_LEFT.format(entry="o", chain="e.patient_id", at="e.from_at")}
union all
select coalesce(r.chain, e.patient_id % {CHAINS}), coalesce(r.number, 0)
from looked_at r
full join (select * from emergency_access where num_nonnulls(reviewed_by, reviewed_at) > 0) e
    on r.detail ->> 'access_id' = e.access_id::text
where (r.patient_id, r.staff_id, r.detail ->> 'review')
    is distinct from (e.patient_id, e.reviewed_by, {_WORDS.format("e.review")})
    and {_IS_LEFT.format(entry="r", chain="e.patient_id", at="e.reviewed_at")}
union all
select coalesce(s.chain, v.reviewed_by % {CHAINS}), coalesce(s.number, 0)
from signed s full join access_review v on s.detail ->> 'review_id' = v.review_id::text
where (s.staff_id, s.detail ->> 'reviewed_unit_id', s.detail ->> 'verdict', s.detail ->> 'note')
    is distinct from (v.reviewed_by, v.unit_id::text, v.verdict, {_WORDS.format("v.note")})
    and {_IS_LEFT.format(entry="s", chain="v.reviewed_by", at="v.reviewed_at")}
"""  # noqa: S608 - our own words


async def changed(connection: AsyncConnection) -> list[tuple[int, int]]:
    """Return the chain and number of entries whose row beside the log is not as it was written.

    Number 0: the row has no entry.
    """
    found = await connection.execute(_CHANGED)
    return sorted((int(chain), int(number)) for chain, number in await found.fetchall())
