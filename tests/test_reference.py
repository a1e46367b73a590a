"""The reference: every public name has a page."""

import vaeseq
from scripts.reference import MODULES, PLAY, resolve, subjects


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
