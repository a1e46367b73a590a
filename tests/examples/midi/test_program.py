"""vaeseq-midi from the command line."""

import functools
import io
import json
import wave

import mido
import numpy as np
import pretty_midi
import pytest

from tests.examples.midi.test_corpus import save
from vaeseq.examples.midi import app, program
from vaeseq.examples.midi import corpus as corpora
from vaeseq.examples.midi.hparams import MidiHParams
from vaeseq.examples.midi.model import MidiModel
from vaeseq.examples.midi.music import roll
from vaeseq.examples.midi.music.midi_file import DRUMS
from vaeseq.examples.midi.music.roll import KEYS
from vaeseq.model.scoring import WindowScorer

TINY = (
    "rnn_hidden_sizes=[8],obs_encoder_fc_layers=[8],obs_decoder_fc_hidden_layers=[],"
    "latent_decoder_fc_layers=[8],latent_size=4,batch_size=4,sequence_size=8"
)


@pytest.fixture
def midi_main(run_program, monkeypatch):
    """Runs vaeseq-midi, with short samples."""
    monkeypatch.setattr(program, "_SAMPLE_SECONDS", 2.0)
    return functools.partial(run_program, app)


@pytest.fixture
def pieces(tmp_path):
    """Five pieces, and a file that is none."""
    folder = tmp_path / "pieces"
    for number in range(5):
        save(folder / f"{number}.mid", programs=(0, 40, DRUMS), key=50 + number, count=20)
    (folder / "bad.mid").write_bytes(b"MThd, not")
    return folder


def test_train_resume_evaluate_generate(tmp_path, pieces, midi_main):
    run, out = tmp_path / "run", tmp_path / "out"
    train = ["train", "--log-dir", run, "--train-files", pieces]
    flags = ["--hparams", TINY + ",vae_type=SRNN", "--instruments", "apart", "--drums"]
    code, stdout, stderr = midi_main(*train, *flags, "--num-steps", 3)
    assert code == 0, stderr
    assert "bad.mid is not a MIDI file" in stderr
    assert "the data" in stdout, "statistics of a sample stand beside those of the data"
    assert {path.suffix for path in (run / "samples").iterdir()} == {".mid", ".png"}
    assert midi_main(*train, "--num-steps", 2, "--seed", 5)[0] == 2
    code, _, stderr = midi_main("train", "--log-dir", run, "--num-steps", 5)
    assert code == 0 and "from step 3 to 5" in stderr

    code, stdout, _ = midi_main("evaluate", "--log-dir", run, "--log-prob-samples", 3)
    own = json.loads(stdout)
    assert code == 0 and own["num_pieces"] == 1 and own["refused"] == {}
    given = ["--eval-files", pieces / "1.mid", pieces / "bad.mid"]
    code, stdout, _ = midi_main("evaluate", "--log-dir", run, *given)
    other = json.loads(stdout)
    assert code == 0 and list(other["refused"]) == [str(pieces / "bad.mid")]
    assert other["num_frames"] == 40 and other["log_prob_samples"] == 16
    assert other["nats_per_frame"] == pytest.approx(other["nats_per_frame_by_piece"])
    assert other["elbo"] == pytest.approx(-other["nats_per_frame"], rel=0.2)

    generate = ["generate", "--log-dir", run, "--length", 2.5, "--seed", 3]
    code, stdout, stderr = midi_main(
        *generate, "--out-dir", out, "--num-samples", 2, "--temperature", 0.7
    )
    assert code == 0, stderr
    assert [line.split()[0] for line in stdout.splitlines()[1:3]] == ["sample-01", "sample-02"]
    midi = pretty_midi.PrettyMIDI(str(out / "sample-01.mid"))
    assert midi.get_end_time() == pytest.approx(2.5, abs=0.01)
    assert [x.program for x in midi.instruments if not x.is_drum] == [0, 40]
    assert mido.MidiFile(out / "sample-02.mid").length == pytest.approx(2.5, abs=0.01)
    with wave.open(str(out / "sample-01.wav")) as sound:
        assert sound.getnframes() / sound.getframerate() == pytest.approx(2.5)
    assert (out / "sample-02.png").read_bytes().startswith(b"\x89PNG")

    again = tmp_path / "again"
    prime = ["--prime", pieces / "0.mid", "--prime-seconds", 1.5]
    assert midi_main(*generate, *prime, "--out-dir", again)[0] == 0
    begun = pretty_midi.PrettyMIDI(str(again / "sample-01.mid"))
    assert begun.get_end_time() == pytest.approx(4.0, abs=0.01)
    scale = [note.pitch for note in begun.instruments[0].notes if note.start < 1.4]
    assert scale[:6] == [50, 51, 52, 53, 54, 55]

    between = ["--interpolate", pieces / "0.mid", pieces / "4.mid", "--steps", 3]
    code, _, stderr = midi_main(*generate, *between, "--out-dir", again)
    assert code == 0 and len(list(again.glob("*.mid"))) == 3, stderr
    assert "latent variables say little" in stderr
    assert (again / "path.png").read_bytes().startswith(b"\x89PNG")


