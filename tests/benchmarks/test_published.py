"""The experiment with the published schedules, with a small oracle."""

import argparse
import json

import numpy as np
import pytest

from benchmarks.seqvae import measures, published
from benchmarks.seqvae.data import random_oracle, sample_suite
from benchmarks.seqvae.model import TokenHParams, Tokens
from vaeseq.adversarial import schedule
from vaeseq.errors import UsageError

SMALL = (
    "rnn_hidden_sizes=[4],latent_size=2,embed_size=4,batch_size=8,sequence_size=6,"
    "policy_rollouts=1,policy_reward_step=3,policy_elbo_steps=6,policy_judge_steps=2,"
    "discriminator_samples=8,discriminator_epochs=1,discriminator_rounds=1,"
    "discriminator_updates=1,discriminator_widths=[1,2],discriminator_filters=[2,2]"
)


@pytest.fixture(scope="module")
def suite():
    return sample_suite([random_oracle(8, 3)], 8, 6, {"train": 16, "valid": 1, "test": 40})


@pytest.fixture
def args(tmp_path):
    return argparse.Namespace(
        **{"experiment": "authors", "out": tmp_path, "hparams": SMALL, "rounds": 5, "epochs": 3},
        **{"particles": 2, "mle": None, "b_after": np.inf, "b_before": np.inf},
    )


def test_every_arm_has_the_phases_that_were_published():
    args = argparse.Namespace(hparams="")
    for experiment, arm, *expected in (  # epochs of the ELBO, sets of the discriminator, updates
        ("authors", "SeqVAE_1", 40, 40, 312),
        ("authors", "SeqVAE_2", 40, 40, 312),
        ("authors", "SeqGAN", 120, 50, 312),
        ("seqgan", "SeqGAN", 120, 50, 156),
    ):
        hparams = published.make_hparams(experiment, arm, args, 0)
        batches = published._SIZES["train"] // hparams.batch_size
        assert batches == schedule.epoch_steps(hparams)
        found = hparams.policy_elbo_steps / batches, hparams.policy_judge_steps / (3 * batches)
        assert [*found, batches] == expected
        assert schedule.round_steps(hparams) == 1 + 5 * 3 * batches


def test_batches_of_an_epoch_are_all_sequences(suite):
    hparams = TokenHParams(batch_size=8, batches="same")
    batches = [published.batch_of(suite, hparams, step) for step in range(4)]
    np.testing.assert_array_equal(batches[:2], batches[2:])
    assert sorted(np.concatenate(batches[:2]).tolist()) == sorted(suite.train.tolist())
    shuffled = hparams.replace(batches="shuffled")
    second = [published.batch_of(suite, shuffled, step) for step in (2, 3)]
    assert sorted(np.concatenate(second).tolist()) == sorted(suite.train.tolist())
    assert not np.array_equal(second, batches[2:])


def test_a_gain_is_the_distance_below_a_temperature_curve():
    line = {"nll_test": 5.0, "nll_oracle": 8.0}
    points = [(0.5, 0, 7.0, 9.9), (1.5, 0, 7.0, 7.0), (1.0, 0.2, 5.5, 7.4), (0.8, 0.4, 6.0, 7.6)]
    points.append((1.0, 2.0, 6.5, 7.2))  # beyond the largest b of the control
    for factor, b, test, oracle in points:
        line |= {published.column("NLL_test", factor, b): test}
        line |= {published.column("NLL_oracle", factor, b): oracle}
    curve = published.temperature_curve(line)
    assert curve.tolist() == [[5.0, 8.0], [7.0, 7.0]]
    assert published.gain_at({"nll_test": 6.0, "nll_oracle": 7.2}, curve) == pytest.approx(0.3)
    assert published.gain_at({"nll_test": 9.0, "nll_oracle": 7.2}, curve) == pytest.approx(-0.2)
    assert np.isnan(published.gain_at({"nll_test": 4.9, "nll_oracle": 7.2}, curve))
    assert published.two_numbers(line, 1).tolist() == [[5.0, 8.0], [5.5, 7.4], [7.0, 7.0]]
    assert [6.5, 7.2] in published.two_numbers(line).tolist()
    end = {key: x - 0.25 if key.startswith("nll_oracle") else x for key, x in line.items()}
    gains = published.gains_of(line, end, published._NONE)
    np.testing.assert_allclose(gains, [0.25, 0.25, np.nan, 0.25])
    with_less = published.gains_of(line, end, published._NONE, b_after=0.0)[3]
    assert with_less < published.gains_of(line, end, published._NONE, b_before=0.0)[3]
    end |= {"nll_test": 6.5, "nll_oracle": 7.1}
    over_two_numbers = published.gains_of(line, end, published._NONE)[1]
    assert over_two_numbers == pytest.approx(7.4 - 0.4 * (6.5 - 5.5) / (7.0 - 5.5) - 7.1)


def test_frequent_symbols_are_favoured_by_their_log_frequencies(suite):
    model = Tokens(TokenHParams(vae_type="RNN"), suite.vocabulary)
    counts = np.bincount(suite.train.ravel(), minlength=8) + 0.5
    with measures.sharpened(model, 0.0, published.log_frequencies(suite)):
        (own,) = np.unique(model.log_prob(np.full([1, 6], 3, np.int32)))
    assert own == pytest.approx(6 * np.log(counts[3] / counts.sum()), abs=1e-4)


def test_the_curve_of_the_regularised_model_is_the_mean_of_its_rows(tmp_path):
    rows = [
        {"label": "MLE", "1.0": {"NLL_test": 5.0 + i, "NLL_oracle": 9.0}, "z": None}
        for i in range(2)
    ]
    (tmp_path / "mle.jsonl").write_text("\n".join(map(json.dumps, [*rows, {"label": "oracle"}])))
    assert published.regularised_curve(tmp_path / "mle.jsonl").tolist() == [[5.5, 9.0]]


def test_a_run_resumes_and_reports_its_curve(suite, args, capsys):
    args.rounds = 2
    published.train_arm(args, "SeqVAE_2", suite, 3)
    args.rounds = 5
    published.train_arm(args, "SeqVAE_2", suite, 3)
    others = argparse.Namespace(**vars(args) | {"hparams": f"{SMALL},clip_gradient_norm=1"})
    with pytest.raises(UsageError, match="started with other values of clip_gradient_norm"):
        published.train_arm(others, "SeqVAE_2", suite, 3)
    lines = published.read(args.out, "authors")["SeqVAE_2"]["3"]
    assert [x["round"] for x in lines] == [0, 2, 5]
    assert [x["step"] for x in lines] == [6, 8 + 2 * 2, 8 + 5 * 2]
    assert {"nll_oracle", "nll_test", "entropy", "grams_2", "kl_sequence"} <= lines[0].keys()
    adjusted = {"nll_oracle_x0_50", "nll_test_x1_82", "nll_oracle_x0_80_b0_20"}
    assert adjusted <= lines[0].keys() & lines[-1].keys()
    published.print_tables(args)
    table = capsys.readouterr().out
    assert "| SeqVAE_2 | 3 | start | round 0 |" in table and "| round 5 |" in table
    assert "| SeqVAE_2 | round 2 | 1 |" in table
    assert "| SeqVAE_2 | 3 | start | 0.8 | 0.2 |" in table
    assert "| SeqVAE_2 | 3 | end | 0.8 | 0.2 |" in table
    args.picture = args.out / "curve.png"
    published.plot(args)
    assert args.picture.read_bytes().startswith(b"\x89PNG")
