"""Plausibility once more: one reading at a time, in plain words; no numpy but for comparing."""

import math
import statistics
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np

from devices.quantity import Panel, Quantity
from devices.reading import ClockVerdict, Outcome, Reading, Status
from ingest import history
from ingest.history import History
from ingest.plausibility import Suspicion, Verdict, judge, refuse_readings
from ingest.quarantine import Reason, reason_of
from tests.ingest.county import NOW, batch_of

Q = Quantity


@dataclass
class Expected:
    reason: Reason | None = None
    suspicion: Suspicion = Suspicion.NONE
    samples: list[tuple[Reason | None, Suspicion]] = field(default_factory=list)


def verdict_of(
    readings: list[Reading], patients: list[int] | None = None, stored: History | None = None
) -> Verdict:
    batch = batch_of(readings)
    patient = np.array(patients or [1] * len(readings), np.int64)
    return judge(batch, refuse_readings(batch), patient, stored or history.nothing())


def seen(readings: list[Reading], verdict: Verdict) -> list[Expected]:
    """Return the verdict in the reference's terms."""
    samples = iter(zip(verdict.sample_reason, verdict.sample_suspicion, strict=True))
    seen = []
    for row, one in enumerate(readings):
        mine = [next(samples) for _ in one.values]
        seen.append(
            Expected(
                reason_named(verdict.reason[row]),
                Suspicion(int(verdict.suspicion[row])),
                [(reason_named(code), Suspicion(int(bits))) for code, bits in mine],
            )
        )
    return seen


def reason_named(code: np.int8) -> Reason | None:
    return reason_of(int(code)) if code else None


# The reference: one reading at a time, in plain words.


def reference(readings: list[Reading], patients: list[int]) -> list[Expected]:
    expected = []
    refused_early = [_refused_early(one) for one in readings]
    for number, one in enumerate(readings):
        early = refused_early[number]
        in_hour = 0
        if early is None:
            in_hour = sum(
                other.device_id == one.device_id
                and patients[place] == patients[number]
                and refused_early[place] is None
                and one.measured_at - timedelta(hours=1) < other.measured_at <= one.measured_at
                for place, other in enumerate(readings)
            )
        expected.append(_reference_of(one, early, in_hour))
    _reference_medians(readings, patients, expected)
    for result in expected:
        for reason, bits in result.samples:
            if reason is None and result.reason is None:
                result.suspicion |= bits
    return expected


def _refused_early(one: Reading) -> Reason | None:
    names = [value.quantity for value in one.values if value.quantity in list(Q)]
    if (one.outcome is Outcome.MEASURED) != bool(one.values) or len(set(names)) < len(names):
        return Reason.MALFORMED_READING
    if one.outcome is Outcome.UNREADABLE:
        return Reason.UNREADABLE
    if one.clock is ClockVerdict.UNKNOWN:
        return Reason.TIME_UNKNOWN
    if one.measured_at > NOW + timedelta(minutes=10):
        return Reason.IN_FUTURE
    return None


def _reference_of(one: Reading, early: Reason | None, in_hour: int) -> Expected:
    result = Expected(Reason.TOO_FREQUENT if early is None and in_hour > 30 else early)
    if one.clock in (ClockVerdict.CORRECTED, ClockVerdict.IMPLAUSIBLE) or (
        one.clock_offset_s is not None and abs(one.clock_offset_s) > 300
    ):
        result.suspicion |= Suspicion.CLOCK_OFF
    if in_hour > 6:
        result.suspicion |= Suspicion.FREQUENT
    for status, bit in (
        (Status.CUFF_LOOSE, Suspicion.CUFF_LOOSE),
        (Status.BODY_MOVEMENT, Suspicion.BODY_MOVEMENT),
        (Status.IMPROPER_POSITION, Suspicion.IMPROPER_POSITION),
    ):
        if one.status & status:
            result.suspicion |= bit
    result.samples = [(r, b | result.suspicion) for r, b in _reference_values(one)]
    if (
        result.reason is None
        and one.outcome is Outcome.MEASURED
        and all(reason for reason, _ in result.samples)
    ):
        result.reason = result.samples[0][0]
    return result


def _reference_values(one: Reading) -> list[tuple[Reason | None, Suspicion]]:
    known = {
        Q(v.quantity): v.value
        for v in one.values
        if v.quantity in list(Q) and v.unit == Q(v.quantity).facts.unit
    }
    gap = known.get(Q.SYSTOLIC, math.nan) - known.get(Q.DIASTOLIC, math.nan)
    mean = known.get(Q.MEAN_ARTERIAL, math.nan)
    outside = mean < known.get(Q.DIASTOLIC, math.nan) or mean > known.get(Q.SYSTOLIC, math.nan)
    results: list[tuple[Reason | None, Suspicion]] = []
    panels: list[Panel | None] = []
    for value in one.values:
        if value.quantity not in list(Q):
            results.append((Reason.UNKNOWN_QUANTITY, Suspicion.NONE))
            panels.append(None)
            continue
        facts = Q(value.quantity).facts
        panels.append(facts.panel)
        bits = Suspicion.NONE
        reason: Reason | None = None
        if not facts.soft_low <= value.value <= facts.soft_high:
            bits |= Suspicion.BEYOND_SOFT_BOUND
        if facts.panel is Panel.BLOOD_PRESSURE:
            if gap < 15 or gap > 120:
                bits |= Suspicion.PULSE_PRESSURE
            if outside:
                bits |= Suspicion.MEAN_NOT_BETWEEN
        pair = value.quantity in (Q.SYSTOLIC, Q.DIASTOLIC)
        if not facts.hard_low <= value.value <= facts.hard_high or (pair and gap < 5):
            reason = Reason.IMPLAUSIBLE
        if value.unit != facts.unit:
            reason = Reason.UNKNOWN_UNIT
        results.append((reason, bits))
    return _spoil(results, panels)


def _spoil(
    results: list[tuple[Reason | None, Suspicion]], panels: list[Panel | None]
) -> list[tuple[Reason | None, Suspicion]]:
    """A refused value takes the rest of its panel along, for the first one's reason."""
    spoilt: dict[Panel, Reason] = {}
    for (reason, _), panel in zip(results, panels, strict=True):
        if reason and panel:
            spoilt.setdefault(panel, reason)
    return [
        (reason or (spoilt.get(panel) if panel else None), bits)
        for (reason, bits), panel in zip(results, panels, strict=True)
    ]


def _reference_medians(
    readings: list[Reading], patients: list[int], expected: list[Expected]
) -> None:
    weights = [
        (patients[place], one.measured_at, value.value, place, number)
        for place, one in enumerate(readings)
        for number, value in enumerate(one.values)
        if value.quantity == Q.BODY_WEIGHT
        and expected[place].reason is None
        and expected[place].samples[number][0] is None
    ]
    counting = [w for w in weights if not expected[w[3]].samples[w[4]][1]]
    off = []
    for patient, at, kg, place, number in weights:
        before = [
            w[2] for w in counting if w[0] == patient and at - timedelta(days=14) <= w[1] < at
        ]
        if len(before) >= 3 and abs(kg - statistics.median(before)) > 5:
            off.append((place, number))
    for place, number in off:
        reason, bits = expected[place].samples[number]
        expected[place].samples[number] = (reason, bits | Suspicion.WEIGHT_OFF_MEDIAN)
