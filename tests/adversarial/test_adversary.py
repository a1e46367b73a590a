"""Training with a policy gradient."""

import functools
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.adversarial.words import ADVERSARIAL, ALL, TIME, Words, batch, make
from tests.conftest import assert_close
from vaeseq.adversarial.rollouts import sample


class DrivenWords(Words):
    """Words that depend on inputs [B, T, 2]."""

    def __init__(self, hparams):
        super().__init__(hparams, inputs_spec=tf.TensorSpec([2]))


@pytest.fixture
def eagerly():
    """Runs compiled functions step by step: tracing them would take longer."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


class Snapshots(keras.callbacks.Callback):
    """Keeps the weights of generator and discriminator before training and after each step."""

    def __init__(self):
        super().__init__()
        self.weights = []

    def on_train_begin(self, logs=None):
        parts = self.model, self.model.adversary.discriminator
        self.weights.append([[x.numpy() for x in part.trainable_weights] for part in parts])

    def on_train_batch_end(self, batch, logs=None):
        self.on_train_begin()

    def changes(self):
        """Returns, for each step, whether generator and discriminator have changed."""
        return [
            tuple(any(map(np.any, map(np.not_equal, *part))) for part in zip(*pair, strict=True))
            for pair in itertools.pairwise(self.weights)
        ]


@pytest.mark.parametrize(
    ("kind", "vae_type", "segment"),
    [("stepwise", "RNN", 0), ("seqgan", "SRNN", 0), ("prefix", "SEQVAE", 2)],
)
def test_training_has_three_phases(kind, vae_type, segment, eagerly):
    changes = {"vae_type": vae_type, "seqvae_segment": segment}
    model = make(policy_gradient=kind, policy_baseline="critic", **changes)
    batches = tf.data.Dataset.from_tensor_slices(np.tile(ALL[:12], [3, 1])).batch(6)
    snapshots = Snapshots()
    history = model.fit(batches, verbose=0, callbacks=[snapshots]).history
    assert snapshots.changes() == (2 * [(True, False)] + 2 * [(False, True)] + 2 * [(True, True)])
    assert model.trained_steps == 6
    assert history["discriminator_loss"][0] > 0 and np.isfinite(history["reward"][0])


def test_padding_changes_neither_the_samples_nor_the_loss():
    model = make(vae_type="SEQVAE", policy_gradient="stepwise", policy_baseline="critic")
    adversary, lengths = model.adversary, tf.constant([3, 2, 1, 2])
    observed = np.ones([4, TIME], np.int32)
    padded = np.where(np.arange(TIME) < lengths[:, None], observed, 2)
    one, other = (sample(model, batch(x, lengths), [1, 2]) for x in (observed, padded))
    assert_close(one.observed, other.observed)
    weights = adversary.choice_weights(one, batch(observed, lengths))
    after = tf.sequence_mask(lengths, TIME)
    changed = one._replace(observed=tf.where(after, one.observed, 0))
    losses = [adversary.policy_loss(samples, weights, lengths) for samples in (one, changed)]
    assert_close(*losses)
    for row, length in enumerate(lengths):
        assert np.all(weights[row, length:] == 0)


def test_rollouts_are_compiled_for_any_static_shape():
    """With inputs, and with a batch whose shape is known before it is traced."""
    keras.utils.set_random_seed(3)
    model = DrivenWords(ADVERSARIAL.replace(vae_type="RNN", policy_elbo_steps=0))
    model.compile()
    data = {
        "observed": ALL[:4],
        "inputs": np.random.default_rng(0).normal(size=[4, TIME, 2]).astype(np.float32),
    }
    batches = tf.data.Dataset.from_tensors(data).repeat(3)
    history = model.fit(batches, shuffle=False, verbose=0).history
    assert np.isfinite(history["reward"][0]) and model.trained_steps == 3


def test_a_model_without_policy_gradient_has_no_adversary(pooled):
    model = pooled(Words, ADVERSARIAL.replace(policy_gradient="none", vae_type="RNN"))
    assert model.adversary is None
    assert set(model.training_state) == {"optimizer", "metrics"}


def test_the_policy_gradient_finds_what_the_discriminator_prefers():
    """Only sequences that begin with 2 are observed; the ELBO has no influence."""
    model = make(
        policy_gradient="stepwise",
        policy_baseline="critic",
        policy_elbo_steps=0,
        policy_judge_steps=30,
        policy_gradient_weight=3.0,
        learning_rate=0.02,
        discriminator_learning_rate=0.02,
    )
    model.update = functools.partial(_update_without_elbo, model)

    def share_of_2():
        return np.mean(model.generate(600, TIME)[:, 0] == 2)

    before = share_of_2()
    observed = np.tile(ALL[-9:], [4, 1])
    model.fit(tf.data.Dataset.from_tensors(observed).repeat(130), verbose=0)
    assert before < 0.6 and share_of_2() > 0.9


def _update_without_elbo(model, data, objective):
    variables = model.trainable_variables
    with tf.GradientTape() as tape:
        loss, aux = objective()
    gradients = zip(tape.gradient(loss, variables), variables, strict=True)
    model.optimizer.apply_gradients((g, v) for g, v in gradients if g is not None)
    return aux
