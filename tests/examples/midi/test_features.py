"""Statistics of pieces, worked out by hand, and the laws that they follow."""

import dataclasses
from collections import Counter

import numpy as np
import pytest

from vaeseq.examples.midi.music import features
from vaeseq.examples.midi.music.features import STATISTICS, Vocabulary, chord, count, voicing
from vaeseq.examples.midi.music.midi_file import DRUMS
from vaeseq.examples.midi.music.roll import HELD, KEYS, STRUCK, RollFormat

FORM = RollFormat(4.0, beats=True, tempo=60.0)  # four frames per beat, and per second
NONE = Vocabulary(frozenset(), frozenset())
ABSOLUTE = {"pitch_classes", "lowest_pitch", "highest_pitch"}


def roll(*notes, length, keyboards=1):
    """Returns a roll of notes, each of which is a tuple of key, first frame and end."""
    frames = np.zeros([length, keyboards * KEYS], np.uint8)
    for key, begin, end in notes:
        frames[begin:end, key] = HELD
        frames[begin, key] = STRUCK
    return frames


def keys(*pitches):
    """Returns a set of keys as a number."""
    return sum(1 << pitch for pitch in pitches)


# C major for one beat, whose G goes on below a high C; a frame of silence; an octave.
PIECE = roll((60, 0, 4), (64, 0, 4), (67, 0, 8), (72, 4, 8), (48, 9, 12), (60, 9, 12), length=12)
THIRD = Vocabulary(frozenset([chord(keys(0, 4, 7))]), frozenset([voicing(keys(50, 54, 57))]))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("keys_at_once", {3: 4, 2: 7}),
        ("silence", {False: 11, True: 1}),
        ("pitch_classes", {0: 4 + 4 + 6, 4: 4, 7: 8}),
        ("melodic_intervals", {5: 1, 12: 1}),  # G, c, C
        ("chords", {chord(keys(60, 64, 67)): 4, chord(keys(67, 72)): 4, chord(keys(0)): 3}),
        ("foreign_chords", {False: 4, True: 7}),
        ("foreign_voicings", {False: 4, True: 7}),
        ("consonance", {1: 4 * 3 + 3, 0: 4}),
        ("note_lengths", {1.0: 3, 2.0: 1, 0.75: 2}),
        ("repetition", {False: 5}),  # windows of 8 frames
        ("lowest_pitch", {48: 1}),
        ("highest_pitch", {72: 1}),
        ("pitch_range", {24: 1}),
    ],
)
def test_each_statistic_of_a_short_piece(name, expected):
    assert count(PIECE, FORM, THIRD)[name] == Counter(expected)


def test_all_statistics_are_counted():
    assert list(count(PIECE, FORM, NONE)) == list(STATISTICS)


def test_seconds_sevenths_and_tritones_are_dissonant():
    for interval, score in enumerate([-1, -1, 1, 1, 0, -1, 1, 1, 1, -1, -1, 1, -1], 1):
        piece = roll((50, 0, 1), (50 + interval, 0, 1), length=1)
        assert +count(piece, FORM, NONE)["consonance"] == {score: 1}


def test_notes_below_another_and_repeated_notes():
    piece = roll((72, 0, 4), (60, 2, 3), (72, 4, 6), (65, 6, 8), length=8)
    assert count(piece, FORM, NONE)["melodic_intervals"] == {0: 1, 7: 1}, "60 is below 72"
    held = np.where(piece, HELD, 0).astype(np.uint8)
    form = dataclasses.replace(FORM, velocity_levels=0)
    assert count(held, form, NONE)["melodic_intervals"] == {7: 1}, "no onset between both 72"


def test_a_chord_is_the_same_in_all_keys_and_inversions_and_a_voicing_in_all_keys():
    major, inverted, minor = (60, 64, 67), (52, 60, 67, 72), (60, 63, 67)
    assert chord(keys(*major)) == chord(keys(*inverted)) != chord(keys(*minor))
    assert voicing(keys(*major)) != voicing(keys(*inverted))
    for name in (chord, voicing):
        assert len({name(keys(*(p + up for p in major))) for up in range(-60, 61)}) == 1


