"""How the benchmarks time: all contenders in turn, round after round, medians.

A machine that others use is slow for a while and quick again; in turn, all contenders share that.
"""

import statistics
import time
from collections.abc import Callable


def medians(contenders: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The median seconds of one call of each, after two calls to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for round_ in range(-2, rounds):
        for name, call in contenders.items():
            time.sleep(0.05)  # lets the threads of the one before go to sleep
            start = time.perf_counter()
            call()
            if round_ >= 0:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in seconds.items()}


def print_table(header: list[str], rows: list[list[str]]) -> None:
    """A Markdown table."""
    for row in (header, ["---"] * len(header), *rows):
        print("| " + " | ".join(row) + " |", flush=True)
