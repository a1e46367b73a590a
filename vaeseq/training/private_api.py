"""Uses of private APIs of TensorFlow and Keras, with the assumption that each one makes.

`tests/training/test_private_api.py` tests every assumption, so that a new version of TensorFlow or
Keras that breaks one fails there by name.
"""

from collections.abc import Iterable

import keras
import tensorflow as tf

Variable = keras.Variable | tf.Variable


def slot_owner(slot: Variable, variables: Iterable[Variable]) -> keras.Variable | None:
    """Returns the variable for which an optimizer keeps `slot`, such as a moment; None if none.

    Assumption: Keras names the optimizer's variables `<path of the variable>_<what they are>`,
    with `_` for `/` in the path. Variables with equal paths and shapes are not distinguished.
    """
    owners = [
        x
        for x in variables
        if isinstance(x, keras.Variable)
        and x.shape == slot.shape
        and slot.name.startswith(x.path.replace("/", "_") + "_")
    ]
    return max(owners, key=_path_length, default=None)


def _path_length(variable: keras.Variable) -> int:
    return len(variable.path)
