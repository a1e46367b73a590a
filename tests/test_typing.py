"""A user's mypy sees the types of the public names."""

from pathlib import Path

from mypy import api

ROOT = Path(__file__).parent.parent
CONFIG = f"""[mypy]
mypy_path = {ROOT}
strict = true
cache_dir = {ROOT}/.mypy_cache/user
[mypy-vaeseq.*]
follow_imports = silent
[mypy-tensorflow.*,keras.*,tensorflow_probability.*]
follow_imports = skip
ignore_missing_imports = true
"""
MISTAKES = """
import vaeseq
from vaeseq import metrics

size: str = vaeseq.HParams().latent_size
metrics.crps([[1.0]], [1.0], "mask")
vaeseq.plot_fan(None, [1.0])
print(vaeseq.no_such_name)
"""


def check(path, tmp_path):
    config = tmp_path / "mypy.ini"
    config.write_text(CONFIG, encoding="utf-8")
    told, errors, _ = api.run(["--config-file", str(config), str(path)])
    return told + errors


def test_a_strictly_typed_program_is_accepted_and_mistakes_are_found(tmp_path):
    assert "no issues found" in check(Path(__file__).with_name("user.py"), tmp_path)
    wrong = tmp_path / "wrong.py"
    wrong.write_text(MISTAKES, encoding="utf-8")
    told = check(wrong, tmp_path)
    for line in range(5, 9):
        assert f"wrong.py:{line}: error" in told, told
