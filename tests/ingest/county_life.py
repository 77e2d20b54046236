"""What may happen in a county, and all that is known of it: in memory, and in the database."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from devices.quantity import Quantity
from ingest.batch import NO_SLOT, microseconds
from ingest.registry import Registry
from ingest.rules.limit import IDS_MAX
from tests.ingest.county import GATEWAY, LIMITS, NOW, County

FOREVER = np.iinfo(np.int64).max
DEVICES = ("A", "B", "C" * 64, "D:1")
GATEWAYS = ("g-1", "g-2", "g-" + "3" * 60)
KINDS = {
    "k_of_n": ('{"quantity": "systolic", "k": 3, "n": 5, "high": 140, "days": 30}', 1),
    "change": ('{"quantity": "body_weight", "days": 3, "up": 2}', 1),
    "missing": ('{"quantity": "body_weight", "interval_h": 24}', 1),
}


def _time(moment: datetime | None) -> int:
    return FOREVER if moment is None else int(microseconds([moment])[0])


def remembered(registry: Registry, patients: list[int]) -> dict[str, Any]:
    """Return, in plain words, all that a registry says of the county."""
    # Neither the order nor repeats may matter.
    wanted = np.array([*patients[::-1], *patients], np.int64)
    loans = registry.loans_of([*DEVICES, "unknown"])
    limits = registry.limits_of(wanted)
    rows, quantities = np.divmod(limits.key, IDS_MAX)
    bounds = [limits.yellow_low, limits.yellow_high, limits.red_low, limits.red_high]
    rules = {kind: registry.rules_of(kind, wanted) for kind in KINDS}
    assert (np.diff(limits.key) > 0).all()
    return {
        "gateways": registry.known_gateways([*GATEWAYS, "unknown", GATEWAY + "x", GATEWAY]),
        "loans": sorted(
            zip(
                [DEVICES[n] for n in loans.device.tolist()],
                *(
                    column.tolist()
                    for column in (
                        loans.slot,
                        loans.lent_from,
                        loans.returned_at,
                        loans.patient,
                        loans.loan,
                    )
                ),
                strict=True,
            )
        ),
        "versions": list(
            zip(
                limits.patient.tolist(),
                limits.in_force_from.tolist(),
                limits.version.tolist(),
                strict=True,
            )
        ),
        "limits": [
            (int(limits.version[row]), int(quantity), *(float(bound[n]) for bound in bounds))
            for n, (row, quantity) in enumerate(zip(rows, quantities, strict=True))
        ],
        "rules": [
            (
                int(found.version[n]),
                found.keys[int(found.key[n])],
                int(found.patient[n]),
                int(found.in_force_from[n]),
                int(found.in_force_until[n]),
                int(found.level[n]),
                int(found.quantity[n]),
            )
            for found in rules.values()
            for n in range(len(found))
        ],
        "with rules": {kind: registry.patients_with(kind).tolist() for kind in KINDS},
        "paused": [
            (patient, hour)
            for patient in patients
            for hour in range(-30, 30, 3)
            if registry.paused(
                np.array([patient]), microseconds([NOW + timedelta(hours=hour)])
            ).item()
        ],
    }


def written(county: County, patients: list[int]) -> dict[str, Any]:
    """Return the same from the database, row by row."""
    versions = county.rows(
        "select patient_id, in_force_from, plan_version_id from plan_version"
        " where patient_id = any(%s) order by patient_id, in_force_from",
        patients,
    )
    return {
        "gateways": {
            row[0]
            for row in county.rows(
                "select gateway_id from gateway where retired_at is null or retired_at > now()"
            )
        },
        "loans": sorted(
            (device, NO_SLOT if slot is None else slot, _time(since), _time(end), patient, loan)
            for device, slot, since, end, patient, loan in county.rows(
                "select device_id, slot, lent_from, returned_at, patient_id, loan_id"
                " from device_loan where device_id = any(%s)",
                list(DEVICES),
            )
        ),
        "versions": [(patient, _time(since), version) for patient, since, version in versions],
        "limits": [
            (row[0], row[1], *(float("nan") if bound is None else bound for bound in row[2:]))
            for _, _, version in versions
            for row in county.rows(
                "select plan_version_id, quantity_id, yellow_low, yellow_high, red_low, red_high"
                " from plan_limit where plan_version_id = %s order by quantity_id",
                version,
            )
        ],
        **_rules_written(county, versions),
        "paused": [
            (patient, hour)
            for patient in patients
            for hour in range(-30, 30, 3)
            if county.one(
                "select exists (select from patient_pause where patient_id = %s"
                " and from_at <= %s and until_at > %s)",
                patient,
                NOW + timedelta(hours=hour),
                NOW + timedelta(hours=hour),
            )
        ],
    }


def _rules_written(county: County, versions: list[tuple[Any, ...]]) -> dict[str, Any]:
    """Return the rules of *versions*, (patient, since, version) each, and who has any."""
    of_patient = {version: (patient, since) for patient, since, version in versions}
    until = {
        version: min(
            (other for p, other, _ in versions if p == patient and other > since), default=None
        )
        for patient, since, version in versions
    }
    rules = [
        (kind, version, key, level, spec)
        for kind in KINDS
        for version in of_patient
        for key, level, spec in county.rows(
            "select rule_key, level, spec from plan_rule"
            ' where kind = %s and plan_version_id = %s order by rule_key collate "C"',
            kind,
            version,
        )
    ]
    return {
        "rules": [
            (
                version,
                key,
                of_patient[version][0],
                _time(of_patient[version][1]),
                _time(until[version]),
                level,
                Quantity(spec["quantity"]).facts.id,
            )
            for _, version, key, level, spec in rules
        ],
        "with rules": {
            kind: sorted({of_patient[version][0] for k, version, *_ in rules if k == kind})
            for kind in KINDS
        },
    }


class Life:
    """What happens in a county, by chance."""

    def __init__(self, county: County, seed: int) -> None:
        self._county = county
        self._random = random.Random(seed)
        self.patients = [county.patient_id]

    def happens(self) -> str:
        what: Callable[[], None] = self._random.choice(
            [
                self.moves_in,
                self.plan_changes,
                self.plan_changes,
                self.limit_is_corrected,
                self.rule_goes,
                self.borrows,
                self.returns,
                self.pauses,
                self.comes_back_early,
                self.gateway_changes,
                self.much_changes,
                self.changes_are_forgotten,
            ]
        )
        what()
        return what.__name__

    def moves_in(self) -> None:
        self.patients.append(self._county.add_patient())

    def plan_changes(self) -> None:
        since = NOW + timedelta(minutes=self._random.randint(-(10**6), 10**5))
        with self._county.connection.transaction():
            version = self._county.plan(self._anyone(), since, dict(self._some(LIMITS)))
            for kind, (spec, level) in self._some(KINDS):
                for key in self._some({f"{kind}:a": 0, f"{kind}:b": 0, f"{kind}:B": 0}):
                    self._county.connection.execute(
                        "insert into plan_rule values (%s, %s, %s, %s, %s)",
                        [version, key[0], kind, level, spec],
                    )

    def limit_is_corrected(self) -> None:
        self._do("update plan_limit set yellow_high = red_high - 1 where plan_version_id = (%s)")

    def rule_goes(self) -> None:
        self._do("delete from plan_rule where plan_version_id = (%s)")

    def borrows(self) -> None:
        self._county.lend(
            self._random.choice(DEVICES), self._anyone(), slot=self._random.choice([None, 1, 2])
        )

    def returns(self) -> None:
        self._county.connection.execute(
            "update device_loan set returned_at = now() where device_id = %s",
            [self._random.choice(DEVICES)],
        )

    def pauses(self) -> None:
        since = NOW + timedelta(hours=self._random.randint(-30, 20))
        self._county.connection.execute(
            "insert into patient_pause (patient_id, from_at, until_at) values (%s, %s, %s)",
            [self._anyone(), since, since + timedelta(hours=self._random.randint(1, 9))],
        )

    def comes_back_early(self) -> None:
        self._county.connection.execute(
            "update patient_pause set until_at = from_at + interval '1 hour' where patient_id = %s",
            [self._anyone()],
        )

    def gateway_changes(self) -> None:
        self._county.connection.execute(
            "insert into gateway (gateway_id, retired_at) values (%(id)s, %(at)s)"
            " on conflict (gateway_id) do update set retired_at = %(at)s",
            {
                "id": self._random.choice(GATEWAYS),
                "at": self._random.choice([None, NOW - timedelta(days=1), NOW + timedelta(days=1)]),
            },
        )

    def much_changes(self) -> None:
        self._county.connection.execute(
            "select registry_note('gateway', array_agg(n::text)) from generate_series(1, 10001) n"
        )

    def changes_are_forgotten(self) -> None:
        with self._county.connection.transaction():
            self._county.connection.execute("delete from registry_change")
            self._county.connection.execute("update registry set forgotten = revision")

    def _anyone(self) -> int:
        return self._random.choice(self.patients)

    def _some(self, things: dict[Any, Any]) -> list[tuple[Any, Any]]:
        return [item for item in things.items() if self._random.random() < 0.6]

    def _do(self, statement: str) -> None:
        newest = "select max(plan_version_id) from plan_version where patient_id = %s"
        self._county.connection.execute(statement % newest, [self._anyone()])
