"""What is hashed of an entry, and what cannot be kept."""

import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.audit.entry import CHAINS, Action, Entry, Link, NotKept
from alerts.care.people import Viewer

ANNA = Viewer(name="Anna", staff_id=12, unit_id=3)
SEEN = Entry.by(ANNA, Action.PATIENT_SEEN, "contact", patient_id=35, detail={"dagar": 30})


def test_an_entry_is_hashed_as_text_that_anybody_can_make_from_its_columns() -> None:
    swedish = timezone(timedelta(hours=1))
    at = datetime(2026, 11, 23, 8, 12, 0, 5, tzinfo=swedish)
    link = Link(chain=3, number=17, at=at, entry=SEEN, previous=b"\1\2", hash=b"")
    text = (
        '{"at":"2026-11-23T07:12:00.000005Z","chain":3,"entry":{"action":"patient_seen",'
        '"actor":"staff:12","detail":{"dagar":30},"ground":"contact","patient_id":35,'
        '"patient_ids":[],"staff_id":12,"unit_id":3},"number":17}'
    )
    assert link.computed() == hashlib.sha256(b"\1\2" + text.encode()).digest()


def test_an_entry_belongs_to_its_patients_chain_and_a_list_to_who_saw_it() -> None:
    assert SEEN.chain == 35 % CHAINS
    listed = Entry.by(ANNA, Action.WORKLIST_SEEN, "contact", patient_ids=(1, 2))
    assert listed.chain == 12


@pytest.mark.parametrize(
    ("viewer", "actor"),
    [
        (ANNA, "staff:12"),
        (Viewer(name="", patient_id=3), "patient:3"),
        (Viewer(name="", relative_id=5), "relative:5"),
        (Viewer(name=""), "system"),
    ],
)
def test_an_entry_names_who_acted(viewer: Viewer, actor: str) -> None:
    assert Entry.by(viewer, Action.OWN_PAGE_SEEN, "self").actor == actor


@pytest.mark.parametrize(
    "detail",
    [{"x": 1.5}, {"x": "a\0b"}, {"x": ["\ud800"]}, {1: "x"}, {"x": {"y": b"z"}}, {"\0": 1}],
)
def test_what_would_come_back_changed_is_refused(detail: dict[str, object]) -> None:
    with pytest.raises(NotKept):
        Entry(actor="system", action="x", ground="x", detail=detail).text()


@settings(max_examples=40)
@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers(-(2**63), 2**63)
            | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
            st.lists,
        ),
    )
)
def test_the_text_is_of_the_content_and_not_of_its_order(detail: dict[str, object]) -> None:
    turned = dict(reversed(detail.items()))
    one, other = (
        Entry(actor="system", action="x", ground="x", detail=each).text()
        for each in (detail, turned)
    )
    assert one == other
    assert json.loads(one)["detail"] == detail


def test_the_day_is_the_same_wherever_the_reader_is() -> None:
    at = datetime(2026, 3, 29, 0, 59, 59, 999_999, tzinfo=UTC)
    here = Link(chain=0, number=1, at=at, entry=SEEN, previous=b"", hash=b"")
    there = Link(
        chain=0,
        number=1,
        at=at.astimezone(timezone(timedelta(hours=2))),
        entry=SEEN,
        previous=b"",
        hash=b"",
    )
    assert here.computed() == there.computed()
