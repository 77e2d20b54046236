"""What runs beside the readings may fail, and begins anew; the readings go on."""

import asyncio

import pytest
from structlog.testing import capture_logs

from ingest.commands import run
from ingest.watch.health import Health
from ingest.watch.metrics import Metrics


async def test_a_part_that_fails_for_our_fault_begins_anew_and_ends_when_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(run, "FAILED_S", 0.0)
    metrics = Metrics(Health(beat_s=0.0))
    begun = 0
    is_well = asyncio.Event()

    async def part() -> None:
        nonlocal begun
        begun += 1
        if begun < 3:
            problem = "ours"
            raise ValueError(problem)
        is_well.set()
        await asyncio.Event().wait()

    with capture_logs() as told:
        keeping = asyncio.create_task(run._kept("clock", part, metrics))
        async with asyncio.timeout(10):
            await is_well.wait()
        keeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await keeping
    assert begun == 3
    assert 'part_failures_total{part="clock"} 2.0' in metrics.page().decode()
    assert 'part_failures_total{part="control"} 0.0' in metrics.page().decode()
    assert [(one["event"], one["part"]) for one in told] == [("ingest.part_failed", "clock")] * 2
