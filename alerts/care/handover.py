"""A patient goes over to another unit: offered, and until it is accepted the giver keeps all.

An offer changes nothing but that it stands in the other unit's list. With the answer yes, unit and
contact change in one transaction, and her alerts that are not closed go to the new contact: also
those that somebody has taken or let rest, since who did can see her no more.
"""

import enum
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from psycopg import AsyncConnection, sql
from psycopg.rows import class_row

from alerts.access import Ground
from alerts.audit.chain import append
from alerts.audit.entry import Action, Entry
from alerts.care import across, move
from alerts.care.consent import speaks_for
from alerts.care.people import Viewer
from alerts.signal import notify_worklists, topic

MESSAGE_CHARS_MAX: Final = 2_000
# What one unit has been offered and has not answered; more is a sign that nobody answers.
OFFERS_MAX: Final = 200


class Refusal(enum.Enum):
    """Why nothing was done; the value is what is read by who tried."""

    NOT_YOURS = "Patienten finns inte, eller så är du inte den som kan lämna över."
    NO_OFFER = "Överlämningen finns inte, eller så gäller den inte din enhet. Ladda om sidan."
    SAME_UNIT = "Patienten hör redan till den enheten. Välj en annan enhet."
    NO_UNIT = "Enheten finns inte. Välj en annan enhet."
    ALREADY_OFFERED = "Patienten är redan erbjuden till en enhet. Ta tillbaka det först."
    NO_CONSENT = (
        "Enheten hör till en annan huvudman, eller så är huvudmannen inte inskriven. "
        "Då behövs patientens samtycke till värden, larm och plan. "
        "Fråga patienten och skriv in samtycket först."
    )
    BLOCKED = "Patienten har spärrat sina uppgifter för enheten. Bara patienten kan häva spärren."
    NO_CONTACT = (
        "Välj en fast vårdkontakt som arbetar på din enhet, eller ett av enhetens team. "
        "Utan kontakt vet ingen vem som får larmen."
    )
    WHY_MISSING = "Skriv varför enheten inte tar emot. De som frågade behöver veta det."
    MESSAGE_TOO_LONG = f"Meddelandet är för långt. Högst {MESSAGE_CHARS_MAX} tecken får plats."
    ANSWERED = "Överlämningen är redan besvarad eller tillbakatagen."
    MOVED = "Patienten hör inte längre till enheten som erbjöd. Inget har ändrats."


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Nothing was done.

    Attributes:
        why: The reason.
        name: Who answered before, for ``ANSWERED``.
        at: When.
    """

    why: Refusal
    name: str | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A handover without an answer, as the receiving unit sees it: enough to say yes or no."""

    handover_id: int
    patient_id: int
    given_name: str
    family_name: str
    born_on: date
    from_unit_id: int
    from_unit_name: str
    to_unit_id: int
    to_unit_name: str
    offered_name: str | None
    offered_at: datetime
    message: str


@dataclass(frozen=True, slots=True)
class _Held:
    """A handover whose patient's row is locked by us: nobody else answers meanwhile."""

    handover_id: int
    patient_id: int
    from_unit_id: int
    to_unit_id: int
    unit_id: int  # the patient's now
    answered_at: datetime | None
    answered_name: str | None


@dataclass(frozen=True, slots=True)
class _Answer:
    word: str
    message: str = ""


_PATIENT: Final = "select unit_id from person where patient_id = %s for no key update"
_MAY_GO: Final = sql.SQL("""
select {is_anothers} and not exists ({consent}) as lacks_consent, {is_blocked} as is_blocked
from unit t join unit f on f.unit_id = %(from_unit_id)s
where t.unit_id = %(to_unit_id)s
""").format(is_anothers=across.IS_ANOTHERS, consent=across.CONSENT, is_blocked=across.IS_BLOCKED)
_OFFER: Final = """
insert into handover (patient_id, from_unit_id, to_unit_id, offered_by, offered_at, message)
values (%s, %s, %s, %s, %s, %s)
on conflict (patient_id) where answer is null do nothing
returning handover_id
"""
_HOLD: Final = """
select h.handover_id, h.patient_id, h.from_unit_id, h.to_unit_id, p.unit_id, h.answered_at,
       answerer.name
from handover h join person p using (patient_id)
left join staff answerer on answerer.staff_id = h.answered_by
where h.handover_id = %s
"""
_ANSWER: Final = """
update handover set answer = %s, answered_by = %s, answered_at = %s, answer_message = %s
where handover_id = %s
"""
_OFFERS: Final = """
select h.handover_id, h.patient_id, p.given_name, p.family_name, p.born_on, h.from_unit_id,
       f.name as from_unit_name, h.to_unit_id, t.name as to_unit_name, s.name as offered_name,
       h.offered_at, h.message
from handover h
join person p using (patient_id)
join unit f on f.unit_id = h.from_unit_id
join unit t on t.unit_id = h.to_unit_id
left join staff s on s.staff_id = h.offered_by
where h.answer is null
"""


