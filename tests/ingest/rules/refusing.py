"""What is refused, and why."""

from collections.abc import Callable

import pytest
from pydantic import ValidationError

from ingest.rules.refusal import Refusal, refusals

Made = Callable[[], object]


def refused(make: Made) -> Refusal:
    """Return the one reason why it cannot be made."""
    with pytest.raises(ValidationError) as caught:
        make()
    reasons = refusals(caught.value)
    assert len(reasons) == 1
    return reasons[0]
