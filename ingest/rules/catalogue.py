"""The one table of rule kinds: where each is, what its parameters are, and who looks at it when."""

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

from devices.quantity import BY_ID, Quantity
from ingest.rules import baseline, change, composite, k_of_n, missing, repeat, rolling_mean


class Looked(enum.StrEnum):
    """When a rule of a kind is looked at."""

    AT_READING = "reading"  # in the transaction that stores the reading
    BY_CLOCK = "clock"  # at moments of its own
    AT_REPEAT = "repeat"  # when a second reading comes, or none has
    AT_BREACH = "breach"  # after other rules have found something


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of rule; its module has ``evaluate`` (repeat: ``decide``) and ``reach``."""

    name: str
    module: ModuleType
    looked: Looked
    family: str  # of its alerts; the panel or the rule's own name stands after the colon

    @property
    def params(self) -> tuple[str, ...]:
        """Columns of RuleRows.params, and keys of plan_rule.spec."""
        names: tuple[str, ...] = self.module.PARAMS
        return names

    @property
    def extra(self) -> tuple[str, ...]:
        """Columns of Findings.extra."""
        names: tuple[str, ...] = self.module.EXTRA
        return names

    @property
    def is_clocked(self) -> bool:
        """Whether the clock looks at it at moments of its own."""
        return self.looked is Looked.BY_CLOCK


_ALL = (
    Kind(name="repeat", module=repeat, looked=Looked.AT_REPEAT, family="limit"),
    Kind(name="k_of_n", module=k_of_n, looked=Looked.AT_READING, family="limit"),
    Kind(name="change", module=change, looked=Looked.AT_READING, family="trend"),
    Kind(name="rolling_mean", module=rolling_mean, looked=Looked.BY_CLOCK, family="trend"),
    Kind(name="baseline", module=baseline, looked=Looked.BY_CLOCK, family="trend"),
    Kind(name="missing", module=missing, looked=Looked.BY_CLOCK, family="missing"),
    Kind(name="composite", module=composite, looked=Looked.AT_BREACH, family="composite"),
)
# Parameters that a rule may leave out: it has one of its bounds, or the usual grace.
_OPTIONAL: Final = frozenset({"low", "high", "status", "up", "down", "grace_h"})
KINDS: Final[Mapping[str, Kind]] = {kind.name: kind for kind in _ALL}


def kind_of(rule_key: str) -> str:
    """Return the kind of a rule by its key; '' is a limit."""
    return rule_key.partition(":")[0] or "limit"


def family(rule_key: str, quantity_id: int) -> str:
    """Return which alerts a breach of this rule joins: ``limit:blood_pressure``.

    What is measured in one act and asks for one kind of attention is one episode. A composite's
    key is its own family.
    """
    kind = kind_of(rule_key)
    if kind == "composite":
        return rule_key
    name = "limit" if kind == "limit" else KINDS[kind].family
    return f"{name}:{BY_ID[quantity_id].facts.panel}"


def columns(kind: str, spec: Mapping[str, Any]) -> tuple[int, tuple[float, ...]]:
    """Read a rule's numbers from plan_rule.spec, which ``ingest.rules.model`` wrote.

    Returns:
        The quantity's id, and the parameters in the order of the kind's PARAMS; NaN: not given.

    Raises:
        ValueError: The kind or the quantity is unknown, or a parameter is no number or not there.
    """
    if kind not in KINDS:
        problem = f"no rule kind {kind!r}"
        raise ValueError(problem)
    given = [spec.get(name) for name in KINDS[kind].params]
    absent = [
        name
        for name, one in zip(KINDS[kind].params, given, strict=True)
        if one is None and name not in _OPTIONAL
    ]
    if absent:
        problem = f"{kind}: no {', '.join(absent)} in {spec}"
        raise ValueError(problem)
    if any(isinstance(one, (str, bool, list, dict)) for one in given):
        problem = f"{kind}: a parameter is no number in {spec}"
        raise ValueError(problem)
    params = tuple(math.nan if one is None else float(one) for one in given)
    return Quantity(str(spec.get("quantity"))).facts.id, params
