"""Policy gradients against enumeration: a vocabulary of 3, sequences of 3."""

import functools
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

import vaeseq
from tests.conftest import SMALL, assert_close
from vaeseq import codec
from vaeseq.adversarial import discriminators, policy_gradient
from vaeseq.adversarial.policy_gradient import Drawn, reward_to_go, token_weights

SYMBOLS, TIME = 3, 3
ALL = np.array(list(itertools.product(range(SYMBOLS), repeat=TIME)), np.int32)
ADVERSARIAL = SMALL.replace(
    rnn_hidden_sizes=(3,),
    obs_encoder_fc_layers=(),
    obs_decoder_fc_hidden_layers=(),
    latent_decoder_fc_layers=(),
    activation="tanh",
    policy_gradient="seqgan",
    policy_baseline="none",
    policy_elbo_steps=2,
    policy_judge_steps=2,
    policy_reward_step=1,
    policy_rollouts=3,
    discriminator_size=4,
    batch_size=6,
)


class Words(vaeseq.ModelBase):
    """Symbols [B, T]."""

    def make_encoder(self):
        return codec.MLPObsEncoder(self.hparams, keras.layers.Embedding(SYMBOLS, 3))

    def make_decoder(self):
        return codec.MLPObsDecoder(self.hparams, codec.CategoricalDecoder(SYMBOLS))


def make(**changes):
    keras.utils.set_random_seed(3)
    model = Words(ADVERSARIAL.replace(**{"vae_type": "RNN", **changes}))
    model.compile()
    judge = model.adversary.discriminator.weights if model.adversary else []
    for weight in [*model.weights, *judge]:  # so that it matters what is chosen
        weight.assign(2.5 * tf.convert_to_tensor(weight))
    for weight in judge:
        weight.assign(2.0 * tf.convert_to_tensor(weight))
        if "embedding" in weight.path:
            weight.assign(tf.random.stateless_normal(weight.shape, [1, 1]))
    if judge:  # it is undecided, on average
        bias = model.adversary.discriminator.logit.bias
        bias.assign(bias - tf.reduce_mean(model.adversary.discriminator(ALL)[:, -1]))
    return model


def log_probs(model):
    """log p(x_t | x_<t) of all sequences, [27, 3]."""
    return model.infer(ALL)[0].log_prob


def exact_values(model):
    """Q(x_1:t) of all sequences, [27, 3], by enumeration."""
    log_prob, scores = log_probs(model).numpy(), model.adversary.score(ALL).numpy()
    values = np.zeros([len(ALL), TIME])
    for row, t in itertools.product(range(len(ALL)), range(1, TIME + 1)):
        same = (ALL[:, :t] == ALL[row, :t]).all(axis=1)
        ahead = np.exp(log_prob[same, t:].sum(axis=1))
        values[row, t - 1] = np.sum(ahead * scores[same]) / ahead.sum()
    return values.astype(np.float32)


def expected_gradient(model, weights):
    """Of the loss of every sequence, in proportion to its probability."""
    adversary = model.adversary
    with tf.GradientTape() as tape:
        log_prob = log_probs(model)
        probability = tf.stop_gradient(tf.exp(tf.reduce_sum(log_prob, axis=1)))
        losses = [
            adversary.loss(
                Drawn(ALL[row : row + 1], log_prob[row : row + 1], ()), weights[row : row + 1]
            )
            for row in range(len(ALL))
        ]
        loss = tf.reduce_sum(probability * tf.stack(losses))
    return flat(tape.gradient(loss, model.trainable_variables))


def flat(gradients):
    dense = [tf.reshape(tf.convert_to_tensor(x), [-1]) for x in gradients if x is not None]
    return tf.concat(dense, 0).numpy()


def finite_differences(model, function, step=1e-2):
    """The gradient of a function of the model's weights, one after another."""
    gradient = []
    for variable in model.trainable_variables:
        values = variable.numpy()
        for index in np.ndindex(values.shape):
            change = np.zeros_like(values)
            change[index] = step
            ends = []
            for sign in (1, -1):
                variable.assign(values + sign * change)
                ends.append(float(function()))
            gradient.append((ends[0] - ends[1]) / (2 * step))
        variable.assign(values)
    return np.array(gradient)


