"""Every rule kind once more: one row at a time, in exact decimals, from the law; no numpy.

Slow and obvious on purpose. Nothing here is imported from ``ingest.rules``.
"""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import isnan
from zoneinfo import ZoneInfo

from tests.ingest.rules.stories import Fired, Rule, Sample, Story, in_order, rounded

LOW, HIGH = 1, 2
YELLOW = 1
HOUR = 3_600_000_000
NAN = float("nan")
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def day(at: int) -> int:
    """Return the day in Sweden, as a number."""
    moment = _EPOCH + timedelta(microseconds=at)
    return moment.astimezone(ZoneInfo("Europe/Stockholm")).date().toordinal()


def exact(value: float) -> Fraction:
    """Return the number a person reads."""
    return Fraction(str(value))


def given(params: Mapping[str, float], name: str) -> bool:
    return name in params and not isnan(params[name])


def mine(story: Story, rule: Rule, *, doubted: bool = False) -> list[Sample]:
    """Return the samples the rule is about, in order."""
    return sorted(
        (
            s
            for s in story.samples
            if s.patient == rule.patient
            and s.quantity == rule.quantity
            and (doubted or (s.counts and not isnan(s.value)))
        ),
        key=lambda s: (s.at, s.reading_id),
    )


def in_force(rule: Rule, at: int) -> bool:
    return rule.since <= at < rule.until


def finding(
    number: int,
    rule: Rule,
    *,
    at: int,
    side: int,
    value: float | Fraction,
    bound: float | Fraction,
    anchor: Sample | None,
    readings: Sequence[Sample],
    extra: Sequence[float | Fraction],
    level: int | None = None,
) -> Fired:
    return Fired(
        rule=number,
        at=at,
        side=side,
        level=rule.level if level is None else level,
        value=rounded(float(value)),
        bound=rounded(float(bound)),
        anchor=anchor.reading_id if anchor else None,
        readings=frozenset(s.reading_id for s in readings),
        extra=tuple(rounded(float(one)) for one in extra),
    )


def beyond(params: Mapping[str, float], sample: Sample) -> bool:
    if given(params, "high"):
        return exact(sample.value) >= exact(params["high"])
    if given(params, "low"):
        return exact(sample.value) < exact(params["low"])
    return sample.status & int(params["status"]) != 0


def k_of_n(story: Story) -> list[Fired]:
    """k of the last n beyond, the anchor being one of them."""
    return in_order([f for n, rule in enumerate(story.rules) for f in _k_of_n(story, n, rule)])


def _k_of_n(story: Story, number: int, rule: Rule) -> Iterator[Fired]:
    params = rule.params
    samples = mine(story, rule)
    for place, anchor in enumerate(samples):
        window = [
            s
            for s in samples[: place + 1][-int(params["n"]) :]
            if day(anchor.at) - day(s.at) <= params["days"]
        ]
        far = [s for s in window if beyond(params, s)]
        if (
            anchor in far
            and in_force(rule, anchor.at)
            and len(far) >= params["k"]
            and any(s.reading_id in story.new for s in window)
        ):
            side = HIGH if given(params, "high") else LOW if given(params, "low") else 0
            bound = params.get("high", params.get("low", NAN))
            yield finding(
                number, rule, at=anchor.at, side=side, value=len(far), bound=params["k"],
                anchor=anchor, readings=far, extra=(bound, len(window)),
            )  # fmt: skip


def change(story: Story) -> list[Fired]:
    """A value against the lowest or highest of the days before its own."""
    return in_order([f for n, rule in enumerate(story.rules) for f in _change(story, n, rule)])


