"""The summary of a model: each part with the shape of its outputs, and each parameter once."""

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import keras

from vaeseq.training.private_api import sublayers

Shapes: TypeAlias = Sequence[tuple[int | None, ...]]
"""None for a number of rows or steps."""


def of(model: keras.Model, outputs: Mapping[str, Shapes]) -> keras.Model:
    """Returns a model of which Keras shows the summary as that of a sequence model.

    The parts of a sequence model share layers, and they have several methods besides `call`, so
    Keras would count the encoder three times and know no shapes.

    Args:
      model: the model.
      outputs: the shapes of the outputs of its parts, by the name of the attribute.
    """
    seen: set[int] = set()
    parts = [_part(name, getattr(model, name), seen, shapes) for name, shapes in outputs.items()]
    parts += [_part(x.name, x, seen) for x in sublayers(model) if id(x) not in seen]
    return _Summary(model, parts)


class _Summary(keras.Model):
    """A model of which Keras shows the summary; its layers are rows."""

    def __init__(self, model: keras.Model, parts: list[keras.layers.Layer]):
        super().__init__(name=model.name)
        self._model, self._parts = (model,), tuple(parts)
        self.compiled, self.optimizer, self.built = model.compiled, None, True
        if model.compiled:
            self.optimizer = model.optimizer

    @property
    def layers(self) -> list[keras.layers.Layer]:
        """The rows."""
        return list(self._parts)

    @property
    def trainable_weights(self) -> list[keras.Variable]:
        """Those of the model, each once."""
        weights: list[keras.Variable] = self._model[0].trainable_weights
        return weights

    @property
    def non_trainable_weights(self) -> list[keras.Variable]:
        """Those of the model, each once."""
        weights: list[keras.Variable] = self._model[0].non_trainable_weights
        return weights


class _Part(keras.layers.Layer):
    """A row that stands for a layer."""

    def __init__(
        self,
        name: str,
        layer: keras.layers.Layer,
        outputs: Shapes,
        parts: Sequence[keras.layers.Layer],
        count: int,
    ):
        super().__init__(name=name, trainable=layer.trainable)
        self._of, self._count = (layer,), count
        self.layers = tuple(parts)  # the rows inside, which `expand_nested` shows
        self.build(tuple(outputs))

    def build(self, outputs: Shapes) -> None:
        """Has no weights of its own; Keras passes what it gets here to `compute_output_shape`."""

    def compute_output_shape(self, outputs: Shapes) -> Shapes | tuple[int | None, ...]:
        """Returns the shapes that the row shows.

        Raises:
          NotImplementedError: if they are not known; Keras then shows `?`.
        """
        if not outputs:
            raise NotImplementedError
        return outputs[0] if len(outputs) == 1 else list(outputs)

    @property
    def weights(self) -> list[keras.Variable]:
        """Those of the layer."""
        weights: list[keras.Variable] = self._of[0].weights
        return weights

    def count_params(self) -> int:
        """Returns the number of parameters that the row shows."""
        return self._count


def _part(
    name: str, layer: keras.layers.Layer, seen: set[int], outputs: Shapes = ()
) -> keras.layers.Layer:
    """Returns the row of a layer, which counts the weights that are not yet seen.

    The rows inside it are those of layers that are not yet seen. `seen` has the ids of both.
    """
    new = [x for x in layer.weights if id(x) not in seen]
    seen.add(id(layer))
    inside = []
    for x in sublayers(layer):
        if id(x) not in seen and x.built:  # a layer that was replaced is not built
            inside.append(_part(x.name, x, seen))
    seen.update(map(id, new))
    kind = type(type(layer).__name__, (_Part,), {})  # Keras shows the name of the class
    count = sum(math.prod(x.shape) for x in new)
    return kind(name, layer, outputs or _outputs(layer), inside, count)


def _outputs(layer: keras.layers.Layer) -> Shapes:
    """Returns the shape of the outputs of a layer that has units or ends with one; else ()."""
    units = getattr(layer, "units", None)
    if units is not None:
        return [(None, units)]
    inside = sublayers(layer)
    return _outputs(inside[-1]) if inside else ()
