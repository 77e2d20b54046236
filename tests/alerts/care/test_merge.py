"""A plan of several templates alerts whenever one of them would have, and says what was decided."""

from collections.abc import Iterable, Mapping
from itertools import permutations
from random import Random
from typing import Any

import numpy as np
import pytest

from alerts.care.merge import Merged, MergeError, Named, merge
from alerts.care.plan_spec import PlanSpec
from alerts.care.record import DEFAULT_YELLOW
from alerts.care.template import DRAFTS
from devices.quantity import Quantity
from ingest.batch import DAY, HOUR
from ingest.dry_run.proposal import Proposal
from ingest.dry_run.rehearse import rehearse
from ingest.rules.plan import Rules
from tests.ingest.rules.stories import Sample, at, series_of

SINCE, DAYS = at(2026, 3, 15, 0), 30  # clocks change on 29 March
WEIGHT, STEPS = Quantity.BODY_WEIGHT, Quantity.STEPS


def spec(**parts: Any) -> PlanSpec:
    return PlanSpec.model_validate({"limits": [], **parts})


def limits(**bounds: float) -> PlanSpec:
    return spec(limits=[{"quantity": "systolic", **bounds}])


def rules(*given: Mapping[str, Any], **parts: Any) -> PlanSpec:
    return spec(rules=[{"quantity": "body_weight", **rule} for rule in given], **parts)


def merged(*specs: PlanSpec) -> Merged:
    return merge([Named("ABC"[number], one) for number, one in enumerate(specs)])


def reasons(*specs: PlanSpec) -> str:
    with pytest.raises(MergeError) as refused:
        merged(*specs)
    return "\n".join(refused.value.reasons)


def bounds(of: Merged) -> dict[str, float]:
    (limit,) = of.spec.limits
    return limit.model_dump(exclude={"quantity"}, exclude_none=True)


def test_one_template_stays_as_it_is() -> None:
    for draft in DRAFTS.values():
        assert merge([draft]) == Merged(draft.spec, ())
        assert merge([draft, draft]).spec == draft.spec


def test_of_two_limits_the_stricter_holds_and_is_told() -> None:
    made = merged(
        limits(yellow_low=100, red_low=90, yellow_high=160, red_high=180),
        limits(yellow_low=95, red_low=92, yellow_high=150, red_high=180.5),
    )
    assert bounds(made) == {"yellow_low": 100, "red_low": 92, "yellow_high": 150, "red_high": 180}
    assert made.notes == (
        "Systoliskt blodtryck: gul under 100 (A), strängare än 95 (B).",
        "Systoliskt blodtryck: gul från 150 (B), strängare än 160 (A).",
        "Systoliskt blodtryck: röd under 92 (B), strängare än 90 (A).",
        "Systoliskt blodtryck: röd från 180 (A), strängare än 180,5 (B).",
    )


def test_yellow_never_lies_beyond_the_red_of_another() -> None:
    made = merged(limits(yellow_high=160, yellow_low=80), limits(red_high=150, red_low=90))
    assert bounds(made) == {"yellow_high": 150, "red_high": 150, "yellow_low": 90, "red_low": 90}
    assert len(made.notes) == 2
    up = {"kind": "change", "days": 3}
    made = merged(rules({**up, "up": 3.0}), rules({**up, "up": 2.0, "level": 2}))
    assert [rule.strictness for rule in made.spec.rules] == [2.0, 2.0]
    assert "där är det redan rött" in made.notes[0]


def test_limits_that_leave_no_value_without_an_alert_are_a_persons_to_choose() -> None:
    told = reasons(limits(yellow_low=130), limits(yellow_high=125))
    assert "A och B larmar under 130 och från 125" in told


def test_of_two_rules_each_number_is_the_stricter() -> None:
    mean = {"kind": "rolling_mean", "days": 7}
    made = merged(
        rules({**mean, "high": 80.0, "readings_min": 12, "days_min": 3}),
        rules({**mean, "high": 81.0, "readings_min": 8, "days_min": 4}),
    )
    (rule,) = made.spec.rules
    assert rule.params() == {
        "quantity": "body_weight",
        "high": 80.0,
        "days": 7,
        "readings_min": 8,
        "days_min": 3,
    }
    assert len(made.notes) == 3
    missing = {"kind": "missing"}
    made = merged(
        rules({**missing, "interval_h": 24, "grace_h": 24}),
        rules({**missing, "interval_h": 48, "grace_h": 12}),
    )
    assert made.spec.rules[0].params()["interval_h"] == 24
    assert made.spec.rules[0].params()["grace_h"] == 12


