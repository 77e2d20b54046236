"""Ledger: every measurement the devices made since the start, and what became of it. Pure."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from simulator.tester.measurement import Measurement, Place, Sighting, place_of

# A day of twelve busy patients is 5,000; settled ones are only counted.
LATEST_MAX: Final = 8
_SETTLED: Final = frozenset({Place.STORED, Place.REFUSED})


@dataclass(slots=True)
class Ledger:
    """Counts of measurements by place.

    Attributes:
        made: What the devices measured.
        settled: Those that are stored or refused, by place.
        refused: By reason.
        open: Those that are neither, with their place at the last look.
        latest: The newest ones, newest first, with their place at the last look.
        doubled: Rows too many in the database, of the same device, device time and bytes.
    """

    made: int = 0
    settled: Counter[Place] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    open: dict[Measurement, Place] = field(default_factory=dict)
    latest: list[tuple[Measurement, Place]] = field(default_factory=list)
    doubled: int = 0

    def add(self, measurement: Measurement) -> None:
        """Take note of an act of measuring."""
        self.made += 1
        self.open[measurement] = Place.DEVICE
        self.latest = [(measurement, Place.DEVICE), *self.latest][:LATEST_MAX]

    def look(self, sighting: Sighting) -> None:
        """Bring the books up to what was seen."""
        for measurement in tuple(self.open):
            place = place_of(measurement, sighting)
            if place in _SETTLED:
                del self.open[measurement]
                self.settled[place] += 1
                if place is Place.REFUSED:
                    self.refused[sighting.refused[measurement.reading_id]] += 1
            else:
                self.open[measurement] = place
        self.latest = [
            (measurement, place if place in _SETTLED else place_of(measurement, sighting))
            for measurement, place in self.latest
        ]

    def count(self, *places: Place) -> int:
        """Return how many measurements are at *places*."""
        return sum(self.settled[place] for place in places) + sum(
            place in places for place in self.open.values()
        )

    @property
    def is_settled(self) -> bool:
        """Whether nothing is under way: what is lost is then lost."""
        return all(place is Place.LOST for place in self.open.values())
