"""The benchmark of posterior collapse: what it trains, and what it trains only once."""

import argparse
import json

import numpy as np
import pytest

from benchmarks.seqvae import collapse
from benchmarks.seqvae.data import Suite

SMALL = "rnn_hidden_sizes=[8],embed_size=4,batch_size=25,dropout=0,learning_rate=0.01"


@pytest.fixture
def args(tmp_path, monkeypatch):
    """A command line, with a suite of short random sequences."""
    rng = np.random.default_rng(0)
    splits = [rng.integers(5, size=[size, 6]).astype(np.int32) for size in (200, 250, 250)]
    monkeypatch.setitem(collapse.SUITES, "captions", (lambda data, steps: Suite(*splits, 5), 6))
    return argparse.Namespace(
        suite="captions",
        data=None,
        length=None,
        seeds=1,
        first_seed=0,
        arms=["RNN", "aggressive", "stepwise", "prefix alone"],
        settings=1,
        steps=20,
        policy_steps=10,
        particles=2,
        hparams=SMALL,
        out=tmp_path / "rows.jsonl",
    )


def test_arms_are_trained_measured_and_not_trained_again(args, monkeypatch, capsys):
    lines = collapse.run_and_log(args)
    assert [line["label"] for line in lines] == args.arms
    rnn, *latent = lines
    aggressive = latent[0]
    assert aggressive["setting"] == "posterior_steps=5,posterior_updates=4"
    assert "sequence_kl" not in rnn
    for line in latent:
        assert line["sequence_kl"] >= 0 and 0 <= line["reconstruction_accuracy"] <= 1
    assert all(np.log(4) < line["NLL_test"] < np.log(8) for line in lines)
    monkeypatch.setattr(collapse.Trainings, "train", None)
    assert collapse.run_and_log(args) == lines
    collapse.print_tables(lines)
    table = capsys.readouterr().out
    assert table.count("| aggressive | 1 |") == 1 and "| RNN | 1 |" in table


def test_later_seeds_have_the_setting_that_validation_chose(args, monkeypatch, capsys):
    losses = {"free_bits=5": 2.0, "free_bits=2": 1.0}

    def train(self, run):
        return run.setting, 1.5

    def measure(setting, suite, particles):
        return {"NLL_valid": losses[setting], "NLL_test": 3 - losses[setting]}

    monkeypatch.setattr(collapse.Trainings, "train", train)
    monkeypatch.setattr(collapse, "measure", measure)
    args.arms, args.settings, args.seeds = ["free bits"], None, 3
    lines = collapse.run_and_log(args)
    found = [(line["seed"], line["setting"]) for line in lines]
    assert found == [(0, "free_bits=5"), *((seed, "free_bits=2") for seed in range(3))]
    assert [json.loads(x) for x in args.out.read_text().splitlines()] == lines
    capsys.readouterr()
    collapse.print_tables(lines)
    best, settings = capsys.readouterr().out.split("\n\n")
    assert "| free bits | 3 | 1.000 ± 0.000 | 2.000 ± 0.000 | - |" in best
    assert "| free bits: free_bits=5 | 1 | 2.000 |" in settings
    assert "| free bits: free_bits=2 | 1 | 1.000 |" in settings


def test_every_setting_is_one_of_valid_hyperparameters():
    for label in collapse.LABELS:
        for setting in collapse.settings_of(label, 1000):
            model = "RNN" if label == "RNN" else "SEQVAE"
            hparams = collapse.make_hparams("melody", model, setting, seed=0)
            assert hparams.posterior_steps < 1000
