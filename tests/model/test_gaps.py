"""Gaps: what is missing counts nowhere, encoders know of it, and models sample it."""

import numpy as np
import pytest
import tensorflow as tf

import vaeseq
from tests.conftest import SMALL, Waves, assert_close
from tests.model.test_sequence_model import Driven
from tests.pool import unchanged
from vaeseq import codec
from vaeseq.codec.mixtures import MixtureParams

GAPS = SMALL.replace(gaps=True, log_prob_samples=2)
RNG = np.random.default_rng(0)
ELEMENTS = RNG.uniform(size=[4, 6, 2]) > 0.4
STEPS = RNG.uniform(size=[4, 6]) > 0.4


@pytest.fixture
def gappy(vae_type, pooled):
    return pooled(Waves, GAPS.replace(vae_type=vae_type, check_numerics=False))


@pytest.mark.parametrize("mask", [ELEMENTS, STEPS], ids=["elements", "steps"])
def test_what_is_missing_does_not_count(gappy, observed, mask):
    dirty = np.where(mask if mask.ndim == 3 else mask[..., None], observed, np.nan)
    clean = np.where(np.isnan(dirty), 7.0, dirty)
    results = []
    # Keras's compiled step takes one kind of mask; eagerly, the other needs no tracing.
    gappy.compile(run_eagerly=mask.ndim == 2)
    for x in (clean, dirty):
        inference, state = gappy.infer(x, observed_mask=mask)
        log_prob = gappy.log_prob(x, observed_mask=mask)
        batch = {"observed": x, "observed_mask": mask}
        evaluated = gappy.evaluate(tf.data.Dataset.from_tensors(batch), verbose=0)
        with unchanged(gappy):
            gappy.fit(tf.data.Dataset.from_tensors(batch), verbose=0)
            results.append((inference.log_prob, state, log_prob, evaluated, gappy.get_weights()))
    assert_close(*results)
    assert all(np.all(np.isfinite(x)) for x in tf.nest.flatten(results[1]))


def test_a_mask_of_all_is_no_mask(gappy, observed):
    whole = gappy.infer(observed, observed_mask=np.ones([4, 6], bool))
    assert_close(whole, gappy.infer(observed))


def test_encoders_know_what_is_missing(gappy, observed):
    """A missing number is not the neutral number that stands for it."""
    zero = np.where(ELEMENTS, observed, 0)
    _, told = gappy.infer(zero, observed_mask=ELEMENTS)
    _, not_told = gappy.infer(zero)
    assert all(
        np.abs(x - y).max() > 1e-6
        for x, y in zip(tf.nest.flatten(told), tf.nest.flatten(not_told), strict=True)
        if x.dtype.is_floating
    )


DECODERS = [
    codec.NormalDecoder([3]),
    codec.BernoulliDecoder([3]),
    codec.BinomialDecoder(4, [3]),
    codec.CategoricalDecoder(3, [3]),
    codec.BetaDecoder([3]),
]


@pytest.mark.parametrize("decoder", DECODERS, ids=lambda x: type(x).__name__)
def test_the_log_prob_of_elements_is_that_of_a_decoder_of_these_elements(decoder):
    params = decoder(RNG.normal(size=[5, decoder.param_size]).astype(np.float32))
    event = decoder.sample(params, [1, 2])
    keep = np.array([True, False, True])
    mask = np.broadcast_to(keep, [5, 3])
    some = type(decoder)(**_arguments(decoder), event_shape=[2])
    expected = some.log_prob(
        tuple(p.numpy()[:, keep] for p in params), tf.boolean_mask(event, keep, axis=1)
    )
    assert_close(decoder.masked_log_prob(params, event, mask), expected)
    assert_close(
        decoder.masked_log_prob(params, event, ~mask | mask), decoder.log_prob(params, event)
    )


def _arguments(decoder):
    names = {"BinomialDecoder": ("total_count",), "CategoricalDecoder": ("num_classes",)}
    return {name: getattr(decoder, name) for name in names.get(type(decoder).__name__, ())}


