"""Nothing behind the end of a row reaches a result."""

import numpy as np
import pytest
import tensorflow as tf

import vaeseq
from tests.conftest import SMALL, Waves, assert_close
from tests.model.test_sequence_model import Driven
from tests.pool import unchanged
from vaeseq import codec

LENGTHS = np.array([6, 2, 4, 1])
DECODERS = {
    "normal": (codec.NormalDecoder(), np.nan),
    "beta": (codec.BetaDecoder(), np.nan),
    "bernoulli": (codec.BernoulliDecoder(), -1),
    "binomial": (codec.BinomialDecoder(4), -7),
    "categorical": (codec.CategoricalDecoder(3), -1),
}


def padded(x, value):
    x = np.array(x)
    for row, length in zip(x, LENGTHS, strict=True):
        row[length:] = value
    return x


def training(model, batch):
    """Returns the loss of a step and the weights after it."""
    with unchanged(model):
        loss = model.fit(tf.data.Dataset.from_tensors(batch), verbose=0, shuffle=False)
        return loss.history["loss"][0], model.get_weights()


def assert_padding_does_not_count(model, clean, dirty, inputs=None, dirty_inputs=None):
    results, trained = [], []
    for x, u in ((clean, inputs), (dirty, dirty_inputs)):
        inference, state = model.infer(x, u, LENGTHS)
        log_prob = model.log_prob(x, u, LENGTHS, num_samples=2)
        results.append((inference.log_prob, inference.kl, state, log_prob))
        batch = {"observed": x, "lengths": LENGTHS} | ({} if u is None else {"inputs": u})
        trained.append(training(model, batch))
        results[-1] += (model.evaluate(tf.data.Dataset.from_tensors(batch), verbose=0),)
    assert_close(*results)
    assert_close(*trained)
    assert np.all(np.isfinite(results[1][3]))


def test_what_is_behind_the_lengths_does_not_count(pooled, vae_type, observed):
    model = pooled(Waves, SMALL.replace(vae_type=vae_type, check_numerics=False))
    dirty = padded(observed, np.nan)
    assert_padding_does_not_count(model, padded(observed, 0), dirty)
    if model.has_sequence_latent:
        assert np.all(np.isfinite(model.encode(dirty, lengths=LENGTHS).loc))


@pytest.mark.parametrize("name", DECODERS)
def test_padding_of_every_decoder(name):
    decoder, padding = DECODERS[name]

    class Model(vaeseq.ModelBase):
        def make_encoder(self):
            return codec.MLPObsEncoder(self.hparams)

        def make_decoder(self):
            return codec.MLPObsDecoder(self.hparams, decoder)

    model = Model(SMALL.replace(vae_type="SRNN"))
    model.compile(run_eagerly=True)
    clean = np.ones([4, 6]) * (0.5 if decoder.event_dtype.is_floating else 1)
    clean = clean.astype(decoder.event_dtype.as_numpy_dtype)
    assert_padding_does_not_count(model, padded(clean, 0), padded(clean, padding))


def test_padding_of_joint_observations_inputs_and_histories():
    model = Driven(SMALL.replace(vae_type="SRNN"))
    model.compile(run_eagerly=True)
    rng = np.random.default_rng(0)
    observed = np.full([4, 6, 4], 0.5, np.float32), np.full([4, 6], 2)
    inputs = rng.normal(size=[4, 6, 3]).astype(np.float32)
    assert_padding_does_not_count(
        model,
        observed,
        (padded(observed[0], np.nan), padded(observed[1], -9)),
        inputs,
        padded(inputs, np.inf),
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lengths": [6, 7, 6, 6]}, "lengths must be from 1 to 6, the number of steps; not 7"),
        ({"lengths": [6, 6]}, r"lengths must have the shape \[4\]"),
    ],
)
def test_impossible_lengths_are_refused_by_every_method(waves, observed, arguments, message):
    for method in (waves, waves.infer, waves.log_prob, waves.prime):
        with pytest.raises(ValueError, match=message):
            method(observed, **arguments)


def test_impossible_lengths_stop_fit_and_evaluate(waves, observed):
    batch = tf.data.Dataset.from_tensors({"observed": observed, "lengths": [6, 200, 6, 6]})
    for method in (waves.fit, waves.evaluate):
        with pytest.raises(ValueError, match="lengths must be from 1 to 6, not from 6 to 200"):
            method(batch, verbose=0)
    assert waves.trained_steps == 0


def test_padding_of_the_first_row_does_not_count_in_fit_and_evaluate_of_arrays():
    class Bits(Waves):
        def make_decoder(self):
            return codec.MLPObsDecoder(self.hparams, codec.BernoulliDecoder([2]))

    model = Bits(SMALL.replace(vae_type="RNN"))
    model.compile(run_eagerly=True)
    clean, lengths = np.zeros([4, 6, 2], np.int32), LENGTHS[::-1]
    dirty = np.where((np.arange(6) < lengths[:, None])[..., None], clean, -1)
    results = [
        model.evaluate({"observed": x, "lengths": lengths}, verbose=0) for x in (clean, dirty)
    ]
    assert results[0] == results[1]
    model.fit({"observed": dirty, "lengths": lengths}, verbose=0)
    with pytest.raises(ValueError, match=r"-1 at \[0, 1, 0\]"):
        model.fit(dirty, verbose=0)


def test_lengths_of_a_dataset_without_known_shapes_are_taken(waves, observed):
    lengths = tf.data.Dataset.from_tensors(LENGTHS).map(
        lambda x: tf.numpy_function(lambda y: y, [x], tf.int64)
    )
    rows = tf.data.Dataset.from_tensors(observed.astype(np.float32))
    data = tf.data.Dataset.zip({"observed": rows, "lengths": lengths})
    known = {"observed": observed, "lengths": LENGTHS}
    results = [waves.evaluate(x, verbose=0, batch_size=b) for x, b in ((data, None), (known, 4))]
    assert_close(*results)


def test_sizes_of_observations_and_inputs_must_match():
    model = Driven(SMALL.replace(vae_type="RNN"))
    observed = np.full([4, 6, 4], 0.5, np.float32), np.full([4, 6], 2)
    with pytest.raises(ValueError, match=r"number of steps: observed \[6\], inputs \[5\]"):
        model.infer(observed, np.zeros([4, 5, 3]))
    with pytest.raises(ValueError, match=r"number of rows: observed \[4\], inputs \[3\]"):
        model.log_prob(observed, np.zeros([3, 6, 3]))
    with pytest.raises(ValueError, match="inputs must have 4 rows of 30 steps, not 4 of 20"):
        model.generate(4, 30, np.zeros([4, 20, 3]))
