"""Fault: one thing a technician must see to. What makes one, and from when. Pure.

Law of this module: one cause is one fault. A gateway that is silent says nothing new, so nothing
new is found of it; and when most of a county's gateways fall silent in the same minutes, that is
one fault of the server or the network, not a thousand visits.
"""

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from alerts.fleet.gateway import Gateway, Reason, Trouble, Urgency
from devices.wire import ConditionCode
from ingest.quarantine import Reason as Refusal

# What is not found for so long is over; shorter and a gateway that comes and goes fills the list.
CALM: Final = timedelta(minutes=10)
# What is found again so soon after it was over is the same fault, and is told in its own pace.
RETURNS: Final = timedelta(hours=24)
# A fault that is not urgent becomes so when nobody has taken it for so long.
WAITED: Final = timedelta(days=3)

# Fewer than these are homes with a fault of their own, however large their share.
COMMON_GATEWAYS_MIN: Final = 10
COMMON_SHARE_MIN: Final = 0.5

# Three failed measurements are a matter for somebody who phones; twice that, the device's.
FAILURES_OF_DEVICE: Final = 6

# Refused readings of one gateway within a day that are no accident.
REFUSED_DAY_MIN: Final = 3
# Somebody measures and nobody sees it, until it is put right: one is enough, however old.
WAITING: Final = frozenset(
    {Refusal.UNASSIGNED, Refusal.AMBIGUOUS_LOAN, Refusal.UNKNOWN_GATEWAY}
    | {Refusal.REFUSED_BY_DATABASE, Refusal.UNSUPPORTED_VERSION}
)

ALL_SILENT: Final = "all_silent"


class Kind(enum.StrEnum):
    """What sort of fault. Stands in the database: never rename one."""

    SILENT_GATEWAY = "silent_gateway"
    NEVER_HEARD = "never_heard"
    LOW_BATTERY = "low_battery"
    LOST_BOND = "lost_bond"
    CLOCK_OFF = "clock_off"
    FAILED_MEASUREMENTS = "failed_measurements"
    CERTIFICATE_EXPIRES = "certificate_expires"
    OUTBOX_GROWS = "outbox_grows"
    QUARANTINE_GROWS = "quarantine_grows"
    INCIDENT = "incident"
    CONDITION = "condition"  # what a gateway says of itself and has no kind of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong now.

    Attributes:
        kind: What sort.
        key: Which one of its kind; the same as long as it is the same fault.
        urgency: How soon.
        gateway_id: Where; none: at the server, or at a gateway nobody knows.
        device_id: Which device, if it is one's.
        patient_id: Whose failed measurements; read by us again, never shown to a technician.
        detail: Words and numbers for the sentence; no identity of a person.
    """

    kind: Kind
    key: str
    urgency: Urgency = Urgency.SOON
    gateway_id: str | None = None
    device_id: str | None = None
    patient_id: int | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refused:
    """Readings of one gateway that lie in quarantine for one reason.

    Attributes:
        gateway_id: As the topic says; may be of no gateway that we know.
        is_known: It is one of ours.
        reason: Of ``ingest.quarantine.Reason``.
        waiting: Not settled, of any age.
        lately: Of those, refused within a day; a repeat of the same counts once.
    """

    gateway_id: str
    is_known: bool
    reason: str
    waiting: int
    lately: int


@dataclass(frozen=True, slots=True)
class Heard:
    """How many gateways that were ever heard are in use, and how many of them are silent."""

    gateways: int
    silent: int

    @property
    def is_common(self) -> bool:
        """So many are silent at once that the cause lies with none of them."""
        return (
            self.silent >= COMMON_GATEWAYS_MIN and self.silent >= COMMON_SHARE_MIN * self.gateways
        )


# Gone before anybody can see to it, or worth a line of history only. A broker that stays away
# makes the gateway silent.
_PASSING: Final = frozenset({ConditionCode.BROKER_AWAY, ConditionCode.PART_RESTARTED})

_KINDS: Final[dict[str, Kind]] = {
    Reason.SILENT: Kind.SILENT_GATEWAY,
    Reason.NEVER_HEARD: Kind.NEVER_HEARD,
    Reason.BATTERY_LOW: Kind.LOW_BATTERY,
    Reason.BOND_LOST: Kind.LOST_BOND,  # the gateway's own condition has the same word
    Reason.CLOCK_OFF: Kind.CLOCK_OFF,
    ConditionCode.CLOCK_DOUBTED: Kind.CLOCK_OFF,
    Reason.QUEUE_OLD: Kind.OUTBOX_GROWS,
    Reason.STATUS_UNREADABLE: Kind.QUARANTINE_GROWS,
    Reason.CERTIFICATE_SOON: Kind.CERTIFICATE_EXPIRES,
    Reason.CERTIFICATE_OVER: Kind.CERTIFICATE_EXPIRES,
    ConditionCode.CERTIFICATE_EXPIRES: Kind.CERTIFICATE_EXPIRES,
    ConditionCode.CERTIFICATE_EXPIRED: Kind.CERTIFICATE_EXPIRES,
}
_OF_NOW: Final = frozenset({Reason.SILENT, Reason.CERTIFICATE_OVER, Reason.CERTIFICATE_SOON})


def of_gateway(gateway: Gateway, now: datetime) -> list[Fault]:
    """Return a gateway's faults, the most urgent first.

    Of a silent one, its last word is held against the time it was said: else a queue of a minute
    would be an old one an hour into the silence.
    """
    found = gateway.troubles(now)
    if gateway.received_at is not None and gateway.is_silent(now):
        then = set(gateway.troubles(gateway.received_at))
        found = [one for one in found if one.what in _OF_NOW or one in then]
    faults: dict[tuple[Kind, str], Fault] = {}
    for one in found:
        if one.urgency >= Urgency.SOON and one.what not in _PASSING:
            fault = _of_trouble(gateway.gateway_id, one)
            faults.setdefault((fault.kind, fault.key), fault)
    return list(faults.values())


def of_refused(refused: Iterable[Refused]) -> list[Fault]:
    """Return a fault for each gateway and reason whose readings reach nobody.

    That it was no accident, and nobody who measures is seen, is urgent.
    """
    return [
        Fault(
            kind=Kind.QUARANTINE_GROWS,
            key=f"{one.gateway_id}:{one.reason}",
            urgency=(
                Urgency.NOW
                if one.reason in WAITING and one.lately >= REFUSED_DAY_MIN
                else Urgency.SOON
            ),
            gateway_id=one.gateway_id if one.is_known else None,
            detail={
                "what": one.reason,
                "readings": one.waiting if one.reason in WAITING else one.lately,
                **({} if one.is_known else {"unknown_gateway": one.gateway_id}),
            },
        )
        for one in refused
        if (one.waiting if one.reason in WAITING else one.lately)
        >= (1 if one.reason in WAITING else REFUSED_DAY_MIN)
    ]


def of_incident(kind: str, key: str, detail: str) -> Fault:
    """Return the fault that an incident of ingest's is."""
    said = {"what": kind, "which": key, "said": detail}
    return Fault(kind=Kind.INCIDENT, key=f"{kind}:{key}", urgency=Urgency.NOW, detail=said)


