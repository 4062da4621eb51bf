"""What a process of the API counts as it happens, for Prometheus: requests, readers that wait, hints sent."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

TOOK, LOST = "took", "lost"
_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Counts:
    """Each with all processes of the API added up, once Prometheus asks."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.seconds = Histogram(
            "actlab_request_seconds",
            "Time to answer requests; of streams, until they begin.",
            ["method", "route", "status"],
            buckets=_BUCKETS_S,
            registry=self.registry,
        )
        self.readers = Gauge(
            "actlab_readers",
            "Streams and long polls that wait for news.",
            multiprocess_mode="livesum",
            registry=self.registry,
        )
        self.wakes = Counter(
            "actlab_wakes",
            "Times that hints were sent to workers, by whether the broker took them.",
            ["broker"],
            registry=self.registry,
        )
        # Also what has not happened yet is a number.
        for answer in (TOOK, LOST):
            self.wakes.labels(answer)
