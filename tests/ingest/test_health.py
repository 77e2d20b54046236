"""Health, alarm and what is served of them: when is it well, and who is told that it is not."""

import socket
import time
import urllib.request
from contextlib import ExitStack

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from ingest.config import WatchSettings
from ingest.consumer import HELD_BYTES_MAX
from ingest.watch import server
from ingest.watch.alarm import CALM_S, FULL_S_MAX, LAG_S_MAX, LagAlarm
from ingest.watch.buckets import Buckets
from ingest.watch.health import BEAT_S_MAX, RETRYING_S_MAX, STUCK_S_MAX, Health
from ingest.watch.health import not_living as _not_living
from ingest.watch.health import not_ready as _not_ready
from ingest.watch.metrics import Metrics
from simulator.embedded.child import free_port
from tests.ingest.process import until

NOW_S = 1000.0


def well() -> Health:
    return Health(
        beat_s=NOW_S,
        is_subscribed=True,
        schema_problem=None,
        answered_s=NOW_S,
        moved_s=NOW_S,
        settled_s=NOW_S,
    )


def reasons(health: Health, after_s: float = 0.0) -> tuple[list[str], list[str]]:
    """Return the first words of why it does not live, and of why it is not ready."""
    first = [
        [problem.split(":")[0] for problem in judge(health, NOW_S + after_s)]
        for judge in (_not_living, _not_ready)
    ]
    return first[0], first[1]


def test_what_is_well_lives_and_is_ready() -> None:
    assert reasons(well()) == ([], [])


def test_what_has_just_started_lives_and_is_not_ready() -> None:
    assert reasons(Health(beat_s=NOW_S)) == ([], ["schema", "broker", "database"])


def test_a_loop_that_does_not_turn_is_dead() -> None:
    health = well()
    health.answered_s = NOW_S + BEAT_S_MAX
    assert reasons(health, BEAT_S_MAX) == ([], [])
    assert reasons(health, BEAT_S_MAX + 1) == (["loop"], ["loop"])


def test_what_waits_for_others_lives_and_is_not_ready() -> None:
    health = well()
    health.is_subscribed = False
    health.answered_s = None
    health.schema_problem = "old"
    assert reasons(health) == ([], ["schema", "broker", "database"])


def test_failing_for_a_minute_is_not_ready_and_holding_still_for_three_is_dead() -> None:
    health = well()
    health.retrying_since_s = NOW_S
    health.held = 1
    health.beat_s = health.answered_s = NOW_S + RETRYING_S_MAX
    assert reasons(health, RETRYING_S_MAX) == ([], [])
    health.beat_s = health.answered_s = NOW_S + STUCK_S_MAX
    assert reasons(health, RETRYING_S_MAX + 1) == ([], ["database"])
    health.retrying_since_s = None
    assert reasons(health, RETRYING_S_MAX + 1) == ([], ["pipeline"])
    assert reasons(health, STUCK_S_MAX + 1)[0] == ["pipeline"]
    health.held = 0
    assert reasons(health, STUCK_S_MAX + 1) == ([], [])


def test_the_lag_alarm_is_raised_by_a_late_reading_and_ends_after_a_calm_minute() -> None:
    watch = LagAlarm(receive_max=100)
    assert not watch.look(0, worst_lag_s=LAG_S_MAX, held=5, held_bytes=0)
    assert "waited 61 s" in watch.look(2, worst_lag_s=LAG_S_MAX + 1, held=5, held_bytes=0)
    assert watch.look(1 + CALM_S, worst_lag_s=0, held=5, held_bytes=0)
    assert not watch.look(2 + CALM_S, worst_lag_s=0, held=5, held_bytes=0)


def test_the_lag_alarm_is_raised_when_the_broker_always_has_more() -> None:
    watch = LagAlarm(receive_max=100)
    assert not watch.look(0, worst_lag_s=0, held=90, held_bytes=0)
    assert not watch.look(FULL_S_MAX - 1, worst_lag_s=0, held=100, held_bytes=0)
    assert "broker" in watch.look(FULL_S_MAX, worst_lag_s=0, held=100, held_bytes=0)
    large = LagAlarm(receive_max=100)
    assert not large.look(0, worst_lag_s=0, held=10, held_bytes=HELD_BYTES_MAX)
    assert large.look(FULL_S_MAX, worst_lag_s=0, held=10, held_bytes=HELD_BYTES_MAX)
    calm = LagAlarm(receive_max=100)
    for second in range(0, 2 * int(FULL_S_MAX), 10):  # it breathes between
        assert not calm.look(second, worst_lag_s=0, held=100 if second % 20 else 80, held_bytes=0)


@given(st.lists(st.floats(-10, 200) | st.just(float("nan"))))
def test_buckets_count_as_one_by_one(values: list[float]) -> None:
    registry = CollectorRegistry()
    bounds = (0.5, 1.0, 100.0)
    buckets = Buckets("x_seconds", "Text.", bounds, registry)
    for half in np.array_split(np.array(values, np.float64), 2):
        buckets.observe(half)
    known = [max(0.0, value) for value in values if value == value]  # noqa: PLR0124 - nan is not
    (family,) = text_string_to_metric_families(generate_latest(registry).decode())
    told = {(s.name, s.labels.get("le")): s.value for s in family.samples}
    for bound in bounds:
        assert told["x_seconds_bucket", str(bound)] == sum(value <= bound for value in known)
    assert told["x_seconds_bucket", "+Inf"] == told["x_seconds_count", None] == len(known)
    assert told["x_seconds_sum", None] == pytest.approx(sum(known))


def test_a_canary_that_failed_is_counted_and_is_no_success() -> None:
    metrics = Metrics(well())

    def told() -> dict[str, float]:
        families = text_string_to_metric_families(metrics.page().decode())
        return {
            "".join(
                [sample.name.removeprefix("egenmonitor_ingest_canary_"), *sample.labels.values()]
            ): sample.value
            for family in families
            for sample in family.samples
        }

    metrics.canary({"stored": 0.5, "receipt": 0.7}, "breach")
    found = told()
    assert found["success_timestamp_seconds"] == 0
    assert (found["failures_totalbreach"], found["failures_totalstored"]) == (1, 0)
    assert (found["leg_secondsstored"], found["leg_secondsreceipt"]) == (0.5, 0.7)
    assert np.isnan(found["leg_secondsalert"])
    began_s = time.time()
    metrics.canary({"stored": 0.5, "breach": 0.6, "alert": 0.6, "receipt": 0.7}, "")
    assert told()["success_timestamp_seconds"] >= began_s
    assert told()["failures_totalbreach"] == 1


def test_more_than_a_few_who_ask_at_once_are_hung_up_and_are_answered_afterwards() -> None:
    health, port = well(), free_port()
    health.beat_s = time.monotonic()

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=5) as page:
                return bool(page.read() == b"ok\n")
        except OSError:
            return False

    with server.serving(WatchSettings(port=port), Metrics(health), health):
        assert answers()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as page:
            # Prometheus reads nothing of a kind that is not named.
            assert page.headers["Content-Type"] == CONTENT_TYPE_LATEST
            assert int(page.headers["Content-Length"]) == len(page.read())
        with ExitStack() as silent:

            def is_full() -> bool:
                silent.enter_context(socket.create_connection(("127.0.0.1", port)))
                return not answers()

            until(is_full, lambda: "one who is hung up")
        until(answers, lambda: "an answer")
