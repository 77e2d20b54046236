"""Buckets: a Prometheus histogram that takes whole arrays.

The library's own takes one value a call; a batch has ten thousand.
"""

import threading
from collections.abc import Iterable, Sequence

import numpy as np
from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.utils import floatToGoString

from ingest.batch import Floats


class Buckets(Collector):
    """Counts values by upper bounds, inclusive, for each value of one label.

    Args:
        name: Of the metric, base unit last.
        help_text: What it tells.
        bounds: Ascending upper bounds; +Inf is added.
        registry: Where it is registered.
        label: The label's name; none: the metric has no label.
        values: All values the label takes; each is there from the start, at zero.
    """

    def __init__(
        self,
        name: str,
        help_text: str,
        bounds: Sequence[float],
        registry: CollectorRegistry,
        *,
        label: str | None = None,
        values: Sequence[str] = ("",),
    ) -> None:
        self._name = name
        self._help = help_text
        self._label = label
        self._bounds = np.array(bounds, np.float64)
        self._lock = threading.Lock()  # the server's threads read
        self._counts = {value: np.zeros(len(bounds) + 1, np.int64) for value in values}
        self._sums = dict.fromkeys(values, 0.0)
        registry.register(self)

    def observe(self, values: Floats, label: str = "") -> None:
        """Count *values*, (n,) float64; negative ones count as 0, NaN not at all."""
        values = np.maximum(values[~np.isnan(values)], 0.0)
        place = np.searchsorted(self._bounds, values, side="left")
        counts = np.bincount(place, minlength=len(self._bounds) + 1)
        with self._lock:
            self._counts[label] += counts
            self._sums[label] += float(values.sum())

    def collect(self) -> Iterable[Metric]:
        """Return the metric as it is now."""
        family = HistogramMetricFamily(
            self._name, self._help, labels=[self._label] if self._label else []
        )
        uppers = [*map(floatToGoString, self._bounds.tolist()), "+Inf"]
        with self._lock:
            for value, counts in self._counts.items():
                running = np.cumsum(counts).tolist()
                family.add_metric(
                    [value] if self._label else [],
                    buckets=list(zip(uppers, running, strict=True)),
                    sum_value=self._sums[value],
                )
        yield family
