"""The public names of vaeseq, by subject: what has a page in the reference and a runnable example.

python -m scripts.reference    prints the share of names with an example
"""

import ast
import doctest
import importlib
import inspect
from collections.abc import Iterator
from typing import Any

import vaeseq
from vaeseq import vae

MODULES = ("codec", "context", "metrics", "objectives", "workers")
PLAY = "vaeseq.examples.play"

SUBJECTS = {
    "Models": ("ModelBase", "HParams", "hparam", "make_optimizer", "State", "Smoothing"),
    "Encoders and decoders": ("DistModule", "Support", "codec"),
    "Contexts": ("Context", "context"),
    "Cores": ("VAE_TYPES", "VAECore", "Step", "Inference"),
    "Parts of cores": (
        *("LatentDecoder", "Gaussian", "Categorical"),
        *("LSTM", "LSTMStack", "make_stack", "concat", "over_time"),
    ),
    "Scores and pictures of forecasts": ("metrics", "plot_fan"),
    "Objectives": ("objectives",),
    "Training runs": ("train", "Run", "Report", "Stopped", "UsageError", "workers"),
}


def subjects() -> dict[str, list[str]]:
    """Returns the full names, such as `vaeseq.codec.NormalDecoder`, by subject."""
    found: dict[str, list[str]] = {subject: [] for subject in SUBJECTS}
    for subject, names in SUBJECTS.items():
        for name in names:
            found[subject] += list(_expanded(name))
    play = importlib.import_module(PLAY)
    return {**found, "Games": [f"{PLAY}.{name}" for name in play.__all__]}


def _expanded(name: str) -> Iterator[str]:
    if name not in MODULES:
        yield f"vaeseq.{name}"
        return
    module = resolve(f"vaeseq.{name}")
    yield from (f"vaeseq.{name}.{x}" for x in module.__all__ if x not in vaeseq.__all__)


def resolve(name: str) -> Any:
    """Returns what a full name stands for."""
    module, _, last = name.rpartition(".")
    owner = importlib.import_module(module) if module in ("vaeseq", PLAY) else resolve(module)
    return getattr(owner, last)


def example(name: str) -> doctest.DocTest | None:
    """Returns the example in the docstring of a public name; None if there is none."""
    test = doctest.DocTestParser().get_doctest(docstring(name), {}, name, None, 0)
    return test if test.examples else None


def docstring(name: str) -> str:
    """Returns the docstring of a public name; that of a constant stands below it."""
    if name == "vaeseq.VAE_TYPES":
        body = ast.parse(inspect.getsource(vae)).body
        place = next(i for i, node in enumerate(body) if isinstance(node, ast.AnnAssign))
        return inspect.cleandoc(ast.literal_eval(body[place + 1].value))  # type: ignore[attr-defined]
    return inspect.getdoc(resolve(name)) or ""


def main() -> None:
    """Prints how many names have an example, and which have none."""
    names = [name for group in subjects().values() for name in group]
    lacking = [name for name in names if example(name) is None]
    print(f"{len(names) - len(lacking)} of {len(names)} public names have a runnable example")
    for name in lacking:
        print(f"  none: {name}")


if __name__ == "__main__":
    main()
