"""What a user's encoder, decoder and inputs must be; all cores give decoders the same features."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

import vaeseq
from tests.conftest import SMALL
from vaeseq import codec


class Images(vaeseq.DistModule):
    """Black-and-white images [4, 4]: a convolutional decoder as a user writes it."""

    event_shape, event_dtype = tf.TensorShape([4, 4]), tf.int32

    def __init__(self):
        super().__init__()
        self.layers = [
            keras.layers.Dense(8),
            keras.layers.Reshape([2, 2, 2]),
            keras.layers.Conv2DTranspose(1, 2, strides=2),
            keras.layers.Reshape([4, 4]),
        ]

    def call(self, features):
        for layer in self.layers:
            features = layer(features)
        return features

    def dist(self, logits):
        return tfd.Independent(tfd.Bernoulli(logits), 2)


class Model(vaeseq.ModelBase):
    """A model of the parts of a test."""

    def __init__(self, encoder, decoder, hparams=SMALL, **kwargs):
        self.parts = encoder, decoder
        super().__init__(hparams, **kwargs)

    def make_encoder(self):
        return self.parts[0]

    def make_decoder(self):
        return self.parts[1]


@pytest.mark.parametrize("sees", [False, True])
def test_a_convolutional_decoder_works_with_every_core(vae_type, sees):
    hparams = SMALL.replace(vae_type=vae_type, decoder_sees_context=sees)
    encoder = codec.MLPObsEncoder(hparams)
    model = Model(encoder, Images(), hparams, inputs_spec=tf.TensorSpec([2]))
    observed, inputs = np.zeros([2, 3, 4, 4]), np.ones([2, 3, 2])
    assert model.log_prob(observed, inputs, num_samples=1).shape == (2,)
    assert model.generate(2, inputs=inputs).shape == (2, 3, 4, 4)


NORMAL = codec.NormalDecoder([2])


def mlp(decoder=NORMAL):
    return codec.MLPObsDecoder(SMALL, decoder)


class Bare(vaeseq.DistModule):
    def call(self, features):
        return features

    def dist(self, params):
        return tfd.Normal(params, 1.0)


class ShapedByAList(Bare):
    event_shape, event_dtype = [2], tf.float32


class PerElement(Bare):
    """Forgets to add up its elements."""

    event_shape, event_dtype = tf.TensorShape([2]), tf.float32

    def log_prob(self, params, event):
        return self.dist(params[..., :2]).log_prob(event)


FLAT = codec.Flatten


@pytest.mark.parametrize(
    ("encoder", "decoder", "error", "message"),
    [
        (FLAT(), keras.layers.Dense(2), TypeError, "make_decoder .*DistModule, .*, not Dense"),
        (FLAT(), None, TypeError, "make_decoder must return .*, not None"),
        (None, mlp(), TypeError, r"make_encoder .* codec.MLPObsEncoder\(hparams\), not None"),
        (FLAT(), NORMAL, ValueError, "NormalDecoder takes 4 features .* SRNN core gives 8; .*MLP"),
        (FLAT(), Bare(), ValueError, "Bare must set event_shape, a tf.TensorShape"),
        (FLAT(), ShapedByAList(), ValueError, r"event_shape of ShapedByAList .*, not .*\[2\]"),
        (
            FLAT(),
            PerElement(),
            ValueError,
            r"PerElement must return one number .*, not \(1, 1, 2\)",
        ),
        (
            keras.layers.Reshape([2, 1]),
            mlp(),
            ValueError,
            r"features \[N, E\] of observations \[N, 2\], not \[N, 2, 1\]; .*Flatten\(\)",
        ),
        (
            FLAT(),
            mlp(codec.CategoricalDecoder(300, [2], dtype="uint8")),
            ValueError,
            "is uint8, but CategoricalDecoder allows whole numbers from 0 to 299",
        ),
        (lambda x: (x, x), mlp(), ValueError, "one tensor of numbers, not tuple"),
        (lambda x: tf.reduce_sum(x, -1), mlp(), ValueError, r"of observations \[N, 2\], not \[N\]"),
        (lambda x: tf.cast(x, tf.int32), mlp(), ValueError, "of float32, not int32"),
    ],
)
def test_a_part_that_does_not_fit_is_refused_with_what_is_expected(
    encoder, decoder, error, message
):
    with pytest.raises(error, match=message):
        Model(encoder, decoder)


@pytest.mark.parametrize("spec", [[2], 2, (tf.TensorSpec([2]), 3), tf.TensorSpec([None])])
def test_a_wrong_spec_of_inputs_is_refused_with_an_example(spec):
    with pytest.raises(ValueError, match=r"inputs_spec .* such as tf.TensorSpec\(\[2\]\)"):
        Model(FLAT(), mlp(), inputs_spec=spec)
