"""Device, slot and time → patient. Pure numpy; the gateway never knows who the patient is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.batch import NO_SLOT, Batch, Int64s
from ingest.quarantine import Reason
from ingest.search import pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class Loans:
    """The loans of a batch's devices; k rows, in any order."""

    device: Int64s  # (k,) index into Batch.devices
    slot: Int64s  # (k,) or NO_SLOT: whatever slot the device names
    lent_from: Int64s  # (k,) inclusive
    returned_at: Int64s  # (k,) exclusive; the largest int64 while it lasts
    patient: Int64s  # (k,)
    loan: Int64s  # (k,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Whose each reading is."""

    reason: NDArray[np.int8]  # (n,) Reason code, 0 = assigned
    patient: Int64s  # (n,) 0 where not assigned
    loan: Int64s  # (n,) 0 where not assigned


def assign(batch: Batch, loans: Loans) -> Assignment:
    """Find the one loan that covers each reading at the time it was measured.

    A loan covers a reading of its device from ``lent_from`` on and before ``returned_at``,
    when it names no slot or the reading's. Loans to one patient that overlap are no
    doubt: the newest counts. Without one, a reading older than every loan of its device and
    slot is BEFORE_LOAN, any other UNASSIGNED.
    """
    order = np.argsort(loans.device, kind="stable")
    device = loans.device[order]
    start = np.searchsorted(device, batch.device, side="left").astype(np.int64)
    end = np.searchsorted(device, batch.device, side="right").astype(np.int64)
    reading, row = pairs(start, end - start)
    row = order[row]

    slot = loans.slot[row]
    fits = (slot == NO_SLOT) | (slot == batch.slot[reading])
    began = loans.lent_from[row] <= batch.measured_at[reading]
    covers = fits & began & (batch.measured_at[reading] < loans.returned_at[row])

    n = len(batch)
    has_fit = np.bincount(reading[fits], minlength=n) > 0
    has_begun = np.bincount(reading[fits & began], minlength=n) > 0

    reading, row = reading[covers], row[covers]
    by_age = np.argsort(loans.lent_from[row], kind="stable")
    reading, row = reading[by_age], row[by_age]
    chosen = np.full(n, -1, np.int64)
    chosen[reading] = row  # the last, so the newest, stays
    found = chosen >= 0
    others = loans.patient[row] != loans.patient[chosen[reading]]
    doubtful = np.bincount(reading[others], minlength=n) > 0

    reason = np.full(n, Reason.UNASSIGNED.code, np.int8)
    reason[has_fit & ~has_begun] = Reason.BEFORE_LOAN.code
    reason[found] = 0
    reason[doubtful] = Reason.AMBIGUOUS_LOAN.code
    sure = reason == 0
    patient = np.zeros(n, np.int64)
    loan = np.zeros(n, np.int64)
    patient[sure] = loans.patient[chosen[sure]]
    loan[sure] = loans.loan[chosen[sure]]
    return Assignment(reason=reason, patient=patient, loan=loan)
