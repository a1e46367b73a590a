"""Corpora: split, stored, opened, and cut into batches."""

import functools
import json

import numpy as np
import pytest

from tests.examples.midi.conftest import save
from vaeseq import UsageError
from vaeseq.examples.midi.collect import parse_files
from vaeseq.examples.midi.corpus import (
    Corpus,
    choose_format,
    consecutive_spans,
    hold_out,
    index_json,
    load_corpora,
    rolls_name,
    window_batch,
    write_rolls,
)
from vaeseq.examples.midi.hparams import MidiHParams
from vaeseq.examples.midi.music import roll
from vaeseq.examples.midi.music.midi_file import DRUMS
from vaeseq.examples.midi.music.performance import Performance
from vaeseq.examples.midi.music.roll import HELD, KEYS, STRUCK, RollFormat

HPARAMS = MidiHParams(batch_size=40, sequence_size=6, transpose=0)


@pytest.fixture(scope="module")
def parsed(tmp_path_factory):
    """Three pieces: a piano; drums; two guitars and a violin."""
    folder = tmp_path_factory.mktemp("files")
    paths = [
        save(folder / "a.mid"),
        save(folder / "b.mid", programs=(DRUMS,)),
        save(folder / "c.mid", programs=(24, 25, 40), key=48),
    ]
    return parse_files(paths, beats=False, drums=True, progress=False).pieces


def test_whole_pieces_are_held_out():
    pieces = list(range(40))
    train, valid = hold_out(pieces, seed=1)
    assert len(valid) == 4 and sorted(train + valid) == pieces
    assert hold_out(pieces, seed=1) == (train, valid) != hold_out(pieces, seed=2)
    assert len(hold_out([1, 2], 0)[1]) == 1
    with pytest.raises(UsageError, match="--valid-files"):
        hold_out([1], 0)


def test_the_format_has_the_instruments_of_the_pieces(parsed):
    merged = choose_format(parsed, HPARAMS, None, apart=False)
    assert merged.programs == (0, DRUMS) and merged.rate == HPARAMS.rate and not merged.beats
    apart = choose_format(parsed, HPARAMS, 4.0, apart=True)
    assert apart.programs == (0, 24, 40, DRUMS)  # 25 belongs to the family of 24
    assert apart.beats and apart.rate == 4.0


def test_a_stored_corpus_loads_as_it_was(parsed, tmp_path):
    form = choose_format(parsed, HPARAMS, None, apart=True)
    parts = {"train": parsed[:2], "valid": parsed[2:]}

    def find_file(name):
        return tmp_path / name

    stored = {
        name: write_rolls(part, form, find_file(rolls_name(name))) for name, part in parts.items()
    }
    text = index_json(form, **stored, refused={"x": "y"})
    loaded, train, valid = load_corpora(text, "pieces.json", find_file)
    assert loaded == form and len(train.spans) == 2
    for corpus, part in ((train, parts["train"]), (valid, parts["valid"])):
        for (begin, end), piece in zip(corpus.spans, part, strict=True):
            np.testing.assert_array_equal(corpus.frames[begin:end], roll.to_roll(piece.notes, form))


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("train", 0, "frames"), 1, r"train.rolls has \d+ frames, but pieces.json says \d+"),
        (("format", "rate"), -1, "format.rate"),
        (("format", "rate"), 1e-5, "format.rate"),
        (("format", "rate"), 1e-300, "format.rate"),
        (("valid", 0, "frames"), 1 << 40, "valid.*frames"),
        (("format", "programs"), [0, 0], "format.programs"),
    ],
)
def test_an_index_that_is_invalid_or_wrong_is_refused(place, value, message, parsed, tmp_path):
    form = choose_format(parsed, HPARAMS, None, apart=False)

    def find_file(name):
        return tmp_path / name

    stored = write_rolls(parsed, form, find_file(rolls_name("train")))
    write_rolls(parsed, form, find_file(rolls_name("valid")))
    index = json.loads(index_json(form, stored, stored, {}))
    *parents, last = place
    functools.reduce(lambda node, key: node[key], parents, index)[last] = value
    with pytest.raises(UsageError, match=message):
        load_corpora(json.dumps(index), "pieces.json", find_file)


