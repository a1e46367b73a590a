"""Training as SeqGAN and SeqVAE were published."""

import itertools
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.adversarial.words import ADVERSARIAL, ALL, TIME, Words, batch, make
from tests.conftest import assert_close
from vaeseq import UsageError
from vaeseq.adversarial.rollouts import action_values, log_prob_with, sample

PUBLISHED = {
    "vae_type": "SEQVAE",
    "policy_gradient": "prefix",
    "policy_elbo": "kl",
    "policy_latents": "prior",
    "policy_log_prob": "encoded",
    "policy_elbo_steps": 1,
    "policy_judge_steps": 4,
    "policy_rollout_average": 0.8,
    "discriminator": "cnn",
    "discriminator_widths": (1, 2, 3),
    "discriminator_whole_windows": True,
    "discriminator_l2": 0.2,
    "discriminator_samples": 12,
    "discriminator_epochs": 2,
    "discriminator_updates": 2,
    "sequence_size": TIME,
    "batch_size": 6,
    "clip_gradient_norm": 0.1,
}


class Steps(keras.callbacks.Callback):
    """Records the weights before training and after each step, and counts updates."""

    def on_train_begin(self, logs=None):
        self.weights, self.counts = [], []
        self._record()

    def on_train_batch_end(self, batch, logs=None):
        self._record()

    def _record(self):
        adversary = self.model.adversary
        parts = self.model, adversary.discriminator
        self.weights.append([np.concatenate([np.ravel(x) for x in p.get_weights()]) for p in parts])
        optimizers = adversary.optimizer, adversary.policy_optimizer
        self.counts.append([int(x.iterations.numpy()) for x in optimizers])

    def changes(self):
        """Returns, for each step, whether generator and discriminator have changed."""
        pairs = itertools.pairwise(self.weights)
        return [tuple(bool(np.any(x != y)) for x, y in zip(*p, strict=True)) for p in pairs]


def data(repeats):
    """Returns batches of six sequences with lengths."""
    return tf.data.Dataset.from_tensors(
        {"observed": ALL[:6], "lengths": np.array([3, 2, 3, 1, 3, 3], np.int32)}
    ).repeat(repeats)


def test_the_phases_of_the_published_schedule_under_fit():
    """One step of the ELBO, a set (two batches, two epochs), then updates followed by a set."""
    model, steps = make(**PUBLISHED), Steps()
    model.fit(data(11), shuffle=False, verbose=0, callbacks=[steps])
    generator, discriminator = (True, False), (False, True)
    turn = [generator, *4 * [discriminator]]
    assert steps.changes() == [*turn, *turn, generator]
    judged = [0, 2, 4, 6, 8, 8, 10, 12, 14, 16, 16]  # two updates in each step
    assert [0, *judged] == [count for count, _ in steps.counts]
    assert [count for _, count in steps.counts] == [*6 * [0], *5 * [1], 2]
    assert model.trained_steps == 11


