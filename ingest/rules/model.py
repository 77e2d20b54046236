"""One rule as validated data. The impossible is refused, with the reason.

A rule's fields are what ``plan_rule.spec`` holds, by the names of its kind's PARAMS; ``level`` and
the key stand in columns of their own. Numbers are in the quantity's unit. What holds between
the rules of one plan is checked in ``ingest.rules.plan``.
"""

from abc import ABC, abstractmethod
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from devices.quantity import Quantity
from devices.reading import Status
from ingest.rules import missing
from ingest.rules.catalogue import family
from ingest.rules.limit import RED, YELLOW
from ingest.rules.refusal import refuse, require

PART: Final = 0  # the level of a rule that is only a part of a composite
DAYS_MAX: Final = 400  # a year and the month to compare it with; older says nothing of now
N_MAX: Final = 100
COMPONENTS_MAX: Final = 5
# A value of these is a whole day's: only of them a day's highest is a total.
OF_A_DAY: Final = (Quantity.STEPS, Quantity.SLEEP)
_SUFFIX: Final = {PART: ":part", YELLOW: "", RED: ":red"}


class BaseRule(BaseModel, ABC):
    """What every rule has."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    level: int = YELLOW
    quantity: Annotated[Quantity, Field(strict=False)]

    @model_validator(mode="after")
    def _level_is_one(self) -> Self:
        require(self.level in _SUFFIX, "Nivån är gul eller röd.", "The level is yellow or red.")
        return self

    @property
    @abstractmethod
    def stem(self) -> str:
        """The key without its level: yellow and red of one rule have it in common."""

    @property
    def strictness(self) -> float:
        """How far out its bound lies: of one stem, red is no nearer than yellow."""
        return 0.0

    @property
    def key(self) -> str:
        """The rule's key: ``change:body_weight:up:3d``; red and parts say so last."""
        return self.stem + _SUFFIX[self.level]

    @property
    def family(self) -> str:
        """Which alerts its breaches join."""
        return family(self.key, self.quantity.facts.id)

    def params(self) -> dict[str, Any]:
        """Return what stands in ``plan_rule.spec``."""
        return self.model_dump(mode="json", exclude={"kind", "level"}, exclude_none=True)


class _Sided(BaseRule):
    """A rule with one bound on one side."""

    low: float | None = None
    high: float | None = None

    @property
    def side(self) -> str:
        """Which bound it has."""
        return "high" if self.high is not None else "low"

    @property
    def strictness(self) -> float:
        """How far out its bound lies; of two on one side the greater is the further."""
        if self.high is not None:
            return self.high
        return -self.low if self.low is not None else 0.0

    @model_validator(mode="after")
    def _bound_can_be_reached(self) -> Self:
        for bound in (self.low, self.high):
            if bound is not None:
                check_bound(self.quantity, bound)
        return self


class KOfN(_Sided):
    """k of the last n readings beyond a bound, or with a status bit."""

    kind: Literal["k_of_n"] = "k_of_n"
    k: int
    n: int
    status: int | None = None
    days: int = 30

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        _one_of(self.low, self.high, self.status)
        require(
            1 <= self.k <= self.n,
            f"{self.k} av de senaste {self.n} kan aldrig inträffa.",
            f"{self.k} of the last {self.n} can never happen.",
        )
        require(
            self.n <= N_MAX,
            f"Högst de senaste {N_MAX} mätningarna kan räknas.",
            f"At most the last {N_MAX} readings can be counted.",
        )
        require(
            self.status in {None, int(Status.IRREGULAR_PULSE)},
            "Bara oregelbunden puls kan räknas så.",
            "Only an irregular pulse can be counted so.",
        )
        check_days(self.days)
        return self

    @property
    def stem(self) -> str:
        side = "irregular" if self.status is not None else self.side
        return f"k_of_n:{self.quantity}:{side}:{self.k}of{self.n}"


