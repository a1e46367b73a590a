"""The documents are true: their Python code runs, their commands parse, their links work."""

import re
import shlex
from pathlib import Path
from unittest import mock

import keras
import numpy as np
import pytest

import vaeseq
from scripts.hyperparameters import page
from vaeseq.examples.midi import app as midi_app
from vaeseq.examples.midi.hparams import MidiHParams
from vaeseq.examples.play import app as play_app
from vaeseq.examples.play.hparams import PlayHParams
from vaeseq.examples.text import app as text_app
from vaeseq.examples.text.hparams import TextHParams
from vaeseq.hparams.field import hyperparameters

ROOT = Path(__file__).parent.parent
PROGRAMS = {"vaeseq-text": text_app, "vaeseq-midi": midi_app, "vaeseq-play": play_app}
DOCUMENTS = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]


def blocks(language):
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        for match in re.finditer(rf"```{language}\n(.*?)```", text, re.DOTALL):
            yield pytest.param(
                match[1], id=f"{document.name}:{text[: match.start()].count(chr(10))}"
            )


def python_of(document):
    """Returns the code of a document: its blocks are one program."""
    text = document.read_text(encoding="utf-8")
    return "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))


def run(document):
    """Returns the names that a document's code defines."""
    names = {"__name__": "document"}
    exec(compile(python_of(document), document.name, "exec"), names)
    return names


def test_the_example_of_the_readme_forecasts_well(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(0)
    names = run(ROOT / "README.md")
    assert np.all(np.diff(names["history"].history["val_loss"]) < 0), "it falls in every epoch"
    future = names["test"][:, 20:]
    error = np.abs(names["forecast"].mean(axis=0) - future).mean()
    assert error < 0.25 < np.abs(future).mean() / 2


@pytest.mark.parametrize(
    "document", [x for x in DOCUMENTS[1:] if python_of(x)], ids=lambda x: x.name
)
def test_python_runs(document, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with mock.patch.dict(vaeseq.VAE_TYPES):  # a page adds a core
        run(document)


@pytest.mark.parametrize("commands", list(blocks("sh")))
def test_commands_parse(commands):
    for command in re.split(r"\n|&&", commands.replace("\\\n", " ")):
        words = shlex.split(command, comments=True)
        if words[:1] and words[0] in PROGRAMS:
            PROGRAMS[words[0]].parser().parse_args(words[1:])
        elif words[:2] == ["python", "-m"]:
            module = ROOT / words[2].replace(".", "/")
            assert module.with_suffix(".py").exists() or (module / "__main__.py").exists(), command


def test_links_point_to_existing_files():
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_the_page_of_hyperparameters_is_what_the_source_says():
    written = (ROOT / "docs" / "hyperparameters.md").read_text(encoding="utf-8")
    assert written == page(), "run python -m scripts.hyperparameters > docs/hyperparameters.md"


def test_names_in_code_exist():
    """Catches names that have been renamed, in code spans such as `codec.NormalDecoder`."""
    span = re.compile(r"`(?:vaeseq\.)?(codec|context|metrics|objectives)\.(?!jsonl)(\w+)")
    for document in DOCUMENTS:
        if document.name != "migration.md":  # it has the names of 2018
            for module, name in span.findall(document.read_text(encoding="utf-8")):
                assert hasattr(getattr(vaeseq, module), name), f"{document.name}: {module}.{name}"


def test_the_migration_page_names_what_exists():
    """The second column of its tables, and the hyperparameters that it calls unchanged."""
    text = (ROOT / "docs" / "migration.md").read_text(encoding="utf-8")
    fields = {x for cls in (TextHParams, MidiHParams, PlayHParams) for x in hyperparameters(cls)}
    unchanged = re.search(r"are unchanged: (.*?)\. Many", text, re.DOTALL)[1]
    assert {x.strip("`") for x in re.split(r",\s|\sand\s", unchanged)} <= fields
    for successor in re.findall(r"^\| .* \| (.*) \|$", text, re.MULTILINE):
        for module, name in re.findall(r"`(codec|context|objectives)\.(\w+)", successor):
            assert hasattr(getattr(vaeseq, module), name), successor
        for name in re.findall(r"`vaeseq\.(\w+)", successor):
            assert hasattr(vaeseq, name), successor


def test_every_page_is_in_the_menu_of_the_site():
    """Sphinx refuses a page that no menu has; this says so sooner."""
    menu = (ROOT / "docs" / "index.md").read_text(encoding="utf-8").splitlines()
    pages = [*ROOT.glob("docs/**/*.md"), *ROOT.glob("docs/tutorials/*.py")]
    names = {str(page.relative_to(ROOT / "docs").with_suffix("")) for page in pages}
    built = {name for name in names if name.startswith(("_", "api/"))}
    assert names - built - {"index"} <= set(menu)