def of_all(heard: Heard) -> Fault:
    """Return the one fault that most gateways' silence is."""
    detail = {"what": ALL_SILENT, "silent": heard.silent, "gateways": heard.gateways}
    return Fault(kind=Kind.INCIDENT, key=ALL_SILENT, urgency=Urgency.NOW, detail=detail)


def of_failures(
    patient_id: int, device_id: str, gateway_id: str | None, failures: int
) -> Fault | None:
    """Return the fault of a device whose last measurements failed, if they were many."""
    if failures < FAILURES_OF_DEVICE:
        return None
    return Fault(
        kind=Kind.FAILED_MEASUREMENTS,
        key=f"{device_id}:{patient_id}",
        gateway_id=gateway_id,
        device_id=device_id,
        patient_id=patient_id,
        detail={"failures": failures},
    )


@dataclass(frozen=True, slots=True)
class Found:
    """What one look found.

    Attributes:
        faults: To be told.
        covered: Part of a fault in *faults*: nothing new, and not over either.
        is_whole: There was room to look at everything: what was not found is gone.
    """

    faults: Sequence[Fault]
    covered: Sequence[Fault] = ()
    is_whole: bool = True


def with_common_cause(faults: Sequence[Fault], heard: Heard, *, is_whole: bool = True) -> Found:
    """Return *faults* as they are to be told: one for a silence that most share."""
    if not heard.is_common:
        return Found(faults, is_whole=is_whole)
    silent = [one for one in faults if one.kind is Kind.SILENT_GATEWAY]
    others = [one for one in faults if one.kind is not Kind.SILENT_GATEWAY]
    return Found([of_all(heard), *others], silent, is_whole)


def urgency(
    told: Urgency, opened_at: datetime, taken_at: datetime | None, now: datetime
) -> Urgency:
    """Return how soon a fault on the list must be seen to: nobody's for days is urgent."""
    is_forgotten = taken_at is None and now - opened_at > WAITED
    return Urgency.NOW if is_forgotten and told is Urgency.SOON else told


def _of_trouble(gateway_id: str, trouble: Trouble) -> Fault:
    kind = _KINDS.get(str(trouble.what), Kind.CONDITION)
    parts = [gateway_id]
    if kind in (Kind.CONDITION, Kind.QUARANTINE_GROWS):
        parts.append(str(trouble.what))
    if trouble.device_id is not None:
        parts.append(trouble.device_id)
    return Fault(
        kind=kind,
        key=":".join(parts),
        urgency=trouble.urgency,
        gateway_id=gateway_id,
        device_id=trouble.device_id,
        detail={"what": str(trouble.what)},
    )
