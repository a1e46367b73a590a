"""vaeseq-midi generate."""

import wave

import mido
import numpy as np
import pretty_midi
import pytest

from vaeseq.cli import desktop
from vaeseq.examples.midi.model import MidiModel


def flags(trained, kind, out):
    return ["generate", "--log-dir", trained(kind).path, "--out-dir", out, "--seed", 3]


def test_samples_are_files_of_the_wanted_length(trained, midi_main, tmp_path):
    code, stdout, stderr = midi_main(
        *flags(trained, "keys", tmp_path),
        *("--length", 2.5, "--num-samples", 2, "--temperature", 0.7),
    )
    assert code == 0, stderr
    header, *rows, where, how = stdout.splitlines()
    assert "length (s)" in header and str(tmp_path) in where
    assert how.endswith(f"open {tmp_path / 'index.html'}")
    assert [row.split()[0] for row in rows] == ["sample-01", "sample-02", "held-out"]
    midi = pretty_midi.PrettyMIDI(str(tmp_path / "sample-01.mid"))
    assert midi.get_end_time() == pytest.approx(2.5, abs=0.01)
    assert [x.program for x in midi.instruments if not x.is_drum] == [0, 40]
    assert mido.MidiFile(tmp_path / "sample-02.mid").length == pytest.approx(2.5, abs=0.01)
    with wave.open(str(tmp_path / "sample-01.wav")) as sound:
        assert sound.getnframes() / sound.getframerate() == pytest.approx(2.5)
    assert (tmp_path / "sample-02.png").read_bytes().startswith(b"\x89PNG")


def test_silent_samples_are_named_in_one_warning(trained, midi_main, tmp_path, monkeypatch):
    monkeypatch.setattr(MidiModel, "to_rolls", lambda self, observed: 0 * np.asarray(observed))
    code, _, stderr = midi_main(*flags(trained, "keys", tmp_path), "--num-samples", 2)
    assert code == 0 and stderr.count("nothing sounds in sample-01, sample-02: train the") == 1


def test_a_sample_continues_the_prime(trained, midi_main, pieces, tmp_path):
    prime = ["--prime", pieces / "0.mid", "--prime-seconds", 1.5, "--length", 2.5]
    code, _, stderr = midi_main(*flags(trained, "keys", tmp_path), *prime)
    assert code == 0, stderr
    midi = pretty_midi.PrettyMIDI(str(tmp_path / "sample-01.mid"))
    assert midi.get_end_time() == pytest.approx(4.0, abs=0.01)
    scale = [note.pitch for note in midi.instruments[0].notes if note.start < 1.4]
    assert scale[:6] == [50, 51, 52, 53, 54, 55]


def test_a_melody_continues_the_prime(trained, midi_main, pieces, tmp_path):
    prime = ["--prime", pieces / "0.mid", "--length", 1]
    code, _, stderr = midi_main(*flags(trained, "melody", tmp_path), *prime)
    assert code == 0, stderr
    midi = pretty_midi.PrettyMIDI(str(tmp_path / "sample-01.mid"))
    assert midi.get_end_time() == pytest.approx(6.0, abs=0.01)


@pytest.mark.parametrize("kind", ["keys", "melody"])
def test_interpolation_writes_samples_and_one_picture_of_all(
    kind, trained, midi_main, pieces, tmp_path
):
    ends = ["--interpolate", pieces / "0.mid", pieces / "4.mid"]
    code, stdout, stderr = midi_main(
        *flags(trained, kind, tmp_path), *ends, "--steps", 3, "--length", 1
    )
    assert code == 0, stderr
    assert len(list(tmp_path.glob("*.mid"))) == len(list(tmp_path.glob("*.wav"))) == 3
    assert "path.png" in stdout
    assert (tmp_path / "path.png").read_bytes().startswith(b"\x89PNG")
    about_frames = stderr.count("the latent variables carry little information")
    about_pieces = stderr.count("z hardly tells the two apart")
    assert (about_frames, about_pieces) == ((1, 0) if kind == "keys" else (0, 1))


