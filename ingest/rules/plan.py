"""The rules of one plan version: its limits and its other rules, and what holds between them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from devices.quantity import BY_ID, Quantity
from ingest.rules.limit import RED, YELLOW
from ingest.rules.model import PART, Composite, Rule, check_bound
from ingest.rules.refusal import require

RULES_MAX: Final = 50  # more cannot be agreed with a person


class LimitRow(NamedTuple):
    """A row of ``plan_limit``."""

    quantity_id: int
    yellow_low: float | None
    yellow_high: float | None
    red_low: float | None
    red_high: float | None


class RuleRow(NamedTuple):
    """A row of ``plan_rule``."""

    rule_key: str
    kind: str
    level: int
    spec: Mapping[str, Any]


class Limit(BaseModel):
    """The bounds of one quantity, in its unit; none: no such bound."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    quantity: Annotated[Quantity, Field(strict=False)]
    yellow_low: float | None = None
    yellow_high: float | None = None
    red_low: float | None = None
    red_high: float | None = None

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        bounds = (self.red_low, self.yellow_low, self.yellow_high, self.red_high)
        given = [bound for bound in bounds if bound is not None]
        name_sv, name_en = self.quantity.facts.name_sv, self.quantity.facts.name_en
        require(bool(given), f"{name_sv} har ingen gräns.", f"{name_en} has no limit.")
        for bound in given:
            check_bound(self.quantity, bound)
        require(
            given == sorted(given) and not self._sides_meet(),
            f"{name_sv}: gränserna går från röd låg till röd hög, med gul innanför röd.",
            f"{name_en}: limits go from red low to red high, with yellow within red.",
        )
        return self

    def _sides_meet(self) -> bool:
        low = self.yellow_low if self.yellow_low is not None else self.red_low
        high = self.yellow_high if self.yellow_high is not None else self.red_high
        return low is not None and high is not None and low >= high

    def row(self) -> LimitRow:
        """Return its row of ``plan_limit``."""
        return LimitRow(
            self.quantity.facts.id, self.yellow_low, self.yellow_high, self.red_low, self.red_high
        )


class Rules(BaseModel):
    """The whole of a plan version that is judged by."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    limits: Annotated[tuple[Limit, ...], Field(strict=False)] = ()
    rules: Annotated[tuple[Rule, ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        require(
            len(self.rules) <= RULES_MAX,
            f"En plan har högst {RULES_MAX} regler.",
            f"A plan has at most {RULES_MAX} rules.",
        )
        of_quantity = Counter(limit.quantity for limit in self.limits)
        for quantity, count in of_quantity.items():
            require(
                count == 1,
                f"{quantity.facts.name_sv} har fler än en uppsättning gränser.",
                f"{quantity.facts.name_en} has more than one set of limits.",
            )
        for key, count in Counter(rule.key for rule in self.rules).items():
            require(count == 1, f"Två regler är samma: {key}.", f"Two rules are the same: {key}.")
        self._yellow_is_within_red()
        self._parts_are_there()
        return self

    def _yellow_is_within_red(self) -> None:
        red = {rule.stem: rule for rule in self.rules if rule.level == RED}
        for yellow in self.rules:
            other = red.get(yellow.stem)
            if yellow.level != YELLOW or other is None:
                continue
            require(
                yellow.strictness <= other.strictness,
                f"Den gula gränsen ligger bortom den röda: {yellow.key}.",
                f"The yellow limit lies beyond the red one: {yellow.key}.",
            )

    def _parts_are_there(self) -> None:
        by_key = {rule.key: rule for rule in self.rules}
        used: set[str] = set()
        for rule in self.rules:
            if not isinstance(rule, Composite):
                continue
            for component in rule.components:
                used.add(component)
                require(
                    component in by_key,
                    f"Kombinationen {rule.name} nämner en regel som inte finns: {component}.",
                    f"The combination {rule.name} names a rule that is not there: {component}.",
                )
                require(
                    not isinstance(by_key[component], Composite),
                    f"Kombinationen {rule.name} kan inte ha en kombination i sig.",
                    f"The combination {rule.name} cannot have a combination in it.",
                )
        for rule in self.rules:
            require(
                rule.level != PART or rule.key in used,
                f"Regeln {rule.key} syns aldrig: ingen kombination har den.",
                f"The rule {rule.key} would never show: no combination has it.",
            )

    @classmethod
    def load(cls, limits: Iterable[LimitRow], rules: Iterable[RuleRow]) -> Self:
        """Read a plan version from its rows.

        Raises:
            pydantic.ValidationError: It could not be; ``ingest.rules.refusal`` has the reasons.
        """
        return cls.model_validate(
            {
                "limits": [
                    dict(zip(("quantity", *LimitRow._fields[1:]), row, strict=True))
                    | {"quantity": BY_ID[row[0]]}
                    for row in limits
                ],
                "rules": [{**row[3], "kind": row[1], "level": row[2]} for row in rules],
            }
        )

    def dump(self) -> tuple[list[LimitRow], list[RuleRow]]:
        """Return the rows of ``plan_limit`` and ``plan_rule``."""
        return (
            [limit.row() for limit in self.limits],
            [RuleRow(rule.key, rule.kind, rule.level, rule.params()) for rule in self.rules],
        )
