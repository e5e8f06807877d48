"""Run the benchmarks named on the command line, or all of them, and print their tables."""

from __future__ import annotations

import argparse
import sys

from benchmarks import (
    api_jobs,
    correction,
    interrupt,
    kokoro,
    long_book,
    openvoice,
    overhead,
    peer,
    speech_service,
    store,
    ten_jobs,
)
from benchmarks.table import machine, print_table

BENCHMARKS = {
    "api-jobs": api_jobs.run,
    "correction": correction.run,
    "ten-jobs": ten_jobs.run,
    "interrupt": interrupt.run,
    "kokoro": kokoro.run,
    "long-book": long_book.run,
    "openvoice": openvoice.run,
    "overhead": overhead.run,
    "peer": peer.run,
    "speech-service": speech_service.run,
    "store": store.run,
}


def main() -> None:
    """Parse the names and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    names = parser.parse_args().names or list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; choose from {', '.join(BENCHMARKS)}")
    print(machine())
    met = True
    for name in names:
        rows = BENCHMARKS[name]()
        print_table(name, rows)
        met = met and all(row.met for row in rows)
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
