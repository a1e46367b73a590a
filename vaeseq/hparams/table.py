"""Tables of hyperparameters: text for terminals and `help`, Markdown for the documents."""

import itertools
import textwrap
from collections.abc import Iterable, Iterator, Mapping

from vaeseq.hparams.field import Hyperparameter, hyperparameters

_WIDTH = 80  # of a terminal
_HEADER = "| name | default | allowed | meaning |\n|---|---|---|---|\n"


def as_text(cls: type) -> str:
    """Returns all fields of a class of hyperparameters, in the form in which `parse` reads them."""
    sections = _sections(hyperparameters(cls).values())
    return "\n\n".join(
        "\n".join([heading, *map(_text_entry, fields)]) for heading, fields in sections
    )


def as_markdown(cls: type, base: type | None = None) -> str:
    """Returns the fields of a class as tables, one for each section.

    Args:
      cls: the class of hyperparameters.
      base: a base class that the document describes elsewhere; of its fields, only the defaults
        that `cls` changes appear.
    """
    fields = hyperparameters(cls)
    known = hyperparameters(base) if base else {}
    own = [field for name, field in fields.items() if name not in known]
    parts = [
        f"**{heading}**\n\n{_HEADER}" + "\n".join(map(_row, section))
        for heading, section in _sections(own)
    ]
    if base:
        parts.insert(0, f"Other defaults: {assignments(changed(base(), cls()))}.")
    return "\n\n".join(parts)


def changed(before: object, after: object) -> dict[str, object]:
    """Returns the values of `after` that differ, among the fields of `before`."""
    values = ((name, getattr(after, name)) for name in hyperparameters(type(before)))
    return {name: value for name, value in values if value != getattr(before, name)}


def assignments(values: Mapping[str, object]) -> str:
    """Returns values by name as Markdown, in the form in which `parse` reads them."""
    return ", ".join(f"`{name}={_written(value)}`" for name, value in values.items())


def _sections(fields: Iterable[Hyperparameter]) -> Iterator[tuple[str, list[Hyperparameter]]]:
    for heading, section in itertools.groupby(fields, lambda field: field.heading):
        yield heading, list(section)


def _text_entry(field: Hyperparameter) -> str:
    first = f"  {field.name}={_written(field.default)}  ({_allowed(field)})"
    indent = " " * 6
    doc = textwrap.fill(field.doc, _WIDTH, initial_indent=indent, subsequent_indent=indent)
    return f"{first}\n{doc}" if doc else first


def _row(field: Hyperparameter) -> str:
    doc = field.doc.replace("|", r"\|")
    return f"| `{field.name}` | `{_written(field.default)}` | {_allowed(field)} | {doc} |"


def _allowed(field: Hyperparameter) -> str:
    if field.limits.choices:
        return ", ".join(field.limits.choices)
    limits = str(field.limits)
    return f"{field.kind}, {limits}" if limits else str(field.kind)


def _written(value: object) -> str:
    """Returns a value in the form in which `parse` reads it."""
    if isinstance(value, tuple):
        return f"[{','.join(map(_written, value))}]"
    return f"{value:.10g}" if isinstance(value, float) else str(value)
