"""Pause: a patient's rules are silent for what is measured while she is in hospital or travels.

What is measured is stored all the same. A pause has an end, and begins now or later: what was
judged stays judged. Its end can be brought forward, never put off: who needs longer begins another,
and somebody has thought of her once more. Pauses that meet are one: it ends as a whole, so that
nobody's rules fall silent again unseen.

Every function opens a transaction of its own. *now* is the database's.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import class_row

from alerts.access import Ground
from alerts.audit.chain import append
from alerts.audit.entry import Action, Entry
from alerts.care.consent import may_speak
from alerts.care.people import Viewer
from alerts.care.proposal import is_care

Connection = AsyncConnection[Any]

# Nobody is to be forgotten in a pause: after two months somebody says it anew.
LASTS_MAX: Final = timedelta(days=62)
# Further ahead nobody knows when she travels.
AHEAD_MAX: Final = timedelta(days=366)
REASON_CHARS_MAX: Final = 500
# One that ends before it began lasts for the least that the database tells apart.
_NOTHING: Final = timedelta(microseconds=1)


class Answer(enum.StrEnum):
    """What became of it."""

    DONE = "done"
    NOT_FOUND = "not_found"  # there is no such patient that you may see
    NOT_YOURS = "not_yours"  # a pause is begun by her care
    NO_REASON = "no_reason"  # none, or too long
    IN_THE_PAST = "in_the_past"  # it would begin before now
    NO_END = "no_end"  # it would end before it begins
    TOO_LONG = "too_long"
    TOO_FAR = "too_far"
    COVERED = "covered"  # a pause that lasts as long is there already
    NO_PAUSE = "no_pause"  # it is over, or ends by then anyway


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """One pause; *until_at* is exclusive."""

    pause_id: int
    from_at: datetime
    until_at: datetime
    reason: str

    @property
    def was_called_off(self) -> bool:
        """It was ended before it began."""
        return self.until_at - self.from_at <= _NOTHING

    def is_on(self, now: datetime) -> bool:
        """Rules are silent for what is measured *now*."""
        return self.from_at <= now < self.until_at


@dataclass(frozen=True, slots=True)
class Done:
    """The answer, and the pauses it is about as they are now."""

    answer: Answer
    pauses: tuple[Pause, ...] = ()


async def begin(
    connection: Connection,
    viewer: Viewer,
    patient_id: int,
    *,
    until_at: datetime,
    reason: str,
    from_at: datetime | None = None,
    now: datetime,
) -> Done:
    """Let her rules be silent from *from_at* (none: now) until *until_at*, exclusive."""
    if not is_care(viewer):
        return Done(Answer.NOT_YOURS)
    from_at = now if from_at is None else from_at
    obstacle = _obstacle(from_at, until_at, reason, now)
    if obstacle is not None:
        return Done(obstacle)
    async with connection.transaction():
        ground = await _hold(connection, viewer, patient_id)
        if ground is None:
            return Done(Answer.NOT_FOUND)
        for pause in await _not_over(connection, patient_id, now):
            if pause.from_at <= from_at and until_at <= pause.until_at:
                return Done(Answer.COVERED, (pause,))
        cursor = connection.cursor(row_factory=class_row(Pause))
        await cursor.execute(_BEGIN, [patient_id, from_at, until_at, reason.strip(), now])
        begun = await cursor.fetchone()
        assert begun is not None
        await _note(connection, begun, viewer, now, "began")
        await _log(connection, viewer, patient_id, ground, Action.PAUSE_BEGUN)
    return Done(Answer.DONE, (begun,))


async def end(
    connection: Connection,
    viewer: Viewer,
    patient_id: int,
    pause_id: int,
    *,
    at: datetime | None = None,
    now: datetime,
) -> Done:
    """Bring the end of a pause, and of those that it meets, forward to *at* (none: now)."""
    if not (is_care(viewer) or viewer.patient_id == patient_id):
        return Done(Answer.NOT_YOURS)
    at = now if at is None else at
    if at < now:
        return Done(Answer.IN_THE_PAST)
    async with connection.transaction():
        ground = await _hold(connection, viewer, patient_id)
        if ground is None:
            return Done(Answer.NOT_FOUND)
        ended = []
        for pause in _meeting(await _not_over(connection, patient_id, now), pause_id):
            until_at = max(at, pause.from_at + _NOTHING)
            if until_at < pause.until_at:
                ended.append(replace(pause, until_at=until_at))
                await connection.execute(_END, [until_at, pause.pause_id])
                await _note(connection, ended[-1], viewer, now, "ended")
        if ended:
            await _log(connection, viewer, patient_id, ground, Action.PAUSE_ENDED)
    return Done(Answer.DONE if ended else Answer.NO_PAUSE, tuple(ended))


async def of_patient(
    connection: Connection, viewer: Viewer, patient_id: int, now: datetime
) -> list[Pause]:
    """Return the pauses that are on or to come, by when they begin; none for who may not see."""
    if await may_speak(connection, viewer, patient_id) is None:
        return []
    return await _not_over(connection, patient_id, now)


_NOT_OVER: Final = """
select pause_id, from_at, until_at, reason from patient_pause
where patient_id = %s and until_at > %s order by from_at, pause_id
"""
_BEGIN: Final = """
insert into patient_pause (patient_id, from_at, until_at, reason, registered_at)
values (%s, %s, %s, %s, %s) returning pause_id, from_at, until_at, reason
"""
_END: Final = "update patient_pause set until_at = %s where pause_id = %s"
_NOTE: Final = """
insert into pause_log (pause_id, at, staff_id, until_at, event) values (%s, %s, %s, %s, %s)
"""


def _obstacle(from_at: datetime, until_at: datetime, reason: str, now: datetime) -> Answer | None:
    if not 0 < len(reason.strip()) <= REASON_CHARS_MAX:
        return Answer.NO_REASON
    if from_at < now:
        return Answer.IN_THE_PAST
    if from_at - now > AHEAD_MAX:
        return Answer.TOO_FAR
    if until_at - from_at <= _NOTHING:
        return Answer.NO_END
    if until_at - from_at > LASTS_MAX:
        return Answer.TOO_LONG
    return None


def _meeting(pauses: Sequence[Pause], pause_id: int) -> list[Pause]:
    """Return the pause of that id, and those with which it makes one silence."""
    silence: list[Pause] = []
    until_at: datetime | None = None
    for pause in pauses:  # by when they begin
        if until_at is not None and pause.from_at > until_at:
            if any(one.pause_id == pause_id for one in silence):
                break
            silence, until_at = [], None
        silence.append(pause)
        until_at = pause.until_at if until_at is None else max(until_at, pause.until_at)
    return silence if any(one.pause_id == pause_id for one in silence) else []


async def _hold(connection: Connection, viewer: Viewer, patient_id: int) -> Ground | None:
    """Let nobody else change this patient's pauses meanwhile; none if she is not *viewer*'s."""
    ground = await may_speak(connection, viewer, patient_id)
    if ground is None:
        return None
    await connection.execute(
        "select from patient where patient_id = %s for no key update", [patient_id]
    )
    return ground


async def _log(
    connection: Connection, viewer: Viewer, patient_id: int, ground: Ground, action: Action
) -> None:
    await append(connection, Entry.by(viewer, action, ground, patient_id=patient_id))


async def _not_over(connection: Connection, patient_id: int, now: datetime) -> list[Pause]:
    cursor = connection.cursor(row_factory=class_row(Pause))
    await cursor.execute(_NOT_OVER, [patient_id, now])
    return [pause for pause in await cursor.fetchall() if not pause.was_called_off]


async def _note(
    connection: Connection, pause: Pause, viewer: Viewer, now: datetime, event: str
) -> None:
    values = [pause.pause_id, now, viewer.staff_id, pause.until_at, event]
    await connection.execute(_NOTE, values)
