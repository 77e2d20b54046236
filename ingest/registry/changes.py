"""What changed since a revision, read by one statement: what it gives is the state of one moment.

A statement sees what was committed when it began. Whoever takes a revision keeps others from
taking one until he commits, so a statement that sees a revision sees all that belongs to it and
to those before, and nothing of those after.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import psycopg

from ingest.pg_binary import read_array
from ingest.query import one_row
from ingest.registry import columns
from ingest.registry.columns import Row, RuleReader, Tables, read_texts, split

# Of this many changed keys on, reading everything anew is sooner done.
CHANGES_MAX: Final = 100_000

# What of each table is to be read anew, in the order of columns.WIDTHS.
_ROWS: Final = {
    "versions": (columns.VERSIONS, "select * from plan_version where patient_id = any ({people})"),
    "limits": (columns.LIMITS, "select * from plan_limit where plan_version_id = any ({plans})"),
    "rules": (columns.RULES, "select * from plan_rule where plan_version_id = any ({plans})"),
    "loans": (columns.LOANS, "select * from device_loan where device_id = any ({devices})"),
    "gateways": (columns.GATEWAYS, "select * from gateway where gateway_id = any ({gateways})"),
    "pauses": (columns.PAUSES, "select * from patient_pause where patient_id = any ({people})"),
}
assert list(_ROWS) == list(columns.WIDTHS)

_PEOPLE: Final = "array(select key::bigint from changed where what = 'patient')"
_KEYS: Final = {
    "people": _PEOPLE,
    "plans": f"array(select plan_version_id from plan_version where patient_id = any ({_PEOPLE}))",  # noqa: S608
    "devices": "array(select key from changed where what = 'device')",
    "gateways": "array(select key from changed where what = 'gateway')",
}
_PARTS: Final = ",\n".join(
    f"lateral ({query.format(rows=rows.format(**_KEYS))}) as part_{name}"
    for name, (query, rows) in _ROWS.items()
)
_CHANGES: Final = f"""
with noted as materialized (
    select distinct what, key from registry_change where revision > %(since)s
),
state as materialized (
    select revision,
        %(since)s < forgotten or %(since)s > revision
        or (select count(*) > %(most)s or coalesce(bool_or(what = 'all'), false) from noted)
        as is_too_much
    from registry
),
changed as materialized (select * from noted where not (select is_too_much from state)),
keys as (
    select array_agg(key::bigint) filter (where what = 'patient'),
        array_agg(octet_length(key)) filter (where what = 'device'),
        string_agg(key, '') filter (where what = 'device'),
        array_agg(octet_length(key)) filter (where what = 'gateway'),
        string_agg(key, '') filter (where what = 'gateway')
    from changed
)
select array[state.revision, state.is_too_much::int::bigint], keys.*,
    {", ".join(f"part_{name}.*" for name in _ROWS)}
from state, keys,
{_PARTS}
"""  # noqa: S608 - our own texts
_KEY_COLUMNS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What one moment says of what changed."""

    revision: int
    is_too_much: bool  # or unknown: everything must be read anew, and nothing is here
    row: Row

    def put_into(self, tables: Tables, rules: RuleReader) -> None:
        """Put what changed in its place."""
        people = np.unique(read_array(self.row[0], np.int64))
        devices = np.unique(read_texts(self.row[1], self.row[2]))
        gateways = np.unique(read_texts(self.row[3], self.row[4]))
        parts = split(self.row[_KEY_COLUMNS:])
        if len(people):
            # A version that is gone leaves limits behind, which nobody finds any more.
            versions = columns.read_versions(parts["versions"])
            tables.versions.replace(people, *versions)
            plans = versions[1]["version"]
            tables.limits.replace(plans, *columns.read_limits(parts["limits"]))
            rules.forget(people)
            for kind, some in rules.read(parts["rules"]).items():
                tables.rules[kind].replace(people, *some)
            tables.pauses.replace(people, *columns.read_pauses(parts["pauses"]))
        if len(devices):
            tables.loans.replace(devices, *columns.read_loans(parts["loans"]))
        if len(gateways):
            tables.gateways.replace(gateways, *columns.read_gateways(parts["gateways"]))


async def changes(connection: psycopg.AsyncConnection[Any], since: int) -> Changes:
    """Read what changed after revision *since*."""
    row = await one_row(connection, _CHANGES, {"since": since, "most": CHANGES_MAX})
    revision, is_too_much = read_array(row[0]).tolist()
    return Changes(revision=revision, is_too_much=bool(is_too_much), row=row[1:])
