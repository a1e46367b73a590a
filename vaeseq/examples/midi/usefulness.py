"""Warnings about rolls that are valid but of no use."""

from collections.abc import Sequence

import numpy as np

from vaeseq.cli.usefulness import warn_of_samples


def warn_of_rolls(
    rolls: Sequence[np.ndarray] | np.ndarray, temperature: float, between: bool = False
) -> None:
    """Warns if rolls are silent, all the same, or repeat themselves; see `warn_of_samples`."""
    samples = {f"sample-{index:02d}": frames for index, frames in enumerate(rolls, 1)}
    silent = [name for name, frames in samples.items() if not frames.any()]
    warn_of_samples(samples, temperature, silent, between)
