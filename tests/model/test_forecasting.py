"""Forecasts, for every core."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import SMALL, assert_close
from tests.model.test_sequence_model import Driven
from vaeseq import UsageError, codec
from vaeseq.model import forecasting


def test_futures_are_those_of_generate(waves, observed):
    futures = waves.forecast(observed, 5, 3, seed=1)
    assert futures.shape == (3, 4, 5, 2) and isinstance(futures, np.ndarray)
    seed = tf.random.experimental.stateless_fold_in([1, 0], 0)
    state = waves.prime(observed, 3, seed=seed)
    same = waves.generate(state=state, sequence_size=5, seed=seed)
    np.testing.assert_allclose(futures, np.swapaxes(np.reshape(same, [4, 3, 5, 2]), 0, 1), 1e-5)


def test_samples_come_in_parts_of_bounded_size(waves, observed, monkeypatch):
    monkeypatch.setattr(forecasting, "_ROWS_AT_ONCE", 8)  # two samples of each row
    futures = waves.forecast(observed, 4, 5, seed=1)
    assert futures.shape == (5, 4, 4, 2)
    assert len(np.unique(futures[:, 0, -1, 0])) == 5, "parts have different seeds"
    np.testing.assert_array_equal(futures, waves.forecast(observed, 4, 5, seed=1))


def test_a_row_is_continued_from_its_own_end_with_the_inputs_from_there():
    class Real(Driven):
        def make_decoder(self):
            parts = [codec.NormalDecoder([4]), codec.BinomialDecoder(4)]
            return codec.MLPObsDecoder(self.hparams, codec.JointDecoder(parts))

    model = Real(SMALL.replace(vae_type="RNN"))
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=[4, 9, 3]).astype(np.float32)
    observed = rng.uniform(size=[4, 6, 4]).astype(np.float32), rng.integers(5, size=[4, 6])
    cold = {"temperature": 1e-8, "num_samples": 1}
    together = model.forecast(observed, 3, inputs=inputs, lengths=[6, 4, 2, 5], **cold)
    for row, length in enumerate([6, 4, 2, 5]):
        rows = slice(row, row + 1)
        alone = tuple(x[rows, :length] for x in observed)
        expected = model.forecast(alone, 3, inputs=inputs[rows, : length + 3], **cold)
        assert_close(tuple(x[:, rows] for x in together), expected, 1e-3)


def test_wrong_arguments_are_named(waves, observed):
    with pytest.raises(ValueError, match="steps must be at least 1, not 0"):
        waves.forecast(observed, 0)
    with pytest.raises(ValueError, match="num_samples must be at least 1, not 0"):
        waves.forecast(observed, 2, 0)
    with pytest.raises(UsageError, match=r"num_samples=10{12} needs 298,023\.2 GB, and this"):
        waves.forecast(observed, 10, 10**12)
    model = Driven(SMALL.replace(vae_type="RNN"))
    pair = np.zeros([4, 6, 4], np.float32), np.zeros([4, 6], np.int32)
    with pytest.raises(ValueError, match="inputs must have 8 steps, the 6 of `observed` and 2"):
        model.forecast(pair, 2, inputs=np.zeros([4, 6, 3]))
    with pytest.raises(ValueError, match="inputs must have 4 rows, as observed has, not 1"):
        model.forecast(pair, 2, inputs=np.zeros([1, 8, 3]))
