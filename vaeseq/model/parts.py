"""Checks of the parts of a model that a user writes; each error says what was expected."""

import math
from collections.abc import Callable

import keras
import tensorflow as tf

from vaeseq.nn.convert import has_structure
from vaeseq.nn.dist_module import DistModule
from vaeseq.nn.types import Nest, Specs


def check_dtype(policy: str, floatx: str) -> None:
    """Raises `ValueError` if Keras would create layers that do not compute in float32.

    Measured on a CPU with bfloat16 instructions, the processor time of a training step of RNN (512
    units, 32 x 40 steps) and of SRNN (256 units, 32 x 100 steps): with recurrences in bfloat16 it
    is 0.9 and 1.0 times that of float32, with float64 3.0 and 2.1 times. The lower precision gains
    almost nothing, and the higher one is too slow for training.
    """
    if (policy, floatx) != ("float32", "float32"):
        raise ValueError(
            "vaeseq computes in float32, because a training step takes 0.9 to 1 times as long with "
            "bfloat16, and 2 to 3 times as long with float64; Keras has dtype_policy "
            f"{policy} and floatx {floatx}:"
            ' call keras.config.set_floatx("float32") and '
            'keras.config.set_dtype_policy("float32") before you create the model'
        )


def check_encoder(encoder: Callable[[Nest], tf.Tensor]) -> None:
    """Raises `TypeError` if `make_encoder` returned something that is no layer."""
    if not callable(encoder):
        raise TypeError(
            "make_encoder must return a layer from observations to features, such as "
            f"codec.MLPObsEncoder(hparams), not {_name(encoder)}"
        )


def encoded_size(encoder: Callable[[Nest], tf.Tensor], observation: Nest) -> int:
    """Returns E, the number of features of an encoder.

    Args:
      encoder: layer from observations [N, *event_shape] to features [N, E].
      observation: nest of [1, *event_shape].

    Raises:
      ValueError: if the layer returns something else.
    """
    features = encoder(observation)
    event = tf.nest.map_structure(lambda x: _text("N", *x.shape[1:]), observation)
    expected = f"the encoder must return features [N, E] of observations {_nest_text(event)}"
    if not tf.is_tensor(features):
        raise ValueError(f"{expected}, one tensor of numbers, not {_name(features)}")
    if features.shape.rank != 2 or features.shape[0] not in (1, None):
        raise ValueError(
            f"{expected}, not {_shape_of_rows(features)}; it can end with codec.Flatten()"
        )
    if features.dtype != tf.float32:
        raise ValueError(
            f"{expected}, of float32, not {features.dtype.name}; it can end with codec.Flatten()"
        )
    return int(features.shape[-1])


def check_decoder(decoder: DistModule) -> None:
    """Raises an error if `make_decoder` returned something that is no complete `DistModule`.

    Raises:
      TypeError: if it is no `DistModule`.
      ValueError: if `event_shape` or `event_dtype` is missing or wrong, or cannot hold the largest
        number.
    """
    name = _name(decoder)
    if not isinstance(decoder, DistModule):
        raise TypeError(
            "make_decoder must return a vaeseq.DistModule, the distribution of an observation, "
            f"such as codec.MLPObsDecoder(hparams, codec.NormalDecoder([3])), not {name}"
        )
    for attribute, kind in (("event_shape", tf.TensorShape), ("event_dtype", tf.DType)):
        value = getattr(decoder, attribute, None)
        if value is None:
            raise ValueError(f"{name} must set {attribute}, a tf.{kind.__name__} or a nest of them")
        wrong = [x for x in tf.nest.flatten(value) if not isinstance(x, kind)]
        if wrong:
            raise ValueError(
                f"{attribute} of {name} must be a tf.{kind.__name__} or a nest of them, not "
                f"{value!r}"
            )
    if not has_structure(decoder.support, decoder.event_dtype):
        raise ValueError(f"support of {name} must be a vaeseq.Support or a nest like event_dtype")
    numbers = zip(*map(tf.nest.flatten, (decoder.support, decoder.event_dtype)), strict=True)
    for support, dtype in numbers:
        if dtype.is_integer and dtype.max < support.high < math.inf:
            raise ValueError(
                f"event_dtype of {name} is {dtype.name}, but {support}; use a larger dtype, such "
                "as int32"
            )


def check_inputs_spec(specs: Specs) -> None:
    """Raises `ValueError` if specs are not a nest of `tf.TensorSpec` with known shapes."""
    for spec in tf.nest.flatten(specs):
        if not isinstance(spec, tf.TensorSpec) or not spec.shape.is_fully_defined():
            raise ValueError(
                "inputs_spec must be a tf.TensorSpec of the inputs of one step, without the axes "
                f"of batch and time, such as tf.TensorSpec([2]), or a nest of them; not {specs!r}"
            )


def _shape_of_rows(x: tf.Tensor) -> str:
    """Returns the shape of a tensor of one row as that of N rows."""
    sizes = x.shape.as_list() if x.shape.rank else []
    return _text(*("N" if size == 1 and axis == 0 else size for axis, size in enumerate(sizes)))


def _text(*sizes: int | str | None) -> str:
    return f"[{', '.join(map(str, sizes))}]"


def _nest_text(shapes: Nest) -> str:
    return str(shapes).replace("'", "")


def _name(value: object) -> str:
    """Returns what a user calls a value: the class of a layer, or the value itself."""
    is_layer = isinstance(value, keras.layers.Layer)
    return type(value).__name__ if is_layer or isinstance(value, (tuple, list)) else repr(value)
