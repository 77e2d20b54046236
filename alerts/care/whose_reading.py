"""Whose a weight is that may be somebody else's: asked of her care and of herself, until answered.

Ingest doubts a weight that is far from the patient's own, or nearer another's of the home
(``ingest.plausibility``, ``ingest.household``). It is stored, and rules do not see it: it alerts
nobody as if it were hers. So that nothing is lost by that, her care has a task from the next minute
on (the whole unit a day later, as with any task), and she is asked on her own page. "Hers" lets it
count from when it was measured; another's goes there; nobody's counts for no one. If it may have
been somebody of the home whom her care does not care for, that one's own care is asked to let her
weigh herself again; neither care learns whom the other has.
"""

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import class_row

from alerts.access import Access, Ground, decide
from alerts.audit.chain import append
from alerts.audit.entry import Action, Entry
from alerts.care import reading_review
from alerts.care.consent import may_speak
from alerts.care.facts import facts
from alerts.care.people import Viewer
from alerts.care.proposal import is_care
from alerts.care.reading_review import Answer, Done
from alerts.care.tasks import Kept, Kind, Task, tell
from alerts.words import number
from devices.quantity import Quantity
from ingest.asked import Verdict
from ingest.household import HOME_PATIENTS_MAX

Connection = AsyncConnection[Any]

# What came longer ago than this when it is first looked at is not asked about: nobody remembers who
# stood on the scale, and the median it is held against was another. What is asked about stays so
# until it is answered.
ASKED_ABOUT: Final = timedelta(days=14)
# On a patient's page: the newest; the others come up as these are answered.
SHOWN_MAX: Final = 3

_WHY: Final = "Svar på frågan vem som stod på vågen."


class Whose(enum.StrEnum):
    """Who stood on the scale."""

    HERS = "hers"
    OTHER = "other"  # another patient of the home
    NOBODY = "nobody"  # somebody who is no patient, or nobody knows


