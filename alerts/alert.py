"""Alert: an episode a person must act on. Its levels, states, events and legal transitions.

Law of this module: every change of an alert's state is a row of ``TRANSITIONS``; what is not
there does not happen. Opening, joining and raising are ingest's, the rest is ours.
"""

import enum
from types import MappingProxyType
from typing import Final


class Level(enum.IntEnum):
    """How soon a person must look. It rises with a worse value and never sinks by itself."""

    YELLOW = 1  # within the agreed time
    RED = 2  # the same day


class State(enum.StrEnum):
    """Where an alert is on its way to an end."""

    OPEN = "open"  # nobody has said that they act
    ACKNOWLEDGED = "acknowledged"  # one named person acts; still on the worklist
    CLOSED = "closed"  # ended with an outcome; a new breach opens a new alert


class Event(enum.StrEnum):
    """What the alert log can say."""

    OPENED = "opened"  # a breach began the episode
    JOINED = "joined"  # a later breach belongs to it
    RAISED = "raised"  # a later breach was worse: yellow became red
    ROUTED = "routed"  # it has a receiver, and the log says why this one
    SHOWN = "shown"  # it was put in front of a person for the first time
    DELIVERED = "delivered"  # a message has arrived with one who was told
    NOT_DELIVERED = "not_delivered"  # none of her channels worked, or she has none
    ACKNOWLEDGED = "acknowledged"  # a person took it
    CLOSED = "closed"  # a person ended it with an outcome


class Outcome(enum.StrEnum):
    """How an alert ended; feeds the indicators."""

    CONTACTED = "contacted"
    PLAN_CHANGED = "plan_changed"
    REMEASURE = "remeasure"
    FALSE_ALARM = "false_alarm"
    TECHNICAL = "technical"
    OTHER = "other"


class IllegalTransition(Exception):
    """An event cannot happen in this state.

    Attributes:
        state: The state the alert is in.
        event: What was asked for.
    """

    def __init__(self, state: State, event: Event) -> None:
        self.state = state
        self.event = event
        super().__init__(f"an alert that is {state} cannot be {event}")


# A raised alert is open again, whoever had taken it: red is news.
# Closing without acknowledging first is legal: the one who closes acts there and then. It may
# be another than the one who acknowledged, so that no alert hangs on a person who went home.
TRANSITIONS: Final = MappingProxyType(
    {
        (State.OPEN, Event.JOINED): State.OPEN,
        (State.OPEN, Event.RAISED): State.OPEN,
        (State.OPEN, Event.ROUTED): State.OPEN,
        (State.OPEN, Event.SHOWN): State.OPEN,
        (State.OPEN, Event.ACKNOWLEDGED): State.ACKNOWLEDGED,
        (State.OPEN, Event.CLOSED): State.CLOSED,
        (State.ACKNOWLEDGED, Event.JOINED): State.ACKNOWLEDGED,
        (State.ACKNOWLEDGED, Event.RAISED): State.OPEN,
        (State.ACKNOWLEDGED, Event.ROUTED): State.ACKNOWLEDGED,
        (State.ACKNOWLEDGED, Event.SHOWN): State.ACKNOWLEDGED,
        (State.ACKNOWLEDGED, Event.CLOSED): State.CLOSED,
        (State.CLOSED, Event.SHOWN): State.CLOSED,
    }
)


def after(state: State, event: Event) -> State:
    """Return the state *event* leads to.

    Raises:
        IllegalTransition: It cannot happen in *state*.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(state, event) from None
