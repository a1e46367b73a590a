"""The laws of the core contract, tested over all cores."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

import vaeseq
from tests.conftest import SMALL, Waves, assert_close
from vaeseq import vae
from vaeseq.vae import VAECore

CELLS = {
    "lstm": {},
    "mingru": {"rnn_cell": "mingru", "rnn_hidden_sizes": (5, 5)},
}
CATEGORICAL = {"latent_kind": "categorical", "latent_groups": 2, "latent_classes": 3}
CORES = {name: SMALL.replace(vae_type=name) for name in sorted(vaeseq.VAE_TYPES)}
CORES |= {f"{name} categorical": CORES[name].replace(**CATEGORICAL) for name in ("SRNN", "VRNN")}
CORES["SEQVAE in segments"] = CORES["SEQVAE"].replace(seqvae_segment=4)
all_cells = pytest.mark.parametrize("rnn_cell", CELLS)


@pytest.fixture
def rnn_cell():
    """The recurrence, for laws that are tested with one only."""
    return "lstm"


@pytest.fixture(params=CORES)
def small(request):
    """Hyperparameters of a small model of each core."""
    return CORES[request.param]


@pytest.fixture
def vae_type(small):
    return small.vae_type


@pytest.fixture
def waves(small, rnn_cell, pooled):
    if rnn_cell not in vaeseq.VAE_TYPES[small.vae_type].rnn_cells:
        rnn_cell = "lstm"  # all that this core can use
    return pooled(Waves, small.replace(**CELLS[rnn_cell]))


@pytest.fixture
def given(waves, observed):
    """The contexts, initial state and noise for the core of `waves`."""
    batch, time = observed.shape[:2]
    state = waves.initial_state(batch)
    contexts, _ = waves.context.from_observations(tf.constant(observed), (), state.context)
    noise = tf.random.stateless_normal([batch, time, waves.core.latent_size], [1, 2])
    return contexts, state.core, noise


def at(index, nest):
    """Indexes or slices each tensor of a nest: `at(np.s_[:, 0], nest)`."""
    return tf.nest.map_structure(lambda x: x[index], nest)


@all_cells
def test_unroll_equals_the_scanned_step(waves, observed, given):
    contexts, state, noise = given
    evidence = waves.core.encode(contexts, observed)
    latents = tf.random.stateless_normal(noise.shape, [3, 4])
    for optional in ((None, None), (evidence, None), (None, latents)):
        fused = waves.core.unroll(contexts, state, noise, *optional)
        scanned = VAECore.unroll(waves.core, contexts, state, noise, *optional)
        assert_close(fused, scanned)


@pytest.mark.parametrize("temperature", [None, 0.5])
def test_unroll_replays_what_generate_sampled(waves, temperature):
    core, steps, seed = waves.core, 6, tf.constant([5, 6])
    states = waves.initial_state(4)
    noise = tf.random.stateless_normal([4, steps, core.latent_size], [1, 2])
    samples, after = core.generate(waves.context, (), states, noise, seed, temperature)
    contexts, _ = waves.context.from_observations(samples, (), states.context)
    replay, core_states = core.unroll(contexts, states.core, noise)
    params = replay.obs_params
    if temperature is not None:
        params = core.decoder.temper(params, temperature)
    for t in range(steps):
        step_seed = tf.random.experimental.stateless_fold_in(seed, t)
        assert_close(core.decoder.sample(at(np.s_[:, t], params), step_seed), samples[:, t])
    assert_close(at(np.s_[:, -1], core_states), after[1])


def test_only_a_decoder_that_sees_the_context_depends_on_it_directly(small, pooled):
    """If d_t is constant, the params of x_t depend on c_t only with `decoder_sees_context`."""
    for sees in (False, True):
        core = pooled(Waves, small.replace(decoder_sees_context=sees)).core
        for weight in core.d_rnn.weights if small.vae_type != "DKF" else ():  # which has no d_t
            weight.assign(tf.zeros_like(weight))
        noise = tf.zeros([2, 3, core.latent_size])
        contexts = ((), tf.random.stateless_normal([2, 3, 6], [1, 2]))
        step, _ = core.unroll(contexts, core.initial_state(2), noise, latents=noise)
        scanned, _ = VAECore.unroll(core, contexts, core.initial_state(2), noise, latents=noise)
        assert_close(step, scanned)
        means = step.obs_params[0]
        assert np.allclose(means[:, 0], means[:, 1]) != sees


class Stateless(vaeseq.VAECore):
    def __init__(self, hparams, encoder, decoder, name=None):
        super().__init__(hparams, encoder, decoder, name=name)
        self.latent_size = hparams.latent_size

    def initial_state(self, batch_size):
        return ()

    def step(self, context, state, noise, *, evidence=None, latents=None):
        prior = vaeseq.Gaussian.standard_like(noise)
        z = prior.reparameterize(noise) if latents is None else latents
        return vaeseq.Step(self.decoder(vaeseq.concat((z, context))), z, prior, prior), state


def test_a_model_without_a_state_generates_and_a_core_with_latents_must_encode(monkeypatch):
    monkeypatch.setitem(vaeseq.VAE_TYPES, "STATELESS", Stateless)

    class Memoryless(Waves):
        def make_context(self):
            return vaeseq.context.Inputs()

    monkeypatch.setattr(Stateless, "encode", lambda self, c, x, lengths=None: x[..., :1])
    hparams = SMALL.replace(vae_type="STATELESS")
    model = Memoryless(hparams, tf.TensorSpec([1]))
    drawn = model.generate(2, 3, inputs=np.zeros([2, 3, 1]))
    assert drawn.shape == (2, 3, 2) and np.all(drawn[0] != drawn[1])
    monkeypatch.undo()
    monkeypatch.setitem(vaeseq.VAE_TYPES, "STATELESS", Stateless)
    with pytest.raises(NotImplementedError, match="Stateless must define encode"):
        Memoryless(hparams, tf.TensorSpec([1]))


def test_params_do_not_depend_on_later_observations(waves, vae_type, observed):
    changed = observed.copy()
    changed[:, 3:] += 1
    params = []
    for x in (observed, changed):
        state = waves.initial_state(4)
        contexts, _ = waves.context.from_observations(tf.constant(x), (), state.context)
        z = tf.random.stateless_normal([4, 6, waves.core.latent_size], [1, 2])
        steps, _ = waves.core.unroll(contexts, state.core, z, latents=z)
        params.append(steps.obs_params)
    assert_close(*(at(np.s_[:, :4], p) for p in params))
    later = [p[0][:, 4:].numpy() for p in params]
    # In a DKF, x_t depends on z_t alone.
    assert (np.abs(later[0] - later[1]).max() > 1e-4) == (vae_type != "DKF")


def test_a_filtering_posterior_and_no_other_ignores_later_observations(waves, observed, given):
    _, state, noise = given
    changed = observed.copy()
    changed[:, 3:] += 1
    posteriors = []
    for x in (observed, changed):
        context_state = waves.initial_state(4).context
        contexts, _ = waves.context.from_observations(tf.constant(x), (), context_state)
        evidence = waves.core.encode(contexts, x)
        posteriors.append(waves.core.unroll(contexts, state, noise, evidence)[0].posterior)
    first, second = (at(np.s_[:, :3], posterior)[0].numpy() for posterior in posteriors)
    ignores = np.allclose(first, second, atol=1e-6)
    assert ignores == (waves.core.filters or waves.core.latent_size == 0)


def test_features_of_a_state_known_online_are_what_the_decoder_decodes(waves, given):
    contexts, state, noise = given
    core = waves.core
    steps, states = core.unroll(contexts, state, noise)
    if core.latent_size and not core.filters:
        with pytest.raises(NotImplementedError, match="must define state_features"):
            core.state_features(states)
        return
    features = core.state_features(states)
    assert_close(core.decode(features), steps.obs_params)
    assert_close(core.state_features(at(np.s_[:, 2], states)), features[:, 2])


def test_infer_goes_on_from_the_state_that_it_returned(waves, observed):
    observed = observed[:1]  # the shapes of one row are also those of what is the same for all rows
    whole, _ = waves.infer(observed)
    state, log_prob = waves.initial_state(1), []
    for start, stop in itertools.pairwise((0, 3, 4, 6)):
        inference, state = waves.infer(observed[:, start:stop], state=state)
        log_prob.append(inference.log_prob)
    assert np.isfinite(np.concatenate(log_prob, axis=1)).all()
    if waves.core.latent_size == 0:
        assert_close(np.concatenate(log_prob, axis=1), whole.log_prob.numpy())


def test_kl_is_not_negative_and_is_zero_without_evidence(waves, observed, given):
    contexts, state, noise = given
    inference = waves.core.infer(contexts, observed, state, noise)
    assert np.min(inference.kl) >= -1e-6
    assert (np.max(inference.kl) > 1e-3) == (waves.core.latent_size > 0)
    steps, _ = waves.core.unroll(contexts, state, noise)
    assert_close(steps.posterior, steps.prior)


@all_cells
def test_sequences_of_a_batch_are_independent(waves, observed, given):
    contexts, state, noise = given
    batch = waves.core.infer(contexts, observed, state, noise)
    one = np.s_[1:2]
    alone = waves.core.infer(at(one, contexts), observed[one], at(one, state), noise[one])
    assert_close(at(one, batch), alone)


@pytest.fixture
def infer(waves):
    def infer(contexts, observed, state, noise):
        inference = waves.core.infer(contexts, observed, state, noise)
        return inference.log_prob, inference.kl

    return infer


@pytest.fixture
def infer_with_gradient(waves, infer):
    def infer_with_gradient(*args):
        with tf.GradientTape() as tape:
            outputs = infer(*args)
            loss = tf.add_n([tf.reduce_sum(x) for x in outputs])
        gradient = tape.gradient(loss, waves.core.trainable_variables)
        return outputs, [g for g in gradient if g is not None]

    return infer_with_gradient


def test_graph_and_xla_agree_with_eager(vae_type, observed, given, infer, infer_with_gradient):
    """XLA compiles inference of all cores, but the gradient only of the slowest to compile."""
    contexts, state, noise = given
    args = contexts, tf.constant(observed), state, noise
    eager = infer_with_gradient(*args)
    graph = tf.function(infer_with_gradient, autograph=False)
    assert_close(graph(*args), eager, 1e-4)
    if vae_type == "SRNN":
        compiled = tf.function(infer_with_gradient, autograph=False, jit_compile=True)
        assert_close(compiled(*args), eager, 1e-4)
    else:
        compiled = tf.function(infer, autograph=False, jit_compile=True)
        assert_close(compiled(*args), eager[0], 1e-4)


@pytest.mark.slow
def test_xla_gradient_agrees_with_eager(observed, given, infer_with_gradient):
    contexts, state, noise = given
    args = contexts, tf.constant(observed), state, noise
    compiled = tf.function(infer_with_gradient, autograph=False, jit_compile=True)
    assert_close(compiled(*args), infer_with_gradient(*args), 1e-4)


@all_cells
def test_every_variable_has_a_finite_gradient_that_is_not_zero(waves, observed):
    variables = waves.trainable_variables
    with tf.GradientTape() as tape:
        inference, _ = waves.infer(observed)
        loss = tf.reduce_sum(inference.kl - inference.log_prob)
    for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
        assert gradient is not None, variable.path
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0, variable.path


@all_cells
def test_padding_has_no_effect(waves, observed):
    lengths = [6, 2, 4, 1]
    padded = observed.copy()
    for row, length in enumerate(lengths):
        padded[row, length:] = 1e3
    inference, state = waves.infer(padded, lengths=lengths, seed=0)

    for row, length in enumerate(lengths):
        assert np.all(inference.log_prob[row, length:] == 0)
        assert np.all(inference.kl[row, length:] == 0)
        # The same inference as of the sequence alone, cut to its length, with the same noise.
        only, valid = slice(row, row + 1), np.s_[row : row + 1, :length]
        contexts, context_states = waves.context.from_observations(
            tf.constant(observed[valid]), (), waves.context.initial_state(1)
        )
        alone = waves.core.infer(
            contexts, observed[valid], waves.core.initial_state(1), waves.noise(4, 6, 0)[valid]
        )
        assert_close(inference.log_prob[row, :length], alone.log_prob[0])
        assert_close(inference.kl[row, :length], alone.kl[0])
        end = at(np.s_[:, -1], (context_states, alone.states))
        assert_close(at(only, tuple(state)), end)


@all_cells
def test_unrolling_two_halves_equals_unrolling_the_whole(waves, given):
    contexts, state, noise = given
    first_half, second_half = np.s_[:, :2], np.s_[:, 2:]
    whole, _ = waves.core.unroll(contexts, state, noise)
    first, states = waves.core.unroll(at(first_half, contexts), state, noise[first_half])
    middle = at(np.s_[:, -1], states)
    second, _ = waves.core.unroll(at(second_half, contexts), middle, noise[second_half])
    assert_close(at(first_half, whole), first)
    assert_close(at(second_half, whole), second)


def test_monte_carlo_kl_is_the_log_ratio(small, pooled, observed):
    model = pooled(Waves, small.replace(use_monte_carlo_kl=True))
    inference, _ = model.infer(observed)
    assert_close(inference.kl, inference.log_ratio)


def test_srnn_posterior_mean_is_a_residual_to_the_prior(pooled, observed):
    with_residual = pooled(Waves, SMALL.replace(vae_type="SRNN"))
    without = pooled(Waves, SMALL.replace(vae_type="SRNN", srnn_use_res_q=False))
    without.set_weights(with_residual.get_weights())
    state = without.initial_state(4)
    contexts, _ = without.context.from_observations(tf.constant(observed), (), state.context)
    evidence = without.core.encode(contexts, observed)
    z = tf.random.stateless_normal([4, 6, 3], [1, 2])
    steps = [
        model.core.unroll(contexts, state.core, z, evidence, latents=z)[0]
        for model in (with_residual, without)
    ]
    prior = steps[1].prior.loc
    assert np.abs(prior[:, 1:]).min() > 0  # the first prior has mean 0, since d_1 and z_0 are 0
    assert_close(steps[0].posterior.loc, steps[1].posterior.loc + prior)


def test_a_core_refuses_a_recurrence_that_it_cannot_use(monkeypatch):
    monkeypatch.setattr(vaeseq.VAE_TYPES["RNN"], "rnn_cells", ("lstm",))
    with pytest.raises(vaeseq.UsageError, match="RNN cannot use rnn_cell=mingru, only lstm"):
        Waves(SMALL.replace(vae_type="RNN", **CELLS["mingru"]))


@pytest.mark.parametrize("name", ["RNN", "SEQVAE"])
def test_a_core_refuses_latents_that_it_cannot_have(name):
    hparams = SMALL.replace(vae_type=name, latent_kind="categorical")
    message = f"{name} cannot have latent_kind=categorical; ISEQ, SRNN, VRNN, DKF can"
    with pytest.raises(vaeseq.UsageError, match=message):
        Waves(hparams)


def test_an_unknown_core_is_an_error_that_names_the_nearest():
    with pytest.raises(vaeseq.UsageError, match="did you mean 'SRNN'"):
        vae.make(SMALL.replace(vae_type="SRN"), None, None)
