"""Melodies: symbols, rolls, and the program with them."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples.midi.test_program import midi_main, pieces  # noqa: F401
from vaeseq.examples.midi.music import melody
from vaeseq.examples.midi.music.melody import FIRST, HOLD, REST, SYMBOLS
from vaeseq.examples.midi.music.roll import HELD, KEYS, STRUCK


@given(st.lists(st.integers(0, SYMBOLS - 1), min_size=1, max_size=30))
def test_symbols_come_back_from_rolls(symbols):
    again = melody.of_rolls(melody.to_rolls(np.array(symbols)))
    sounds = False
    for symbol, back in zip(symbols, again, strict=True):
        sounds = symbol >= FIRST or (symbol == HOLD and sounds)
        assert back == (symbol if sounds else REST)


def test_a_melody_by_hand():
    roll = np.zeros([6, KEYS], np.uint8)
    roll[0, [60, 64]] = STRUCK  # the higher one counts
    roll[1, [60, 64]] = HELD
    roll[3, 67] = STRUCK
    roll[4, 67] = HELD
    roll[4, 20] = STRUCK  # below the piano: an octave higher
    np.testing.assert_array_equal(
        melody.of_rolls(roll), [FIRST + 64 - 21, HOLD, REST, FIRST + 67 - 21, FIRST + 32 - 21, REST]
    )
    np.testing.assert_array_equal(melody.of_rolls(roll[1:2]), [HOLD])
    np.testing.assert_array_equal(melody.of_rolls(roll[1:2], True), [FIRST + 64 - 21])
    assert melody.to_rolls([[HOLD, FIRST, HOLD]]).tolist() == [
        [[0] * KEYS] + [[state if key == 21 else 0 for key in range(KEYS)] for state in (2, 1)]
    ]


@pytest.mark.parametrize(("key", "symbol"), [(0, 3), (20, 11), (108, 87), (127, 82)])
def test_keys_outside_of_the_piano_keep_their_name(key, symbol):
    roll = np.zeros([1, KEYS], np.uint8)
    roll[0, key] = STRUCK
    (found,) = melody.of_rolls(roll)
    assert found == FIRST + symbol and (symbol + 21 - key) % 12 == 0


def test_the_program_makes_and_interpolates_melodies(midi_main, pieces, tmp_path):  # noqa: F811
    run, out = tmp_path / "run", tmp_path / "out"
    tiny = "rnn_hidden_sizes=[8],latent_size=3,batch_size=4,sequence_size=16"
    code, _, err = midi_main(
        *("train", "--log-dir", run, "--encoding", "melody", "--num-steps", 4),
        *("--train-files", pieces, "--hparams", tiny),
    )
    assert code == 0, err
    about = json.loads((run / "run.json").read_text())
    assert about["hparams"]["vae_type"] == "SEQVAE" and about["encoding"] == "melody"
    files = sorted(pieces.glob("*.mid"))
    code, text, err = midi_main(
        *("generate", "--log-dir", run, "--out-dir", out, "--interpolate", *files[:2]),
        *("--steps", 3),
    )
    assert code == 0, err
    assert len(list(out.glob("*.mid"))) == len(list(out.glob("*.wav"))) == 3
    code, text, err = midi_main("generate", "--log-dir", run, "--out-dir", out, "--prime", files[0])
    assert code == 0, err
    code, text, err = midi_main("evaluate", "--log-dir", run)
    result = json.loads(text)
    assert code == 0 and 0 <= result["reconstruction_accuracy"] <= 1
    assert {"kl", "sequence_kl", "mutual_information", "active_units"} <= result.keys()


def test_a_melody_has_one_voice(midi_main, pieces, tmp_path):  # noqa: F811
    code, _, err = midi_main(
        *("train", "--log-dir", tmp_path / "run", "--encoding", "melody", "--drums"),
        *("--train-files", pieces),
    )
    assert code == 2 and "one voice" in err and not (tmp_path / "run").exists()
