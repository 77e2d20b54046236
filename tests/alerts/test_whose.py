"""A row says whose the alert is, so that nobody has to guess whether it is hers."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from alerts.case import Case
from alerts.routing import Why
from alerts.whose import whose

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
AWAY = {"contact_away_until": datetime(2026, 11, 30, 23, 0, tzinfo=UTC)}
ANNA, EVA = 1, 2
OF_ANNA = {"contact_id": ANNA, "contact_name": "Anna"}
TO_EVA = {"receiver_id": EVA, "receiver_name": "Eva"}


def case(**facts: Any) -> Case:
    nothing: dict[str, Any] = dict.fromkeys(Case.__dataclass_fields__)
    return Case(**{**nothing, "born_on": date(1944, 1, 1), **facts})


@pytest.mark.parametrize(
    ("facts", "reader", "said"),
    [
        ({"receiver_id": ANNA, "routed_why": Why.FIXED_CONTACT}, ANNA, "du är fast vårdkontakt"),
        ({"receiver_id": ANNA, "routed_why": Why.FIXED_CONTACT}, EVA, "fast vårdkontakt Anna"),
        ({}, ANNA, "du är fast vårdkontakt"),  # not routed yet
        ({}, EVA, "fast vårdkontakt Anna"),
        (
            {**TO_EVA, **AWAY, "routed_why": Why.SUBSTITUTE},
            EVA,
            "du är ersättare, för Anna (borta till 1 dec)",
        ),
        (
            {**TO_EVA, "routed_why": Why.SUBSTITUTE},
            ANNA,
            "du är fast vårdkontakt, hos Eva (ersättare)",
        ),
        ({**TO_EVA, "routed_why": Why.DUTY}, EVA, "du har jour, fast vårdkontakt Anna"),
        ({**TO_EVA, "routed_why": Why.DUTY}, 3, "hos Eva (jour), fast vårdkontakt Anna"),
        ({**TO_EVA, "routed_why": "of_tomorrow"}, EVA, "fast vårdkontakt Anna"),
        (
            {**AWAY, "routed_why": Why.UNIT_QUEUE},
            EVA,
            "enhetens kö: för Anna (borta till 1 dec)",
        ),
        (
            {"contact_id": None, "contact_name": None, "routed_why": Why.NO_CONTACT},
            EVA,
            "enhetens kö: saknar fast vårdkontakt",
        ),
        (
            {
                "contact_id": None,
                "contact_name": "Team Nord",
                "receiver_team_id": 9,
                "receiver_name": "Team Nord",
                "routed_why": Why.CONTACT_TEAM,
            },
            EVA,
            "fast vårdkontakt Team Nord",
        ),
    ],
)
def test_whose(facts: dict[str, Any], reader: int, said: str) -> None:
    assert whose(case(**{**OF_ANNA, **facts}), reader, NOW) == said
