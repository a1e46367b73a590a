"""The data, the baselines and the measure of the benchmark of gaps."""

import argparse

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.quality import gaps, gaussian


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


def test_the_mean_of_each_step_is_that_of_the_training_series():
    observed = np.array([[1.0, 10.0, 100.0], [3.0, 99.0, 300.0]])[..., None]
    mask = np.array([[True, True, True], [True, False, True]])[..., None]
    series = gaps.Series(observed, np.array([3, 3]), mask)
    method = gaps.step_means(series)
    np.testing.assert_allclose(method.impute(series)[0, :, :, 0], [[2, 10, 200]] * 2)
    short, future = series.shortened(1)
    assert method.forecast(short, 1).shape == (1, *future.shape)
    np.testing.assert_allclose(method.forecast(short, 1)[0, :, 0, 0], [200, 200])


def test_em_finds_the_gaussian_of_what_is_observed(rng):
    true = gaussian.Gaussian(np.array([1.0, -1.0]), np.array([[1.0, 0.8], [0.8, 2.0]]))
    x = rng.multivariate_normal(*true, size=4000)
    complete = gaussian.fit(x, np.ones(x.shape, bool), iterations=2)
    np.testing.assert_allclose(complete.mean, x.mean(axis=0))
    np.testing.assert_allclose(complete.covariance, np.cov(x.T, bias=True), atol=1e-5)
    mask = rng.random(x.shape) > 0.3
    fitted = gaussian.fit(np.where(mask, x, np.nan), mask)
    np.testing.assert_allclose(fitted.mean, true.mean, atol=0.1)
    np.testing.assert_allclose(fitted.covariance, true.covariance, atol=0.15)


def test_a_gaussian_forecasts_from_what_is_known(rng):
    given = gaussian.conditional(
        gaussian.Gaussian(np.zeros(2), np.array([[1.0, 0.8], [0.8, 2.0]])),
        np.array([2.0, np.nan]),
        np.array([True, False]),
    )
    np.testing.assert_allclose(given.mean, [2.0, 1.6])
    np.testing.assert_allclose(given.covariance, [[0, 0], [0, 2 - 0.64]])
    walks = rng.normal(size=[400, 4, 1]).cumsum(axis=1)
    series = gaps.hide(list(walks), rng)
    short, future = series.shortened(1)
    forecast = gaps.gaussian_method(series, rng).forecast(short, 1)
    assert forecast.shape == (gaps.SAMPLES, *future.shape)
    assert np.corrcoef(forecast.mean(axis=0).ravel(), future.ravel())[0, 1] > 0.7


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
