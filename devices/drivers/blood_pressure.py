"""Any blood-pressure cuff that follows the Blood Pressure Profile.

Source: Bluetooth SIG, *Blood Pressure Profile* 1.1.1. The cuff indicates its stored records as
soon as it is subscribed to, so that comes first. Intermediate cuff pressure (0x2A36) is the
pressure in the cuff while it inflates: never a reading, and not subscribed to. The measurement
itself cannot be read, only subscribed to.

Some makers have their own layout on 0x2A35; their cuffs differ in nothing else.
"""

from collections.abc import Callable, Mapping, Sequence
from zoneinfo import ZoneInfo

from devices.drivers.driver import Notes, RawValue, Request, Subscribe
from devices.drivers.session import Act, Session, Values, unreadable, value
from devices.errors import MalformedPayload
from devices.gatt import uuids
from devices.gatt.blood_pressure import BloodPressure
from devices.gatt.vendor_blood_pressure import BeurerBloodPressure, Sbm69BloodPressure
from devices.models import Model
from devices.quantity import Quantity
from devices.reading import Reading, Status

Decode = Callable[[bytes], BloodPressure]


class BloodPressureDriver:
    """One session with a cuff whose records *decode* reads."""

    def __init__(
        self,
        device_id: str,
        zone: ZoneInfo,
        model: Model,
        memory: Mapping[str, str],
        *,
        decode: Decode = BloodPressure.decode,
    ) -> None:
        self._session = Session(device_id, zone, model, memory)
        self._decode = decode

    def connected(self) -> Sequence[Request]:
        return (Subscribe(uuids.BLOOD_PRESSURE_MEASUREMENT), *self._session.requests)

    def received(self, raw: RawValue) -> Sequence[Reading]:
        if raw.source != uuids.BLOOD_PRESSURE_MEASUREMENT:
            self._session.answered(raw)
        elif self._session.is_new(raw):
            self._session.hold(self._act(raw))
        return self._session.ready()

    def unanswered(self, request: Request) -> Sequence[Reading]:
        self._session.unanswered(request)
        return self._session.ready()

    def asks(self) -> Sequence[Request]:
        return self._session.asks()

    @property
    def notes(self) -> Notes:
        return self._session.notes

    def finished(self) -> Sequence[Reading]:
        return self._session.finish()

    def _act(self, raw: RawValue) -> Act:
        try:
            record = self._decode(raw.payload)
        except MalformedPayload as error:
            return unreadable(raw, error)
        return Act(
            source=uuids.short(raw.source),
            payload=raw.payload,
            received_at=raw.received_at,
            values=_values(record),
            device_time=record.time_stamp,
            slot=record.user_id,
            status=Status(record.status or 0),
        )


def beurer_bm(
    device_id: str, zone: ZoneInfo, model: Model, memory: Mapping[str, str]
) -> BloodPressureDriver:
    """Return a driver for a cuff of Beurer that has its own layout."""
    return BloodPressureDriver(device_id, zone, model, memory, decode=BeurerBloodPressure.decode)


def silvercrest_sbm69(
    device_id: str, zone: ZoneInfo, model: Model, memory: Mapping[str, str]
) -> BloodPressureDriver:
    """Return a driver for an SBM69."""
    return BloodPressureDriver(device_id, zone, model, memory, decode=Sbm69BloodPressure.decode)


def _values(record: BloodPressure) -> Values:
    """Return what the cuff did measure: a result it could not get spoils none of the others."""
    unit = record.unit
    pressures = (
        (Quantity.SYSTOLIC, record.systolic),
        (Quantity.DIASTOLIC, record.diastolic),
        (Quantity.MEAN_ARTERIAL, record.mean),
    )
    values: Values = ()
    for quantity, pressure in pressures:
        values += value(quantity, unit.to_mmhg(pressure), pressure, unit.value)
    per_minute = Quantity.PULSE.facts.unit
    return values + value(Quantity.PULSE, record.pulse, record.pulse, per_minute)
