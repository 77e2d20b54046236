"""A weight that is nearer another's of the home is doubted, and one that is not is hers."""

from datetime import datetime

import pytest

from devices.quantity import Quantity
from ingest.plausibility import Suspicion
from tests.ingest.county import GATEWAY, NOW, SCALE, County, reading, weight
from tests.ingest.plans import DAY, HOUR, agree, breaches

OTHER_SCALE = "C4:00:00:00:00:09"
W = Quantity.BODY_WEIGHT
DOUBT = Suspicion.WEIGHT_OFF_MEDIAN


def spouse_of(county: County, *, days_ago: int = 6) -> int:
    """Let the county's own patient weigh 73 kg three days; return another, who weighed 77 then."""
    spouse = county.add_patient()
    county.lend(OTHER_SCALE, spouse)
    for number in range(3):
        mine, other = NOW - (6 - number) * DAY, NOW - (days_ago - number) * DAY
        county.settle([weight(73.0, measured_at=mine)])
        county.settle([reading({W: 77.0}, device_id=OTHER_SCALE, measured_at=other)])
    return spouse


def at_home(county: County, *patients: int, until: datetime | None = None) -> None:
    for patient in patients:
        county.connection.execute(
            "insert into gateway_home (gateway_id, patient_id, from_at, until_at)"
            " values (%s, %s, %s, %s)",
            [GATEWAY, patient, NOW - 300 * DAY, until],
        )


def doubts(county: County, kg: float) -> int:
    """Let her scale weigh that; return what is doubted of it."""
    county.settle([one := weight(kg, measured_at=NOW - HOUR)])
    ((sample, whole),) = county.rows(
        "select s.suspicion, r.suspicion from sample s join reading r using (reading_id)"
        " where reading_id = %s",
        one.reading_id,
    )
    assert sample == whole
    return int(sample)


@pytest.mark.parametrize(
    ("kg", "doubt"),
    [
        (76.0, DOUBT),  # nearer 77 than 73
        (75.1, DOUBT),
        (75.0, 0),  # as near to the one as to the other
        (70.5, 0),  # off her own, and still further from the other's
        (78.1, DOUBT),  # more than five off her own, whoever else is there
    ],
)
def test_in_one_home_a_weight_may_be_of_whom_it_is_nearest(
    kg: float, doubt: int, plain_county: County
) -> None:
    at_home(plain_county, plain_county.patient_id, spouse_of(plain_county))
    assert doubts(plain_county, kg) == doubt


def test_who_has_a_slot_of_the_same_scale_is_of_the_home(county: County) -> None:
    county.lend(SCALE, spouse_of(county), slot=2, lent_from=NOW - 20 * DAY)
    assert doubts(county, 76.0) == DOUBT


def test_what_is_within_her_usual_is_hers(plain_county: County) -> None:
    """Also beside somebody who weighs nearly the same: nothing could come of it."""
    spouse = spouse_of(plain_county)
    at_home(plain_county, plain_county.patient_id, spouse)
    plain_county.connection.execute("update sample set value = 74 where value = 77")
    assert doubts(plain_county, 74.5) == 0


def test_whoever_lives_elsewhere_or_moved_is_nobody_to_compare_with(plain_county: County) -> None:
    at_home(plain_county, plain_county.patient_id)
    at_home(plain_county, spouse_of(plain_county), until=NOW - DAY)
    assert doubts(plain_county, 76.0) == 0


def test_a_ward_is_no_home(plain_county: County) -> None:
    others = [plain_county.add_patient() for _ in range(3)]
    at_home(plain_county, plain_county.patient_id, spouse_of(plain_county), *others)
    assert doubts(plain_county, 76.0) == 0


def test_weights_of_long_ago_say_nothing(plain_county: County) -> None:
    at_home(plain_county, plain_county.patient_id, spouse_of(plain_county, days_ago=20))
    assert doubts(plain_county, 76.0) == 0


def test_a_doubted_weight_alerts_nobody(plain_county: County) -> None:
    spouse = spouse_of(plain_county)
    agree(plain_county, limits={W: {"yellow_high": 75.0}}, since=NOW - 9 * DAY)
    at_home(plain_county, plain_county.patient_id, spouse)
    assert doubts(plain_county, 76.0) == DOUBT
    assert breaches(plain_county) == []
