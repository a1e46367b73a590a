"""The sweep of policy gradients, with a small oracle."""

import json
import sys

import numpy as np
import pytest

from benchmarks.seqvae import sweep
from benchmarks.seqvae.data import random_oracle, sample_suite
from benchmarks.seqvae.model import TokenHParams, Tokens
from benchmarks.seqvae.true_ratio import judge_by_oracles
from tests.conftest import assert_close

SMALL = "rnn_hidden_sizes=[4],embed_size=4,batch_size=20,discriminator_size=4"


def small_suite(folder, steps):
    sizes = {"train": 100, "valid": 250, "test": 250}
    return sample_suite([random_oracle(8, 3)], 8, steps, sizes)


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setitem(sweep.SUITES, "mixture", (small_suite, 5))
    monkeypatch.setattr(sys, "argv", ["sweep", *map(str, arguments)])
    sweep.main()
    return capsys.readouterr().out


def test_rows_are_made_once_and_compared_with_both_controls(monkeypatch, capsys, tmp_path):
    out = tmp_path / "sweep.jsonl"
    common = ["--out", out, "--hparams", SMALL, "--settings", "oracle", "--factors", 1, 2]
    flags = [*common, "--steps", 4, "--policy-steps", 2, "--seeds", 1]
    run(monkeypatch, capsys, *flags, "--weights", 1)
    table = run(monkeypatch, capsys, *flags, "--weights", 1, 10)
    with pytest.raises(SystemExit, match="made with other flags"):
        run(monkeypatch, capsys, *flags, "--weights", 1, "--policy-steps", 3)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    expected = [("start", 0), ("control", 0), ("oracle", 1), ("oracle", 10)]
    assert [(row["setting"], row["weight"]) for row in rows] == expected
    assert rows[0]["1.0"] != rows[1]["1.0"] != rows[2]["1.0"]
    assert table.endswith(run(monkeypatch, capsys, *common, "--table"))
    assert table.count("| oracle | 10 | 1 |") == 1
    assert [-1 <= row["agreement"] <= 1 for row in rows[2:]] == [True, True]


def test_the_true_ratio_is_that_of_the_likelihoods_of_every_prefix():
    oracles = [random_oracle(8, seed) for seed in (3, 4)]
    suite = sample_suite(oracles, 8, 5, {"train": 6, "valid": 1, "test": 1})
    hparams = TokenHParams().parse(f"{SMALL},policy_gradient=stepwise")
    model = Tokens(hparams, 8)
    model.compile()
    learned = model.adversary.discriminator
    judge_by_oracles(model, suite)
    judge = model.adversary.discriminator
    for steps in (1, 3, 5):
        x = suite.train[:, :steps]
        expected = suite.oracle_log_prob(x) - model.log_probs(x)
        assert_close(judge(suite.train)[:, steps - 1], expected.astype(np.float32), 1e-4)
    assert_close(judge(suite.train, training=True), learned(suite.train), 0)
    pairs = zip(judge.trainable_variables, learned.trainable_variables, strict=True)
    assert all(x is y for x, y in pairs), "the oracles and the model are not trained with it"


def test_the_interval_is_that_of_a_mean_of_few_values():
    # t of 4 degrees of freedom: 2.776; deviation of the mean: sqrt(2.5 / 5)
    assert sweep.interval([1.0, 2.0, 3.0, 4.0, 5.0]) == "+3.000 [+1.037, +4.963]"
    assert sweep.interval([0.5]) == "+0.500"
    assert sweep.interval([0.5, float("nan")]) == "no common NLL_test"


@pytest.mark.parametrize("setting", sweep.SETTINGS)
def test_the_settings_are_hyperparameters(setting):
    common, policy = sweep.SETTINGS[setting]
    hparams = sweep.make_hparams("mixture", "RNN", common, 0).parse(policy)
    assert hparams.policy_baseline in ("critic", "batch")
