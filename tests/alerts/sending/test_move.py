"""The next thing to do with a notification, whatever became of those before."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.channels.message import Kind
from alerts.channels.outcome import Fault, State
from alerts.sending.move import (
    LEASE,
    PATIENCE,
    RETRY_AFTER,
    TRIES_MAX,
    End,
    Ending,
    Send,
    Try,
    Wait,
    Way,
    next_move,
)

T0 = datetime(2026, 11, 22, 7, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
SMS, MAIL = Way(1, Kind.SMS, "+46700000001"), Way(2, Kind.EMAIL, "anna@region.example")


def tried(way: Way, state: State, *, fault: Fault | None = None, ago: timedelta) -> Try:
    at = T0 - ago
    answered = None if state is State.SENDING else at
    return Try(
        channel_id=way.channel_id, state=state, fault=fault, began_at=at, answered_at=answered
    )


NOW = timedelta()
SENDING = tried(SMS, State.SENDING, ago=LEASE - SECOND)
DEAD = tried(SMS, State.SENDING, ago=LEASE)
ACCEPTED = tried(SMS, State.ACCEPTED, ago=PATIENCE - SECOND)
UNHEARD = tried(SMS, State.ACCEPTED, ago=PATIENCE)
ARRIVED = tried(SMS, State.DELIVERED, ago=PATIENCE)
TAKEN = tried(MAIL, State.HANDED_OVER, ago=PATIENCE - SECOND)
TAKEN_LONG_AGO = tried(MAIL, State.HANDED_OVER, ago=PATIENCE)
OVERLOADED = tried(SMS, State.FAILED, fault=Fault.PROVIDER, ago=RETRY_AFTER - SECOND)
RESTED = tried(SMS, State.FAILED, fault=Fault.PROVIDER, ago=RETRY_AFTER)
NOBODY = tried(SMS, State.FAILED, fault=Fault.ADDRESS, ago=NOW)
OURS = tried(SMS, State.FAILED, fault=Fault.OURS, ago=NOW)
UNKNOWN = tried(SMS, State.UNKNOWN, fault=Fault.PROVIDER, ago=NOW)
NO_MAIL = tried(MAIL, State.FAILED, fault=Fault.ADDRESS, ago=NOW)

IN_A_SECOND = Wait(T0 + SECOND)


@pytest.mark.parametrize(
    ("is_red", "tries", "ways", "move"),
    [
        (True, [], [], End(Ending.NO_CHANNEL)),
        (True, [], [SMS, MAIL], Send(SMS)),
        (True, [SENDING], [SMS, MAIL], IN_A_SECOND),
        (True, [DEAD], [SMS], Send(SMS)),
        (True, [DEAD], [SMS, MAIL], Send(MAIL)),
        (True, [DEAD, DEAD], [SMS], End(Ending.FAILED)),
        (True, [ACCEPTED], [SMS, MAIL], IN_A_SECOND),
        (True, [UNHEARD], [SMS, MAIL], Send(MAIL)),
        (True, [UNHEARD], [SMS], End(Ending.FAILED)),
        (True, [ARRIVED], [SMS, MAIL], End(Ending.DELIVERED)),
        (True, [UNHEARD, NO_MAIL], [SMS, MAIL], End(Ending.FAILED)),
        (True, [TAKEN], [MAIL, SMS], IN_A_SECOND),
        (True, [TAKEN_LONG_AGO], [MAIL, SMS], Send(SMS)),
        (True, [TAKEN], [MAIL], End(Ending.SENT)),
        (False, [TAKEN], [MAIL, SMS], End(Ending.SENT)),
        (False, [ACCEPTED], [SMS, MAIL], IN_A_SECOND),
        (False, [UNHEARD], [SMS, MAIL], Send(MAIL)),
        (True, [UNHEARD, TAKEN], [SMS, MAIL], End(Ending.SENT)),
        (True, [OVERLOADED], [SMS, MAIL], Send(MAIL)),
        (True, [OVERLOADED], [SMS], IN_A_SECOND),
        (True, [RESTED], [SMS], Send(SMS)),
        (True, [RESTED, RESTED], [SMS], End(Ending.FAILED)),
        (True, [NOBODY], [SMS], End(Ending.FAILED)),
        (True, [OURS], [SMS], End(Ending.FAILED)),
        (True, [NOBODY], [SMS, MAIL], Send(MAIL)),
        (True, [UNKNOWN], [SMS], Send(SMS)),
        # A channel that is hers no more: what was sent by it still counts.
        (True, [ACCEPTED], [], IN_A_SECOND),
        (True, [NOBODY], [], End(Ending.FAILED)),
    ],
)
def test_what_comes_next(
    is_red: bool, tries: list[Try], ways: list[Way], move: Send | Wait | End
) -> None:
    assert next_move(is_red=is_red, tries=tries, ways=ways, now=T0) == move


@dataclass(frozen=True)
class Fate:
    """What is to become of a try."""

    state: State
    fault: Fault | None
    takes_s: int


FATES = st.one_of(
    st.builds(
        Fate,
        st.sampled_from([State.ACCEPTED, State.HANDED_OVER, State.DELIVERED, State.SENDING]),
        st.none(),
        st.integers(0, 20),
    ),
    st.builds(Fate, st.just(State.FAILED), st.sampled_from(list(Fault)), st.integers(0, 20)),
    st.builds(Fate, st.just(State.UNKNOWN), st.just(Fault.PROVIDER), st.integers(0, 20)),
)


@given(
    st.booleans(),
    st.lists(st.sampled_from(list(Kind)), max_size=4),
    st.lists(FATES, min_size=8, max_size=8),
)
def test_it_always_ends_and_never_by_giving_up_early(
    is_red: bool, kinds: list[Kind], fates: list[Fate]
) -> None:
    """Whatever happens: no channel is left out, none waits long, and the end says what is true."""
    ways = [Way(number, kind, str(number)) for number, kind in enumerate(kinds, 1)]
    tries: list[Try] = []
    now, ready_at = T0, T0
    for _ in range(100):
        move = next_move(is_red=is_red, tries=tries, ways=ways, now=now)
        if isinstance(move, End):
            break
        if isinstance(move, Wait):
            assert move.until > now
            now = move.until
            continue
        assert now - ready_at <= PATIENCE
        fate = fates[len(tries)]
        one = Try(
            channel_id=move.way.channel_id,
            state=fate.state,
            fault=fate.fault,
            began_at=now,
            answered_at=None,
        )
        if fate.state is State.SENDING:  # its sender dies
            tries.append(one)
            ready_at = now + LEASE
        else:
            now += timedelta(seconds=fate.takes_s)
            tries.append(replace(one, answered_at=now))
            ready_at = now
    else:
        pytest.fail("it never ends")
    states = {one.state for one in tries}
    untried = {way.channel_id for way in ways} - {one.channel_id for one in tries}
    assert len(tries) <= TRIES_MAX * len(ways)
    assert (move.ending is Ending.DELIVERED) == (State.DELIVERED in states)
    assert (move.ending is Ending.NO_CHANNEL) == (not ways)
    if move.ending is Ending.SENT:
        assert State.HANDED_OVER in states
        assert not (is_red and untried)
    if move.ending is Ending.FAILED:
        assert State.HANDED_OVER not in states
        assert not untried
