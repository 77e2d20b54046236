"""How a fault is told depends on what may be missing because of it."""

from datetime import timedelta

import pytest

from alerts.fleet.gateway import Urgency
from alerts.technical.policy import POLICIES, Group, Policy, Tier, tier
from alerts.technical.words import words
from ingest.clock.chore import Chore, Lane
from ingest.clock.chores import chores


@pytest.mark.parametrize(
    ("kind", "what", "urgency", "is_daily", "expected"),
    [
        ("incident", "canary", Urgency.NOW, False, Tier.SERVER),
        ("incident", "all_silent", Urgency.NOW, False, Tier.SERVER),
        ("incident", "routing", Urgency.NOW, False, Tier.SERVER),
        ("incident", "rule", Urgency.NOW, False, Tier.SERVER),
        ("incident", "recheck", Urgency.NOW, False, Tier.SEVERE),
        ("incident", "sending", Urgency.NOW, False, Tier.SEVERE),
        ("silent_gateway", "silent", Urgency.NOW, True, Tier.SEVERE),
        ("silent_gateway", "silent", Urgency.NOW, False, Tier.ROUTINE),
        ("certificate_expires", "certificate_soon", Urgency.NOW, False, Tier.SEVERE),
        ("certificate_expires", "certificate_soon", Urgency.SOON, True, Tier.ROUTINE),
        ("quarantine_grows", "unassigned", Urgency.NOW, False, Tier.SEVERE),
        ("low_battery", "battery_low", Urgency.SOON, True, Tier.ROUTINE),
        ("of_a_newer_version", "", Urgency.NOW, False, Tier.SEVERE),
    ],
)
def test_the_tier(kind: str, what: str, urgency: Urgency, is_daily: bool, expected: Tier) -> None:
    assert tier(kind, {"what": what}, urgency, is_daily=is_daily) is expected


@pytest.mark.parametrize(
    ("which", "expected"),
    [("nobody", Tier.SERVER), ("no receipts", Tier.SEVERE), ("sms", Tier.SEVERE)],
)
def test_that_nothing_is_sent_is_everybodys_and_one_provider_is_not(
    which: str, expected: Tier
) -> None:
    detail = {"what": "sending", "which": which}
    assert tier("incident", detail, Urgency.NOW, is_daily=False) is expected


@pytest.mark.parametrize("chore", chores(keep_days=400), ids=lambda one: one.name)
def test_of_the_clock_only_what_judges_people_is_everybodys(chore: Chore) -> None:
    """That old rows are not trimmed makes no alert late: nobody is woken for it."""
    detail = {"what": "clock", "which": chore.name, "said": "fails"}
    expected = Tier.SEVERE if chore.lane is Lane.HOUSE else Tier.SERVER
    assert tier("incident", detail, Urgency.NOW, is_daily=False) is expected
    told = words("incident", detail)
    assert ("Larm kan utebli" in told.what) is (expected is Tier.SERVER)


@pytest.mark.parametrize("policy", POLICIES.values())
def test_each_begins_at_once_with_somebody_and_never_ends(policy: Policy) -> None:
    assert policy.wait(0) == timedelta()
    assert all(Group.UNITS in (*step.tell, *step.otherwise) for step in policy.steps)
    assert policy.wait(policy.last + 1) == policy.wait(policy.last + 100) == policy.again
    assert policy.at(policy.last + 100) is policy.steps[-1]
    assert policy.trust > timedelta()


def test_the_worse_it_is_the_sooner_it_is_told_again() -> None:
    hours = [POLICIES[each].trust / timedelta(hours=1) for each in Tier]
    assert hours == [1, 12, 7 * 24]
