"""HSA-ids: the form, and the check digit of the organisation's number in it."""

import pytest

from alerts.care.hsa_id import normalize


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("SE2321000016-1003", "SE2321000016-1003"),  # the example of Inera's own documents
        (" se2321000131-e000000000001 ", "SE2321000131-E000000000001"),
        ("SE5560743089-A", "SE5560743089-A"),
    ],
)
def test_what_can_be_somebodys_is_kept_in_one_form(text: str, kept: str) -> None:
    assert normalize(text) == kept


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "must be SE"),
        ("2321000016-1003", "must be SE"),
        ("SE2321000016", "must be SE"),
        ("SE2321000016-", "must be SE"),
        ("SE2321000016-10 03", "must be SE"),
        ("SE2321000016-Å", "must be SE"),
        ("SE٢٣٢١٠٠٠٠١٦-1003", "must be SE"),
        ("SE2321000016-1234567890123456789", "must be SE"),
        ("SE2321000061-1003", "check digit"),  # two digits have changed places
        ("SE2321000017-1003", "check digit"),
    ],
)
def test_what_is_nobodys_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        normalize(text)
