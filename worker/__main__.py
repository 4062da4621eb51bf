"""`python -m worker`: a Celery worker whose training processes are spawned, because torch does not survive a fork."""

from worker.app import app, settings
from worker.machine import processes

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
