from collections.abc import Callable
from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.wire import MESSAGE_BYTES_MAX, READINGS_MAX, VERSION, Receipt, Refusal
from gateway.dispatch import (
    BACKLOG_LANE,
    FRESH_LANE,
    JITTER,
    RESEND_S_MAX,
    SUSPECT_ATTEMPT,
    Dispatch,
    Send,
    Settlement,
)
from gateway.outbox import Outbox, OutboxRow
from tests.gateway.material import ids, reading

RESEND_S = 30.0


def dispatch(outbox: Outbox) -> Dispatch:
    return Dispatch(newest_row_id=outbox.newest_row_id, resend_after_s=RESEND_S, random=Random(1))


def all_sends(sender: Dispatch, outbox: Outbox, now_s: float = 0.0) -> list[Send]:
    sends = []
    while (send := sender.next_send(outbox, now_s)) is not None:
        sends.append(send)
    return sends


def sent_ids(send: Send) -> list[UUID]:
    return [row.reading_id for row in send.rows]


def stored(send: Send) -> Receipt:
    return Receipt(v=VERSION, stored=tuple(sent_ids(send)))


def take(sender: Dispatch, correlation: bytes, receipt: Receipt) -> Settlement:
    """Do what the uplink does with a receipt that could be noted."""
    settlement = sender.receipt(correlation, receipt)
    sender.settled(settlement.stored | settlement.refused.keys())
    return settlement


def settle(sender: Dispatch, outbox: Outbox, send: Send) -> None:
    settlement = take(sender, send.correlation, stored(send))
    outbox.settle(stored=settlement.stored, refused=settlement.refused)


def test_a_backlog_goes_oldest_first_in_full_messages_and_bounded_in_flight(
    outbox: Outbox,
) -> None:
    readings = [reading(n) for n in range(3000)]
    outbox.append(readings)
    sends = all_sends(dispatch(outbox), outbox)
    assert len(sends) == BACKLOG_LANE
    assert [key for send in sends for key in sent_ids(send)] == ids(
        readings[: BACKLOG_LANE * READINGS_MAX]
    )


def test_a_new_reading_never_waits_behind_a_backlog(outbox: Outbox) -> None:
    outbox.append([reading(n) for n in range(3000)])
    sender = dispatch(outbox)
    all_sends(sender, outbox)
    outbox.append([reading(5000)])
    (fresh,) = all_sends(sender, outbox)
    assert sent_ids(fresh) == [reading(5000).reading_id]


def test_a_day_without_a_broker_is_a_backlog_too(outbox: Outbox) -> None:
    sender = dispatch(outbox)
    outbox.append([reading(n) for n in range(3000)])
    first = sender.next_send(outbox, 0.0)
    assert first is not None
    assert sent_ids(first)[-1] == reading(2999).reading_id  # the newest are on their way
    all_sends(sender, outbox)
    outbox.append([reading(5000)])
    (fresh,) = all_sends(sender, outbox)
    assert sent_ids(fresh) == [reading(5000).reading_id]


def test_every_reading_of_a_backlog_is_sent_once_while_receipts_come(outbox: Outbox) -> None:
    outbox.append([reading(n) for n in range(3000)])
    sender = dispatch(outbox)
    seen: list[UUID] = []
    while outbox.depth:
        for send in all_sends(sender, outbox):
            seen += sent_ids(send)
            settle(sender, outbox, send)
    assert seen == ids([reading(n) for n in range(3000)])
    assert sender.in_flight == 0
    assert sender.wake_at_s() == float("inf")


def test_without_a_receipt_it_is_sent_again_ever_later(outbox: Outbox) -> None:
    outbox.append([reading(1)])
    sender = dispatch(outbox)
    now_s, waits_s = 0.0, []
    for attempt in range(1, 9):
        (send,) = all_sends(sender, outbox, now_s)
        assert send.attempt == attempt
        due_s = sender.wake_at_s()
        waits_s.append(due_s - now_s)
        assert sender.expire(due_s - 0.001) == 0
        assert all_sends(sender, outbox, due_s - 0.001) == []
        assert sender.expire(due_s) == 1
        now_s = due_s
    for attempt, wait_s in enumerate(waits_s):
        nominal_s = min(RESEND_S_MAX, RESEND_S * 2**attempt)
        assert wait_s == pytest.approx(nominal_s, rel=JITTER)
    assert len(set(waits_s)) == len(waits_s)


