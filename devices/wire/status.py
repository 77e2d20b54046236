"""What a gateway says of itself: birth, heartbeat and last will."""

import enum
from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from devices.reading import DeviceId, Label, Problem, Seconds, Utc, require_utc
from devices.wire.codec import decode_versioned, encoder
from devices.wire.limits import Count, GatewayId, Version, Word

# What a person reads of a gateway: a screenful.
PROBLEMS_MAX: Final = 32
# Devices told of in one status: those on loan, and the neighbours' are none of ours.
DEVICES_MAX: Final = 64
# The last things the gateway did to its radio.
RADIO_STEPS_MAX: Final = 16


class GatewayState(enum.StrEnum):
    """What a status message says of its gateway."""

    ONLINE = "online"  # birth and every heartbeat
    STOPPED = "stopped"  # told to stop, and said goodbye
    LOST = "lost"  # the last will: the broker lost the connection


class ConditionCode(enum.StrEnum):
    """What can be wrong with a gateway; pages have the words for each in two languages."""

    RADIO_LOST = "radio_lost"  # no adapter, or it cannot be opened
    RADIO_SILENT = "radio_silent"  # every step of the watchdog was taken and nothing is heard
    STORAGE_FULL = "storage_full"  # a measurement was not kept
    INBOX_SET_ASIDE = "inbox_set_aside"  # raw values this version cannot read
    BROKER_AWAY = "broker_away"  # no connection
    BROKER_REFUSES = "broker_refuses"  # connected, and a publish or subscription was denied
    RECEIPT_UNREADABLE = "receipt_unreadable"
    MESSAGE_TOO_LARGE = "message_too_large"
    NOT_PAIRED = "not_paired"  # the device wants a bond, and there has never been one
    BOND_LOST = "bond_lost"  # there was a bond, and the device does not know it any more
    MODEL_WRONG = "model_wrong"  # the device does not offer what its model has
    STRANGERS = "strangers"  # too many unknown scales: nothing more is taken of new ones
    CLOCK_DOUBTED = "clock_doubted"  # the gateway does not know what time it is
    CERTIFICATE_EXPIRES = "certificate_expires"  # renewal has not worked so far
    CERTIFICATE_EXPIRED = "certificate_expired"
    CONFIG_REFUSED = "config_refused"  # what came down is not used; the last good one is
    PART_RESTARTED = "part_restarted"  # a part of the program failed and was started again
    FEEDBACK_FAILED = "feedback_failed"  # the light or buzzer does not work
    PACKAGE_BROKEN = "package_broken"  # somebody else's package of devices cannot be used


class Condition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that is wrong.

    Attributes:
        code: A ``ConditionCode``; text, so that a newer gateway's code is not refused.
        device_id: The device it is about, if it is about one.
        since: Since when, by the gateway's clock.
    """

    code: Label
    device_id: DeviceId | None = None
    since: Utc | None = None


class Bond(enum.StrEnum):
    """What the gateway knows of its bond with a device."""

    NONE = "none"  # it has none, or needs none
    PAIRED = "paired"  # paired; not yet proven by a second session
    PROVEN = "proven"  # a later, encrypted session delivered
    LOST = "lost"  # the device does not know it any more: pair again


class DeviceStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the gateway knows of one device it serves.

    Attributes:
        device_id: Its address.
        model: Name of the row of the models' table, or "" if none fits.
        heard_at: When it last advertised, to the minute.
        served_at: When the last session that brought anything ended.
        battery_percent: As the device said last.
        firmware: The same.
        clock_offset_s: Device clock minus gateway clock, at the last connect, before it was set.
        clock_set: Whether setting the clock held at the last try; none if it was not tried.
        bond: The state of the bond.
    """

    device_id: DeviceId
    model: Word = ""
    heard_at: Utc | None = None
    served_at: Utc | None = None
    battery_percent: Annotated[int, Meta(ge=0, le=100)] | None = None
    firmware: Word = ""
    clock_offset_s: Seconds | None = None
    clock_set: bool | None = None
    bond: Bond = Bond.NONE


class RadioStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the radio's watchdog, and when it was taken."""

    at: Utc
    step: Label  # scanner_restarted, adapter_power_cycled, given_up, heard_again


class PairingStep(enum.StrEnum):
    """Where a pairing stands."""

    SEARCHING = "searching"  # the device has not been heard
    PAIRING = "pairing"  # connected; the bond is being made
    PASSKEY = "passkey"  # the device shows a number, and waits for it
    MEASURE = "measure"  # bonded: a test measurement is wanted, which proves it
    DONE = "done"  # a second, encrypted session delivered a reading
    FAILED = "failed"


class PairingStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a pairing that was asked for stands.

    Attributes:
        request_id: Whose it is.
        step: Where it stands.
        device_id: The device, once it is known.
        problem: Why it failed: a word of ``gateway.pairing.Failure``.
    """

    request_id: Label
    step: PairingStep
    device_id: DeviceId | None = None
    problem: Word = ""


class GatewayStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Birth, heartbeat and last will of a gateway; retained, so silence is visible.

    Attributes:
        at: When it was said; none in a last will, which was written at connect.
        version: Of the program.
        inbox: Raw values not yet made into readings.
        outbox: Readings without a receipt.
        oldest_at: When the oldest of those was received.
        last_reading_at: When the last reading was received from any device.
        radio: What the radio is doing, in one word.
        radio_steps: What the watchdog did to it last, oldest first.
        problems: What a person should see to, in English words.
        conditions: The same for programs, so that pages can say it in any language.
        devices: The devices it serves.
        config_version: Of the configuration in force that came down, if one did.
        config_refused: Why a newer one is not used.
        pairing: How a pairing that was asked for stands.
        certificate_until: When its certificate ends, if it has one.
        storage_free_bytes: Room left where its store lies.
        started_at: When this process began.
    """

    v: Version
    gateway: GatewayId
    state: GatewayState
    at: Utc | None = None
    version: Word = ""
    inbox: Count = 0
    outbox: Count = 0
    oldest_at: Utc | None = None
    last_reading_at: Utc | None = None
    radio: Word = ""
    radio_steps: Annotated[tuple[RadioStep, ...], Meta(max_length=RADIO_STEPS_MAX)] = ()
    problems: Annotated[tuple[Problem, ...], Meta(max_length=PROBLEMS_MAX)] = ()
    conditions: Annotated[tuple[Condition, ...], Meta(max_length=PROBLEMS_MAX)] = ()
    devices: Annotated[tuple[DeviceStatus, ...], Meta(max_length=DEVICES_MAX)] = ()
    config_version: Count | None = None
    config_refused: Problem | None = None
    pairing: PairingStatus | None = None
    certificate_until: Utc | None = None
    storage_free_bytes: Count | None = None
    started_at: Utc | None = None

    def __post_init__(self) -> None:
        for moment in self._moments():
            if moment is not None:
                require_utc(moment)

    def _moments(self) -> list[datetime | None]:
        moments = [self.at, self.oldest_at, self.last_reading_at]
        moments += [self.certificate_until, self.started_at]
        moments += [step.at for step in self.radio_steps]
        moments += [condition.since for condition in self.conditions]
        return moments + [at for each in self.devices for at in (each.heard_at, each.served_at)]


_status = msgspec.json.Decoder(GatewayStatus)


def encode_status(status: GatewayStatus) -> bytes:
    """Return *status* as it travels."""
    return encoder.encode(status)


def decode_status(payload: bytes) -> GatewayStatus:
    """Return the status in *payload*; raises as ``decode_message``."""
    return decode_versioned(_status, payload)
