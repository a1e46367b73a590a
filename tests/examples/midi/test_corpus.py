"""Corpora of pieces: what is found, held out, written and batched."""

import dataclasses

import music21
import numpy as np
import pretty_midi
import pytest

from vaeseq import UsageError
from vaeseq.examples.midi import corpus as corpora
from vaeseq.examples.midi.corpus import Corpus
from vaeseq.examples.midi.hparams import MidiHParams
from vaeseq.examples.midi.music import chorales, roll
from vaeseq.examples.midi.music.midi_file import DRUMS
from vaeseq.examples.midi.music.roll import HELD, KEYS, STRUCK, RollFormat

HPARAMS = MidiHParams(batch_size=40, sequence_size=6, transpose=0)


def save(path, programs=(0,), key=60, count=8, tempo=120.0):
    """A file with an instrument for each program, each playing a scale."""
    midi = pretty_midi.PrettyMIDI(initial_tempo=tempo)
    for program in programs:
        drums = program == DRUMS
        instrument = pretty_midi.Instrument(0 if drums else program, is_drum=drums)
        instrument.notes = [
            pretty_midi.Note(80, key + i % 12, 0.25 * i, 0.25 * i + 0.25) for i in range(count)
        ]
        midi.instruments.append(instrument)
    path.parent.mkdir(exist_ok=True)
    midi.write(str(path))
    return path


@pytest.fixture
def folder(tmp_path):
    """Three pieces, one of them twice; a file that is none; one of drums alone."""
    save(tmp_path / "a.mid")
    save(tmp_path / "b.MIDI", key=62)
    save(tmp_path / "deep" / "c.mid", programs=(24, 25, 40), key=48)
    save(tmp_path / "deep" / "again.mid")
    save(tmp_path / "drums.mid", programs=(DRUMS,))
    (tmp_path / "bad.mid").write_bytes(b"no MIDI")
    (tmp_path / "notes.txt").write_text("other files are not looked at")
    return tmp_path


def test_files_folders_and_globs_are_found_once(folder):
    found = corpora.find([folder], "--train-files")
    assert [path.name for path in found] == [
        *("a.mid", "b.MIDI", "bad.mid", "again.mid", "c.mid", "drums.mid"),
    ]
    assert len(corpora.find([folder, str(folder / "a.mid")], "-")) == 6
    assert len(corpora.find([f"{folder}/**/*.mid"], "-")) == 5
    with pytest.raises(UsageError, match=r"--train-files: there is no MIDI file .*missing"):
        corpora.find([folder, str(folder / "missing")], "--train-files")


def test_equal_pieces_are_one_and_refused_files_have_their_reasons(folder):
    pieces, refused = corpora.collect(corpora.find([folder], "-"), beats=False, drums=False)
    assert [piece.name.rpartition("/")[2] for piece in pieces] == ["a.mid", "b.MIDI", "c.mid"]
    reasons = {name.rpartition("/")[2]: reason for name, reason in refused.items()}
    assert reasons == {
        "bad.mid": "is not a MIDI file: it does not begin with a header",
        "drums.mid": "has no notes but those of drums",
    }
    with_drums, _ = corpora.collect(corpora.find([folder], "-"), beats=False, drums=True)
    assert len(with_drums) == 4


def test_beats_are_those_of_the_file(tmp_path):
    path = save(tmp_path / "slow.mid", tempo=60.0)
    (piece,), _ = corpora.collect([path], beats=True, drums=False)
    assert piece.notes.end[0] == pytest.approx(0.25, abs=1e-2)
    assert piece.tempo == pytest.approx(60, rel=1e-3)


def test_whole_pieces_are_held_out():
    pieces = list(range(40))
    train, valid = corpora.hold_out(pieces, seed=1)
    assert len(valid) == 4 and sorted(train + valid) == pieces
    assert corpora.hold_out(pieces, seed=1) == (train, valid) != corpora.hold_out(pieces, seed=2)
    assert len(corpora.hold_out([1, 2], 0)[1]) == 1
    with pytest.raises(UsageError, match="--valid-files"):
        corpora.hold_out([1], 0)


def test_the_format_has_the_instruments_of_the_pieces(folder):
    pieces, _ = corpora.collect(corpora.find([folder], "-"), beats=False, drums=True)
    merged = corpora.choose_format(pieces, HPARAMS, None, apart=False)
    assert merged.programs == (0, DRUMS) and merged.rate == HPARAMS.rate and not merged.beats
    apart = corpora.choose_format(pieces, HPARAMS, 4.0, apart=True)
    assert apart.programs == (0, 24, 40, DRUMS)  # 25 is of the family of 24
    assert apart.beats and apart.rate == 4.0


