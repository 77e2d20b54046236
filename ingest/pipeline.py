"""Pipeline: gather a batch by size or age, settle it, acknowledge it, send its receipts.

Two tasks: while one batch is being committed, the next is gathered and decoded. Batches
are settled one after the other, in the order of arrival.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from ingest.batch import from_messages
from ingest.config import BatchSettings
from ingest.decode import Incoming, decode
from ingest.delivery import Consumer
from ingest.receipts import receipts
from ingest.settle import Settled, Settler

# How soon a stop is noticed while nothing comes.
IDLE_S: Final = 0.2
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


class Pipeline:
    """From a consumer to a settler. ``run`` ends after ``stop``, with the batches in hand done."""

    def __init__(self, consumer: Consumer, settler: Settler, settings: BatchSettings) -> None:
        self._consumer = consumer
        self._settler = settler
        self._settings = settings
        self._stopping = False
        # One gathered batch waits at most; everything else waits in the broker.
        self._gathered: asyncio.Queue[Sequence[Incoming] | None] = asyncio.Queue(1)
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
        while not self._stopping:
            if await self._consumer.wait(IDLE_S):
                await self._gathered.put(await self._one_batch())
        await self._gathered.put(None)

    async def _one_batch(self) -> Sequence[Incoming]:
        batch: list[Incoming] = []
        rows = unbroken = 0
        deadline = time.monotonic() + self._settings.wait_ms / 1000
        while rows < self._settings.rows_max:
            if taken := self._consumer.take(1):
                one = decode(taken[0])
                batch.append(one)
                size = max(1, len(one.readings))
                rows, unbroken = rows + size, unbroken + size
                if unbroken >= DECODED_AT_ONCE:
                    unbroken = 0
                    await asyncio.sleep(0)
            elif self._consumer.is_full or not await self._arrives_before(deadline):
                break
        return batch

    async def _arrives_before(self, deadline: float) -> bool:
        return await self._consumer.wait(deadline - time.monotonic())

    async def _settle(self) -> None:
        while True:
            incoming = await self._gathered.get()
            if incoming is None:
                return
            await self._settle_one(incoming)
            if time.monotonic() - self._reported_at >= REPORT_EVERY_S:
                self._report()

    async def _settle_one(self, incoming: Sequence[Incoming]) -> None:
        messages = [(one.origin, one.readings) for one in incoming if one.origin is not None]
        batch = from_messages(messages)
        refused = [row for one in incoming for row in one.refused]
        settled = await self._settler.settle(batch, refused)
        self._consumer.acknowledge([one.delivery for one in incoming])
        self._consumer.publish(receipts(incoming, settled.reason, settled.refused))
        self._count(incoming, settled)

    def _count(self, incoming: Sequence[Incoming], settled: Settled) -> None:
        reasons = Counter(row.reason.value for row in settled.refused)
        totals = self._totals
        totals.messages += len(incoming)
        totals.readings += len(settled.reason)
        totals.new += settled.new
        totals.batches += 1
        totals.refused.update(reasons)
        if reasons:
            self._log.warning("quarantine.added", **reasons)

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
