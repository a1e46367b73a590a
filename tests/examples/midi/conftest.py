"""MIDI files, and one small training run of each kind of model, which the tests share."""

import contextlib
import functools
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pretty_midi
import pytest

from vaeseq.examples.midi import app, program
from vaeseq.examples.midi.music.midi_file import DRUMS
from vaeseq.examples.midi.music.roll import HELD, KEYS, STRUCK, RollFormat
from vaeseq.examples.midi.program import MidiProgram

TINY = (
    "rnn_hidden_sizes=[8],obs_encoder_fc_layers=[8],obs_decoder_fc_hidden_layers=[],"
    "latent_decoder_fc_layers=[8],latent_size=4,batch_size=4,sequence_size=8,"
    "nade_hidden=4,interval_units=2,interval_features=3,past_size=4"
)
FLAGS = {  # of `train`, for each kind of model
    "keys": [
        *("--hparams", TINY + ",decoder=keys,vae_type=SRNN,log_prob_samples=2"),
        *("--instruments", "apart", "--drums"),
    ],
    "nade": [
        *("--hparams", TINY),
        *("--frames-per-beat", 4),
    ],
    "beta_count": [
        *("--hparams", TINY + ",decoder=beta_count,velocity_levels=0,history_size=3,vae_type=RNN"),
        *("--frames-per-beat", 4),
    ],
    "frames": [
        *("--hparams", TINY + ",decoder=keys,vae_type=SRNN"),
        *("--frames-per-beat", 4),
    ],
    "melody": [
        *("--hparams", "rnn_hidden_sizes=[8],latent_size=3,batch_size=4,sequence_size=16"),
        *("--encoding", "melody"),
    ],
}
STEPS = 3


class Trained(NamedTuple):
    """A training run, and what its training printed to stdout."""

    path: Path
    out: str


def save(path, programs=(0,), key=60, count=8, tempo=120.0):
    """Writes a file in which every instrument plays a scale, with two notes per beat at 120."""
    midi = pretty_midi.PrettyMIDI(initial_tempo=tempo)
    for number in programs:
        drums = number == DRUMS
        instrument = pretty_midi.Instrument(0 if drums else number, is_drum=drums)
        instrument.notes = [
            pretty_midi.Note(80, key + i % 12, 0.25 * i, 0.25 * i + 0.25) for i in range(count)
        ]
        midi.instruments.append(instrument)
    path.parent.mkdir(exist_ok=True)
    midi.write(str(path))
    return path


@pytest.fixture
def melody():
    """A roll of three seconds, the last one silent."""
    frames = np.zeros([24, 2 * KEYS], np.uint8)
    for frame, key in enumerate([60, 62, 64, 65]):
        frames[4 * frame, key] = STRUCK
        frames[4 * frame + 1 : 4 * frame + 4, key] = HELD
    frames[[0, 8], KEYS + 36] = STRUCK
    return frames, RollFormat(8.0, programs=(73, DRUMS))


@pytest.fixture
def midi_main(run_program, monkeypatch):
    """Runs vaeseq-midi with short samples in reports."""
    monkeypatch.setattr(program, "train", MidiProgram(sample_seconds=1.0).train)
    return functools.partial(run_program, app)


@pytest.fixture(scope="session")
def pieces(tmp_path_factory):
    """A folder with five pieces of 5 seconds, and an invalid file."""
    folder = tmp_path_factory.mktemp("pieces")
    for number in range(5):
        save(folder / f"{number}.mid", programs=(0, 40, DRUMS), key=50 + number, count=20)
    (folder / "bad.mid").write_bytes(b"MThd, not")
    return folder


@pytest.fixture(scope="session")
def trained(pieces, tmp_path_factory):
    """Returns the training run of a kind of model; do not write to it."""

    @functools.cache
    def train(kind):
        path = tmp_path_factory.mktemp(kind) / "run"
        words = ["train", "--log-dir", path, "--train-files", pieces, "--num-steps", STEPS]
        args = app.parser().parse_args([str(word) for word in [*words, *FLAGS[kind]]])
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
            MidiProgram(sample_seconds=1.0).train(args)
        return Trained(path, out.getvalue())

    return train
