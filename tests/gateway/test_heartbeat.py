from devices.wire import ConditionCode, GatewayState, GatewayStatus, decode_status
from gateway.health import PROBLEM_CHARACTERS_MAX, PROBLEMS_MAX, Health, RadioState
from gateway.heartbeat import CHANGE_INTERVAL_S, Heartbeat, last_will
from gateway.inbox import Inbox
from gateway.outbox import Outbox
from tests.gateway.material import START


def heartbeat(inbox: Inbox, outbox: Outbox, health: Health) -> Heartbeat:
    return Heartbeat("g-1", 60.0, inbox=inbox, outbox=outbox, health=health, now=lambda: START)


def test_the_first_is_due_at_once_and_the_next_after_the_interval(
    inbox: Inbox, outbox: Outbox
) -> None:
    beat = heartbeat(inbox, outbox, Health())
    assert beat.due_at_s() < 0
    beat.say(GatewayState.ONLINE, 100.0)
    assert beat.due_at_s() == 160.0


def test_a_new_problem_is_told_soon_and_a_flapping_one_not_too_often(
    inbox: Inbox, outbox: Outbox
) -> None:
    health = Health()
    beat = heartbeat(inbox, outbox, health)
    beat.say(GatewayState.ONLINE, 100.0)
    health.problem(ConditionCode.STORAGE_FULL, "the disk is full")
    health.solved(ConditionCode.STORAGE_FULL)
    health.problem(ConditionCode.STORAGE_FULL, "the disk is full")
    assert beat.due_at_s() == 100.0 + CHANGE_INTERVAL_S
    status = decode_status(beat.say(GatewayState.ONLINE, 102.0))
    assert status.problems == ("the disk is full",)
    assert beat.due_at_s() == 162.0


def test_serving_a_device_is_no_news_but_losing_the_radio_is(inbox: Inbox, outbox: Outbox) -> None:
    health = Health()
    health.radio = RadioState.SCANNING
    beat = heartbeat(inbox, outbox, health)
    beat.say(GatewayState.ONLINE, 100.0)
    health.radio = RadioState.CONNECTED
    health.radio = RadioState.SCANNING
    assert beat.due_at_s() == 160.0
    health.radio = RadioState.LOST
    assert beat.due_at_s() == 100.0 + CHANGE_INTERVAL_S


def test_the_same_problem_said_again_is_no_change() -> None:
    told: list[None] = []
    health = Health(on_change=lambda: told.append(None))
    for _ in range(5):
        health.problem(ConditionCode.BROKER_AWAY, "away")
    assert len(told) == 1


def test_problems_stay_readable() -> None:
    health = Health()
    for number in range(PROBLEMS_MAX * 2):
        health.problem(ConditionCode.PART_RESTARTED, "x" * 1000, part=f"part {number}")
    assert len(health.problems) == PROBLEMS_MAX
    assert {len(words) for words in health.problems} == {PROBLEM_CHARACTERS_MAX}


def test_the_last_will_says_lost_and_nothing_it_cannot_know() -> None:
    assert decode_status(last_will("g-1")) == GatewayStatus(
        v=1, gateway="g-1", state=GatewayState.LOST
    )
