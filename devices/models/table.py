"""The rows: the particular first, any device of a profile last. The first that fits is taken."""

from collections.abc import Iterable
from typing import Final

from devices.models.and_medical import AND_MEDICAL
from devices.models.beurer import BEURER
from devices.models.medisana import MEDISANA
from devices.models.model import Advertisement, Model
from devices.models.omron import OMRON
from devices.models.profiles import PROFILES
from devices.models.silvercrest import SILVERCREST
from devices.models.watches import WATCHES
from devices.models.xiaomi import XIAOMI

_BUILT_IN: Final = (
    *(*AND_MEDICAL, *BEURER, *MEDISANA, *OMRON, *SILVERCREST, *XIAOMI, *WATCHES),
    *PROFILES,
)

# Rows of third-party packages, in the order they came. Written only while a process starts.
_registered: list[Model] = []

# Rows of third-party packages: a package may know a vendor's whole range.
REGISTERED_MAX: Final = 500


def models() -> tuple[Model, ...]:
    """Return all rows; those of third-party packages come first, since they know better."""
    return (*_registered, *_BUILT_IN)


def model_named(name: str) -> Model | None:
    """Return the row called *name*, if there is one."""
    return next((model for model in models() if model.name == name), None)


def model_of(advertisement: Advertisement) -> Model | None:
    """Return the row of the device that advertises so, if there is one.

    A name, or service data of the right UUID and length, says more than a service UUID, which
    two kinds may share and which BlueZ may repeat from what it once learnt of the device.
    """
    for tells in (Model.is_named_by, Model.is_shown_by, Model.is_begun_by, Model.is_served_by):
        for model in models():
            if tells(model, advertisement):
                return model
    return None


def register(rows: Iterable[Model]) -> None:
    """Add the rows of a third-party package: all or, if one cannot be, none.

    The same row again changes nothing.

    Raises:
        ValueError: A name is taken by another row, or there are too many.
    """
    new: list[Model] = []
    taken = {model.name: model for model in models()}
    for model in rows:
        if taken.setdefault(model.name, model) != model:
            problem = f"there is another model called {model.name!r} already"
            raise ValueError(problem)
        if model not in (*_registered, *new):
            new.append(model)
    if len(_registered) + len(new) > REGISTERED_MAX:
        problem = f"more than {REGISTERED_MAX} models of third-party packages"
        raise ValueError(problem)
    _registered.extend(new)
