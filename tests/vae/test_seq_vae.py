"""SEQVAE: one latent variable for the whole sequence, and measures against its collapse."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import SMALL, Bits, Waves, assert_close
from vaeseq.model import latent_usage
from vaeseq.vae.latent import Gaussian

SEQVAE = SMALL.replace(vae_type="SEQVAE")


@pytest.fixture
def model(pooled):
    return pooled(Waves, SEQVAE)


def test_all_steps_share_one_z_whose_kl_counts_at_the_first_step(model, observed):
    inference, _ = model.infer(observed)
    z = inference.steps.latents
    assert_close(z, tf.repeat(z[:, :1], 6, axis=1))
    assert np.min(inference.kl[:, 0]) > 0 and np.all(inference.kl[:, 1:] == 0)
    expected = model.encode(observed).dist().kl_divergence(Gaussian(0.0, tf.ones([4, 3])).dist())
    assert_close(inference.kl[:, 0], expected)
    assert np.all(inference.log_ratio[:, 1:] == 0)


def test_the_posterior_depends_on_the_whole_sequence_but_not_on_padding(model, observed):
    changed = observed.copy()
    changed[:, 5] += 1
    assert np.abs(model.encode(observed).loc - model.encode(changed).loc).min() > 0
    lengths = [5, 5, 5, 5]
    assert_close(*(model.encode(x, lengths=lengths) for x in (observed, changed)))


def test_continuing_from_a_state_keeps_its_z(model, observed):
    inference, state = model.infer(observed)
    again, _ = model.infer(observed, state=state, seed=7)
    assert_close(again.steps.latents[:, 0], inference.steps.latents[:, 0])
    assert np.all(again.kl == 0)


@pytest.mark.parametrize("segment", [0, 4])
@pytest.mark.parametrize("use_z_inputs", [True, False])
def test_z_reaches_every_observation(use_z_inputs, segment, observed):
    model = Waves(SEQVAE.replace(seqvae_use_z_inputs=use_z_inputs, seqvae_segment=segment))
    params = []
    for z in (tf.zeros([4, 6, 3]), tf.ones([4, 6, 3])):
        state = model.initial_state(4)
        contexts, _ = model.context.from_observations(tf.constant(observed), (), state.context)
        steps, _ = model.core.unroll(contexts, state.core, z, latents=z)
        params.append(steps.obs_params[0])
    assert np.abs(params[0] - params[1]).min(axis=(0, 2)).min() > 0
    low = model.core.d_rnn.low if segment else model.core.d_rnn
    seen = (5 if segment else 3) if use_z_inputs else 0  # of the embedding, or z
    assert low.layers[0].kernel.shape[0] == 6 + seen


@pytest.fixture
def in_segments(pooled):
    """A model with segments of 4 steps, of which two have parts of z."""
    return pooled(Waves, SEQVAE.replace(seqvae_segment=4, seqvae_parts=2))


def test_given_z_and_its_context_a_segment_does_not_depend_on_earlier_ones(in_segments, observed):
    changed = observed.copy()
    changed[:, :3] += 1  # x_4 is c_5, which the second segment sees
    params = []
    for x in (observed, changed):
        state = in_segments.initial_state(4)
        contexts, _ = in_segments.context.from_observations(tf.constant(x), (), state.context)
        z = tf.zeros([4, 6, 3])
        params.append(in_segments.core.unroll(contexts, state.core, z, latents=z)[0].obs_params[0])
    differs = np.abs(params[0] - params[1]).max(axis=(0, 2)) > 1e-6
    assert differs.tolist() == [False, True, True, True, False, False]


def test_what_segments_say_is_added_to_the_mean_of_z_and_seen_again_at_first(in_segments, observed):
    core = in_segments.core
    summary, parts = tf.random.normal([2, 10]), tf.random.normal([2, 4])
    posterior = core.posterior(tf.concat([summary, parts], axis=1))
    told = core.q(tf.concat([summary, parts], axis=1))
    assert_close(posterior.loc, told.loc + parts[:, :3])
    assert_close(posterior.scale, told.scale)
    untrained = Waves(in_segments.hparams)
    (d_state, _, _) = untrained.core.begin(parts[:, :3])
    assert_close(d_state.topic, tf.concat([parts[:, :3], [[0.0], [0.0]]], axis=1))


def test_each_row_of_a_window_goes_on_where_its_segment_stopped(in_segments, observed):
    """Windows of rows of different lengths are the rows, each inferred as one sequence."""
    lengths = [6, 2, 4, 1]
    first, state = in_segments.infer(observed, lengths=lengths)
    assert state.core[0].place[:, 0].numpy().tolist() == [6, 2, 4, 1]
    then = observed[:, ::-1]
    second, _ = in_segments.infer(then, state=state)
    for row, length in enumerate(lengths):
        joined = np.concatenate([observed[row, :length], then[row]])[None]
        start = in_segments.initial_state(1)
        contexts, _ = in_segments.context.from_observations(tf.constant(joined), (), start.context)
        z = tf.repeat(first.steps.latents[row : row + 1, :1], length + 6, axis=1)
        whole = in_segments.core.infer(contexts, joined, start.core, z, latents=z)
        assert_close(first.log_prob[row, :length], whole.log_prob[0, :length])
        assert_close(second.log_prob[row], whole.log_prob[0, length:])


def test_sequences_go_on_beyond_the_trained_size(in_segments):
    """A new segment begins after each 4 steps, as far as one likes."""
    z = tf.random.stateless_normal([2, 3], [1, 2])
    samples = in_segments.decode(z, 21)
    assert samples.shape == (2, 21, 2) and np.isfinite(samples).all()
    np.testing.assert_array_equal(samples[:, :6], in_segments.decode(z, 6))
    _, state = in_segments.extend(in_segments.state_from_latents(z), 2, 21)
    assert state.core[0].place.numpy().tolist() == [[5], [5]]


def test_batch_norm_keeps_the_kl_above_its_lower_bound(observed):
    gamma = 0.7
    model = Waves(SEQVAE.replace(seqvae_batch_norm=gamma))
    model.core.q.mlp.layers[-1].kernel.assign(0.1 * model.core.q.mlp.layers[-1].kernel)
    contexts, _ = model.context.from_observations(
        tf.constant(observed), (), model.context.initial_state(4)
    )
    evidence = model.core.encode(contexts, observed)[:, 0]
    loc = gamma * model.core.normalise(model.core.q(evidence).loc, training=True)
    np.testing.assert_allclose(np.std(loc, axis=0), gamma, rtol=0.05)
    inference = model(observed, training=True)
    lower_bound = 3 * gamma**2 / 2  # latent_size is 3
    assert np.mean(np.sum(inference.kl, axis=1)) >= 0.9 * lower_bound
    # The moving statistics, used for a single sequence, are part of the weights.
    assert len(model.non_trainable_weights) == 2


def test_batch_norm_prevents_collapse_when_the_kl_has_a_large_weight():
    observed = np.random.default_rng(0).integers(2, size=[64, 5]).astype(np.int32)
    kls = {}
    for gamma in (0.0, 0.6):
        model = Bits(
            SEQVAE.replace(
                seqvae_batch_norm=gamma,
                seed=1,
                divergence_schedule="constant",
                divergence_strength_end=20.0,
                learning_rate=0.02,
            )
        )
        model.compile()
        model.fit(tf.data.Dataset.from_tensors(observed).repeat(150), verbose=0)
        kls[gamma] = float(np.mean(np.sum(model(observed, training=True).kl, axis=1)))
        used = latent_usage.latent_usage(model, [(observed, [5] * 64)])
        assert (used.active_units == 0) == (gamma == 0), "latent_usage reports the collapse"
    assert kls[0.0] < 0.05
    assert kls[0.6] >= 0.95 * 3 * 0.6**2 / 2
