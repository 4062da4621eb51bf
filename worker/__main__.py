"""`python -m worker`: a Celery worker whose training processes are spawned, because torch does not survive a fork."""

import os
import sys

from store.settings import InvalidSettings
from worker import allocation
from worker.app import app, settings
from worker.machine import device_name, processes
from worker.pulse import Pulse

try:
    # A device that is not there is said now, not at every hint.
    device_name(settings)
except InvalidSettings as error:
    sys.exit(str(error))

# The training processes inherit it. Whoever starts the worker may know better.
for name, value in allocation.KEEP.items():
    os.environ.setdefault(name, value)
if settings.pulse:
    app.steps["consumer"].add(Pulse)
app.worker_main(
    [
        "worker",
        "--pool=prefork",
        f"--concurrency={processes(settings)}",
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
        "--loglevel=WARNING",
    ]
)
