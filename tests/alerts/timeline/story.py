"""An alert's story by the clock on the wall: who is told, when, and nobody else.

Routing, escalation and sending are the real ones, on the real database; only the clock and the
telephones are ours. Every message that reaches a telephone must be expected: one that is not
fails the test.
"""

import enum
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from psycopg import AsyncConnection

from alerts import actions, course, engine, snooze
from alerts.alert import Outcome
from alerts.care.people import Viewer
from alerts.channels.outcome import Fault, State, failed
from alerts.channels.outcome import Outcome as Sent
from alerts.held import Done
from alerts.sending import notices, store
from devices.quantity import Quantity
from tests.alerts.conftest import Pool
from tests.alerts.rota import usual_hours
from tests.alerts.world import D, S, World

STOCKHOLM = ZoneInfo("Europe/Stockholm")
RED = {S: 192.0, D: 112.0}
YELLOW = {S: 165.0, D: 80.0}
FINE = {S: 128.0, D: 76.0}
# Later than any run of the tests: what the database dates by its own time lies before.
MONDAY = date(2038, 2, 1)
KINDS = ("sms", "email")

# Colleagues of Anna's and Eva's, at the first unit; Lisa is at the other.
MORE = {"bo": "Bo Provson", "cia": "Cia Provell", "dan": "Dan Provlund"}


class Phone(enum.Enum):
    """What becomes of a message to somebody's channels."""

    RINGS = "rings"
    DEAD = "dead"  # the provider says that nobody is reached there
    MUTE = "mute"  # the provider takes it, and nothing is heard again


