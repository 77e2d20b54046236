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
    REOPENED = "reopened"  # somebody had taken it, and it is nobody's again
    ROUTED = "routed"  # it has a receiver, and the log says why this one
    NOTIFIED = "notified"  # people were to be told, and why just now
    NOBODY_TO_NOTIFY = "nobody_to_notify"  # a step had nobody who could be told, and why
    ESCALATED = "escalated"  # nobody had acted: the next step was taken
    SHOWN = "shown"  # it was put in front of a person for the first time
    DELIVERED = "delivered"  # a message has arrived with one who was told
    NOT_DELIVERED = "not_delivered"  # none of her channels worked, or she has none
    ACKNOWLEDGED = "acknowledged"  # a person took it
    TAKEN_TOLD = "taken_told"  # who had been told of it is told who has it
    ACK_EXPIRED = "ack_expired"  # she did not end it in time
    SNOOZED = "snoozed"  # a person lets it rest until a time
    SNOOZE_ENDED = "snooze_ended"  # the time came
    SNOOZE_BROKEN = "snooze_broken"  # a worse value came first
    CLOSED = "closed"  # a person ended it with an outcome


class Outcome(enum.StrEnum):
    """How an alert ended; feeds the indicators."""

    CONTACTED = "contacted"
    PLAN_CHANGED = "plan_changed"
    REMEASURE = "remeasure"
    FALSE_ALARM = "false_alarm"
    TECHNICAL = "technical"
    OTHER = "other"


# The outcome of one that nobody ended: its rest was over, and all had been in range for a week.
NORMAL: Final = "normal"


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


# What happens to an alert that has not ended without changing who acts.
_ANY_TIME: Final = (
    Event.JOINED,
    Event.ROUTED,
    Event.SHOWN,
    Event.NOTIFIED,
    Event.DELIVERED,
    Event.NOT_DELIVERED,
    Event.SNOOZED,
    Event.SNOOZE_ENDED,
    Event.SNOOZE_BROKEN,
)

# A raised alert is open again, whoever had taken it: red is news. So is one whose snooze is over,
# or that was taken and forgotten.
# Closing without acknowledging first is legal: the one who closes acts there and then. It may
# be another than the one who acknowledged, so that no alert hangs on a person who went home.
# A message that was on its way arrives also after the end.
TRANSITIONS: Final = MappingProxyType(
    {
        **{
            (state, event): state
            for state in (State.OPEN, State.ACKNOWLEDGED)
            for event in _ANY_TIME
        },
        (State.OPEN, Event.RAISED): State.OPEN,
        (State.OPEN, Event.REOPENED): State.OPEN,  # it was raised, and so open already
        (State.OPEN, Event.NOBODY_TO_NOTIFY): State.OPEN,
        (State.OPEN, Event.ESCALATED): State.OPEN,
        (State.OPEN, Event.ACKNOWLEDGED): State.ACKNOWLEDGED,
        (State.OPEN, Event.CLOSED): State.CLOSED,
        (State.ACKNOWLEDGED, Event.RAISED): State.OPEN,
        (State.ACKNOWLEDGED, Event.REOPENED): State.OPEN,
        (State.ACKNOWLEDGED, Event.ACK_EXPIRED): State.OPEN,
        (State.ACKNOWLEDGED, Event.CLOSED): State.CLOSED,
        (State.OPEN, Event.TAKEN_TOLD): State.OPEN,  # who lets it rest has it
        (State.ACKNOWLEDGED, Event.TAKEN_TOLD): State.ACKNOWLEDGED,
        (State.CLOSED, Event.TAKEN_TOLD): State.CLOSED,  # who ended it took it there and then
        (State.CLOSED, Event.SHOWN): State.CLOSED,
        (State.CLOSED, Event.DELIVERED): State.CLOSED,
        (State.CLOSED, Event.NOT_DELIVERED): State.CLOSED,
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
