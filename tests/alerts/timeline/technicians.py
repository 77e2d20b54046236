"""Technicians, and somebody who looks for faults each minute."""

from datetime import datetime, timedelta

from alerts.technical import listed, watch
from alerts.technical.listed import Answer
from devices.wire import TopicKind, topic
from ingest import pg_binary
from ingest.clock import due
from ingest.registry import Registry
from tests.alerts.timeline.home import expects_daily, heard
from tests.alerts.timeline.story import STOCKHOLM, Story
from tests.alerts.world import GATEWAY

MINUTE = timedelta(minutes=1)
# When a look can find or tell something, beside what is due: hours begin, and pauses end.
EDGES = (
    "select min(at) from (select due_at as at from technical where taken_by is null "
    "union all select taken_at + make_interval(hours => hold) from technical, "
    "unnest(array[1, 12, 168]) as hold "
    "union all select due_at from technical_notice "
    "union all select made_at + interval '10 minutes' from technical_notice "
    "union all select made_at + interval '1 hour' from technical_notice "
    "union all select received_at + interval '15 minutes 1 second' from gateway_status "
    "union all select unnest(array[from_at, until_at]) from patient_pause "
    "union all select from_at from duty) what where at > %s"
)


class Technicians:
    """A story in which somebody looks for faults, as is done each minute."""

    def __init__(self, story: Story) -> None:
        self.story = story
        heard(story, datetime(2038, 12, 1, tzinfo=STOCKHOLM))  # well, until it falls silent

    async def at(self, clock: str, *, days: int = 0) -> None:
        """Let the time pass until the clock shows that, some days later."""
        story = self.story
        until = story.moment(clock, days=days)
        while (upcoming := self._next()) < until:
            await self._look(upcoming)
        story.day += timedelta(days=days)
        await self._look(until)

    async def _look(self, at: datetime) -> None:
        self.story.now = at
        await watch.look(self.story.connection, at)
        await self.story.turn()
        await watch.look(self.story.connection, at)  # a message that failed hurries the next step
        await self.story.turn()

    async def watches(self, lasting: timedelta, every: timedelta = 5 * MINUTE) -> None:
        """Let somebody look as often as that, for so long."""
        until = self.story.now + lasting
        while self.story.now < until:
            await self._look(min(self.story.now + every, until))

    def _next(self) -> datetime:
        now = self.story.now
        found = self.story.world.one(EDGES, now)
        local = now.astimezone(STOCKHOLM)
        hours = [
            (local + timedelta(days=days)).replace(hour=hour, minute=0, second=0)
            for days in (0, 1)
            for hour in (8, 16)
        ]
        times: list[datetime] = [*hours, *([found] if found else [])]
        return min(at for at in times if at > now)

    async def falls_silent(self, *, daily: bool = True) -> None:
        """Let Märta's gateway fall silent now, a quarter of an hour ago by the list."""
        story = self.story
        if daily:
            expects_daily(story)
            await self.makes_due()
        self.received(story.now - timedelta(minutes=15, seconds=1))
        await self._look(story.now)

    async def makes_due(self) -> None:
        """Let ingest's clock see what plans expect."""
        pg_binary.register(self.story.connection)
        await due.make(self.story.connection, Registry(), self.story.now, 5_000)

    def received(self, at: datetime) -> None:
        self.story.world.connection.execute(
            "update gateway_status set received_at = %s where gateway_id = %s", (at, GATEWAY)
        )

    def refuses(self, number: int) -> None:
        """Let one of that number of readings of Märta's gateway be of no loan."""
        self.story.world.connection.execute(
            "insert into quarantine (fingerprint, gateway_id, topic, reason, detail, content, "
            "arrived_at) values (decode(md5(%s), 'hex'), %s, %s, 'unassigned', '', '', %s)",
            (str(number), GATEWAY, topic(GATEWAY, TopicKind.READINGS), self.story.now),
        )

    def another(self, gateway_id: str) -> None:
        """Let another gateway, at nobody's home, be silent since just now."""
        heard(self.story, self.story.now - timedelta(minutes=15, seconds=1), gateway_id)

    async def takes(self, who: str = "tove") -> Answer:
        story = self.story
        return await listed.take(story.connection, story.staff(who), self.newest(), story.now)

    async def closes(self, who: str = "tove") -> Answer:
        """Let her say that the newest has been seen to, with the clock where it is."""
        story = self.story
        return await listed.close(story.connection, story.staff(who), self.newest(), now=story.now)

    def unit_phone(self) -> None:
        """Let Tove work at a unit of technicians, which has a telephone of its own."""
        self.story.world.connection.execute(
            "with made as (insert into unit (name, phone, hours) values ('Tekniken', '1', '') "
            "returning unit_id), moved as (update staff set unit_id = (select unit_id from made) "
            "where staff_id = %s) insert into channel (unit_id, kind, address, verified_at) "
            "select unit_id, 'sms', '+4698001', now() from made",
            (self.story.staff("tove"),),
        )

    def newest(self) -> int:
        return int(self.story.world.one("select max(technical_id) from technical"))

    def fails(self, kind: str, key: str = "") -> None:
        """Let an incident of that kind be open."""
        self.story.world.connection.execute(
            "insert into incident (kind, key, detail) values (%s, %s, 'x')", (kind, key)
        )

    def recovers(self, kind: str) -> None:
        """Let what is open of that kind be over."""
        self.story.world.connection.execute(
            "update incident set closed_at = %s where kind = %s and closed_at is null",
            (self.story.now, kind),
        )

    def taken(self) -> bool:
        return bool(
            self.story.world.one(
                "select taken_by is not null from technical where technical_id = %s", self.newest()
            )
        )

    def incidents(self) -> list[str]:
        return [
            key
            for (key,) in self.story.world.rows(
                "select key from incident where kind = 'technicians' and closed_at is null"
            )
        ]
