"""What the log of an alert says to who reads it."""

from datetime import UTC, datetime

import pytest

from alerts.alert import Event
from alerts.log import Entry
from alerts.web.pages import said


@pytest.mark.parametrize("event", list(Event))
def test_every_event_is_said_in_swedish(event: Event) -> None:
    entry = Entry(
        alert_id=1,
        rule="limit:blood_pressure",
        at=datetime(2026, 11, 22, tzinfo=UTC),
        event=event,
        staff_id=7,
        staff_name="Anna Provberg",
        detail={
            "why": "not_answered",
            "step": 1,
            "sentence": "Till Anna Provberg: fast vårdkontakt.",
        },
    )
    text = said(entry)
    assert text.startswith("Blodtryck: ")
    assert event.value not in text


@pytest.mark.parametrize(
    ("event", "why", "text"),
    [
        (Event.ESCALATED, "not_reached", "Ingen av dem som skulle få larmet kunde nås"),
        (Event.ESCALATED, "nobody_before", "Det fanns ingen som kunde få larmet"),
        (Event.NOT_DELIVERED, "failed", "nådde inte Anna Provberg. Alla sätt är prövade"),
        (Event.NOT_DELIVERED, "no_channel", "nådde inte Anna Provberg. Det finns inget sätt"),
    ],
)
def test_who_is_next_reads_why_it_came_to_her(event: Event, why: str, text: str) -> None:
    entry = Entry(
        alert_id=1,
        rule="limit:blood_pressure",
        at=datetime(2026, 11, 22, tzinfo=UTC),
        event=event,
        staff_id=7,
        staff_name="Anna Provberg",
        detail={"why": why},
    )
    assert text in said(entry)
