"""Fair timing on a shared machine: the contenders take turns, and medians are compared.

The speed of a machine with other users changes over time. Taking turns exposes all contenders to
the same changes.
"""

import statistics
import time
from collections.abc import Callable, Sequence

_WARM_UP_ROUNDS = 2
_PAUSE = 0.05  # seconds, for the threads of the previous contender to go to sleep


def medians(contenders: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Returns the median time of a call of each contender in seconds, after two warm-up calls."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for round_ in range(-_WARM_UP_ROUNDS, rounds):
        for name, call in contenders.items():
            time.sleep(_PAUSE)
            start = time.perf_counter()
            call()
            if round_ >= 0:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in seconds.items()}


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a Markdown table."""
    for row in (header, ["---"] * len(header), *rows):
        print("| " + " | ".join(row) + " |", flush=True)
