"""Where alerts belong at a moment, beside where they are: what the engine stores and tells.

Reads the facts and asks ``alerts.routing``; writes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg import AsyncConnection
from psycopg.rows import class_row

from alerts.alert import Level, State
from alerts.care.availability import around
from alerts.routing import Route, route

# All alerts that go to somebody. Never the canary's: she is nobody, and ingest ends hers itself.
ROUTABLE: Final = """
from alert a
join person p on p.patient_id = a.patient_id
join patient on patient.patient_id = a.patient_id and not patient.is_canary
left join alert_case k on k.alert_id = a.alert_id
where a.state <> 'closed'
"""
# Not part of the statement that locks: what was committed before we had the lock is seen.
_STANDING: Final = f"""
select a.alert_id, a.patient_id, a.level, a.state, a.changed_at, k.alert_id is null as is_new,
       k.staff_id, k.team_id, k.unit_id, k.contact_staff_id, k.warning,
       coalesce((select c.warns from alert_course c where c.alert_id = a.alert_id), false)
           as course_warns
{ROUTABLE} and a.alert_id = any(%s)
"""  # noqa: S608 - our own text


@dataclass(frozen=True, slots=True)
class Standing:
    """An alert, and the receiver it has."""

    alert_id: int
    patient_id: int
    level: int
    state: str
    changed_at: datetime
    is_new: bool  # it has no receiver yet
    staff_id: int | None
    team_id: int | None
    unit_id: int | None
    contact_staff_id: int | None
    warning: bool | None  # as the worklists show it
    course_warns: bool


@dataclass(frozen=True, slots=True)
class Placed:
    """An alert, where it belongs at a moment, and the patient's contact then."""

    alert: Standing
    to: Route
    contact_id: int | None

    @property
    def is_moved(self) -> bool:
        """Whether the alert gets a receiver that it does not have.

        What somebody has taken stays with her when the clock strikes. It moves if the patient
        gets another contact or unit.
        """
        was = self.alert
        if was.is_new:
            return True
        if (was.staff_id, was.team_id, was.unit_id) == self._receiver:
            return False
        return was.state == State.OPEN or self._contact_is_another

    @property
    def is_news(self) -> bool:
        """Whether there is anything to write."""
        return self.is_moved or (
            self.alert.state == State.OPEN
            and (self._contact_is_another or self.warning != self.alert.warning)
        )

    @property
    def warning(self) -> bool:
        """Whether there is anything to mend, so that somebody can be told."""
        return bool(self.to.warnings) or self.alert.course_warns

    @property
    def _receiver(self) -> tuple[int | None, int | None, int]:
        return self.to.staff_id, self.to.team_id, self.to.unit_id

    @property
    def _contact_is_another(self) -> bool:
        was = self.alert
        return (was.unit_id, was.contact_staff_id) != (self.to.unit_id, self.contact_id)


async def placed(
    connection: AsyncConnection, alert_ids: Sequence[int], moment: datetime
) -> list[Placed]:
    """Return where each of the alerts belongs at *moment*."""
    cursor = connection.cursor(row_factory=class_row(Standing))
    await cursor.execute(_STANDING, (list(alert_ids),))
    alerts = await cursor.fetchall()
    facts = await around(connection, sorted({alert.patient_id for alert in alerts}), moment)
    return [
        Placed(
            alert, route(here, Level(alert.level)), here.contact.staff_id if here.contact else None
        )
        for alert in alerts
        if (here := facts.get(alert.patient_id)) is not None
    ]