def test_a_core_without_latent_variables_generates_but_does_not_interpolate(
    trained, midi_main, pieces, tmp_path
):
    generate = [*flags(trained, "beta_count", tmp_path), "--length", 1]
    code, _, stderr = midi_main(*generate)
    assert code == 0, stderr
    code, _, stderr = midi_main(*generate, "--interpolate", pieces / "0.mid", pieces / "1.mid")
    assert code == 2 and "RNN has no latent variables" in stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--prime", "{pieces}/bad.mid"], "--prime: {pieces}/bad.mid is not a MIDI file"),
        (["--length", "1e9"], "--length: 1 x 1000000000 seconds of music needs"),
        (["--num-samples", "1000000000"], "--length: 1000000000 x 30 seconds of music needs"),
        (["--prime-seconds", "1"], "--prime-seconds: needs --prime"),
        (
            ["--prime", "{pieces}/1.mid", "--interpolate", "{pieces}/1.mid", "{pieces}/2.mid"],
            "--interpolate: cannot be combined with --prime",
        ),
    ],
)
def test_a_mistake_of_the_user_is_reported_in_one_line(
    arguments, message, trained, midi_main, pieces, tmp_path
):
    arguments = [x.replace("{pieces}", str(pieces)) for x in arguments]
    code, _, stderr = midi_main(*flags(trained, "beta_count", tmp_path), *arguments)
    (line,) = stderr.strip().splitlines()
    assert code == 2 and message.replace("{pieces}", str(pieces)) in line
    assert not list(tmp_path.glob("sample*"))


def test_a_call_leaves_nothing_of_an_earlier_one(trained, midi_main, pieces, tmp_path):
    (tmp_path / "sample-09.mid").write_text("mine")
    generate = [*flags(trained, "keys", tmp_path), "--length", 1]
    code, _, stderr = midi_main(*generate, "--interpolate", pieces / "0.mid", pieces / "1.mid")
    assert code == 0, stderr
    assert (tmp_path / "path.png").exists() and (tmp_path / "sample-05.mid").exists()
    code, stdout, stderr = midi_main(*generate, "--num-samples", 2, "--temperature", 0.5)
    assert code == 0 and str(tmp_path / "index.html") in stdout, stderr
    names = [f"sample-0{i}{suffix}" for i in (1, 2) for suffix in (".mid", ".png", ".wav")]
    found = sorted(path.name for path in tmp_path.iterdir() if path.name[0] != ".")
    assert found == ["index.html", *names, "sample-09.mid"]
    page = (tmp_path / "index.html").read_text()
    for setting in ("--temperature 0.5", "--seed 3", "--num-samples 2", "--length 1.0"):
        assert f"<li>{setting}</li>" in page
    assert "--steps" not in page and "--prime" not in page


def test_play_opens_the_page_or_says_why_not(trained, midi_main, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(desktop, "open_file", lambda path: opened.append(path) or "no display")
    generate = [*flags(trained, "keys", tmp_path), "--length", 1]
    assert midi_main(*generate)[0] == 0 and not opened
    code, _, stderr = midi_main(*generate, "--play")
    assert code == 0 and opened == [tmp_path / "index.html"] and opened[0].exists()
    assert f"--play: cannot open {opened[0]}: no display" in stderr


def test_a_file_of_the_user_is_not_overwritten(trained, midi_main, tmp_path):
    (tmp_path / "sample-01.png").write_text("mine")
    code, _, stderr = midi_main(*flags(trained, "keys", tmp_path), "--length", 1)
    (line,) = stderr.strip().splitlines()
    assert code == 2 and "--out-dir" in line and "was not written by vaeseq-midi" in line
    assert [path.name for path in tmp_path.iterdir()] == ["sample-01.png"]
