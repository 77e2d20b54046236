"""Windows: what the rules that look back find when readings come (k_of_n, change).

The rows of ``patient`` are locked first, in order, and the windows fetched after that: of two
workers with readings of one patient the later one waits until the other has committed, and then
sees them. So nothing is missed between them, and nothing is found twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Self

import numpy as np
import psycopg
from numpy.typing import NDArray

from ingest.batch import Bools, Int64s
from ingest.breach import KINDS, LATE, NO_READING, Breaches, concatenate, objects
from ingest.news import News, among
from ingest.pg_binary import Array
from ingest.plausibility import counts
from ingest.query import arrays
from ingest.registry import Registry
from ingest.rules import explain, k_of_n
from ingest.rules.catalogue import KINDS as CATALOGUE
from ingest.rules.limit import IDS_MAX
from ingest.rules.table import NO_ANCHOR, Findings, RuleRows, Series
from ingest.search import pairs

# The kinds that are judged when a reading comes, by the readings around it.
LOOKING_BACK: Final = ("k_of_n", "change")

# "All there are", as a limit.
_ALL: Final = np.iinfo(np.int32).max

# Both parts are scans of the primary key of ``sample``, the first one backwards.
_FETCH: Final = """
select array_agg(asked.patient_id), array_agg(asked.quantity_id), array_agg(s.measured_at),
    array_agg(s.reading_id), array_agg(s.value), array_agg(s.suspicion), array_agg(
        case when asked.by_status then coalesce(
            (select r.status from reading r where r.reading_id = s.reading_id), 0
        ) else 0 end
    )
