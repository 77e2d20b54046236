"""A rehearsal asks the clock's kinds when the clock would: once a gap, a morning, a week."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from devices.quantity import Quantity
from ingest.batch import DAY, EPOCH, HOUR, MINUTE
from ingest.dry_run.found import Breached
from ingest.dry_run.proposal import Proposal
from ingest.dry_run.rehearse import NO_PAUSES, rehearse
from ingest.dry_run.report import ALERTS_SHOWN_MAX, DryRun, Tally
from ingest.rules.model import (
    PART,
    Baseline,
    Change,
    Composite,
    KOfN,
    Missing,
    Repeat,
    RollingMean,
    Rule,
)
from ingest.rules.plan import Limit, Rules
from tests.ingest.county import LIMITS
from tests.ingest.rules.stories import Sample, at, series_of

SYSTOLIC, DIASTOLIC = Quantity.SYSTOLIC.facts.id, Quantity.DIASTOLIC.facts.id
WEIGHT, STEPS = Quantity.BODY_WEIGHT.facts.id, Quantity.STEPS.facts.id
PATIENTS = (3, 8)
SINCE, UNTIL = at(2026, 3, 15, 12), at(2026, 4, 20, 12)  # clocks change on 29 March


def samples(
    values: Sequence[tuple[int, float]], patient: int = 3, quantity: int = WEIGHT
) -> list[Sample]:
    return [
        Sample(patient, quantity, when, (patient << 40 | quantity << 20 | number).to_bytes(16), one)
        for number, (when, one) in enumerate(values, 1)
    ]


def found(
    given: Sequence[Sample],
    *rules: Rule,
    since: int = SINCE,
    until: int = UNTIL,
    pauses: Sequence[tuple[int, int, int]] = (),
) -> Breached:
    proposal = Proposal.of(Rules(rules=rules), since)
    asleep = np.array(pauses, np.int64) if pauses else NO_PAUSES
    return rehearse(series_of(given), np.array(PATIENTS), proposal, until, asleep)


def told(breached: Breached) -> DryRun:
    tally = Tally()
    tally.add(breached, 0)
    return tally.result(len(PATIENTS), 1)


def gaps(times: Sequence[int], allowed: int, pauses: Sequence[tuple[int, int]] = ()) -> list[int]:
    """Return when the nurse was told of a gap, by looking at each time between two.

    That is when *allowed* has gone by, reminders included, and each week while nothing comes.
    """
    begun = {one for one in (*times, *(end for _, end in pauses)) if one > SINCE}
    moments = [
        told
        for before, after in pairwise([SINCE, *sorted(begun), UNTIL])
        for told in range(before + allowed, after, 7 * DAY)
    ]
    return [one for one in moments if not any(since <= one < end for since, end in pauses)]


@pytest.mark.parametrize("seed", range(20))
def test_a_measurement_is_missing_once_a_gap_of_each_rule_and_patient(seed: int) -> None:
    random = Random(seed)
    rules = (
        Missing(quantity=Quantity.BODY_WEIGHT, interval_h=24, grace_h=12),
        Missing(quantity=Quantity.STEPS, interval_h=48, grace_h=24),
    )
    # Interval and grace, and twice from one reminder to the next: half a day to a day.
    allowed = {WEIGHT: (36 + 2 * 12) * HOUR, STEPS: (72 + 2 * 24) * HOUR}
    given: list[Sample] = []
    expected: list[tuple[int, str, int]] = []
    for patient in PATIENTS:
        for quantity, family in ((WEIGHT, "missing:body_weight"), (STEPS, "missing:steps")):
            # Half days, so that one comes at the very moment; some lie before the beginning.
            times = [
                SINCE + random.randint(-6, 71) * 12 * HOUR for _ in range(random.choice((0, 1, 20)))
            ]
            given += samples([(one, 80.0) for one in sorted(times)], patient, quantity)
            expected += [(patient, family, gap) for gap in gaps(times, allowed[quantity])]
    run = found(given, *rules)
    families = [run.families[number] for number in run.family.tolist()]
    assert sorted(zip(run.patient.tolist(), families, run.at.tolist(), strict=True)) == sorted(
        expected
    )


def mornings(first: datetime, last: datetime, days: int) -> list[datetime]:
    """Return six o'clock in Sweden every *days* days."""
    every = [first + timedelta(days=days * number) for number in range(40)]
    return [one for one in every if one <= last]