def test_a_fresh_reading_lost_on_the_way_is_fresh_still(outbox: Outbox) -> None:
    outbox.append([reading(n) for n in range(3000)])
    sender = dispatch(outbox)
    all_sends(sender, outbox)
    outbox.append([reading(5000)])
    all_sends(sender, outbox)
    sender.connection_lost(1.0)
    first = sender.next_send(outbox, 1.0)
    assert first is not None
    assert sent_ids(first) == [reading(5000).reading_id]


def test_fresh_readings_without_receipts_are_bounded_in_flight(outbox: Outbox) -> None:
    sender = dispatch(outbox)
    for number in range(100):
        outbox.append([reading(number)])
        all_sends(sender, outbox)
    assert sender.in_flight == FRESH_LANE + BACKLOG_LANE


def test_a_refused_reading_is_let_go_with_its_reason(outbox: Outbox) -> None:
    outbox.append([reading(1), reading(2)])
    sender = dispatch(outbox)
    (send,) = all_sends(sender, outbox)
    refusal = Refusal(reading_id=reading(2).reading_id, reason="implausible")
    receipt = Receipt(v=VERSION, stored=(reading(1).reading_id,), refused=(refusal,))
    settlement = take(sender, send.correlation, receipt)
    assert settlement.stored == {reading(1).reading_id}
    assert settlement.refused == {reading(2).reading_id: "implausible"}
    assert sender.in_flight == 0


def test_a_refused_message_is_known_by_its_correlation(outbox: Outbox) -> None:
    outbox.append([reading(1), reading(2)])
    sender = dispatch(outbox)
    (send,) = all_sends(sender, outbox)
    receipt = Receipt(v=VERSION, message_refused="unsupported_version")
    assert sender.receipt(b"another", receipt).is_unknown
    assert sender.in_flight == 1
    settlement = sender.receipt(send.correlation, receipt)
    assert settlement.refused == dict.fromkeys(sent_ids(send), "unsupported_version")


def test_a_receipt_for_part_of_a_message_leaves_the_rest_waiting(outbox: Outbox) -> None:
    outbox.append([reading(1), reading(2)])
    sender = dispatch(outbox)
    (send,) = all_sends(sender, outbox)
    partly = Receipt(v=VERSION, stored=(reading(1).reading_id,))
    outbox.settle(stored=take(sender, send.correlation, partly).stored, refused={})
    assert all_sends(sender, outbox) == []
    sender.expire(sender.wake_at_s())
    (again,) = all_sends(sender, outbox)
    assert sent_ids(again) == [reading(2).reading_id]


def test_a_receipt_that_comes_late_still_counts(outbox: Outbox) -> None:
    outbox.append([reading(1)])
    sender = dispatch(outbox)
    (send,) = all_sends(sender, outbox)
    sender.connection_lost(1.0)
    assert sender.receipt(send.correlation, stored(send)).stored == {reading(1).reading_id}


def test_a_receipt_that_could_not_be_noted_is_waited_for_again(outbox: Outbox) -> None:
    """On a full disk: no hot loop of sending and hearing."""
    outbox.append([reading(1)])
    sender = dispatch(outbox)
    (send,) = all_sends(sender, outbox)
    sender.receipt(send.correlation, stored(send))
    assert all_sends(sender, outbox) == []
    sender.expire(sender.wake_at_s())
    assert len(all_sends(sender, outbox)) == 1


def test_one_reading_that_never_gets_through_ends_alone(outbox: Outbox) -> None:
    """Whatever takes 0x29 with it is lost; its neighbours all arrive."""
    outbox.append([reading(n) for n in range(READINGS_MAX)])
    poison = reading(0x29).reading_id
    sender = dispatch(outbox)
    now_s = 0.0
    for _ in range(30):
        for send in all_sends(sender, outbox, now_s):
            if poison not in sent_ids(send):
                settle(sender, outbox, send)
        if outbox.depth == 1:
            break
        now_s = sender.wake_at_s()
        sender.expire(now_s)
    assert [row.reading_id for row in outbox.peek(10)] == [poison]


