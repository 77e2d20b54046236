"""The nil UUID stands for "no reading" in columns and in SQL: no message makes a reading of it."""

from collections.abc import Callable
from uuid import UUID

import msgspec
import pytest

from devices import wire
from devices.reading import Reading
from ingest.batch import from_incoming
from ingest.quarantine import Reason
from ingest.receipts import receipts
from tests.ingest.county import GATEWAY, NOW, incoming, pressure

_NIL = UUID(int=0)


def _in_rows(one: Reading, other: Reading) -> bytes:
    return wire.encode_rows(GATEWAY, NOW, [one, other]).replace(
        str(one.reading_id).encode(), str(_NIL).encode()
    )


def _in_columns(one: Reading, other: Reading) -> bytes:
    columns = wire.columns_of(GATEWAY, NOW, [one, other])
    ids = _NIL.bytes + other.reading_id.bytes
    return msgspec.json.encode(msgspec.structs.replace(columns, reading_id=ids))


@pytest.mark.parametrize("written", [_in_rows, _in_columns])
def test_a_reading_with_the_nil_id_is_refused_and_its_neighbour_is_not(
    written: Callable[[Reading, Reading], bytes],
) -> None:
    other = pressure(120, 80)
    came = incoming(written(pressure(192, 112), other))
    batch = from_incoming([came])
    (answer,) = receipts([came], batch.fault, came.refused)
    receipt = wire.decode_receipt(answer.payload)
    assert receipt.stored == (other.reading_id,)
    assert [(one.reading_id, one.reason) for one in receipt.refused] == [
        (_NIL, Reason.MALFORMED_READING)
    ]
