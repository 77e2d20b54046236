"""The patient's word that somebody beside her care may see what is hers; and that it is over.

One consent at a time for each relative and each unit: a new one takes the place of the one before,
so that what is revoked is out, whole, at the next request.
"""

import enum
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg import AsyncConnection
from psycopg.rows import class_row

from alerts.access import Access, Ground, Scope, decide, lasting
from alerts.audit.chain import append
from alerts.audit.entry import Action, Entry
from alerts.care import substitutes
from alerts.care.facts import facts
from alerts.care.people import Viewer

# More than anybody shares with: no more are given, so that all of them stand on one page.
HELD_MAX: Final = 200


class How(enum.StrEnum):
    """How the patient gave her word."""

    SELF = "self"  # on her own page
    PHONE = "phone"
    VISIT = "visit"
    PAPER = "paper"


class Answer(enum.StrEnum):
    """What became of it."""

    DONE = "done"
    NOT_YOURS = "not_yours"  # neither she herself nor who cares for her; or it is for one's own
    HOW = "how"  # "self" is only hers to say; nobody else's word is hers
    NOTHING_SHARED = "nothing_shared"  # no scope
    PERIOD = "period"  # ends before it begins, or has ended
    NO_HOLDER = "no_holder"  # there is no such relative of hers, or no such unit
    OWN_UNIT = "own_unit"  # that unit cares for her: it needs no consent
    FULL = "full"  # she shares with too many
    NONE = "none"  # there is none to revoke


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who may see: one of the two is set."""

    relative_id: int | None = None
    unit_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """A consent that has not been revoked."""

    consent_id: int
    relative_id: int | None
    unit_id: int | None
    holder_name: str
    scope: list[str]
    from_at: datetime
    until_at: datetime | None
    given_how: str
    noted_name: str | None  # none: by herself


@dataclass(frozen=True, slots=True, kw_only=True)
class Relative:
    """Somebody close to the patient."""

    relative_id: int
    name: str
    relation: str


_HOLDER: Final = """
select coalesce(p.unit_id = %(unit_id)s::bigint, false)
from person p
where p.patient_id = %(patient_id)s and case when %(relative_id)s::bigint is null
    then exists (select from unit where unit_id = %(unit_id)s::bigint)
    else exists (select from relative where relative_id = %(relative_id)s
                 and patient_id = p.patient_id) end
for no key update
"""
_REVOKE: Final = """
update consent set revoked_at = clock_timestamp()
where patient_id = %(patient_id)s and revoked_at is null
  and relative_id is not distinct from %(relative_id)s::bigint
  and unit_id is not distinct from %(unit_id)s::bigint
returning consent_id, until_at
"""
_GIVE: Final = """
insert into consent (patient_id, relative_id, unit_id, scope, from_at, until_at, given_how,
                     noted_by)
select %(patient_id)s, %(relative_id)s::bigint, %(unit_id)s::bigint, %(scope)s::text[], from_at,
       %(until_at)s::timestamptz, %(how)s, %(noted_by)s::bigint
from (select coalesce(%(from_at)s::timestamptz, clock_timestamp()) as from_at) begun
where %(until_at)s::timestamptz is null
   or %(until_at)s::timestamptz > greatest(from_at, clock_timestamp())
returning consent_id
"""
_HELD: Final = """
select c.consent_id, c.relative_id, c.unit_id, coalesce(r.name, u.name) as holder_name, c.scope,
       c.from_at, c.until_at, c.given_how, s.name as noted_name
