"""One reading as her care sees it: what was measured, what is odd, what was said of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import class_row

from alerts.case import values_of
from devices.quantity import Quantity
from ingest.plausibility import Suspicion

Connection = AsyncConnection[Any]

# In Swedish, after "Ovanligt:". A bit that a newer version sets is told as no reason.
_DOUBTS: Final = {
    Suspicion.BEYOND_SOFT_BOUND: "så ser nästan inga värden ut",
    Suspicion.PULSE_PRESSURE: "övertryck och undertryck passar inte ihop",
    Suspicion.MEAN_NOT_BETWEEN: "medeltrycket passar inte ihop med de andra",
    Suspicion.CLOCK_OFF: "mätarens klocka gick fel",
    Suspicion.FREQUENT: "det kom många mätningar på kort tid",
    Suspicion.WEIGHT_OFF_MEDIAN: "vikten liknar inte de senaste",
    Suspicion.CUFF_LOOSE: "manschetten satt löst",
    Suspicion.BODY_MOVEMENT: "armen rörde sig",
    Suspicion.IMPROPER_POSITION: "armen var i fel läge",
}
# After what somebody asked for; of ingest.review.Refusal.
_REFUSED: Final = {
    "gone": "mätningen finns inte kvar",
    "replaced": "någon annan hade redan rättat mätningen",
    "same": "mätningen var redan hens",
    "impossible": "databasen kunde inte spara det. Säg till den som sköter systemet",
}
_ASKED: Final = {
    "confirmed": "att mätningen stämmer",
    "rejected": "att mätningen inte ska räknas",
    "moved": "att mätningen är någon annans",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A reading, and the newest thing that was asked to be done with it."""

    reading_id: UUID
    patient_id: int
    measured_at: datetime
    suspicion: int
    counts: bool  # rules look at it
    by_id: dict[str, float]
    verdict: str | None
    asked_name: str | None  # none: the patient herself, or nobody
    asked_at: datetime | None
    done_at: datetime | None
    refused: str | None

    @property
    def values(self) -> dict[Quantity, float]:
        """The values by quantity."""
        return values_of(self.by_id)

    @property
    def is_settled(self) -> bool:
        """Whether it was rejected or moved: nothing more can be said of it."""
        return bool(self.suspicion & Suspicion.SUPERSEDED)

    @property
    def is_waiting(self) -> bool:
        """Whether what was asked is not done yet."""
        return self.verdict is not None and self.done_at is None

    def doubts(self) -> list[str]:
        """Return what is odd about it, in words."""
        return [words for bit, words in _DOUBTS.items() if self.suspicion & bit]

    def said(self) -> str:
        """Return what somebody said of it, and how it went; '': nothing."""
        if self.verdict is None:
            return ""
        said = f"{self.asked_name or 'Patienten'} har sagt {_ASKED[self.verdict]}"
        if self.done_at is None:
            return f"{said}. Det görs inom några sekunder."
        if self.refused is not None:
            return f"{said}. Det gick inte: {_REFUSED[self.refused]}."
        return f"{said}."


_SEEN: Final = """
select r.reading_id, r.patient_id, r.measured_at, r.suspicion, sample_counts(r.suspicion) as counts,
    coalesce((select jsonb_object_agg(s.quantity_id, s.value) from sample s
              where s.patient_id = r.patient_id and s.measured_at = r.measured_at
                and s.reading_id = r.reading_id), '{}') as by_id,
    q.verdict, f.name as asked_name, q.asked_at, q.done_at, q.refused
from reading r
left join lateral (
    select * from review_request where patient_id = r.patient_id and reading_id = r.reading_id
    order by request_id desc limit 1
) q on true
left join staff f on f.staff_id = q.staff_id
where r.reading_id = %s
"""


async def seen(connection: Connection, reading_id: UUID) -> Seen | None:
    """Return a reading, for who has been let in to whose it is; none: there is none."""
    async with connection.cursor(row_factory=class_row(Seen)) as cursor:
        await cursor.execute(_SEEN, [reading_id])
        return await cursor.fetchone()
