"""The data, the baselines and the measure of the benchmark of gaps."""

import argparse

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.quality import gaps


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def series(rng):
    """Sequences of 5, 3 and 4 steps with elements 10 row + step + 100 element."""
    lengths = np.array([5, 3, 4])
    sequences = [
        10 * row + np.arange(length)[:, None] + [0.0, 100.0] for row, length in enumerate(lengths)
    ]
    return gaps.hide(sequences, rng)


def test_a_share_of_the_elements_is_missing_and_none_is_behind_the_end(rng):
    hidden = gaps.hide([np.ones([t, 3]) for t in (400, 200)], rng)
    assert hidden.mask[0].mean() == pytest.approx(1 - gaps.MISSING, abs=0.05)
    assert hidden.mask[1, :200].mean() == pytest.approx(1 - gaps.MISSING, abs=0.05)
    assert not hidden.mask[1, 200:].any()
    assert set(np.unique(hidden.hidden())) == {0, 1}


def test_shortened_series_end_before_the_steps_to_forecast(series):
    short, future = series.shortened(2)
    np.testing.assert_array_equal(short.lengths, [3, 1, 2])
    assert short.observed.shape == short.mask.shape == (3, 3, 2)
    assert not short.mask[1, 1:].any()
    np.testing.assert_array_equal(short.mask[0], series.mask[0, :3])
    np.testing.assert_array_equal(future[:, :, 0], [[3, 4], [11, 12], [22, 23]])


@pytest.mark.parametrize(
    ("name", "filled", "next_value"),
    [("last value", [0, 3, 3, 3, 9], 9), ("linear interpolation", [3, 3, 5, 7, 9], 9)],
)
def test_baselines_fill_gaps_and_continue(name, filled, next_value):
    observed = np.array([7.0, 3.0, 7.0, 7.0, 9.0])[None, :, None]
    mask = np.array([False, True, False, False, True])[None, :, None]
    series = gaps.Series(observed, np.array([5]), mask)
    method = gaps.BASELINES[name]
    np.testing.assert_allclose(method.impute(series)[0, 0, :, 0], filled)
    np.testing.assert_allclose(method.forecast(series, 2), np.full([1, 1, 2, 1], next_value))


def test_the_score_of_one_number_is_its_error():
    truth = np.array([[1.0, 2.0], [3.0, 4.0]])
    mask = np.array([[True, True], [False, False]])
    assert gaps.score(truth[None] + [3.0, -4.0], truth, mask) == ["3.536", "3.500", "-"]


def test_kalman_is_calibrated_and_better_than_the_baselines(rng):
    data = gaps.load_linear(rng)
    exact = gaps.measure(gaps.kalman_method(data.system, rng), data)
    assert {exact[2], exact[5]} <= {"89%", "90%", "91%"}
    for method in gaps.BASELINES.values():
        scores = gaps.measure(method, data)
        assert all(float(exact[i]) < 0.9 * float(scores[i]) for i in (0, 1, 3, 4))


@pytest.fixture
def eager():
    """Compiles nothing, which would take longer than two small steps."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.parametrize("name", ["SRNN, states"])  # the other differs in its context alone
def test_a_trained_model_fills_gaps_and_continues(name, series, monkeypatch, eager):
    monkeypatch.setattr(gaps, "SAMPLES", 20)
    small = "latent_size=2,rnn_hidden_sizes=[3],batch_size=3"
    args = argparse.Namespace(steps=2, seed=0, hparams=small)
    data = gaps.Data(series, series, ahead=2, steps=1)
    method = gaps.train(gaps.MODELS[name], data, args)
    imputed = method.impute(series)
    assert imputed.shape == (20, *series.observed.shape)
    np.testing.assert_allclose(
        *(x[:, series.mask] for x in np.broadcast_arrays(imputed, series.observed)), rtol=1e-6
    )
    scores = gaps.measure(method, data)
    assert len(scores) == 6 and np.isfinite([float(scores[i]) for i in (0, 1, 3, 4)]).all()
