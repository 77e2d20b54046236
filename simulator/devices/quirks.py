"""Quirks: what bought devices do and no profile says, each with where it was seen.

A device model misbehaves by these alone; the defaults are a device that does as its profile
says. The gateway's tests of field failures name the quirk they are about.
"""

import enum
from dataclasses import dataclass


class Guard(enum.Enum):
    """What a device does on a link that is not encrypted."""

    OPEN = "open"  # everything
    SUBSCRIPTIONS = "subscriptions"  # refuses to be subscribed to
    POWER_OFF = "power_off"  # switches itself off when anything is asked (A&D UA-651BLE)


class Pairing(enum.Enum):
    """What a device does when a central wants to pair."""

    JUST_WORKS = "just_works"
    SHOWS_PASSKEY = "shows_passkey"  # six digits on its display (Beurer BF500, SBM69)
    REFUSES = "refuses"  # it is not in its pairing mode: a button must be held


class ClockHabit(enum.Enum):
    """What a device does when its clock is written."""

    OBEYS = "obeys"
    REFUSES = "refuses"  # Write Not Permitted
    IGNORES = "ignores"  # answers as if it had been set, and goes on as before


@dataclass(frozen=True, slots=True)
class Quirks:
    """How a device departs from its profile.

    Attributes:
        aborted_connections: So many first connections break before the device answers: Linux
            calls it ``le-connection-abort-by-local`` (bleak#631, bleak#993).
        guard: What it does on a link that is not encrypted.
        pairing: What it does when a central wants to pair (omblepy#71, bleak#1380).
        passkey: What it shows, in place of a number of its own choice.
        asks_to_pair: It asks for encryption itself as soon as it is connected to.
        forgets_new_bonds: It drops a bond as soon as the link it was made on ends
            (hass-omron#24).
        forgets_bond_when_unsubscribed: It drops the bond when a subscription is taken back
            before the link ends (Omron cuffs, hass-omron#136).
        hangs_up_when_read: Ends the link when a measuring characteristic is read, which no
            device allows.
        sends_before_answering: Its records go out before the answer to the subscription
            (bleak#374, bleak#1886).
        repeats_history: Sends everything it ever measured at each connection.
        clock: What it does when its clock is written (openScale#627, hass-omron#190).
        has_date_time_clock: Its clock is a Date Time (0x2A08) beside the measurements, as A&D
            have it, in place of the Current Time Service.
        prelude: Frames of the vendor's own, sent on the measuring characteristic before the
            records (Silvercrest SBM69).
        advertised_services: UUIDs it advertises in place of what it offers, 16 bits each. Linux
            reports what a device offered once as what it advertises now.
        changes_address: A new resolvable private address at each waking.
        hidden_for: So many first connections find no measuring service: the list of services
            that was remembered is not true any more (bleak#882).
    """

    aborted_connections: int = 0
    guard: Guard = Guard.OPEN
    pairing: Pairing = Pairing.JUST_WORKS
    passkey: int | None = None
    asks_to_pair: bool = False
    forgets_new_bonds: bool = False
    forgets_bond_when_unsubscribed: bool = False
    hangs_up_when_read: bool = False
    sends_before_answering: bool = False
    repeats_history: bool = False
    clock: ClockHabit = ClockHabit.OBEYS
    has_date_time_clock: bool = False
    prelude: tuple[bytes, ...] = ()
    advertised_services: tuple[str, ...] | None = None
    changes_address: bool = False
    hidden_for: int = 0
