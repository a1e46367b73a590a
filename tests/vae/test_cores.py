"""The contract of a core, over all of them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import vaeseq
from tests.conftest import SMALL, Waves, assert_close
from vaeseq import vae
from vaeseq.vae import VAECore


@pytest.fixture
def given(waves, observed):
    """Contexts, initial state and noise for the core of `waves`."""
    rows, steps = observed.shape[:2]
    state = waves.initial_state(rows)
    contexts, _ = waves.context.from_observations(tf.constant(observed), (), state.context)
    noise = tf.random.stateless_normal([rows, steps, waves.core.latent_size], [1, 2])
    return contexts, state.core, noise


def test_unroll_is_the_scanned_step(waves, observed, given):
    contexts, state, noise = given
    evidence = waves.core.encode(contexts, observed)
    latents = tf.random.stateless_normal(noise.shape, [3, 4])
    for optional in ((None, None), (evidence, None), (None, latents)):
        fused = waves.core.unroll(contexts, state, noise, *optional)
        scanned = VAECore.unroll(waves.core, contexts, state, noise, *optional)
        assert_close(fused, scanned)


def test_what_was_generated_is_drawn_again_from_the_params_inferred_for_it(waves):
    core, steps, seed = waves.core, 6, tf.constant([5, 6])
    states = waves.initial_state(4)
    noise = tf.random.stateless_normal([4, steps, core.latent_size], [1, 2])
    drawn, after = core.generate(waves.context, (), states, noise, seed)
    contexts, _ = waves.context.from_observations(drawn, (), states.context)
    replay, core_states = core.unroll(contexts, states.core, noise)
    for t in range(steps):
        params = tf.nest.map_structure(lambda x, t=t: x[:, t], replay.obs_params)
        step_seed = tf.random.experimental.stateless_fold_in(seed, t)
        assert_close(core.decoder.sample(params, step_seed), drawn[:, t])
    assert_close(tf.nest.map_structure(lambda x: x[:, -1], core_states), after[1])


def test_a_decoder_that_sees_the_context_has_its_gradient(vae_type, observed):
    """With d_t made constant, the params of x_t still depend on c_t."""
    keras.utils.set_random_seed(0)
    hparams = SMALL.replace(vae_type=vae_type)
    for sees in (False, True):
        core = Waves(hparams.replace(decoder_sees_context=sees)).core
        for weight in core.d_rnn.weights:
            weight.assign(tf.zeros_like(weight))
        noise = tf.zeros([2, 3, core.latent_size])
        contexts = ((), tf.random.stateless_normal([2, 3, 6], [1, 2]))
        step, _ = core.unroll(contexts, core.initial_state(2), noise, latents=noise)
        scanned, _ = VAECore.unroll(core, contexts, core.initial_state(2), noise, latents=noise)
        assert_close(step, scanned)
        means = step.obs_params[0]
        assert np.allclose(means[:, 0], means[:, 1]) != sees


def test_later_observations_do_not_change_earlier_params(waves, observed):
    later = observed.copy()
    later[:, 3:] += 1
    params = []
    for x in (observed, later):
        state = waves.initial_state(4)
        contexts, _ = waves.context.from_observations(tf.constant(x), (), state.context)
        z = tf.random.stateless_normal([4, 6, waves.core.latent_size], [1, 2])
        steps, _ = waves.core.unroll(contexts, state.core, z, latents=z)
        params.append(steps.obs_params)
    upto = [tf.nest.map_structure(lambda x: x[:, :4], p) for p in params]
    assert_close(*upto)
    after = [p[0][:, 4:].numpy() for p in params]
    assert np.abs(after[0] - after[1]).max() > 1e-4


def test_kl_is_not_negative_and_vanishes_without_evidence(waves, observed, given):
    contexts, state, noise = given
    inference = waves.core.infer(contexts, observed, state, noise)
    assert np.min(inference.kl) >= 0
    steps, _ = waves.core.unroll(contexts, state, noise)
    assert_close(steps.posterior, steps.prior)


def test_latent_cores_have_a_posterior_of_their_own(waves, observed):
    inference, _ = waves.infer(observed)
    assert (np.max(inference.kl) > 1e-3) == (waves.core.latent_size > 0)


def test_rows_are_independent(waves, observed, given):
    contexts, state, noise = given
    row = lambda nest: tf.nest.map_structure(lambda x: x[1:2], nest)  # noqa: E731
    whole = waves.core.infer(contexts, observed, state, noise)
    alone = waves.core.infer(row(contexts), observed[1:2], row(state), row(noise))
    assert_close(row(whole), alone)


def test_eager_graph_and_xla_agree(waves, observed, given):
    contexts, state, noise = given

    def infer(contexts, observed, state, noise):
        inference = waves.core.infer(contexts, observed, state, noise)
        return inference.log_prob, inference.kl

    def gradient(*args):
        with tf.GradientTape() as tape:
            loss = tf.add_n([tf.reduce_sum(x) for x in infer(*args)])
        return [g for g in tape.gradient(loss, waves.trainable_variables) if g is not None]

    args = contexts, tf.constant(observed), state, noise
    for function in (infer, gradient):
        eager = function(*args)
        assert_close(tf.function(function, autograph=False)(*args), eager, 1e-4)
        compiled = tf.function(function, autograph=False, jit_compile=True)
        assert_close(compiled(*args), eager, 1e-4)


def test_every_variable_gets_a_finite_gradient(waves, observed):
    with tf.GradientTape() as tape:
        inference, _ = waves.infer(observed)
        loss = tf.reduce_sum(inference.kl - inference.log_prob)
    for variable, gradient in zip(
        waves.trainable_variables, tape.gradient(loss, waves.trainable_variables), strict=True
    ):
        assert gradient is not None, variable.path
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0, variable.path


def test_padding_does_not_matter(waves, observed):
    lengths = [6, 2, 4, 1]

    padded = observed.copy()
    for row, length in enumerate(lengths):
        padded[row, length:] = 1e3
    inference, state = waves.infer(padded, lengths=lengths, seed=0)

    for row, length in enumerate(lengths):
        assert np.all(inference.log_prob[row, length:] == 0)
        assert np.all(inference.kl[row, length:] == 0)
        # The same noise, so the same inference as of the row cut to its length.
        contexts, context_states = waves.context.from_observations(
            tf.constant(observed[row : row + 1, :length]), (), waves.context.initial_state(1)
        )
        drawn = waves.noise(4, 6, 0)[row : row + 1, :length]
        alone = waves.core.infer(
            contexts, observed[row : row + 1, :length], waves.core.initial_state(1), drawn
        )
        assert_close(inference.log_prob[row, :length], alone.log_prob[0])
        assert_close(inference.kl[row, :length], alone.kl[0])
        end = tf.nest.map_structure(lambda x: x[:, -1], (context_states, alone.states))
        ours = tf.nest.map_structure(lambda x, row=row: x[row : row + 1], tuple(state))
        assert_close(ours, end)


def test_two_halves_in_turn_are_the_whole(waves, observed, given):
    contexts, state, noise = given
    part = lambda nest, s: tf.nest.map_structure(lambda x: x[:, s], nest)  # noqa: E731
    whole, _states = waves.core.unroll(contexts, state, noise)
    first, between = waves.core.unroll(part(contexts, slice(0, 2)), state, noise[:, :2])
    between = tf.nest.map_structure(lambda x: x[:, -1], between)
    second, _ = waves.core.unroll(part(contexts, slice(2, None)), between, noise[:, 2:])
    assert_close(part(whole, slice(0, 2)), first)
    assert_close(part(whole, slice(2, None)), second)


def test_monte_carlo_kl_is_the_log_ratio(vae_type, observed):
    model = Waves(SMALL.replace(vae_type=vae_type, use_monte_carlo_kl=True))
    inference, _ = model.infer(observed)
    assert_close(inference.kl, inference.log_ratio)


def test_srnn_posterior_mean_is_a_residual_to_the_prior(observed):
    with_residual = Waves(SMALL.replace(vae_type="SRNN"))
    without = Waves(SMALL.replace(vae_type="SRNN", srnn_use_res_q=False))
    without.set_weights(with_residual.get_weights())
    means = [
        model.infer(observed)[0].steps.posterior.loc[:, 0] for model in (with_residual, without)
    ]
    prior = without.infer(observed)[0].steps.prior.loc[:, 0]
    assert_close(means[0], means[1] + prior)


def test_an_unknown_core_is_refused_with_the_nearest_name():
    with pytest.raises(vaeseq.UsageError, match="did you mean 'SRNN'"):
        vae.make(SMALL.replace(vae_type="SRN"), None, None)
