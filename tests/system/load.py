"""A load for workers: people, gateways that send until they have receipts, and what must come."""

import queue
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID

import psycopg

from devices.quantity import Quantity
from devices.reading import Reading
from ingest.rules.model import KOfN
from ingest.schema.migrate import migrate
from tests.ingest.county import NOW, County, message, pressure
from tests.ingest.plans import agree
from tests.ingest.process import Gateway

# Six an hour is the most a device may measure before ingest doubts it (docs/plausibility.md); and
# all within a day, or they would be late.
BETWEEN = timedelta(minutes=10)
READINGS_EACH_MAX = 140
LIMITS: dict[Quantity, dict[str, float]] = {
    Quantity.SYSTOLIC: {"yellow_high": 160, "red_high": 180}
}
# Two workers have one person's readings in hand at once, and each sees but its own.
K, N = 3, 5
RUN = KOfN(quantity=Quantity.SYSTOLIC, level=1, k=K, n=N, high=165)
YELLOW_MMHG, RED_MMHG = 170.0, 190.0
# As a gateway does when no receipt comes; short, so that the end comes soon.
RESEND_AFTER_S = 3.0


@dataclass
class People:
    """Who measures, and what they have measured."""

    patients: Mapping[str, int]  # by cuff
    sent: dict[UUID, Reading] = field(default_factory=dict)

    def readings(self, random: Random, cuffs: list[str]) -> Iterator[Reading]:
        """Give what those with *cuffs* measure, in the order of time; one in ten is too high."""
        first = NOW - READINGS_EACH_MAX * BETWEEN
        for number in range(READINGS_EACH_MAX):
            for cuff in cuffs:
                high = random.choice((YELLOW_MMHG, RED_MMHG))
                systolic = high if random.random() < 0.1 else 120.0
                at = first + number * BETWEEN
                one = pressure(systolic, 80, device_id=cuff, measured_at=at)
                self.sent[one.reading_id] = one
                yield one

    def expected_breaches(self) -> Counter[tuple[UUID, int]]:
        """Return (reading, level) of what must have been found."""
        level = {YELLOW_MMHG: 1, RED_MMHG: 2}
        return Counter(
            (one.reading_id, level[one.values[0].value])
            for one in self.sent.values()
            if one.values[0].value in level
        )

    def expected_runs(self) -> set[UUID]:
        """Return the readings that are high, and with which K of the last N are.

        A reading that comes late may have let more be found on the way, never fewer.
        """
        found: set[UUID] = set()
        series: dict[str, list[Reading]] = {}
        for one in sorted(self.sent.values(), key=lambda one: one.measured_at):
            mine = series.setdefault(one.device_id, [])
            mine.append(one)
            high = [each.values[0].value >= YELLOW_MMHG for each in mine[-N:]]
            if high[-1] and sum(high) >= K:
                found.add(one.reading_id)
        return found

    def expected_alerts(self) -> Counter[tuple[int, str, int]]:
        """Return (patient, family, level) of what must be open, each once."""
        worst: dict[int, int] = {}
        for reading_id, level in self.expected_breaches():
            patient = self.patients[self.sent[reading_id].device_id]
            worst[patient] = max(level, worst.get(patient, 0))
        return Counter((p, "limit:blood_pressure", level) for p, level in worst.items())


def populate(dsn: str, people: int, gateways: int) -> tuple[People, list[str]]:
    """Register *people* with a cuff and a plan each, and *gateways*; return both."""
    migrate(dsn)
    names = [f"g-{number}" for number in range(gateways)]
    patients = {}
    with psycopg.connect(dsn) as connection:
        county = County(dsn, connection)
        for name in names:
            connection.execute("insert into gateway (gateway_id) values (%s)", [name])
        for number in range(people):
            cuff = f"cuff-{number}"
            patients[cuff] = county.add_patient()
            county.lend(cuff, patients[cuff])
            agree(county, RUN, limits=LIMITS, patient_id=patients[cuff])
    return People(patients), names


class Home(threading.Thread):
    """A gateway with an outbox: sends what is measured, and again what has no receipt.

    Args:
        port: The broker's.
        name: The gateway's id.
        people: Who notes what was measured.
        cuffs: Whose readings it sends, and nobody else does.
        pace_s: Between two messages.
        random: Its own.
    """

    def __init__(
        self,
        port: int,
        name: str,
        people: People,
        cuffs: list[str],
        *,
        pace_s: float,
        random: Random,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._gateway = Gateway(port, name)
        self._measured = people.readings(random, cuffs)
        self._pace_s = pace_s
        self._random = random
        self._resend_s: dict[UUID, float] = {}
        self._waiting: dict[UUID, Reading] = {}
        self._is_over = threading.Event()
        self.refused: list[str] = []
        self.resent = 0

    def stop(self) -> None:
        """Measure nothing more; end when everything has its receipt."""
        self._is_over.set()

    @property
    def waiting(self) -> int:
        """How many readings have no receipt yet."""
        return len(self._waiting)

    def run(self) -> None:
        while not self._is_over.is_set() or self._waiting:
            if not self._is_over.is_set():
                size = self._random.randint(1, 12)
                self._send([one for _, one in zip(range(size), self._measured, strict=False)])
            self._hear(time.monotonic() + self._pace_s)
            now_s = time.monotonic()
            again = [i for i, at_s in self._resend_s.items() if at_s <= now_s][:200]
            self.resent += len(again)
            self._send([self._waiting[i] for i in again])
        self._gateway.close()

    def _send(self, readings: list[Reading]) -> None:
        if not readings:
            return
        for one in readings:
            self._waiting[one.reading_id] = one
            self._resend_s[one.reading_id] = time.monotonic() + RESEND_AFTER_S
        self._gateway.send(message(readings, self.name))

    def _hear(self, until_s: float) -> None:
        while (wait_s := until_s - time.monotonic()) > 0:
            try:
                receipt = self._gateway.received.get(timeout=wait_s).receipt
            except queue.Empty:
                return
            self.refused += [f"{refusal.reason}: {refusal.detail}" for refusal in receipt.refused]
            self.refused += [receipt.message_refused] if receipt.message_refused else []
            for reading_id in receipt.stored:
                self._waiting.pop(reading_id, None)
                self._resend_s.pop(reading_id, None)


def rows(dsn: str, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Return what the database answers."""
    with psycopg.connect(dsn) as connection:
        return connection.execute(query.encode(), parameters).fetchall()
