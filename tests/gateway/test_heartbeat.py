from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from devices.wire import (
    DEVICES_MAX,
    Condition,
    ConditionCode,
    DeviceStatus,
    GatewayState,
    GatewayStatus,
    PairingStatus,
    PairingStep,
    RadioStep,
    decode_status,
)
from gateway.health import (
    DEVICE_PROBLEMS_MAX,
    PROBLEM_CHARACTERS_MAX,
    PROBLEMS_MAX,
    Health,
    RadioState,
)
from gateway.heartbeat import CHANGE_INTERVAL_S, Heartbeat, last_will
from gateway.inbox import Inbox
from gateway.outbox import Outbox
from tests.gateway.material import DEVICE, START


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


def test_all_that_is_known_of_the_gateway_is_told(inbox: Inbox, outbox: Outbox) -> None:
    now_s = 500.0
    health = Health(now=lambda: START, monotonic=lambda: now_s)
    health.problem(ConditionCode.CLOCK_DOUBTED, "nobody knows")
    health.radio_step("scanner_restarted")
    health.config(7, "it is bad")
    health.pairing = PairingStatus(request_id="p-1", step=PairingStep.SEARCHING)
    now_s = 530.0
    known = DeviceStatus(device_id=DEVICE, model="A&D UA-651BLE", battery_percent=80)
    beat = Heartbeat(
        "g-1",
        60.0,
        inbox=inbox,
        outbox=outbox,
        health=health,
        now=lambda: START,
        devices=lambda: (known,) * (DEVICES_MAX + 1),
        certificate_until=lambda: START + timedelta(days=30),
        storage_free_bytes=lambda: 12_345,
    )
    status = decode_status(beat.say(GatewayState.ONLINE, 0.0))
    half_a_minute_ago = START - timedelta(seconds=30)
    assert status.conditions == (
        Condition(code=ConditionCode.CLOCK_DOUBTED, since=half_a_minute_ago),
    )
    assert status.radio_steps == (RadioStep(at=half_a_minute_ago, step="scanner_restarted"),)
    assert (status.config_version, status.config_refused) == (7, "it is bad")
    assert status.pairing == PairingStatus(request_id="p-1", step=PairingStep.SEARCHING)
    assert status.devices == (known,) * DEVICES_MAX
    assert status.certificate_until == START + timedelta(days=30)
    assert status.storage_free_bytes == 12_345
    assert status.started_at is not None
    assert START - timedelta(seconds=60) < status.started_at <= START


def test_a_clock_that_is_set_later_moves_the_times_that_are_told() -> None:
    """A box boots in 1970; when the network has told it the time, since then is known too."""
    now, now_s = datetime(1970, 1, 1, tzinfo=UTC), 10.0
    health = Health(now=lambda: now, monotonic=lambda: now_s)
    health.problem(ConditionCode.BROKER_AWAY, "away")
    now, now_s = START, 70.0
    (condition,) = health.conditions
    assert condition.since == START - timedelta(minutes=1)


def test_what_the_server_asks_for_replaces_the_interval(inbox: Inbox, outbox: Outbox) -> None:
    asked: float | None = None
    beat = Heartbeat(
        "g-1",
        60.0,
        inbox=inbox,
        outbox=outbox,
        health=Health(),
        now=lambda: START,
        asked_interval_s=lambda: asked,
    )
    beat.say(GatewayState.ONLINE, 100.0)
    assert beat.due_at_s() == 160.0
    asked = 10.0
    assert beat.due_at_s() == 110.0


def test_each_step_at_the_radio_and_each_word_of_a_pairing_is_told_soon(
    inbox: Inbox, outbox: Outbox
) -> None:
    health = Health()
    beat = heartbeat(inbox, outbox, health)
    searching = PairingStatus(request_id="p-1", step=PairingStep.SEARCHING)
    changes: list[Callable[[], None]] = [
        lambda: health.radio_step("adapter_power_cycled"),
        lambda: setattr(health, "pairing", searching),
        lambda: health.config(3),
    ]
    for change in changes:
        beat.say(GatewayState.ONLINE, 100.0)
        assert beat.due_at_s() == 160.0
        change()
        assert beat.due_at_s() == 100.0 + CHANGE_INTERVAL_S


def test_two_causes_of_one_condition_are_solved_each_by_itself() -> None:
    health = Health()
    health.problem(ConditionCode.BROKER_REFUSES, "receipts", part="listen")
    health.problem(ConditionCode.BROKER_REFUSES, "readings", part="publish")
    health.solved(ConditionCode.BROKER_REFUSES, part="publish")
    assert health.problems == ("receipts",)
    health.solved(ConditionCode.BROKER_REFUSES, part="listen")
    assert health.conditions == ()


def test_the_gateways_own_conditions_come_before_a_block_of_flats(
    inbox: Inbox, outbox: Outbox
) -> None:
    health = Health()
    for number in range(1000):
        device_id = f"C0:00:00:00:{number // 100:02}:{number % 100:02}"
        health.problem(ConditionCode.NOT_PAIRED, "not paired", device_id)
    health.problem(ConditionCode.STORAGE_FULL, "the disk is full")
    status = decode_status(heartbeat(inbox, outbox, health).say(GatewayState.ONLINE, 0.0))
    assert len(status.conditions) == len(status.problems) == PROBLEMS_MAX
    assert status.conditions[0].code == ConditionCode.STORAGE_FULL
    assert status.conditions[1].device_id == "C0:00:00:00:09:99"
    assert len(health._told) == DEVICE_PROBLEMS_MAX + 1


def test_a_problem_is_as_old_as_its_first_words() -> None:
    now_s = 0.0
    health = Health(now=lambda: START + timedelta(seconds=now_s), monotonic=lambda: now_s)
    health.problem(ConditionCode.BROKER_AWAY, "refused")
    now_s = 90.0
    health.problem(ConditionCode.BROKER_AWAY, "timed out")
    assert (health.problems, health.conditions[0].since) == (("timed out",), START)