# What it makes of the reading.
VERDICTS: Final = {
    Whose.HERS: Verdict.CONFIRMED,
    Whose.OTHER: Verdict.MOVED,
    Whose.NOBODY: Verdict.REJECTED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubted:
    """A weight that waits for an answer."""

    reading_id: UUID
    measured_at: datetime
    kg: float

    @property
    def shown(self) -> str:
        """The weight as people write it."""
        return number(self.kg, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Housemate:
    """Somebody else of the home who has devices of her own."""

    patient_id: int
    given_name: str
    family_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A weight to ask about, and who else it may have been."""

    weight: Doubted
    mates: tuple[Housemate, ...]


# The first line is ingest's index reading_whose. Once something is asked of a patient, what came
# with it stays asked about.
_WAITING: Final = """
    r.suspicion & 32 <> 0 and r.suspicion & 1536 = 0
    and not exists (
        select from review_request q where q.reading_id = r.reading_id and q.done_at is null)
    and r.stored_at > %(asked_about)s::interval * -1 + coalesce(
        (select t.opened_at from task t
         where t.patient_id = r.patient_id and t.kind = 'whose_reading' and t.done_at is null),
        %(now)s)
"""
_OF_WEIGHT: Final = """
    join sample s on s.patient_id = r.patient_id and s.quantity_id = %(weight)s
        and s.measured_at = r.measured_at and s.reading_id = r.reading_id
"""
# What somebody weighed in the fortnight before.
_MEDIAN: Final = """
    select percentile_cont(0.5) within group (order by u.value) as median from sample u
    where u.patient_id = {} and u.quantity_id = %(weight)s
        and u.measured_at >= r.measured_at - interval '14 days' and u.measured_at < r.measured_at
        and sample_counts(u.suspicion)
"""
_OPEN: Final = f"""
insert into task (patient_id, kind, detail, opened_at)
select r.patient_id, 'whose_reading', jsonb_build_object('readings', jsonb_agg(jsonb_build_object(
        'reading_id', r.reading_id, 'at', r.measured_at, 'kg', s.value, 'usual_kg', hers.median,
        'denied', d.reading_id is not null
    ) order by r.measured_at desc)), %(now)s
from reading r {_OF_WEIGHT}
join person p on p.patient_id = r.patient_id
left join reading_denied d on d.reading_id = r.reading_id
cross join lateral ({_MEDIAN.format("r.patient_id")}) hers
where {_WAITING} and (%(patient_id)s::bigint is null or r.patient_id = %(patient_id)s)
group by r.patient_id
on conflict (patient_id, kind, key) where done_at is null do update set detail = excluded.detail
    where task.detail is distinct from excluded.detail
returning patient_id, xmax = 0
"""  # noqa: S608 - our own text
_END: Final = f"""
update task t set done_at = %(now)s, done_by = %(by)s, outcome = %(outcome)s
where t.kind = 'whose_reading' and t.done_at is null
    and (%(patient_id)s::bigint is null or t.patient_id = %(patient_id)s)
    and not exists (
        select from reading r {_OF_WEIGHT} where r.patient_id = t.patient_id and {_WAITING})
returning t.patient_id
"""  # noqa: S608
_OF_PATIENT: Final = f"""
select r.reading_id, r.measured_at, s.value as kg from reading r {_OF_WEIGHT}
where r.patient_id = %(patient_id)s and {_WAITING}
    and not exists (select from reading_denied d where d.reading_id = r.reading_id)
order by r.measured_at desc limit %(most)s
"""  # noqa: S608
# As ingest.household looks for them.
_HOME: Final = """
select p.patient_id, p.given_name, p.family_name from (
    select l.patient_id from reading r join device_loan l using (device_id)
    where r.reading_id = %(reading_id)s and l.lent_from <= r.measured_at
        and coalesce(l.returned_at, 'infinity') > r.measured_at
    union
    select o.patient_id from reading r join gateway_home h on h.patient_id = r.patient_id
    join gateway_home o on o.gateway_id = h.gateway_id
    where r.reading_id = %(reading_id)s and h.until_at is null and o.until_at is null
        and (select count(*) from gateway_home a
             where a.gateway_id = h.gateway_id and a.until_at is null) <= %(home_max)s
) home join person p using (patient_id)
where p.patient_id <> (select patient_id from reading where reading_id = %(reading_id)s)
order by p.patient_id
"""


# It is nearer the weight of a housemate than that of whose it was taken to be. Neither the value
# nor who that is stands in the task.
_WEIGH_AGAIN: Final = f"""
insert into task (patient_id, kind, key, detail, opened_at)
select m.patient_id, 'weigh_again', r.reading_id::text, jsonb_build_object('at', r.measured_at),
    %(now)s
from reading r {_OF_WEIGHT}
cross join unnest(%(mates)s::bigint[]) m (patient_id)
cross join lateral ({_MEDIAN.format("m.patient_id")}) mates
cross join lateral ({_MEDIAN.format("r.patient_id")}) hers
where r.reading_id = %(reading_id)s
    and abs(s.value - mates.median) < coalesce(abs(s.value - hers.median), 'infinity')
on conflict do nothing returning patient_id
"""  # noqa: S608


async def keep(connection: Connection, now: datetime) -> Kept:
    """Open, renew and end the tasks about weights, in the caller's transaction."""
    return await _keep(connection, now)


async def of_patient(connection: Connection, patient_id: int, now: datetime) -> list[Doubted]:
    """Return the weights that the patient herself is to be asked about, the newest first."""
    async with connection.cursor(row_factory=class_row(Doubted)) as cursor:
        await cursor.execute(
            _OF_PATIENT, {**_names(now), "patient_id": patient_id, "most": SHOWN_MAX}
        )
        return await cursor.fetchall()


async def home(connection: Connection, viewer: Viewer, reading_id: UUID) -> list[Housemate]:
    """Return who else of the home it may have been, of those whom *viewer* cares for."""
    mates = await _mates(connection, reading_id)
    known = await facts(connection, viewer, [one.patient_id for one in mates])
    opened = {patient_id: decide(viewer, one) for patient_id, one in known.items()}
    return [
        one
        for one in mates
        if isinstance(access := opened.get(one.patient_id), Access) and access.may_act
    ]


async def asking(
    connection: Connection, viewer: Viewer, todo: Iterable[Task]
) -> dict[int, list[Asking]]:
    """Return what tasks ask about, by task, as *viewer* can answer it."""
    return {
        task.task_id: [
            Asking(
                weight=weight,
                mates=tuple(await home(connection, viewer, weight.reading_id)),
            )
            for weight in map(_weight, task.detail["readings"])
        ]
        for task in todo
        if task.kind == Kind.WHOSE_READING
    }


async def answer(
    connection: Connection,
    viewer: Viewer,
    reading_id: UUID,
    whose: Whose,
    *,
    to_patient_id: int | None = None,
    now: datetime,
) -> Done:
    """Say, as her care, whose a weight is that is asked about; ingest does the rest within seconds.

    Of any other reading ``reading_review.ask`` wants to hear why.

    Args:
        connection: In no transaction.
        viewer: A staff member who may see all patients concerned.
        reading_id: Which.
        whose: Who stood on the scale.
        to_patient_id: Who, if it was another patient.
        now: The database's.

    Raises:
        ValueError: Another patient who is nobody, or somebody who is not another.
    """
    async with connection.transaction():
        owner_id = await _owner(connection, reading_id)
        if not is_care(viewer):
            return Done(answer=Answer.NOT_YOURS)
        if owner_id is None or await may_speak(connection, viewer, owner_id) is None:
            return Done(answer=Answer.NOT_FOUND)
        if not await _is_asked(connection, owner_id, reading_id, now):
            return Done(answer=Answer.NOT_ASKED)
        done = await reading_review.ask(
            connection,
            viewer,
            reading_id,
            VERDICTS[whose],
            to_patient_id=to_patient_id,
            why=_WHY,
            now=now,
        )
        if done.answer is Answer.ASKED:
            if whose is Whose.NOBODY:
                await _let_weigh_again(connection, viewer, reading_id, now)
            await _keep(connection, now, of=owner_id, by=viewer.staff_id, outcome=whose)
    return done


async def answer_own(
    connection: Connection, viewer: Viewer, reading_id: UUID, *, was_me: bool, now: datetime
) -> Answer:
    """Say, as the patient, whether it was she. Whoever else it was, she need not know.

    If somebody else of the home may be meant, her care finds out who; otherwise it counts for no
    one from now on.
    """
    async with connection.transaction():
        owner_id = await _owner(connection, reading_id)
        if viewer.patient_id is None or owner_id != viewer.patient_id:
            return Answer.NOT_FOUND
        if not await _is_asked(connection, owner_id, reading_id, now):
            return Answer.REPLACED
        if not was_me and await _mates(connection, reading_id):
            await connection.execute(_DENY, [reading_id, owner_id, now])
            outcome, action = "", Action.READING_DENIED
        else:
            verdict = Verdict.CONFIRMED if was_me else Verdict.REJECTED
            request_id = await reading_review.request(
                connection, viewer, reading_id, verdict, why="", now=now
            )
            if request_id is None:
                return Answer.WAITING
            outcome = Whose.HERS if was_me else Whose.NOBODY
            action = Action.READING_CONFIRMED if was_me else Action.READING_REJECTED
        await append(connection, Entry.by(viewer, action, Ground.SELF, patient_id=owner_id))
        await _keep(connection, now, of=owner_id, outcome=outcome)
    return Answer.ASKED


_DENY: Final = """
insert into reading_denied (reading_id, patient_id, at) values (%s, %s, %s) on conflict do nothing
"""


async def _keep(
    connection: Connection,
    now: datetime,
    *,
    of: int | None = None,
    by: int | None = None,
    outcome: str = "answered",
) -> Kept:
    """Let tasks say what waits now: of one patient, or of all."""
    names = {**_names(now), "patient_id": of, "by": by, "outcome": outcome}
    opened = await (await connection.execute(_OPEN, names)).fetchall()
    ended = [row[0] for row in await (await connection.execute(_END, names)).fetchall()]
    await tell(connection, [patient_id for patient_id, _ in opened] + ended)
    return Kept(sum(is_new for _, is_new in opened), len(ended))


async def _let_weigh_again(
    connection: Connection, viewer: Viewer, reading_id: UUID, now: datetime
) -> None:
    """Open a task for the care of each of the home whom *viewer* could not name and who may be."""
    named = {one.patient_id for one in await home(connection, viewer, reading_id)}
    mates = [one.patient_id for one in await _mates(connection, reading_id)]
    names = {
        **_names(now),
        "reading_id": reading_id,
        "mates": [patient_id for patient_id in mates if patient_id not in named],
    }
    opened = await (await connection.execute(_WEIGH_AGAIN, names)).fetchall()
    await tell(connection, [patient_id for (patient_id,) in opened])


def _weight(detail: Mapping[str, Any]) -> Doubted:
    return Doubted(
        reading_id=UUID(detail["reading_id"]),
        measured_at=datetime.fromisoformat(detail["at"]),
        kg=float(detail["kg"]),
    )


def _names(now: datetime) -> dict[str, Any]:
    return {"now": now, "asked_about": ASKED_ABOUT, "weight": Quantity.BODY_WEIGHT.facts.id}


async def _is_asked(
    connection: Connection, patient_id: int, reading_id: UUID, now: datetime
) -> bool:
    query = (
        f"select from reading r {_OF_WEIGHT} where r.patient_id = %(patient_id)s "
        f"and r.reading_id = %(reading_id)s and {_WAITING}"
    )
    names = {**_names(now), "patient_id": patient_id, "reading_id": reading_id}
    return (await connection.execute(query, names)).rowcount > 0


async def _mates(connection: Connection, reading_id: UUID) -> Sequence[Housemate]:
    async with connection.cursor(row_factory=class_row(Housemate)) as cursor:
        await cursor.execute(_HOME, {"reading_id": reading_id, "home_max": HOME_PATIENTS_MAX})
        return await cursor.fetchall()


async def _owner(connection: Connection, reading_id: UUID) -> int | None:
    cursor = await connection.execute(
        "select patient_id from reading where reading_id = %s", [reading_id]
    )
    row = await cursor.fetchone()
    return None if row is None else int(row[0])
