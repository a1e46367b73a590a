import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tests.conftest import SMALL, assert_close
from vaeseq import DistModule, codec
from vaeseq.nn.support import assert_observed, check_observed

DECODERS = {
    "Bernoulli": lambda shape: codec.BernoulliDecoder(shape),
    "Beta": lambda shape: codec.BetaDecoder(shape),
    "Binomial": lambda shape: codec.BinomialDecoder(5, shape),
    "Categorical": lambda shape: codec.CategoricalDecoder(4, shape),
    "Normal": lambda shape: codec.NormalDecoder(shape),
}


@pytest.fixture(params=DECODERS)
def make_decoder(request):
    return DECODERS[request.param]


def features_of(decoder, rows=3):
    return tf.random.stateless_normal([rows, decoder.param_size], [0, 1])


@pytest.mark.parametrize("shape", [(), (2,), (2, 3)])
def test_samples_have_the_shape_and_dtype_of_events_and_a_finite_density(make_decoder, shape):
    decoder = make_decoder(shape)
    params = decoder(features_of(decoder))
    event = decoder.sample(params, [0, 1])
    assert event.shape == (3, *shape) and event.dtype == decoder.event_dtype
    log_prob = decoder.log_prob(params, event)
    assert log_prob.shape == (3,) and np.isfinite(log_prob).all()


def test_elements_are_independent(make_decoder):
    whole, element = make_decoder([2]), make_decoder([])
    params = whole(features_of(whole))
    event = whole.sample(params, [0, 1])
    parts = [
        element.log_prob(tf.nest.map_structure(lambda p, i=i: p[:, i], params), event[:, i])
        for i in range(2)
    ]
    assert_close(whole.log_prob(params, event), parts[0] + parts[1])


@pytest.mark.parametrize("temperature", [0.5, 2.0])
@pytest.mark.parametrize("name", ["Bernoulli", "Categorical", "Normal", "Beta"])
def test_tempered_density_is_proportional_to_a_power_of_the_density(name, temperature):
    decoder = DECODERS[name]([])
    params = decoder(features_of(decoder) + 3.0)
    tempered = decoder.temper(params, temperature)
    events = (
        tf.constant([[0.2] * 3, [0.7] * 3]) if name in ("Normal", "Beta") else [[0] * 3, [1] * 3]
    )

    def ratio(params):
        return decoder.log_prob(params, events[0]) - decoder.log_prob(params, events[1])

    assert_close(ratio(tempered), ratio(params) / temperature, 1e-4)


def test_the_temperature_of_a_binomial_applies_to_its_trials():
    decoder = codec.BinomialDecoder(1)
    params = decoder(features_of(decoder))
    trial = codec.BernoulliDecoder()
    tempered, expected = decoder.temper(params, 0.5), trial.temper(params, 0.5)
    assert_close(decoder.log_prob(tempered, [1, 0, 1]), trial.log_prob(expected, [1, 0, 1]))


def test_log_prob_of_a_joint_decoder_is_the_sum_of_its_parts():
    notes, count = codec.BetaDecoder([4]), codec.BinomialDecoder(4)
    decoder = codec.JointDecoder([notes, count])
    assert decoder.param_size == 9
    params = decoder(features_of(decoder))
    event = decoder.sample(params, [0, 1])
    assert [x.shape.as_list() for x in event] == [[3, 4], [3]]
    expected = notes.log_prob(params[0], event[0]) + count.log_prob(params[1], event[1])
    assert_close(decoder.log_prob(params, event), expected)
    tempered = decoder.temper(params, 0.5)
    assert_close(tempered[1], count.temper(params[1], 0.5))


@pytest.mark.parametrize("shape", [(), (2,)])
def test_samples_are_in_the_support(make_decoder, shape):
    decoder = make_decoder(shape)
    event = decoder.sample(decoder(features_of(decoder, rows=50)), [0, 1])
    check_observed(decoder.support, event[None])
    assert assert_observed(decoder.support, event[None])


def test_beta_density_is_finite_at_0_and_1():
    decoder = codec.BetaDecoder([2])
    params = decoder(features_of(decoder))
    assert np.isfinite(decoder.log_prob(params, [[0.0, 1.0]] * 3)).all()


def test_mlp_encoder_flattens_and_casts_nests():
    encoder = codec.MLPObsEncoder(SMALL)
    observed = (tf.zeros([5, 2, 3], tf.int32), tf.zeros([5]))
    assert encoder(observed).shape == (5, 6)
    assert codec.MLPObsEncoder(SMALL.replace(obs_encoder_fc_layers=()))(observed).shape == (5, 7)


def test_mlp_decoder_takes_features_of_any_size():
    decoder = codec.MLPObsDecoder(SMALL, codec.CategoricalDecoder(4))
    assert decoder(tf.zeros([5, 3]))[0].shape == (5, 4)


@pytest.mark.parametrize(
    "combine", [lambda x: codec.MLPObsDecoder(SMALL, x), lambda x: codec.JointDecoder([x])]
)
def test_what_combines_decoders_names_one_that_does_not_fit(combine):
    with pytest.raises(TypeError, match=r"must be a vaeseq.DistModule such as .*, not Dense"):
        combine(keras.layers.Dense(3))
    with pytest.raises(ValueError, match="MLPObsDecoder must set param_size"):
        combine(codec.MLPObsDecoder(SMALL, codec.BernoulliDecoder()))


class Misshapen(codec.NormalDecoder):
    def dist(self, params):
        return tfd.Normal(*params)


def test_a_distribution_of_other_events_than_the_decoder_says_is_refused():
    decoder = Misshapen([3])
    params = decoder(features_of(decoder))
    for use in (
        lambda: decoder.log_prob(params, tf.zeros([3, 3])),
        lambda: decoder.sample(params, [0, 1]),
    ):
        with pytest.raises(
            ValueError, match=r"Misshapen has events of the shape \(\), .* is \(3,\)"
        ):
            use()


def test_a_decoder_without_temper_is_an_error_that_names_it():
    class Plain(DistModule):
        def call(self, features):
            return features

        def dist(self, params):
            return None

    with pytest.raises(NotImplementedError, match="Plain does not support temperatures"):
        Plain().temper((), 0.5)
