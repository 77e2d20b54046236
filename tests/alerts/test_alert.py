"""Every state meets every event: a named next state, or a refusal."""

from itertools import product

import pytest

from alerts.alert import TRANSITIONS, Event, IllegalTransition, State, after

OPEN, TAKEN, CLOSED = State.OPEN, State.ACKNOWLEDGED, State.CLOSED
LEGAL = {
    (OPEN, Event.JOINED): OPEN,
    (OPEN, Event.RAISED): OPEN,
    (OPEN, Event.ROUTED): OPEN,
    (OPEN, Event.SHOWN): OPEN,
    (OPEN, Event.ACKNOWLEDGED): TAKEN,
    (OPEN, Event.CLOSED): CLOSED,
    (TAKEN, Event.JOINED): TAKEN,
    (TAKEN, Event.RAISED): OPEN,
    (TAKEN, Event.ROUTED): TAKEN,
    (TAKEN, Event.SHOWN): TAKEN,
    (TAKEN, Event.CLOSED): CLOSED,
    (CLOSED, Event.SHOWN): CLOSED,
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
