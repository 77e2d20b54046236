"""Receipts: what was committed or refused, back to each gateway. Made after COMMIT only."""

from collections.abc import Sequence
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from devices import wire
from devices.reading import Reading
from ingest.decode import Incoming
from ingest.delivery import Answer
from ingest.quarantine import Refused, reason_of, storable

# devices.reading.Problem takes 500 characters.
DETAIL_CHARACTERS_MAX = 400


def receipts(
    incoming: Sequence[Incoming], reason: NDArray[np.int8], refused: Sequence[Refused]
) -> list[Answer]:
    """Return the answer to each message whose topic names a gateway.

    Args:
        incoming: The messages of a batch, in order.
        reason: (n,) what became of their readings, one after the other; 0 = stored.
        refused: The batch's rows of quarantine.
    """
    details = {row.reading_id: row.detail for row in refused if row.reading_id}
    codes = reason.tolist()
    answers = []
    position = 0
    for one in incoming:
        mine = codes[position : position + len(one.readings)]
        position += len(one.readings)
        if one.gateway_id is not None:
            answers.append(_answer(one, one.gateway_id, _receipt(one, mine, details)))
    return answers


def _answer(one: Incoming, gateway_id: str, receipt: wire.Receipt) -> Answer:
    # Always to the gateway that the topic names. The response topic is the sender's word, and
    # must not make us write to somebody else.
    return Answer(
        topic=wire.topic(gateway_id, wire.TopicKind.RECEIPTS),
        payload=wire.encode_receipt(receipt),
        correlation=one.delivery.correlation,
    )


def _receipt(one: Incoming, codes: Sequence[int], details: dict[UUID, str]) -> wire.Receipt:
    if one.refused_whole:
        first = one.refused[0]
        return wire.Receipt(
            v=wire.VERSION, message_refused=_sayable(f"{first.reason}: {first.detail}")
        )
    if not any(codes) and not one.refused:
        return wire.Receipt(v=wire.VERSION, stored=tuple(r.reading_id for r in one.readings))
    judged = list(zip(one.readings, codes, strict=True))
    malformed = [
        wire.Refusal(reading_id=row.reading_id, reason=row.reason, detail=_sayable(row.detail))
        for row in one.refused
        if row.reading_id is not None
    ]
    return wire.Receipt(
        v=wire.VERSION,
        stored=tuple(reading.reading_id for reading, code in judged if not code),
        refused=(*malformed, *(_refusal(r, code, details) for r, code in judged if code)),
    )


def _refusal(reading: Reading, code: int, details: dict[UUID, str]) -> wire.Refusal:
    return wire.Refusal(
        reading_id=reading.reading_id,
        reason=reason_of(code),
        detail=_sayable(details.get(reading.reading_id, "")),
    )


def _sayable(text: str) -> str:
    """Return *text* as the wire format takes it: one short line without NUL."""
    return storable(text).replace("\n", " ")[:DETAIL_CHARACTERS_MAX]
