"""Home: the invented patients' devices on the virtual radio, and the patients using them.

Ingest doubts a device that measures more than six times an hour (docs/plausibility.md) and
keeps its values out of the rules, so patients stay below that and the tester's buttons go from
one patient to the next.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from devices.gatt.blood_pressure import BloodPressure
from devices.gatt.weight import WeightMeasurement
from devices.reading import identify
from simulator.care_record import contact_name
from simulator.demo.supervisor import DemoError
from simulator.devices.clock import DeviceClock
from simulator.devices.cuff import Cuff
from simulator.devices.peripheral import Happening
from simulator.devices.recording import Habits
from simulator.devices.scale import Scale
from simulator.devices.step_counter import StepCounter
from simulator.people import Kit, Person
from simulator.physiology import pressure_now, weight_now_kg
from simulator.radio import VirtualRadio
from simulator.tester.ledger import Ledger
from simulator.tester.measurement import Measurement

# Three cuff readings and two weighings an hour leave the buttons three an hour for each cuff.
_EVERY_S: Final = {Kit.CUFF: 1200.0, Kit.SCALE: 1800.0}
_HOUR: Final = timedelta(hours=1)
_USUAL_PER_HOUR: Final = 6
# Everybody has measured within three minutes of the start, one at a time.
_FIRST_WITHIN_S: Final = 180.0
_FIRST_AFTER_S: Final = 15.0
_HIGH_AFTER_S: Final = 10.0
_IRREGULARITY: Final = 0.25

_STEPS_EVERY_S: Final = 60.0
_WAKING_HOURS_PER_DAY: Final = 15
_S_PER_HOUR: Final = 3600

# Bought devices wake some seconds after a measurement; these are quick ones.
_HABITS: Final = Habits(wake_s=1.0, window_s=None)

_HIGH: Final = ((192, 112), (188, 111), (201, 114), (185, 110), (196, 116), (190, 113))
_HIGH_PULSE_PER_MIN: Final = 88


@dataclass(slots=True)
class _Device:
    """A device that keeps records: the virtual one, whose it is, and what it has made."""

    person: Person
    kit: Kit
    virtual: Cuff | Scale
    unconfirmed: deque[Measurement] = field(default_factory=deque)
    pressed_at: list[datetime] = field(default_factory=list)

    def pressed_last_hour(self, now: datetime) -> int:
        self.pressed_at = [at for at in self.pressed_at if at > now - _HOUR]
        return len(self.pressed_at)


class Home:
    """The devices of *people*, whose clocks show the time of *zone*."""

    def __init__(self, people: Sequence[Person], *, seed: int, zone: ZoneInfo) -> None:
        self.ledger = Ledger()
        self._zone = zone
        self._random = np.random.default_rng(seed)
        self._people = people
        self._recording = [
            self._make(person, kit) for person in people for kit in person.kit if kit in _EVERY_S
        ]
        self._watches = {
            person.key: StepCounter(address=person.address(Kit.STEPS), interval_ms=1000)
            for person in people
            if Kit.STEPS in person.kit
        }
        self._turn = 0

    @property
    def devices(self) -> int:
        """How many devices there are."""
        return len(self._recording) + len(self._watches)

    async def move_in(self, radio: VirtualRadio) -> None:
        """Bring every device on the air."""
        for device in self._recording:
            await radio.attach(device.virtual)
        for person in self._people:
            if person.key in self._watches:
                self._watches[person.key].walk(self._walked_today(person))
                await radio.attach(self._watches[person.key])

    async def live(self) -> None:
        """Let the patients measure, each at their own times, until cancelled."""
        turns = self._random.permutation(len(self._recording))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._measures_high())
            for turn, device in zip(turns, self._recording, strict=True):
                after_s = _FIRST_AFTER_S + _FIRST_WITHIN_S * float(turn) / len(turns)
                tasks.create_task(self._measures_often(device, after_s))
            for person in self._people:
                if person.key in self._watches:
                    tasks.create_task(self._walks(person))

    def send_high(self) -> Measurement:
        """Let the next patient measure a high blood pressure."""
        device = self._next_cuff()
        systolic, diastolic = _HIGH[len(device.pressed_at) % len(_HIGH)]
        return self._press_cuff(device, systolic, diastolic, _HIGH_PULSE_PER_MIN, by_tester=True)

    def send_failed(self) -> Measurement:
        """Let the next patient's cuff fail."""
        device = self._next_cuff()
        assert isinstance(device.virtual, Cuff)
        payload = device.virtual.fail()
        return self._note(device, payload, "misslyckad mätning", by_tester=True)

    def _make(self, person: Person, kit: Kit) -> _Device:
        kind = Cuff if kit is Kit.CUFF else Scale
        virtual = kind(
            f"{'BP' if kit is Kit.CUFF else 'SC'}-{person.key}",
            address=person.address(kit),
            habits=_HABITS,
            clock=DeviceClock(zone=self._zone),
        )
        device = _Device(person, kit, virtual)
        virtual.on_event = self._listener(device)
        return device

    def _listener(self, device: _Device) -> Callable[[Happening, datetime], None]:
        def on_event(happening: Happening, at: datetime) -> None:
            if happening is Happening.CONFIRMED:
                device.unconfirmed.popleft().confirmed_at = at

        return on_event

    def _next_cuff(self) -> _Device:
        """Return the next cuff in turn; one that has measured seldom enough if there is one.

        Who is well goes first: an alert of theirs is new, and lights the nurse's lamp anew.
        """
        cuffs = [device for device in self._recording if device.kit is Kit.CUFF]
        cuffs.sort(key=lambda device: device.person.body.worsens_for_days > 0)
        now = datetime.now(UTC)
        for step in range(len(cuffs)):
            device = cuffs[(self._turn + step) % len(cuffs)]
            if device.pressed_last_hour(now) < _USUAL_PER_HOUR:
                self._turn += step + 1
                return device
        self._turn += 1
        return cuffs[self._turn % len(cuffs)]

    async def _measures_high(self) -> None:
        """Let the one whose blood pressure rises show it soon: the worklist is open by then."""
        await asyncio.sleep(_HIGH_AFTER_S)
        for device in self._recording:
            if device.kit is Kit.CUFF and device.person.body.systolic_mmhg_per_day > 0:
                self._press_cuff(device, *_HIGH[0], _HIGH_PULSE_PER_MIN, by_tester=False)

    async def _measures_often(self, device: _Device, after_s: float) -> None:
        await asyncio.sleep(after_s)
        while True:
            self._measure(device)
            spread = 1 + _IRREGULARITY * (2 * self._random.random() - 1)
            await asyncio.sleep(_EVERY_S[device.kit] * spread)

    def _measure(self, device: _Device) -> None:
        if device.kit is Kit.CUFF:
            shown = pressure_now(device.person.body, self._random)
            self._press_cuff(
                device,
                shown.systolic_mmhg,
                shown.diastolic_mmhg,
                shown.pulse_per_min,
                by_tester=False,
            )
            return
        assert isinstance(device.virtual, Scale)
        weight_kg = weight_now_kg(device.person.body, self._random)
        payload = device.virtual.measure(weight_kg)
        shows = f"{weight_kg:.1f} kg".replace(".", ",")
        self._note(device, payload, shows, by_tester=False)

    def _press_cuff(
        self, device: _Device, systolic: int, diastolic: int, pulse: int, *, by_tester: bool
    ) -> Measurement:
        assert isinstance(device.virtual, Cuff)
        payload = device.virtual.measure(systolic, diastolic, pulse)
        return self._note(device, payload, f"{systolic}/{diastolic} mmHg", by_tester=by_tester)

    def _note(self, device: _Device, payload: bytes, shows: str, *, by_tester: bool) -> Measurement:
        """Enter an act of measuring into the books."""
        pressed_at = datetime.now(UTC)
        decode = BloodPressure.decode if device.kit is Kit.CUFF else WeightMeasurement.decode
        record = decode(payload)
        if record.time_stamp is None:
            problem = f"{device.virtual.name} tells no time: its readings cannot be followed"
            raise DemoError(problem)
        measurement = Measurement(
            reading_id=identify(
                device_id=device.virtual.device_id,
                device_time=record.time_stamp,
                received_at=pressed_at,  # of no importance beside a device time
                slot=record.user_id,
                payload=payload,
            ),
            device_id=device.virtual.device_id,
            payload=payload,
            patient=f"{device.person.given_name} {device.person.family_name}",
            nurse=contact_name(device.person.contact),
            device="blodtrycksmätare" if device.kit is Kit.CUFF else "våg",
            shows=shows,
            by_tester=by_tester,
            pressed_at=pressed_at,
        )
        device.unconfirmed.append(measurement)
        device.pressed_at.append(pressed_at)
        self.ledger.add(measurement)
        return measurement

    async def _walks(self, person: Person) -> None:
        """Count the steps of *person*; the day's total begins anew at local midnight."""
        watch = self._watches[person.key]
        today = datetime.now(self._zone).date()
        usual = person.body.steps_per_day / _WAKING_HOURS_PER_DAY / _S_PER_HOUR * _STEPS_EVERY_S
        while True:
            await asyncio.sleep(_STEPS_EVERY_S)
            if datetime.now(self._zone).date() != today:
                today = datetime.now(self._zone).date()
                watch.new_day()
            watch.walk(int(self._random.poisson(usual)))

    def _walked_today(self, person: Person) -> int:
        """Return the steps *person* has walked when the demo begins."""
        now = datetime.now(self._zone)
        day = (now.hour * 60 + now.minute) / (24 * 60)
        return int(person.body.steps_per_day * day)