def test_joint_observations_may_miss_parts():
    model = Driven(GAPS.replace(vae_type="SRNN"))
    observed = np.full([4, 6, 4], 0.5, np.float32), np.full([4, 6], 2)
    inputs = np.zeros([4, 6, 3], np.float32)
    mask = RNG.uniform(size=[4, 6, 4]) > 0.5, STEPS
    dirty = np.where(mask[0], observed[0], np.nan), np.where(mask[1], observed[1], -5)
    log_prob = model.log_prob(dirty, inputs, observed_mask=mask)
    assert_close(log_prob, model.log_prob(observed, inputs, observed_mask=mask))
    drawn = model.impute(dirty, mask, 3, inputs)
    assert [x.shape for x in drawn] == [(3, 4, 6, 4), (3, 4, 6)]
    np.testing.assert_array_equal(drawn[1][:, STEPS], 2)
    assert drawn[1].min() >= 0
    assert np.all((drawn[0] >= 0) & (drawn[0] <= 1))


def test_padding_and_gaps_together(gappy, observed):
    lengths = [6, 2, 4, 1]
    dirty = np.where(ELEMENTS, observed, np.nan)
    for row, length in zip(dirty, lengths, strict=True):
        row[length:] = np.inf
    clean = np.nan_to_num(dirty, nan=3.0, posinf=-2.0)
    arguments = {"lengths": lengths, "observed_mask": ELEMENTS}
    assert_close(gappy.log_prob(dirty, **arguments), gappy.log_prob(clean, **arguments))


class OneOfTwo(codec.MixtureDecoder):
    """Two numbers that are both near 0 or both near 10, whatever the features."""

    def call(self, features):
        half, scale = tf.ones([1, 2, 2]) * [[[0.0], [10.0]]], tf.fill([1, 2, 2], 0.1)
        params = MixtureParams(tf.zeros([1, 2]), (half, scale))
        return tf.nest.map_structure(lambda x: tf.repeat(x, tf.shape(features)[0], axis=0), params)


@pytest.mark.parametrize("vae_type", ["RNN", "SRNN", "VRNN"])
def test_missing_elements_of_a_mixture_go_with_those_observed(vae_type):
    class Pairs(Waves):
        def make_decoder(self):
            return codec.MLPObsDecoder(self.hparams, OneOfTwo(codec.NormalDecoder([2]), 2))

    observed = np.array([[[0.0, np.nan], [np.nan, 10.0], [np.nan, np.nan]]])
    model = Pairs(GAPS.replace(vae_type=vae_type))
    drawn = model.impute(observed, ~np.isnan(observed), 20)[:, 0]
    assert np.abs(drawn[:, 0, 1]).max() < 1
    assert np.abs(drawn[:, 1, 0] - 10).max() < 1
    np.testing.assert_allclose(drawn[:, 2, 0], drawn[:, 2, 1], atol=1)
    assert 0 < (drawn[:, 2, 0] > 5).mean() < 1
    known = np.zeros([1, 1, 2])  # a sample of what is observed is not drawn given itself
    reconstructed = model.smooth(known, 40, observed_mask=known == 0).observed
    assert 0 < (reconstructed > 5).mean() < 1


def test_missing_values_are_sampled_and_others_kept(gappy, observed):
    dirty = np.where(ELEMENTS, observed, np.nan)
    drawn = gappy.impute(dirty, ELEMENTS, 5, seed=1)
    assert drawn.shape == (5, 4, 6, 2) and np.all(np.isfinite(drawn))
    np.testing.assert_array_equal(drawn[:, ELEMENTS], np.tile(observed[ELEMENTS], [5, 1]))
    assert np.all(np.std(drawn, axis=0)[~ELEMENTS] > 0)
    np.testing.assert_array_equal(drawn, gappy.impute(dirty, ELEMENTS, 5, seed=1))


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones([4, 5], bool), r"observed_mask must have the shape \[B, T\] = \(4, 6\)"),
        (np.ones([4, 6, 3], bool), r"or that of the observations, \(4, 6, 2\), not \(4, 6, 3\)"),
        (np.full([4, 6], 0.5), "observed_mask must be bool, not float64"),
        (np.ones([4, 6], int), "observed_mask must be bool, not int64"),
    ],
)
def test_masks_of_a_wrong_shape_or_dtype_are_refused(pooled, observed, mask, message):
    with pytest.raises(ValueError, match=message):
        pooled(Waves, GAPS.replace(vae_type="RNN")).infer(observed, observed_mask=mask)


