"""What to do next with a notification. Pure: its attempts, its receiver's channels and the time.

Law of this module: it ends only when she has it, when somebody who tells no more has it, or when
every channel has failed; the last is for escalation to act on, at once.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from alerts.channels.message import Kind
from alerts.channels.outcome import Fault, State

# How long a provider may leave us without a receipt before the next channel is tried (promise R10).
PATIENCE: Final = timedelta(minutes=2)
# A try ends within 20 s (SEND_S_MAX), and writing that down within a few more; whoever has not
# done so by now is dead.
LEASE: Final = timedelta(minutes=1)
# A provider that was away: long enough for it to start anew, and well within PATIENCE.
RETRY_AFTER: Final = timedelta(seconds=30)
# Of one channel for one notification; the second only if the first may not have reached it.
TRIES_MAX: Final = 2


class Ending(enum.StrEnum):
    """How a notification ends; the names are those of its row."""

    DELIVERED = "delivered"
    SENT = "sent"  # handed over; nobody will tell more
    FAILED = "failed"  # by every channel there is
    NO_CHANNEL = "no_channel"  # there is none
    CANCELLED = "cancelled"  # somebody acts already


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """An attempt, as a decision needs it."""

    channel_id: int
    state: State
    fault: Fault | None
    began_at: datetime
    answered_at: datetime | None


@dataclass(frozen=True, slots=True)
class Way:
    """A channel of the receiver's: verified, not ended, of a kind that we can carry."""

    channel_id: int
    kind: Kind
    address: str


@dataclass(frozen=True, slots=True)
class Send:
    """Try this channel now."""

    way: Way


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do until then."""

    until: datetime


@dataclass(frozen=True, slots=True)
class End:
    """Nothing to do any more."""

    ending: Ending


Move = Send | Wait | End


def next_move(*, is_red: bool, tries: Sequence[Try], ways: Sequence[Way], now: datetime) -> Move:
    """Return what to do next.

    Args:
        is_red: Then a channel that tells nothing afterwards is not enough: another is tried too.
        tries: Of this notification, in order.
        ways: In the order in which she wants them, those that keep failing last.
        now: The database's time.
    """
    if any(one.state is State.DELIVERED for one in tries):
        return End(Ending.DELIVERED)
    leases = [one.began_at + LEASE for one in tries if one.state is State.SENDING]
    if leases and max(leases) > now:
        return Wait(max(leases))
    is_handed_over = any(one.state is State.HANDED_OVER for one in tries)
    if is_handed_over and not is_red:
        return End(Ending.SENT)
    receipt_by = _patience(tries, State.ACCEPTED)
    if receipt_by is not None and receipt_by > now:
        return Wait(receipt_by)
    way = _next_way(tries, ways)
    if way is None:
        return End(_given_up(tries))
    until = max(filter(None, (_patience(tries, State.HANDED_OVER), _rest(tries, way))), default=now)
    return Wait(until) if until > now else Send(way)


def _patience(tries: Sequence[Try], state: State) -> datetime | None:
    """Return until when those in *state* may still prove themselves."""
    answered = [one.answered_at for one in tries if one.state is state and one.answered_at]
    return max(answered) + PATIENCE if answered else None


def _next_way(tries: Sequence[Try], ways: Sequence[Way]) -> Way | None:
    """Return a channel that was not tried; else one whose try may not have reached it."""
    tried = {one.channel_id for one in tries}
    fresh = [way for way in ways if way.channel_id not in tried]
    again = [way for way in ways if way.channel_id in tried and _may_try_again(tries, way)]
    return next(iter(fresh + again), None)


def _may_try_again(tries: Sequence[Try], way: Way) -> bool:
    its = [one for one in tries if one.channel_id == way.channel_id]
    return len(its) < TRIES_MAX and all(_is_open_question(one) for one in its)


def _is_open_question(one: Try) -> bool:
    """Whether a second try may fare better: it died, nobody answered, or it was only overloaded."""
    return one.state in (State.UNKNOWN, State.SENDING) or (
        one.state is State.FAILED and one.fault is Fault.PROVIDER
    )


def _rest(tries: Sequence[Try], way: Way) -> datetime | None:
    """Return until when a channel whose provider was away is left alone."""
    ended = [
        one.answered_at
        for one in tries
        if one.channel_id == way.channel_id and one.state is State.FAILED and one.answered_at
    ]
    return max(ended) + RETRY_AFTER if ended else None


def _given_up(tries: Sequence[Try]) -> Ending:
    if any(one.state is State.HANDED_OVER for one in tries):
        return Ending.SENT
    return Ending.FAILED if tries else Ending.NO_CHANNEL
