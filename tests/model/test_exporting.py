"""Exported models: SavedModels that do without this package."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import vaeseq
from tests.conftest import SMALL, Waves, assert_close
from vaeseq import codec

SRNN = SMALL.replace(vae_type="SRNN")

WITHOUT_THE_PACKAGE = """
import sys
import numpy as np
import tensorflow as tf

loaded = tf.saved_model.load(sys.argv[1])
observed = np.load(sys.argv[2])
log_prob = loaded.log_prob({"observed": observed}, 5, 1)
generated = loaded.generate(2, 3, 1)
for sizes in ((0, 3), (2, 0)):
    try:
        loaded.generate(*sizes, 1)
    except tf.errors.InvalidArgumentError as error:
        assert "_size must be at least 1" in str(error)
    else:
        raise AssertionError(sizes)
forecast = loaded.forecast({"observed": observed}, 3, 7, 1)
assert not {"vaeseq", "tensorflow_probability"} & set(sys.modules)
np.savez(sys.argv[3], log_prob, generated, forecast)
"""


def test_an_exported_model_runs_without_the_package(pooled, observed, tmp_path):
    model = pooled(Waves, SRNN)
    model.export(tmp_path / "model")
    data, results = tmp_path / "observed.npy", tmp_path / "results.npz"
    np.save(data, observed)
    command = [sys.executable, "-c", WITHOUT_THE_PACKAGE, tmp_path / "model", data, results]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    log_prob, generated, forecast = np.load(results).values()
    assert_close(log_prob, model.log_prob(observed, num_samples=5, seed=1))
    assert_close(generated, model.generate(2, 3, seed=1))
    assert_close(forecast, model.forecast(observed, 3, 7, seed=1))


class Driven(vaeseq.ModelBase):
    """Pairs of a vector and a symbol, with inputs."""

    def make_encoder(self):
        return codec.MLPObsEncoder(self.hparams)

    def make_decoder(self):
        decoder = codec.JointDecoder((codec.NormalDecoder([2]), codec.CategoricalDecoder(3)))
        return codec.MLPObsDecoder(self.hparams, decoder)


def test_inputs_lengths_gaps_and_tuples_are_exported(tmp_path):
    model = Driven(SMALL.replace(vae_type="RNN", gaps=True), {"speed": tf.TensorSpec([1])})
    archive = keras.export.ExportArchive()
    for name, endpoint in model.endpoints().items():
        archive.add_endpoint(name, endpoint)
    archive.write_out(tmp_path / "model", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "model")

    random = np.random.default_rng(0)
    observed = random.normal(size=[2, 4, 2]).astype(np.float32), random.integers(0, 3, [2, 4], "i")
    inputs = {"speed": random.normal(size=[2, 7, 1]).astype(np.float32)}
    past = {"speed": inputs["speed"][:, :4]}
    mask = random.random([2, 4, 2]) < 0.7, random.random([2, 4]) < 0.7
    options = {"lengths": np.array([4, 2], np.int32), "observed_mask": mask}
    for given in ({}, options):
        batch = {"observed": observed, **given}
        assert_close(
            loaded.log_prob({**batch, "inputs": past}, 3, 2),
            model.log_prob(observed, past, num_samples=3, seed=2, **given),
        )
        assert_close(
            loaded.forecast({**batch, "inputs": inputs}, 3, 4, 2),
            model.forecast(observed, 3, 4, inputs, seed=2, **given),
        )
    assert_close(loaded.generate(inputs, 1), model.generate(inputs=inputs, seed=1))
    observed[0][0, 1, 1] = np.nan
    mask[0][0, 1, 1] = False
    assert np.isfinite(loaded.log_prob({**options, "observed": observed, "inputs": past}, 1, 0))[0]
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"has nan at \[0, 1, 1\] of a batch"):
        loaded.log_prob({"observed": observed, "inputs": past}, 1, 0)
    observed[0][0, 1, 1] = 0
    with pytest.raises(tf.errors.InvalidArgumentError, match="num_samples must be at least 1"):
        loaded.log_prob({"observed": observed, "inputs": past}, 0, 0)
    wrong = {"observed": observed, "inputs": past, "lengths": np.array([4, 5], np.int32)}
    with pytest.raises(tf.errors.InvalidArgumentError, match="lengths must be from 1 to 4"):
        loaded.log_prob(wrong, 1, 0)
    with pytest.raises(tf.errors.InvalidArgumentError, match="inputs must have the observed and"):
        loaded.forecast({"observed": observed, "inputs": past}, 3, 4, 2)


def test_other_formats_are_refused(pooled, tmp_path):
    with pytest.raises(ValueError, match=r"not format='onnx' with \['opset_version'\]"):
        pooled(Waves, SRNN).export(tmp_path / "model", "onnx", opset_version=3)