def test_a_message_that_takes_the_connection_down_does_not_take_it_down_at_once_again(
    outbox: Outbox,
) -> None:
    outbox.append([reading(1)])
    sender = dispatch(outbox)
    for _ in range(SUSPECT_ATTEMPT):
        assert all_sends(sender, outbox, 0.0)
        sender.connection_lost(0.0)
    outbox.append([reading(2)])
    assert [sent_ids(send) for send in all_sends(sender, outbox, 0.0)] == [[reading(2).reading_id]]
    rested_s = RESEND_S * (1 + JITTER)
    assert [sent_ids(send) for send in all_sends(sender, outbox, rested_s)] == [
        [reading(1).reading_id]
    ]


def test_messages_stay_within_what_the_broker_takes(outbox: Outbox) -> None:
    outbox.append([reading(n) for n in range(50)])
    sender = dispatch(outbox)
    sender.message_bytes_max = 2000
    sends = all_sends(sender, outbox)
    assert sends
    for send in sends:
        assert sum(len(row.encoded) + 1 for row in send.rows) < 2000


class _Rows:
    """A backlog of made-up rows."""

    def __init__(self, sizes: list[int]) -> None:
        self.rows = [OutboxRow(n, UUID(int=n), b"x" * size) for n, size in enumerate(sizes, 1)]

    def peek(
        self,
        limit: int,
        *,
        above: int = 0,
        excluding: object = (),
        newest_first: bool = False,
    ) -> list[OutboxRow]:
        assert isinstance(excluding, set)
        found = [row for row in self.rows if row.row_id > above and row.row_id not in excluding]
        return sorted(found, key=lambda row: row.row_id, reverse=newest_first)[:limit]


def test_a_reading_larger_than_any_message_is_told_and_holds_nobody_up() -> None:
    backlog = _Rows([100, MESSAGE_BYTES_MAX, 100])
    sender = Dispatch(newest_row_id=3, resend_after_s=RESEND_S, random=Random(1))
    send = sender.next_send(backlog, 0.0)
    assert send is not None
    assert [row.row_id for row in send.rows] == [1, 3]
    assert sender.too_large == {2}
    assert sender.next_send(backlog, 0.0) is None


class _Story:
    """What may happen to a sender, and which messages are on their way."""

    def __init__(self) -> None:
        self.backlog = _Rows([600] * 500)
        self.sender = Dispatch(newest_row_id=500, resend_after_s=RESEND_S, random=Random(1))
        self.flying: dict[bytes, Send] = {}
        self.now_s = 0.0

    def send(self) -> None:
        while (send := self.sender.next_send(self.backlog, self.now_s)) is not None:
            self.flying[send.correlation] = send

    def lose(self) -> None:
        self.sender.connection_lost(self.now_s)
        self.flying.clear()

    def store(self) -> None:
        if self.flying:
            send = self.flying.pop(next(iter(self.flying)))
            gone = take(self.sender, send.correlation, stored(send)).stored
            self.backlog.rows = [row for row in self.backlog.rows if row.reading_id not in gone]

    def expire(self) -> None:
        if self.flying:
            self.now_s = max(self.now_s, self.sender.wake_at_s())
            self.sender.expire(self.now_s)
            flights = self.sender._flights
            self.flying = {key: send for key, send in self.flying.items() if key in flights}

    def grow(self) -> None:
        number = self.backlog.rows[-1].row_id + 1 if self.backlog.rows else 1000
        self.backlog.rows.append(OutboxRow(number, UUID(int=number), b"x" * 600))

    def end_well(self) -> None:
        while self.backlog.rows:
            self.now_s += RESEND_S_MAX * 2
            self.sender.expire(self.now_s)
            self.flying.clear()
            self.send()
            assert self.flying
            while self.flying:
                self.store()


_EVENTS = [_Story.send, _Story.lose, _Story.store, _Story.expire, _Story.grow]


@given(st.lists(st.sampled_from(_EVENTS), max_size=60))
def test_no_reading_is_ever_in_two_messages_in_flight_or_forgotten(
    events: list[Callable[[_Story], None]],
) -> None:
    story = _Story()
    for event in events:
        story.now_s += 1.0
        event(story)
        in_flight = [row.row_id for send in story.flying.values() for row in send.rows]
        assert len(in_flight) == len(set(in_flight))
    story.end_well()