def test_a_core_without_latents_and_the_model_of_2018(tmp_path, pieces, midi_main):
    run = tmp_path / "run"
    hparams = TINY + ",decoder=beta_count,velocity_levels=0,history_size=3,vae_type=RNN"
    code, _, stderr = midi_main(
        *["train", "--log-dir", run, "--train-files", pieces, "--frames-per-beat", 4],
        *["--hparams", hparams, "--num-steps", 2],
    )
    assert code == 0, stderr
    assert json.loads((run / "corpus/pieces.json").read_text())["format"]["beats"]
    out = ["--out-dir", tmp_path / "out", "--length", 1]
    code, _, stderr = midi_main(
        "generate", "--log-dir", run, *out, "--interpolate", pieces / "0.mid", pieces / "1.mid"
    )
    assert code == 2 and "RNN has no latent variables" in stderr
    assert midi_main("generate", "--log-dir", run, *out)[0] == 0
    code, _, stderr = midi_main("generate", "--log-dir", run, *out, "--prime", pieces / "bad.mid")
    assert code == 2 and "--prime" in stderr and len(stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--train-files", "missing.mid"], "there is no MIDI file missing.mid"),
        (["--train-files", "{pieces}/bad.mid"], "no piece is left: {pieces}/bad.mid is not"),
        (["--train-files", "{pieces}/1.mid"], "one piece cannot be both"),
        (["--train-files", "{pieces}", "--hparams", "decoder=beta_count"], "velocity_levels=0"),
        (["--train-files", "{pieces}", "--hparams", "rate=1000000"], "rate"),
        (["--train-files", "{pieces}", "--instruments", "both"], "both"),
        (["--train-files", "{pieces}", "--frames-per-beat", "5000"], "--frames-per-beat: 5000"),
        (["--train-files", "{pieces}/../long", "--hparams", "rate=1000"], "no piece is left"),
    ],
)
def test_a_users_mistake_is_one_line_and_nothing_written(
    arguments, message, tmp_path, pieces, midi_main
):
    run = tmp_path / "run"
    for number in range(3):  # of half an hour: too large at the highest rate
        save(tmp_path / "long" / f"{number}.mid", key=50 + number, count=7200)
    arguments = [x.replace("{pieces}", str(pieces)) for x in arguments]
    code, _, stderr = midi_main("train", "--log-dir", run, *arguments)
    assert code == 2
    last = stderr.strip().splitlines()[-1]
    assert last.startswith("vaeseq-midi train: error: ")
    assert message.replace("{pieces}", str(pieces)) in last
    assert not (run / "run.json").exists() and not list(run.glob("**/*.rolls"))


def test_both_conventions_by_hand():
    score = program.Score(*(np.array([-10.0, -2.0]), np.zeros(2), np.array([-8.0, -2.0])))
    summary = program.summary(score, [(0, 8), (8, 9)], 4)
    assert summary["nats_per_frame"] == pytest.approx(10 / 9)
    assert summary["nats_per_frame_by_piece"] == pytest.approx((1 + 2) / 2)
    assert summary["elbo"] == pytest.approx(-12 / 9)


def small_model(**changes):
    hparams = MidiHParams().parse(TINY).replace(**changes)
    return MidiModel(hparams, KEYS)


def random_rolls(states, shape=(3, 10)):
    return np.random.default_rng(0).integers(states, size=[*shape, KEYS], dtype=np.uint8)


@pytest.mark.parametrize("levels", [0, 1, 4])
def test_log_prob_of_independent_keys_is_the_sum_of_theirs(levels):
    """Of a model whose decoder is told the logits, by brute force."""
    model = small_model(velocity_levels=levels, vae_type="RNN")
    rolls = random_rolls(2 + levels)
    inference, _ = model.infer(rolls)
    (logits,) = (x.numpy() for x in inference.steps.obs_params)
    if levels == 0:
        logits = np.stack([np.zeros_like(logits), logits], axis=-1)
    log_p = logits - np.log(np.sum(np.exp(logits), axis=-1, keepdims=True))
    expected = np.take_along_axis(log_p, rolls[..., None].astype(int), -1)[..., 0].sum(-1)
    np.testing.assert_allclose(inference.log_prob, expected, rtol=1e-4)


def test_reading_pieces_side_by_side_is_reading_each(monkeypatch):
    monkeypatch.setattr(program, "_WINDOW_FRAMES", 8)
    model = small_model(vae_type="RNN")
    frames, lengths = random_rolls(3, (30,)), [5, 17, 8]
    corpus = corpora.Corpus(frames, corpora.spans(lengths))
    score = program.read(WindowScorer(model), model, corpus)
    for index, (begin, end) in enumerate(corpus.spans):
        alone = float(model.log_prob(frames[None, begin:end])[0])
        assert score.bound[index] == pytest.approx(alone, rel=1e-5)


def test_the_rolls_of_beta_and_count_are_those_observed():
    model = small_model(velocity_levels=0, decoder="beta_count", vae_type="RNN")
    rolls = (random_rolls(40) == 0).astype(np.uint8)
    assert rolls.sum(-1).max() <= 10
    np.testing.assert_array_equal(model.rolls(model.observe(rolls)), rolls)
    generated = model.rolls(tuple(x.numpy() for x in model.generate(2, 5)))
    assert generated.shape == (2, 5, KEYS) and set(np.unique(generated)) <= {0, 1}


def test_given_latents_are_used(monkeypatch):
    model = small_model(vae_type="SRNN")
    state = model.initial_state(1)
    latents = np.random.default_rng(0).normal(size=[2, 6, 4]).astype(np.float32)
    observed, _ = model.extend(state, 2, 6, seed=3, latents=latents)
    again, _ = model.extend(state, 2, 6, seed=3, latents=latents)
    other, _ = model.extend(state, 2, 6, seed=3, latents=30 * latents)
    assert np.array_equal(observed, again) and not np.array_equal(observed, other)


def test_samples_of_a_report_are_files_others_open():
    model = small_model()
    form = roll.RollFormat(8.0)
    frames = program.sample_roll(model, form)
    contents = program._show(frames, form)
    assert pretty_midi.PrettyMIDI(io.BytesIO(contents[".mid"])).get_end_time() == pytest.approx(
        20.0, abs=0.01
    )
