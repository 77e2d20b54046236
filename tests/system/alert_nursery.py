"""Workers of alerts, forked from a process that has loaded everything: ``alert_nursery.py CONFIG``.

Each line it reads makes one more ``python -m alerts work``, and it prints the process id. So a
worker that was killed has a successor in milliseconds, and nothing is shared with it.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from alerts import process
from alerts.config import Config
from ingest.log import set_up
from ingest.settings import load


def main() -> None:
    settings = load(Config, Path(sys.argv[1]))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            set_up(settings.log)
            asyncio.run(process.run(settings, None, process.Parts.WORK))
            os._exit(0)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
