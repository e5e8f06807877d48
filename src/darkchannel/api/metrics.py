"""What a service counts, for Prometheus: one registry for each application.

Render speed against real time is
``rate(darkchannel_audio_seconds_total) / rate(darkchannel_synthesis_seconds_total)``.
"""

from __future__ import annotations

from enum import StrEnum

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from darkchannel import errors
from darkchannel.models import Take

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_LATENCIES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60)
_SPEEDS = (0.5, 1, 2, 4, 6, 8, 10, 15, 20, 50, 100)


class ChunkResult(StrEnum):
    """What became of a chunk."""

    RENDERED = "rendered"
    REUSED = "reused"
    FAILED = "failed"
    REFUSED = "refused"
    """The queue was full."""
    ABANDONED = "abandoned"
    """The client left before its turn."""


class Metrics:
    """The numbers of one application; safe to use from any thread."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        at = self.registry
        labels = ("method", "route")
        self.requests = Counter(
            "darkchannel_http_requests", "Answers.", (*labels, "status"), registry=at
        )
        self.latency = Histogram(
            "darkchannel_http_request_seconds",
            "Seconds from a request's head to the end of its answer.",
            labels,
            buckets=_LATENCIES,
            registry=at,
        )
        self.queue_depth = Gauge(
            "darkchannel_queue_depth", "Chunks that wait for a worker.", registry=at
        )
        self.chunks = Counter(
            "darkchannel_chunks", "Chunks by what became of them.", ("result",), registry=at
        )
        self.audio_seconds = Counter(
            "darkchannel_audio_seconds", "Seconds of audio rendered.", registry=at
        )
        self.synthesis_seconds = Counter(
            "darkchannel_synthesis_seconds", "Seconds that rendering it took.", registry=at
        )
        self.render_speed = Histogram(
            "darkchannel_render_speed",
            "Seconds of audio rendered a second, chunk by chunk.",
            buckets=_SPEEDS,
            registry=at,
        )
        self.jobs = Gauge("darkchannel_jobs", "Jobs by status.", ("status",), registry=at)
        self.store_errors = Counter(
            "darkchannel_store_errors", "Errors of the store by kind.", ("kind",), registry=at
        )
        for result in ChunkResult:
            self.chunks.labels(result.value)

    def rendered(self, audio_seconds: float, taken_seconds: float) -> None:
        """Count a chunk that was rendered."""
        self.chunks.labels(ChunkResult.RENDERED.value).inc()
        self.audio_seconds.inc(audio_seconds)
        self.synthesis_seconds.inc(taken_seconds)
        if taken_seconds > 0:
            self.render_speed.observe(audio_seconds / taken_seconds)

    def took(self, take: Take) -> None:
        """Count a take of a job, found or made."""
        if take.reused:
            self.chunks.labels(ChunkResult.REUSED.value).inc()
        else:
            self.rendered(take.seconds, take.render_seconds)

    def failed_with(self, error: Exception) -> None:
        """Count an error, if it is one of the store."""
        store = (errors.StoreError, errors.StoreUnavailableError, errors.StoreAccessError)
        # What is missing or was there first is an answer, not a fault.
        if isinstance(error, store) and not isinstance(
            error, (errors.NotFoundError, errors.PreconditionError)
        ):
            self.store_errors.labels(type(error).__name__).inc()

    def exposition(self) -> bytes:
        """All numbers, in Prometheus' text format."""
        return generate_latest(self.registry)