from consent c
left join relative r on r.relative_id = c.relative_id
left join unit u on u.unit_id = c.unit_id
left join staff s on s.staff_id = c.noted_by
where c.patient_id = %s and c.revoked_at is null and (c.until_at is null or c.until_at > now())
order by c.consent_id limit %s
"""


async def give(
    connection: AsyncConnection,
    viewer: Viewer,
    patient_id: int,
    holder: Holder,
    scopes: Collection[Scope],
    *,
    how: How,
    from_at: datetime | None = None,
    until_at: datetime | None = None,
) -> Answer:
    """Write the patient's consent, in the place of the one *holder* had.

    Args:
        connection: The database.
        viewer: The patient herself, or who cares for her and notes what she said.
        patient_id: Whose.
        holder: Who may see.
        scopes: What.
        how: How she said it.
        from_at: From when; now if none.
        until_at: Until when, exclusive; for good if none.
    """
    if not scopes:
        return Answer.NOTHING_SHARED
    if (how is How.SELF) != (viewer.patient_id is not None):
        return Answer.HOW
    values = {
        **_named(patient_id, holder),
        "scope": sorted(scopes),
        "from_at": from_at,
        "until_at": until_at,
        "how": how.value,
        "noted_by": viewer.staff_id,
    }
    async with connection.transaction() as transaction:
        ground = await may_let_in(connection, viewer, patient_id, holder.unit_id)
        if ground is None:
            return Answer.NOT_YOURS
        # The patient's row is held: two who write at once do so one after the other.
        row = await (await connection.execute(_HOLDER, values)).fetchone()
        if row is None:
            return Answer.NO_HOLDER
        if row[0]:
            return Answer.OWN_UNIT
        replaced = await (await connection.execute(_REVOKE, values)).fetchall()
        if len(await held(connection, patient_id)) >= HELD_MAX:
            transaction.force_rollback = True
            return Answer.FULL
        given = await (await connection.execute(_GIVE, values)).fetchone()
        if given is None:
            transaction.force_rollback = True
            return Answer.PERIOD
        ends = [ended_at for _, ended_at in replaced if ended_at is not None]
        await _go_on(connection, patient_id, holder, ends, until_at)
        await _keep_to(connection, viewer, patient_id, holder)
        detail = {
            "consent_id": given[0],
            "replaces": [each for each, _ in replaced],
            "scope": values["scope"],
            "how": how.value,
        }
        entry = Entry.by(viewer, Action.CONSENT_GIVEN, ground, patient_id=patient_id, detail=detail)
        await append(connection, entry)
    return Answer.DONE


async def revoke(
    connection: AsyncConnection, viewer: Viewer, patient_id: int, holder: Holder
) -> Answer:
    """End what *holder* may see, now."""
    values = _named(patient_id, holder)
    async with connection.transaction():
        ground = await may_speak(connection, viewer, patient_id)
        if ground is None:
            return Answer.NOT_YOURS
        await connection.execute(
            "select from person where patient_id = %s for no key update", (patient_id,)
        )
        revoked = await (await connection.execute(_REVOKE, values)).fetchall()
        if not revoked:
            return Answer.NONE
        await _keep_to(connection, viewer, patient_id, holder)
        entry = Entry.by(
            viewer,
            Action.CONSENT_REVOKED,
            ground,
            patient_id=patient_id,
            detail={"consent_ids": [each for each, _ in revoked]},
        )
        await append(connection, entry)
    return Answer.DONE


async def held(connection: AsyncConnection, patient_id: int) -> list[Consent]:
    """Return the patient's consents that are in force, or will be."""
    cursor = connection.cursor(row_factory=class_row(Consent))
    await cursor.execute(_HELD, (patient_id, HELD_MAX))
    return await cursor.fetchall()


async def relatives(connection: AsyncConnection, patient_id: int) -> list[Relative]:
    """Return who is close to the patient."""
    cursor = connection.cursor(row_factory=class_row(Relative))
    await cursor.execute(
        "select relative_id, name, relation from relative where patient_id = %s "
        "order by relative_id limit %s",
        (patient_id, HELD_MAX),
    )
    return await cursor.fetchall()


async def may_speak(connection: AsyncConnection, viewer: Viewer, patient_id: int) -> Ground | None:
    """Return on which ground *viewer* writes the patient's will: she herself, or who cares."""
    known = (await facts(connection, viewer, [patient_id])).get(patient_id)
    if known is None:
        return None
    found = decide(viewer, known)
    return found.ground if isinstance(found, Access) and found.may_speak else None


async def may_let_in(
    connection: AsyncConnection, viewer: Viewer, patient_id: int, unit_id: int | None
) -> Ground | None:
    """Return on which ground *viewer* lets others see: herself, or who cares for her lastingly.

    Nobody lets in her own unit.
    """
    if viewer.staff_id is not None and viewer.unit_id == unit_id:
        return None
    return await speaks_for(connection, viewer, patient_id)


async def speaks_for(connection: AsyncConnection, viewer: Viewer, patient_id: int) -> Ground | None:
    """Return the lasting ground of *viewer*, or that she is the patient herself."""
    known = (await facts(connection, viewer, [patient_id])).get(patient_id)
    return None if known is None else lasting(viewer, known)


async def _keep_to(
    connection: AsyncConnection, viewer: Viewer, patient_id: int, holder: Holder
) -> None:
    """Let who stands in for the patient's contact by this consent do so no longer than it holds."""
    if holder.unit_id is not None:
        await substitutes.keep_to_consent(
            connection, patient_id, holder.unit_id, by=viewer.staff_id
        )


async def _go_on(
    connection: AsyncConnection,
    patient_id: int,
    holder: Holder,
    ends: Iterable[datetime],
    until_at: datetime | None,
) -> None:
    """Let who was to stand in until the consent before ended do so until this one does."""
    if holder.unit_id is not None:
        for ended_at in ends:
            await substitutes.go_on(
                connection, patient_id, holder.unit_id, ended_at=ended_at, until_at=until_at
            )


def _named(patient_id: int, holder: Holder) -> dict[str, object]:
    if (holder.relative_id is None) == (holder.unit_id is None):
        problem = "a consent is for a relative or for a unit"
        raise ValueError(problem)
    return {
        "patient_id": patient_id,
        "relative_id": holder.relative_id,
        "unit_id": holder.unit_id,
    }