@pytest.mark.parametrize(
    ("since", "last", "first_week", "first_day"),
    [(SINCE, 0, 22, 16), (SINCE, 1, 22, 16), (SINCE - 7 * HOUR, 1, 15, 15)],
    ids=["before the last", "with the last", "from before six"],
)
def test_means_are_asked_at_six_in_sweden_also_after_the_clocks_changed(
    since: int, last: int, first_week: int, first_day: int
) -> None:
    """A morning at the very end of what is looked at is of the next."""
    day = DAY // 2
    given = [
        one
        for patient in PATIENTS
        for quantity in (WEIGHT, STEPS)
        for one in samples(
            # Her steps become fewer all the time, so that the baseline fires each morning.
            [
                (SINCE - 40 * DAY + number * day, 80.0 if quantity == WEIGHT else 1e9 / 1.2**number)
                for number in range(150)
            ],
            patient,
            quantity,
        )
    ]
    mean = RollingMean(quantity=Quantity.BODY_WEIGHT, high=79)
    base = Baseline(quantity=Quantity.STEPS, percent=70)
    six = datetime(2026, 4, 19, 6, tzinfo=ZoneInfo("Europe/Stockholm"))
    until = int((six - EPOCH) / timedelta(microseconds=1)) + last
    run = found([one for one in given if one.at < until], mean, base, since=since, until=until)
    end = six if last else six - timedelta(microseconds=1)
    for family, first, days in (
        ("trend:body_weight", first_week, 7),
        ("trend:steps", first_day, 1),
    ):
        is_of = run.family == run.families.index(family)
        for patient in PATIENTS:
            asked = run.at[(run.patient == patient) & is_of]
            assert [EPOCH + timedelta(microseconds=one) for one in asked.tolist()] == mornings(
                six.replace(month=3, day=first), end, days
            )


def test_a_composite_is_told_by_its_own_parts() -> None:
    heavier = Change(quantity=Quantity.BODY_WEIGHT, days=3, up=2.0, level=PART)
    silent = Missing(quantity=Quantity.STEPS, interval_h=24, grace_h=12, level=PART)
    both = Composite(
        quantity=Quantity.BODY_WEIGHT, name="both", components=(heavier.key, silent.key), level=2
    )
    high = KOfN(quantity=Quantity.BODY_WEIGHT, k=1, n=1, high=83, level=PART)
    alone = Composite(
        quantity=Quantity.BODY_WEIGHT, name="alone", components=(heavier.key, high.key), level=1
    )
    no_part = KOfN(quantity=Quantity.BODY_WEIGHT, k=1, n=1, low=95)
    given: list[Sample] = []
    for patient, gain in zip(PATIENTS, (2.5, 4.5), strict=True):
        values = [(SINCE + number * DAY, 80.0) for number in range(9)]
        given += samples([*values, (SINCE + 9 * DAY, 80.0 + gain)], patient)
        steps = [(SINCE + number * DAY, 5e3) for number in range(8 if patient == 8 else 30)]
        given += samples(steps, patient, STEPS)
    run = told(found(given, heavier, silent, high, no_part, both, alone, until=SINCE + 20 * DAY))
    sentences = {
        (one.patient_id, one.family): one.sentence_en.replace("\N{NO-BREAK SPACE}", " ")
        for one in run.alerts
        if one.family.startswith("composite:")
    }
    # Of the other patient one part fires, and a rule that is no part.
    assert sentences.keys() == {(8, "composite:alone"), (8, "composite:both")}
    assert all("increased by 4.5 kg" in sentence for sentence in sentences.values())
    assert "steps" in sentences[8, "composite:both"].lower()
    assert "steps" not in sentences[8, "composite:alone"].lower()


