"""Checkpoints: invalid ones are named and passed over, those of version 0.1 are converted."""

import hashlib
import shutil

import keras
import numpy as np
import pytest
import safetensors.numpy
from absl import logging

from tests.conftest import SMALL, Bits, Waves, assert_close
from tests.training.conftest import ABOUT, checkpoint, fit, make_run, state
from vaeseq import UsageError
from vaeseq.training.checkpoints import CheckpointStore, training_variables, weights
from vaeseq.training.files import Folder
from vaeseq.training.run import Run


@pytest.fixture(scope="module")
def intact_run(tmp_path_factory, compiled):
    run = make_run(tmp_path_factory.mktemp("intact") / "run")
    run.checkpoints.keep = 4
    fit(run, compiled(), 4, every=1, validate=lambda: {"valid_loss": 1.0})
    return run


@pytest.fixture
def run(intact_run, tmp_path):
    """A run with checkpoints of the steps 1 to 4, for a test to damage."""
    return Run(shutil.copytree(intact_run.path, tmp_path / "run"), ABOUT, keep=4)


@pytest.fixture
def messages(caplog, monkeypatch):
    caplog.set_level("INFO", logger="absl")
    monkeypatch.setattr(logging.get_absl_logger(), "propagate", True)
    return caplog


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_training_resumes_from_the_newest_valid_checkpoint(run, messages, compiled, tmp_path):
    flip(checkpoint(run, 4))
    checkpoint(run, 3).write_bytes(checkpoint(run, 3).read_bytes()[:-9])
    (run.path / "checkpoints" / "model.pkl").write_bytes(b"")
    fit(run, model := compiled(seed=2), 5)
    text = messages.text
    assert "step-000000004.safetensors: it is damaged: its checksum does not match" in text
    assert "passed over" in text and "step-000000003" in text
    assert "model.pkl: not the name of a checkpoint" in text
    assert "from step 2 to 5" in text
    assert checkpoint(run, 4).with_suffix(".invalid").exists()
    resumed = state(model)
    fit(make_run(tmp_path / "other"), model := compiled(), 5)
    assert_close(resumed, state(model), 0)


def test_reports_after_a_missing_checkpoint_are_dropped_with_a_warning(run, messages, compiled):
    checkpoint(run, 4).unlink()
    checkpoint(run, 3).unlink()
    assert run.restore_latest(compiled()) == 2
    assert "the checkpoint of step 4 is missing" in messages.text
    assert [line["step"] for line in run.metrics()] == [1, 2]


def test_a_checkpoint_under_the_name_of_another_step_is_passed_over(run, compiled):
    checkpoint(run, 9).write_bytes(checkpoint(run, 2).read_bytes())
    assert run.restore_latest(compiled()) == 4
    assert checkpoint(run, 9).with_suffix(".invalid").exists(), "it must not look newer"


def test_if_no_checkpoint_is_valid_nothing_is_overwritten(run, compiled):
    for step in range(1, 5):
        flip(checkpoint(run, step))
    with pytest.raises(UsageError, match=r"no checkpoint in .* is valid: it is damaged.*remove"):
        fit(run, compiled(), 9)
    assert len(run.metrics()) == 4 and checkpoint(run, 4).exists()


def test_damaged_best_weights_are_passed_over_and_replaced(run, compiled):
    flip(run.path / "checkpoints" / "best.safetensors")
    assert run.restore_best(compiled()) == 4, "the newest instead"
    fit(run, compiled(), 5, every=1, validate=lambda: {"valid_loss": 2.0})
    assert run.restore_best(compiled()) == 5


def test_only_the_newest_checkpoints_are_kept(run, compiled):
    run.checkpoints.keep = 1
    fit(run, compiled(), 6, every=1)
    assert list(run.path.glob("checkpoints/step*")) == [checkpoint(run, 6)]


def test_a_checkpoint_of_another_model_is_refused_by_name_and_shape(run):
    other = Bits(SMALL.replace(vae_type="RNN"))
    other.compile()
    with pytest.raises(UsageError, match="is of another model: model/000/kernel"):
        run.restore_latest(other)


# Format 1, of version 0.1: the gates of an LSTM are in the order i, f, o, g.


class OwnLSTM(Waves):
    """A model whose encoder contains a layer of Keras, of the same size as the core's LSTM."""

    def make_encoder(self):
        return keras.Sequential([keras.layers.Reshape([2, 1]), keras.layers.LSTM(5)])


@pytest.fixture
def own_lstm():
    hparams = SMALL.replace(vae_type="RNN", policy_gradient="stepwise", discriminator_size=5)
    model = OwnLSTM(hparams)
    model.compile()
    return model


def save_format_1(path, arrays):
    data = safetensors.numpy.save(arrays, {"sha256": "0" * 64})
    digest = hashlib.sha256(data).hexdigest().encode()
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data.replace(b"0" * 64, digest, 1))


def test_gates_of_format_1_and_their_moments_are_reordered_but_not_those_of_keras(
    own_lstm, tmp_path
):
    rng = np.random.default_rng(0)
    variables = training_variables(own_lstm)
    arrays = {
        name: rng.normal(size=x.shape).astype(x.dtype) if x.shape else np.asarray(x.numpy())
        for name, x in variables.items()
    }
    clock = {"run/step": np.asarray(0, np.int64), "run/seconds": np.asarray(0.0)}
    (tmp_path / "checkpoints").mkdir()
    save_format_1(tmp_path / "checkpoints/step-000000000.safetensors", arrays | clock)
    best = {name: arrays[name] for name in weights(own_lstm)}
    save_format_1(tmp_path / "checkpoints/best.safetensors", best | clock)
    with pytest.raises(ValueError, match="keep must be at least 1, but is 0"):
        CheckpointStore(Folder(tmp_path), keep=0)
    store = CheckpointStore(Folder(tmp_path), keep=2)
    assert store.restore_latest(own_lstm) == 0
    reordered = 0
    for name, variable in variables.items():
        expected = arrays[name]
        if "lstm_0" in variable.path:
            i, f, o, g = np.split(expected, 4, axis=-1)
            expected = np.concatenate([i, f, g, o], axis=-1)
            reordered += 1
        np.testing.assert_array_equal(variable.numpy(), expected, err_msg=variable.path)
    assert reordered == 2 * 3 * 3, "model and discriminator; three weights, two moments each"
    restored = state(own_lstm)
    store.save(own_lstm)
    store.restore_latest(own_lstm)
    assert_close(state(own_lstm), restored, 0)
    for variable in own_lstm.weights:
        variable.assign(np.zeros(variable.shape))
    store.restore_best(own_lstm)
    assert_close(state(own_lstm), restored, 0)
