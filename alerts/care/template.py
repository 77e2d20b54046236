"""Templates: plans for a diagnosis that a clinician has approved, and one plan made of several.

A template that nobody approved is none. A new version ends the one before it; plans that came of
that one are their patients' and stay as they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from alerts.care.merge import Merged, Named, merge
from alerts.care.people import Viewer
from alerts.care.plan_spec import Measuring, Part, PlanSpec
from alerts.care.proposal import is_care
from devices.quantity import Quantity
from ingest.rules.plan import Rules
from ingest.rules.templates import TEMPLATES

Connection = AsyncConnection[Any]

_MORNING: Final = (Quantity.SYSTOLIC, Quantity.BODY_WEIGHT)


def _draft(rules: Rules) -> PlanSpec:
    measured = {rule.quantity for rule in rules.rules if rule.kind == "missing"}
    return PlanSpec(
        limits=rules.limits,
        rules=rules.rules,
        schedule=tuple(
            Measuring(quantity=quantity, part=Part.MORNING)
            for quantity in _MORNING
            if quantity in measured
        ),
    )


# To begin with: what a clinician reads, edits and approves. By key: its name and the plan.
DRAFTS: Final[Mapping[str, Named]] = {
    "blood_pressure": Named("Högt blodtryck", _draft(TEMPLATES["blood_pressure"])),
    "heart_failure": Named("Hjärtsvikt", _draft(TEMPLATES["heart_failure"])),
}


class NoTemplateError(LookupError):
    """There is no approved template of that key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """An approved template."""

    template_id: int
    key: str
    version: int
    name: str
    spec: dict[str, Any]
    approved_by: str
    approved_at: datetime

    @property
    def origin(self) -> str:
        """Key and version, as a proposal keeps where it came from."""
        return f"{self.key}:{self.version}"

    def named(self) -> Named:
        """Return the plan in it; raises pydantic.ValidationError."""
        return Named(self.name, PlanSpec.model_validate(self.spec))


@dataclass(frozen=True, slots=True)
class Combined:
    """A plan made of templates, to be edited and proposed."""

    merged: Merged
    origins: tuple[str, ...]


async def approve(
    connection: Connection,
    viewer: Viewer,
    key: str,
    plan: Named,
    *,
    now: datetime,
) -> int | None:
    """Let a clinician put a template in use; return its version, or none: she may not."""
    if not is_care(viewer):
        return None
    async with connection.transaction():
        await connection.execute("lock table plan_template in share row exclusive mode")
        await connection.execute(_END, [now, key])
        cursor = await connection.execute(
            _APPROVE,
            {
                "key": key,
                "name": plan.name,
                "spec": Jsonb(plan.spec.as_json()),
                "by": f"{viewer.name}, {viewer.role}",
                "now": now,
            },
        )
        row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def retire(connection: Connection, viewer: Viewer, key: str, now: datetime) -> bool:
    """Take a template out of use; tell whether there was one."""
    if not is_care(viewer):
        return False
    ended = await connection.execute(_END, [now, key])
    return bool(ended.rowcount)


async def in_use(connection: Connection) -> list[Template]:
    """Return the approved templates, by name."""
    cursor = connection.cursor(row_factory=class_row(Template))
    await cursor.execute(_IN_USE)
    return await cursor.fetchall()


async def combine(connection: Connection, keys: Sequence[str]) -> Combined:
    """Make one plan of the approved templates of *keys*, at least one.

    Raises:
        NoTemplateError: One of them is not there, or not approved.
        alerts.care.merge.MergeError: They cannot be one plan before a person has chosen.
        pydantic.ValidationError: One was approved when another rule held.
    """
    found = {template.key: template for template in await in_use(connection)}
    absent = [key for key in keys if key not in found]
    if absent or not keys:
        raise NoTemplateError(", ".join(absent))
    chosen = [found[key] for key in dict.fromkeys(keys)]
    merged = merge([template.named() for template in chosen])
    return Combined(merged, tuple(template.origin for template in chosen))


_END: Final = "update plan_template set ended_at = %s where key = %s and ended_at is null"
_APPROVE: Final = """
insert into plan_template (key, version, name, spec, approved_by, approved_at)
select %(key)s, coalesce(max(version), 0) + 1, %(name)s, %(spec)s, %(by)s, %(now)s
from plan_template where key = %(key)s
returning version
"""
_IN_USE: Final = """
select template_id, key, version, name, spec, approved_by, approved_at from plan_template
where ended_at is null order by name
"""
