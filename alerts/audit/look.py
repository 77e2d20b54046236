"""An entry of the access log as a person reads it, with names. Queries only."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg import AsyncConnection, sql
from psycopg.rows import class_row

_AT_ONCE: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Somebody looked at something, or did something.

    Attributes:
        name: Hers now; "" if she is known no more, or it was no person.
        unit_name: Of the unit she worked for then.
        listed: How many patients a list showed; 0 if it was no list.
    """

    chain: int
    number: int
    at: datetime
    actor: str
    name: str
    role: str
    unit_name: str
    patient_id: int | None
    listed: int
    action: str
    ground: str

    @property
    def who(self) -> str:
        """Name, role and unit, as far as they are known."""
        return ", ".join(filter(None, (self.name, self.role, self.unit_name))) or self.actor


_SELECT: Final = sql.SQL("""
select l.chain, l.number, l.at, l.actor, coalesce(s.name, r.name, '') as name,
       coalesce(s.role, '') as role, coalesce(u.name, '') as unit_name, l.patient_id,
       cardinality(l.patient_ids) as listed, l.action, l.ground
from ({which}) l
left join staff s on s.staff_id = l.staff_id
left join unit u on u.unit_id = l.unit_id
left join relative r on l.actor = 'relative:' || r.relative_id
order by {order}
""")


async def looks(
    connection: AsyncConnection,
    which: sql.Composable,
    values: Mapping[str, object],
    order: sql.Composable,
) -> AsyncIterator[Look]:
    """Yield the entries that the query *which* selects. Inside a transaction."""
    async with connection.cursor("looks", row_factory=class_row(Look)) as cursor:
        cursor.itersize = _AT_ONCE
        await cursor.execute(_SELECT.format(which=which, order=order), values)
        async for look in cursor:
            yield look
