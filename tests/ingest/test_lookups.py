"""What a batch asks of the database is looked up by key, also while nothing is known of the tables.

A statement is planned early, when its tables are small, and the plan is kept: one that reads a
table from end to end then does so for every batch, until the table is analyzed.
"""

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from ingest import episode, household, tables, windows
from ingest.clock import samples
from ingest.session import BY_KEY_ONLY, session
from tests.ingest.county import NOW, County, pressure
from tests.ingest.plans import HOUR

# Those that grow with every reading or patient.
LARGE = {"reading", "sample", "breach", "patient", "patient_pause", "repeat_wait"}
OF_ONE = re.compile(r"\b(patient_id|reading_id|breach_id) = ")
STATEMENTS = {
    f"{module.__name__.removeprefix('ingest.')}.{name}": getattr(module, name)
    for module, names in (
        (household, ("_NEARER",)),
        (tables, ("_RATES", "_WEIGHTS", "_STORED")),
        (windows, ("_FETCH",)),
        (episode, ("_LOCK", "_CALMED", "_RECORD", "_RELEASE", "_LINK")),
        (samples, ("_SAMPLES", "_DAILY", "_LAST")),
    )
    for name in names
}


def scans(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the nodes that read a large table."""
    relation = re.sub(r"^_hyper_.*_chunk$", "sample", plan.get("Relation Name", ""))
    if relation in LARGE and plan["Node Type"] != "ModifyTable":
        yield plan
    for part in plan.get("Plans", ()):
        yield from scans(part)


def numbered(statement: str) -> str:
    """Write the parameters as the server has them."""
    number = iter(range(1, 100))
    return re.sub("%s", lambda _: f"${next(number)}", statement)


@pytest.mark.parametrize("is_analyzed", [False, True], ids=["not analyzed", "of one page"])
@pytest.mark.parametrize("name", STATEMENTS)
def test_it_is_looked_up_by_key_in_tables_that_are_small_or_not_analyzed(
    name: str, is_analyzed: bool, plain_county: County
) -> None:
    if is_analyzed:
        plain_county.settle([pressure(192, 112, measured_at=NOW - HOUR)])
        plain_county.connection.execute("analyze")
    conninfo = make_conninfo(plain_county.dsn, **session("test", BY_KEY_ONLY))
    with psycopg.connect(conninfo) as connection, connection.cursor() as cursor:
        query = f"explain (generic_plan, format json) {numbered(STATEMENTS[name])}"
        ((found,),) = cursor.execute(query.encode()).fetchall()
    reading = list(scans(found[0]["Plan"]))
    assert reading or name == "episode._RECORD"
    for node in reading:
        condition = node.get("Index Cond", node.get("Recheck Cond", ""))
        assert OF_ONE.search(condition), f"{node['Node Type']} of {node['Relation Name']}"
