"""A year of 10,000 invented patients through the default templates and the default policy.

``python bench/year.py`` draws what they measure (``bench/year_people.py``), holds it against the
templates with the rules' own code, and lets an invented staff meet the alerts with a virtual clock
(``bench/year_care.py``). Nothing of it touches a database. Prints the figures last; a seed gives
the same year again.
"""

import argparse
import resource
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # this file's own folder would hide the package ingest

import numpy as np  # noqa: E402

from alerts.alert import Level  # noqa: E402
from bench.year_care import Care, Clinic  # noqa: E402
from bench.year_people import ALL_DAYS, DAYS, LEAD_DAYS, Cohort, cohort  # noqa: E402
from ingest.batch import DAY, EPOCH, microseconds  # noqa: E402
from ingest.dry_run.found import Breached  # noqa: E402
from ingest.dry_run.proposal import Proposal  # noqa: E402
from ingest.dry_run.rehearse import rehearse  # noqa: E402
from ingest.rules.plan import Rules  # noqa: E402
from ingest.rules.templates import BLOOD_PRESSURE, HEART_FAILURE  # noqa: E402

PATIENTS = 10_000
AT_ONCE = 500
BUDGET = 0.05
# Who has heart failure measures blood pressure too.
BOTH = Rules(
    limits=(*BLOOD_PRESSURE.limits, *HEART_FAILURE.limits),
    rules=(*BLOOD_PRESSURE.rules, *HEART_FAILURE.rules),
)
BEGIN = datetime(2025, 11, 23, tzinfo=ZoneInfo("Europe/Stockholm"))


def main() -> None:
    """Draw, judge, care, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=PATIENTS)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began = time.monotonic()
    random = np.random.default_rng(options.seed)
    clinic = Clinic(options.patients, BEGIN.astimezone(UTC), random)
    cares = {
        rest: Care(clinic, np.random.default_rng(options.seed), rest) for rest in (True, False)
    }
    technical, families = 0, Counter[str]()
    for group in _cohorts(options.patients, options.seed):
        technical += group.technical
        for (patient, family), breaches in _by_family(group).items():
            families[family] += len(breaches)
            for care in cares.values():
                care.follow(patient, breaches)
    days = options.patients * DAYS
    print(f"{options.patients:,} patients, {DAYS} days, breaches by family:")
    for name, count in families.most_common():
        print(f"  {name:32} {count / days:.4f} a patient-day")
    for rest, care in cares.items():
        what = "What is known rests" if rest else "Nothing rests"
        _report(what, care, days, technical)
    memory_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{time.monotonic() - began:.0f} s, {memory_mib:.0f} MiB at most")
    sys.exit(len(cares[True].episodes) / days > BUDGET)


def _cohorts(patients: int, seed: int) -> Iterator[Cohort]:
    first_day = int(microseconds([BEGIN])[0]) - LEAD_DAYS * DAY
    for first in range(1, patients + 1, AT_ONCE):
        yield cohort(first, min(AT_ONCE, patients + 1 - first), first_day, seed)


def _by_family(group: Cohort) -> dict[tuple[int, str], list[tuple[datetime, Level]]]:
    """Return each patient's breaches of each family, ascending by time."""
    since = int(microseconds([BEGIN])[0])
    until = since + (ALL_DAYS - LEAD_DAYS) * DAY
    kept = defaultdict(list)
    for rules, is_theirs in (
        (BLOOD_PRESSURE, ~group.has_heart_failure),
        (BOTH, group.has_heart_failure),
    ):
        patients = group.patient[is_theirs]
        rows = np.flatnonzero(np.isin(group.series.patient, patients))
        series = group.series.take(rows)
        found = rehearse(series, patients, Proposal.of(rules, since), until, group.pauses)
        for patient, family, at, level in _in_order(found):
            kept[patient, family].append((at, level))
    return kept


def _in_order(found: Breached) -> Iterator[tuple[int, str, datetime, Level]]:
    for row in np.lexsort((found.level, found.at)).tolist():
        at = EPOCH + timedelta(microseconds=int(found.at[row]))
        yield (
            int(found.patient[row]),
            found.families[int(found.family[row])],
            at,
            Level(int(found.level[row])),
        )


def _report(title: str, care: Care, days: int, technical: int) -> None:
    episodes = care.episodes
    count, handled = len(episodes), _handled(care)
    print(f"{title}: alerts {count / days:.4f} a patient-day (budget {BUDGET})")
    print(f"  taken {handled / days:.4f} times, back from rest or raised too", end="; ")
    print(f"red {sum(e.level is Level.RED for e in episodes) / count:.0%}", end="; ")
    print(f"rested {sum(e.rests for e in episodes) / count:.0%}", end="; ")
    print(f"messages an alert {sum(e.told for e in episodes) / count:.2f}")
    print(f"  technical {technical / (technical + handled):.0%} of both lists", end="; ")
    print(f"own contact {sum(e.by_contact for e in episodes) / count:.0%}")
    for level, waits in care.waits.items():
        hours = [wait / timedelta(hours=1) for wait in waits]
        median, p90, most = np.quantile(hours, [0.5, 0.9, 1.0])
        print(
            f"  {level.name.lower():6} told of to acknowledged: median {median:.1f} h,"
            f" p90 {p90:.1f} h, longest {most:.0f} h"
        )
    first = Counter(e.why.value for e in episodes)
    print("  first route: " + ", ".join(f"{n} {c / count:.1%}" for n, c in first.most_common()))


def _handled(care: Care) -> int:
    """Return how often somebody took an alert: each, and those that were raised or came back."""
    return sum(episode.handled for episode in care.episodes)


if __name__ == "__main__":
    main()
