"""History: what is stored of the devices and patients of a batch, as far as judging needs it."""

from dataclasses import dataclass

import numpy as np

from ingest.batch import Floats, Ids, Int64s


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Stored readings near the batch's in time."""

    rate_group: Int64s  # (r,) plausibility.pair_group of the batch
    rate_measured_at: Int64s  # (r,)
    rate_reading_id: Ids  # (r,) S16
    weight_patient: Int64s  # (w,)
    weight_measured_at: Int64s  # (w,)
    weight_kg: Floats  # (w,) those not suspect for another reason than the median
    weight_reading_id: Ids  # (w,) S16


def nothing() -> History:
    """Return an empty history."""
    none = np.empty(0, np.int64)
    ids = np.empty(0, "S16")
    return History(
        rate_group=none,
        rate_measured_at=none,
        rate_reading_id=ids,
        weight_patient=none,
        weight_measured_at=none,
        weight_kg=np.empty(0, np.float64),
        weight_reading_id=ids,
    )
