"""The reference: every public name has a page."""

import doctest
from unittest import mock

import pytest

import vaeseq
from scripts.reference import MODULES, PLAY, example, resolve, subjects


def test_every_public_name_has_a_page():
    """The site has a page for each name that `subjects` lists."""
    listed = [name for names in subjects().values() for name in names]
    public = {f"vaeseq.{name}" for name in vaeseq.__all__ if name not in MODULES}
    for module in (*(f"vaeseq.{name}" for name in MODULES), PLAY):
        owner = resolve(module) if module != PLAY else __import__(PLAY, fromlist=["play"])
        names = set(owner.__all__) - set(vaeseq.__all__ if module != PLAY else ())
        public |= {f"{module}.{name}" for name in names}
    assert sorted(listed) == sorted(public)


def test_names_resolve_to_what_they_name():
    for name in (name for names in subjects().values() for name in names):
        assert resolve(name) is not None


NAMES = [name for names in subjects().values() for name in names]


@pytest.mark.parametrize("name", NAMES)
def test_the_example_of_a_public_name_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    test, said = example(name), []
    assert test is not None, f"{name} has no example"
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    with mock.patch.dict(vaeseq.VAE_TYPES):  # one adds a core
        runner.run(test, out=said.append)
    assert not runner.summarize(verbose=False).failed, "".join(said)
