"""docs/operations.md says what the code does: metrics and their labels, incidents, settings."""

import re
import time
from pathlib import Path

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from alerts import engine
from alerts.sending import health as sending
from alerts.technical import telling
from ingest import recheck, settle
from ingest.canary import beat, canary
from ingest.clock import lane
from ingest.config import Config
from ingest.meter import BatchReport
from ingest.watch import health, metrics, watcher
from ingest.watch.metrics import LEGS, PREFIX, Metrics

DOCUMENT = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()


def section(title: str) -> str:
    return DOCUMENT.split(f"\n## {title}\n")[1].split("\n## ")[0]


def table(title: str) -> list[list[str]]:
    """Return the rows of a section's first table, without its head."""
    lines = [line for line in section(title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def told() -> dict[str, set[str]]:
    """Return the labels of each metric that a worker tells, when all has happened once."""
    metrics = Metrics(health.Health(beat_s=time.monotonic()))
    one = np.ones(1)
    metrics.settled(
        BatchReport(
            messages=1,
            readings=1,
            new=1,
            repeated=0,
            refused={},
            measured_to_stored_s=one,
            arrived_to_stored_s=one,
            commit_s=1.0,
        )
    )
    metrics.chore_done("days", 1, 0.1)
    metrics.incidents({"lag": 1})
    metrics.canary({}, "stored")
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(metrics.page().decode()):
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = {label for sample in family.samples for label in sample.labels}
        found[name.removeprefix(PREFIX)] = labels - {"le"}
    return found


def test_every_metric_is_explained_with_its_labels_and_no_other() -> None:
    explained = {
        row[0].strip("`"): set(re.findall(r"`(\w+)`", row[1].split(":")[0].split(",")[0]))
        for row in table("Metrics")
    }
    assert explained == told()


def test_every_alarm_is_on_metrics_that_there_are() -> None:
    named = set(re.findall(PREFIX + r"(\w+)", section("Alarms to set")))
    assert {name.removesuffix("_bucket") for name in named} <= set(told())


def test_every_incident_is_explained() -> None:
    kinds = {watcher.LAG, canary.KIND, lane.INCIDENT, recheck.INCIDENT, settle.INCIDENT}
    kinds |= {sending.INCIDENT, telling.NOBODY, engine.UNKNOWN[0]}  # alerts' own
    assert {row[0].strip("`") for row in table("Incidents")} == kinds


def test_the_legs_of_the_canary_are_those_of_her_way() -> None:
    assert (metrics.BROKER, *LEGS) == (beat.BROKER, *beat.LEGS)
    (row,) = [row for row in table("Incidents") if row[0] == "`canary`"]
    assert set(re.findall(r"`(\w+)`", row[2])) == {beat.BROKER, *beat.LEGS}


# The first part of a log's line may be that of a setting.
LINES_OF_LOG = {
    "broker.session_taken_over",
    "watch.incidents_open",
    "registry.rule",
    "ingest.part_failed",
}
SETTINGS = {
    key
    for key in re.findall(r"`([a-z]+\.[a-z_]+)`", DOCUMENT)
    if key not in LINES_OF_LOG and key != "ingest.toml"
}


@pytest.mark.parametrize("key", sorted(SETTINGS))
def test_every_setting_that_is_named_is_one(key: str) -> None:
    part, name = key.split(".")
    model = Config.model_fields[part].annotation
    assert name in getattr(model, "model_fields", {})


def test_its_numbers_are_the_code_s() -> None:
    said = " ".join(section("Is it well?").split())
    assert f"not turned for {health.BEAT_S_MAX:.0f} s" in said
    assert f"moved for {health.STUCK_S_MAX / 60:.0f} minutes" in said
    assert health.RETRYING_S_MAX == 60
    assert f"last {beat.KEPT_DAYS} days" in " ".join(section("The canary").split())
