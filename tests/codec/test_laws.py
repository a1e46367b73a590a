"""What holds for every decoder."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tests.conftest import SMALL, assert_close
from vaeseq import codec
from vaeseq.nn.support import check_observed

DECODERS = {
    "Bernoulli": lambda: codec.BernoulliDecoder([4]),
    "Beta": lambda: codec.BetaDecoder([2]),
    "Binomial": lambda: codec.BinomialDecoder(5, [2]),
    "Categorical": lambda: codec.CategoricalDecoder(4, [2]),
    "Normal": lambda: codec.NormalDecoder([2, 3]),
    "NADE": lambda: codec.NADEDecoder([2, 3], hidden=5),
    "NADE of three states": lambda: codec.NADEDecoder([4], 5, num_states=3, dtype="uint8"),
    "mixture": lambda: codec.MixtureDecoder(codec.NormalDecoder([2]), 3),
    "mixture of classes": lambda: codec.MixtureDecoder(codec.CategoricalDecoder(4, [2]), 3),
    "Gaussian mixture": lambda: codec.GaussianMixtureDecoder(2, 3),
    "Laplace": lambda: codec.TFPDecoder(tfd.Laplace, ["loc", "scale"], [2]),
    "StudentT": lambda: codec.TFPDecoder(tfd.StudentT, ["df", "loc", "scale"], [2]),
    "Poisson": lambda: codec.TFPDecoder(tfd.Poisson, ["log_rate"], low=0, whole=True),
    "NegativeBinomial": lambda: codec.TFPDecoder(
        tfd.NegativeBinomial, ["total_count", "logits"], [3], low=0, whole=True
    ),
    "LogNormal": lambda: codec.TFPDecoder(tfd.LogNormal, ["loc", "scale"], [2], low=0, neutral=1.0),
    "convolutional": lambda: codec.ConvDecoder(SMALL, codec.NormalDecoder([5, 6]), [2, 3]),
    "NADE by distance": lambda: codec.NADEDecoder([5], 4, interval_units=3),
    "NADE by distance along lines": lambda: codec.NADEDecoder([2, 3], 4, 3, interval_units=2),
    "convolutional NADE": lambda: codec.ConvDecoder(SMALL, codec.NADEDecoder([3, 4], 5), [2]),
    "joint": lambda: codec.JointDecoder([codec.NADEDecoder([4], 3), codec.NormalDecoder()]),
}
NO_TEMPERATURE = {"Laplace", "StudentT", "Poisson", "NegativeBinomial", "LogNormal"}
ROWS, TIME = 3, 2


@pytest.fixture(params=DECODERS)
def name(request):
    return request.param


@pytest.fixture
def decoder(name):
    return DECODERS[name]()


@pytest.fixture
def params(decoder):
    size = getattr(decoder, "param_size", 7)
    return decoder(tf.random.stateless_normal([ROWS * TIME, size], [0, 1]))


def in_time(nest):
    """Reshapes a nest of [B * T, ...] to [B, T, ...]."""
    return tf.nest.map_structure(lambda x: tf.reshape(x, [ROWS, TIME, *x.shape[1:]]), nest)


def test_samples_are_events_that_the_decoder_allows(decoder, params):
    event = decoder.sample(params, [0, 1])
    shapes = tf.nest.map_structure(lambda x: tf.TensorShape(x.shape[1:]), event)
    assert tf.nest.flatten(shapes) == tf.nest.flatten(decoder.event_shape)
    assert tf.nest.flatten(tf.nest.map_structure(lambda x: x.dtype, event)) == tf.nest.flatten(
        decoder.event_dtype
    )
    check_observed(decoder.support, in_time(event))
    log_prob = decoder.log_prob(params, event)
    assert log_prob.shape == (ROWS * TIME,) and np.isfinite(log_prob).all()


def test_log_prob_is_that_of_the_distribution(name, decoder, params):
    event = decoder.sample(params, [0, 1])
    as_given = {"Binomial": lambda x: tf.cast(x, tf.float32), "Beta": lambda x: x * 0.99 + 0.005}
    given = as_given.get(name, tf.identity if not isinstance(event, tuple) else tuple)(event)
    expected = decoder.dist(params).log_prob(given)
    event = given if name == "Beta" else event
    assert_close(decoder.log_prob(params, event), expected, 1e-4)


def test_params_may_have_the_axes_of_batch_and_time(decoder, params):
    event = decoder.sample(params, [0, 1])
    expected = tf.reshape(decoder.log_prob(params, event), [ROWS, TIME])
    assert_close(decoder.log_prob(in_time(params), in_time(event)), expected, 1e-4)
    drawn = decoder.sample(in_time(params), [0, 1])
    tf.nest.map_structure(
        lambda x, y: x.shape.assert_is_compatible_with(y.shape), drawn, in_time(event)
    )


def test_the_neutral_event_has_a_finite_density_and_gradient(decoder, params):
    event = tf.nest.map_structure(
        lambda x: tf.broadcast_to(x, [ROWS * TIME, *x.shape]), decoder.neutral_event
    )
    with tf.GradientTape() as tape:
        tape.watch(params)
        log_prob = decoder.log_prob(params, event)
    gradients = [x for x in tf.nest.flatten(tape.gradient(log_prob, params)) if x is not None]
    assert all(np.isfinite(x).all() for x in [log_prob, *gradients])


def test_a_mask_of_all_and_of_nothing(decoder, params):
    event = decoder.sample(params, [0, 1])
    every = tf.nest.map_structure(lambda x: tf.ones_like(x, tf.bool), event)
    masks = every, tf.nest.map_structure(tf.logical_not, every)
    log_probs = [decoder.masked_log_prob(params, event, mask) for mask in masks]
    assert_close(log_probs, [decoder.log_prob(params, event), tf.zeros([ROWS * TIME])], 1e-4)


def test_a_temperature_of_1_changes_nothing_and_a_low_one_repeats_itself(name, decoder, params):
    if name in NO_TEMPERATURE:
        with pytest.raises(NotImplementedError, match="temper"):
            decoder.temper(params, 2.0)
        return
    event = decoder.sample(params, [0, 1])
    same = decoder.log_prob(decoder.temper(params, 1.0), event)
    assert_close(same, decoder.log_prob(params, event), 1e-4)
    cold = decoder.temper(params, 1e-9)
    if name == "Beta":  # concentrations below 1 have no mode between 0 and 1
        return
    assert_close(*(decoder.sample(cold, [0, seed]) for seed in (1, 2)), 1e-2)
