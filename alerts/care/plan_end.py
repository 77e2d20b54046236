"""A plan ends: from a moment on nothing is judged by it, expected by it, or alerted on.

As every plan it ends together with the patient, and the one that follows is agreed anew. What ends
it is a version without limits and rules, so readings of before keep what they were judged by. Open
alerts stay until a person ends them; they say that their rule is in force no more
(``alerts.care.plan.families``).
"""

from datetime import date, datetime
from typing import Final

from alerts.audit.chain import append
from alerts.audit.entry import Action, Entry
from alerts.care.agreement import AGREED_HOW, begins, company, starts
from alerts.care.consent import may_speak
from alerts.care.people import Viewer
from alerts.care.proposal import Answer, Connection, Done, How, is_care

WHY_CHARS_MAX: Final = 500
# Of now or to come; one that ended already has nothing.
_HAS_ONE: Final = """
select from plan_version v where v.patient_id = %(patient_id)s
    and not exists (select from plan_end e where e.plan_version_id = v.plan_version_id)
    and (v.in_force_from > %(begins)s or v.in_force_from = (
        select max(in_force_from) from plan_version
        where patient_id = %(patient_id)s and in_force_from <= %(begins)s))
limit 1
"""
_END: Final = """
with ended as (
    insert into plan_version (patient_id, in_force_from, agreed_how) values (%s, %s, %s)
    returning plan_version_id
)
insert into plan_end (plan_version_id, why, relative_id, ended_by, at)
select plan_version_id, %s, %s, %s, %s from ended returning plan_version_id
"""


async def end(
    connection: Connection,
    viewer: Viewer,
    patient_id: int,
    how: How,
    *,
    why: str,
    relative_id: int | None = None,
    from_day: date | None = None,
    now: datetime,
) -> Done:
    """End a patient's plan, in one transaction.

    Args:
        connection: In no transaction.
        viewer: The staff member who notes it.
        patient_id: Whose.
        how: How the patient said so.
        why: The reason: well again, moved, does not want to.
        relative_id: With whom, for ``How.RELATIVE``: one who may see her plan.
        from_day: The day in Sweden from which on it is over; none, or today: *now*.
        now: The database's.
    """
    if not is_care(viewer):
        return Done(answer=Answer.NOT_YOURS)
    if not 0 < len(why.strip()) <= WHY_CHARS_MAX:
        return Done(answer=Answer.NO_TEXT)
    over_from = begins(from_day, now)
    if isinstance(over_from, Answer):
        return Done(answer=over_from)
    async with connection.transaction():
        ground = await may_speak(connection, viewer, patient_id)
        if ground is None:
            return Done(answer=Answer.NOT_FOUND)
        await connection.execute(
            "select from patient where patient_id = %s for no key update", [patient_id]
        )
        present = await company(connection, patient_id, now)
        if how is How.RELATIVE and relative_id not in present:
            return Done(answer=Answer.NO_RELATIVE)
        names = {"patient_id": patient_id, "begins": over_from}
        if not (await connection.execute(_HAS_ONE, names)).rowcount:
            return Done(answer=Answer.NO_PLAN)
        moments = await starts(connection, patient_id, over_from)
        versions = []
        for moment in moments:
            who = relative_id if how is How.RELATIVE else None
            said = [why.strip(), who, viewer.staff_id, now]
            values = [patient_id, moment, AGREED_HOW[how], *said]
            row = await (await connection.execute(_END, values)).fetchone()
            assert row is not None
            versions.append(int(row[0]))
        detail = {"how": how.value, "plan_version_id": versions[0]}
        entry = Entry.by(viewer, Action.PLAN_ENDED, ground, patient_id=patient_id, detail=detail)
        await append(connection, entry)
    return Done(answer=Answer.DONE, plan_version_id=versions[0], in_force_from=moments[0])
