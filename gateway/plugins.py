"""Third-party packages of devices: found by their entry point, added to the table of models.

A package names a ``devices.drivers.DevicePackage`` under the entry point group
``egenmonitor.devices``; docs/devices.md shows one. It is somebody else's code: one that cannot be
imported or added is named, and does not stop the rest.
"""

from importlib.metadata import EntryPoint, entry_points
from typing import Final

from devices.drivers import DevicePackage, add_package
from devices.wire import ConditionCode
from gateway.health import Health
from gateway.log import get_logger

_log = get_logger()

GROUP: Final = "egenmonitor.devices"


class _NotAPackage(Exception):
    """An entry point names something else."""


def load() -> dict[str, str]:
    """Add every installed package; return why each of the others could not be, by name.

    To be called before anything is replayed or heard; calling it again changes nothing.
    """
    broken = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            package = _package(entry)
            add_package(package)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - theirs: whatever it does, the box runs
            broken[entry.name] = f"{entry.value}: {error!r}"
            _log.exception("package.broken", package=entry.name, value=entry.value)
        else:
            models = [model.name for model in package.models]
            _log.info("package.added", package=entry.name, models=models)
    return broken


def load_and_tell(health: Health) -> None:
    """Add every installed package, and tell of those that could not be."""
    for name, why in load().items():
        words = f"the package of devices {name} is not used: {why}"
        health.problem(ConditionCode.PACKAGE_BROKEN, words, part=name)


def _package(entry: EntryPoint) -> DevicePackage:
    package = entry.load()
    if not isinstance(package, DevicePackage):
        problem = f"{entry.value} is {type(package).__name__}, not a DevicePackage"
        raise _NotAPackage(problem)
    return package
