"""Which variables belong to the posterior alone, and when they are updated."""

import numpy as np
import pytest
import tensorflow as tf

import vaeseq
from tests.conftest import SMALL, Waves
from vaeseq import context
from vaeseq.vae import VAECore, lagging

CORES = {name: SMALL.replace(vae_type=name) for name in sorted(vaeseq.VAE_TYPES) if name != "RNN"}
CORES["SEQVAE in segments"] = CORES["SEQVAE"].replace(seqvae_segment=4)


class WithoutContext(Waves):
    """Only the posterior sees observations."""

    def make_context(self):
        return context.Nothing()


def test_of_four_updates_three_are_of_the_posterior():
    hparams = SMALL.replace(posterior_steps=6, posterior_updates=3)
    letters = "".join(lagging.part(hparams, step)[0] for step in range(8))
    assert letters == "pppgppaa"
    assert lagging.part(SMALL, 0) == "all"


def variables_of(model, part):
    others = model.context, model.decoder
    return lagging.variables_of(part, model.trainable_variables, model.core, others)


@pytest.mark.parametrize("name", CORES)
def test_the_generative_variables_are_those_of_the_density_of_x_and_z(name, pooled, observed):
    """log p(x, z) at given z has a gradient with respect to all of them and to no other."""
    model = pooled(Waves, CORES[name])
    core, (rows, time) = model.core, observed.shape[:2]
    state = model.initial_state(rows)
    z = 3 * tf.random.stateless_normal([rows, time, core.latent_size], [1, 2])
    z = z[:, :1] + 0 * z if core.has_sequence_latent else z
    variables = model.trainable_variables
    with tf.GradientTape() as tape:
        contexts, _ = model.context.from_observations(tf.constant(observed), (), state.context)
        given = core.infer(contexts, observed, state.core, z, latents=z)
        log_p = given.log_prob + tf.reduce_sum(given.steps.prior.unit_log_prob(z), axis=-1)
    pairs = zip(variables, tape.gradient(log_p, variables), strict=True)
    reached = [x for x, y in pairs if y is not None and np.any(tf.convert_to_tensor(y) != 0)]
    generative, posterior = (variables_of(model, part) for part in ("generative", "posterior"))
    assert [x.path for x in reached] == [x.path for x in generative]
    assert {id(x) for x in reached} == {id(x) for x in generative}
    assert posterior and len(posterior) + len(generative) == len(variables)


def test_an_encoder_that_the_context_does_not_use_is_the_posteriors(pooled):
    for make, expected in ((Waves, "generative"), (WithoutContext, "posterior")):
        model = pooled(make, CORES["DKF"])
        own = {id(x) for x in variables_of(model, expected)}
        assert {id(x) for x in model.encoder.trainable_variables} < own


def test_a_core_without_latents_has_no_posterior_to_train():
    with pytest.raises(vaeseq.UsageError, match="posterior_steps=5 needs latent variables, and RN"):
        Waves(SMALL.replace(vae_type="RNN", posterior_steps=5))


def test_a_core_that_does_not_say_what_is_its_posteriors_is_refused(monkeypatch):
    class Own(vaeseq.VAE_TYPES["ISEQ"]):
        posterior_layers = VAECore.posterior_layers

    monkeypatch.setitem(vaeseq.VAE_TYPES, "OWN", Own)
    with pytest.raises(vaeseq.UsageError, match="Own must define posterior_layers"):
        Waves(SMALL.replace(vae_type="OWN", posterior_steps=5))