@pytest.mark.parametrize("number", [1, 9], ids=["the lowest id", "the highest id"])
def test_what_a_repeat_does_not_give_stays_as_it_was(number: int) -> None:
    again = SINCE + 11 * MINUTE
    given = [
        Sample(3, SYSTOLIC, SINCE + MINUTE, (5).to_bytes(16), 190.0),
        Sample(3, DIASTOLIC, SINCE + MINUTE, (5).to_bytes(16), 115.0),
        Sample(3, SYSTOLIC, again, number.to_bytes(16), 140.0),
    ]
    rules = Rules(
        limits=tuple(Limit(quantity=q, **bounds) for q, bounds in LIMITS.items()),
        rules=(Repeat(quantity=Quantity.SYSTOLIC),),
    )
    run = rehearse(series_of(given), np.array(PATIENTS), Proposal.of(rules, SINCE), UNTIL)
    assert sorted(zip(run.level.tolist(), run.at.tolist(), strict=True)) == [(1, again), (2, again)]
    (alert,) = told(run).alerts
    assert "115" in alert.sentence_en


def test_a_pause_silences_her_from_its_beginning_to_before_its_end() -> None:
    rule = Missing(quantity=Quantity.BODY_WEIGHT, interval_h=24, grace_h=12)
    given = [one for patient in PATIENTS for one in samples([(SINCE + 9 * DAY, 80.0)], patient)]
    run = found(given, rule)
    first, second = sorted(set(run.at.tolist()))[:2]
    asleep = {3: (first, second), 8: (second - 1, second + 1)}
    spoken = found(given, rule, pauses=[(one, *span) for one, span in asleep.items()])
    expected = [
        (one, moment)
        for one, span in asleep.items()
        for moment in gaps([SINCE + 9 * DAY], 60 * HOUR, [span])
    ]
    assert sorted(zip(spoken.patient.tolist(), spoken.at.tolist(), strict=True)) == expected
    assert {(3, first), (8, second)}.isdisjoint(expected)
    # Its end begins anew: nobody is told of what was missing in it.
    assert (3, second + 60 * HOUR) in expected
    rest = found(given, rule, pauses=[(3, second, UNTIL), (8, second, UNTIL)])
    assert told(rest).by_patient == {3: 1, 8: 1}


@pytest.mark.parametrize(("ends_after", "expected"), [(9, []), (0, [(1, 11)])])
def test_a_red_single_of_a_pause_asks_for_no_repeat(
    ends_after: int, expected: list[tuple[int, int]]
) -> None:
    """Else the mean of what a pause silences and what comes after it would alert."""
    given = [
        Sample(3, SYSTOLIC, SINCE + MINUTE, (1).to_bytes(16), 190.0),
        Sample(3, SYSTOLIC, SINCE + 11 * MINUTE, (2).to_bytes(16), 150.0),
    ]
    rules = Rules(
        limits=tuple(Limit(quantity=q, **bounds) for q, bounds in LIMITS.items()),
        rules=(Repeat(quantity=Quantity.SYSTOLIC),),
    )
    pauses = np.array([[3, SINCE, SINCE + ends_after * MINUTE]])
    patients, proposal = np.array(PATIENTS), Proposal.of(rules, SINCE)
    run = rehearse(series_of(given), patients, proposal, UNTIL, pauses)
    assert [
        (level, (at - SINCE) // MINUTE)
        for level, at in zip(run.level.tolist(), run.at.tolist(), strict=True)
    ] == expected


def test_the_newest_alerts_are_shown_and_all_are_counted() -> None:
    rule = Missing(quantity=Quantity.BODY_WEIGHT, interval_h=1, grace_h=1)
    tally = Tally()
    for patient in range(1, 4):
        times = [(SINCE + number * 2 * DAY, 80.0) for number in range(150)]
        proposal = Proposal.of(Rules(rules=(rule,)), SINCE)
        series = series_of(samples(times, patient))
        whole = rehearse(series, np.array([patient]), proposal, SINCE + 300 * DAY)
        tally.add(whole, len(series))
    run = tally.result(3, 300)
    assert (run.total, run.samples, len(run.alerts)) == (450, 450, ALERTS_SHOWN_MAX)
    moments = [one.at for one in run.alerts]
    assert moments == sorted(moments, reverse=True)
    newest = EPOCH + timedelta(microseconds=SINCE + 298 * DAY + 26 * HOUR)
    assert (moments[0], [one.patient_id for one in run.alerts[:4]]) == (newest, [3, 2, 1, 3])
    assert moments[-1].astimezone(UTC) == newest - timedelta(days=2 * (ALERTS_SHOWN_MAX // 3))
