"""A policy that can be enumerated: three symbols, sequences of three steps."""

import itertools

import keras
import numpy as np
import tensorflow as tf

import vaeseq
from tests.conftest import SMALL
from vaeseq import codec
from vaeseq.adversarial.rollouts import Batch, Samples

SYMBOLS, TIME = 3, 3
ALL = np.array(list(itertools.product(range(SYMBOLS), repeat=TIME)), np.int32)
ADVERSARIAL = SMALL.replace(
    rnn_hidden_sizes=(3,),
    obs_encoder_fc_layers=(),
    obs_decoder_fc_hidden_layers=(),
    latent_decoder_fc_layers=(),
    activation="tanh",
    policy_gradient="seqgan",
    policy_baseline="none",
    policy_elbo_steps=2,
    policy_judge_steps=2,
    policy_reward_step=1,
    policy_rollouts=3,
    discriminator_size=4,
    batch_size=6,
)


class Words(vaeseq.ModelBase):
    """Symbols [B, T]."""

    def make_encoder(self):
        return codec.MLPObsEncoder(self.hparams, keras.layers.Embedding(SYMBOLS, 3))

    def make_decoder(self):
        return codec.MLPObsDecoder(self.hparams, codec.CategoricalDecoder(SYMBOLS))


def make(**changes):
    """Returns a compiled model with large weights, so that different choices differ in value."""
    keras.utils.set_random_seed(3)
    model = Words(ADVERSARIAL.replace(**{"vae_type": "RNN", "seed": 3, **changes}))
    model.compile()
    discriminator = model.adversary.discriminator
    for weight in model.weights:
        weight.assign(2.5 * tf.convert_to_tensor(weight))
    for weight in discriminator.weights:
        weight.assign(5.0 * tf.convert_to_tensor(weight))
        if "embedding" in weight.path:
            weight.assign(tf.random.stateless_normal(weight.shape, [1, 1]))
    bias = discriminator.logit.bias  # the mean logit is 0
    bias.assign(bias - tf.reduce_mean(discriminator(ALL)[:, -1]))
    return model


def batch(observed, lengths=None):
    return Batch(tf.constant(observed), (), lengths)


def log_probs(model):
    """Returns log p(x_t | x_<t) of all sequences, [27, 3]."""
    return model.infer(ALL)[0].log_prob


def exact_values(model):
    """Returns Q(x_1:t) of all sequences by enumeration, [27, 3]."""
    log_prob, scores = log_probs(model).numpy(), model.adversary.discriminator.score(ALL).numpy()
    values = np.zeros([len(ALL), TIME])
    for row, t in itertools.product(range(len(ALL)), range(1, TIME + 1)):
        same = (ALL[:, :t] == ALL[row, :t]).all(axis=1)
        ahead = np.exp(log_prob[same, t:].sum(axis=1))
        values[row, t - 1] = np.sum(ahead * scores[same]) / ahead.sum()
    return values.astype(np.float32)


def expected_gradient(model, weights, reference=None):
    """Returns the gradient of the policy loss, expected over the sequences of the policy.

    The loss is a mean over rows whose terms do not depend on each other, so that one batch of all
    sequences is enough: each row counts in proportion to its probability.
    """
    with tf.GradientTape() as tape:
        log_prob = log_probs(model)
    with tf.GradientTape() as loss_tape:
        loss_tape.watch(log_prob)
        samples = Samples(tf.constant(ALL), log_prob, ())
        loss = model.adversary.policy_loss(samples, weights, reference=reference)
    probability = tf.exp(tf.reduce_sum(log_prob, axis=1, keepdims=True))
    gradient = len(ALL) * probability * loss_tape.gradient(loss, log_prob)
    return tape.gradient(log_prob, model.trainable_variables, gradient)


def assert_is_gradient(gradient, model, function, tolerance=0.01, directions=5, step=3e-3):
    """Asserts that a gradient is that of a function of the model's weights.

    Compares it with finite differences along random directions; the tolerance is relative to the
    norm of the gradient.
    """
    rng, variables = np.random.default_rng(0), model.trainable_variables
    values = [variable.numpy() for variable in variables]
    gradient = dense(gradient, model)
    norm = np.sqrt(sum(np.sum(x**2) for x in gradient))
    assert norm > 0.02
    for _ in range(directions):
        direction = [rng.normal(size=x.shape).astype(np.float32) for x in values]
        ends = []
        for change in (step, -step):
            for variable, value, along in zip(variables, values, direction, strict=True):
                variable.assign(value + change * along)
            ends.append(function())
        slope = (ends[0] - ends[1]) / (2 * step)
        expected = sum(np.sum(x * y) for x, y in zip(gradient, direction, strict=True))
        assert abs(slope - expected) < tolerance * norm


def dense(gradient, model):
    """Returns the gradients of all trainable variables as arrays, zero for None."""
    return [
        np.zeros(variable.shape) if x is None else np.array(tf.convert_to_tensor(x))
        for x, variable in zip(gradient, model.trainable_variables, strict=True)
    ]
