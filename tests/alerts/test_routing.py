"""Every alert has a receiver, and the reason is told."""

from hypothesis import given
from hypothesis import strategies as st

from alerts.routing import Circumstances, Why, route


def test_the_fixed_contact_receives() -> None:
    answer = route(
        Circumstances(contact_id=7, contact_name="Anna", unit_id=3, unit_name="Hemsjukvården")
    )
    assert (answer.receiver_id, answer.unit_id, answer.why) == (7, 3, Why.FIXED_CONTACT)
    assert answer.sentence == "Till Anna: fast vårdkontakt."
    assert not answer.warning


def test_without_a_contact_the_units_queue_receives_with_a_warning() -> None:
    answer = route(
        Circumstances(contact_id=None, contact_name=None, unit_id=3, unit_name="Hemsjukvården")
    )
    assert (answer.receiver_id, answer.unit_id, answer.why) == (None, 3, Why.NO_CONTACT)
    assert answer.sentence == "Till kön hos Hemsjukvården: patienten saknar fast vårdkontakt."
    assert answer.warning


@given(st.none() | st.integers(), st.integers(), st.text())
def test_no_circumstances_leave_an_alert_without_a_place(
    contact: int | None, unit: int, name: str
) -> None:
    answer = route(
        Circumstances(contact_id=contact, contact_name=name, unit_id=unit, unit_name=name)
    )
    assert answer.unit_id == unit
    assert answer.sentence
    assert answer.warning is (answer.receiver_id is None)
