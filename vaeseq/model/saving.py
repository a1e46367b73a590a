"""The configuration of a model as JSON, from which Keras creates the model again.

Reading it runs no code of the file: hyperparameters are checked values of a class that the program
has defined, and the specs of inputs are shapes and dtypes.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from vaeseq.errors import UsageError
from vaeseq.hparams import HParams
from vaeseq.nn.types import Specs

Json: TypeAlias = Any
"""A dict, list, string, number, bool or None."""


def hparams_to_json(hparams: HParams) -> Json:
    """Returns hyperparameters and the name of their class as JSON."""
    cls = type(hparams)
    return {
        "module": cls.__module__,
        "name": cls.__qualname__,
        "values": _without_tuples(dataclasses.asdict(hparams)),
    }


def hparams_from_json(config: Json) -> HParams:
    """Returns the hyperparameters of `hparams_to_json`; their class must be defined.

    Raises:
      UsageError: if the program has no such class, or for a value that is not allowed.
    """
    module, name = config["module"], config["name"]
    named = [cls for cls in _subclasses(HParams) if cls.__qualname__ == name]
    if not named:
        raise UsageError(
            f"the saved model has hyperparameters of the class {name} of {module}, which is not "
            "defined here: import or define it before the model is loaded"
        )
    # A class may have moved to another module, or have been defined again in a notebook.
    found = max(reversed(named), key=lambda cls: cls.__module__ == module)
    return found(**config["values"])


def _subclasses(cls: type[HParams]) -> Iterator[type[HParams]]:
    """Yields a class and its subclasses, the newest last."""
    yield cls
    for subclass in cls.__subclasses__():
        yield from _subclasses(subclass)


def _without_tuples(values: Mapping[str, object]) -> Json:
    return {name: list(x) if isinstance(x, tuple) else x for name, x in values.items()}


def specs_to_json(specs: Specs) -> Json:
    """Returns the specs of inputs as JSON.

    Raises:
      ValueError: for a named tuple, whose class is not known where the model is loaded.
    """
    if isinstance(specs, tf.TensorSpec):
        return {"shape": specs.shape.as_list(), "dtype": specs.dtype.name, "name": specs.name}
    if isinstance(specs, Mapping):
        return {"dict": {name: specs_to_json(x) for name, x in specs.items()}}
    if hasattr(specs, "_fields"):
        raise ValueError(
            f"a model with inputs_spec = {specs!r} cannot be saved: use a dict or a tuple instead "
            "of a named tuple"
        )
    return {"tuple" if isinstance(specs, tuple) else "list": [specs_to_json(x) for x in specs]}


def specs_from_json(config: Json) -> Specs:
    """Returns the specs of `specs_to_json`."""
    if "shape" in config:
        return tf.TensorSpec(config["shape"], config["dtype"], config["name"])
    if "dict" in config:
        return {name: specs_from_json(x) for name, x in config["dict"].items()}
    if "tuple" in config:
        return tuple(map(specs_from_json, config["tuple"]))
    return list(map(specs_from_json, config["list"]))


def revive(cls: type[keras.Model], load: Callable[..., keras.Model], arguments: Any) -> keras.Model:
    """Loads a model of a class that need not be registered; what pickled models call."""
    with keras.saving.custom_object_scope({keras.saving.get_registered_name(cls): cls}):
        return load(*arguments)
