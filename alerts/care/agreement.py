"""A proposal becomes a plan: who agreed and how, and from when it is in force.

It is agreed when the patient says so herself, when a nurse notes that she did by telephone or at a
visit, or together with a relative who may see her plan. It is in force from now or from a later
day, never from before: readings of before are not judged by it. What was agreed last holds: a
version that was to begin later still is followed by the new one at once.
"""

from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from psycopg.rows import class_row
from pydantic import ValidationError

from alerts.audit.entry import Action
from alerts.care import plan_spec
from alerts.care.consent import Relative
from alerts.care.people import Viewer
from alerts.care.plan_spec import PlanSpec
from alerts.care.proposal import (
    Answer,
    Connection,
    Done,
    How,
    Proposal,
    State,
    answered,
    hold,
    log,
    may_answer,
    settle,
)

LOCAL: Final = ZoneInfo("Europe/Stockholm")
# Further ahead nobody knows what she needs.
AHEAD_MAX: Final = timedelta(days=366)
_AT_ONCE: Final = timedelta(microseconds=1)  # the least that the database tells apart

# As it stands after "Överenskommen:" on her page.
AGREED_HOW: Final = {
    How.SELF: "av patienten själv",
    How.PHONE: "per telefon",
    How.VISIT: "tillsammans vid besök",
    How.RELATIVE: "tillsammans med närstående",
}

_WHO_SEES_PLAN: Final = """
select r.relative_id, r.name, r.relation
from relative r join consent c using (relative_id, patient_id)
where r.patient_id = %(patient_id)s
    and 'plan' = any (c.scope) and c.revoked_at is null
    and c.from_at <= %(now)s and (c.until_at is null or c.until_at > %(now)s)
order by r.relative_id
"""
_FROM_THEN: Final = """
select in_force_from from plan_version where patient_id = %s and in_force_from >= %s
order by in_force_from
"""


async def agree(
    connection: Connection,
    viewer: Viewer,
    proposal_id: int,
    how: How,
    *,
    relative_id: int | None = None,
    from_day: date | None = None,
    now: datetime,
) -> Done:
    """Write the version that was agreed, with all that belongs to it, in one transaction.

    Args:
        connection: In no transaction.
        viewer: The patient for ``How.SELF``, otherwise the staff member who notes it.
        proposal_id: Which.
        how: How the patient said so.
        relative_id: With whom, for ``How.RELATIVE``.
        from_day: The day in Sweden it is in force from; none, or today: from *now*.
        now: The database's.
    """
    if not may_answer(viewer, how):
        return Done(answer=Answer.NOT_YOURS)
    start = begins(from_day, now)
    if isinstance(start, Answer):
        return Done(answer=start, proposal_id=proposal_id)
    async with connection.transaction():
        held = await hold(connection, viewer, proposal_id)
        if held is None:
            return Done(answer=Answer.NOT_FOUND)
        found = held.proposal
        if not State(found.state).is_open:
            return answered(found)
        spec = _agreeable(found)
        if isinstance(spec, Answer):
            return Done(answer=spec, proposal_id=proposal_id, state=State(found.state))
        present = await company(connection, found.patient_id, now)
        if how is How.RELATIVE and relative_id not in present:
            answer = Answer.NO_RELATIVE
            return Done(answer=answer, proposal_id=proposal_id, state=State(found.state))
        moments = await starts(connection, found.patient_id, start)
        versions = [
            await plan_spec.write(
                connection,
                found.patient_id,
                spec,
                in_force_from=moment,
                agreed_how=AGREED_HOW[how],
            )
            for moment in moments
        ]
        done = Done(
            answer=Answer.DONE,
            proposal_id=proposal_id,
            state=State.AGREED,
            plan_version_id=versions[0],
            in_force_from=moments[0],
            followed=tuple(moment - _AT_ONCE for moment in moments[1:]),
        )
        who = relative_id if how is How.RELATIVE else None
        await settle(connection, done, how=how, relative_id=who, noted_by=viewer.staff_id, now=now)
        kept = {"how": how.value, "plan_version_id": done.plan_version_id}
        await log(connection, viewer, held, Action.PLAN_AGREED, **kept)
    return done


def _agreeable(found: Proposal) -> PlanSpec | Answer:
    """Return the plan, if somebody has seen what it would make and it can still be."""
    if found.previewed_at is None:
        return Answer.NOT_PREVIEWED
    try:
        return found.plan()
    except ValidationError:  # it was possible by the rules of an earlier release
        return Answer.OUTDATED


def begins(from_day: date | None, now: datetime) -> datetime | Answer:
    """Return when a plan is in force from that day on, or why it cannot be."""
    today = now.astimezone(LOCAL).date()
    if from_day is None or from_day == today:
        return now
    if from_day < today:
        return Answer.IN_THE_PAST
    if from_day - today > AHEAD_MAX:
        return Answer.TOO_FAR
    return datetime.combine(from_day, time(), LOCAL)


async def company(connection: Connection, patient_id: int, now: datetime) -> dict[int, Relative]:
    """Return with whom a plan can be agreed on or ended: who may see it, by her consent."""
    cursor = connection.cursor(row_factory=class_row(Relative))
    await cursor.execute(_WHO_SEES_PLAN, {"patient_id": patient_id, "now": now})
    return {one.relative_id: one for one in await cursor.fetchall()}


async def starts(connection: Connection, patient_id: int, first: datetime) -> list[datetime]:
    """Return when the new version begins: then, and right after each that was to begin later."""
    cursor = await connection.execute(_FROM_THEN, [patient_id, first])
    later = [row[0] for row in await cursor.fetchall()]
    after = [start + _AT_ONCE for start in later if start + _AT_ONCE not in later]
    return after if first in later else [first, *after]
