"""Types of arguments: nests of tensors, seeds, sizes."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import tensorflow as tf

Tensor: TypeAlias = tf.Tensor | np.ndarray
"""A TensorFlow tensor or a NumPy array."""

Nest: TypeAlias = Tensor | Sequence["Nest"] | Mapping[str, "Nest"]
"""A tensor, or a tuple, named tuple, list or dict of nests, as in `tf.nest`."""

Specs: TypeAlias = tf.TensorSpec | Sequence["Specs"] | Mapping[str, "Specs"]
"""A nest of `tf.TensorSpec`."""

Shapes: TypeAlias = tf.TensorShape | Sequence["Shapes"] | Mapping[str, "Shapes"]
"""A nest of `tf.TensorShape`."""

DTypes: TypeAlias = tf.DType | Sequence["DTypes"] | Mapping[str, "DTypes"]
"""A nest of `tf.DType`."""

Seed: TypeAlias = int | Sequence[int] | Tensor
"""A seed for stateless random numbers: one int, or two, int32 [2]."""

Size: TypeAlias = int | tf.Tensor
"""A batch size or a number of steps: an int, or an integer tensor [] in compiled code."""
