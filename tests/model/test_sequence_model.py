"""Likelihoods, samples and inference of models, for every core."""

import numpy as np
import pytest
import tensorflow as tf

import vaeseq
from tests.conftest import SMALL, SOME_CORES, Bits, assert_close
from vaeseq import codec
from vaeseq.context import Accumulate


def test_generate_returns_the_shape_of_events_and_repeats_with_its_seed(waves):
    samples = waves.generate(3, 7, seed=1)
    assert samples.shape == (3, 7, 2) and samples.dtype == tf.float32
    assert_close(waves.generate(3, 7, seed=1), samples, 0)
    assert np.abs(waves.generate(3, 7, seed=2) - samples).max() > 0
    assert waves.generate().shape == (1, SMALL.sequence_size, 2)


def test_a_lower_temperature_lowers_the_spread(waves):
    cold, warm = (waves.generate(20, 3, temperature=t) for t in (1e-8, 2.0))
    assert np.std(cold[:, 0]) < np.std(warm[:, 0])


def test_near_temperature_zero_samples_and_latents_are_the_mode(waves):
    cold = [waves.generate(2, 12, temperature=1e-9, seed=seed) for seed in (1, 2)]
    np.testing.assert_allclose(*cold, atol=1e-3)
    assert np.ptp(cold[0].numpy(), axis=0).max() < 1e-3


def test_a_prefix_changes_the_samples_and_one_row_of_it_serves_all(waves, observed):
    continued = waves.generate(3, 4, prefix=10 * observed[:1])
    assert continued.shape == (3, 4, 2)
    assert np.abs(continued - waves.generate(3, 4)).max() > 1e-3
    same = waves.generate(3, 4, prefix=np.repeat(10 * observed[:1], 3, axis=0))
    assert same.shape == continued.shape


def test_extend_returns_the_state_to_continue_from(waves, observed):
    _, state = waves.infer(observed)
    first, between = waves.extend(state, 4, 3, seed=1)
    second, _ = waves.extend(between, 4, 2, seed=2)
    assert first.shape == (4, 3, 2) and second.shape == (4, 2, 2)
    assert_close(between.context, waves.encoder(first[:, -1]))


def test_compiled_methods_equal_the_eager_ones(waves, observed):
    seed, samples = tf.constant([3, 0]), tf.range(2)
    assert_close(
        waves.log_prob(observed, num_samples=2, seed=3),
        waves._log_prob_eagerly(observed, (), None, samples, seed),
    )
    assert_close(
        waves.infer(observed, seed=3), waves.infer_prepared(observed, (), None, None, seed)
    )
    state = waves.initial_state(2)
    rows, steps = tf.constant(2), tf.constant(3)
    eager, _ = waves._extend_eagerly((), state, rows, steps, None, seed, None)
    assert_close(waves.extend(state, 2, 3, seed=3)[0], eager)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1, not 0"),
        ({"sequence_size": 2.0}, r"sequence_size must be a whole number, not 2\.0"),
        ({"sequence_size": -1}, "sequence_size must be at least 1, not -1"),
        ({"temperature": 0.0}, "temperature must be above 0 and finite, not 0.0"),
        ({"temperature": -1.0}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
    ],
)
def test_generate_refuses_impossible_sizes_and_temperatures(pooled, arguments, message):
    with pytest.raises(ValueError, match=message):
        pooled(Bits, SMALL.replace(vae_type="RNN")).generate(**arguments)


@pytest.mark.parametrize("vae_type", SOME_CORES)
def test_lengths_temperatures_and_batches_are_traced_at_most_twice(waves, observed):
    functions = waves._extend, waves._log_prob
    before = [function.experimental_get_tracing_count() for function in functions]
    for size in (3, 4, 5):
        waves.generate(2, size)
        waves.generate(2, size, temperature=size / 2)
        waves.log_prob(observed[:, :size])
    for function, count in zip(functions, before, strict=True):
        assert function.experimental_get_tracing_count() <= count + 2


def test_wrong_shapes_are_refused_with_the_expected_one(waves):
    with pytest.raises(
        ValueError, match=r"observed must have the shape \[B, T, 2\], not \(4, 6, 3\)"
    ):
        waves.infer(np.zeros([4, 6, 3]))
    with pytest.raises(ValueError, match=r"inputs must be None: .* without inputs_spec"):
        waves.infer(np.zeros([4, 6, 2]), np.zeros([4, 6, 1]))


def test_missing_methods_of_a_subclass_are_named():
    with pytest.raises(NotImplementedError, match="ModelBase must define make_encoder"):
        vaeseq.ModelBase()


class Driven(vaeseq.ModelBase):
    """Joint observations, inputs and a history, as music and games have."""

    def __init__(self, hparams):
        super().__init__(hparams, inputs_spec=tf.TensorSpec([3]))

    def make_encoder(self):
        return codec.MLPObsEncoder(self.hparams)

    def make_decoder(self):
        parts = [codec.BetaDecoder([4]), codec.BinomialDecoder(4)]
        return codec.MLPObsDecoder(self.hparams, codec.JointDecoder(parts))

    def make_context(self):
        return Accumulate(self.encoder, self.encoded_size, history_size=3)


def test_joint_observations_inputs_and_histories(vae_type):
    model = Driven(SMALL.replace(vae_type=vae_type, log_prob_samples=2))
    inputs = np.random.default_rng(0).normal(size=[2, 5, 3]).astype(np.float32)
    observed = model.generate(2, inputs=inputs)
    assert [x.shape.as_list() for x in observed] == [[2, 5, 4], [2, 5]]
    log_prob = model.log_prob(observed, inputs)
    assert log_prob.shape == (2,)
    assert np.abs(model.log_prob(observed, inputs + 1) - log_prob).max() > 0
    model.compile(run_eagerly=True)
    batch = {"observed": observed, "inputs": inputs, "lengths": np.array([5, 3])}
    before = model.get_weights()
    model.fit(tf.data.Dataset.from_tensors(batch), shuffle=False, verbose=0)
    assert all(np.abs(x - y).max() > 0 for x, y in zip(before, model.get_weights(), strict=True))
