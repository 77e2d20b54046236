"""``python -m devices.models docs/``: write the table of models into docs/devices.md."""

import sys
from pathlib import Path

from devices.models.document import write

if __name__ == "__main__":
    write(Path(sys.argv[1]))
