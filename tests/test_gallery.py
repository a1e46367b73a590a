"""The gallery shows what its commands write, and is small."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from scripts.gallery import __main__ as refresh
from scripts.gallery.roll import picture
from vaeseq.examples.midi.collect import read_file

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
ASSETS = ROOT / "docs" / "gallery"
MOST_BYTES = 1_500_000
MUSIC = refresh.music(PAGE)


def test_it_is_small():
    assert sum(x.stat().st_size for x in ASSETS.rglob("*") if x.is_file()) < MOST_BYTES


def test_every_file_is_shown_or_used():
    for path in ASSETS.rglob("*"):
        if path.is_file():
            assert f"gallery/{path.relative_to(ASSETS)}" in PAGE, path


def test_a_command_writes_every_file_that_it_shows():
    for name in refresh.written(PAGE):
        path = Path(name)
        wrote = path if path.suffix in (".gif", ".png") else path.parent
        assert re.search(rf"--out(-dir)? runs/gallery/{wrote}\s", PAGE), name


@pytest.mark.parametrize("item", MUSIC, ids=lambda item: item.path)
def test_pictures_of_music_are_those_of_the_files(item):
    drawn = (ASSETS / item.picture).read_text(encoding="utf-8")
    assert drawn == picture(ASSETS / item.path, item.given)


def test_a_picture_has_each_note_where_it_sounds(tmp_path):
    """Four notes of a second each: the first two are given, and one is an octave higher."""
    tune = tmp_path / "tune.abc"
    tune.write_text("X:1\nM:4/4\nL:1/4\nQ:1/4=60\nK:C\nC C c C|\n", encoding="utf-8")
    root = ElementTree.fromstring(picture(tune, given=2.0))
    *_, width, height = map(float, root.get("viewBox").split())
    found = {}
    for part in root:
        for x, y in re.findall(r"M([\d.]+) ([\d.]+)h", part.get("d")):
            found[round(4 * float(x) / width)] = part.get("class"), float(y) / height
    assert [found[second][0] for second in range(4)] == ["given", "given", "made", "made"]
    heights = [found[second][1] for second in range(4)]
    assert heights[0] == heights[1] == heights[3] > heights[2], "higher notes are further up"


def test_refreshing_replaces_what_commands_print(tmp_path, monkeypatch):
    monkeypatch.setattr(refresh, "ROOT", tmp_path)
    page = "a\n\n```sh\necho new\n```\n\n```text\nold\n```\n\nb\n\n```sh\ntouch made\n```\n\nc\n"
    assert refresh.run_commands(page) == page.replace("old", "new")
    assert (tmp_path / "made").exists()


def test_refreshing_keeps_runs_that_exist(tmp_path, monkeypatch):
    monkeypatch.setattr(refresh, "ROOT", tmp_path)
    (tmp_path / "runs" / "old").mkdir(parents=True)
    for name in ("old", "new"):
        refresh.run_commands(f"```sh\n: train --log-dir runs/{name}\ntouch {name}\n```\n")
    assert not (tmp_path / "old").exists()
    assert (tmp_path / "new").exists()


def test_as_many_notes_return_as_the_page_says():
    said = re.search(r"(\d+) of its\s(\d+) notes return", PAGE)
    given, again = notes("ode.abc"), notes("again/sample-01.mid")
    assert list(map(int, said.groups())) == [len(given & again), len(given)]


def notes(name):
    """Returns the notes of a file: start in sixteenths of 120 beats per minute, and pitch."""
    found = read_file(ASSETS / name).in_seconds()
    return {
        (round(8 * start), pitch) for start, pitch in zip(found.start, found.pitch, strict=True)
    }
