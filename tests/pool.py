"""A pool of compiled models: tests take turns with them, because tracing costs more than computing.

A model is made, compiled and traced once for each (class, arguments). Every test gets it with all
of its variables (weights, optimizer, metrics, random generators) as they were when it was made.
"""

import contextlib

import keras
import numpy as np
import tensorflow as tf


class Pool:
    """Models by what they were made of. `take` lends one until `put_back_all`."""

    def __init__(self):
        self._free, self._lent, self._initial = {}, [], {}

    def take(self, make, *args, seed=1, **kwargs):
        """Returns `make(*args)`, compiled with `kwargs`, in its initial state.

        Args:
          make: a model class; `args` and `kwargs` must be hashable.
          seed: of the initial weights: those of seed 1 as they were made, others are moved a
            little from there.
        """
        key = make, args, tuple(sorted(kwargs.items()))
        free = self._free.setdefault(key, [])
        model = free.pop() if free else self._make(make, args, kwargs)
        self._lent.append((key, model))
        model.stop_training = False
        for variable, value in zip(variables(model), self._initial[id(model)], strict=True):
            variable.assign(value)
        if seed != 1:
            rng = np.random.default_rng(seed)
            for weight in model.trainable_weights:
                weight.assign_add(0.1 * rng.normal(size=weight.shape).astype(np.float32))
        return model

    def put_back_all(self):
        """Makes all models that are lent free again."""
        for key, model in self._lent:
            self._free[key].append(model)
        self._lent = []

    def _make(self, make, args, kwargs):
        keras.utils.set_random_seed(1)
        model = make(*args)
        model.compile(**kwargs)
        self._initial[id(model)] = [x.numpy().copy() for x in variables(model)]
        return model


@contextlib.contextmanager
def unchanged(model):
    """Gives a compiled model the values back that its variables had, without tracing it again."""
    found = variables(model)
    before = [x.numpy().copy() for x in found]
    yield
    for variable, value in zip(found, before, strict=True):
        variable.assign(value)


def variables(model):
    """All variables of a compiled model, each once."""
    found = [*model.variables, *tf.nest.flatten(list(model.training_state.values()))]
    return list({id(x): x for x in found}.values())
