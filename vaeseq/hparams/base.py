"""HParamsBase: what classes of hyperparameters do, whatever their fields are."""

import contextlib
import dataclasses
import inspect
import json
import re
from collections.abc import Mapping, Set
from typing import Any, ClassVar, Self

from vaeseq.errors import UsageError, did_you_mean
from vaeseq.hparams import table
from vaeseq.hparams.field import hyperparameters


class HParamsBase:
    """The base of frozen dataclasses of hyperparameters; see `HParams`.

    Attributes:
      presets: values that `parse` sets together, by the name of the preset.
    """

    presets: ClassVar[Mapping[str, Mapping[str, object]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if dataclasses.is_dataclass(cls):
            inherited = {field.name for field in dataclasses.fields(cls)}
            untyped = vars(cls).keys() - vars(cls).get("__annotations__", {}).keys()
            for name in inherited & untyped:
                raise TypeError(
                    f"{cls.__name__}.{name} needs a type, or it is ignored; for example, "
                    f"{name}: int = 1"
                )
        cls.__doc__ = _DocWithFields(vars(cls).get("__doc__"))  # type: ignore[assignment]

    def __new__(cls, *args: Any, **values: Any) -> Self:
        """Checks the names of the values, with a hint that the dataclass's `__init__` lacks."""
        parameters = inspect.signature(cls.__init__).parameters
        if all(x.kind is not x.VAR_KEYWORD for x in parameters.values()):
            _check_names(values, parameters.keys() - {"self"})
        return super().__new__(cls)

    def __post_init__(self) -> None:
        own = vars(type(self))
        if "__annotations__" in own and "__dataclass_fields__" not in own:
            raise TypeError(
                f"{type(self).__name__} must be a dataclass, or its fields are ignored: "
                "decorate it with @dataclasses.dataclass(frozen=True)"
            )
        for name, field in hyperparameters(type(self)).items():
            object.__setattr__(self, name, field.checked(getattr(self, name)))

    def parse(self, text: str) -> Self:
        """Returns a copy changed by `text`, such as `latent_size=8,rnn_hidden_sizes=[256,256]`.

        `preset=paper` sets the model of the SeqVAE paper, `preset=seqgan` that of SeqGAN;
        `preset=seqvae_published` and `preset=seqgan_published` also set how they were trained.
        Other values in `text` override the preset's. A field that may be None becomes so by
        `name=none`.

        Raises:
          UsageError: if `text` is malformed, or has an unknown name or a value that is not allowed.
        """
        changes: dict[str, object] = {}
        known = hyperparameters(type(self))
        for item in filter(None, re.split(r",\s*(?![^\[]*\])", text.strip())):
            name, equals, value = (part.strip() for part in item.partition("="))
            if not equals:
                raise UsageError(f"hparams: {item!r} is not of the form name=value")
            if name in changes:
                raise UsageError(f"hparams: {name} is given twice")
            is_none = name in known and known[name].kind.is_optional and value.lower() == "none"
            changes[name] = None if is_none else _parse_value(value)
        preset = self._preset(changes.pop("preset")) if "preset" in changes else {}
        return self.replace(**(preset | changes))

    def replace(self, **changes: Any) -> Self:
        """Returns a copy with some values changed.

        Raises:
          UsageError: for an unknown name or a value that is not allowed.
        """
        _check_names(changes, hyperparameters(type(self)).keys())
        return dataclasses.replace(self, **changes)  # type: ignore[type-var]

    def _preset(self, name: object) -> dict[str, object]:
        """Returns the values of a preset, without those for which the class has no field."""
        if name not in self.presets:
            hint = did_you_mean(str(name), self.presets)
            raise UsageError(f"hparams: unknown preset {name!r}{hint}")
        fields = hyperparameters(type(self))
        return {key: value for key, value in self.presets[str(name)].items() if key in fields}


class _DocWithFields:
    """A class attribute `__doc__` that ends with a description of all fields."""

    def __init__(self, text: str | None):
        self._text = inspect.cleandoc(text or "")

    def __get__(self, instance: HParamsBase | None, owner: type[HParamsBase]) -> str:
        if not dataclasses.is_dataclass(owner):
            return self._text
        return f"{self._text}\n\n{table.as_text(owner)}".strip()


def _check_names(given: Mapping[str, object], known: Set[str]) -> None:
    for name in given:
        if name not in known:
            raise UsageError(f"hparams: unknown name {name!r}{did_you_mean(name, known)}")


def _parse_value(text: str) -> object:
    """Parses a JSON value, a number that JSON does not allow (`1.`), or a word without quotes."""
    lower = text.lower()
    with contextlib.suppress(ValueError):
        return json.loads(lower if lower in ("true", "false") else text)
    with contextlib.suppress(ValueError):
        return float(text)
    return text.strip("'\"")
