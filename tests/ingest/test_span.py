"""Stretches of samples: what is joined holds all, and no more than it must."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingest.windows import Span

_STRETCH = st.tuples(
    st.integers(1, 3), st.sampled_from((1, 2)), st.integers(-50, 50), st.integers(0, 15)
)
Stretch = tuple[int, int, int, int]


def _span(stretches: list[Stretch]) -> Span:
    patient, quantity, since, length = (np.array(column) for column in zip(*stretches, strict=True))
    return Span(
        patient=patient.astype(np.int64),
        quantity=quantity.astype(np.int16),
        since=since.astype(np.int64),
        first_at=since.astype(np.int64),
        until=(since + length).astype(np.int64),
        most=np.zeros(len(patient), np.int64),
        by_status=np.zeros(len(patient), np.bool_),
    )


def _moments(span: Span) -> list[tuple[int, int, int]]:
    """Return each moment of each stretch; one that two stretches hold is there twice."""
    return sorted(
        (int(patient), int(quantity), at)
        for patient, quantity, since, until in zip(
            span.patient, span.quantity, span.since, span.until, strict=True
        )
        for at in range(since, until + 1)
    )


@given(st.lists(_STRETCH, min_size=1, max_size=12))
def test_disjoint_stretches_hold_each_moment_once_and_no_other(stretches: list[Stretch]) -> None:
    asked = _span(stretches)
    disjoint = asked.disjoint()
    assert _moments(disjoint) == sorted(set(_moments(asked)))
    assert disjoint.first_at.tolist() == disjoint.since.tolist()


def test_a_county_of_years_is_kept_apart_too() -> None:
    """The places of its stretches, one beside the other, would be beyond 64 bits."""
    thirty_years = 30 * 365 * 24 * 3600 * 1_000_000
    far = [(patient, 1, since, 10) for patient in range(40_000) for since in (0, thirty_years)]
    assert len(_span(far).disjoint()) == len(far)
    near = [(patient, 1, since, thirty_years) for patient in range(40_000) for since in (0, 1)]
    assert len(_span(near).disjoint()) == 40_000


@given(st.lists(_STRETCH, min_size=1, max_size=12))
def test_joined_stretches_are_one_a_patient_and_quantity(stretches: list[Stretch]) -> None:
    asked = _span(stretches)
    joined = asked.joined()
    keys = list(zip(joined.patient.tolist(), joined.quantity.tolist(), strict=True))
    assert len(set(keys)) == len(keys)
    assert set(_moments(asked)) <= set(_moments(joined))


def test_of_nothing_nothing_is_made() -> None:
    nothing = _span([(1, 1, 0, 0)]).disjoint()
    empty = Span(**{name: getattr(nothing, name)[:0] for name in Span.__slots__})
    assert len(empty.disjoint()) == len(empty.joined()) == 0