@pytest.mark.parametrize(
    ("rule", "number", "stricter", "other"),
    [
        ({"kind": "repeat", "quantity": "systolic"}, "ask_min", 3.0, 5.0),
        ({"kind": "repeat", "quantity": "systolic"}, "wait_min", 20.0, 30.0),
        ({"kind": "baseline", "quantity": "steps"}, "recent_days_min", 3, 4),
        ({"kind": "baseline", "quantity": "steps"}, "percent", 70, 60),
    ],
)
def test_the_number_that_makes_an_alert_sooner_is_taken(
    rule: dict[str, Any], number: str, stricter: float, other: float
) -> None:
    for first, second in ((stricter, other), (other, stricter)):
        made = merged(rules({**rule, number: first}), rules({**rule, number: second}))
        assert made.spec.rules[0].params()[number] == stricter
        assert len(made.notes) == 1


def test_rules_that_cannot_be_compared_are_a_persons_to_choose() -> None:
    steps = {"kind": "baseline", "quantity": "steps"}
    told = reasons(rules(steps), rules({**steps, "baseline_days": 40}))
    assert "går inte att jämföra (baseline:steps:7d)" in told
    gained = {"kind": "change", "days": 3, "up": 2.0}
    lost = {"kind": "change", "days": 3, "down": 2.0}
    heavy = {"kind": "change", "days": 7, "up": 3.0}
    both = {"kind": "composite", "name": "both"}
    keys = [one.key for one in rules(gained, lost, heavy).rules]
    told = reasons(
        rules(gained, lost, {**both, "components": keys[:2]}),
        rules(gained, heavy, {**both, "components": keys[::2]}),
    )
    assert "composite:both" in told
    swapped = rules(gained, lost, {**both, "components": keys[1::-1]})
    assert len(merged(rules(gained, lost, {**both, "components": keys[:2]}), swapped).notes) == 0


def test_a_repeat_delays_no_red_that_another_template_makes_at_once() -> None:
    again = rules(
        {"kind": "repeat", "quantity": "systolic"},
        limits=[{"quantity": "systolic", "red_high": 180}],
    )
    made = merged(again, limits(red_high=180))
    assert made.spec.rules == ()
    assert made.notes[0].startswith("Omtag utgår: B larmar vid det första röda värdet.")
    assert len(merged(again, limits(yellow_high=150)).spec.rules) == 1
    other = spec(limits=[{"quantity": "pulse", "red_high": 120}])
    assert len(merged(again, other).spec.rules) == 1
    assert len(merged(again, again).spec.rules) == 1


def test_advice_of_both_is_kept_and_the_general_gives_way() -> None:
    pills = "Ta din extra tablett.\nRing Anna."
    own = rules({"kind": "change", "days": 3, "up": 2.0}, advice={"yellow": pills})
    made = merged(limits(yellow_high=150), own)
    assert made.spec.advice.yellow == pills
    rest = limits(yellow_high=150).model_copy(
        update={"advice": own.advice.model_copy(update={"yellow": "Vila.\nRing Anna."})}
    )
    made = merged(rest, own)
    assert made.spec.advice.yellow == "Vila.\nRing Anna.\nTa din extra tablett."
    assert "Råden vid gult kommer från flera mallar" in made.notes[0]
    assert merged(rest.model_copy(update={"advice": own.advice}), own).notes == ()
    assert merged(limits(yellow_high=150)).spec.advice.yellow == DEFAULT_YELLOW


def test_every_measurement_asked_for_is_asked_for_once() -> None:
    def asked(part: str, *weekdays: int) -> dict[str, Any]:
        return {"quantity": "systolic", "part": part, "weekdays": weekdays}

    first = spec(limits=[{"quantity": "systolic", "red_high": 180}], schedule=[asked("morning", 1)])
    second = first.model_copy(
        update={
            "schedule": spec(
                limits=[{"quantity": "systolic", "red_high": 180}],
                schedule=[asked("morning", 3), asked("evening", 3), asked("any", 1, 2, 3)],
            ).schedule
        }
    )
    made = merged(first, second).spec.schedule
    assert [(one.part.value, one.weekdays) for one in made] == [
        ("morning", (1, 3)),
        ("evening", (3,)),
        ("any", (2,)),
    ]


