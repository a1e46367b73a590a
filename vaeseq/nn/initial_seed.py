"""Initial weights as a function of a seed."""

import contextlib
import random
from collections.abc import Iterator


@contextlib.contextmanager
def initial_seed(seed: int) -> Iterator[None]:
    """Makes the weights that are created in this context a function of the seed.

    Initializers of Keras that have no seed of their own take one from Python's `random`; its state
    is afterwards what it was before.
    """
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)
