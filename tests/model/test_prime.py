"""Every continuation of a sequence has its own sample of the latents."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import SMALL, Waves, assert_close


def test_states_of_a_row_have_their_own_latents_from_its_posterior(seq_vae, observed):
    states = seq_vae.prime(observed[:2], 400)
    z = np.reshape(states.core[1], [2, 400, 3])  # the state of SeqVAE is (d, z, begun)
    posterior = seq_vae.encode(observed[:2])
    np.testing.assert_allclose(z.mean(axis=1), posterior.loc, atol=0.25)
    np.testing.assert_allclose(z.std(axis=1), posterior.scale, rtol=0.15)


def test_futures_of_one_prefix_have_the_spread_of_the_posterior(seq_vae, observed):
    """With d_0(z) large, the first step of a future shows its z."""
    cold = {"temperature": 1e-8, "seed": 1}
    futures = seq_vae.generate(50, 1, prefix=observed[:1], **cold)
    one = seq_vae.generate(50, 1, state=repeated(seq_vae.infer(observed[:1])[1], 50), **cold)
    assert np.ptp(futures, axis=0).min() > 10 * np.ptp(one, axis=0).max(), "one z has one mode"


def test_rows_of_a_prefix_are_continued_each(waves, observed):
    together = waves.prime(observed, lengths=[6, 2, 4, 1])
    assert all(x.shape[0] == 4 for x in tf.nest.flatten(together))
    futures = waves.generate(prefix=observed, sequence_size=3)
    assert futures.shape == (4, 3, 2)
    assert waves.generate(4, 3, prefix=observed).shape == (4, 3, 2)


def test_a_core_without_latents_has_one_state_for_all_samples(pooled, observed):
    model = pooled(Waves, SMALL.replace(vae_type="RNN"))
    states = model.prime(observed, 3, lengths=[6, 2, 4, 1])
    assert_close(states, repeated(model.infer(observed, lengths=[6, 2, 4, 1])[1], 3))


def test_one_sample_of_a_row_is_what_infer_draws(waves, observed):
    assert_close(waves.prime(observed, seed=3), waves.infer(observed, seed=3)[1])


def test_reading_in_two_parts_is_reading_at_once(pooled, observed):
    model = pooled(Waves, SMALL.replace(vae_type="RNN"))
    before = model.prime(observed[:, :4])
    assert_close(model.prime(observed[:, 4:], state=before), model.prime(observed))


def test_sizes_that_do_not_match_are_refused(waves, observed):
    _, state = waves.infer(observed)
    with pytest.raises(ValueError, match=r"the state has 4 rows, not batch_size = 3; `prime`"):
        waves.generate(3, 2, state=state)
    with pytest.raises(ValueError, match="prefix must have 1 or batch_size = 3 rows, not 4"):
        waves.generate(3, 2, prefix=observed)
    with pytest.raises(ValueError, match="either a prefix or a state"):
        waves.generate(4, 2, prefix=observed, state=state)
    with pytest.raises(ValueError, match="num_samples must be at least 1, not 0"):
        waves.prime(observed, 0)
    assert waves.generate(state=state, sequence_size=2).shape == (4, 2, 2)


def repeated(state, times):
    return tf.nest.map_structure(lambda x: tf.repeat(x, times, axis=0), state)
