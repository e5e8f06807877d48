"""A book of 10,000 chunks: does anything grow with its length that should not?"""

from __future__ import annotations

import itertools
import statistics
import time
import uuid

import psutil

from benchmarks.table import Row
from darkchannel.composition import open_production
from darkchannel.config import Settings
from darkchannel.production.progress import Progress
from darkchannel.production.request import RenderOptions, RenderRequest
from darkchannel.storage.keys import metadata_key

CHUNKS = 10_000
EARLY, LATE = 1_000, CHUNKS


class Watch:
    """Memory and time at each hundredth chunk."""

    def __init__(self) -> None:
        self.process = psutil.Process()
        self.seen: dict[int, tuple[float, int]] = {}
        self.mastering: list[int] = []

    def __call__(self, progress: Progress) -> None:
        """Note where the run stands."""
        done = progress.chunks_done
        if progress.stage == "rendering" and done % 100 == 0 and done not in self.seen:
            self.seen[done] = (time.perf_counter(), self.process.memory_info().rss)
        if progress.stage == "mastering":
            self.mastering.append(self.process.memory_info().rss)

    def pace(self, first: int) -> float:
        """Seconds a chunk in the thousand from ``first`` on: the median of its hundreds."""
        times = [self.seen[done][0] for done in range(first, first + 1_001, 100)]
        return statistics.median(b - a for a, b in itertools.pairwise(times)) / 100


def run() -> list[Row]:
    """Render the book on the tone engine and watch this process."""
    mark = uuid.uuid4().hex[:8]
    text = "\n\n".join(f"{mark} {number}." for number in range(CHUNKS))
    request = RenderRequest(
        data=text.encode(), options=RenderOptions(engine="tone"), use_cache=False
    )
    watch = Watch()
    with open_production(Settings.from_environment(), "tone") as production:
        result = production.render(request, on_progress=watch)
        key = metadata_key(result.job_id)
        written = production.jobs.get_job_metadata(result.job_id)["revision"] * (
            production.client.head(production.store.buckets.jobs, key).size
        )
    grown = (watch.seen[LATE][1] - watch.seen[EARLY][1]) / 1e6
    share = written / (result.duration_seconds * 48_000)
    pace = watch.pace(LATE - 1_000) / watch.pace(EARLY)
    mastering = (max(watch.mastering) - watch.seen[LATE][1]) / 1e6
    return [
        Row("memory grown from chunk 1,000 to 10,000", f"{grown:.1f} MB", "20 MB", grown < 20),
        Row("memory grown while mastering", f"{mastering:.1f} MB", "60 MB", mastering < 60),
        Row("bytes of metadata written : bytes of audio", f"{share:.3%}", "1%", share < 0.01),
        Row("time a chunk at 10,000 : at 1,000", f"{pace:.2f}", "1.20", pace <= 1.2),
    ]