def test_what_is_written_is_what_is_read(folder, tmp_path):
    pieces, _ = corpora.collect(corpora.find([folder], "-"), beats=False, drums=False)
    form = corpora.choose_format(pieces, HPARAMS, None, apart=True)
    file = lambda name: tmp_path / name  # noqa: E731
    written = {
        name: corpora.write(part, form, file(corpora.rolls_name(name)))
        for name, part in {"train": pieces[:2], "valid": pieces[2:]}.items()
    }
    text = corpora.describe(form, **written, refused={"x": "y"})
    loaded, train, valid = corpora.load(text, "pieces.json", file)
    assert loaded == form and len(train.spans) == 2
    for corpus, part in ((train, pieces[:2]), (valid, pieces[2:])):
        for (begin, end), piece in zip(corpus.spans, part, strict=True):
            np.testing.assert_array_equal(corpus.frames[begin:end], roll.to_roll(piece.notes, form))
    for change in ('"frames": 1', '"rate": -1', '"programs": [0, 0]'):
        name = change.partition(":")[0]
        broken = text.replace(text[text.index(name) :].split(",")[0], change, 1)
        with pytest.raises(UsageError):
            corpora.load(broken, "pieces.json", file)


def test_a_piece_too_large_at_this_rate_is_refused(folder):
    (short,), _ = corpora.collect([folder / "a.mid"], False, False)
    long = short._replace(name="long", notes=short.notes._replace(length=3600.0))
    pieces, refused = corpora.fitting([long, short], RollFormat(rate=1000.0))
    assert pieces == [short] and "lower rate" in refused["long"]


def test_tempos_that_cannot_be_written_are_not_chosen(folder):
    (piece,), _ = corpora.collect([folder / "a.mid"], False, False)
    for tempo, chosen in ((6e7, 1000.0), (0.1, 10.0), (99.0, 99.0)):
        form = corpora.choose_format([piece._replace(tempo=tempo)], HPARAMS, None, apart=False)
        assert form.tempo == chosen
        assert roll.midi_bytes(roll.to_midi(np.zeros([9, KEYS], np.uint8), form))


def corpus_of(*lengths):
    """Every frame has its number, in binary, on the lowest keys."""
    frames = np.zeros([sum(lengths), KEYS], np.uint8)
    numbers = np.arange(len(frames))
    frames[:, :8] = (numbers[:, None] >> np.arange(8)) & 1
    return Corpus(frames, corpora.spans(lengths))


def test_windows_lie_in_one_piece_and_meet_every_frame():
    corpus, seen = corpus_of(3, 20, 6), set()
    pitched = np.ones(KEYS, bool)
    for step in range(40):
        rolls, lengths = corpora.window_batch(corpus, step, HPARAMS, pitched)
        assert rolls.shape == (40, 6, KEYS)
        for row, length in zip(rolls, lengths, strict=True):
            numbers = row[:, :8] @ (1 << np.arange(8))
            assert not row[length:].any()
            begin, end = next(span for span in corpus.spans if numbers[0] < span[1])
            assert numbers[:length].tolist() == list(range(numbers[0], numbers[0] + length))
            assert begin <= numbers[0] and numbers[0] + length <= end
            assert length == min(6, end - begin)
            seen |= set(numbers[:length].tolist())
    assert seen == set(range(29))


def test_a_batch_is_a_function_of_seed_and_step():
    arguments = corpus_of(30, 40), 5, HPARAMS.replace(transpose=3), np.ones(KEYS, bool)
    first, again = (corpora.window_batch(*arguments) for _ in range(2))
    assert all(np.array_equal(x, y) for x, y in zip(first, again, strict=True))
    other = corpora.window_batch(arguments[0], 6, *arguments[2:])
    assert not np.array_equal(first[0], other[0])


def test_pieces_move_by_semitones_and_drums_stay():
    form = RollFormat(1.0, programs=(0, DRUMS))
    frames = np.zeros([6, form.num_keys], np.uint8)
    frames[:, [60, 64, 126]] = HELD
    frames[0, KEYS + 36] = STRUCK
    intervals = set()
    hparams = HPARAMS.replace(transpose=3)
    rolls, _ = corpora.window_batch(Corpus(frames, [(0, 6)]), 0, hparams, form.pitched)
    for row in rolls:
        keys = np.flatnonzero(row[:, :KEYS].any(axis=0))
        intervals.add(keys[0] - 60)
        assert (keys - keys[0]).tolist() == [0, 4, 66]
        assert row[0, KEYS + 36] == STRUCK and np.count_nonzero(row[:, KEYS:]) == 1
    assert intervals == {-3, -2, -1, 0, 1}  # above, the highest note would be lost


def test_two_chorales_of_the_demo():
    paths = [path for path in chorales.find() if path.name in ("bwv1.6.mxl", "bwv66.6.mxl")]
    notes = list(chorales.read_all(paths))
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


def test_hparams_refuse_a_decoder_that_cannot_know_onsets():
    with pytest.raises(UsageError, match="velocity_levels=0"):
        MidiHParams(decoder="beta_count")
    assert dataclasses.asdict(MidiHParams(decoder="beta_count", velocity_levels=0))
