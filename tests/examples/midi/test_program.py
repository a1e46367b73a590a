"""vaeseq-midi train."""

import io
import json
import shutil

import numpy as np
import pretty_midi
import pytest
from safetensors.numpy import load_file

from tests.examples.midi.conftest import FLAGS, STEPS, TINY
from vaeseq import UsageError
from vaeseq.examples.midi import app, program
from vaeseq.examples.midi.hparams import MELODY, MidiHParams
from vaeseq.examples.midi.model import MidiModel
from vaeseq.examples.midi.music.roll import KEYS, RollFormat
from vaeseq.examples.midi.program import MidiProgram


def test_training_reports_statistics_samples_and_refused_files(trained, pieces):
    run, out = trained("keys")
    index = json.loads((run / "corpus/pieces.json").read_text())
    assert list(index["refused"]) == [str(pieces / "bad.mid")]
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["sample", "held-out"]
    assert {path.suffix for path in (run / "samples").iterdir()} == {".mid", ".png"}


def test_a_run_stores_its_encoding_and_the_unit_of_time(trained):
    about = json.loads((trained("melody").path / "run.json").read_text())
    assert about["hparams"]["vae_type"] == "SEQVAE" and about["encoding"] == "melody"
    for kind in FLAGS:
        index = json.loads((trained(kind).path / "corpus/pieces.json").read_text())
        assert index["format"]["beats"] == (kind != "keys")


@pytest.mark.parametrize(
    ("decoder", "source"), [("melody", "embedded_melodies"), ("nade", "embedded_chorales")]
)
def test_without_files_the_pieces_are_those_for_the_encoding(decoder, source, monkeypatch):
    def found(*_):
        raise UsageError(source)

    monkeypatch.setattr(program, source, found)
    args = app.parser().parse_args(["train", "--log-dir", "run"])
    with pytest.raises(UsageError, match=source):
        program.MidiProgram().prepare(args, MidiHParams(decoder=decoder))


@pytest.mark.parametrize("kind", ["beta_count", "nade"])
def test_a_run_resumes_unless_the_user_asks_for_other_settings(
    kind, trained, pieces, midi_main, tmp_path
):
    run = shutil.copytree(trained(kind).path, tmp_path / "run")
    resume = ["train", "--log-dir", run, "--num-steps", STEPS + 2]
    assert midi_main(*resume, "--seed", 5)[0] == 2
    assert midi_main(*resume, "--train-files", pieces / "1.mid")[0] == 2
    assert midi_main(*resume, "--instruments", "apart")[0] == 2
    same = ["--train-files", pieces, "--instruments", "merge"]
    code, _, stderr = midi_main(*resume, *same)
    assert code == 0 and f"from step {STEPS} to {STEPS + 2}" in stderr
    *_, last = (run / "metrics.jsonl").read_text().splitlines()
    assert json.loads(last)["step"] == STEPS + 2


def test_a_run_from_before_a_hyperparameter_resumes_as_if_it_were_at_its_default(
    pieces, midi_main, tmp_path
):
    """Melodies of runs without segments, top voice or windows on beats go on as they were."""
    new = dict.fromkeys(("seqvae_segment", "shortest_window"), 0) | {"window_step": 1}
    values = [f"{name}={value}" for name, value in new.items()]
    flags = ["--encoding", "melody", "--hparams", ",".join([TINY, "top_voice=false", *values])]
    old, run = tmp_path / "old", tmp_path / "run"
    midi_main("train", "--log-dir", run, "--train-files", pieces, "--num-steps", 1, *flags)
    shutil.copytree(run, old)
    about = json.loads((old / "run.json").read_text())
    for name in (*new, "top_voice"):
        del about["hparams"][name]
    (old / "run.json").write_text(json.dumps(about))
    weights = []
    for path in (run, old):
        code, _, err = midi_main("train", "--log-dir", path, "--num-steps", 2)
        assert code == 0, err
        weights.append(load_file(path / "checkpoints/step-000000002.safetensors"))
        del weights[-1]["run/seconds"]
    for name, weight in weights[0].items():
        np.testing.assert_array_equal(weight, weights[1][name], name)


