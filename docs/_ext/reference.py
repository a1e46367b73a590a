"""Writes a page for each public name into docs/api/, and formulas as MathML."""

import functools
import inspect
import re
import textwrap
from pathlib import Path

import keras
import latex2mathml.converter
from docstrings import as_rst
from docutils.nodes import SkipNode
from sphinx.ext.napoleon import GoogleDocstring
from sphinx.util.inspect import stringify_signature

import vaeseq
from scripts.reference import docstring, resolve, subjects

_HIDDEN = {  # what Keras or the library calls, and no reader
    "adversary_parts",
    "as_sequences",
    "build",
    "compile_from_config",
    "condition",
    "extend",
    "from_config",
    "get_config",
    "get_metrics_result",
    "infer_prepared",
    "is_replicated",
    "make_predict_function",
    "make_test_function",
    "make_train_function",
    "neutral_observations",
    "noise",
    "predict_step",
    "prepare",
    "split_seed",
    "test_step",
    "training_state",
}


def setup(app):
    """Registers the pages and the formulas."""
    app.connect("builder-inited", _write_pages)
    app.connect("autodoc-process-signature", _sign)
    app.add_html_math_renderer("mathml", (_inline_math, None), (_display_math, None))
    return {"parallel_read_safe": True}


@functools.cache
def targets():
    """Returns the full public name by each way to write it, such as `Run` or `vaeseq.Run`."""
    names = [name for group in subjects().values() for name in group]
    short = {name.removeprefix("vaeseq."): name for name in names if ".examples." not in name}
    return {**short, **{name: name for name in names if ".examples." not in name}}


def _sign(app, what, name, obj, options, signature, returned):
    """Shows the arguments of a constructor, where Keras's `__new__` would hide them."""
    if what == "class" and inspect.isfunction(obj.__init__) and issubclass(obj, keras.Operation):
        parameters = list(inspect.signature(obj.__init__).parameters.values())[1:]
        arguments = inspect.Signature(parameters)
        return stringify_signature(arguments, unqualified_typehints=True), None
    return None


def _write_pages(app):
    folder = Path(app.srcdir) / "api"
    folder.mkdir(exist_ok=True)
    pages = {name: _page(name) for names in subjects().values() for name in names}
    pages["index"] = _index()
    for old in folder.glob("*.rst"):
        if old.stem not in pages:
            old.unlink()
    for name, text in pages.items():
        path = folder / f"{name}.rst"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def _index():
    parts = [_title("Reference"), "Every public name, by subject.\n"]
    for subject, names in subjects().items():
        parts.append(_title(subject, "-"))
        rows = "".join(f"   * - :doc:`{_short(x)} <{x}>`\n     - {_summary(x)}\n" for x in names)
        parts.append(f".. list-table::\n   :widths: 35 65\n\n{rows}")
        pages = "".join(f"   {_short(x)} <{x}>\n" for x in names)
        parts.append(f".. toctree::\n   :hidden:\n\n{pages}")
    return "\n".join(parts)


def _summary(name):
    first = docstring(name).split("\n\n")[0]
    return as_rst(" ".join(first.split()))


def _short(name):
    return name.removeprefix("vaeseq.examples.").removeprefix("vaeseq.")


def _page(name):
    if name == "vaeseq.VAE_TYPES":
        return _cores()
    value = resolve(name)
    if not inspect.isclass(value):
        return f"{_title(name)}\n.. autofunction:: {name}\n"
    members = ", ".join(_members(value))
    shown = f"   :members: {members}\n" if members else ""
    bases = "   :show-inheritance:\n" if _has_public_base(value) else ""
    return f"{_title(name)}\n.. autoclass:: {name}\n{shown}{bases}"


def _has_public_base(value):
    public = {resolve(name) for name in targets().values() if inspect.isclass(resolve(name))}
    return any(base in public for base in value.__bases__)


def _members(cls):
    """Returns the methods and properties that a reader calls: those that vaeseq defines."""
    found = {}
    for base in cls.__mro__:
        if base.__module__.startswith("vaeseq."):
            for name, value in vars(base).items():
                if not name.startswith("_") and name not in _HIDDEN and _is_documented(value):
                    found.setdefault(name)
    return list(found)


def _is_documented(value):
    if isinstance(value, classmethod | staticmethod):
        value = value.__func__
    return (inspect.isfunction(value) or isinstance(value, property)) and bool(value.__doc__)


def _cores():
    """Returns the page of the cores: the graphical model of each, from the top of its file."""
    name = "vaeseq.VAE_TYPES"
    text = str(GoogleDocstring(as_rst(docstring(name)), what="data"))
    parts = [
        _title(name),
        ".. py:data:: vaeseq.VAE_TYPES\n   :type: dict[str, type[vaeseq.VAECore]]\n",
        textwrap.indent(text, "   "),
    ]
    for name, core in vaeseq.VAE_TYPES.items():
        parts += [_title(name, "-"), *_text_and_diagrams(inspect.getdoc(inspect.getmodule(core)))]
    return "\n".join(parts)


def _text_and_diagrams(text):
    """Yields prose, and what is indented as it is."""
    for part in re.split(r"((?:^    .*\n|^\n(?=    ))+)", text, flags=re.MULTILINE):
        if part.strip():
            is_diagram = part.lstrip("\n").startswith("    ")
            yield f".. code-block:: text\n\n{part}" if is_diagram else f"{as_rst(part)}\n"


def _title(text, line="="):
    return f"{text}\n{line * len(text)}\n"


def _inline_math(self, node):
    self.body.append(latex2mathml.converter.convert(node.astext()))
    raise SkipNode


def _display_math(self, node):
    self.body.append(latex2mathml.converter.convert(node.astext(), display="block"))
    raise SkipNode
