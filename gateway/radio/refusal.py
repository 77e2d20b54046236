"""Refusal: what a device means by not letting us in, whichever stack heard it."""

import enum


class Refusal(enum.Enum):
    """Why a device that could be reached gave nothing."""

    NOT_PAIRED = "not_paired"  # it wants an encrypted link, and we have no bond with it
    BOND_LOST = "bond_lost"  # we have a bond, and the device does not know it any more
    STALE_SERVICES = "stale_services"  # what we remember of its services is no longer true