from unnest(%s::bigint[], %s::smallint[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[],
    %s::bigint[], %s::boolean[])
    as asked (patient_id, quantity_id, since, first_at, until, most, by_status)
join lateral (
    (select measured_at, reading_id, value, suspicion from sample
    where patient_id = asked.patient_id and quantity_id = asked.quantity_id
        and measured_at >= asked.since and measured_at < asked.first_at
        and sample_counts(suspicion)
    order by measured_at desc, reading_id desc limit asked.most)
    union all
    (select measured_at, reading_id, value, suspicion from sample
    where patient_id = asked.patient_id and quantity_id = asked.quantity_id
        and measured_at >= asked.first_at and measured_at <= asked.until)
) s on true
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Stretches of samples to be fetched; w rows.

    Of what was measured before the first that is new only the last ones that count, of the rest
    all.
    """

    patient: Int64s  # (w,)
    quantity: NDArray[np.int16]  # (w,)
    since: Int64s  # (w,) inclusive
    first_at: Int64s  # (w,) of the first that is new
    until: Int64s  # (w,) inclusive
    most: Int64s  # (w,) how many before ``first_at``
    by_status: Bools  # (w,) whether the readings' status is asked for

    def __len__(self) -> int:
        return len(self.patient)

    def joined(self) -> Self:
        """Return stretches, one a patient and quantity, that hold all of these."""
        group = self._group()
        order = np.argsort(group, kind="stable")
        return self._reduced(order, np.unique(group[order], return_index=True)[1])

    def disjoint(self) -> Self:
        """Return stretches that hold all of these, of which no two of a quantity overlap.

        What lies between far ones is not fetched: of a backlog of months that is nearly all. For
        rules that look at each stretch alone.
        """
        if not len(self):
            return self
        group = self._group()
        order = np.lexsort((self.since, group))
        _, start, rank = np.unique(group[order], return_index=True, return_inverse=True)
        # The latest end so far within each group, by its place among all ends: so that no group
        # is mistaken for the one before, however long the times are.
        ends, place = np.unique(self.until[order], return_inverse=True)
        ended = ends[np.maximum.accumulate(place + rank * len(ends)) - rank * len(ends)]
        begins = np.ones(len(self), np.bool_)
        begins[1:] = self.since[order][1:] > ended[:-1]
        begins[start] = True
        return self._reduced(order, np.flatnonzero(begins))

    def _group(self) -> Int64s:
        return self.patient * IDS_MAX + self.quantity

    def _reduced(self, order: NDArray[np.intp], start: NDArray[np.intp]) -> Self:
        """Return one stretch of each run of *order* that begins at *start*."""
        if not len(self):
            return self
        return replace(
            self,
            patient=self.patient[order][start],
            quantity=self.quantity[order][start],
            since=np.minimum.reduceat(self.since[order], start),
            first_at=np.minimum.reduceat(self.first_at[order], start),
            until=np.maximum.reduceat(self.until[order], start),
            most=np.maximum.reduceat(self.most[order], start),
            by_status=np.logical_or.reduceat(self.by_status[order], start),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Concerned:
    """The rules that some news may make fire, by kind, and what they must look at."""

    rules: dict[str, RuleRows]
    span: Span

    def __len__(self) -> int:
        return len(self.span)

    @property
    def patients(self) -> Int64s:
        """Whose rows are to be locked; distinct, ascending."""
        return np.unique(self.span.patient)


def concerned(registry: Registry, news: News) -> Concerned:
    """Return the rules that look back which *news* may make fire. Asks memory only."""
    rules: dict[str, RuleRows] = {}
    spans = [_span(news, np.empty(0, np.int64), *[np.empty(0, np.int64)] * 3, by_status=_NO)]
    counting = np.flatnonzero(news.counts)
    for kind in LOOKING_BACK:
        mine = counting[among(registry.patients_with(kind), news.patient[counting])]
        if not len(mine):
            continue
        rows = registry.rules_of(kind, np.unique(news.patient[mine]))
        sample, rule = _touching(kind, rows, news, mine)
        if not len(sample):
            continue
        before, after = CATALOGUE[kind].module.reach(rows)
        most, by_status = np.full(len(rule), _ALL, np.int64), np.zeros(len(rule), np.bool_)
        if kind == "k_of_n":
            most = rows.params[rule, _N].astype(np.int64) - 1
            by_status = np.isfinite(rows.params[rule, _STATUS])
        spans.append(_span(news, sample, before[rule], after[rule], most, by_status=by_status))
        rules[kind] = rows.take(np.unique(rule))
    whole = Span(
        **{f.name: np.concatenate([getattr(span, f.name) for span in spans]) for f in fields(Span)}
    )
    return Concerned(rules=rules, span=whole.joined())


_NO: Final = np.empty(0, np.bool_)
_N: Final = k_of_n.PARAMS.index("n")
_STATUS: Final = k_of_n.PARAMS.index("status")


def _span(
    news: News, sample: Int64s, before: Int64s, after: Int64s, most: Int64s, *, by_status: Bools
) -> Span:
    """Return what must be looked at around each *sample* (row of the news), (j,) each."""
    at = news.measured_at[sample]
    return Span(
        patient=news.patient[sample],
        quantity=news.quantity[sample],
        since=at - before,
        first_at=at,
        until=at + after,
        most=most,
        by_status=by_status,
    )


def _touching(
    kind: str, rules: RuleRows, news: News, mine: NDArray[np.int64]
) -> tuple[Int64s, Int64s]:
    """Return pairs of (news row, rule row) where the one may make the other fire.

    A sample is in the windows of anchors from its own time until ``after`` later, so the rule
    must have been in force at some time of that.
    """
    start = np.searchsorted(rules.patient, news.patient[mine], side="left").astype(np.int64)
    stop = np.searchsorted(rules.patient, news.patient[mine], side="right").astype(np.int64)
    index, rule = pairs(start, stop - start)
    sample = mine[index]
    _, after = CATALOGUE[kind].module.reach(rules)
    at = news.measured_at[sample]
    fits = (
        (rules.quantity[rule] == news.quantity[sample])
        & (rules.in_force_from[rule] <= at + after[rule])
        & (rules.in_force_until[rule] > at)
    )
    could = CATALOGUE[kind].module.could_fire(rules, rule, news.value[sample], news.status[sample])
    fits &= could | news.is_taken_back[sample]
    return sample[fits], rule[fits]


async def find(
    connection: psycopg.AsyncConnection[Any], registry: Registry, asked: Concerned, news: News
) -> Breaches | None:
    """Return what the rules of *asked* find with *news*; None: nothing.

    Args:
        connection: In a transaction that holds the rows of ``asked.patients`` and has the samples.
        registry: Knows the pauses.
        asked: From ``concerned``.
        news: The same.
    """
    if not len(asked):
        return None
    series = await fetch(connection, asked.span)
    new = np.isin(series.reading_id, news.reading_id) | _after_taken_back(series, news)
    found: list[Breaches] = []
    for kind, rules in asked.rules.items():
        findings = CATALOGUE[kind].module.evaluate(series, rules, new)
        silent = registry.paused(rules.patient[findings.rule], findings.at)
        findings = findings.take(np.flatnonzero(~silent))
        if len(findings):
            found.append(from_findings(kind, rules, series, findings, news.found_at))
    return concatenate(found) if found else None


def _after_taken_back(series: Series, news: News) -> Bools:
    """Tell which samples come after one that counts no more: their windows have changed."""
    gone = np.flatnonzero(news.is_taken_back)
    after = np.zeros(len(series), np.bool_)
    for row in gone.tolist():  # a person's act, one reading at a time
        after |= (
            (series.patient == news.patient[row])
            & (series.quantity == news.quantity[row])
            & (series.measured_at >= news.measured_at[row])
        )
    return after


async def fetch(connection: psycopg.AsyncConnection[Any], span: Span) -> Series:
    """Return the samples of *span*; those from ``first_at`` on whether they count or not."""
    patient, quantity, at, reading, value, suspicion, status = await arrays(
        connection,
        _FETCH,
        [
            Array(span.patient, "int8"),
            Array(span.quantity, "int2"),
            Array(span.since, "timestamptz"),
            Array(span.first_at, "timestamptz"),
            Array(span.until, "timestamptz"),
            Array(span.most, "int8"),
            Array(span.by_status, "bool"),
        ],
    )
    reading = reading.astype("S16")
    order = np.lexsort((reading, at, quantity, patient))
    return Series(
        patient=patient[order],
        quantity=quantity[order].astype(np.int16),
        measured_at=at[order],
        reading_id=reading[order],
        value=value[order].astype(np.float64),
        counts=counts(suspicion[order].astype(np.int32)),
        status=status[order].astype(np.int32),
    )


def from_findings(
    kind: str, rules: RuleRows, series: Series, findings: Findings, found_at: int
) -> Breaches:
    """Return what a kind found as breaches, none of them held. For the clock's kinds too.

    Args:
        kind: One of ingest.breach.KINDS.
        rules: That were evaluated.
        series: That they were evaluated on.
        findings: What they said.
        found_at: Microseconds since 2000: what was measured more than LATE before is late.
    """
    row = findings.rule
    is_anchored = findings.anchor != NO_ANCHOR
    reading = np.full(len(findings), NO_READING, "S16")
    reading[is_anchored] = series.reading_id[findings.anchor[is_anchored]]
    return Breaches(
        kind=np.full(len(findings), KINDS.index(kind), np.int8),
        keys=rules.keys,
        key=rules.key[row],
        reading_id=reading,
        patient=rules.patient[row],
        quantity=rules.quantity[row],
        measured_at=findings.at,
        level=findings.level,
        side=findings.side,
        value=findings.value,
        bound=findings.bound,
        version=rules.version[row],
        late=is_anchored & (found_at - findings.at > LATE),
        held=np.zeros(len(findings), np.bool_),
        detail=objects(explain.detail(kind, rules, series, findings)),
        readings=objects(_resting(kind, rules, series, findings)),
    )


def _resting(
    kind: str, rules: RuleRows, series: Series, findings: Findings
) -> Sequence[NDArray[np.bytes_]]:
    """Return the ids of the readings that each finding rests on."""
    finding, row = CATALOGUE[kind].module.rests_on(series, rules, findings)
    order = np.argsort(finding, kind="stable")
    border = np.searchsorted(finding[order], np.arange(1, len(findings)))
    return np.split(series.reading_id[row[order]], border)
