"""The decision: own relation before emergency before sharing; a block closes sharing only."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.access import ALL, OWN, Access, Denied, Facts, Ground, Scope, Why, decide
from alerts.care.people import Viewer

NURSE = Viewer(name="", staff_id=1, unit_id=1, functions=frozenset({"care"}))
TECH = Viewer(name="", staff_id=2, unit_id=1, functions=frozenset({"technician"}))
PATIENT = Viewer(name="", patient_id=7)
RELATIVE = Viewer(name="", relative_id=3)
UNTIL = datetime(2026, 11, 23, 9, tzinfo=UTC)
SOME = frozenset({Scope.VALUES})

scopes = st.frozensets(st.sampled_from(Scope))
all_facts = st.builds(
    Facts,
    patient_id=st.sampled_from([7, 8]),
    relations=st.frozensets(st.sampled_from(sorted(OWN))),
    emergency_until=st.none() | st.just(UNTIL),
    is_blocked=st.booleans(),
    shared=scopes,
    relative=scopes,
)
many = settings(max_examples=150)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, Denied(Why.NO_RELATION)),
        ({"relations": {Ground.CONTACT, Ground.TEAM, Ground.DUTY}}, Access(Ground.CONTACT)),
        ({"relations": {Ground.DUTY, Ground.ROUTED}}, Access(Ground.ROUTED)),
        ({"relations": {Ground.RELATION}}, Access(Ground.RELATION)),
        ({"relations": {Ground.QUEUE}, "is_blocked": True}, Access(Ground.QUEUE)),
        ({"relations": {Ground.QUEUE}, "emergency_until": UNTIL}, Access(Ground.QUEUE)),
        ({"shared": SOME}, Access(Ground.SHARED, SOME)),
        ({"shared": SOME, "is_blocked": True}, Denied(Why.BLOCKED)),
        ({"is_blocked": True}, Denied(Why.BLOCKED)),
        ({"emergency_until": UNTIL}, Access(Ground.EMERGENCY, ALL, UNTIL)),
        ({"emergency_until": UNTIL, "is_blocked": True}, Access(Ground.EMERGENCY, ALL, UNTIL)),
        ({"emergency_until": UNTIL, "shared": SOME}, Access(Ground.EMERGENCY, ALL, UNTIL)),
        ({"relative": ALL}, Denied(Why.NO_RELATION)),  # a nurse is not her own relative here
    ],
)
def test_a_nurse(facts: dict[str, Any], expected: object) -> None:
    assert decide(NURSE, replace(Facts(patient_id=7), **facts)) == expected


@many
@given(all_facts)
def test_a_technician_sees_nobody(facts: Facts) -> None:
    assert decide(TECH, facts) == Denied(Why.TECHNICIAN)


@many
@given(all_facts)
def test_a_patient_sees_herself_and_nobody_else(facts: Facts) -> None:
    herself = facts.patient_id == PATIENT.patient_id
    assert decide(PATIENT, facts) == (Access(Ground.SELF) if herself else Denied(Why.NO_RELATION))


@many
@given(all_facts)
def test_a_relative_sees_exactly_what_is_shared_with_her(facts: Facts) -> None:
    found = decide(RELATIVE, facts)
    if facts.relative:
        assert found == Access(Ground.RELATIVE, facts.relative)
    else:
        assert found == Denied(Why.NO_CONSENT)


@many
@given(all_facts)
def test_nobody_sees_nothing(facts: Facts) -> None:
    assert decide(Viewer(name=""), facts) == Denied(Why.NO_RELATION)


@many
@given(all_facts)
def test_a_block_takes_away_what_is_shared_and_nothing_else(facts: Facts) -> None:
    free, blocked = (decide(NURSE, replace(facts, is_blocked=each)) for each in (False, True))
    if isinstance(free, Access) and free.ground is not Ground.SHARED:
        assert blocked == free
    else:
        assert blocked == Denied(Why.BLOCKED)


@many
@given(all_facts)
def test_who_acts_has_a_relation_of_her_own(facts: Facts) -> None:
    found = decide(NURSE, facts)
    acts = isinstance(found, Access) and found.may_act
    assert acts == bool(facts.relations)
    if isinstance(found, Access) and acts:
        assert found.scopes == ALL


@many
@given(all_facts)
def test_a_relation_more_never_closes_what_was_open(facts: Facts) -> None:
    before = decide(NURSE, facts)
    after = decide(NURSE, replace(facts, relations=facts.relations | {Ground.QUEUE}))
    assert isinstance(after, Access)
    if isinstance(before, Access):
        assert before.scopes <= after.scopes
