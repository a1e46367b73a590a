"""Pieces are found, parsed, and refused with a reason."""

import music21
import numpy as np
import pytest
from absl import logging

from tests.examples.midi.conftest import save
from vaeseq import UsageError
from vaeseq.examples.midi.collect import (
    embedded_melodies,
    find_files,
    parse_files,
    select_fitting,
    warn_refused,
)
from vaeseq.examples.midi.music import chorales, tunes
from vaeseq.examples.midi.music.midi_file import DRUMS, Notes
from vaeseq.examples.midi.music.roll import RollFormat


@pytest.fixture
def folder(tmp_path):
    """Three pieces, one of them twice; an invalid file; a file with only drums; another file."""
    save(tmp_path / "a.mid")
    save(tmp_path / "b.MIDI", key=62)
    save(tmp_path / "deep" / "c.mid", programs=(24, 25, 40), key=48)
    save(tmp_path / "deep" / "again.mid")
    save(tmp_path / "drums.mid", programs=(DRUMS,))
    (tmp_path / "bad.mid").write_bytes(b"no MIDI")
    (tmp_path / "notes.txt").write_text("ignored, because of its suffix")
    return tmp_path


def test_files_folders_and_globs_are_found_once(folder):
    found = find_files([folder], "--train-files")
    assert [path.name for path in found] == [
        *("a.mid", "b.MIDI", "bad.mid", "again.mid", "c.mid", "drums.mid"),
    ]
    assert len(find_files([folder, str(folder / "a.mid")], "-")) == 6
    assert len(find_files([f"{folder}/**/*.mid"], "-")) == 5
    with pytest.raises(
        UsageError, match=r"--train-files: no MIDI, MusicXML or ABC file matches .*missing"
    ):
        find_files([folder, str(folder / "missing")], "--train-files")


def test_equal_pieces_count_once_and_refused_files_have_reasons(folder):
    pieces, refused = parse_files(find_files([folder], "-"), beats=False, drums=False)
    assert [piece.name.rpartition("/")[2] for piece in pieces] == ["a.mid", "b.MIDI", "c.mid"]
    reasons = {name.rpartition("/")[2]: reason for name, reason in refused.items()}
    assert reasons == {
        "bad.mid": "is not a MIDI file: it does not begin with a header",
        "drums.mid": "has no notes except drums",
    }
    with_drums, _ = parse_files(find_files([folder], "-"), beats=False, drums=True)
    assert len(with_drums) == 4


def test_beats_follow_the_tempo_of_the_file(tmp_path):
    path = save(tmp_path / "slow.mid", tempo=60.0)
    (piece,), _ = parse_files([path], beats=True, drums=False)
    assert piece.notes.end[0] == pytest.approx(0.25, abs=1e-2)
    assert piece.tempo == pytest.approx(60, rel=1e-3)


def test_a_piece_too_large_for_the_rate_is_refused(folder):
    (short,), _ = parse_files([folder / "a.mid"], False, False)
    long = short._replace(name="long", notes=short.notes._replace(length=3600.0))
    pieces, refused = select_fitting([long, short], RollFormat(rate=1000.0))
    assert pieces == [short] and "lower rate" in refused["long"]
    with pytest.raises(UsageError, match="-: all pieces were refused: long needs a roll"):
        warn_refused(select_fitting([long], RollFormat(rate=1000.0)), "-")


def test_a_piece_without_a_note_for_a_keyboard_is_refused_and_other_notes_are_counted(
    folder, caplog, monkeypatch
):
    monkeypatch.setattr(logging.get_absl_logger(), "propagate", True)
    (piano,), _ = parse_files([folder / "a.mid"], False, False)
    notes = piano.notes._replace(program=piano.notes.program + 40)
    violin = piano._replace(name="violin", notes=notes)
    parts = [np.concatenate(x) for x in zip(piano.notes[:-1], violin.notes[:-1], strict=True)]
    duet = piano._replace(name="duet", notes=Notes(*parts, piano.notes.length))
    form = RollFormat(8.0, programs=(0,), apart=True)
    pieces, refused = select_fitting([piano, violin, duet], form)
    assert pieces == [piano, duet]
    assert refused == {"violin": "has no notes for the run's keyboards: Acoustic Grand Piano"}
    assert f"left out: {len(piano.notes.start)} notes of instruments without a" in caplog.text


def test_notes_of_chorales_are_those_of_music21():
    paths = [path for path in chorales.find_scores() if path.name in ("bwv1.6.mxl", "bwv66.6.mxl")]
    notes = list(chorales.parse_scores(paths))
    assert [len(x.start) for x in notes] == [491, 163]
    assert notes[1].length == 36.0 and set(notes[1].program) == {0}
    score = music21.converter.parse(paths[1], forceSource=True, storePickle=False)
    expected = sorted(
        (note.offset, note.offset + note.quarterLength, pitch.midi)
        for part in score.parts
        for note in part.stripTies().flatten().notes
        for pitch in note.pitches
    )
    assert list(zip(*notes[1][:3], strict=True)) == expected


BOOK = """X:1
M:C|
L:1/8
K:D
A,-|A,2D2 F2A2|d7:|

X:2
T:The first in another key
M:C|
L:1/8
K:G
D-|D2G2 B2d2|g7D-|D2G2 B2d2|g7|

X:3
M:6/8
L:1/8
K:D
d3 f3|

X:4
M:4/4
L:1/8
K:D
A|d8|d8:|
"""


def test_melodies_are_chorales_and_tunes_from_their_first_full_bar(tmp_path, monkeypatch, caplog):
    scores = [x for x in chorales.find_scores() if x.name in ("bwv66.6.mxl", "bwv1.6.mxl")]
    book = tmp_path / "book.abc"
    book.write_text(BOOK)
    monkeypatch.setattr(chorales, "find_scores", lambda: scores)
    monkeypatch.setattr(tunes, "find_books", lambda: [book])
    with caplog.at_level("INFO"):
        pieces, refused = embedded_melodies()
    assert [piece.name for piece in pieces] == ["bwv1.6.mxl", "bwv66.6.mxl", "book.abc: 1"]
    assert not refused and "2 chorales and 1 tunes; left out: " in caplog.text
    for reason in ("1 in other meters", "1 whose bars do not add up", "1 that repeat another"):
        assert reason in caplog.text
    whole = next(chorales.parse_scores(scores[1:]))  # with an upbeat of a beat
    np.testing.assert_allclose(pieces[1].notes.end[-4:], whole.end[-4:] - 1)
    notes = pieces[2].notes
    np.testing.assert_allclose(notes.start, [0, 1, 2, 3, 4, 7.5, 9, 10, 11, 12])
    assert list(notes.pitch[:5]) == [57, 62, 66, 69, 74] and notes.length == 15.5


def test_without_music21_melodies_are_asked_for(monkeypatch):
    monkeypatch.setattr(chorales, "find_scores", list)
    with pytest.raises(UsageError, match="pip install 'vaeseq"):
        embedded_melodies()
