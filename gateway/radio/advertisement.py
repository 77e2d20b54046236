"""Advertising data to bleak's ``AdvertisementData`` (Core Supplement 11, part A; GAP numbers).

Total: an AD structure that is cut off or malformed is left out, what stands before it is kept.
"""

from collections.abc import Iterator
from uuid import UUID

from bleak.backends.scanner import AdvertisementData
from bleak.uuids import normalize_uuid_16, normalize_uuid_32

_SHORT_NAME = 0x08
_COMPLETE_NAME = 0x09
_TX_POWER = 0x0A
_MANUFACTURER = 0xFF
# AD type to the bytes of each UUID in it; lists come complete and incomplete.
_SERVICE_LISTS = {0x02: 2, 0x03: 2, 0x04: 4, 0x05: 4, 0x06: 16, 0x07: 16}
_SERVICE_DATA = {0x16: 2, 0x20: 4, 0x21: 16}
_COMPANY_BYTES = 2


def parse(advertising: bytes, scan_response: bytes, rssi_dbm: int) -> AdvertisementData:
    """Return what the two parts of an advertisement say together."""
    name: str | None = None
    tx_power: int | None = None
    manufacturer: dict[int, bytes] = {}
    service_data: dict[str, bytes] = {}
    services: list[str] = []
    for kind, body in (*_structures(advertising), *_structures(scan_response)):
        if kind == _COMPLETE_NAME or (kind == _SHORT_NAME and name is None):
            name = body.decode(errors="replace")
        elif kind == _TX_POWER and len(body) == 1:
            tx_power = int.from_bytes(body, "little", signed=True)
        elif kind == _MANUFACTURER and len(body) >= _COMPANY_BYTES:
            manufacturer[int.from_bytes(body[:_COMPANY_BYTES], "little")] = body[_COMPANY_BYTES:]
        elif size := _SERVICE_DATA.get(kind):
            if len(body) >= size:
                service_data[_uuid(body[:size])] = body[size:]
        elif size := _SERVICE_LISTS.get(kind):
            whole = len(body) // size * size
            services += (_uuid(body[at : at + size]) for at in range(0, whole, size))
    return AdvertisementData(
        local_name=name,
        manufacturer_data=manufacturer,
        service_data=service_data,
        service_uuids=list(dict.fromkeys(services)),
        tx_power=tx_power,
        rssi=rssi_dbm,
        platform_data=(),
    )


def _structures(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and body of each whole AD structure; a zero length ends the data early."""
    at = 0
    while at < len(data) and data[at]:
        end = at + 1 + data[at]
        if end > len(data):
            return
        yield data[at + 1], data[at + 2 : end]
        at = end


def _uuid(field: bytes) -> str:
    number = int.from_bytes(field, "little")
    match len(field):
        case 2:
            return normalize_uuid_16(number)
        case 4:
            return normalize_uuid_32(number)
    return str(UUID(int=number))