async def offered_to(
    connection: AsyncConnection,
    viewer: Viewer,
    most: int = OFFERS_MAX,
    after: tuple[datetime, int] | None = None,
) -> list[Offer]:
    """Return what waits for an answer of the viewer's unit, the oldest first.

    With *after*, when one was offered and its number: those that come after it in that order.
    """
    if not viewer.gives_care:
        return []
    offered, handover_id = after or (None, None)
    cursor = connection.cursor(row_factory=class_row(Offer))
    await cursor.execute(
        f"{_OFFERS} and h.to_unit_id = %s"
        " and (%s::timestamptz is null or (h.offered_at, h.handover_id) > (%s, %s::bigint))"
        " order by h.offered_at, h.handover_id limit %s",
        (viewer.unit_id, offered, offered, handover_id, most),
    )
    return await cursor.fetchall()


async def offer_of(connection: AsyncConnection, patient_id: int) -> Offer | None:
    """Return the patient's handover that waits for an answer. The caller may see her."""
    cursor = connection.cursor(row_factory=class_row(Offer))
    await cursor.execute(f"{_OFFERS} and h.patient_id = %s", (patient_id,))
    return await cursor.fetchone()


async def offer(
    connection: AsyncConnection,
    viewer: Viewer,
    patient_id: int,
    to_unit_id: int,
    *,
    message: str = "",
    now: datetime,
) -> int | Refused:
    """Offer the patient to another unit; return the handover's number."""
    if len(message) > MESSAGE_CHARS_MAX:
        return Refused(why=Refusal.MESSAGE_TOO_LONG)
    async with connection.transaction():
        ground = await _may_give(connection, viewer, patient_id)
        held = await connection.execute(_PATIENT, (patient_id,))
        (unit_id,) = await held.fetchone() or (None,)
        if ground is None or unit_id is None:
            return Refused(why=Refusal.NOT_YOURS)
        refusal = await _may_go(connection, patient_id, unit_id, to_unit_id, now)
        if refusal is not None:
            return Refused(why=refusal)
        made = await connection.execute(
            _OFFER, (patient_id, unit_id, to_unit_id, viewer.staff_id, now, message.strip())
        )
        (handover_id,) = await made.fetchone() or (None,)
        if handover_id is None:
            return Refused(why=Refusal.ALREADY_OFFERED)
        detail = {"handover_id": handover_id, "to_unit_id": to_unit_id}
        await append(
            connection,
            Entry.by(viewer, Action.HANDOVER_OFFERED, ground, patient_id=patient_id, detail=detail),
        )
        await notify_worklists(connection, [topic(None, to_unit_id)])
    return int(handover_id)


async def accept(
    connection: AsyncConnection,
    viewer: Viewer,
    handover_id: int,
    contact: move.Contact,
    *,
    now: datetime,
) -> Refused | None:
    """Let the viewer's unit answer for the patient from now on, with *contact* as her contact."""
    async with connection.transaction():
        held = await _hold(connection, handover_id)
        refusal = _may_answer(viewer, held)
        if held is None or refusal is not None:
            return refusal
        if held.unit_id != held.from_unit_id:
            return Refused(why=Refusal.MOVED)
        hindered = await _may_go(
            connection, held.patient_id, held.from_unit_id, held.to_unit_id, now
        )
        if hindered is not None:
            return Refused(why=hindered)
        if not await move.is_of(connection, contact, held.to_unit_id, now):
            return Refused(why=Refusal.NO_CONTACT)
        await _answer(connection, viewer, held, _Answer("accepted"), now)
        moved = move.Move(
            patient_id=held.patient_id,
            unit_id=held.to_unit_id,
            contact=contact,
            by=viewer.staff_id,
            handover_id=handover_id,
        )
        await move.carry_out(connection, moved, now)
        await _log(connection, viewer, held, Action.HANDOVER_ACCEPTED, Ground.QUEUE)
    return None