def _change(story: Story, number: int, rule: Rule) -> Iterator[Fired]:
    up = given(rule.params, "up")
    for anchor in mine(story, rule):
        before = [
            s for s in mine(story, rule) if 1 <= day(anchor.at) - day(s.at) <= rule.params["days"]
        ]
        fresh = any(s.reading_id in story.new for s in [*before, anchor])
        if not before or not fresh or not in_force(rule, anchor.at):
            continue
        extreme = (min if up else max)(s.value for s in before)
        then = [s for s in before if s.value == extreme][-1]
        rise = exact(anchor.value) - exact(then.value)
        if (up and rise > exact(rule.params["up"])) or (
            not up and -rise >= exact(rule.params["down"])
        ):
            yield finding(
                number, rule, at=anchor.at, side=HIGH if up else LOW, value=abs(rise),
                bound=rule.params["up" if up else "down"], anchor=anchor, readings=[then, anchor],
                extra=(anchor.value, then.value, then.at),
            )  # fmt: skip


def rolling_mean(story: Story) -> list[Fired]:
    """The mean of the days before, the first with a value dropped."""
    found = []
    for number, (rule, at) in enumerate(zip(story.rules, story.moments, strict=True)):
        params = rule.params
        window = [s for s in mine(story, rule) if 1 <= day(at) - day(s.at) <= params["days"]]
        first = min((day(s.at) for s in window), default=0)
        left = [s for s in window if day(s.at) > first]
        days = [day(s.at) for s in left]
        valid = [one for one in set(days) if days.count(one) >= 2]
        if not left or not in_force(rule, at):
            continue
        if len(left) < params["readings_min"] and len(valid) < params["days_min"]:
            continue
        mean = sum(exact(s.value) for s in left) / len(left)
        high = given(params, "high")
        if (high and mean >= exact(params["high"])) or (not high and mean < exact(params["low"])):
            found.append(
                finding(
                    number, rule, at=at, side=HIGH if high else LOW, value=mean,
                    bound=params["high" if high else "low"], anchor=None, readings=left,
                    extra=(len(left), len(set(days))),
                )
            )  # fmt: skip
    return in_order(found)


def baseline(story: Story) -> list[Fired]:
    """The mean of the last days' highest against the median of those before."""
    found = []
    for number, (rule, at) in enumerate(zip(story.rules, story.moments, strict=True)):
        params = rule.params
        highest: dict[int, Sample] = {}
        for sample in mine(story, rule):
            ago = day(at) - day(sample.at)
            if ago not in highest or sample.value >= highest[ago].value:
                highest[ago] = sample
        edge = params["days"]
        recent = [s for ago, s in highest.items() if 1 <= ago <= edge]
        before = [s for ago, s in highest.items() if edge < ago <= edge + params["baseline_days"]]
        if len(recent) < params["recent_days_min"] or len(before) < params["valid_days_min"]:
            continue
        if not recent or not before or not in_force(rule, at):
            continue
        mean = sum(exact(s.value) for s in recent) / len(recent)
        median = statistics.median(exact(s.value) for s in before)
        bound = median * int(params["percent"]) / 100
        if mean < bound:
            found.append(
                finding(
                    number, rule, at=at, side=LOW, level=min(rule.level, YELLOW), value=mean,
                    bound=bound, anchor=None, readings=recent,
                    extra=(median, 100 * mean / median, len(recent), len(before)),
                )
            )  # fmt: skip
    return in_order(found)


def missing(story: Story, awake_from: Sequence[int] | None = None) -> list[Fired]:
    """No sample, doubted ones too, for an interval and its grace."""
    found = []
    for number, (rule, at) in enumerate(zip(story.rules, story.moments, strict=True)):
        last = [s for s in mine(story, rule, doubted=True) if s.at <= at][-1:]
        hours = rule.params["interval_h"]
        grace = rule.params["grace_h"] if given(rule.params, "grace_h") else max(hours / 2, 12)
        since = max(
            rule.since,
            *(s.at for s in last),
            *(awake_from[number : number + 1] if awake_from else [rule.since]),
        )
        expected = since + int(hours * HOUR)
        if in_force(rule, at) and at >= expected + int(grace * HOUR):
            found.append(
                finding(
                    number, rule, at=at, side=0, value=(at - since) / HOUR, bound=hours + grace,
                    anchor=None, readings=last,
                    extra=(last[0].at if last else NAN, expected),
                )
            )  # fmt: skip
    return in_order(found)
