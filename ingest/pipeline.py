"""Pipeline: gather a batch by size or age, settle it, acknowledge it, send its receipts.

Two tasks: while one batch is being committed, the next is gathered and decoded. Batches
are settled one after the other, in the order of arrival. Who settles takes what there is once
it is old enough, so batches grow with the load: under a light one a reading waits ``wait_ms``,
under a heavy one as long as the commit before it takes.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import structlog

from ingest.batch import EPOCH, SECOND, Batch, from_incoming
from ingest.config import BatchSettings
from ingest.decode import Incoming, decode
from ingest.delivery import Consumer
from ingest.meter import NOBODY, BatchReport, Meter
from ingest.receipts import receipts
from ingest.settle import Settled, Settler

# How soon a stop is noticed while nothing comes.
IDLE_S: Final = 0.2
# Deliveries taken at once.
TAKEN_AT_ONCE: Final = 256
# Decoding lets the other task run after so many readings, about two milliseconds: a
# transaction has ten round trips, each of which would otherwise wait for a long stretch.
DECODED_AT_ONCE: Final = 400
REPORT_EVERY_S: Final = 60.0


@dataclass(slots=True)
class Totals:
    """What was done since the last report."""

    messages: int = 0
    readings: int = 0
    new: int = 0
    batches: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    def add(self, batch: BatchReport) -> None:
        """Count a batch."""
        self.messages += batch.messages
        self.readings += batch.readings
        self.new += batch.new
        self.batches += 1
        self.refused.update(batch.refused)


class Gathering:
    """The batch that is being gathered. One waits at most; everything else is the broker's.

    Args:
        rows_max: Readings of a full batch; the message that fills it may go beyond.
        wait_s: Age of its first message at which a batch that is not full may go.
    """

    def __init__(self, rows_max: int, wait_s: float) -> None:
        self._rows_max = rows_max
        self._wait_s = wait_s
        self._incoming: list[Incoming] = []
        self._rows = 0
        self._began_at = 0.0  # of the loop's clock
        self._is_over = False
        self._some = asyncio.Event()
        self._ready = asyncio.Event()  # full, or nothing more can come before it is settled
        self._room = asyncio.Event()
        self._room.set()

    @property
    def is_full(self) -> bool:
        """Whether nothing may be added."""
        return self._rows >= self._rows_max

    async def wait_for_room(self) -> None:
        """Wait until something may be added."""
        await self._room.wait()

    def add(self, one: Incoming, rows: int) -> None:
        """Add a message, which counts as so many rows."""
        if not self._incoming:
            self._began_at = asyncio.get_running_loop().time()
            self._some.set()
        self._incoming.append(one)
        self._rows += rows
        if self._rows >= self._rows_max:
            self._room.clear()
            self._ready.set()

    def hurry(self) -> None:
        """Let what is gathered go without waiting for more."""
        if self._incoming:
            self._ready.set()

    def end(self) -> None:
        """Add no more."""
        self._is_over = True
        self._some.set()
        self._ready.set()

    async def take(self) -> Sequence[Incoming]:
        """Return the next batch when it is due; an empty one is the end."""
        await self._some.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(self._began_at + self._wait_s):
                await self._ready.wait()
        batch, self._incoming = self._incoming, []
        self._rows = 0
        self._room.set()
        if not self._is_over:
            self._some.clear()
            self._ready.clear()
        return batch


class Pipeline:
    """From a consumer to a settler. ``run`` ends after ``stop``, with the batches in hand done."""

    def __init__(
        self,
        consumer: Consumer,
        settler: Settler,
        settings: BatchSettings,
        meter: Meter = NOBODY,
    ) -> None:
        self._consumer = consumer
        self._settler = settler
        self._meter = meter
        self._stopping = False
        self._gathering = Gathering(settings.rows_max, settings.wait_ms / 1000)
        self._totals = Totals()
        self._reported_at = time.monotonic()
        self._log = structlog.get_logger()

    async def run(self) -> None:
        """Carry readings until ``stop``."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._gather(), name="gather")
            tasks.create_task(self._settle(), name="settle")
        self._report()

    def stop(self) -> None:
        """Take nothing more; what was taken is finished."""
        self._stopping = True

    async def _gather(self) -> None:
        gathering = self._gathering
        unbroken = 0
        while not self._stopping:
            taken = self._consumer.take(TAKEN_AT_ONCE)
            for delivery in taken:
                one = decode(delivery)
                rows = one.count or 1
                if gathering.is_full:
                    await gathering.wait_for_room()
                gathering.add(one, rows)
                unbroken += rows
                if unbroken >= DECODED_AT_ONCE:
                    unbroken = 0
                    await asyncio.sleep(0)
            if len(taken) < TAKEN_AT_ONCE:
                if self._consumer.is_full:
                    gathering.hurry()
                unbroken = 0
                await self._consumer.wait(IDLE_S)
        gathering.end()

    async def _settle(self) -> None:
        while incoming := await self._gathering.take():
            await self._settle_one(incoming)
            if time.monotonic() - self._reported_at >= REPORT_EVERY_S:
                self._report()

    async def _settle_one(self, incoming: Sequence[Incoming]) -> None:
        batch = from_incoming(incoming)
        refused = [row for one in incoming for row in one.refused]
        began = time.monotonic()
        settled = await self._settler.settle(batch, refused)
        commit_s = time.monotonic() - began
        self._consumer.acknowledge([one.delivery for one in incoming])
        self._consumer.publish(receipts(incoming, settled.reason, settled.refused))
        report = _reported(len(incoming), batch, settled, commit_s)
        self._meter.settled(report)
        self._totals.add(report)
        if report.refused:
            self._log.warning("quarantine.added", **report.refused)

    def _report(self) -> None:
        totals, self._totals = self._totals, Totals()
        self._reported_at = time.monotonic()
        self._log.info(
            "ingest.progress",
            messages=totals.messages,
            readings=totals.readings,
            new=totals.new,
            batches=totals.batches,
            refused=dict(totals.refused),
        )


def _reported(messages: int, batch: Batch, settled: Settled, commit_s: float) -> BatchReport:
    is_stored = settled.reason == 0
    now = (datetime.now(UTC) - EPOCH) // timedelta(microseconds=1)
    return BatchReport(
        messages=messages,
        readings=len(batch),
        new=settled.new,
        repeated=int(np.count_nonzero(is_stored)) - settled.new,
        refused=Counter(row.reason.value for row in settled.refused),
        measured_to_stored_s=(now - batch.measured_at[is_stored]) / SECOND,
        arrived_to_stored_s=(now - batch.arrived_at[is_stored]) / SECOND,
        commit_s=commit_s,
    )