def test_the_head_of_a_corpus_has_whole_pieces():
    corpus = corpus_of(3, 20, 6)
    assert corpus.num_frames == 29
    assert [len(corpus.head(limit).spans) for limit in (1, 3, 22, 23, 29, 99)] == [1, 1, 1, 2, 3, 3]


def test_the_tempo_stays_within_what_midi_files_can_store(parsed):
    for tempo, chosen in ((6e7, 1000.0), (0.1, 10.0), (99.0, 99.0)):
        form = choose_format([parsed[0]._replace(tempo=tempo)], HPARAMS, None, apart=False)
        assert form.tempo == chosen
        assert Performance.of_run(form).to_bytes(np.zeros([9, KEYS], np.uint8))


def corpus_of(*lengths):
    """Pieces of these lengths; every frame has its number, in binary, on the lowest keys."""
    frames = np.zeros([sum(lengths), KEYS], np.uint8)
    numbers = np.arange(len(frames))
    frames[:, :8] = (numbers[:, None] >> np.arange(8)) & 1
    return Corpus(frames, consecutive_spans(lengths))


def test_windows_lie_in_one_piece_and_reach_every_frame():
    corpus, seen = corpus_of(3, 20, 6), set()
    pitched = np.ones(KEYS, bool)
    for step in range(40):
        rolls, lengths = window_batch(corpus, step, HPARAMS, pitched)
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


def test_windows_begin_at_multiples_of_the_window_step():
    """Of pieces of 3, 20 and 6 frames, in windows of 6: the first of each is 0, 3, 23."""
    corpus, hparams = corpus_of(3, 20, 6), HPARAMS.replace(window_step=4)
    rolls = [window_batch(corpus, step, hparams, np.ones(KEYS, bool))[0] for step in range(20)]
    first = np.concatenate(rolls)[:, 0, :8] @ (1 << np.arange(8))
    assert set(first.tolist()) == {0, 3, 7, 11, 15, 23}


def test_windows_have_all_lengths_from_the_shortest_on():
    """Of pieces of 9 and 3 frames, in windows of 2, 4 or 6: also their beginnings and ends."""
    corpus = corpus_of(9, 3)
    hparams = HPARAMS.replace(window_step=2, shortest_window=2)
    seen = set()
    for step in range(40):
        rolls, lengths = window_batch(corpus, step, hparams, np.ones(KEYS, bool))
        first = rolls[:, 0, :8] @ (1 << np.arange(8))
        seen |= set(zip(first.tolist(), lengths.tolist(), strict=True))
        for row, length in zip(rolls, lengths, strict=True):
            assert not row[length:].any()
    of_first = {(start, 2) for start in (0, 2, 4, 6)} | {(start, 4) for start in (0, 2, 4)}
    of_second = {(9, 2), (9, 3)}
    assert seen == of_first | of_second | {(0, 6), (2, 6)}


def test_a_batch_is_a_function_of_seed_and_step():
    arguments = corpus_of(30, 40), 5, HPARAMS.replace(transpose=3), np.ones(KEYS, bool)
    first, again = (window_batch(*arguments) for _ in range(2))
    assert all(np.array_equal(x, y) for x, y in zip(first, again, strict=True))
    other = window_batch(arguments[0], 6, *arguments[2:])
    assert not np.array_equal(first[0], other[0])


def test_pieces_are_transposed_and_drums_are_not():
    form = RollFormat(1.0, programs=(0, DRUMS))
    frames = np.zeros([6, form.num_keys], np.uint8)
    frames[:, [60, 64, 126]] = HELD
    frames[0, KEYS + 36] = STRUCK
    intervals = set()
    hparams = HPARAMS.replace(transpose=3)
    rolls, _ = window_batch(Corpus(frames, [(0, 6)]), 0, hparams, form.pitched)
    for row in rolls:
        keys = np.flatnonzero(row[:, :KEYS].any(axis=0))
        intervals.add(keys[0] - 60)
        assert (keys - keys[0]).tolist() == [0, 4, 66]
        assert row[0, KEYS + 36] == STRUCK and np.count_nonzero(row[:, KEYS:]) == 1
    assert intervals == {-3, -2, -1, 0, 1}  # the highest note would be lost above
