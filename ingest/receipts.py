"""Receipts: what was committed or refused, back to each gateway. Made after COMMIT only."""

from collections.abc import Sequence
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from devices import wire
from devices.wire import ID_BYTES
from ingest.decode import Incoming
from ingest.delivery import Answer
from ingest.quarantine import Refused, reason_of, storable

# devices.reading.Problem takes 500 characters.
DETAIL_CHARACTERS_MAX = 400


def receipts(
    incoming: Sequence[Incoming], reason: NDArray[np.int8], refused: Sequence[Refused]
) -> list[Answer]:
    """Return the answer to each message whose topic names a gateway.

    A message is answered in its own version.

    Args:
        incoming: The messages of a batch, in order.
        reason: (n,) what became of their readings, one after the other; 0 = stored.
        refused: The batch's rows of quarantine.
    """
    details = {row.reading_id: row.detail for row in refused if row.reading_id}
    codes = reason.tobytes()
    answers = []
    position = 0
    for one in incoming:
        mine = codes[position : position + one.count]
        position += one.count
        if not one.gateway_id:
            continue
        # Always to the gateway that the topic names. The response topic is the sender's word,
        # and must not make us write to somebody else.
        topic = wire.topic(one.gateway_id, wire.TopicKind.RECEIPTS)
        answers.append(Answer(topic, _receipt(one, mine, details), one.delivery.correlation))
    return answers


def _receipt(one: Incoming, codes: bytes, details: dict[UUID, str]) -> bytes:
    if one.version == wire.COLUMNS_VERSION and one.columns is not None and not any(codes):
        return wire.encode_stored(one.columns.reading_id)
    return wire.encode_receipt(_in_detail(one, codes, details))


def _in_detail(one: Incoming, codes: bytes, details: dict[UUID, str]) -> wire.Receipt:
    if one.refused_whole:
        first = one.refused[0]
        return wire.Receipt(
            v=one.version, message_refused=_sayable(f"{first.reason}: {first.detail}")
        )
    judged = list(zip(_ids(one), codes, strict=True))
    malformed = [
        wire.Refusal(reading_id=row.reading_id, reason=row.reason, detail=_sayable(row.detail))
        for row in one.refused
        if row.reading_id is not None
    ]
    return wire.Receipt(
        v=one.version,
        stored=tuple(reading_id for reading_id, code in judged if not code),
        refused=(*malformed, *(_refusal(one, code, details) for one, code in judged if code)),
    )


def _ids(one: Incoming) -> list[UUID]:
    packed = b"" if one.columns is None else one.columns.reading_id
    places = range(0, len(packed), ID_BYTES)
    return [UUID(bytes=packed[place : place + ID_BYTES]) for place in places]


def _refusal(reading_id: UUID, code: int, details: dict[UUID, str]) -> wire.Refusal:
    return wire.Refusal(
        reading_id=reading_id,
        reason=reason_of(code),
        detail=_sayable(details.get(reading_id, "")),
    )


def _sayable(text: str) -> str:
    """Return *text* as the wire format takes it: one short line without NUL."""
    return storable(text).replace("\n", " ")[:DETAIL_CHARACTERS_MAX]
