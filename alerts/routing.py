"""Who gets an alert, and why just they. Pure: the engine brings the facts and stores the answer."""

import enum
from dataclasses import dataclass


class Why(enum.StrEnum):
    """The reason an alert went where it went; kept in the log and on the case."""

    FIXED_CONTACT = "fixed_contact"  # the patient's fixed care contact
    NO_CONTACT = "no_contact"  # she has none: the unit's queue, with a warning


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What routing looks at: the patient's contact and unit at this moment."""

    contact_id: int | None  # staff id of the current fixed care contact
    contact_name: str | None
    unit_id: int
    unit_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where an alert goes.

    Attributes:
        receiver_id: A staff id; none means the queue of *unit_id*.
        why: The reason.
        sentence: The reason in Swedish words, as it is kept in the log.
        warning: Somebody should mend the care record.
    """

    receiver_id: int | None
    unit_id: int
    why: Why
    sentence: str
    warning: bool


def route(circumstances: Circumstances) -> Route:
    """Return the receiver of an alert. There always is one: a person or a unit's queue."""
    if circumstances.contact_id is not None:
        return Route(
            receiver_id=circumstances.contact_id,
            unit_id=circumstances.unit_id,
            why=Why.FIXED_CONTACT,
            sentence=f"Till {circumstances.contact_name}: fast vårdkontakt.",
            warning=False,
        )
    return Route(
        receiver_id=None,
        unit_id=circumstances.unit_id,
        why=Why.NO_CONTACT,
        sentence=f"Till kön hos {circumstances.unit_name}: patienten saknar fast vårdkontakt.",
        warning=True,
    )
