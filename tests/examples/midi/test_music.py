"""The package `music` needs no TensorFlow, so that other programs can import it quickly."""

import ast
from pathlib import Path

from vaeseq.examples.midi import music


def test_music_imports_only_itself_and_no_tensorflow():
    for path in Path(music.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.partition(".")[0] not in ("tensorflow", "keras"), path
                assert not name.startswith("vaeseq") or name.startswith(music.__name__), path
