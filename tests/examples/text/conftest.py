"""A trained run of vaeseq-text that tests share."""

import shutil

import pytest

from tests.conftest import TINY, VERSE
from vaeseq.examples.text import app


def parse(*arguments):
    """Returns the parsed arguments of vaeseq-text."""
    return app.parser().parse_args([*map(str, arguments)])


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory):
    """A run with two steps, whose corpus is gone. Do not change it; see `copied_run`."""
    folder = tmp_path_factory.mktemp("trained")
    corpus = folder / "corpus.txt"
    corpus.write_text(VERSE * 20, encoding="utf-8")
    flags = ["--log-dir", folder / "run", "--train-corpus", corpus, "--hparams", TINY]
    args = parse("train", *flags, "--num-steps", 2)
    args.run(args)
    corpus.unlink()
    return folder / "run"


@pytest.fixture
def copied_run(trained_run, tmp_path):
    """A copy of `trained_run` that a test may change."""
    return shutil.copytree(trained_run, tmp_path / "run")