@pytest.fixture(scope="session")
def long_pieces(tmp_path_factory):
    """Three pieces of half an hour: too long for the highest rate."""
    folder = tmp_path_factory.mktemp("long")
    for number in range(3):
        midi = pretty_midi.PrettyMIDI()
        instrument = pretty_midi.Instrument(0)
        instrument.notes = [pretty_midi.Note(80, 50 + number, 1799.0, 1800.0)]
        midi.instruments.append(instrument)
        midi.write(str(folder / f"{number}.mid"))
    return folder


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--train-files", "missing.mid"],
            "--train-files: no MIDI, MusicXML or ABC file matches missing.mid",
        ),
        (["--train-files", "{pieces}/bad.mid"], "all pieces were refused: {pieces}/bad.mid is not"),
        (["--train-files", "{pieces}/1.mid"], "needs at least two pieces"),
        (["--train-files", "{pieces}", "--hparams", "decoder=beta_count"], "velocity_levels=0"),
        (["--train-files", "{pieces}", "--hparams", "rate=1000000"], "rate"),
        (["--hparams", "rate=16"], "--hparams: rate counts frames per second, but this run"),
        (["--train-files", "{pieces}", "--hparams", "num_particles=0"], "out of range: at least 1"),
        (
            ["--train-files", "{pieces}", "--hparams", "objective=fivo,estimator=dreg"],
            "objective=fivo has only estimator=plain",
        ),
        (["--train-files", "{pieces}", "--instruments", "both"], "both"),
        (["--train-files", "{pieces}", "--frames-per-beat", "5000"], "--frames-per-beat: 5000"),
        (["--train-files", "{pieces}", "--frames-per-beat", "1e-5"], "out of range: 0.1 to 1000"),
        (["--train-files", "{pieces}", "--hparams", "rate=1e-300"], "rate = 1e-300 is out of"),
        (["--train-files", "{long}", "--hparams", "rate=1000"], "all pieces were refused"),
        (["--train-files", "{pieces}", "--encoding", "melody", "--drums"], "one voice"),
    ],
)
def test_a_mistake_of_the_user_is_one_line_and_writes_nothing(
    arguments, message, tmp_path, pieces, long_pieces, midi_main
):
    def fill_in(text):
        return text.replace("{pieces}", str(pieces)).replace("{long}", str(long_pieces))

    run = tmp_path / "run"
    train = ["train", "--log-dir", run, "--num-steps", 1]
    code, _, stderr = midi_main(*train, *map(fill_in, arguments))
    assert code == 2
    last = stderr.strip().splitlines()[-1]
    assert last.startswith("vaeseq-midi train: error: ") and fill_in(message) in last
    assert not (run / "run.json").exists() and not list(run.glob("**/*.rolls"))


def test_the_sample_of_a_report_is_a_file_that_other_libraries_open(pooled):
    model = pooled(MidiModel, MidiHParams().parse(TINY), KEYS)
    form = RollFormat(8.0)
    frames = program.sample_roll(model, form, seconds=3.0)
    contents = program._summarize_sample(frames, form)
    midi = pretty_midi.PrettyMIDI(io.BytesIO(contents[".mid"]))
    assert midi.get_end_time() == pytest.approx(3.0, abs=0.01)


def test_the_sample_of_a_report_has_no_more_frames_than_a_piece(pooled, monkeypatch):
    monkeypatch.setattr(program, "MAX_ENTRIES", 5 * KEYS)
    model = pooled(MidiModel, MidiHParams().parse(TINY), KEYS)
    assert len(program.sample_roll(model, RollFormat(8.0), seconds=3.0)) == 5


@pytest.mark.parametrize(
    ("flags", "hparams", "steps"),
    [([], MidiHParams(), 1500), ([], MELODY, 3000), (["--num-steps", "7"], MELODY, 7)],
)
def test_melodies_train_longer_unless_told_otherwise(flags, hparams, steps):
    args = app.parser().parse_args(["train", "--log-dir", "x", *flags])
    assert MidiProgram().last_step(args, hparams) == steps
