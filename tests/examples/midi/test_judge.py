"""Samples beside held-out pieces: `evaluate --samples`, and the benchmark."""

import json
import sys

import numpy as np
import pytest

from benchmarks.quality import samples as benchmark
from vaeseq.examples.midi.judge import judge
from vaeseq.examples.midi.model import MidiModel
from vaeseq.examples.midi.music.comparison import Comparison
from vaeseq.examples.midi.music.features import STATISTICS
from vaeseq.examples.midi.program import MidiProgram, open_corpora


def evaluate(midi_main, trained, kind, *arguments):
    return midi_main("evaluate", "--log-dir", trained(kind).path, *arguments)


@pytest.mark.parametrize("kind", ["keys", "beta_count", "melody"])
def test_samples_are_compared_with_the_held_out_piece(kind, trained, midi_main):
    given = ["--samples", 2, "--length", 3, "--temperature", 0.9]
    code, stdout, stderr = evaluate(midi_main, trained, kind, *given)
    assert code == 0, stderr
    result = json.loads(stdout, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    samples = result["samples"]
    assert result["num_pieces"] == 1
    settings = {"num_samples": 2, "seconds": 3.0, "temperature": 0.9}
    assert {name: samples.pop(name) for name in settings} == settings
    assert list(samples) == list(STATISTICS)
    for comparison in samples.values():
        assert list(comparison) == ["samples", "pieces", "distance", "yardstick", "ratio"]
        assert comparison["yardstick"] is comparison["ratio"] is None, "a piece has no halves"
    assert samples["silence"]["distance"] >= 0
    if kind == "melody":
        assert samples["keys_at_once"]["pieces"] == 1
        assert samples["chords"]["distance"] is None, "one voice"


def test_given_pieces_are_the_yardstick(trained, midi_main, pieces):
    given = ["--samples", 1, "--length", 2, "--eval-files", *[pieces / f"{n}.mid" for n in (0, 4)]]
    code, stdout, stderr = evaluate(midi_main, trained, "keys", *given)
    assert code == 0, stderr
    samples = json.loads(stdout)["samples"]
    # Chromatic scales of two instruments, from 50 and from 54 on, eight notes each in two seconds.
    assert samples["lowest_pitch"]["yardstick"] == 4 and samples["pitch_range"]["pieces"] == 7
    assert samples["keys_at_once"]["pieces"] == 1 and samples["keys_at_once"]["yardstick"] == 0
    assert samples["note_lengths"]["pieces"] == pytest.approx(0.25)


def test_without_samples_nothing_is_compared(trained, midi_main):
    code, stdout, stderr = evaluate(midi_main, trained, "keys")
    assert code == 0 and "samples" not in json.loads(stdout), stderr


def corpora(trained):
    run, model = MidiProgram().trained(trained("keys").path)
    return model, *open_corpora(run)


def test_samples_that_are_the_pieces_have_distance_0(trained, monkeypatch):
    model, form, train, valid = corpora(trained)
    begin, end = valid.spans[0]
    copies = np.stack([valid.frames[begin:end]] * 2)
    monkeypatch.setattr("vaeseq.examples.midi.judge.sample", lambda *args: copies)
    compared = judge(model, form, train, valid, 2, seconds=60.0)
    distances = {name: comparison.distance for name, comparison in compared.items()}
    assert set(distances.values()) <= {0, None} and distances["melodic_intervals"] == 0


def test_silent_samples_have_clear_values(trained, monkeypatch):
    monkeypatch.setattr(MidiModel, "to_rolls", lambda self, observed: 0 * np.asarray(observed))
    model, form, train, valid = corpora(trained)
    compared = judge(model, form, train, valid, 2, seconds=1.0)
    assert compared.pop("silence").samples == 1
    assert all(comparison.samples is None for comparison in compared.values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--samples", "1000000000"], "--samples: 1000000000 x 30 seconds of music needs"),
        (["--samples", "1", "--length", "1e300"], "--samples: 1 x 1e+300 seconds of music needs"),
        (["--length", "5"], "--length: needs --samples"),
        (["--temperature", "2"], "--temperature: needs --samples"),
        (["--samples", "0"], "--samples: must be a whole number of at least 1, not '0'"),
        (["--samples", "2", "--length", "nan"], "--length: must be a number above 0, not 'nan'"),
    ],
)
def test_a_mistake_of_the_user_is_reported_in_one_line(arguments, message, trained, midi_main):
    code, stdout, stderr = evaluate(midi_main, trained, "keys", *arguments)
    (line,) = stderr.strip().splitlines()
    assert code == 2 and message in line and not stdout


@pytest.fixture
def benchmark_main(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["samples", *map(str, arguments)])
        try:
            benchmark.main()
        except SystemExit as exit:
            return exit.code, *capsys.readouterr()
        return 0, *capsys.readouterr()

    return run


def test_the_benchmark_prints_runs_side_by_side(trained, benchmark_main):
    path = trained("keys").path
    given = ["--runs", f"one={path}", f"two={path}", "--samples", 1, "--length", 1]
    code, stdout, _ = benchmark_main(*given)
    header, _, *rows = [line.strip("| ").split(" | ") for line in stdout.splitlines()]
    assert code == 0 and header[2:] == [
        *("held-out: mean", "halves: distance"),
        *("one: mean", "one: distance", "two: mean", "two: distance"),
    ]
    assert [row[0] for row in rows] == list(STATISTICS)
    assert all(row[4:6] == row[6:8] for row in rows), "the same run, with the same seed"


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        (["keys={keys}", "keys={keys}"], "keys is given twice"),
        (["keys"], "must be NAME=DIR, not 'keys'"),
        (["keys={keys}/none"], "none"),
    ],
)
def test_the_benchmark_reports_mistakes(runs, message, trained, benchmark_main):
    runs = [x.format(keys=trained("keys").path) for x in runs]
    code, stdout, stderr = benchmark_main("--runs", *runs, "--samples", 1, "--length", 1)
    assert code == 2 and not stdout and message in stderr.splitlines()[-1]


def test_the_benchmark_compares_only_runs_that_hold_out_the_same_pieces(
    benchmark_main, monkeypatch
):
    def compare(path, args):
        return dict.fromkeys(STATISTICS, Comparison(1.0, 2.0 + (path == "c"), 1.0, 0.5, 2.0))

    monkeypatch.setattr(benchmark, "compare", compare)
    assert benchmark_main("--runs", "one=a", "two=b")[0] == 0
    code, stdout, stderr = benchmark_main("--runs", "one=a", "two=b", "three=c")
    assert code == 2 and not stdout and "one and three hold out other pieces" in stderr