def test_seqgan_is_the_gradient_of_the_expected_score():
    model = make()
    scores = model.adversary.score(ALL).numpy()

    def expected_score():
        return np.sum(np.exp(log_probs(model).numpy().sum(axis=1)) * scores)

    ours = expected_gradient(model, exact_values(model))
    np.testing.assert_allclose(
        -TIME * ours, finite_differences(model, expected_score), atol=2e-3, rtol=2e-2
    )
    assert np.abs(ours).max() > 0.01


def test_the_rewards_that_are_rolled_out_are_the_exact_ones_on_average():
    model = make(policy_rollouts=4096)
    drawn = model.adversary.draw(ALL, None, None, [1, 2])
    rows = [int(np.flatnonzero((row == ALL).all(axis=1))[0]) for row in drawn.observed.numpy()]
    values = tf.function(model.adversary.action_values)(drawn, None, None, tf.constant([3, 4]))
    exact = exact_values(model)[rows]
    np.testing.assert_allclose(values, exact, atol=0.012)
    assert_close(values[:, -1], exact[:, -1])
    # They differ by more than that, so that a mistake would be seen.
    assert np.std(exact, axis=0).min() > 0.016


@pytest.mark.parametrize("step", [1, 2])
def test_prefix_is_in_expectation_seqgan_with_more_weight_on_the_beginning(step):
    model = make(policy_gradient="prefix", policy_reward_step=step)
    values = exact_values(model)
    ends = [t for t in range(step, TIME, step)] + [TIME]
    on_grid = values[:, [t - 1 for t in ends]]
    prefix = token_weights(model.hparams, tf.constant(on_grid), TIME)
    # Q(x_1:t) is the mean of every later Q, of which there are as many as grid points from t on.
    later = np.array([sum(end >= t for end in ends) for t in range(1, TIME + 1)], np.float32)
    seqgan = later * values
    assert_close(expected_gradient(model, prefix), expected_gradient(model, seqgan), 1e-4)


@pytest.mark.parametrize(
    ("kind", "step", "values", "weights"),
    [
        ("seqgan", 1, [0, 1, 2], [0, 1, 2]),
        ("prefix", 1, [0, 1, 2], [3, 3, 2]),
        ("seqgan", 2, [1, 2], [1, 1, 2]),
        ("prefix", 2, [1, 2], [3, 3, 2]),
    ],
)
def test_what_choices_are_worth_by_hand(kind, step, values, weights):
    hparams = ADVERSARIAL.replace(policy_gradient=kind, policy_reward_step=step)
    values = tf.constant([values], tf.float32)
    np.testing.assert_allclose(token_weights(hparams, values, TIME), [weights])


def test_a_critic_changes_nothing_in_expectation():
    plain, critic = make(), make(policy_baseline="critic")
    critic.set_weights(plain.get_weights())
    values = exact_values(plain)
    critic.adversary.discriminator.critic.kernel.assign([[0.3], [-2.0], [1.0], [0.7]])
    assert_close(expected_gradient(critic, values), expected_gradient(plain, values), 1e-4)


def test_the_bonus_is_the_gradient_of_the_entropy():
    model = make(policy_entropy_bonus=1.0)

    def entropy():
        log_prob = log_probs(model).numpy().sum(axis=1)
        return -np.sum(np.exp(log_prob) * log_prob)

    ours = expected_gradient(model, np.zeros([len(ALL), TIME], np.float32))
    np.testing.assert_allclose(
        -TIME * ours, finite_differences(model, entropy), atol=3e-3, rtol=3e-2
    )


