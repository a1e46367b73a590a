"""Rolls as sound, pictures and statistics."""

import numpy as np
import pytest

from vaeseq.examples.midi.music import render
from vaeseq.examples.midi.music.roll import KEYS, RollFormat, to_notes


def test_sound_is_as_long_as_the_roll_and_silent_where_it_is(melody):
    sound = render.synthesize(to_notes(*melody))
    assert len(sound) == 3 * render.SAMPLE_RATE and np.abs(sound).max() <= 1
    seconds = sound.reshape(3, -1).std(axis=1)
    assert seconds[:2].min() > 0.1 and seconds[2] < 0.1 * seconds[0]
    assert render.wav_bytes(sound)[:4] == b"RIFF"


def test_statistics_of_a_melody_and_of_silence(melody):
    numbers = render.roll_statistics(*melody)
    assert numbers == pytest.approx((3.0, 2.0, 18 / 16, (4 * 0.5 + 2 * 0.125) / 6, 60, 65, 1 / 3))
    nothing = render.roll_statistics(np.zeros([8, KEYS], np.uint8), RollFormat(8.0))
    assert nothing == (1.0, 0.0, 0.0, 0.0, -1, -1, 1.0)
    lines = render.format_table({"a melody": numbers, "nothing": nothing}).splitlines()
    assert len(lines) == 3 and len({len(line) for line in lines}) == 1


@pytest.mark.parametrize("empty", [False, True])
def test_pictures_are_deterministic_and_differ_with_the_notes(melody, empty):
    frames, form = melody
    rolls = [frames * (not empty)]
    data = render.plot_rolls(rolls, form, start=1.0)
    assert data.startswith(b"\x89PNG") and data == render.plot_rolls(rolls, form, 1.0)
    below = [render.plot_rolls([*rolls, other], form) for other in (frames, 0 * frames)]
    assert below[0] != below[1]