def test_the_vocabulary_has_what_occurs_and_single_keys_are_no_chords():
    known = features.vocabulary([PIECE, roll((50, 0, 4), length=5)], FORM)
    assert known.chords == {chord(keys(0, 4, 7)), chord(keys(0, 7)), chord(keys(0))}
    assert known.voicings == {keys(0, 4, 7), keys(0, 5), keys(0, 12)}
    counts = count(PIECE, FORM, known)
    assert counts["foreign_chords"] == counts["foreign_voicings"] == {False: 11}


def test_windows_of_two_beats_that_recur():
    scale = [(50 + i, 4 * i, 4 * i + 4) for i in range(5)]
    again = [(key, begin + 20, end + 20) for key, begin, end in scale]
    once = count(roll(*scale, length=20), FORM, NONE)["repetition"]
    assert +once == {False: 13}
    twice = count(roll(*scale, *again, length=40), FORM, NONE)["repetition"]
    assert twice == {True: 2 * 13, False: 7}, "seven windows have the end and the beginning"
    seconds = dataclasses.replace(FORM, beats=False)  # windows of one second: four frames
    assert count(roll(*scale, *again, length=40), seconds, NONE)["repetition"][True] == 2 * 17


def test_a_window_that_overlaps_itself_and_a_held_note_do_not_recur():
    ticking = roll(*[(60, at, at + 2) for at in range(0, 20, 2)], length=20)
    assert count(ticking, FORM, NONE)["repetition"] == {True: 10, False: 3}, "windows 5 to 7"
    held = roll((60, 0, 90), length=150)
    assert +count(held, FORM, NONE)["repetition"] == {False: 1}, "it starts once"


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13])
def test_windows_have_equal_numbers_if_they_are_equal(size):
    frames = np.random.default_rng(0).integers(2, size=[60, 2])
    numbers = features._window_numbers(frames, size)
    windows = [frames[i : i + size].tobytes() for i in range(61 - size)]
    assert len(numbers) == len(windows)
    assert len(set(zip(numbers.tolist(), windows, strict=True))) == len(set(windows))
    assert len(set(numbers.tolist())) == len(set(windows))


def random_roll(seed, low=40, high=80):
    rng = np.random.default_rng(seed)
    notes = [
        (rng.integers(low, high), b, b + rng.integers(1, 9)) for b in rng.integers(60, size=50)
    ]
    return roll(*notes, length=70)


@pytest.mark.parametrize("interval", [-17, 1, 12])
def test_what_does_not_change_when_a_piece_is_transposed(interval):
    piece = random_roll(1)
    known = features.vocabulary([random_roll(2)], FORM)
    before, after = (count(x, FORM, known) for x in (piece, np.roll(piece, interval, axis=1)))
    for name in STATISTICS.keys() - ABSOLUTE:
        assert before[name] == after[name] and before[name].total(), name
    assert after["lowest_pitch"] == {min(before["lowest_pitch"]) + interval: 1}
    assert (before["pitch_classes"] == after["pitch_classes"]) == (interval == 12)
    other = features.vocabulary([np.roll(random_roll(2), interval, axis=1)], FORM)
    assert other == known


@pytest.mark.parametrize("length", [1, 3, 40])
def test_silence_has_no_other_statistics(length):
    counts = count(np.zeros([length, KEYS], np.uint8), FORM, THIRD)
    assert counts.pop("silence") == {True: length}
    assert not any(x.total() for x in counts.values())


def test_drums_do_not_count_and_instruments_are_merged():
    form = dataclasses.replace(FORM, programs=(0, 40, DRUMS), apart=True)
    low, high = roll((60, 0, 4), length=4), roll((60, 0, 2), (67, 2, 4), length=4)
    drums = roll((36, 0, 1), (38, 2, 3), length=4)
    counts = count(np.concatenate([low, high, drums], axis=1), form, NONE)
    assert counts["keys_at_once"] == {1: 2, 2: 2}, "a unison is one key"
    assert counts["note_lengths"] == {1.0: 1, 0.5: 2}, "of each instrument"
    assert counts["lowest_pitch"] == {60: 1} and counts["melodic_intervals"] == {7: 1}
    only = count(drums, dataclasses.replace(FORM, programs=(DRUMS,)), NONE)
    assert only.pop("silence") == {True: 4} and not any(x.total() for x in only.values())


def test_loudness_does_not_count():
    form = dataclasses.replace(FORM, velocity_levels=8)
    louder = np.where(PIECE >= STRUCK, STRUCK + 5, PIECE).astype(np.uint8)
    assert count(louder, form, THIRD) == count(PIECE, form, THIRD)