def test_impute_needs_a_mask(gappy, observed):
    with pytest.raises(ValueError, match="impute needs an observed_mask"):
        gappy.impute(observed[:2], None)


def test_a_model_without_gaps_refuses_a_mask(pooled, observed):
    model = pooled(Waves, SMALL.replace(vae_type="RNN"))
    with pytest.raises(ValueError, match=r"HParams\(gaps=True\)"):
        model.infer(observed, observed_mask=STEPS)


class Whole(vaeseq.DistModule):
    """A decoder that does not say that its elements are independent."""

    def __init__(self):
        super().__init__()
        self.normal = codec.NormalDecoder([2])
        self.event_shape, self.event_dtype = self.normal.event_shape, self.normal.event_dtype
        self.param_size = self.normal.param_size

    def call(self, features):
        return self.normal(features)

    def dist(self, params):
        return self.normal.dist(params)


def test_other_decoders_take_gaps_of_whole_steps(observed):
    class Model(Waves):
        def make_decoder(self):
            return codec.MLPObsDecoder(self.hparams, Whole())

    model = Model(GAPS.replace(vae_type="RNN"))
    with pytest.raises(ValueError, match="elements depend on each other"):
        model.infer(observed, observed_mask=ELEMENTS)
    inference, _ = model.infer(np.where(STEPS[..., None], observed, np.nan), observed_mask=STEPS)
    assert np.all((inference.log_prob.numpy() != 0) == STEPS)


def test_a_mask_of_a_wrong_shape_is_refused_after_a_right_one(pooled, observed):
    """Keras's compiled step then knows no sizes, and would broadcast."""
    model = pooled(Waves, GAPS.replace(vae_type="RNN"))
    for rows in (4, 3):
        batch = {"observed": observed[:rows], "observed_mask": ELEMENTS[:rows]}
        model.fit(batch, verbose=0)
    for mask in (ELEMENTS[..., :1], ELEMENTS[:, :1], STEPS[:, :1]):
        batch = {"observed": observed, "observed_mask": mask}
        with pytest.raises(ValueError, match=r"observed_mask must have the shape \[B, T\]"):
            model.fit(batch, verbose=0)
        with pytest.raises(ValueError, match=r"observed_mask must have the shape \[B, T\]"):
            model.fit(tf.data.Dataset.from_tensors(batch), verbose=0)


def test_masked_arrays_are_refused_because_tensorflow_forgets_their_mask(pooled, observed):
    model, array = (
        pooled(Waves, GAPS.replace(vae_type="RNN")),
        np.ma.array(observed, mask=~ELEMENTS),
    )
    for function in (model.infer, model.fit, model.predict):
        with pytest.raises(
            ValueError, match=r"observed must be an array without a mask: pass x\.fi"
        ):
            function(array)
    filled = model.infer(array.filled(0), observed_mask=~np.ma.getmaskarray(array))
    assert_close(filled, model.infer(observed, observed_mask=ELEMENTS), 0)


def test_nan_that_is_not_said_to_be_missing_is_refused(waves, observed):
    dirty = np.where(ELEMENTS, observed, np.nan)
    for method in (waves.log_prob, waves.infer, waves.prime, waves.fit, waves.predict):
        with pytest.raises(ValueError, match=r"observed has nan at .* by lengths or obs"):
            method(dirty)
    with pytest.raises(ValueError, match="observed has nan"):
        waves.forecast(dirty, 2, 3)
