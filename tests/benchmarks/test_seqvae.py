"""The oracles of the SeqVAE suites, and the whole experiment with a small one."""

import argparse
import itertools

import numpy as np
import pytest

from benchmarks.seqvae import arms, measures, tables
from benchmarks.seqvae.data import (
    Suite,
    captions_suite,
    melody_suite,
    random_oracle,
    released_oracle,
    sample_suite,
)
from tests.examples.midi.test_midi_file import file, off, on


def lstm_log_prob(p, symbols):
    """Computes SeqGAN's recurrence symbol by symbol; the first input is symbol 0."""
    h, c, total, before = np.zeros(len(p["Ui"])), np.zeros(len(p["Ui"])), 0.0, 0
    for symbol in symbols:
        pre = {g: p["embedding"][before] @ p["W" + g] + h @ p["U" + g] + p["b" + g] for g in "ifog"}
        i, f, o = (1 / (1 + np.exp(-pre[g])) for g in "ifo")
        c = f * c + i * np.tanh(pre["g"])
        h = o * np.tanh(c)
        logits = h @ p["Wout"] + p["bout"]
        total += logits[symbol] - np.log(np.exp(logits).sum())
        before = symbol
    return total


def test_the_released_oracle_computes_seqgans_recurrence(tmp_path):
    rng, size, vocabulary = np.random.default_rng(0), 32, 7
    shapes = {"embedding": [vocabulary, size], "Wout": [size, vocabulary], "bout": [vocabulary]}
    for gate in "ifog":
        shapes |= {"W" + gate: [size, size], "U" + gate: [size, size], "b" + gate: [size]}
    parts = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    np.savez(tmp_path / "oracle.npz", **parts)
    oracle, symbols = released_oracle(tmp_path / "oracle.npz"), rng.integers(7, size=[5, 9])
    expected = [lstm_log_prob(parts, row) for row in symbols]
    np.testing.assert_allclose(oracle.log_prob(symbols.astype(np.int32)), expected, rtol=1e-4)


def test_the_probabilities_of_a_mixture_of_oracles_sum_to_one():
    every = np.array(list(itertools.product(range(4), repeat=3)), np.int32)
    suite = Suite(every, every, every, 4, [random_oracle(4, seed) for seed in range(3)])
    assert np.exp(suite.oracle_log_prob(every)).sum() == pytest.approx(1, abs=1e-4)


def test_samples_of_a_component_are_most_likely_under_it():
    suite = sample_suite(
        [random_oracle(30, 0), random_oracle(30, 1)], 30, 12, {"train": 200, "valid": 1, "test": 1}
    )
    own = np.stack([oracle.log_prob(suite.train) for oracle in suite.oracles])
    assert (own.argmax(axis=0) == suite.components["train"]).mean() > 0.95


def test_sequences_stop_at_the_end_symbol():
    suite = Suite(*[np.zeros([1, 1], int)] * 3, 3, names=["", "a", "b"], end=0)
    assert suite.text(np.array([[2, 1, 0, 2], [1, 1, 1, 1]])) == ["b a", "a a a a"]


def test_captions_are_encoded_with_rare_words_and_an_end(tmp_path):
    folder = tmp_path / "captions"
    folder.mkdir()
    (folder / "coco_train.txt").write_text("a dog\n" + "a cat\n" * 1001)
    (folder / "coco_test.txt").write_text("a cat a cat\na dog\n")
    suite = captions_suite(tmp_path, steps=4)
    assert (len(suite.train), len(suite.valid), suite.vocabulary) == (2, 1000, 4)
    assert suite.text(suite.test) == ["a cat a", "a <rare>"]


def test_training_melodies_are_transposed_by_up_to_five_semitones(tmp_path):
    folder = tmp_path / "melody" / "nottingham"
    folder.mkdir(parents=True)
    for key in range(60, 70):  # a note of one beat, which is four steps
        (folder / f"{key}.mid").write_bytes(file(on(0, key) + off(480, key)))
    suite = melody_suite(tmp_path, steps=4)
    assert (len(suite.train), len(suite.valid), len(suite.test)) == (8 * 11, 1, 1)
    first, *others = suite.train[:11]
    assert [window[0] - first[0] for window in others] == list(range(1, 11))
    assert suite.text(suite.test)[0].split()[1:] == ["-", "-", "-"]


def test_the_gain_is_the_distance_at_equal_nll_test():
    control = np.array([[4.0, 9.0], [5.0, 8.0]])
    on_the_same_line = np.add(control, [0.5, -0.5])
    assert tables.gain(on_the_same_line, control) == pytest.approx(0)
    assert tables.gain(on_the_same_line - [[0, 0.2]], control) == pytest.approx(0.2)
    assert np.isnan(tables.gain(np.add(control, [2, 0]), control))


def test_a_sweep_begins_where_nll_test_is_smallest():
    points = {"0.5": (6.0, 9.9), "1.0": (4.0, 9.0), "1.5": (4.5, 8.0), "10.0": (5.0, 7.0)}
    line = {key: {"NLL_test": x, "NLL_oracle": y} for key, (x, y) in points.items()}
    assert tables.sweep(line).tolist() == [[4.0, 9.0], [4.5, 8.0], [5.0, 7.0]]


SMALL = (
    "rnn_hidden_sizes=[16],embed_size=8,batch_size=100,learning_rate=0.02,dropout=0,"
    "divergence_schedule=constant"
)


@pytest.fixture(scope="module")
def small_suite():
    return sample_suite([random_oracle(8, 3)], 8, 6, {"train": 2000, "valid": 250, "test": 500})


@pytest.fixture(scope="module")
def baselines(small_suite):
    """Nats per symbol of the oracle and of independent symbols."""
    rows = measures.measure_baselines(small_suite)
    return [rows[name]["1.0"]["NLL_test"] for name in ("oracle", "unigram")]


@pytest.mark.parametrize(("model", "label"), [("RNN", "MLE"), ("SEQVAE", "SEQVAE stepwise")])
def test_a_small_oracle_is_learned_and_sharper_logits_are_more_likely(
    model, label, small_suite, baselines
):
    args = argparse.Namespace(
        hparams=SMALL, policy="policy_reward_step=3", steps=300, policy_steps=2
    )
    weights, _ = arms.pretrain("oracle", model, args, small_suite, seed=0, every=100)
    trained = arms.train_arm("oracle", label, args, small_suite, 0, weights, judge_steps=1)
    found = measures.measure_model(trained, small_suite, 0, [1.0, 2.0], particles=4)
    row, sharp = found["1.0"], found["2.0"]
    oracle, unigram = baselines
    assert oracle - 0.01 < row["NLL_test"] < oracle + 0.25 * (unigram - oracle)
    assert abs(row["NLL_oracle"] - oracle) < 0.3 * (unigram - oracle)
    assert sharp["entropy"] < row["entropy"] and sharp["NLL_oracle"] < row["NLL_oracle"]
    assert (found["z"] is None) == (model == "RNN")
