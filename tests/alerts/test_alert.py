"""Every state meets every event: a named next state, or a refusal."""

from itertools import product

import pytest

from alerts.alert import TRANSITIONS, Event, IllegalTransition, State, after

OPEN, TAKEN, CLOSED = State.OPEN, State.ACKNOWLEDGED, State.CLOSED
STAYS = (
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
LEGAL = {
    **{(state, event): state for state in (OPEN, TAKEN) for event in STAYS},
    (OPEN, Event.RAISED): OPEN,
    (OPEN, Event.REOPENED): OPEN,
    (OPEN, Event.NOBODY_TO_NOTIFY): OPEN,
    (OPEN, Event.ESCALATED): OPEN,
    (OPEN, Event.ACKNOWLEDGED): TAKEN,
    (OPEN, Event.CLOSED): CLOSED,
    (TAKEN, Event.RAISED): OPEN,
    (TAKEN, Event.REOPENED): OPEN,
    (TAKEN, Event.ACK_EXPIRED): OPEN,
    (TAKEN, Event.CLOSED): CLOSED,
    (OPEN, Event.TAKEN_TOLD): OPEN,
    (TAKEN, Event.TAKEN_TOLD): TAKEN,
    (CLOSED, Event.TAKEN_TOLD): CLOSED,
    (CLOSED, Event.SHOWN): CLOSED,
    (CLOSED, Event.DELIVERED): CLOSED,
    (CLOSED, Event.NOT_DELIVERED): CLOSED,
}


@pytest.mark.parametrize(("state", "event"), list(product(State, Event)))
def test_an_event_leads_where_the_table_says_or_nowhere(state: State, event: Event) -> None:
    if (state, event) in LEGAL:
        assert after(state, event) is LEGAL[state, event]
    else:
        with pytest.raises(IllegalTransition) as refused:
            after(state, event)
        assert (refused.value.state, refused.value.event) == (state, event)


def test_a_closed_alert_never_changes_state() -> None:
    assert {to for (state, _), to in TRANSITIONS.items() if state is CLOSED} == {CLOSED}