class Change(BaseRule):
    """A value against the lowest or highest of the days before."""

    kind: Literal["change"] = "change"
    days: int
    up: float | None = None
    down: float | None = None

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        _one_of(self.up, self.down)
        check_days(self.days)
        facts = self.quantity.facts
        require(
            0 < self.strictness < facts.hard_high - facts.hard_low,
            f"En ändring på {self.strictness:g} {facts.unit_shown} kan inte vara en gräns.",
            f"A change of {self.strictness:g} {facts.unit_shown} cannot be a limit.",
        )
        return self

    @property
    def strictness(self) -> float:
        """How far out its bound lies."""
        return next(bound for bound in (self.up, self.down) if bound is not None)

    @property
    def stem(self) -> str:
        side = "up" if self.up is not None else "down"
        return f"change:{self.quantity}:{side}:{self.days}d"


class RollingMean(_Sided):
    """The mean over days, the first dropped."""

    kind: Literal["rolling_mean"] = "rolling_mean"
    days: int = 7
    readings_min: int = 12
    days_min: int = 3

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        _one_of(self.low, self.high)
        check_days(self.days)
        require(
            self.readings_min >= 1,
            "Medelvärdet behöver minst en mätning.",
            "The mean needs at least one reading.",
        )
        require(
            1 <= self.days_min < self.days,
            f"{self.days_min} dygn med mätningar ryms inte i {self.days} dygn, när det första "
            "inte räknas.",
            f"{self.days_min} days with readings do not fit into {self.days} days, when the "
            "first does not count.",
        )
        return self

    @property
    def stem(self) -> str:
        return f"rolling_mean:{self.quantity}:{self.side}:{self.days}d"


class Baseline(BaseRule):
    """The last days against the patient's own usual ones."""

    kind: Literal["baseline"] = "baseline"
    days: int = 7
    baseline_days: int = 28
    percent: int = 60
    valid_days_min: int = 14
    recent_days_min: int = 4

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        require(
            self.level != RED,
            "Det egna vanliga värdet kan inte ensamt ge rött. Låt det ingå i en kombination.",
            "One's own usual value cannot make red alone. Make it part of a combination.",
        )
        require(
            self.quantity in OF_A_DAY,
            f"{self.quantity.facts.name_sv} räknas inte per dygn.",
            f"{self.quantity.facts.name_en} is not counted by the day.",
        )
        check_days(self.days)
        check_days(self.baseline_days)
        check_days(self.days + self.baseline_days)
        require(
            1 <= self.percent < 100,  # noqa: PLR2004 - all of it
            f"{self.percent} % av det vanliga är ingen minskning.",
            f"{self.percent} % of the usual is no decrease.",
        )
        require(
            1 <= self.valid_days_min <= self.baseline_days
            and 1 <= self.recent_days_min <= self.days,
            "Så många dygn med mätningar ryms inte.",
            "So many days with readings do not fit.",
        )
        return self

    @property
    def stem(self) -> str:
        return f"baseline:{self.quantity}:{self.days}d"


