"""Rule kind ``repeat``: a red or doubted single asks for one more, and the mean of the two decides.

A single that reaches a red bound, or is doubted, asks for a repeat after ``ask_min`` minutes. The
repeat is the first reading of the same panel that is measured after the single, no later than
``wait_min`` minutes after it (inclusive), and counts; of equal times the lowest reading id. One
of the same moment as the single is none. The mean of both values of each quantity is held
against the limits that were in force when the single was measured, as kind ``limit`` does: at or
beyond a high bound, below a low one. A mean within its limits calms; a mean beyond them stands,
with its own level. Two reds on opposite sides have no mean worth having: the single stands. A
quantity that the repeat does not give, or NaN, leaves the single's value as
it is. Without a repeat the single stands with its own level, doubted or not: silence would be
worse.

The rule's quantity is the first of its panel. Minutes are elapsed ones, so DST changes nothing.
"""

import enum
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingest.batch import MINUTE, Bools, Floats, Int64s
from ingest.rules.limit import RED, Finding, Limits
from ingest.rules.limit import evaluate as hold_against_limits
from ingest.rules.table import Findings, RuleRows, Series
from ingest.rules.window import Counting, millionths

PARAMS: Final = ("ask_min", "wait_min")
EXTRA: Final = ("first", "second")  # the values; NaN: no repeat came
_ASK, _WAIT = range(2)


class Outcome(enum.StrEnum):
    """How it ended; the words of ``repeat_wait``."""

    CONFIRMED = "confirmed"  # the mean is yellow or red
    CALMED = "calmed"  # the mean is within the limits
    UNREPEATED = "unrepeated"  # no repeat in time: the single stands


OUTCOMES: Final = tuple(Outcome)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What became of each of m values of singles."""

    outcome: NDArray[np.int8]  # (m,) index into OUTCOMES
    value: Floats  # (m,) the mean, or the single's value
    finding: Finding  # (m,) what limits say of it


def wait(rules: RuleRows) -> Int64s:
    """Return how long each rule waits for a repeat; (k,) µs, inclusive."""
    return np.rint(rules.params[:, _WAIT] * MINUTE).astype(np.int64)


def reach(rules: RuleRows) -> tuple[Int64s, Int64s]:
    """Return how far before and after a reading its single or repeat may lie, (k,) µs each."""
    span = wait(rules)
    return span, span


def find(
    series: Series, *, patient: Int64s, quantity: NDArray[np.int16], after: Int64s, wait: Int64s
) -> Int64s:
    """Find the repeat of each single.

    Args:
        series: Samples of at least these patients, of at least the panels' first quantities.
        patient: (m,) whose.
        quantity: (m,) the quantity to look for: the first of the panel.
        after: (m,) when the single was measured (µs); the repeat is after it.
        wait: (m,) how long after it the repeat may be (µs), inclusive.

    Returns:
        (m,) row of the series, -1 where there is none.
    """
    counting = Counting.of(series)
    row = counting.first_after(series, patient, quantity, after)
    found = row >= 0
    found[found] = series.measured_at[row[found]] - after[found] <= wait[found]
    return np.where(found, row, -1)


def decide(
    *,
    patient: Int64s,
    quantity: NDArray[np.int16],
    measured_at: Int64s,
    first: Floats,
    second: Floats,
    repeated: Bools,
    limits: Limits,
) -> Decision:
    """Decide on singles by the mean with their repeats.

    Args:
        patient: (m,) whose; one row for each quantity of a single.
        quantity: (m,) quantity ids.
        measured_at: (m,) of the single (µs).
        first: (m,) the single's value, in the quantity's unit.
        second: (m,) the repeat's value; NaN: the repeat has none, or there is no repeat.
        repeated: (m,) a repeat came in time.
        limits: Of at least these patients.
    """

    def held(value: Floats) -> Finding:
        return hold_against_limits(
            patient=patient,
            quantity=quantity,
            measured_at=measured_at,
            value=value,
            counts=np.ones(len(value), np.bool_),
            limits=limits,
        )

    again = repeated & np.isfinite(second)
    alone, other = held(first), held(np.where(again, second, np.nan))
    opposite = (alone.level == RED) & (other.level == RED) & (alone.side != other.side)
    # Summed in millionths, as a person would: (106.9 + 106.7) / 2 is 106.8.
    total = millionths(np.nan_to_num(first)) + millionths(np.nan_to_num(second))
    value = np.where(again & ~opposite, total / 2e6, first)
    finding = held(value)
    confirmed = np.where(
        finding.level > 0, OUTCOMES.index(Outcome.CONFIRMED), OUTCOMES.index(Outcome.CALMED)
    )
    outcome = np.where(repeated, confirmed, OUTCOMES.index(Outcome.UNREPEATED)).astype(np.int8)
    return Decision(outcome=outcome, value=value, finding=finding)


def rests_on(
    series: Series,  # noqa: ARG001 - every kind is asked alike
    rules: RuleRows,  # noqa: ARG001
    findings: Findings,
) -> tuple[Int64s, Int64s]:
    """Return pairs of (finding, row of the series): the single and its repeat, where one came.

    Of findings whose ``first`` is the single's row, and ``anchor`` the repeat's or the single's.
    """
    finding = np.repeat(np.arange(len(findings), dtype=np.int64), 2)
    row = np.column_stack((findings.first, findings.anchor)).ravel()
    kept = np.ones(len(row), np.bool_)
    kept[1::2] = findings.first != findings.anchor
    return finding[kept], row[kept]
