"""vaeseq-midi generate."""

import wave
from types import SimpleNamespace

import mido
import numpy as np
import pretty_midi
import pytest

from tests.examples.midi.conftest import save
from tests.examples.midi.test_midi_file import file, key, meter, off, on, program, tempo
from vaeseq.cli import desktop
from vaeseq.errors import UsageError
from vaeseq.examples.midi.hparams import MidiHParams
from vaeseq.examples.midi.interpolate import interpolate
from vaeseq.examples.midi.model import MidiModel
from vaeseq.examples.midi.music import midi_file
from vaeseq.examples.midi.music.midi_file import DRUMS


def flags(trained, kind, out):
    return ["generate", "--log-dir", trained(kind).path, "--out-dir", out, "--seed", 3]


def test_samples_are_files_of_the_wanted_length(trained, midi_main, tmp_path):
    code, stdout, stderr = midi_main(
        *flags(trained, "keys", tmp_path),
        *("--length", 2.5, "--num-samples", 2, "--temperature", 0.7, "--exact-length"),
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
    prime += ["--exact-length"]
    code, _, stderr = midi_main(*flags(trained, "keys", tmp_path), *prime)
    assert code == 0, stderr
    midi = pretty_midi.PrettyMIDI(str(tmp_path / "sample-01.mid"))
    assert midi.get_end_time() == pytest.approx(4.0, abs=0.01)
    scale = [note.pitch for note in midi.instruments[0].notes if note.start < 1.4]
    assert scale[:6] == [50, 51, 52, 53, 54, 55]


def test_a_melody_continues_the_prime(trained, midi_main, pieces, tmp_path):
    prime = ["--prime", pieces / "0.mid", "--length", 1, "--exact-length"]
    code, _, stderr = midi_main(*flags(trained, "melody", tmp_path), *prime)
    assert code == 0, stderr
    midi = pretty_midi.PrettyMIDI(str(tmp_path / "sample-01.mid"))
    assert midi.get_end_time() == pytest.approx(6.0, abs=0.01)


# A violin and a cello at 90 beats per minute in 3/4, and a flute.
DUET = file(
    tempo(0, 666_667) + meter(0, 3, 2) + key(0, -1),
    program(0, 40) + b"".join(on(5, 60 + i, 100 + i) + off(235, 60 + i) for i in range(9)),
    program(0, 42, 1) + (on(0, 48, 70, 1) + off(720, 48, 1)) * 3,
    program(0, 73, 2) + on(0, 90, 30, 2) + off(720, 90, 2),
)


@pytest.mark.parametrize("kind", ["keys", "melody", "beta_count", "nade"])
def test_a_given_tune_stays_as_it_is_and_the_continuation_takes_over(
    kind, trained, midi_main, tmp_path
):
    """`keys` has a keyboard for strings and one for pianos, the others one for all."""
    (tmp_path / "duet.mid").write_bytes(DUET)
    before, out = midi_file.parse(DUET), tmp_path / "out"
    code, _, stderr = midi_main(
        *flags(trained, kind, out), "--prime", tmp_path / "duet.mid", "--length", 1
    )
    assert code == 0, stderr
    used = {
        "keys": "used the instruments of the run's keyboards (Acoustic Grand Piano, Violin, drums)",
        "melody": "used the highest voice",
    }
    numbers = {"keys": "12 of 13 notes", "melody": "7 of 13 notes"}
    assert stderr.count("--prime: used") == (kind in used)
    if kind in used:
        line = f"--prime: {used[kind]} of {tmp_path / 'duet.mid'}, {numbers[kind]}"
        assert line in stderr.splitlines()
    after = midi_file.parse((out / "sample-01.mid").read_bytes())
    assert (after.time_signatures, after.key_signatures) == (((0, 3, 4),), ((0, -1, False),))
    assert 60 / (after.tempos * after.ticks_per_beat) == pytest.approx(90, rel=1e-5)
    given, written = before.notes, after.notes
    first = written.select(written.start < given.length)
    is_last = given.end == given.length  # the model may hold these
    for name in ("start", "pitch", "velocity", "program"):
        assert np.array_equal(getattr(first, name), getattr(given, name)), name
    assert np.array_equal(first.end[~is_last], given.end[~is_last])
    new = written.select(written.start >= given.length)
    allowed = {0, 40} if kind == "keys" else {40}
    assert allowed >= set(new.program[new.program != DRUMS].tolist())
    assert len(new.start) and set(new.velocity.tolist()) == {102}, "the median"


@pytest.mark.parametrize("kind", ["keys", "melody", "beta_count"])
def test_variations_are_played_like_the_tune(kind, trained, midi_main, tmp_path):
    """The one of `beta_count` has no latents, so amount 0 gives the tune, on the grid."""
    (tmp_path / "duet.mid").write_bytes(DUET)
    before, out = midi_file.parse(DUET), tmp_path / "out"
    like = ["--like", tmp_path / "duet.mid", "--num-samples", 2, "--amount"]
    for amount in (0, 1):
        code, _, stderr = midi_main(*flags(trained, kind, out), *like, amount)
        assert code == 0, stderr
        assert stderr.count("--like: used") == (kind != "beta_count")
        first, second = (midi_file.parse((out / f"sample-0{x}.mid").read_bytes()) for x in (1, 2))
        assert (first.time_signatures, first.key_signatures) == (((0, 3, 4),), ((0, -1, False),))
        assert first.tempo == pytest.approx(90, rel=1e-5)
        assert first.notes.length == pytest.approx(before.notes.length, abs=90)
        assert set(first.notes.program.tolist()) <= {0, 40, DRUMS}
        same = [np.array_equal(x, y) for x, y in zip(first.notes, second.notes, strict=True)]
        assert all(same) == (amount == 0 and kind == "beta_count")
        if kind == "beta_count" and amount == 0:
            heard, given = first.notes, before.notes
            assert sorted(set(heard.pitch.tolist())) == sorted(set(given.pitch.tolist()))


def test_the_shortest_variation_is_one_frame(trained, midi_main, pieces, tmp_path):
    words = ["--like", pieces / "0.mid", "--length", 0.001]
    code, _, stderr = midi_main(*flags(trained, "melody", tmp_path), *words)
    assert code == 0, stderr
    assert midi_file.parse((tmp_path / "sample-01.mid").read_bytes()).in_beats().length == 0.25


def test_variations_may_be_of_the_beginning_of_a_tune(trained, midi_main, pieces, tmp_path):
    words = ["--like", pieces / "0.mid", "--length", 2, "--program", "Flute", "--tempo", 60]
    code, _, stderr = midi_main(*flags(trained, "beta_count", tmp_path), *words)
    assert code == 0, stderr
    midi = midi_file.parse((tmp_path / "sample-01.mid").read_bytes())
    assert midi.tempo == pytest.approx(60) and set(midi.notes.program.tolist()) == {73}
    assert midi.in_beats().length == 4, "two seconds at the tempo of the tune"


def test_tempo_and_program_are_those_of_the_output(trained, midi_main, tmp_path):
    """The run counts frames per second; its tempo is 120."""
    slow, fast = tmp_path / "slow", tmp_path / "fast"
    same = ["--exact-length", "--program", "flute", "24"]
    assert midi_main(*flags(trained, "keys", slow), *same, "--length", 4)[0] == 0
    code, _, stderr = midi_main(*flags(trained, "keys", fast), *same, "--length", 2, "--tempo", 240)
    assert code == 0, stderr
    before, after = (midi_file.parse((x / "sample-01.mid").read_bytes()) for x in (slow, fast))
    assert after.tempo == pytest.approx(240) and before.tempo == pytest.approx(120)
    assert set(after.notes.program.tolist()) <= {73, 24, DRUMS}
    for x, y in zip(before.notes, after.notes, strict=True):
        assert np.array_equal(x, y), "the same notes in half the time"


def test_a_sample_ends_where_it_rests_and_within_the_bound(trained, midi_main, tmp_path):
    code, _, stderr = midi_main(*flags(trained, "melody", tmp_path), "--length", 4)
    assert code == 0, stderr
    midi = midi_file.parse((tmp_path / "sample-01.mid").read_bytes())
    assert 4 - 0.01 <= midi.in_seconds().length <= 6 + 0.01


@pytest.mark.parametrize("kind", ["keys", "melody"])
def test_interpolation_writes_samples_and_one_picture_of_all(
    kind, trained, midi_main, pieces, tmp_path
):
    ends = ["--interpolate", pieces / "0.mid", pieces / "0.mid"]  # which no z can tell apart
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


def test_between_melodies_is_as_long_as_both(trained, midi_main, pieces, tmp_path):
    short = save(tmp_path / "in" / "short.mid", count=2)  # a beat
    ends = ["--interpolate", short, pieces / "0.mid", "--steps", 2]
    code, _, stderr = midi_main(*flags(trained, "melody", tmp_path / "out"), *ends)
    assert code == 0, stderr
    length = midi_file.parse((tmp_path / "out/sample-01.mid").read_bytes()).in_beats().length
    assert length <= 1


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
        (["--length", "1e9"], "--length: 1 x 1000000008 seconds of music needs"),
        (["--num-samples", "1000000000"], "--length: 1000000000 x 38 seconds of music needs"),
        (["--prime-seconds", "1"], "--prime-seconds: needs --prime"),
        (["--prime", "{pieces}/9.mid"], "--prime: {pieces}/9.mid cannot be read: No such file"),
        (["--amount", "0.5"], "--amount: needs --like"),
        (["--like", "{pieces}/1.mid", "--amount", "1.5"], "--amount: 1.5 is out of range: 0 to 1"),
        (["--like", "{pieces}/1.mid", "--prime", "x"], "--like: cannot be combined with --prime"),
        (["--like", "{pieces}/bad.mid"], "--like: {pieces}/bad.mid is not a MIDI file"),
        (["--tempo", "5"], "--tempo: 5 is out of range: 10 to 1000"),
        (["--program", "Fiddel"], "--program: 'Fiddel' is no instrument of General MIDI, nor a"),
        (
            ["--program", "1", "2"],
            "--program: 2 are given, but the run has 1 keyboards besides drums (Acoustic Grand",
        ),
        (
            ["--prime", "{pieces}/1.mid", "--interpolate", "{pieces}/1.mid", "{pieces}/2.mid"],
            "--interpolate: cannot be combined with --prime",
        ),
        (["--steps", "3"], "--steps: needs --interpolate; use --num-samples"),
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
    code, _, stderr = midi_main(*generate, "--prime", tmp_path / "sample-02.mid")
    assert code == 2 and "sample-02.mid, which this call reads, would be removed" in stderr


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


def test_there_is_nothing_between_categorical_latents():
    model = SimpleNamespace(
        core=SimpleNamespace(latent_size=6), hparams=MidiHParams(latent_kind="categorical")
    )
    with pytest.raises(UsageError, match=r"nothing between .* categorical latents; use --like"):
        interpolate(model, None, None)