class Missing(BaseRule):
    """A measurement that is expected and not there."""

    kind: Literal["missing"] = "missing"
    interval_h: float
    grace_h: float | None = None

    @model_validator(mode="before")
    @classmethod
    def _usual_grace(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("grace_h") is None:
            interval = given.get("interval_h")
            if isinstance(interval, (int, float)) and not isinstance(interval, bool):
                return {**given, "grace_h": missing.grace_h(float(interval))}
        return given

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        require(
            self.level != RED,
            "En utebliven mätning kan inte ge rött.",
            "A missing measurement cannot make red.",
        )
        require(
            self.interval_h >= 1,
            "Oftare än en gång i timmen kan en mätning inte väntas.",
            "A measurement cannot be expected more often than once an hour.",
        )
        grace = self.grace_h or 0.0
        require(grace >= 0, "Tiden att vänta är noll eller mer.", "The grace is zero or more.")
        check_days((self.interval_h + grace) / 24)
        return self

    @property
    def stem(self) -> str:
        return f"missing:{self.quantity}"


class Repeat(BaseRule):
    """A red or doubted single is measured once more."""

    kind: Literal["repeat"] = "repeat"
    level: int = RED
    ask_min: float = 5
    wait_min: float = 30

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        require(self.level == RED, "Ett omtag gäller rött.", "A repeat is about red.")
        first = Quantity(quantity_of(f"repeat:{self.quantity.facts.panel}"))
        require(
            self.quantity is first,
            f"Ett omtag anges för {first.facts.name_sv.lower()}.",
            f"A repeat is stated for {first.facts.name_en.lower()}.",
        )
        require(
            self.wait_min > 0,
            "Utan tid att vänta finns inget omtag.",
            "Without time to wait there is no repeat.",
        )
        require(
            0 <= self.ask_min < self.wait_min <= 24 * 60,
            "Omtaget begärs innan väntan är slut, och väntan är högst ett dygn.",
            "The repeat is asked for before the wait ends, and the wait is a day at most.",
        )
        return self

    @property
    def key(self) -> str:
        """Repeats are always red: the key need not say so."""
        return self.stem

    @property
    def stem(self) -> str:
        return f"repeat:{self.quantity.facts.panel}"


class Composite(BaseRule):
    """Several rules of one plan at once."""

    kind: Literal["composite"] = "composite"
    level: int = RED
    name: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,40}$")]
    components: Annotated[tuple[str, ...], Field(strict=False)]
    within_days: float = 3

    @model_validator(mode="before")
    @classmethod
    def _quantity_of_first(cls, given: Any) -> Any:
        if isinstance(given, dict) and "quantity" not in given and given.get("components"):
            return {**given, "quantity": quantity_of(str(given["components"][0]))}
        return given

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        require(
            self.level != PART,
            "En kombination kan inte ingå i en annan.",
            "A combination cannot be part of another.",
        )
        count = len(set(self.components))
        require(
            2 <= count == len(self.components) <= COMPONENTS_MAX,  # noqa: PLR2004 - one is none
            f"En kombination är av två till {COMPONENTS_MAX} olika regler.",
            f"A combination is of two to {COMPONENTS_MAX} different rules.",
        )
        check_days(self.within_days)
        return self

    @property
    def stem(self) -> str:
        return f"composite:{self.name}"

    @property
    def key(self) -> str:
        """A composite is yellow or red under one name."""
        return self.stem


Rule = Annotated[
    KOfN | Change | RollingMean | Baseline | Missing | Repeat | Composite,
    Field(discriminator="kind"),
]


def quantity_of(rule_key: str) -> str:
    """Return the quantity a key names; of a panel its first; '' where it names none."""
    named = rule_key.split(":")[1:2]
    return next((q for q in Quantity if named in ([q.value], [q.facts.panel.value])), "")


def check_bound(quantity: Quantity, bound: float) -> None:
    """Refuse a bound that no plausible value is beyond, or every one."""
    facts = quantity.facts
    require(
        facts.hard_low < bound <= facts.hard_high,
        f"{quantity.facts.name_sv}: gränsen {bound:g} ligger utanför det som kan mätas "
        f"({facts.hard_low:g} till {facts.hard_high:g} {facts.unit_shown}).",
        f"{quantity.facts.name_en}: the limit {bound:g} lies outside of what can be measured "
        f"({facts.hard_low:g} to {facts.hard_high:g} {facts.unit_shown}).",
    )


def check_days(days: float) -> None:
    """Refuse a window that is empty, or too long to say anything of now."""
    require(days > 0, "Tiden är minst ett dygn.", "The time is a day at least.")
    require(
        days <= DAYS_MAX,
        f"Tiden är högst {DAYS_MAX} dygn.",
        f"The time is {DAYS_MAX} days at most.",
    )


def _one_of(*bounds: float | None) -> None:
    if sum(bound is not None for bound in bounds) != 1:
        refuse("Regeln har precis en gräns.", "The rule has exactly one limit.")
