"""Checks that a model fits into the machine's memory before allocating it."""

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import keras
import tensorflow as tf

from vaeseq.errors import UsageError

_COPIES = 4  # of the weights in training: weights, gradients and two moments of Adam


def check(make: Callable[[], keras.Model]) -> None:
    """Checks that the model which `make` makes can be trained; no weights are allocated.

    Raises:
      UsageError: if training needs more memory than the machine has.
    """
    with ThreadPoolExecutor(1) as thread:  # Keras keeps uninitialized variables for each thread
        needed = _COPIES * thread.submit(_variable_bytes, make).result()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > memory:
        raise UsageError(
            f"hparams: the model needs {needed / 2**30:,.1f} GB to train, and this machine has "
            f"{memory / 2**30:,.1f} GB; make its layers smaller"
        )


def _variable_bytes(make: Callable[[], keras.Model]) -> int:
    with keras.StatelessScope(initialize_variables=False), tf.Graph().as_default():
        return sum(math.prod(x.shape) * tf.as_dtype(x.dtype).size for x in make().variables)
