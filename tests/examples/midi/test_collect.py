"""Pieces are found, parsed, and refused with a reason."""

import music21
import pytest

from tests.examples.midi.conftest import save
from vaeseq import UsageError
from vaeseq.examples.midi.collect import find_files, parse_files, select_fitting, warn_refused
from vaeseq.examples.midi.music import chorales
from vaeseq.examples.midi.music.midi_file import DRUMS
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
        UsageError, match=r"--train-files: no MIDI or MusicXML file matches .*missing"
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
