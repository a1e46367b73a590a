"""The package: which part may import which, what is public, and what `--help` imports."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import vaeseq

ROOT = Path(vaeseq.__file__).parent
LAYERS = [  # a module imports only from its own line or those above
    {"errors", "metrics", "fan"},
    {"training"},
    {"hparams"},
    {"nn"},
    {"codec", "context", "adversarial"},
    {"vae"},
    {"model"},
    {"cli"},
    {"examples"},
]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}


def imported_parts(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.startswith("vaeseq."):
                yield name.split(".")[1:]


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_one_way(path):
    own = path.relative_to(ROOT).with_suffix("").parts
    if own == ("__init__",):
        return
    for part in imported_parts(path):
        if part[0] not in RANK:
            assert own[0] == "examples" and part[0] in vaeseq.__all__, part
            continue
        assert RANK[part[0]] <= RANK[own[0]], f"{'.'.join(own)} imports {'.'.join(part)}"
        if own[0] == "examples" and part[0] == "examples" and len(own) > 2:
            assert part[1] == own[1], "examples do not import each other"


def test_all_names_are_public_and_there():
    assert vaeseq.__all__ == sorted(vaeseq.__all__)
    for name in vaeseq.__all__:
        assert getattr(vaeseq, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = vaeseq.nothing


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--hparams", "help"]])
@pytest.mark.parametrize("program", ["text", "midi", "play"])
def test_help_needs_no_tensorflow(program, arguments):
    code = (
        f"import sys; sys.argv = ['x', *{arguments}]; from vaeseq.examples.{program} import app\n"
        "try: app.main()\n"
        "except SystemExit: assert 'tensorflow' not in sys.modules and 'numpy' not in sys.modules"
    )
    command = [sys.executable, "-c", code]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "--hparams" not in arguments or "latent_size=" in told


def test_files_that_are_not_python_are_package_data():
    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())
    listed = project["tool"]["setuptools"]["package-data"]["vaeseq"]
    found = {x for x in ROOT.rglob("*") if x.is_file() and x.suffix not in (".py", ".pyc")}
    assert found == {x for pattern in listed for x in ROOT.glob(pattern)}


def test_the_version_comes_from_one_place():
    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())
    assert "version" not in project["project"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "vaeseq.__version__"}
    assert f"\nversion: {vaeseq.__version__}\n" in (ROOT.parent / "CITATION.cff").read_text()


def test_version_is_one_line_for_a_bug_report():
    command = [sys.executable, "-m", "vaeseq", "--version"]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert told.count("\n") == 1 and told.startswith(f"vaeseq {vaeseq.__version__}, Python 3.")
    for name in ("tensorflow", "keras", "tensorflow-probability", "numpy", "CPUs"):
        assert f"{name} " in told or told.endswith(f"{name}\n")
