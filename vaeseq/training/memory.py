"""Checks that numbers fit into the machine's memory before anything of that size is allocated."""

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import keras
import tensorflow as tf

from vaeseq.errors import UsageError

_COPIES = 4  # of the weights in training: weights, gradients and two moments of Adam
_FLOAT_BYTES = 4


def check(make: Callable[[], keras.Model], time_steps: int = 0) -> None:
    """Checks that the model which `make` makes can be trained; no weights are allocated.

    Args:
      make: makes the model.
      time_steps: the number of time steps that an update computes, of all sequences together. It
        keeps what the layers compute in them for the gradient: at least as many numbers per time
        step as each matrix has rows or columns.

    Raises:
      UsageError: if training needs more memory than the machine has.
    """
    with ThreadPoolExecutor(1) as thread:  # Keras keeps uninitialized variables for each thread
        variable_bytes, width = thread.submit(_sizes, make).result()
    require(_COPIES * variable_bytes, "hparams: training the model", "make its layers smaller")
    require(
        time_steps * width * _FLOAT_BYTES,
        f"hparams: an update of {time_steps} time steps",
        "use a smaller batch_size or sequence_size",
    )


def require(needed: float, what: str, remedy: str) -> None:
    """Checks that the machine has a number of bytes.

    Args:
      needed: the number of bytes.
      what: what needs them, for the message.
      remedy: what the user can do about it.

    Raises:
      UsageError: if the machine has less memory.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > memory:
        raise UsageError(
            f"{what} needs {needed / 2**30:,.1f} GB, and this machine has {memory / 2**30:,.1f} "
            f"GB; {remedy}"
        )


def _sizes(make: Callable[[], keras.Model]) -> tuple[int, int]:
    """Returns the bytes of all variables, and the sum of the larger sides of all matrices."""
    with keras.StatelessScope(initialize_variables=False), tf.Graph().as_default():
        model = make()
        variable_bytes = sum(
            math.prod(x.shape) * tf.as_dtype(x.dtype).size for x in model.variables
        )
        width = sum(max(x.shape[-2:]) for x in model.trainable_weights if len(x.shape) > 1)
    return variable_bytes, width
