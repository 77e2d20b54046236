"""Metrics: what Prometheus reads. docs/operations.md explains each; a test holds the two together.

No label holds an identity, neither a person's nor a gateway's or a device's: labels are of small
tables in the code.
"""

import time
from collections.abc import Iterable
from typing import Final

import numpy as np
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    disable_created_metrics,
    generate_latest,
)

from ingest.meter import BatchReport
from ingest.quarantine import Reason
from ingest.watch.buckets import Buckets
from ingest.watch.health import Health

PREFIX: Final = "egenmonitor_ingest_"
# From a gateway's queue of a week to the 10 ms of a quiet morning; promises are at 0.1 and 60.
LAG_BOUNDS_S: Final = (
    *(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
    *(300.0, 3600.0, 86_400.0, 604_800.0),
)
BATCH_BOUNDS: Final = (1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)
COMMIT_BOUNDS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
OUTCOMES: Final = ("new", "repeated", "refused")
LEGS: Final = ("stored", "breach", "alert", "receipt")
BROKER: Final = "broker"  # not even sent
# What runs beside the readings.
PARTS: Final = ("watch", "control", "clock", "canary")
# Kinds of incidents come from the database; what is no plain word does not become a label.
KINDS_MAX: Final = 50


class Metrics:
    """A ``Meter`` that counts for Prometheus, and tells ``Health`` what it learns on the way.

    Args:
        health: Told of what moves.
        chores: The names of the clock's, counted from zero.
    """

    def __init__(self, health: Health, chores: Iterable[str] = ()) -> None:
        self._health = health
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(PREFIX + name, text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(PREFIX + name, text, labels, registry=registry)

        self._lag = Buckets(
            PREFIX + "lag_seconds",
            "From measuring, or from arrival at ingest, to the commit, for each stored reading.",
            LAG_BOUNDS_S,
            registry,
            label="since",
            values=("measured", "arrived"),
        )
        self._batch = Buckets(
            PREFIX + "batch_readings", "Readings in a committed batch.", BATCH_BOUNDS, registry
        )
        self._commit = Buckets(
            PREFIX + "commit_seconds",
            "From the first attempt at a batch to its commit.",
            COMMIT_BOUNDS_S,
            registry,
        )
        self._messages = counter("messages", "Messages answered.")
        self._readings = counter(
            "readings", "Readings answered, by what became of them.", "outcome"
        )
        self._quarantine = counter("quarantine", "Put into quarantine, by reason.", "reason")
        self._retries = counter("database_retries", "Attempts at the database that failed.")
        self._taken_over = counter("session_taken_over", "Times another took our client id.")
        self._backlog = gauge("backlog", "Messages in hand that the broker waits for.")
        self._backlog_bytes = gauge("backlog_bytes", "The payloads of these messages.")
        self._subscribed = gauge("broker_connected", "Whether the broker has our subscription.")
        self._leader = gauge("clock_leader", "Whether this process leads the clock.")
        self._chore_rows = counter("chore_rows", "Rows that the clock has done.", "chore")
        self._chore_s = counter("chore_seconds", "Time that the clock has spent.", "chore")
        self._incidents = gauge("incident_open", "Open incidents, by kind.", "kind")
        self._canary_at = gauge(
            "canary_success_timestamp_seconds",
            "When a canary's reading last went the whole way, as far as this process knows.",
        )
        self._canary_leg = gauge(
            "canary_leg_seconds", "From the last canary's sending to each leg's end.", "leg"
        )
        self._canary_failures = counter("canary_failures", "Canaries lost, by leg.", "leg")
        self._parts = counter("part_failures", "Parts that failed and began anew.", "part")
        self._loop_at = gauge("loop_timestamp_seconds", "When the event loop last turned.")
        for outcome in OUTCOMES:  # at zero from the start: a rise from nothing is no rise
            self._readings.labels(outcome)
        for reason in Reason:
            self._quarantine.labels(reason.value)
        for name in chores:
            self._chore_rows.labels(name)
            self._chore_s.labels(name)
        for name in PARTS:
            self._parts.labels(name)
        for leg in (BROKER, *LEGS):
            self._canary_failures.labels(leg)

    def page(self) -> bytes:
        """Return the text that Prometheus reads."""
        return generate_latest(self.registry)

    def settled(self, batch: BatchReport) -> None:
        """See ``Meter``."""
        self._health.moved_s = self._health.settled_s = time.monotonic()
        if len(batch.arrived_to_stored_s):
            worst_s = float(batch.arrived_to_stored_s.max())
            self._health.worst_lag_s = max(self._health.worst_lag_s, worst_s)
        self.answered()
        self._messages.inc(batch.messages)
        self._readings.labels("new").inc(batch.new)
        self._readings.labels("repeated").inc(batch.repeated)
        self._readings.labels("refused").inc(max(0, batch.readings - batch.new - batch.repeated))
        for reason, rows in batch.refused.items():
            self._quarantine.labels(reason).inc(rows)
        self._lag.observe(batch.measured_to_stored_s, "measured")
        self._lag.observe(batch.arrived_to_stored_s, "arrived")
        self._batch.observe(np.array([batch.readings], np.float64))
        self._commit.observe(np.array([batch.commit_s]))

    def retried(self) -> None:
        """See ``Meter``."""
        self._retries.inc()
        self._health.moved_s = time.monotonic()
        if self._health.retrying_since_s is None:
            self._health.retrying_since_s = time.monotonic()

    def answered(self) -> None:
        """See ``Meter``."""
        self._health.answered_s = time.monotonic()
        self._health.retrying_since_s = None

    def subscribed(self, is_subscribed: bool) -> None:  # noqa: FBT001 - a state
        """See ``Meter``."""
        self._health.is_subscribed = is_subscribed
        self._subscribed.set(is_subscribed)

    def taken_over(self) -> None:
        """See ``Meter``."""
        self._taken_over.inc()

    def held(self, deliveries: int, size_bytes: int) -> None:
        """See ``Meter``."""
        if not self._health.held:
            self._health.moved_s = self._health.settled_s = time.monotonic()
        self._health.held, self._health.held_bytes = deliveries, size_bytes
        self._backlog.set(deliveries)
        self._backlog_bytes.set(size_bytes)

    def leads(self, is_leader: bool) -> None:  # noqa: FBT001 - a state
        """See ``Meter``."""
        self._leader.set(is_leader)

    def chore_done(self, chore: str, rows: int, took_s: float) -> None:
        """See ``Meter``."""
        self._chore_rows.labels(chore).inc(rows)
        self._chore_s.labels(chore).inc(took_s)

    def part_failed(self, part: str) -> None:
        """Note that a part failed for a fault of ours, and begins anew."""
        self._parts.labels(part).inc()

    def turned(self) -> None:
        """Note that the event loop turns."""
        self._health.beat_s = time.monotonic()
        self._loop_at.set_to_current_time()

    def incidents(self, open_by_kind: dict[str, int]) -> None:
        """Note which incidents are open; a kind that has none any more is at zero."""
        for family in list(self._incidents.collect()):
            for sample in family.samples:
                self._incidents.labels(sample.labels["kind"]).set(0)
        for kind, count in sorted(open_by_kind.items())[:KINDS_MAX]:
            self._incidents.labels(kind).set(count)

    def canary(self, legs: dict[str, float | None], failed: str) -> None:
        """Note how a canary fared: seconds by leg, and the first that failed, or "" ."""
        for leg in LEGS:
            took_s = legs.get(leg)
            self._canary_leg.labels(leg).set(float("nan") if took_s is None else took_s)
        if failed:
            self._canary_failures.labels(failed).inc()
        else:
            self._canary_at.set_to_current_time()
