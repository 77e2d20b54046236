"""What a dry run says: alerts a level, a family, a patient and a week, and which."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingest.batch import EPOCH
from ingest.dry_run.found import Breached
from ingest.rules.day import day_of
from ingest.rules.explain import explain
from ingest.rules.limit import RED

# More are not read one by one; they are counted all the same.
ALERTS_SHOWN_MAX: Final = 200
WEEK_DAYS: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert that would have been: a patient's breaches of one family on one day."""

    patient_id: int
    family: str  # as alert.rule: limit:blood_pressure
    level: int  # 1 yellow, 2 red: the worst of the day
    at: datetime  # of the first worst breach
    breaches: int
    sentence_sv: str  # why, in the words of its first worst breach
    sentence_en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What proposed rules would have made of the days before.

    Counted as if each alert was dealt with on its day: a patient, a family and a local day are
    one. Nurses who close sooner would see more, those who close later fewer.
    """

    patients: int
    days: int
    samples: int  # that were looked at, those before the days included
    yellow: int
    red: int
    by_family: dict[str, int]
    by_patient: dict[int, int]  # those with any
    alerts: Sequence[Alert]  # the newest, at most ALERTS_SHOWN_MAX

    @property
    def total(self) -> int:
        """All alerts."""
        return self.yellow + self.red

    @property
    def per_patient_week(self) -> float:
        """Alerts for a patient in a week; 0 without patients."""
        weeks = self.patients * self.days / WEEK_DAYS
        return self.total / weeks if weeks else 0.0


class Tally:
    """Counts what is found of some patients after the other, and keeps the newest alerts."""

    def __init__(self) -> None:
        self._samples = 0
        self._levels: Counter[int] = Counter()
        self._families: Counter[str] = Counter()
        self._patients: Counter[int] = Counter()
        self._alerts: list[Alert] = []

    def add(self, found: Breached, samples: int) -> None:
        """Take what was found in so many samples."""
        self._samples += samples
        if not len(found):
            return
        leading, size = _leading(found)
        self._levels.update(leading.level.tolist())
        self._families.update(leading.families[number] for number in leading.family.tolist())
        self._patients.update(leading.patient.tolist())
        newest = np.argsort(leading.at)[-ALERTS_SHOWN_MAX:].tolist()
        self._alerts += [_alert(leading, row, int(size[row])) for row in newest]
        self._alerts.sort(key=lambda alert: (alert.at, alert.patient_id), reverse=True)
        del self._alerts[ALERTS_SHOWN_MAX:]

    def result(self, patients: int, days: int) -> DryRun:
        """Return what it comes to."""
        return DryRun(
            patients=patients,
            days=days,
            samples=self._samples,
            yellow=self._levels.total() - self._levels[RED],
            red=self._levels[RED],
            by_family=dict(self._families.most_common()),
            by_patient=dict(self._patients.most_common()),
            alerts=self._alerts,
        )


def _leading(found: Breached) -> tuple[Breached, NDArray[np.int64]]:
    """Return the first worst breach of each patient, family and day, and how many there are."""
    day = day_of(found.at)
    order = np.lexsort((found.at, -found.level, day, found.family, found.patient))
    ordered = found.take(order)
    key = np.column_stack((ordered.patient, ordered.family, day[order]))
    is_first = np.ones(len(ordered), np.bool_)
    is_first[1:] = np.any(key[1:] != key[:-1], axis=1)
    first = np.flatnonzero(is_first)
    return ordered.take(first), np.diff(np.append(first, len(ordered)))


def _alert(leading: Breached, row: int, breaches: int) -> Alert:
    kind, tell = leading.tellers[int(leading.teller[row])]
    detail = tell(int(leading.row[row]))
    return Alert(
        patient_id=int(leading.patient[row]),
        family=leading.families[int(leading.family[row])],
        level=int(leading.level[row]),
        at=EPOCH + timedelta(microseconds=int(leading.at[row])),
        breaches=breaches,
        sentence_sv=explain(kind, detail, "sv"),
        sentence_en=explain(kind, detail, "en"),
    )
