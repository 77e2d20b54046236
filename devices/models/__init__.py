"""The table of device models: what is known of each, as data. ``docs/devices.md`` shows it."""

from devices.models.model import Advertisement, Model, Pairing, Tried
from devices.models.table import model_named, model_of, models, register

__all__ = [
    "Advertisement",
    "Model",
    "Pairing",
    "Tried",
    "model_named",
    "model_of",
    "models",
    "register",
]
