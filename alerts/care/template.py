"""Templates: plans for a diagnosis that a clinician has approved, and one plan made of several.

A template that nobody approved is none. It is its huvudman's: a coordinator there who gives care
herself approves it and takes it out of use. A new version ends the one before it; plans that came
of that one are their patients' and stay as they are.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from alerts.audit.chain import append
from alerts.audit.entry import Action, Entry
from alerts.care.merge import Merged, Named, merge
from alerts.care.organisation import Function
from alerts.care.people import Viewer
from alerts.care.plan_spec import Measuring, Part, PlanSpec
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


class Refusal(enum.Enum):
    """Why nothing was done."""

    NOT_YOURS = "not_yours"  # she does not approve templates, or there is none of that key
    CHANGED = "changed"  # another version is in use than the one that was seen


def is_approver(viewer: Viewer) -> bool:
    """Tell whether *viewer* answers for what a whole huvudman proposes to its patients."""
    return viewer.gives_care and Function.COORDINATOR in viewer.functions


async def approve(
    connection: Connection,
    viewer: Viewer,
    key: str,
    plan: Named,
    *,
    seen_version: int | None,
    now: datetime,
) -> int | Refusal:
    """Put a template in use, in the place of the version that was seen; return its version."""
    if not is_approver(viewer):
        return Refusal.NOT_YOURS
    async with connection.transaction():
        if await _hold(connection, viewer, key) != seen_version:
            return Refusal.CHANGED
        await _end(connection, viewer, key, now)
        cursor = await connection.execute(
            _APPROVE,
            {
                "key": key,
                "name": plan.name,
                "spec": Jsonb(plan.spec.as_json()),
                "unit_id": viewer.unit_id,
                "by": f"{viewer.name}, {viewer.role}",
                "now": now,
            },
        )
        row = await cursor.fetchone()
        assert row is not None
        await _log(connection, viewer, Action.TEMPLATE_APPROVED, key, row[0])
    return int(row[0])


async def retire(
    connection: Connection, viewer: Viewer, key: str, *, seen_version: int, now: datetime
) -> Refusal | None:
    """Take the version that was seen out of use."""
    if not is_approver(viewer):
        return Refusal.NOT_YOURS
    async with connection.transaction():
        version = await _hold(connection, viewer, key)
        if version != seen_version:
            return Refusal.NOT_YOURS if version is None else Refusal.CHANGED
        await _end(connection, viewer, key, now)
        await _log(connection, viewer, Action.TEMPLATE_RETIRED, key, version)
    return None


async def in_use(connection: Connection, viewer: Viewer) -> list[Template]:
    """Return the approved templates of the viewer's huvudman, by name."""
    cursor = connection.cursor(row_factory=class_row(Template))
    await cursor.execute(_IN_USE, {"unit_id": viewer.unit_id})
    return await cursor.fetchall()


async def _hold(connection: Connection, viewer: Viewer, key: str) -> int | None:
    """Let nobody else change templates meanwhile; return the version that is in use."""
    await connection.execute("lock table plan_template in share row exclusive mode")
    cursor = await connection.execute(_VERSION, {"unit_id": viewer.unit_id, "key": key})
    row = await cursor.fetchone()
    return None if row is None else int(row[0])


async def _end(connection: Connection, viewer: Viewer, key: str, now: datetime) -> None:
    values = {"unit_id": viewer.unit_id, "key": key, "now": now, "by": viewer.staff_id}
    await connection.execute(_END, values)


async def _log(
    connection: Connection, viewer: Viewer, action: Action, key: str, version: int
) -> None:
    detail = {"template": key, "version": version}
    await append(connection, Entry.by(viewer, action, Function.COORDINATOR, detail=detail))


async def combine(connection: Connection, viewer: Viewer, keys: Sequence[str]) -> Combined:
    """Make one plan of her huvudman's approved templates of *keys*, at least one.

    Raises:
        NoTemplateError: One of them is not there, or not approved.
        alerts.care.merge.MergeError: They cannot be one plan before a person has chosen.
        pydantic.ValidationError: One was approved when another rule held.
    """
    found = {template.key: template for template in await in_use(connection, viewer)}
    absent = [key for key in keys if key not in found]
    if absent or not keys:
        raise NoTemplateError(", ".join(absent))
    chosen = [found[key] for key in dict.fromkeys(keys)]
    merged = merge([template.named() for template in chosen])
    return Combined(merged, tuple(template.origin for template in chosen))


_OWN: Final = """
(t.huvudman_id = (select huvudman_id from unit where unit_id = %(unit_id)s)
 or t.unit_id = %(unit_id)s)
"""
_VERSION: Final = f"""
select version from plan_template t where key = %(key)s and ended_at is null and {_OWN}
order by version desc
"""  # noqa: S608 - our own text
_END: Final = f"""
update plan_template t set ended_at = %(now)s, ended_by = %(by)s
where key = %(key)s and ended_at is null and {_OWN}
"""  # noqa: S608 - our own text
_APPROVE: Final = """
insert into plan_template
    (key, version, huvudman_id, unit_id, name, spec, approved_by, approved_at)
select %(key)s,
       (select coalesce(max(version), 0) + 1 from plan_template where key = %(key)s),
       u.huvudman_id, case when u.huvudman_id is null then u.unit_id end,
       %(name)s, %(spec)s, %(by)s, %(now)s
from unit u where u.unit_id = %(unit_id)s
returning version
"""
_IN_USE: Final = f"""
select template_id, key, version, name, spec, approved_by, approved_at from plan_template t
where ended_at is null and {_OWN} order by name, version
"""  # noqa: S608 - our own text
