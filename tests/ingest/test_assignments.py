"""Which patient a reading belongs to: equal to a slow, obvious search, row by row."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingest.assignments import Loans, assign
from ingest.batch import NO_SLOT, microseconds
from ingest.quarantine import Reason, reason_of
from tests.ingest.county import NOW, batch_of, reading

FOREVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Loan:
    device: str
    slot: int | None
    start: int  # hours from NOW
    end: int | None
    patient: int
    loan: int


@dataclass(frozen=True)
class Measured:
    device: str
    slot: int | None
    at: int


def _reference(measured: Measured, loans: list[Loan]) -> Reason | tuple[int, int]:
    fitting = [
        loan
        for loan in loans
        if loan.device == measured.device and loan.slot in (None, measured.slot)
    ]
    covering = [
        loan
        for loan in fitting
        if loan.start <= measured.at and (loan.end is None or measured.at < loan.end)
    ]
    if len({loan.patient for loan in covering}) > 1:
        return Reason.AMBIGUOUS_LOAN
    if covering:
        newest = max(covering, key=lambda loan: loan.start)
        return newest.patient, newest.start
    if fitting and all(measured.at < loan.start for loan in fitting):
        return Reason.BEFORE_LOAN
    return Reason.UNASSIGNED


_DEVICES = st.sampled_from(["A", "B", "C"])
_SLOTS = st.sampled_from([None, 0, 1, 2])
_HOURS = st.integers(-6, 6)


@st.composite
def _loans(draw: st.DrawFn) -> list[Loan]:
    loans = []
    for number in range(draw(st.integers(0, 6))):
        start = draw(_HOURS)
        length = draw(st.none() | st.integers(1, 6))
        end = None if length is None else start + length
        patient = draw(st.integers(1, 3))
        loans.append(Loan(draw(_DEVICES), draw(_SLOTS), start, end, patient, number + 100))
    return loans


@given(
    loans=_loans(),
    measured=st.lists(st.builds(Measured, _DEVICES, _SLOTS, _HOURS), min_size=1, max_size=8),
)
def test_each_reading_goes_to_whom_had_the_device_then(
    loans: list[Loan], measured: list[Measured]
) -> None:
    batch = batch_of(
        [
            reading(device_id=m.device, slot=m.slot, measured_at=NOW + timedelta(hours=m.at))
            for m in measured
        ]
    )
    result = assign(batch, _columns(loans, list(batch.devices)))
    by_loan = {loan.loan: loan for loan in loans}
    for row, one in enumerate(measured):
        expected = _reference(one, loans)
        if isinstance(expected, Reason):
            assert reason_of(int(result.reason[row])) is expected
            assert (result.patient[row], result.loan[row]) == (0, 0)
        else:
            chosen = by_loan[int(result.loan[row])]
            assert (int(result.patient[row]), chosen.start) == expected
            assert (chosen.patient, result.reason[row]) == (expected[0], 0)


def _columns(loans: list[Loan], devices: list[str]) -> Loans:
    known = [loan for loan in loans if loan.device in devices]
    hours = [NOW + timedelta(hours=loan.start) for loan in known]
    ends = [None if loan.end is None else NOW + timedelta(hours=loan.end) for loan in known]
    return Loans(
        device=np.array([devices.index(loan.device) for loan in known], np.int64),
        slot=np.array([NO_SLOT if loan.slot is None else loan.slot for loan in known], np.int64),
        lent_from=microseconds(hours),
        returned_at=np.array(
            [FOREVER if end is None else microseconds([end])[0] for end in ends], np.int64
        ),
        patient=np.array([loan.patient for loan in known], np.int64),
        loan=np.array([loan.loan for loan in known], np.int64),
    )


def test_a_device_nobody_knows_is_unassigned() -> None:
    result = assign(batch_of([reading()]), _columns([], []))
    assert reason_of(int(result.reason[0])) is Reason.UNASSIGNED


def test_the_first_instant_of_a_loan_belongs_to_it_and_the_last_does_not() -> None:
    loans = [Loan("A", None, -1, 0, 7, 1)]
    batch = batch_of(
        [reading(device_id="A", measured_at=NOW + timedelta(hours=h)) for h in (-1, 0)]
    )
    result = assign(batch, _columns(loans, list(batch.devices)))
    assert result.patient.tolist() == [7, 0]
