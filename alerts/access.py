"""Who may see what of a patient, and why. Pure: ``alerts.care.facts`` reads what it decides by.

A relation of one's own comes first: whoever cares for a patient sees her. Then an emergency, which
is said and looked at afterwards. Then what the patient has consented to, unless she has blocked the
unit: a block wins over sharing, never over an own relation, for who cares for somebody unseen harms
her. For everybody else she does not exist.
"""

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from alerts.care.people import Viewer


class Scope(enum.StrEnum):
    """A part of what there is about a patient."""

    VALUES = "values"
    ALERTS = "alerts"
    PLAN = "plan"
    MESSAGES = "messages"
    CONTACT = "contact"


ALL: Final = frozenset(Scope)


class Ground(enum.StrEnum):
    """The relation that opens a patient to a viewer; it stands in the access log."""

    SELF = "self"
    CONTACT = "contact"  # her fixed care contact
    TEAM = "team"  # of the team that is her contact
    SUBSTITUTE = "substitute"  # stands in for who is absent
    ROUTED = "routed"  # an alert of hers went to the viewer, or to a team of the viewer's
    DUTY = "duty"  # on duty for her unit, and she has an alert
    QUEUE = "queue"  # of the unit in whose queue she, or an alert of hers, is
    RELATION = "relation"  # an own relation of another kind
    EMERGENCY = "emergency"
    SHARED = "shared"  # with the viewer's unit, by consent or within the same huvudman
    RELATIVE = "relative"  # by consent


# Who may act on a patient's alerts. All others look.
OWN: Final = frozenset(
    {
        Ground.CONTACT,
        Ground.TEAM,
        Ground.SUBSTITUTE,
        Ground.ROUTED,
        Ground.DUTY,
        Ground.QUEUE,
        Ground.RELATION,
    }
)


# Relations that last. What came by an alert, or by the rota, ends with it: who has only that makes
# nothing of the patient's lasting.
LASTING: Final = frozenset({Ground.CONTACT, Ground.TEAM, Ground.SUBSTITUTE, Ground.QUEUE})


class Why(enum.StrEnum):
    """Why a patient stays closed."""

    NO_RELATION = "no_relation"
    NO_CONSENT = "no_consent"
    BLOCKED = "blocked"
    TECHNICIAN = "technician"
    NO_CARE = "no_care"  # she works here, and is not to have patients


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """How one viewer stands to one patient at a moment.

    Attributes:
        relations: The kinds of own relation there are.
        is_queued: She has no contact, and is in the queue of the viewer's unit.
        emergency_until: When her emergency access ends, if she has one now.
        is_blocked: The patient has blocked the viewer's unit.
        shared: What the viewer's unit may see.
        relative: What the viewer may see as a relative.
    """

    patient_id: int
    relations: frozenset[Ground] = frozenset()
    is_queued: bool = False
    emergency_until: datetime | None = None
    is_blocked: bool = False
    shared: frozenset[Scope] = frozenset()
    relative: frozenset[Scope] = frozenset()


@dataclass(frozen=True, slots=True)
class Access:
    """The patient is open to the viewer, as far as the scopes go.

    Attributes:
        ground: Why.
        scopes: How far.
        until: When it ends by itself, if it is an emergency.
    """

    ground: Ground
    scopes: frozenset[Scope] = ALL
    until: datetime | None = None

    @property
    def may_act(self) -> bool:
        """Whether the viewer may take and end alerts."""
        return self.ground in OWN

    @property
    def may_speak(self) -> bool:
        """Whether the viewer says what the patient wills: she herself, or who cares for her."""
        return self.ground is Ground.SELF or self.may_act

    def sees(self, scope: Scope) -> bool:
        """Whether a part is open."""
        return scope in self.scopes


@dataclass(frozen=True, slots=True)
class Denied:
    """The patient does not exist for the viewer."""

    why: Why


def decide(viewer: Viewer, facts: Facts) -> Access | Denied:
    """Return whether *viewer* may see the patient, how much of her, and why."""
    if viewer.patient_id is not None:
        is_herself = viewer.patient_id == facts.patient_id
        return Access(Ground.SELF) if is_herself else Denied(Why.NO_RELATION)
    if viewer.relative_id is not None:
        return _by_consent(Ground.RELATIVE, facts.relative)
    if viewer.staff_id is None:
        return Denied(Why.NO_RELATION)
    if not viewer.gives_care:
        return Denied(Why.TECHNICIAN if viewer.is_technician else Why.NO_CARE)
    for ground in Ground:  # in order: the closest relation is the one that is told
        if ground in OWN and ground in facts.relations:
            return Access(ground)
    if facts.emergency_until is not None:
        return Access(Ground.EMERGENCY, until=facts.emergency_until)
    if facts.is_blocked:
        return Denied(Why.BLOCKED)
    if facts.shared:
        return Access(Ground.SHARED, facts.shared)
    return Denied(Why.NO_RELATION)


def lasting(viewer: Viewer, facts: Facts) -> Ground | None:
    """Return the ground on which *viewer* may say what is to last: herself, or who cares for her.

    A queue counts if the patient herself is in it, and not only an alert of hers.
    """
    found = decide(viewer, facts)
    if not isinstance(found, Access):
        return None
    if found.ground is Ground.SELF:
        return found.ground
    held = facts.relations & LASTING
    if not facts.is_queued:
        held -= {Ground.QUEUE}
    return next((ground for ground in Ground if ground in held), None)


def _by_consent(ground: Ground, scopes: frozenset[Scope]) -> Access | Denied:
    return Access(ground, scopes) if scopes else Denied(Why.NO_CONSENT)
