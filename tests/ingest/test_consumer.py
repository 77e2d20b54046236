"""Acknowledgements leave in the order of arrival."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.consumer import AckOrder


@given(st.permutations(range(8)))
def test_acknowledgements_leave_in_the_order_of_arrival(finished: list[int]) -> None:
    order = AckOrder()
    for number in range(8):
        order.arrived(number)
    released: list[int] = []
    for number in finished:
        now = order.done(number)
        released += now
        assert released == list(range(len(released)))
        assert len(order) == 8 - len(released)
    assert released == list(range(8))


def test_nothing_leaves_before_what_came_first() -> None:
    order = AckOrder()
    for number in range(3):
        order.arrived(number)
    assert order.done(2) == []
    assert order.done(1) == []
    assert order.done(0) == [0, 1, 2]
