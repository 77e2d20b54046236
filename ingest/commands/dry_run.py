"""``dry-run``: how many alerts a proposed plan would have made of what was measured."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import cyclopts
from pydantic import ValidationError

from ingest.commands.console import ConfigFile, Connection, ask, configured, fail
from ingest.commands.tables import counted
from ingest.dry_run import DryRun, dry_run
from ingest.dry_run.run import DAYS
from ingest.rules.limit import RED
from ingest.rules.plan import Rules
from ingest.rules.templates import TEMPLATES

app = cyclopts.App(name="dry-run", help="What a proposed plan would have made of past readings.")

SHOWN = 20  # lines of a terminal
# Readings are kept for ten years, if nothing else is said.
DAYS_MAX = 3_653
PATIENT_MAX = 2**63 - 1  # a bigint

_PATIENTS = """
select patient_id from patient
where case when %(asked)s::bigint[] is null then not is_canary
    else patient_id = any (%(asked)s::bigint[]) end
"""


@app.default
def dry_run_command(
    *,
    rules: Path | None = None,
    template: str = "",
    patient: Annotated[list[int] | None, cyclopts.Parameter(negative="")] = None,
    days: int = DAYS,
    config: ConfigFile = None,
) -> None:
    """Count the alerts that proposed rules would have made; nothing is written.

    Args:
        rules: JSON with ``limits`` and ``rules``: docs/rules.md, "As JSON".
        template: Or one of ours: blood_pressure, heart_failure.
        patient: Whose; may be given more than once. Without it: everybody but the canary.
        days: How far back.
        config: ingest's TOML file.
    """
    if not 1 <= days <= DAYS_MAX:
        fail(f"--days: from 1 to {DAYS_MAX:,}")
    proposed = _proposed(rules, template)
    now = datetime.now(UTC)

    async def question(connection: Connection) -> DryRun:
        asked = None if patient is None else [one for one in patient if 0 < one <= PATIENT_MAX]
        cursor = await connection.execute(_PATIENTS, {"asked": asked})
        ids = [row[0] for row in await cursor.fetchall()]
        if unknown := sorted({*(patient or [])} - {*ids}):
            fail(f"--patient: nobody has the number {', '.join(map(str, unknown))}")
        return await dry_run(connection, ids, proposed, until=now, days=days)

    print(_told(ask(configured(config), question)))


def _proposed(path: Path | None, template: str) -> Rules:
    if (path is None) == (not template):
        fail("give --rules FILE or --template NAME")
    if path is None:
        found = TEMPLATES.get(template)
        return found or fail(f"--template: none is called {template} → {', '.join(TEMPLATES)}")
    try:
        rules = Rules.model_validate_json(path.read_bytes())
    except OSError as error:
        fail(f"--rules: {path} cannot be read ({error.strerror})")
    except ValidationError as error:
        reasons = [
            ": ".join(filter(None, (".".join(map(str, one["loc"])), one["msg"])))
            for one in error.errors()
        ]
        fail("\n".join((f"--rules: {path} is no plan", *reasons)))
    if not (rules.limits or rules.rules):
        fail(f"--rules: {path} has neither limits nor rules → docs/rules.md shows some")
    return rules


def _told(run: DryRun) -> str:
    patients = counted(run.patients, "patient")
    if not run.samples:
        return f"{patients} measured nothing of this in the last {counted(run.days, 'day')}"
    lines = [
        f"{patients}, {counted(run.days, 'day')}, {counted(run.samples, 'value')}:",
        (
            f"{counted(run.total, 'alert')} ({run.red:,} red, {run.yellow:,} yellow),"
            f" {run.per_patient_week:.2f} for a patient in a week"
        ),
        *(f"  {count:>7,}  {family}" for family, count in run.by_family.items()),
    ]
    shown = run.alerts[:SHOWN]
    width = max((len(str(alert.patient_id)) for alert in shown), default=0)
    for alert in shown:
        level = "red   " if alert.level == RED else "yellow"
        who = f"{alert.patient_id:>{width}}"
        lines.append(f"{alert.at:%Y-%m-%d %H:%M}Z  {level}  {who}  {alert.sentence_en}")
    if run.total > SHOWN:
        lines.append(f"… and {run.total - SHOWN:,} earlier ones")
    return "\n".join(lines)
