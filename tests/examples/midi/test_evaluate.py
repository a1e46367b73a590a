"""vaeseq-midi evaluate."""

import json

import numpy as np
import pytest

from vaeseq.examples.midi.evaluate import summary
from vaeseq.model.scoring import Score


def test_files_are_scored_and_refused_ones_named(trained, midi_main, pieces):
    given = ["--eval-files", pieces / "1.mid", pieces / "bad.mid"]
    code, stdout, stderr = midi_main("evaluate", "--log-dir", trained("keys").path, *given)
    assert code == 0, stderr
    assert f"skipped: {pieces / 'bad.mid'} is not a MIDI file" in stderr
    result = json.loads(stdout)
    assert list(result["refused"]) == [str(pieces / "bad.mid")]
    assert result["num_frames"] == 40 and result["num_pieces"] == 1
    assert result["log_prob_samples"] == 2, "the hyperparameter"
    assert result["nats_per_frame"] == pytest.approx(result["nats_per_frame_by_piece"])
    assert result["elbo"] == pytest.approx(-result["nats_per_frame"], rel=0.2)


def test_held_out_pieces_are_scored_by_default(trained, midi_main):
    samples = ["--log-prob-samples", 3]
    code, stdout, stderr = midi_main("evaluate", "--log-dir", trained("melody").path, *samples)
    assert code == 0, stderr
    result = json.loads(stdout)
    assert result["num_pieces"] == 1 and result["refused"] == {}
    assert result["log_prob_samples"] == 3
    assert 0 <= result["reconstruction_accuracy"] <= 1
    assert {"kl", "sequence_kl", "mutual_information", "active_units"} <= result.keys()


def test_more_particles_than_fit_into_memory_are_refused(trained, midi_main):
    command = ["evaluate", "--log-dir", trained("keys").path, "--log-prob-samples", 10**9]
    code, stdout, stderr = midi_main(*command)
    assert code == 2 and stdout == "" and "--log-prob-samples: 1000000000 of 2048 time" in stderr


def test_a_summary_follows_both_conventions():
    score = Score(*(np.array([-10.0, -2.0]), np.zeros(2), np.array([-8.0, -2.0])))
    result = summary(score, [(0, 8), (8, 9)], 4)
    assert result["nats_per_frame"] == pytest.approx(10 / 9)
    assert result["nats_per_frame_by_piece"] == pytest.approx((1 + 2) / 2)
    assert result["elbo"] == pytest.approx(-12 / 9)
