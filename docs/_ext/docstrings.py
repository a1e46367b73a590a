"""Docstrings of vaeseq as reStructuredText: they are plain text with `code` in single backticks."""

import re

_CODE = re.compile(r"`([^`]+)`")
_EXAMPLE = re.compile(r"(^ *>>> .*\n?(?:^ *\S.*\n?)*)", re.MULTILINE)  # up to an empty line
_SPECIAL = re.compile(r"([\\*|]|_(?![A-Za-z0-9]))")
_BULLET = re.compile(r"^(\s*)\\\* ", re.MULTILINE)


def setup(app):
    """Registers the conversion, before napoleon reads the sections."""
    app.connect("autodoc-process-docstring", _convert, priority=400)
    return {"parallel_read_safe": True}


def _convert(app, what, name, obj, options, lines):
    text = "\n".join(lines)
    if what == "class" and obj.__doc__ == getattr(obj.__base__, "__doc__", None):
        text = ""
    lines[:] = as_rst(text).split("\n")


def as_rst(text):
    """Returns a docstring as reStructuredText; examples stay as they are."""
    parts = _EXAMPLE.split(text)
    return "".join(part if i % 2 else _prose(part) for i, part in enumerate(parts))


def _prose(text):
    parts = _CODE.split(text)
    parts[1::2] = [_code(part) for part in parts[1::2]]
    parts[::2] = [_SPECIAL.sub(r"\\\1", part) for part in parts[::2]]
    parts[2::2] = [f"\\ {part}" if part[:1].isalnum() else part for part in parts[2::2]]
    return _BULLET.sub(r"\1* ", "".join(parts))


def _code(text):
    """Returns a link if the code names something public, else the code."""
    import reference

    target = reference.targets().get(text)
    return f":py:obj:`{text} <{target}>`" if target else f"``{text}``"
