"""Conversions between rolls and the symbols of melodies."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaeseq.examples.midi.music import melody
from vaeseq.examples.midi.music.melody import FIRST, HOLD, REST, SYMBOLS
from vaeseq.examples.midi.music.roll import HELD, KEYS, STRUCK


@settings(deadline=None)
@given(st.lists(st.integers(0, SYMBOLS - 1), min_size=1, max_size=30))
def test_symbols_come_back_from_rolls(symbols):
    again = melody.from_rolls(melody.to_rolls(np.array(symbols)))
    sounds = False
    for symbol, back in zip(symbols, again, strict=True):
        sounds = symbol >= FIRST or (symbol == HOLD and sounds)
        assert back == (symbol if sounds else REST)


def test_a_melody_has_the_highest_onsets_within_the_piano():
    roll = np.zeros([6, KEYS], np.uint8)
    roll[0, [60, 64]] = STRUCK  # the higher one is kept
    roll[1, [60, 64]] = HELD
    roll[3, 67] = STRUCK
    roll[4, 67] = HELD
    roll[4, 20] = STRUCK  # below the piano: an octave higher
    np.testing.assert_array_equal(
        melody.from_rolls(roll),
        [FIRST + 64 - 21, HOLD, REST, FIRST + 67 - 21, FIRST + 32 - 21, REST],
    )
    np.testing.assert_array_equal(melody.from_rolls(roll[1:2]), [HOLD])
    np.testing.assert_array_equal(melody.from_rolls(roll[1:2], True), [FIRST + 64 - 21])
    assert melody.to_rolls([[HOLD, FIRST, HOLD]]).tolist() == [
        [[0] * KEYS] + [[state if key == 21 else 0 for key in range(KEYS)] for state in (2, 1)]
    ]


def test_the_top_voice_leaves_out_what_starts_below_a_sounding_note():
    """A soprano of a long note, a rest and a note; a bass that moves, and goes on after the end.

    | key | 0 | 1 | 2 | 3 | 4 | 5 | 6 |
    | 72  | s | h | h |   | s | h |   |
    | 48  | s | s | h | h | h | s | h |
    """
    roll = np.zeros([7, KEYS], np.uint8)
    roll[[0, 4], 72], roll[[1, 2, 5], 72] = STRUCK, HELD
    roll[[0, 1, 5], 48], roll[[2, 3, 4, 6], 48] = STRUCK, HELD
    high, low = FIRST + 72 - 21, FIRST + 48 - 21
    top = melody.from_rolls(roll, top_voice=True)
    np.testing.assert_array_equal(top, [high, HOLD, HOLD, REST, high, HOLD, REST])
    every = melody.from_rolls(roll)
    np.testing.assert_array_equal(every, [high, low, HOLD, HOLD, high, low, HOLD])
    cut = melody.from_rolls(np.stack([roll[1:], roll[:-1]]), top_voice=True)
    np.testing.assert_array_equal(cut, [[HOLD, HOLD, HOLD, high, HOLD, REST], top[:-1]])
    struck = melody.from_rolls(roll[2:], strike_first_frame=True, top_voice=True)
    np.testing.assert_array_equal(struck, [high, REST, high, HOLD, REST])


@settings(deadline=None)
@given(st.lists(st.integers(0, SYMBOLS - 1), min_size=1, max_size=30))
def test_of_a_single_voice_the_top_voice_is_all(symbols):
    roll = melody.to_rolls(np.array(symbols))
    np.testing.assert_array_equal(
        melody.from_rolls(roll, top_voice=True), melody.from_rolls(roll, top_voice=False)
    )


@pytest.mark.parametrize(("key", "symbol"), [(0, 3), (20, 11), (108, 87), (127, 82)])
def test_keys_outside_the_piano_keep_their_pitch_class(key, symbol):
    roll = np.zeros([1, KEYS], np.uint8)
    roll[0, key] = STRUCK
    (found,) = melody.from_rolls(roll)
    assert found == FIRST + symbol and (symbol + 21 - key) % 12 == 0
