"""A county in small, on both editions or on plain PostgreSQL only."""

from collections.abc import Iterator

import pytest

from tests.ingest.county import County, fill


@pytest.fixture
def county(database: str) -> Iterator[County]:
    """On both editions."""
    yield from fill(database)


@pytest.fixture
def plain_county(plain_database: str) -> Iterator[County]:
    """On plain PostgreSQL only: for what does not depend on the edition."""
    yield from fill(plain_database)
