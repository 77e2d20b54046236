"""Words for refused readings: what a person reads in quarantine and a gateway in a receipt."""

from collections.abc import Callable
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from devices import wire
from devices.errors import MalformedMessage
from devices.quantity import Quantity
from devices.reading import Reading
from ingest.batch import Batch
from ingest.decode import Incoming
from ingest.judgement import Judgement
from ingest.plausibility import READINGS_PER_HOUR_MAX, Verdict
from ingest.quarantine import Reason, Refused, reason_of

# A reading has at most 32 values; the first few say enough.
VALUES_SHOWN_MAX = 4


def refusals(batch: Batch, judgement: Judgement) -> list[Refused]:
    """Return a row for each reading that is refused, whole or in some of its values."""
    verdict = judgement.verdict
    partly = np.zeros(len(batch), np.bool_)
    partly[batch.samples.reading[verdict.sample_reason > 0]] = True
    rows = np.flatnonzero(((verdict.reason > 0) | partly) & ~judgement.stored)
    return explain(batch, verdict, rows)


def explain(batch: Batch, verdict: Verdict, rows: NDArray[np.intp]) -> list[Refused]:
    """Return the row of quarantine for each of the batch's *rows*, which are refused."""
    texts = _Texts(batch)
    reading = batch.samples.reading  # ascending
    first, end = np.searchsorted(reading, rows), np.searchsorted(reading, rows, "right")
    return [
        _row(batch, row, int(verdict.reason[row]), verdict.sample_reason[a:b], texts)
        for row, a, b in zip(rows.tolist(), first.tolist(), end.tolist(), strict=True)
    ]


def refused_by_database(batch: Batch, row: int, problem: str) -> Refused:
    """Return the row for a reading that the database refuses."""
    return _refused(batch, row, Reason.REFUSED_BY_DATABASE, problem, _Texts(batch).of(row))


class _Texts:
    """The readings one by one, as version 1 has them; only those that are asked for."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._texts: dict[int, Callable[[int], bytes]] = {}

    def of(self, row: int) -> bytes:
        """Return a reading as it stood in its message; of columns, as it would have."""
        origin = int(self._batch.origin[row])
        if origin not in self._texts:
            self._texts[origin] = _texts(self._batch.origins[origin])
        return self._texts[origin](int(self._batch.position[row]))


def _texts(message: Incoming) -> Callable[[int], bytes]:
    if message.version == wire.VERSION or message.columns is None:
        return wire.reading_texts(message.payload).__getitem__
    return wire.Rows(message.columns).text


def _row(batch: Batch, row: int, code: int, codes: NDArray[np.int8], texts: _Texts) -> Refused:
    text = texts.of(row)
    reason = reason_of(code or int(codes[codes > 0][0]))
    try:
        detail = _detail(wire.decode_reading(text), reason, codes)
    except MalformedMessage as error:  # it is beyond the format's limits
        detail = error.problem
    return _refused(batch, row, reason, detail, text)


def _refused(batch: Batch, row: int, reason: Reason, detail: str, text: bytes) -> Refused:
    origin = batch.origins[int(batch.origin[row])]
    return Refused(
        reason=reason,
        detail=detail,
        gateway_id=origin.gateway_id,
        topic=origin.topic,
        arrived_at=origin.arrived_at,
        content=text,
        reading_id=UUID(bytes=batch.reading_id[row].ljust(wire.ID_BYTES, b"\0")),
        # Of a row at fault only its id means anything; it may have pointed at no device.
        device_id=None if batch.fault[row] else batch.devices[int(batch.device[row])],
    )


def _detail(reading: Reading, reason: Reason, codes: NDArray[np.int8]) -> str:
    device = reading.device_id if reading.slot is None else f"{reading.device_id}/{reading.slot}"
    at = reading.measured_at.isoformat(timespec="seconds")
    match reason:
        case Reason.UNKNOWN_GATEWAY:
            return "the gateway is not registered, or retired"
        case Reason.IN_FUTURE:
            return f"measured at {at}, later than now"
        case Reason.TIME_UNKNOWN:
            received = reading.received_at.isoformat(timespec="seconds")
            return f"the gateway had no clock, the device none to go by; known since {received}"
        case Reason.UNREADABLE:
            return reading.problem or "the gateway could not read the device's bytes"
        case Reason.MALFORMED_READING:
            return f"outcome {reading.outcome} does not go with its values, or one stands twice"
        case Reason.UNASSIGNED:
            return f"nobody had {device} on loan at {at}"
        case Reason.BEFORE_LOAN:
            return f"measured at {at}, before the first loan of {device}"
        case Reason.AMBIGUOUS_LOAN:
            return f"more than one patient had {device} on loan at {at}"
        case Reason.TOO_FREQUENT:
            return f"more than {READINGS_PER_HOUR_MAX} readings of {device} in the hour to {at}"
        case _:
            return _values(reading, codes)


def _values(reading: Reading, codes: NDArray[np.int8]) -> str:
    said = []
    for value, code in zip(reading.values, codes.tolist(), strict=True):
        if code:
            shown = f"{value.quantity} {value.value:g} {value.unit}: {reason_of(code)}"
            said.append(shown + _bounds(value.quantity, reason_of(code)))
    more = f"; and {len(said) - VALUES_SHOWN_MAX} more" if len(said) > VALUES_SHOWN_MAX else ""
    return "; ".join(said[:VALUES_SHOWN_MAX]) + more


def _bounds(code: str, reason: Reason) -> str:
    if reason is not Reason.IMPLAUSIBLE:
        return ""
    facts = Quantity(code).facts
    return f" ({facts.hard_low:g} to {facts.hard_high:g} at most, and as a whole)"
