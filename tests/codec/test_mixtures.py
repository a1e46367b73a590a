"""Mixtures sum or integrate to 1, and what cannot be mixed is refused."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tests.conftest import SMALL, assert_close
from vaeseq import codec


def params_of(decoder, rows=1):
    return decoder(tf.random.stateless_normal([rows, decoder.param_size], [0, 1]))


def repeated(params, rows):
    return tf.nest.map_structure(lambda x: tf.repeat(x, rows, axis=0), params)


def test_a_mixture_of_classes_sums_to_1_and_its_elements_depend_on_each_other():
    decoder = codec.MixtureDecoder(codec.CategoricalDecoder(3, [2]), 4)
    events = np.array(list(itertools.product(range(3), repeat=2)), np.int32)
    p = np.exp(decoder.log_prob(repeated(params_of(decoder), 9), events)).reshape(3, 3)
    assert p.sum() == pytest.approx(1, abs=1e-5)
    independent = p.sum(axis=1, keepdims=True) * p.sum(axis=0)
    assert np.abs(p - independent).max() > 1e-3


@pytest.mark.parametrize(
    "decoder",
    [
        codec.GaussianMixtureDecoder(2, 3),
        codec.MixtureDecoder(codec.NormalDecoder([2]), 3),
    ],
    ids=["full", "diagonal"],
)
def test_a_mixture_of_gaussians_integrates_to_1(decoder):
    grid = np.linspace(-12, 12, 241)
    events = np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2).astype(np.float32)
    log_prob = decoder.log_prob(repeated(params_of(decoder), len(events)), events)
    assert np.sum(np.exp(log_prob)) * (grid[1] - grid[0]) ** 2 == pytest.approx(1, abs=0.01)


def test_what_is_missing_is_left_out_of_each_component():
    decoder = codec.MixtureDecoder(codec.NormalDecoder([2]), 3)
    params = params_of(decoder)
    mask = tf.constant([[True, False]])
    marginal = codec.MixtureDecoder(codec.NormalDecoder([1]), 3)
    part = params._replace(components=tuple(x[..., :1] for x in params.components))
    assert_close(
        decoder.masked_log_prob(params, tf.constant([[0.3, 9.0]]), mask),
        marginal.log_prob(part, tf.constant([[0.3]])),
    )


def test_what_is_missing_is_drawn_given_what_is_observed():
    """By Bayes: p(b | a) = p(a, b) / p(a), for every b."""
    decoder = codec.MixtureDecoder(codec.CategoricalDecoder(3, [2]), 4)
    params, a = repeated(params_of(decoder), 3), np.full([3], 1)
    events = np.stack([a, np.arange(3)], axis=1).astype(np.int32)
    mask = tf.constant([[True, False]] * 3)
    given = decoder.given(params, events, mask)
    both, one = decoder.log_prob(params, events), decoder.masked_log_prob(params, events, mask)
    assert_close(decoder.masked_log_prob(given, events, ~mask), both - one)
    unobserved = decoder.given(params, events, tf.zeros_like(mask))
    assert_close(decoder.log_prob(unobserved, events), both)


def test_impossible_sizes_and_parameters_are_refused():
    with pytest.raises(ValueError, match="num_components must be at least 1, not 0"):
        codec.MixtureDecoder(codec.NormalDecoder([2]), 0)
    with pytest.raises(ValueError, match="size and num_components must be at least 1"):
        codec.GaussianMixtureDecoder(2, 0)
    with pytest.raises(ValueError, match="Laplace has no parameter 'sigma'; it has loc, scale"):
        codec.TFPDecoder(tfd.Laplace, ["loc", "sigma"])
    with pytest.raises(ValueError, match="Uniform: TFP does not know the domain of high"):
        codec.TFPDecoder(tfd.Uniform, ["low", "high"])
    for decoder in (codec.GaussianMixtureDecoder(4, 2), codec.NADEDecoder([16], 2)):
        with pytest.raises(ValueError, match="ConvDecoder needs a NADEDecoder or a decoder of"):
            codec.ConvDecoder(None, decoder)


def test_images_keep_their_places():
    """A deconvolution that is shifted in the image shifts the params of all kinds."""
    for decoder in (codec.NormalDecoder([2, 3]), codec.CategoricalDecoder(2, [2, 3])):
        maps = tf.reshape(tf.range(12.0), [1, 2, 3, 2])
        params = decoder(decoder.flatten_maps(maps))
        first = params[0] if isinstance(decoder, codec.NormalDecoder) else params[0][..., 0]
        np.testing.assert_array_equal(first[0], maps[0, ..., 0])


@pytest.mark.parametrize("shape", [[4, 6], [4, 6, 2]])
def test_convolutions_give_each_pixel_of_a_nade_its_bias(shape):
    """The bias of a pixel depends on the maps there alone, that of the hidden units on none."""
    pixels = codec.NADEDecoder(shape, hidden=3, num_states=3)
    decoder = codec.ConvDecoder(SMALL, pixels, [2, 4])
    features = tf.random.stateless_normal([5, 7], [0, 1])
    params = decoder(features)
    bias = tf.reshape(params.bias, [5, *shape, 2])
    np.testing.assert_array_equal(bias, decoder._maps(features))
    np.testing.assert_array_equal(params.hidden, decoder.shared(features))
    assert params.hidden.shape == (5, 3)


def test_the_hidden_layers_of_the_hyperparameters_come_before_the_convolutions():
    decoder = codec.ConvDecoder(
        SMALL.replace(obs_decoder_fc_hidden_layers=(6, 5)), codec.BernoulliDecoder([4, 4]), [2]
    )
    decoder(tf.zeros([1, 3]))
    dense = [x.shape for x in decoder.trainable_weights if len(x.shape) == 2]
    assert dense == [(3, 6), (6, 5), (5, 2 * 2 * 2)]
