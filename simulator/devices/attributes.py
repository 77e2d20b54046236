"""GATT services as virtual devices offer them, from the UUIDs and codecs in ``devices.gatt``."""

from collections.abc import Callable
from uuid import UUID

from bumble import core, gatt
from bumble.att import ATT_Error, Attribute, ErrorCode
from bumble.gatt_server import Server

from devices.gatt import uuids
from devices.gatt.battery import BatteryLevel
from devices.gatt.date_time import CurrentTime
from simulator.devices.clock import DeviceClock

READ = gatt.Characteristic.Properties.READ
WRITE = gatt.Characteristic.Properties.WRITE
NOTIFY = gatt.Characteristic.Properties.NOTIFY
INDICATE = gatt.Characteristic.Properties.INDICATE
NOTIFICATIONS_ENABLED = 0x01  # in a Client Characteristic Configuration
INDICATIONS_ENABLED = 0x02  # (Core 5.4, Vol 3, Part G, 3.3.3.3)

Characteristic = gatt.Characteristic[bytes]


def bumble_uuid(uuid: str) -> core.UUID:
    """Return Bumble's UUID, short where the Bluetooth SIG assigned a short one."""
    return core.UUID(uuids.short(uuid))


def advertised_uuid(uuid: str) -> bytes:
    """Return *uuid* as it stands in an advertisement: little endian, as short as it can be."""
    short = uuids.short(uuid)
    return bytes.fromhex(short)[::-1] if short != uuid else UUID(uuid).bytes[::-1]


def service(uuid: str, *characteristics: Characteristic) -> gatt.Service:
    return gatt.Service(bumble_uuid(uuid), list(characteristics))


def sending(uuid: str, properties: gatt.Characteristic.Properties) -> Characteristic:
    """Return a characteristic that only sends, to who subscribes; reading it is refused."""
    # Bumble checks permissions for encryption only: the value itself has to refuse.
    value = gatt.CharacteristicValue[bytes](read=_not_permitted)
    return Characteristic(bumble_uuid(uuid), properties, Attribute.READABLE, value)


def constant(uuid: str, payload: bytes) -> Characteristic:
    """Return a characteristic that reads the same always."""
    return Characteristic(bumble_uuid(uuid), READ, Attribute.READABLE, payload)


def readable(
    uuid: str, read: Callable[[], bytes], properties: gatt.Characteristic.Properties = READ
) -> Characteristic:
    """Return a characteristic whose value is what *read* returns at that moment."""
    value = gatt.CharacteristicValue[bytes](read=lambda _connection: read())
    return Characteristic(bumble_uuid(uuid), properties, Attribute.READABLE, value)


def battery_service(percent: Callable[[], int]) -> gatt.Service:
    """Return the Battery Service."""
    level = readable(uuids.BATTERY_LEVEL, lambda: BatteryLevel(percent()).encode())
    return service(uuids.BATTERY_SERVICE, level)


def device_information_service(model: str, serial: str) -> gatt.Service:
    """Return Device Information as cheap devices fill it in."""
    return service(
        uuids.DEVICE_INFORMATION_SERVICE,
        constant(uuids.MANUFACTURER_NAME, b"Egenmonitor"),
        constant(uuids.MODEL_NUMBER, model.encode()),
        constant(uuids.SERIAL_NUMBER, serial.encode()),
        constant(uuids.FIRMWARE_REVISION, b"1.0"),
    )


def current_time_service(clock: DeviceClock) -> gatt.Service:
    """Return the Current Time Service of *clock*, which a central may set."""

    def read(_connection: object) -> bytes:
        return CurrentTime(clock.read()).encode()

    def write(_connection: object, payload: bytes) -> None:
        shown = CurrentTime.decode(payload).local
        if shown is not None:
            clock.set(shown)

    value = gatt.CharacteristicValue[bytes](read=read, write=write)
    permissions = Attribute.READABLE | Attribute.WRITEABLE
    time = Characteristic(bumble_uuid(uuids.CURRENT_TIME), READ | WRITE, permissions, value)
    return service(uuids.CURRENT_TIME_SERVICE, time)


def require_encryption(characteristic: Characteristic, server: Server) -> None:
    """Refuse subscriptions to *characteristic* over a link that is not encrypted.

    A characteristic's permissions say nothing of its subscription: the descriptor refuses.
    """
    configuration = gatt.Descriptor(
        gatt.GATT_CLIENT_CHARACTERISTIC_CONFIGURATION_DESCRIPTOR,
        Attribute.READABLE | Attribute.WRITEABLE | Attribute.WRITE_REQUIRES_ENCRYPTION,
        server.make_descriptor_value(characteristic),
    )
    characteristic.descriptors = [configuration]


def _not_permitted(_connection: object) -> bytes:
    raise ATT_Error(ErrorCode.READ_NOT_PERMITTED)
