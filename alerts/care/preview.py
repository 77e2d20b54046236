"""What a proposed plan would have made of her own last 90 days, beside the plan of today."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from psycopg import AsyncConnection
from pydantic import ValidationError

from alerts.care import plan_spec
from ingest.dry_run import DryRun, dry_run
from ingest.dry_run.run import DAYS
from ingest.rules.plan import Rules

# A person reads so many and then knows what they are about; all are counted.
ALERTS_KEPT_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class Counts:
    """How many alerts there would have been."""

    yellow: int
    red: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.yellow + self.red


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One alert there would have been."""

    at: datetime
    level: int  # 1 yellow, 2 red
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a proposal would have made, and what the plan in force now would have."""

    days: int  # looked at: 90, or since she began to measure
    samples: int  # that it was held against; 0: she has measured nothing of this
    proposed: Counts
    today: Counts | None  # none: no plan is in force, or it is of before a rule of today
    by_family: dict[str, int]
    examples: tuple[Example, ...]  # the newest

    def as_json(self) -> dict[str, Any]:
        """Return it as a proposal keeps it."""
        return {
            "days": self.days,
            "samples": self.samples,
            "proposed": _json(self.proposed),
            "today": None if self.today is None else _json(self.today),
            "by_family": self.by_family,
            "examples": [
                {"at": one.at.isoformat(), "level": one.level, "sentence": one.sentence}
                for one in self.examples
            ],
        }

    @property
    def sentence(self) -> str:
        """It in a sentence, as it stands beside a proposal."""
        if not self.samples:
            return (
                f"Inga mätningar av det som planen gäller de senaste {self.days} dagarna: "
                "förhandsvisningen kan inte säga hur många larm det blir."
            )
        period = "Det senaste dygnet" if self.days == 1 else f"De senaste {self.days} dagarna"
        said = f"{period} hade planen gett {_told(self.proposed)}"
        if self.today is None:
            return f"{said}."
        return f"{said} (planen i dag: {_told(self.today)})."


async def preview(
    connection: AsyncConnection[Any], patient_id: int, proposed: Rules, now: datetime
) -> Preview:
    """Hold a proposal, and the plan in force at *now*, against what she has measured."""
    days = await _days(connection, patient_id, now)
    found = await dry_run(connection, [patient_id], proposed, until=now, days=days)
    return Preview(
        days=days,
        samples=found.samples,
        proposed=Counts(found.yellow, found.red),
        today=await _of_today(connection, patient_id, now, days),
        by_family=found.by_family,
        examples=_examples(found),
    )


async def _days(connection: AsyncConnection[Any], patient_id: int, now: datetime) -> int:
    """Return how far back to look: in the time before she measured, all would be missing."""
    cursor = await connection.execute(
        "select min(measured_at) from sample "
        "where patient_id = %s and measured_at >= %s and measured_at < %s",
        [patient_id, now - timedelta(days=DAYS), now],
    )
    row = await cursor.fetchone()
    first = None if row is None else row[0]
    return DAYS if first is None else min(DAYS, (now - first).days + 1)


async def _of_today(
    connection: AsyncConnection[Any], patient_id: int, now: datetime, days: int
) -> Counts | None:
    version = await plan_spec.version_at(connection, patient_id, now)
    if version is None:
        return None
    try:
        held = await plan_spec.load(connection, version.plan_version_id)
    except ValidationError as error:
        structlog.get_logger().warning(
            "preview.plan_of_today",
            plan_version_id=version.plan_version_id,
            problems=error.error_count(),
        )
        return None
    found = await dry_run(connection, [patient_id], held, until=now, days=days)
    return Counts(found.yellow, found.red)


def _examples(found: DryRun) -> tuple[Example, ...]:
    return tuple(
        Example(at=one.at, level=one.level, sentence=one.sentence_sv)
        for one in found.alerts[:ALERTS_KEPT_MAX]
    )


def _json(counts: Counts) -> dict[str, int]:
    return {"yellow": counts.yellow, "red": counts.red}


def _told(counts: Counts) -> str:
    red = f", varav {counts.red} röda" if counts.red > 1 else ", varav 1 rött"
    return f"{counts.total or 'inga'} larm{red if counts.red else ''}"
