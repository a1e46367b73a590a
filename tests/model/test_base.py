"""ModelBase as a Keras model: fit, evaluate, callbacks, and a reproducible training."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import vaeseq
from tests.conftest import SMALL, SOME_CORES, Waves, assert_close
from vaeseq.errors import Stopped
from vaeseq.model.base import best_metric
from vaeseq.training.private_api import seed_states


def fit(model, observed, epochs=1, **kwargs):
    return model.fit(observed, epochs=epochs, shuffle=False, verbose=0, **kwargs)


@pytest.mark.parametrize("vae_type", SOME_CORES)
def test_fit_evaluate_and_callbacks_are_those_of_keras(waves, observed, tmp_path):
    callbacks = [
        keras.callbacks.EarlyStopping("val_loss"),
        keras.callbacks.CSVLogger(tmp_path / "log"),
    ]
    history = fit(waves, observed, 2, validation_data=observed, callbacks=callbacks)
    assert {"loss", "elbo", "kl", "log_prob", "val_elbo"} <= history.history.keys()
    assert "val_elbo" in (tmp_path / "log").read_text()
    result = waves.evaluate(observed, verbose=0, return_dict=True)
    assert result["loss"] == pytest.approx(-result["elbo"])
    assert result["elbo"] == pytest.approx(result["log_prob"] - result["kl"], abs=1e-5)


def test_training_lowers_the_loss(waves):
    time, phases = np.arange(6)[:, None], np.arange(4)[:, None, None]
    observed = np.sin(time + phases + np.array([0, 1])).astype(np.float32)  # [4, 6, 2]
    waves.optimizer.learning_rate.assign(0.02)
    losses = fit(waves, observed, 25).history["loss"]
    assert losses[-1] < losses[0] - 0.3


def test_training_is_a_function_of_the_seed(pooled, observed):
    """With the same initial weights; `tests.test_pool` compares freshly created models."""
    hparams = SMALL.replace(vae_type="SRNN")
    weights = []
    for seed in (0, 0, 1):
        model = pooled(Waves, hparams.replace(seed=seed), run_eagerly=True)
        fit(model, observed, 2)
        weights.append(model.get_weights())
    assert_close(weights[0], weights[1], 0)
    assert any(np.any(x != y) for x, y in zip(weights[0], weights[2], strict=True))


def test_metrics_are_means_over_the_steps_within_the_lengths(pooled, observed):
    model = pooled(Waves, SMALL.replace(vae_type="RNN"))
    lengths = np.array([6, 2, 4, 1])
    batch = {"observed": observed, "lengths": lengths}
    result = model.evaluate(tf.data.Dataset.from_tensors(batch), verbose=0, return_dict=True)
    expected = np.sum(model.log_prob(observed, lengths=lengths)) / lengths.sum()
    assert result["elbo"] == pytest.approx(expected, rel=1e-5)


def test_the_optimizer_clips_gradients_and_follows_a_cosine():
    hparams = SMALL.replace(learning_rate=0.5, learning_rate_decay_steps=10, learning_rate_end=0.1)
    optimizer = vaeseq.make_optimizer(hparams)
    assert optimizer.global_clipnorm == 1
    rates = []
    for step in (0, 5, 10, 99):
        optimizer.iterations.assign(step)
        rates.append(float(optimizer.learning_rate))
    assert rates == pytest.approx([0.5, 0.275, 0.05, 0.05])
    constant = vaeseq.make_optimizer(SMALL.replace(learning_rate_decay_steps=0))
    assert float(constant.learning_rate) == pytest.approx(SMALL.learning_rate)


def test_the_best_weights_have_the_best_likelihood_unless_it_is_not_the_objective():
    assert best_metric(SMALL) == "valid_loss"
    assert best_metric(SMALL.replace(policy_gradient="prefix")) == "-step"


def test_a_loss_that_is_not_finite_stops_before_the_update(waves, observed):
    weights = waves.get_weights()
    weight = tf.fill([len(observed)], np.inf)
    with pytest.raises(
        Stopped, match=r"step 1: sample_weight, log_prob, .*not finite; nothing was"
    ):
        waves.fit(tf.data.Dataset.from_tensors((observed, None, weight)), verbose=0)
    assert_close(waves.get_weights(), weights, 0)
    assert waves.trained_steps == 0


def test_a_gradient_that_is_not_finite_stops_with_its_name(observed):
    @tf.custom_gradient
    def broken(x):
        return x, lambda dy: dy * np.nan

    class Broken(Waves):
        def make_decoder(self):
            decoder = super().make_decoder()
            call = decoder.call
            decoder.call = lambda features: call(broken(features))
            return decoder

    model = Broken(SMALL.replace(vae_type="RNN"))
    model.compile(run_eagerly=True)
    with pytest.raises(Stopped, match=r"step 1: the gradient of \S+, the gradient of"):
        fit(model, observed)
    unchecked = Broken(SMALL.replace(vae_type="RNN", check_numerics=False))
    unchecked.compile(run_eagerly=True)
    fit(unchecked, observed)
    assert unchecked.trained_steps == 1 and np.isnan(unchecked.get_weights()[0]).any()


def test_a_training_step_compiles_with_xla(pooled, observed):
    model = pooled(Waves, SMALL.replace(vae_type="RNN"), jit_compile=True)
    fit(model, observed)
    assert model.trained_steps == 1


def test_unknown_keys_of_a_batch_are_refused(pooled):
    model = pooled(Waves, SMALL.replace(vae_type="RNN"))
    with pytest.raises(ValueError, match=r"not \['length'\]"):
        model.train_step({"observed": np.zeros([4, 6, 2]), "length": [6] * 4})


def test_calling_the_model_infers(waves, observed):
    assert_close(waves(observed).log_prob, waves.infer(observed)[0].log_prob)


@pytest.mark.parametrize("vae_type", SOME_CORES)
def test_dropout_affects_training_only_and_is_a_function_of_seed_and_step(
    pooled, vae_type, observed
):
    hparams = SMALL.replace(vae_type=vae_type)
    weights = pooled(Waves, hparams, run_eagerly=True).get_weights()

    def losses(rate, shift=0):
        """Returns the losses of two training steps with the same weights, and of evaluation.

        The states of random generators before the training must not matter.
        """
        model = pooled(Waves, hparams.replace(dropout=rate), run_eagerly=True)
        model.set_weights(weights)
        for state in seed_states(model):
            state.assign(state + shift)
        model.optimizer.learning_rate.assign(0.0)
        trained = fit(model, observed, 2).history["loss"]
        return trained, model.evaluate(observed, verbose=0, return_dict=True)["loss"]

    (dropped, evaluated), (again, _), (plain, expected) = losses(0.3), losses(0.3, 1), losses(0.0)
    assert dropped == again and dropped[0] != dropped[1] and dropped != plain
    assert evaluated == pytest.approx(expected, rel=1e-6)
