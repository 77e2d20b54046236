"""A plan is proposed to a patient, held against her past, asked about, declined or withdrawn.

A proposal is in force for nobody; what makes it a plan is ``alerts.care.agreement``. Every function
opens a transaction of its own. *now* is the database's.
"""

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb
from pydantic import ValidationError

from alerts.access import Ground
from alerts.audit.chain import append
from alerts.audit.entry import Action, Entry
from alerts.care.consent import may_speak
from alerts.care.people import Viewer
from alerts.care.plan_spec import PlanSpec
from alerts.care.preview import Preview, preview

Connection = AsyncConnection[Any]

WHY_CHARS_MAX: Final = 2_000
QUESTION_CHARS_MAX: Final = 2_000


class State(enum.StrEnum):
    """Where a proposal stands."""

    PROPOSED = "proposed"
    QUESTIONED = "questioned"  # the patient has asked; it can still be agreed
    AGREED = "agreed"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"

    @property
    def is_open(self) -> bool:
        """Whether it can still be answered."""
        return self in {State.PROPOSED, State.QUESTIONED}


class How(enum.StrEnum):
    """How the patient answered."""

    SELF = "self"
    PHONE = "phone"
    VISIT = "visit"
    RELATIVE = "relative"


class Answer(enum.StrEnum):
    """What became of it."""

    DONE = "done"
    NOT_FOUND = "not_found"  # there is no such patient or proposal that you may see
    NOT_YOURS = "not_yours"  # only the patient, or only staff, can do this
    OPEN_ALREADY = "open_already"  # another proposal waits for her answer
    ANSWERED = "answered"  # it was answered or withdrawn before
    NOT_PREVIEWED = "not_previewed"  # nobody has seen yet what it would make
    NO_RELATIVE = "no_relative"  # not hers, or may not see her plan
    IN_THE_PAST = "in_the_past"  # a plan is never in force from before now
    TOO_FAR = "too_far"
    OUTDATED = "outdated"  # such a plan can be followed no more: withdraw it and propose another
    NO_TEXT = "no_text"  # a question or a reason without words, or too many
    NO_PLAN = "no_plan"  # there is none to end


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The answer, and what it is about."""

    answer: Answer
    proposal_id: int | None = None
    state: State | None = None
    plan_version_id: int | None = None
    in_force_from: datetime | None = None
    # Versions that were to begin later, and that the new one follows at once.
    followed: tuple[datetime, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A proposal as patient and staff see it."""

    proposal_id: int
    patient_id: int
    spec: dict[str, Any]
    why: str
    templates: list[str]
    proposed_by: int | None
    proposed_at: datetime
    preview: dict[str, Any] | None
    previewed_at: datetime | None
    state: str
    question: str
    answered_at: datetime | None
    answered_how: str | None
    relative_id: int | None
    noted_by: int | None
    in_force_from: datetime | None
    plan_version_id: int | None

    def plan(self) -> PlanSpec:
        """Return the proposed plan; raises pydantic.ValidationError."""
        return PlanSpec.model_validate(self.spec)


@dataclass(frozen=True, slots=True)
class Held:
    """A proposal, and what opens it to who asks."""

    proposal: Proposal
    ground: Ground


async def propose(
    connection: Connection,
    viewer: Viewer,
    patient_id: int,
    spec: PlanSpec,
    *,
    why: str = "",
    templates: tuple[str, ...] = (),
    now: datetime,
) -> Done:
    """Propose a plan to a patient; one at a time waits for her answer."""
    if not is_care(viewer):
        return Done(answer=Answer.NOT_YOURS)
    if len(why) > WHY_CHARS_MAX:
        return Done(answer=Answer.NO_TEXT)
    ground = await may_speak(connection, viewer, patient_id)
    if ground is None:
        return Done(answer=Answer.NOT_FOUND)
    values = [
        patient_id,
        Jsonb(spec.as_json()),
        why.strip(),
        list(templates),
        viewer.staff_id,
        now,
    ]
    try:
        async with connection.transaction():
            row = await _one(connection, _PROPOSE, values)
            detail = {"proposal_id": row[0]}
            await append(
                connection,
                Entry.by(
                    viewer, Action.PLAN_PROPOSED, ground, patient_id=patient_id, detail=detail
                ),
            )
    except psycopg.errors.UniqueViolation:
        return Done(answer=Answer.OPEN_ALREADY)
    return Done(answer=Answer.DONE, proposal_id=row[0], state=State.PROPOSED)


