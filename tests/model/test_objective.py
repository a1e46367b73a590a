"""What counts in the loss: weights of samples, regularizers, micro-batches, and nothing else."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import vaeseq
from tests.conftest import SMALL, SOME_CORES, Waves, assert_close

RNN = SMALL.replace(vae_type="RNN")
FIVO = {"objective": "fivo", "num_particles": 3}


def train(model, data, **kwargs):
    return model.fit(data, verbose=0, shuffle=False, **kwargs).history


class Penalised(Waves):
    """An encoder with a regularizer, and a context with `add_loss`."""

    def make_encoder(self):
        encoder = super().make_encoder()
        self.kernel_loss = keras.regularizers.L2(0.1)

        class Added(keras.layers.Dense):
            def call(self, x):
                self.add_loss(tf.constant(0.25))
                return super().call(x)

        return keras.Sequential([encoder, Added(4, kernel_regularizer=self.kernel_loss)])


def test_regularizers_and_added_losses_count(observed):
    model = Penalised(RNN)
    model.compile(run_eagerly=True)
    kernel = model.encoder.layers[1].kernel
    result = model.evaluate(observed, verbose=0, return_dict=True)
    penalty = float(0.1 * tf.reduce_sum(kernel**2)) + 0.25
    assert result["loss"] == pytest.approx(penalty - result["elbo"], rel=1e-5)
    before = float(tf.norm(kernel))
    history = train(model, observed, epochs=30)
    assert float(tf.norm(kernel)) < before
    assert history["loss"][0] == pytest.approx(result["loss"], rel=1e-5)


def test_a_weight_counts_like_a_repeated_row(pooled, observed):
    """The sum is divided by the number of time steps, as Keras divides by the number of samples."""
    model = pooled(Waves, RNN)
    weight = np.array([2.0, 0.0, 1.0, 1.0])
    rows = np.stack([observed[0], observed[0], observed[2], observed[3]])
    weighted = model.evaluate(observed, sample_weight=weight, verbose=0, return_dict=True)
    repeated = model.evaluate(rows, verbose=0, return_dict=True)
    assert weighted == pytest.approx(repeated, rel=1e-5)


def test_weights_of_steps_count(pooled, observed):
    model = pooled(Waves, RNN)
    weight = np.random.default_rng(0).uniform(size=[4, 6])
    result = model.evaluate(observed, sample_weight=weight, verbose=0, return_dict=True)
    expected = np.mean(model.infer(observed)[0].log_prob * weight)
    assert result["elbo"] == pytest.approx(expected, rel=1e-5)


def test_sample_weights_count_in_every_way_that_keras_passes_them(pooled, observed):
    weight = np.array([2.0, 0.0, 1.0, 1.0])
    model = pooled(Waves, RNN, run_eagerly=True)
    model.optimizer.learning_rate.assign(0.0)
    expected = model.evaluate(observed, sample_weight=weight, verbose=0)[0]
    whole = {"observed": observed, "sample_weight": weight}
    ways = [
        train(model, observed, sample_weight=weight),
        train(model, {"observed": observed}, sample_weight=weight),
        train(model, whole),
        train(model, tf.data.Dataset.from_tensors((observed, None, weight))),
        train(model, ((observed, None, weight) for _ in range(1)), steps_per_epoch=1),
    ]
    assert [way["loss"][0] for way in ways] == pytest.approx([expected] * len(ways), rel=1e-5)
    for valid in ((observed, None, weight), whole):
        history = train(model, observed, validation_data=valid)
        assert history["val_loss"][0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("weight", [np.ones(3), np.ones([4, 5]), np.ones([4, 6, 2])])
def test_weights_of_a_wrong_shape_are_refused(pooled, observed, weight):
    data = tf.data.Dataset.from_tensors({"observed": observed, "sample_weight": weight})
    with pytest.raises(ValueError, match=r"sample_weight must have the shape \[B\] or \[B, T\]"):
        pooled(Waves, RNN).fit(data, verbose=0)


@pytest.mark.parametrize("name", ["loss", "loss_weights", "metrics", "weighted_metrics"])
def test_what_has_no_meaning_is_refused(pooled, name):
    with pytest.raises(ValueError, match=f"compile: {name} is not supported, because"):
        pooled(Waves, RNN).compile(**{name: ["mse"]})


def test_targets_and_class_weights_are_refused(pooled, observed):
    model = pooled(Waves, RNN)
    with pytest.raises(ValueError, match="class_weight is not supported"):
        model.fit(observed, class_weight={0: 1.0})
    for method in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match="targets"):
            method(observed, observed)
    with pytest.raises(ValueError, match="targets"):
        model.fit(tf.data.Dataset.from_tensors((observed, observed)), verbose=0)


@pytest.mark.parametrize(
    ("vae_type", "objective"), [*((name, {}) for name in SOME_CORES), ("SRNN", FIVO)]
)
def test_micro_batches_are_the_same_update_as_one_batch(vae_type, objective, observed):
    hparams = SMALL.replace(vae_type=vae_type, dropout=0.3, word_dropout=0.2, **objective)

    def weights(count, epochs):
        model = Waves(hparams)
        optimizer = keras.optimizers.Adam(0.02, gradient_accumulation_steps=count, clipnorm=1)
        model.compile(optimizer, run_eagerly=vae_type != "RNN")  # tracing takes longer
        data = tf.data.Dataset.from_tensor_slices(observed).batch(4 // (count or 1))
        train(model, data, epochs=epochs)
        return model.get_weights()

    assert_close(weights(2, 2), weights(None, 2), 1e-4)


def test_a_bound_takes_a_seed_of_any_kind(pooled, observed):
    model = pooled(Waves, SMALL.replace(vae_type="SRNN", **FIVO))
    first, second = (model(observed, seed=seed, strength=1.0).bound for seed in (7, (7, 0)))
    assert_close(first, second)


def test_the_seed_decides_the_weights():
    same, other = Waves(RNN.replace(seed=5)), Waves(RNN.replace(seed=6))
    keras.utils.set_random_seed(9)
    again = Waves(RNN.replace(seed=5))
    assert_close(same.get_weights(), again.get_weights(), 0)
    assert any(np.any(x != y) for x, y in zip(same.get_weights(), other.get_weights(), strict=True))


def test_the_weight_of_the_kl_is_logged(pooled, observed):
    linear = {"divergence_schedule": "linear", "divergence_strength_half": 1.0}
    model = pooled(Waves, SMALL.replace(vae_type="SRNN", **linear))
    history = train(model, observed, epochs=3, validation_data=observed)
    assert history["kl_weight"] == pytest.approx([0.5, 1.0, 1.0])
    assert "val_kl_weight" not in history
    assert "kl_weight" not in train(pooled(Waves, RNN), observed)


@pytest.mark.parametrize("vae_type", ["SRNN", "SEQVAE", "ISEQ"])
def test_early_stopping_sees_the_loss_fall_from_the_first_epoch(vae_type):
    """The KL counts from the first step, so the model improves by the measure that stops it."""
    phase = np.random.default_rng(0).uniform(0, 6, [64, 1, 2])
    observed = np.sin(np.arange(6)[:, None] + phase).astype(np.float32)
    model = Waves(vaeseq.HParams(vae_type=vae_type, latent_size=3, rnn_hidden_sizes=(8,)))
    model.compile()
    stop = keras.callbacks.EarlyStopping(monitor="val_loss", patience=0)
    history = train(
        model, observed, batch_size=8, epochs=4, validation_data=observed, callbacks=[stop]
    )
    assert len(history["val_loss"]) == 4