@dataclass
class Story:
    """The world, a clock that only we move, and everybody's telephones."""

    world: World
    pool: Pool
    connection: AsyncConnection[Any]
    now: datetime
    day: date = MONDAY
    phones: dict[str, Phone] = field(default_factory=dict)
    heard: list[str] = field(default_factory=list)

    # What happens

    async def at(self, clock: str, *, day: date | None = None, fold: int = 0) -> None:
        """Let the time pass until the clock on the wall shows *clock*."""
        self.day = day or self.day
        shown = datetime.combine(self.day, time.fromisoformat(clock), STOCKHOLM)
        until = shown.replace(fold=fold).astimezone(UTC)
        assert until >= self.now, "time does not go back"
        if not self._alerts():
            self.now = until  # nothing has happened that time could change
        await self.turn()
        while (upcoming := self._next()) <= until:
            self.now = upcoming
            await self.turn()
        self.now = until
        await self.turn()

    async def measures(
        self,
        patient: str,
        values: dict[Quantity, float],
        *,
        ago: timedelta = timedelta(minutes=1),
        is_seen: bool = True,
    ) -> None:
        """Let ingest store a reading; what it opens or raises, it does at this moment.

        If it is not *is_seen*, no worker has come to look at it yet.
        """
        before = self._alerts()
        await self.world.measure_soon(patient, values, ago=ago)
        for alert_id, times in self._alerts().items():
            known = before.get(alert_id, (None, None, None))
            opened, since, changed = (
                self.now if is_new != was else was for is_new, was in zip(times, known, strict=True)
            )
            self.world.connection.execute(
                "update alert set opened_at = %s, level_since = %s, changed_at = %s "
                "where alert_id = %s",
                (opened, since, changed, alert_id),
            )
        if is_seen:
            await self.turn()

    async def takes(self, who: str, patient: str = "marta", *, seen: int | None = None) -> Done:
        """Let somebody acknowledge; she has seen all there is, if it is not told."""
        done = await actions.acknowledge(
            self.connection,
            self.viewer(who),
            self.world.alert(patient),
            seen_breach_id=self.newest() if seen is None else seen,
            now=self.now,
        )
        await self.turn()
        return done

    async def closes(self, who: str, patient: str = "marta") -> Done:
        """Let somebody end it."""
        done = await actions.close(
            self.connection,
            self.viewer(who),
            self.world.alert(patient),
            outcome=Outcome.CONTACTED,
            seen_breach_id=self.newest(),
            now=self.now,
        )
        await self.turn()
        return done

    async def snoozes(self, who: str, until: datetime, patient: str = "marta") -> Done:
        """Let somebody have it rest."""
        done = await snooze.snooze(
            self.connection,
            self.viewer(who),
            self.world.alert(patient),
            until=until,
            why="ny medicin",
            seen_breach_id=self.newest(),
            now=self.now,
        )
        await self.turn()
        return done

    # What is seen

    def expects(self, *lines: str) -> None:
        """Take what has been heard on the telephones; it is these lines and no other."""
        heard, self.heard = self.heard, []
        assert heard == list(lines), f"heard: {heard}"

    def log(self, *events: str) -> list[str]:
        """Return what the log says of these events, in order, with why."""
        rows = self.world.rows(
            "select event, detail ->> 'why' from alert_log where event = any(%s) order by entry_id",
            list(events),
        )
        return [f"{event} {why or ''}".strip() for event, why in rows]

    def state(self, patient: str = "marta") -> str:
        return str(
            self.world.one("select state from alert where alert_id = %s", self.world.alert(patient))
        )

    # What is needed

    def viewer(self, who: str) -> Viewer:
        """Return the viewer of a member of staff."""
        staff_id = self.staff(who)
        ((name, unit_id),) = self.world.rows(
            "select name, unit_id from staff where staff_id = %s", staff_id
        )
        return Viewer(name=name, staff_id=staff_id, unit_id=unit_id, functions=frozenset({"care"}))

    def staff(self, who: str) -> int:
        if who in MORE:
            return int(self.world.one("select staff_id from staff where name = %s", MORE[who]))
        return self.world.staff(who)

    def newest(self) -> int:
        return int(self.world.one("select max(breach_id) from breach"))

    def moment(self, clock: str, *, days: int = 0) -> datetime:
        """Return when the clock shows that, some days from now."""
        day = self.day + timedelta(days=days)
        return datetime.combine(day, time.fromisoformat(clock), STOCKHOLM).astimezone(UTC)

    def away(self, who: str, *, since: datetime | None = None, days: int = 7) -> None:
        since = since or self.now
        self._execute(
            "insert into absence (staff_id, from_at, until_at) values (%s, %s, %s)",
            self.staff(who),
            since,
            since + timedelta(days=days),
        )

    def stands_in(self, who: str, place: int = 1, *, for_: str = "anna") -> None:
        self._execute(
            "insert into substitute (staff_id, for_staff_id, place, from_at) "
            "values (%s, %s, %s, '2020-01-01')",
            self.staff(who),
            self.staff(for_),
            place,
        )

    def on_duty(self, who: str, since: datetime, until: datetime) -> None:
        self._execute(
            "insert into duty (unit_id, staff_id, from_at, until_at) "
            "select unit_id, %s, %s, %s from staff where staff_id = %s",
            self.staff(who),
            since,
            until,
            self.staff("anna"),
        )

    def team(self, *members: str) -> None:
        """Make a team the contact of Märta."""
        team_id = self.world.one(
            "insert into team (unit_id, name) select unit_id, 'Team Prov' from staff "
            "where staff_id = %s returning team_id",
            self.staff("anna"),
        )
        for member in members:
            self._execute(
                "insert into team_member (team_id, staff_id, from_at) "
                "values (%s, %s, '2020-01-01')",
                team_id,
                self.staff(member),
            )
        self.contact(None, team_id)

    def contact(self, who: str | None, team_id: int | None = None) -> None:
        """Give Märta another contact, from now on."""
        patient_id = self.world.patient("marta")
        self._execute(
            "update care_contact set until_at = %s where patient_id = %s and until_at is null",
            self.now,
            patient_id,
        )
        staff_id = None if who is None else self.staff(who)
        if who is not None or team_id is not None:
            self._execute(
                "insert into care_contact (patient_id, staff_id, team_id, from_at) "
                "values (%s, %s, %s, %s)",
                patient_id,
                staff_id,
                team_id,
                self.now,
            )

    def without_channel(self, who: str) -> None:
        self._execute(
            "update channel set ended_at = %s where staff_id = %s", self.now, self.staff(who)
        )

    def unit_phone(self) -> None:
        """Give the first unit a telephone of its own."""
        self._execute(
            "insert into channel (unit_id, kind, address, verified_at) "
            "select unit_id, 'sms', '+4698000', now() from staff where staff_id = %s",
            self.staff("anna"),
        )

    async def turn(self) -> None:
        """Let everybody who works on alerts do what is due at this moment."""
        for _ in range(20):
            await engine.advance(self.connection, now=self.now)
            await engine.reroute(self.connection, now=self.now)
            looked = await course.advance(self.connection, self.now)
            if not looked and not await self._sends():
                self._check_marks()
                return
        pytest.fail("a turn that never ends")

    # How

    def _check_marks(self) -> None:
        """See that no alert is forgotten, whatever its marks say."""
        forgotten = (
            "select a.alert_id from alert a join patient p using (patient_id) "
            "left join alert_case k using (alert_id) left join alert_course c using (alert_id) "
            "where a.state <> 'closed' and not p.is_canary and ("
            "k.told_at is null or k.told_at < a.changed_at or c.due_at is null or c.due_at <= %s "
            "or c.level <> a.level or c.routed_at <> k.routed_at)"
        )
        assert self.world.rows(forgotten, self.now) == []

    async def _sends(self) -> int:
        claim = await store.claim(self.connection, KINDS, self.now, 50)
        for one in claim.to_send:
            why = self.world.one(
                "select why from notification where notification_id = %s", one.notification_id
            )
            outcome = self._rings(one.way.channel_id, str(why))
            await store.mark(self.connection, one.attempt_id, outcome, self.now)
        notes = await notices.claim(self.connection, KINDS, self.now, 50)
        for note in notes.to_send:
            said = f"{note.faults} fel" + (", bråttom" if note.is_urgent else "")
            outcome = self._rings(note.way.channel_id, said)
            await notices.mark(self.connection, note.attempt_id, outcome, self.now)
        return claim.looked_at + notes.looked_at

    def _rings(self, channel_id: int, said: str) -> Sent:
        """Let a telephone ring, if it does; what is said on it is heard."""
        who = self._owner(channel_id)
        phone = self.phones.get(who, Phone.RINGS)
        if phone is Phone.DEAD:
            return failed(Fault.ADDRESS, "nobody there")
        if phone is Phone.MUTE:
            return Sent(state=State.ACCEPTED)
        self.heard.append(f"{shown(self.now)} {who}: {said}")
        return Sent(state=State.DELIVERED)

    def _owner(self, channel_id: int) -> str:
        name = self.world.one(
            "select coalesce(s.name, 'enheten') from channel c left join staff s using (staff_id) "
            "where channel_id = %s",
            channel_id,
        )
        return str(name).split()[0].lower()

    def _next(self) -> datetime:
        """Return when something is due next, or somebody comes or goes, or units open or close."""
        found = self.world.one(
            "select min(at) from (select due_at as at from alert_course "
            "union all select due_at from notification "
            "union all select unnest(array[from_at, until_at]) from absence "
            "union all select unnest(array[from_at, until_at]) from duty) what where at > %s",
            self.now,
        )
        today = self.now.astimezone(STOCKHOLM).date()
        hours = [
            datetime.combine(today + timedelta(days=days), time(hour), STOCKHOLM).astimezone(UTC)
            for days in (0, 1)
            for hour in (8, 16)
        ]
        upcoming = min(at for at in hours if at > self.now)
        return min(upcoming, found.astimezone(UTC)) if found else upcoming

    def _alerts(self) -> dict[int, tuple[datetime, ...]]:
        return {
            alert_id: tuple(times)
            for alert_id, *times in self.world.rows(
                "select alert_id, opened_at, level_since, changed_at from alert"
            )
        }

    def _execute(self, query: str, *values: object) -> None:
        self.world.connection.execute(query.encode(), values)


def shown(at: datetime) -> str:
    """Return what the clock on the wall shows."""
    return at.astimezone(STOCKHOLM).strftime("%H:%M")


def settle_in(world: World) -> None:
    """Let units have the usual hours, more colleagues be there, and everybody have a telephone.

    All want to hear of each alert at once.
    """
    usual_hours(world)
    for name in MORE.values():
        world.connection.execute(
            "insert into staff (unit_id, name, role, phone) "
            "select unit_id, %s, role, phone from staff where staff_id = %s",
            (name, world.staff("anna")),
        )
    world.connection.execute(
        "insert into staff_function (staff_id, name, from_at) "
        "select staff_id, 'care', '2020-01-01' from staff "
        "where staff_id not in (select staff_id from staff_function)"
    )
    world.connection.execute(
        "insert into channel (staff_id, kind, address, verified_at) "
        "select staff_id, 'sms', '+467000' || staff_id, now() from staff"
    )
    world.connection.execute(
        "insert into reach (staff_id, gather_minutes) select staff_id, 0 from staff"
    )