async def show_past(
    connection: Connection, viewer: Viewer, proposal_id: int, now: datetime
) -> tuple[Done, Preview | None]:
    """Hold the proposal against her last 90 days, and keep what came of it beside it."""
    held = await find(connection, viewer, proposal_id)
    if held is None:
        return Done(answer=Answer.NOT_FOUND), None
    found = held.proposal
    if not State(found.state).is_open:
        return answered(found), None
    try:
        plan = found.plan()
    except ValidationError:  # it was possible by the rules of an earlier release
        outdated = Answer.OUTDATED
        return Done(answer=outdated, proposal_id=proposal_id, state=State(found.state)), None
    seen = await preview(connection, found.patient_id, plan, now)
    async with connection.transaction():
        kept = await connection.execute(_KEEP_PREVIEW, [Jsonb(seen.as_json()), now, proposal_id])
        if not kept.rowcount:  # somebody answered meanwhile
            again = await find(connection, viewer, proposal_id)
            return answered(again.proposal if again else found), None
        await log(connection, viewer, held, Action.PLAN_PREVIEWED)
    return Done(answer=Answer.DONE, proposal_id=proposal_id, state=State(found.state)), seen


async def ask(
    connection: Connection, viewer: Viewer, proposal_id: int, text: str, now: datetime
) -> Done:
    """Let the patient ask about it: the question is also a message that waits to be answered."""
    text = text.strip()
    if viewer.patient_id is None:
        return Done(answer=Answer.NOT_YOURS)
    if not 0 < len(text) <= QUESTION_CHARS_MAX:
        return Done(answer=Answer.NO_TEXT)
    async with connection.transaction():
        held = await hold(connection, viewer, proposal_id)
        if held is None:
            return Done(answer=Answer.NOT_FOUND)
        if not State(held.proposal.state).is_open:
            return answered(held.proposal)
        await connection.execute(_ASK, {"text": text, "proposal_id": proposal_id})
        await connection.execute(
            "insert into message (patient_id, text, written_at) values (%s, %s, %s)",
            [held.proposal.patient_id, f"Fråga om den föreslagna planen: {text}", now],
        )
        await log(connection, viewer, held, Action.PLAN_QUESTIONED)
    return Done(answer=Answer.DONE, proposal_id=proposal_id, state=State.QUESTIONED)


async def decline(
    connection: Connection, viewer: Viewer, proposal_id: int, how: How, now: datetime
) -> Done:
    """Let the patient say no, or note that she did; the plan of before stays in force."""
    if not may_answer(viewer, how):
        return Done(answer=Answer.NOT_YOURS)
    if how is How.RELATIVE:  # with whom is kept for what was agreed only
        return Done(answer=Answer.NO_RELATIVE)
    return await _end(connection, viewer, proposal_id, State.DECLINED, how=how, now=now)


async def withdraw(connection: Connection, viewer: Viewer, proposal_id: int, now: datetime) -> Done:
    """Take a proposal back before it is answered: another can be made then."""
    if not is_care(viewer):
        return Done(answer=Answer.NOT_YOURS)
    return await _end(connection, viewer, proposal_id, State.WITHDRAWN, how=None, now=now)


async def of_patient(
    connection: Connection,
    viewer: Viewer,
    patient_id: int,
    most: int = 50,
    before: datetime | None = None,
) -> list[Proposal]:
    """Return a patient's proposals, the newest first; none for who may not see her.

    With *before*: those that were proposed before then.
    """
    if await may_speak(connection, viewer, patient_id) is None:
        return []
    cursor = connection.cursor(row_factory=class_row(Proposal))
    await cursor.execute(
        f"{_PROPOSAL} where patient_id = %s and proposed_at < coalesce(%s, 'infinity'::timestamptz)"
        " order by proposed_at desc limit %s",
        [patient_id, before, most],
    )
    return await cursor.fetchall()


