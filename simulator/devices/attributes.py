"""GATT services as virtual devices offer them, from the UUIDs and codecs in ``devices.gatt``."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from uuid import UUID

from bumble import core, gatt
from bumble.att import ATT_Error, Attribute, AttributeValueV2, Bearer, ErrorCode
from bumble.gatt_server import Server

from devices.gatt import uuids
from devices.gatt.battery import BatteryLevel
from devices.gatt.date_time import CurrentTime, DateTime
from simulator.devices.clock import DeviceClock
from simulator.devices.quirks import ClockHabit

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


def current_time_service(clock: DeviceClock, habit: ClockHabit = ClockHabit.OBEYS) -> gatt.Service:
    """Return the Current Time Service of *clock*, which a central may set."""
    time = _settable(
        uuids.CURRENT_TIME,
        lambda: CurrentTime(clock.read()).encode(),
        lambda payload: CurrentTime.decode(payload).local,
        clock,
        habit,
    )
    return service(uuids.CURRENT_TIME_SERVICE, time)


def date_time(clock: DeviceClock, habit: ClockHabit = ClockHabit.OBEYS) -> Characteristic:
    """Return the Date Time of *clock*, as A&D's devices have it beside their measurements."""
    return _settable(
        uuids.DATE_TIME,
        lambda: DateTime(clock.read()).encode(),
        lambda payload: DateTime.decode(payload).local,
        clock,
        habit,
    )


def _settable(
    uuid: str,
    shown: Callable[[], bytes],
    decode: Callable[[bytes], datetime | None],
    clock: DeviceClock,
    habit: ClockHabit,
) -> Characteristic:
    def write(_connection: object, payload: bytes) -> None:
        if habit is ClockHabit.REFUSES:
            raise ATT_Error(ErrorCode.WRITE_NOT_PERMITTED)
        wanted = decode(payload)
        if wanted is not None and habit is ClockHabit.OBEYS:
            clock.set(wanted)

    value = gatt.CharacteristicValue[bytes](read=lambda _connection: shown(), write=write)
    permissions = Attribute.READABLE | Attribute.WRITEABLE
    return Characteristic(bumble_uuid(uuid), READ | WRITE, permissions, value)


def subscription(
    characteristic: Characteristic,
    server: Server,
    *,
    needs_encryption: bool,
    before_answer: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Give *characteristic* a Client Characteristic Configuration of its own.

    Args:
        characteristic: One that is not yet part of a server.
        server: Where it will be.
        needs_encryption: Refuse subscriptions over a link that is not encrypted. The
            characteristic's own permissions say nothing of its subscription.
        before_answer: Awaited between taking a subscription and answering it.
    """

    async def write(bearer: Bearer, payload: bytes) -> None:
        server.write_cccd(bearer, characteristic, payload)
        if before_answer is not None and any(payload):
            await before_answer()

    permissions = Attribute.READABLE | Attribute.WRITEABLE
    if needs_encryption:
        permissions |= Attribute.WRITE_REQUIRES_ENCRYPTION
    configuration = gatt.Descriptor(
        gatt.GATT_CLIENT_CHARACTERISTIC_CONFIGURATION_DESCRIPTOR,
        permissions,
        AttributeValueV2(
            read=lambda bearer: server.read_cccd(bearer, characteristic),
            write=write,
        ),
    )
    characteristic.descriptors = [configuration]


def _not_permitted(_connection: object) -> bytes:
    raise ATT_Error(ErrorCode.READ_NOT_PERMITTED)