def test_what_is_too_much_together_is_refused_with_the_reason() -> None:
    many = [{"kind": "change", "days": day, "up": 2.0} for day in range(1, 40)]
    more = [{"kind": "change", "days": day, "down": 2.0} for day in range(1, 40)]
    assert "högst 50 regler" in reasons(rules(*many), rules(*more))
    daily = {"kind": "missing", "interval_h": 24}
    rarely = {"quantity": "body_weight", "weekdays": [1]}
    weekly = rules({"kind": "change", "days": 30, "up": 2.0}, schedule=[rarely])
    assert "påmind fast hon följer schemat" in reasons(rules(daily), weekly)


def _pick(random: Random, *values: Any) -> Any:
    return random.choice(values)


def draw(random: Random) -> PlanSpec:
    """Draw a template; keys are few, so that two of them meet."""
    days = _pick(random, 2, 3)
    k = _pick(random, 2, 3)
    mean = {"days": 4, "readings_min": _pick(random, 2, 4), "days_min": _pick(random, 1, 2)}
    fewer = {"days": 2, "baseline_days": 5, "percent": _pick(random, 70, 80, 90)}
    fewer |= {"valid_days_min": _pick(random, 2, 3), "recent_days_min": _pick(random, 1, 2)}
    pool: list[dict[str, Any]] = [
        {
            "kind": "k_of_n",
            "k": k,
            "n": 4,
            "high": _pick(random, 79.0, 80.0),
            "days": _pick(random, 2, 20),
        },
        {"kind": "change", "days": days, "up": _pick(random, 1.0, 2.0)},
        {"kind": "change", "days": days, "up": _pick(random, 2.0, 3.0), "level": 2},
        {"kind": "change", "days": days, "down": _pick(random, 1.0, 2.0)},
        {"kind": "rolling_mean", "high": _pick(random, 79.0, 79.5), **mean},
        {"kind": "rolling_mean", "low": _pick(random, 78.0, 78.5), **mean},
        {"kind": "baseline", "quantity": "steps", **fewer},
        {"kind": "baseline", "quantity": "steps", **fewer, "level": 0},
        {
            "kind": "composite",
            "name": "both",
            "level": _pick(random, 1, 2),
            "within_days": _pick(random, 1, 3),
            "components": [f"change:body_weight:up:{days}d", "baseline:steps:2d:part"],
        },
    ]
    chosen = [rule for rule in pool[:-2] if random.random() < 0.6]
    if pool[1] in chosen and random.random() < 0.7:
        chosen += pool[-2:]
    low, high = sorted(random.sample(range(75, 84), 2))
    given: dict[str, float] = {"yellow_low": low, "yellow_high": high}
    if random.random() < 0.6:
        given |= {"red_low": low - _pick(random, 0, 1), "red_high": high + _pick(random, 0, 2)}
    return rules(*chosen, limits=[{"quantity": "body_weight", **given}])


def history(random: Random) -> list[Sample]:
    samples = []
    for quantity, center, spread, share in ((WEIGHT, 79.0, 3.0, 1.5), (STEPS, 3000, 2500, 1.0)):
        for number in range(int(DAYS * share)):
            when = SINCE + int(number / share * DAY) + random.randrange(10) * HOUR
            value = round(center + random.uniform(-spread, spread), 1)
            key = (quantity.facts.id << 20 | number + 1).to_bytes(16)
            samples.append(Sample(3, quantity.facts.id, when, key, value))
    return samples


def found(plan: Rules, samples: Iterable[Sample]) -> dict[tuple[str, int], int]:
    """Return the worst level of each family and moment."""
    breached = rehearse(
        series_of(list(samples)), np.array([3]), Proposal.of(plan, SINCE), SINCE + DAYS * DAY
    )
    worst: dict[tuple[str, int], int] = {}
    for family, when, level in zip(
        breached.family.tolist(), breached.at.tolist(), breached.level.tolist(), strict=True
    ):
        key = (breached.families[family], when)
        worst[key] = max(level, worst.get(key, 0))
    return worst


@pytest.mark.parametrize("seed", range(40))
def test_nothing_that_a_template_would_have_said_is_unsaid(seed: int) -> None:
    random = Random(seed)
    samples = history(random)
    parts, made = agreeing(random)
    heard = found(made, samples)
    for part in parts:
        for key, level in found(part, samples).items():
            assert heard.get(key, -1) >= level, key
    for order in permutations(parts):  # whichever stands first
        assert found(merged(*order).spec, samples) == heard


def agreeing(random: Random) -> tuple[list[PlanSpec], PlanSpec]:
    """Draw templates until some can be one plan."""
    while True:
        parts = [draw(random) for _ in range(_pick(random, 2, 3))]
        try:
            return parts, merged(*parts).spec
        except MergeError as refused:
            told = refused.reasons
        assert all("utan larm" in why or "jämföra" in why for why in told), told