_ENDED: Final = {
    State.DECLINED: Action.PLAN_DECLINED,
    State.WITHDRAWN: Action.PLAN_WITHDRAWN,
}
_COLUMNS: Final = ", ".join(Proposal.__dataclass_fields__)
_PROPOSAL: Final = f"select {_COLUMNS} from plan_proposal"  # noqa: S608 - our own names
_PROPOSE: Final = """
insert into plan_proposal (patient_id, spec, why, templates, proposed_by, proposed_at)
values (%s, %s, %s, %s, %s, %s) returning proposal_id
"""
_KEEP_PREVIEW: Final = """
update plan_proposal set preview = %s, previewed_at = %s
where proposal_id = %s and state in ('proposed', 'questioned')
"""
_ASK: Final = """
update plan_proposal
set state = 'questioned', question = concat_ws(E'\\n', nullif(question, ''), %(text)s::text)
where proposal_id = %(proposal_id)s
"""
_SETTLE: Final = """
update plan_proposal set state = %(state)s, answered_at = %(now)s, answered_how = %(how)s,
    relative_id = %(relative_id)s, noted_by = %(noted_by)s, in_force_from = %(in_force_from)s,
    plan_version_id = %(plan_version_id)s
where proposal_id = %(proposal_id)s
"""


def is_care(viewer: Viewer) -> bool:
    """Tell whether *viewer* is of the care staff."""
    return viewer.gives_care


def may_answer(viewer: Viewer, how: How) -> bool:
    """Tell whether *viewer* can note an answer given so: herself, or her care for her."""
    return viewer.patient_id is not None if how is How.SELF else is_care(viewer)


async def find(connection: Connection, viewer: Viewer, proposal_id: int) -> Held | None:
    """Return the proposal, if *viewer* is its patient or of her care."""
    cursor = connection.cursor(row_factory=class_row(Proposal))
    await cursor.execute(f"{_PROPOSAL} where proposal_id = %s", [proposal_id])
    found = await cursor.fetchone()
    if found is None:
        return None
    ground = await may_speak(connection, viewer, found.patient_id)
    return None if ground is None else Held(found, ground)


async def hold(connection: Connection, viewer: Viewer, proposal_id: int) -> Held | None:
    """Return it as it is once nobody else changes this patient's plans; in a transaction."""
    held = await find(connection, viewer, proposal_id)
    if held is None:
        return None
    await connection.execute(
        "select from patient where patient_id = %s for no key update", [held.proposal.patient_id]
    )
    return await find(connection, viewer, proposal_id)


async def log(
    connection: Connection, viewer: Viewer, held: Held, action: Action, **detail: object
) -> None:
    """Write what was done with a proposal into the access log: the last of a transaction."""
    found = held.proposal
    detail = {"proposal_id": found.proposal_id, **detail}
    await append(
        connection,
        Entry.by(viewer, action, held.ground, patient_id=found.patient_id, detail=detail),
    )


async def _end(
    connection: Connection,
    viewer: Viewer,
    proposal_id: int,
    state: State,
    *,
    how: How | None,
    now: datetime,
) -> Done:
    async with connection.transaction():
        held = await hold(connection, viewer, proposal_id)
        if held is None:
            return Done(answer=Answer.NOT_FOUND)
        if not State(held.proposal.state).is_open:
            return answered(held.proposal)
        done = Done(answer=Answer.DONE, proposal_id=proposal_id, state=state)
        await settle(connection, done, how=how, noted_by=viewer.staff_id, now=now)
        await log(connection, viewer, held, _ENDED[state])
    return done


async def settle(
    connection: Connection,
    done: Done,
    *,
    how: How | None,
    noted_by: int | None,
    now: datetime,
    relative_id: int | None = None,
) -> None:
    """Note how a proposal ended."""
    await connection.execute(
        _SETTLE,
        {
            "state": done.state,
            "now": now,
            "how": how,
            "relative_id": relative_id,
            "noted_by": noted_by,
            "in_force_from": done.in_force_from,
            "plan_version_id": done.plan_version_id,
            "proposal_id": done.proposal_id,
        },
    )


def answered(found: Proposal) -> Done:
    """Return the answer for who comes too late."""
    return Done(
        answer=Answer.ANSWERED,
        proposal_id=found.proposal_id,
        state=State(found.state),
        plan_version_id=found.plan_version_id,
        in_force_from=found.in_force_from,
    )


async def _one(connection: Connection, query: str, values: list[Any]) -> tuple[Any, ...]:
    cursor = await connection.execute(query, values)
    row: tuple[Any, ...] | None = await cursor.fetchone()
    assert row is not None
    return row