def test_rollouts_keep_their_prefix_and_go_on_from_it(vae_type, monkeypatch):
    model = make(vae_type=vae_type, policy_reward_step=2, policy_rollouts=2)
    adversary, seen = model.adversary, []
    observed = np.random.default_rng(0).integers(SYMBOLS, size=[4, 5]).astype(np.int32)
    drawn = adversary.draw(observed, None, None, [1, 2])
    monkeypatch.setattr(
        adversary, "score", lambda x, lengths=None: (seen.append(x), tf.zeros([len(x)]))[1]
    )
    values = adversary.action_values(drawn, None, None, [3, 4])
    assert values.shape == (4, 3)  # t_k = 2, 4, 5
    whole = np.reshape(seen[0], [4, 2, 2, 5])
    for row, (k, end) in itertools.product(range(4), enumerate([2, 4])):
        for rollout in whole[row, k]:
            np.testing.assert_array_equal(rollout[:end], drawn.observed[row, :end])


def test_rollouts_come_in_rounds_that_memory_can_hold(monkeypatch):
    """SeqGAN's schedule is some hundred rollouts of each sequence."""
    model = make(policy_rollouts=5)
    drawn = model.adversary.draw(ALL[:4], None, None, [1, 2])
    seen = []
    scores = tf.constant([1.0, 3.0])
    monkeypatch.setattr(policy_gradient, "_ROWS_AT_ONCE", 19)
    monkeypatch.setattr(
        model.adversary,
        "score",
        lambda x, lengths=None: (seen.append(x), tf.repeat(scores, len(x) // 2))[1],
    )
    values = model.adversary.action_values(drawn, None, None, [3, 4])
    assert [len(x) for x in seen] == [16, 16, 8, 4], "4 rows, 2 prefixes: 2, 2 and 1 rollouts"
    assert not np.array_equal(seen[0], seen[1])
    np.testing.assert_array_equal(values, np.repeat([[1.0], [3.0]], 2, axis=0) * np.ones([4, 3]))


def test_log_prob_is_of_what_was_drawn_under_the_same_latents(vae_type):
    model = make(vae_type=vae_type)
    drawn = model.adversary.draw(ALL[:6], None, None, [1, 2])
    assert drawn.observed.shape == (6, TIME) and drawn.log_prob.shape == (6, TIME)
    many = model.adversary.draw(np.tile(ALL, [300, 1]), None, None, [5, 6])
    # Were they those of other latents, exp(-log p) would not have the mean 1 / (1 / 3 ^ 3) .
    inverse = tf.exp(-tf.reduce_sum(many.log_prob, axis=1))
    np.testing.assert_allclose(np.mean(inverse), SYMBOLS**TIME, rtol=0.25)


def test_padding_says_nothing_of_what_is_drawn_nor_to_the_discriminator():
    model = make(vae_type="SEQVAE", policy_gradient="stepwise", policy_baseline="critic")
    adversary, lengths = model.adversary, tf.constant([3, 2, 1, 2])
    observed = np.ones([4, TIME], np.int32)
    padded = np.where(np.arange(TIME) < lengths[:, None], observed, 2)
    one, other = (adversary.draw(x, None, lengths, [1, 2]) for x in (observed, padded))
    assert_close(one.observed, other.observed)
    weights = adversary.weights(one, None, lengths)
    after = tf.sequence_mask(lengths, TIME)
    changed = one._replace(observed=tf.where(after, one.observed, 0))
    assert_close(adversary.loss(one, weights, lengths), adversary.loss(changed, weights, lengths))
    for row, length in enumerate(lengths):
        assert np.all(weights[row, length:] == 0)


def test_rewards_of_prefixes_by_hand():
    rewards = tf.constant([[1.0, 2.0, 4.0]])
    np.testing.assert_allclose(reward_to_go(rewards, 0.5), [[3.0, 4.0, 4.0]])
    logits = tf.constant([[1.0, 3.0, 2.0]])
    rewards = {
        kind: make(policy_gradient="stepwise", policy_reward=kind).adversary.rewards(logits)
        for kind in ("difference", "tanh", "log_sigmoid")
    }
    np.testing.assert_allclose(rewards["difference"], [[1, 2, -1]])
    sigmoid = 1 / (1 + np.exp(-logits.numpy()))
    np.testing.assert_allclose(rewards["tanh"], 2 * sigmoid - 1, rtol=1e-5)
    np.testing.assert_allclose(rewards["log_sigmoid"], np.log(sigmoid), rtol=1e-5)


@pytest.mark.parametrize("kind", ["cnn", "recurrent", "causal"])
def test_discriminators_see_what_they_say_and_no_padding(kind):
    keras.utils.set_random_seed(0)
    hparams = ADVERSARIAL.replace(discriminator=kind)
    judge = discriminators.make(hparams, keras.layers.Embedding(SYMBOLS, 3))
    rng = np.random.default_rng(0)
    observed = rng.integers(SYMBOLS, size=[5, 7])
    later = observed.copy()
    later[:, 4:] = (later[:, 4:] + 1) % SYMBOLS
    logits, changed = judge(observed), judge(later)
    if kind == "causal":
        assert_close(logits[:, :4], changed[:, :4])
        value, value_later = judge.judge(observed)[1], judge.judge(later)[1]
        assert_close(value[:, :5], value_later[:, :5])  # that before x_5 has not seen it
        assert np.abs(value[:, 5:] - value_later[:, 5:]).min() > 0
        assert np.abs(logits[:, 4:] - changed[:, 4:]).min() > 0
    else:
        lengths = tf.fill([5], 4)
        assert np.abs(logits - changed).min() > 0
        assert_close(judge(observed, lengths), judge(later, lengths))
        assert_close(judge(observed, lengths), judge(observed[:, :4]))


def test_what_needs_prefixes_is_refused_without():
    for changes in ({"policy_gradient": "stepwise"}, {"policy_baseline": "critic"}):
        with pytest.raises(vaeseq.UsageError, match="needs discriminator=causal, not cnn"):
            make(discriminator="cnn", **changes)


@pytest.mark.parametrize(
    ("kind", "vae_type"), [("stepwise", "RNN"), ("seqgan", "SRNN"), ("prefix", "SEQVAE")]
)
def test_the_phases_of_a_training(kind, vae_type):
    model = make(policy_gradient=kind, vae_type=vae_type, policy_baseline="critic")
    batches = tf.data.Dataset.from_tensor_slices(np.tile(ALL[:12], [3, 1])).batch(6)
    adversary, states = model.adversary, []
    snapshot = lambda: (  # noqa: E731
        [w.numpy() for w in model.trainable_weights],
        [w.numpy() for w in adversary.discriminator.weights],
    )

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            states.append(snapshot())

    states.append(snapshot())
    history = model.fit(batches, verbose=0, callbacks=[Watch()]).history
    changed = [
        tuple(any(map(np.any, map(np.not_equal, *pair))) for pair in zip(a, b, strict=True))
        for a, b in itertools.pairwise(states)
    ]
    assert changed == 2 * [(True, False)] + 2 * [(False, True)] + 2 * [(True, True)]
    assert model.trained_steps == 6
    assert history["discriminator_loss"][0] > 0 and np.isfinite(history["reward"][0])


def test_a_model_without_policy_gradient_has_no_adversary():
    model = make(policy_gradient="none")
    assert model.adversary is None
    assert set(model.training_state) == {"optimizer", "metrics"}


def test_the_policy_gradient_finds_what_the_discriminator_likes():
    """Only sequences that begin with 2 are observed; the ELBO has no say."""
    model = make(
        policy_gradient="stepwise",
        policy_baseline="critic",
        policy_elbo_steps=0,
        policy_judge_steps=30,
        policy_gradient_weight=3.0,
        learning_rate=0.02,
        discriminator_learning_rate=0.02,
    )
    model.train_step = functools.partial(_without_elbo, model)
    observed = np.tile(ALL[-9:], [4, 1])
    first = lambda: np.mean(model.generate(600, TIME)[:, 0] == 2)  # noqa: E731
    before = first()
    model.fit(tf.data.Dataset.from_tensors(observed).repeat(130), verbose=0)
    assert before < 0.6 and first() > 0.9


def _without_elbo(model, data, objective):
    variables = model.trainable_variables
    with tf.GradientTape() as tape:
        loss = objective()
    model.optimizer.apply_gradients(
        (g, v)
        for g, v in zip(tape.gradient(loss, variables), variables, strict=True)
        if g is not None
    )
    return {}