async def decline(
    connection: AsyncConnection, viewer: Viewer, handover_id: int, *, message: str, now: datetime
) -> Refused | None:
    """Say no for the viewer's unit, and why. The giver keeps the patient, as all along."""
    if not message.strip():
        return Refused(why=Refusal.WHY_MISSING)
    if len(message) > MESSAGE_CHARS_MAX:
        return Refused(why=Refusal.MESSAGE_TOO_LONG)
    async with connection.transaction():
        held = await _hold(connection, handover_id)
        refusal = _may_answer(viewer, held)
        if held is None or refusal is not None:
            return refusal
        await _answer(connection, viewer, held, _Answer("declined", message.strip()), now)
        await _log(connection, viewer, held, Action.HANDOVER_DECLINED, Ground.QUEUE)
    return None


async def withdraw(
    connection: AsyncConnection, viewer: Viewer, handover_id: int, *, now: datetime
) -> Refused | None:
    """Take an offer back; whoever could make it can."""
    async with connection.transaction():
        held = await _hold(connection, handover_id)
        ground = None if held is None else await _may_give(connection, viewer, held.patient_id)
        if held is None or ground is None:
            return Refused(why=Refusal.NO_OFFER)
        if held.answered_at is not None:
            return _answered(held)
        await _answer(connection, viewer, held, _Answer("withdrawn"), now)
        await _log(connection, viewer, held, Action.HANDOVER_WITHDRAWN, ground)
    return None


async def _may_give(connection: AsyncConnection, viewer: Viewer, patient_id: int) -> Ground | None:
    if viewer.staff_id is None:
        return None
    return await speaks_for(connection, viewer, patient_id)


async def _may_go(
    connection: AsyncConnection, patient_id: int, from_unit_id: int, to_unit_id: int, now: datetime
) -> Refusal | None:
    """Return what hinders the patient from going to the unit."""
    if from_unit_id == to_unit_id:
        return Refusal.SAME_UNIT
    found = await connection.execute(
        _MAY_GO,
        {
            "patient_id": patient_id,
            "from_unit_id": from_unit_id,
            "to_unit_id": to_unit_id,
            "now": now,
        },
    )
    row = await found.fetchone()
    if row is None:
        return Refusal.NO_UNIT
    lacks_consent, is_blocked = row
    if is_blocked:
        return Refusal.BLOCKED
    return Refusal.NO_CONSENT if lacks_consent else None


async def _hold(connection: AsyncConnection, handover_id: int) -> _Held | None:
    """Lock the patient, and then read the handover: who waited sees what was done."""
    found = await connection.execute(
        "select patient_id from handover where handover_id = %s", (handover_id,)
    )
    row = await found.fetchone()
    if row is None:
        return None
    await connection.execute(_PATIENT, row)
    found = await connection.execute(_HOLD, (handover_id,))
    return _Held(*(await found.fetchone() or ()))


def _may_answer(viewer: Viewer, held: _Held | None) -> Refused | None:
    if held is None or not viewer.gives_care or viewer.unit_id != held.to_unit_id:
        return Refused(why=Refusal.NO_OFFER)
    return _answered(held) if held.answered_at is not None else None


def _answered(held: _Held) -> Refused:
    return Refused(why=Refusal.ANSWERED, name=held.answered_name, at=held.answered_at)


async def _answer(
    connection: AsyncConnection, viewer: Viewer, held: _Held, answer: _Answer, now: datetime
) -> None:
    await connection.execute(
        _ANSWER, (answer.word, viewer.staff_id, now, answer.message, held.handover_id)
    )
    units = [topic(None, held.from_unit_id), topic(None, held.to_unit_id)]
    await notify_worklists(connection, units)


async def _log(
    connection: AsyncConnection, viewer: Viewer, held: _Held, action: Action, ground: Ground
) -> None:
    await append(
        connection,
        Entry.by(
            viewer,
            action,
            ground,
            patient_id=held.patient_id,
            detail={"handover_id": held.handover_id},
        ),
    )
