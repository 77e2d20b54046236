"""Who runs a command, for the access log."""

import os
import pwd


def operating_account() -> str:
    """Return the machine's account that this process runs as, whatever its environment says."""
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # a container's, which no list knows
        return f"uid {number}"
