"""The distribution of z_t given x_1:t, for cores that filter."""

import numpy as np
import pytest

import vaeseq
from tests.conftest import SMALL, Waves


def test_filtering_ignores_what_follows_and_knows_the_rest(pooled, observed):
    model = pooled(Waves, SMALL.replace(vae_type="VRNN"))
    changed = observed.copy()
    changed[:, 3] += 1
    first, second = model.filter(observed, 8), model.filter(changed, 8)
    assert isinstance(first, vaeseq.Gaussian) and isinstance(first.loc, np.ndarray)
    for before, after in zip(first, second, strict=True):
        assert before.shape == (4, 6, 3)
        np.testing.assert_allclose(before[:, :3], after[:, :3], 1e-5, 1e-6)
        assert np.all(np.abs(before - after)[:, 3:].max(axis=(0, 2)) > 1e-6)


def test_filtering_is_the_posterior_over_all_samples_of_the_steps_before(pooled, observed):
    model = pooled(Waves, SMALL.replace(vae_type="VRNN"))
    for weight in (model.core.z_to_d.kernel, model.core.q.of_latents.kernel):
        weight.assign(4 * weight)  # so that what is sampled matters to the posteriors after it
    filtered = model.filter(observed, 500)
    inference, _ = model.infer(observed)
    for values, alone in zip(filtered, inference.steps.posterior, strict=True):
        np.testing.assert_allclose(values[:, 0], alone[:, 0], 1e-4, 1e-5)  # no z before the first
    samples = model.smooth(observed, 500, seed=1).latents
    np.testing.assert_allclose(filtered.loc, samples.mean(axis=0), atol=0.25)
    np.testing.assert_allclose(filtered.scale, samples.std(axis=0), rtol=0.2)


@pytest.mark.parametrize(
    ("vae_type", "message"),
    [
        ("SRNN", "SRNN needs the whole sequence: `smooth` .* x_1:T; .* vae_type=VRNN"),
        ("RNN", "RNN has no latent variables; .* vae_type=VRNN"),
    ],
)
def test_without_a_filtering_posterior_the_error_names_what_is_possible(
    pooled, observed, vae_type, message
):
    model = pooled(Waves, SMALL.replace(vae_type=vae_type))
    with pytest.raises(vaeseq.UsageError, match=message):
        model.filter(observed)
