"""How a model says what it looks like: one example that is one, told in the description."""

from typing import Any, Final

from pydantic import ConfigDict

AT: Final = "2026-11-23T07:12:00Z"
LATER: Final = "2026-11-30T07:12:00Z"


def answers(**values: Any) -> ConfigDict:
    """Return the settings of what the API answers with."""
    return ConfigDict(json_schema_extra={"examples": [values]})


def takes(**values: Any) -> ConfigDict:
    """Return the settings of what the API takes: nothing beside what is asked for."""
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [values]})
