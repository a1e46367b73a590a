"""The types that functions of the library take: nests of tensors, seeds, sizes."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import tensorflow as tf

Tensor: TypeAlias = tf.Tensor | np.ndarray
"""What `tf.convert_to_tensor` takes without a loss: a tensor, or an array of NumPy."""

Nest: TypeAlias = "Tensor | Sequence[Nest] | Mapping[str, Nest]"
"""A tensor, or tuples, named tuples, lists or dicts of nests, as `tf.nest` knows them."""

Specs: TypeAlias = "tf.TensorSpec | Sequence[Specs] | Mapping[str, Specs]"
"""A nest of `tf.TensorSpec`."""

Seed: TypeAlias = int | Sequence[int] | Tensor
"""A seed for stateless random numbers: one int, or two, int32 [2]."""

Size: TypeAlias = int | tf.Tensor
"""A number of rows or steps: an int, or an integer tensor [] in compiled code."""
