"""Variations: the sequence itself at amount 0, free samples at amount 1."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import SMALL, Waves, assert_close
from vaeseq.model.latent_space import GREEDY


@pytest.fixture
def rnn(pooled):
    return pooled(Waves, SMALL.replace(vae_type="RNN"))


@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_amount_1_samples_freely(waves, observed, temperature):
    free = waves.generate(8, 6, temperature=temperature, seed=3)
    assert_close(waves.vary(observed, 1, 2, temperature=temperature, seed=3), free)


def test_amount_0_is_the_sequence_or_its_reconstruction(waves, seq_vae, rnn, observed):
    still = waves.vary(observed, 0, 2, temperature=GREEDY, seed=1)
    assert still.shape == (8, 6, 2)
    assert_close(still, waves.vary(observed, 0, 2, temperature=GREEDY, seed=2), 1e-3)
    assert_close(still[::2], still[1::2], 1e-3)
    if waves is rnn:
        assert_close(waves.vary(observed, 0, seed=3), observed)
    if waves is seq_vae:
        assert_close(still[::2], seq_vae.reconstruct(observed), 1e-3)
        decoded = seq_vae.decode(seq_vae.encode(observed).loc, 6, seed=3)
        assert_close(seq_vae.vary(observed, 0, seed=3), decoded)


def test_the_noise_behind_a_sequence_gives_its_latents(waves, observed):
    """With x_1:T given, the prior makes the posterior mean of it."""
    prepared = waves.prepare(observed)
    noise = waves._noise_behind(*prepared)
    state = waves.initial_state(4)
    given = waves.condition(*prepared, state.context)
    nothing = tf.zeros_like(noise)
    inferred, _ = waves.core.unroll(given.contexts, state.core, nothing, given.evidence)
    made, _ = waves.core.unroll(given.contexts, state.core, noise)
    assert_close(made.latents, inferred.latents)


def test_a_larger_amount_leads_farther_away(waves, observed):
    """All have the same random numbers."""
    still = waves.vary(observed[:1], 0, 200, seed=1)
    distances = [
        float(
            tf.norm(waves.vary(observed[:1], amount, 200, seed=1) - still, axis=-1).numpy().mean()
        )
        for amount in (0.1, 0.4, 0.7, 1.0)
    ]
    assert distances == sorted(distances) and distances[0] < 0.5 * distances[-1]


def test_without_latents_a_share_of_the_steps_is_sampled(rnn, observed):
    few, many = (np.array(rnn.vary(observed, amount, 100, seed=1)) for amount in (0.3, 0.6))
    given = np.repeat(observed, 100, axis=0)
    kept_few, kept_many = ((x == given).all(axis=-1) for x in (few, many))
    assert kept_few.mean() == pytest.approx(0.7, abs=0.05)
    assert kept_many.mean() == pytest.approx(0.4, abs=0.05)
    assert (kept_few >= kept_many).all(), "a larger amount keeps fewer of the same steps"


def test_steps_of_a_group_are_kept_together(rnn, observed):
    groups = np.tile([0, 0, 0, 3, 3, 5], [4, 1])
    varied = np.array(rnn.vary(observed, 0.5, 50, groups=groups))
    kept = (varied == np.repeat(observed, 50, axis=0)).all(axis=-1)
    assert (kept[:, :3] == kept[:, :1]).all() and (kept[:, 3] == kept[:, 4]).all()
    assert 0.3 < (kept[:, 0] == kept[:, 3]).mean() < 0.7


def test_what_is_no_amount_is_refused(rnn, observed):
    for amount in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="amount must be from 0 to 1, not"):
            rnn.vary(observed, amount)
    with pytest.raises(ValueError, match="num_samples must be at least 1, not 0"):
        rnn.vary(observed, 0.5, 0)