def test_kept_samples_are_those_of_the_first_epoch():
    model = make(**PUBLISHED)
    kept, found = model.adversary.kept, []

    class Kept(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            found.append([x.numpy() for x in [kept.lengths, *kept.arrays]])

    model.fit(data(6), shuffle=False, verbose=0, callbacks=[Kept()])
    lengths, symbols = found[-1]
    assert list(lengths) == 2 * [3, 2, 3, 1, 3, 3]
    assert np.any(symbols[:6]) and np.any(symbols[6:])
    assert not np.any(found[1][1][6:]), "the second part comes in the second step"
    for arrays in found[2:]:
        np.testing.assert_array_equal(arrays[1], symbols)
    observed, own = kept.part(tf.constant(1), has_lengths=True)
    np.testing.assert_array_equal(observed, symbols[6:])
    np.testing.assert_array_equal(own, lengths[6:])


def test_the_kl_alone_moves_the_posterior_alone():
    for elbo in ("kl", "none"):
        changes = {"policy_elbo": elbo, "policy_gradient_weight": 0.0, "policy_judge_steps": 0}
        model = make(**{**PUBLISHED, **changes, "policy_elbo_steps": 0})
        before = [x.numpy() for x in model.trainable_weights]
        model.fit(data(1), shuffle=False, verbose=0)
        pairs = zip(model.trainable_weights, before, strict=True)
        moved = {id(x) for x, value in pairs if np.any(value != x.numpy())}
        core = model.core
        generative = [*core.d_rnn.weights, *core.d_0.weights, *model.decoder.weights]
        assert not moved & {id(x) for x in generative}
        inference = [*core.q.weights, *core.e_rnn.weights, *core.f_rnn.weights]
        assert moved >= {id(x) for x in inference} if elbo == "kl" else not moved


def test_a_core_without_latents_has_no_kl():
    with pytest.raises(UsageError, match="policy_elbo=kl needs latent variables, and RNN has none"):
        make(policy_elbo="kl")


def test_the_encoded_log_probability_is_that_of_the_posterior_of_the_sample():
    """One latent unit: the expectation over it by quadrature, for all sequences."""
    errors = {}
    for kind in ("encoded", "sampled"):
        model = make(vae_type="SEQVAE", latent_size=1, policy_log_prob=kind)
        samples = sample(model, batch(np.tile(ALL, [1000, 1])), [1, 2])
        rows = samples.observed.numpy() @ [9, 3, 1]  # the number of each sequence in ALL
        log_prob, errors[kind] = samples.log_prob.numpy(), []
        for row, expected in enumerate(expected_log_probs(model)):
            own = log_prob[rows == row]
            if len(own) > 300:
                deviation = np.std(own, axis=0) / np.sqrt(len(own)) + 1e-4
                errors[kind].append(np.abs(own.mean(axis=0) - expected) / deviation)
        assert len(errors[kind]) > 8
    assert np.max(errors["encoded"]) < 4.5 < 10 < np.max(errors["sampled"]), "in deviations"


def expected_log_probs(model):
    """Returns the mean of log p(x_t | x_<t, z) over q(z | x) of all sequences, [27, 3]."""
    observed, state = tf.constant(ALL), model.initial_state(len(ALL))
    contexts, _ = model.context.from_observations(observed, (), state.context)
    posterior = model.core.posterior(model.core.encode(contexts, observed)[:, 0])
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    total = np.zeros([len(ALL), TIME])
    for node, weight in zip(nodes, weights / weights.sum(), strict=True):
        noise = tf.fill([len(ALL), TIME, 1], np.float32(node))
        z = posterior.reparameterize(noise[:, 0])
        latents = tf.repeat(z[:, None], TIME, axis=1)
        steps, _ = model.core.unroll(contexts, state.core, noise, latents=latents)
        total += weight * model.decoder.log_prob(steps.obs_params, observed).numpy()
    return total


def test_delayed_rollouts_are_those_of_a_policy_with_the_average_weights():
    model = make(vae_type="SRNN", policy_rollout_average=0.75)
    adversary, old = model.adversary, model.get_weights()
    adversary.delayed.follow(is_first=tf.constant(True))
    for weight in model.weights:
        weight.assign(weight + 0.3)
    adversary.delayed.follow(is_first=tf.constant(False))
    samples = sample(model, batch(ALL[:6]), [1, 2])
    args = adversary.discriminator.score, samples, batch(ALL[:6]), [3, 4]
    values = action_values(model, *args, delayed=adversary.delayed)
    current = action_values(model, *args)
    for weight, x in zip(model.weights, old, strict=True):
        weight.assign(x + 0.25 * 0.3)
    zeros = tf.zeros_like(samples.latents)
    _, states = _unrolled(model, samples, zeros)
    args = adversary.discriminator.score, samples._replace(states=states), batch(ALL[:6]), [3, 4]
    assert_close(values, action_values(model, *args), 1e-5)
    assert np.abs(values - current).max() > 1e-4


@pytest.mark.parametrize("kind", ["RNN", "SRNN"])
def test_the_reference_has_the_weights_of_the_first_update(kind):
    model = make(vae_type=kind, policy_reference_kl=0.5)
    samples = sample(model, batch(ALL[:6]), [1, 2])
    for number in range(2):
        model.adversary.reference.follow(is_first=tf.equal(number, 0))
        for weight in model.weights:
            weight.assign(weight + 0.3)
    again = log_prob_with(model, samples, batch(ALL[:6]), model.adversary.reference)
    assert_close(again, samples.log_prob, 1e-5)
    for weight in model.adversary.reference.weights:
        weight.assign(weight + 0.6)
    steps, _ = _unrolled(model, samples, tf.zeros_like(samples.latents))  # those of the model now
    expected = model.decoder.log_prob(steps.obs_params, samples.observed)
    again = log_prob_with(model, samples, batch(ALL[:6]), model.adversary.reference)
    assert_close(again, expected, 1e-5)
    assert np.abs(expected - samples.log_prob).max() > 1e-3


def test_a_reference_needs_the_latents_that_were_sampled():
    with pytest.raises(UsageError, match="policy_reference_kl needs policy_log_prob=sampled"):
        make(vae_type="SEQVAE", policy_reference_kl=1.0, policy_log_prob="encoded")


def _unrolled(model, samples, noise):
    state = model.initial_state(6)
    contexts, context_states = model.context.from_observations(samples.observed, (), state.context)
    steps, core_states = model.core.unroll(contexts, state.core, noise, latents=samples.latents)
    return steps, (context_states, core_states)


# Without a step of the ELBO: a single replica leaves the gradient of an embedding sparse there, of
# which Adam squares each row before it adds up those of equal symbols.
REPLICATED = PUBLISHED | {"batch_size": 8, "discriminator_samples": 16, "policy_elbo_steps": 0}
BESIDE_THE_ELBO = {"policy_baseline": "batch", "vae_type": "SRNN", "policy_reference_kl": 0.5}


@pytest.mark.parametrize(
    "changes", [REPLICATED, pytest.param(BESIDE_THE_ELBO, marks=pytest.mark.slow)]
)
def test_several_replicas_make_the_steps_of_one(changes, tmp_path):
    """With MirroredStrategy, in a process of its own: TensorFlow cannot add devices later."""
    code = f"""if True:
        import numpy as np, tensorflow as tf
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
        )
        from tests.adversarial.test_published import train
        with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope() as strategy:
            variables = train({changes!r})
        np.savez("{tmp_path}/two.npz", *[x.numpy() for x in variables])
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    two = np.load(tmp_path / "two.npz")
    for variable, array in zip(train(changes), two.values(), strict=True):
        np.testing.assert_allclose(array, variable.numpy(), 1e-4, 1e-5, err_msg=variable.name)


def train(changes):
    """Trains with the present strategy; returns all variables."""
    from vaeseq.training.loop import batches_by_step

    model = Words(ADVERSARIAL.replace(**{"batch_size": 12, **changes, "check_numerics": True}))
    model.compile()
    rows = model.hparams.batch_size

    def observed(step):
        return np.random.default_rng(step).integers(3, size=[rows, TIME]).astype(np.int32)

    model.fit(batches_by_step(observed, 0, 11), shuffle=False, verbose=0)
    return [*model.weights, *model.optimizer.variables, *model.adversary.variables]
