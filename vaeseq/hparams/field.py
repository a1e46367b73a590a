"""The fields of hyperparameters: what they are for, their types, and the values they allow."""

import dataclasses
import math
import types
import typing
from typing import NamedTuple, Self, TypeVar

from vaeseq.errors import UsageError, did_you_mean

T = TypeVar("T")

# Larger values are mistakes, or attacks by a run directory of unknown origin.
MOST_UNITS = 1 << 20  # of a layer
MOST_LAYERS = 64
MOST = 1 << 53  # of any whole number: all below are floats, too


class Limits(NamedTuple):
    """The allowed values of a field of `HParams`; of each item if the field is a tuple."""

    low: float = -math.inf
    above: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()

    def __str__(self) -> str:
        words = []
        if self.above > -math.inf:
            words.append(f"above {self.above:.10g}")
        if self.low > -math.inf:
            words.append(f"at least {self.low:.10g}")
        if self.high < math.inf:
            words.append(f"at most {self.high:.10g}")
        return ", ".join(words)


class _Declared(NamedTuple):
    """What `hparam` says of a field."""

    limits: Limits
    doc: str
    heading: str


def hparam(
    default: T,
    doc: str = "",
    *,
    low: float = -math.inf,
    above: float = -math.inf,
    high: float = math.inf,
    choices: tuple[str, ...] = (),
    heading: str = "",
) -> T:
    """Returns a field of `HParams`: low <= value <= high, value > above, or one of `choices`.

    A subclass, a frozen dataclass as well, overrides only the default by `name: type = value`; the
    limits and the description stay.

    Args:
      default: the default value.
      doc: what the field means, for `help` and the table of hyperparameters.
      low: the least value; of each item if the field is a tuple, like the other limits.
      above: a number below all values.
      high: the largest value.
      choices: the allowed words.
      heading: starts a section of the table at this field.

    Example:
      >>> import dataclasses
      >>> import vaeseq
      >>> @dataclasses.dataclass(frozen=True)
      ... class MyHParams(vaeseq.HParams):
      ...     latent_size: int = 8  # another default
      ...     embed_size: int = vaeseq.hparam(64, "The size of the embedding.", low=1)
      >>> MyHParams().parse("embed_size=32").embed_size
      32
      >>> MyHParams(embed_size=0)
      Traceback (most recent call last):
      vaeseq.errors.UsageError: hparams: embed_size...
    """
    declared = _Declared(Limits(low, above, high, choices), doc, heading)
    field: T = dataclasses.field(default=default, metadata={"hparam": declared})
    return field


class Kind(NamedTuple):
    """The type of a field: that of its value or of the items of its tuple, and whether None is one.

    Raises:
      TypeError: from `of`, for a type that a field cannot have.
    """

    item: type
    is_tuple: bool = False
    is_optional: bool = False

    @classmethod
    def of(cls, annotation: object) -> Self:
        """Returns the kind of a field with a type annotation such as `tuple[int, ...]`."""
        args = typing.get_args(annotation)
        if typing.get_origin(annotation) in (typing.Union, types.UnionType) and len(args) == 2:
            given = [arg for arg in args if arg is not types.NoneType]
            if len(given) == 1:
                return cls.of(given[0])._replace(is_optional=True)
        if typing.get_origin(annotation) is tuple and args:
            return cls.of(args[0])._replace(is_tuple=True)
        if isinstance(annotation, type) and annotation in (int, float, bool, str):
            return cls(annotation)
        raise TypeError(
            f"a field of HParams cannot have the type {annotation}; it must be int, float, bool or "
            "str, a tuple of one of these such as tuple[int, ...], or one of these | None"
        )

    def __str__(self) -> str:
        text = f"tuple of {self.item.__name__}" if self.is_tuple else self.item.__name__
        return f"{text} or None" if self.is_optional else text


class Hyperparameter(NamedTuple):
    """A field of a class of hyperparameters, with what its base classes say of it."""

    name: str
    kind: Kind
    default: object
    limits: Limits
    doc: str  # "" if there is no description
    heading: str  # of the section to which it belongs

    def checked(self, value: object) -> object:
        """Returns the value as the type of the field; NumPy's numbers and arrays become Python's.

        Raises:
          UsageError: for a value of another type or out of its limits.
        """
        value = _without_numpy(value)
        if value is None and self.kind.is_optional:
            return None
        if not self.kind.is_tuple:
            return self._checked_item(value)
        items = value if isinstance(value, (list, tuple)) else (value,)
        if len(items) > MOST_LAYERS:
            raise UsageError(f"hparams: {self.name} has {len(items)} items, above {MOST_LAYERS}")
        return tuple(self._checked_item(_without_numpy(item)) for item in items)

    def _checked_item(self, value: object) -> object:
        name, limits = self.name, self.limits
        if type(value) is int and abs(value) > MOST:
            raise UsageError(f"hparams: {name} is out of range: at most {MOST}")
        if self.kind.item is float and type(value) is int:
            value = float(value)
        if type(value) is not self.kind.item:
            raise UsageError(f"hparams: {name} must be {self.kind}, not {value!r}")
        if limits.choices and value not in limits.choices:
            hint = did_you_mean(str(value), limits.choices)
            raise UsageError(f"hparams: {name} cannot be {value!r}{hint}")
        if isinstance(value, (int, float)) and not (
            limits.low <= value <= limits.high and limits.above < value < math.inf
        ):
            allowed = str(limits) or "must be finite"
            raise UsageError(f"hparams: {name} = {value} is out of range: {allowed}")
        return value


def _without_numpy(value: object) -> object:
    """Returns NumPy's numbers and arrays as Python's; does not import NumPy."""
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        plain: object = value.tolist()
        return plain
    return value


def hyperparameters(cls: type) -> dict[str, Hyperparameter]:
    """Returns the fields of a class of hyperparameters by their names, in their order."""
    annotations = typing.get_type_hints(cls)
    found: dict[str, Hyperparameter] = {}
    owner, heading = None, ""
    for field in dataclasses.fields(cls):
        declared = _declarations(cls, field.name)
        doc = next((x.doc for x in declared if x.doc), "")
        first = _first_owner(cls, field.name)
        if first is not owner:
            owner, heading = first, first.__name__
        heading = next((x.heading for x in declared if x.heading), heading)
        limits = declared[0].limits if declared else Limits()
        kind = Kind.of(annotations[field.name])
        found[field.name] = Hyperparameter(field.name, kind, field.default, limits, doc, heading)
    return found


def _declarations(cls: type, name: str) -> list[_Declared]:
    """Returns what `hparam` says of a field, in `cls` and in its base classes."""
    fields = (vars(base).get("__dataclass_fields__", {}).get(name) for base in cls.__mro__)
    return [x.metadata["hparam"] for x in fields if x is not None and "hparam" in x.metadata]


def _first_owner(cls: type, name: str) -> type:
    """Returns the class that introduces a field."""
    return next(
        base for base in reversed(cls.__mro__) if name in vars(base).get("__annotations__", {})
    )
