"""The laws of vaeseq-play: alignment, returns, gradients, imagination."""

import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from benchmarks.kill_matrix import arrays
from tests.examples.play.toy_games import Arms, Broken, Corridor, Legacy
from vaeseq.errors import Stopped, UsageError
from vaeseq.examples import play as public
from vaeseq.examples.play import environment, imagination
from vaeseq.examples.play.environment import Game
from vaeseq.examples.play.episodes import Practice, play
from vaeseq.examples.play.hparams import PlayHParams
from vaeseq.examples.play.imagination import Dream, Start
from vaeseq.examples.play.player import Player
from vaeseq.examples.play.replay import Replay, Rows
from vaeseq.model.base import State
from vaeseq.training.loop import batches_by_step

TINY = PlayHParams(
    rnn_hidden_sizes=(8,),
    obs_encoder_fc_layers=(8,),
    obs_decoder_fc_hidden_layers=(8,),
    latent_decoder_fc_layers=(8,),
    latent_size=2,
    policy_fc_layers=(8,),
    batch_size=6,
    sequence_size=5,
    random_steps=8,
    replay_steps=64,
    imagined_games=16,
    horizon=4,
    evaluate_games=3,
    confirm_games=4,
    evaluate_every=10,
)


def player_of(game, hparams=TINY, seed=0):
    keras.utils.set_random_seed(seed)
    player = Player(hparams, game.observation_size, game.action_size, game.discrete)
    player.compile()
    return player


def practise(player, game, start, stop):
    """Makes the moves start + 1 to stop; returns the rows."""
    player.next_turn = Practice(player, game).turn
    player.fit(batches_by_step(lambda step: np.asarray([step]), start, stop), verbose=0)
    count = int(player.replay.count.numpy())
    numbers = np.arange(max(0, count - player.replay.capacity), count)
    return Rows(*(x.numpy() for x in player.replay.read(tf.constant(numbers))))


# Alignment.


def test_each_row_has_the_action_that_led_to_it_and_what_it_brought():
    rows = practise(player_of(game := Game(Corridor(2))), game, 0, 30)
    places = rows.observation[:, 0]
    for row in range(1, len(places)):
        if rows.begin[row] == row:
            assert places[row] == 0 and rows.reward[row] == 0 and not rows.action[row].any()
            assert rows.terminated[row - 1] or rows.truncated[row - 1]
        else:
            right = np.argmax(rows.action[row]) == 1
            assert places[row] == max(0, places[row - 1] + (1 if right else -1))
            assert rows.reward[row] == rows.terminated[row] == (places[row] == 2)
            assert rows.begin[row] == rows.begin[row - 1]
    assert rows.terminated.any()


def test_windows_are_parts_of_one_game_and_every_move_is_drawn():
    replay = Replay(7, 1, 1)
    begins = [0, 0, 0, 3, 3, 5, 5, 5, 5]  # the first two rows have been written over
    for number, begin in enumerate(begins):
        row = ([[number]], [[number]], [number], [False], [False], [begin])
        kinds = (np.float32, np.float32, np.float32, bool, bool, np.int64)
        replay.append(Rows(*(np.asarray(x, kind) for x, kind in zip(row, kinds, strict=True))))
    first, moves, lengths = replay.windows(4000, 3, tf.constant([1, 2]))
    first, inside = first.reward.numpy().astype(int), moves.reward.numpy().astype(int)
    drawn = set()
    for begin, row, length in zip(first, inside, lengths.numpy(), strict=True):
        assert 1 <= length <= 3 and begin >= 2
        assert row[:length].tolist() == list(range(begin + 1, begin + 1 + length))
        assert len({begins[i] for i in (begin, *row[:length])}) == 1
        if length < 3:
            end = begin + length + 1
            assert end == len(begins) or begins[end] == end
        drawn.update(row[:length].tolist())
    assert drawn == {4, 6, 7, 8}


def test_outcomes_are_in_units_and_the_context_takes_them_back():
    rows = practise(player := player_of(game := Game(Corridor(2))), game, 0, 30)
    world, units = player.world, player.world.units
    moved = rows.begin < np.arange(len(rows.begin))
    after, before = rows.observation[moved], rows.observation[:-1][moved[1:]]
    np.testing.assert_allclose(units.loc, after.mean(0), rtol=1e-5)
    np.testing.assert_allclose(units.scale, after.std(0), rtol=1e-5)
    np.testing.assert_allclose(units.change, np.sqrt(((after - before) ** 2).mean(0)), rtol=1e-5)
    moves = Rows(*(x[moved] for x in rows))
    outcome = world.outcomes(before, moves)
    np.testing.assert_allclose(world.context.observe(tuple(outcome), before), after, atol=1e-5)
    np.testing.assert_array_equal(outcome.continues, 1.0 - moves.terminated)


def test_known_sequences_have_the_contexts_of_their_steps():
    player = player_of(game := Game(Corridor(2)))
    practise(player, game, 0, 20)
    world, rng = player.world, np.random.default_rng(0)
    changes = tf.constant(rng.normal(size=[2, 5, 1]), tf.float32)
    observed = (changes, tf.zeros([2, 5]), tf.zeros([2, 5]))
    inputs = tf.constant(rng.normal(size=[2, 5, 2]), tf.float32)
    state = tf.constant([[1.0], [-2.0]])
    fused = world.context.from_observations(observed, inputs, state)
    stepwise = super(type(world.context), world.context).from_observations(observed, inputs, state)
    for a, b in zip(*map(tf.nest.flatten, (fused, stepwise)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


# Returns.


def test_lambda_returns_are_those_worked_by_hand():
    rewards, discounts = [[1.0, 2.0, 3.0]], [[0.5, 0.5, 0.0]]
    values = [[9.0, 10.0, 20.0, 30.0]]
    # R_2 = 3; R_1 = 2 + (10 + 1.5) / 2 = 7.75; R_0 = 1 + (5 + 3.875) / 2 = 5.4375
    returns = imagination.lambda_returns(*map(tf.constant, (rewards, discounts, values)), 0.5)
    np.testing.assert_allclose(returns, [[5.4375, 7.75, 3.0]])
    of = lambda r: imagination.lambda_returns(*map(tf.constant, (rewards, discounts, values)), r)  # noqa: E731
    np.testing.assert_allclose(of(0.0), [[6.0, 12.0, 3.0]])  # one step
    np.testing.assert_allclose(of(1.0), [[2.75, 3.5, 3.0]])  # to the end
    np.testing.assert_allclose(imagination.weights(tf.constant(discounts)), [[1.0, 0.5, 0.25]])


# Imagination.


@pytest.mark.parametrize("vae_type", ["RNN", "ISEQ", "SRNN"])
@pytest.mark.parametrize("sizes", [(), (5,)])
def test_imagination_is_generation_of_the_core_with_the_actions_of_the_agent(vae_type, sizes):
    hparams = TINY.replace(vae_type=vae_type, policy_rnn_hidden_sizes=sizes)
    player = player_of(game := Game(Corridor()), hparams)
    practise(player, game, 0, 12)
    world, agent = player.world, player.agent
    state = State(tf.constant([[0.0], [1.0], [2.0]]), world.core.initial_state(3))
    start, seed = Start(state, agent.initial_memory(3)), tf.constant([3, 4])
    dream = imagination.imagine(world, agent, start, 6, seed)
    temperature = hparams.dream_temperature
    (changes, *_), _ = world.extend(state, 3, 6, dream.actions, temperature, seed)
    after = state.context[:, None] + np.cumsum(changes * world.units.change, axis=1)
    np.testing.assert_allclose(dream.observations[:, 1:], after, atol=1e-4)
    # What the agent saw step by step is what it sees of the whole.
    seen = world.units.normalise(dream.observations)
    before = tf.concat([tf.zeros([3, 1, 2]), dream.actions], axis=1)
    features, _ = agent.remember_all(seen, before, start.memory.state)
    memory = start.memory
    for t in range(7):
        step, memory_state = agent.remember(seen[:, t], memory._replace(action=before[:, t]))
        memory = memory._replace(state=memory_state)
        np.testing.assert_allclose(step, features[:, t], atol=1e-5)


@pytest.mark.parametrize("actor_gradient", ["reinforce", "pathwise"])
@pytest.mark.parametrize("discrete", [True, False])
def test_rewards_alone_move_the_actor_the_right_way(actor_gradient, discrete):
    """In a world where the reward is the first number of the action, or its first choice."""
    hparams = TINY.replace(actor_gradient=actor_gradient, entropy_bonus=0.0, horizon=1)
    keras.utils.set_random_seed(0)
    player = Player(hparams, 1, 2, discrete)
    player.compile()
    games_ = 4096
    memory = player.agent.initial_memory(games_)
    with tf.GradientTape() as tape:
        observations = tf.zeros([games_, 2, 1])
        policy = player.agent.act(observations[:, :1])
        actions = player.agent.actions.sample(policy, tf.constant([1, 2]))
        if player.pathwise:
            actions = player.agent.actions.pathwise(policy, actions)
        else:
            actions = tf.stop_gradient(actions)
        dream = Dream(observations, actions, actions[..., 0], tf.zeros([games_, 1]))
        loss = player._agent_loss(dream, memory)
    bias = player.agent.policy.weights[-1]
    (gradient,) = tape.gradient(loss, [bias])
    assert gradient[0] < -1e-3, "down the gradient the first output rises"
    if discrete:
        np.testing.assert_allclose(gradient[1], -gradient[0], rtol=1e-3)


def test_the_critic_does_not_move_the_actor_and_the_slow_critic_follows():
    player = player_of(game := Game(Corridor()))
    practise(player, game, 0, 8)
    agent = player.agent
    assert not set(map(id, agent.slow_critic.weights)) & set(map(id, agent.trainable_variables))
    agent.critic.weights[0].assign_add(tf.ones_like(agent.critic.weights[0]))
    gap = agent.critic.weights[0] - agent.slow_critic.weights[0]
    agent.follow(0.25)
    np.testing.assert_allclose(
        agent.critic.weights[0] - agent.slow_critic.weights[0], 0.75 * gap, atol=1e-6
    )


# Games are learned.


@pytest.mark.parametrize("continuous", [False, True])
def test_a_game_of_one_move_is_solved(continuous):
    hparams = TINY.replace(
        random_steps=100, replay_steps=1000, horizon=1, update_every=1, learning_rate=0.01,
        agent_learning_rate=0.01, rnn_hidden_sizes=(16,), policy_fc_layers=(16,), batch_size=32,
    )  # fmt: skip
    game = Game(Arms(paying=1, continuous=continuous))
    player = player_of(game, hparams)
    practise(player, game, 0, 600 if continuous else 300)
    records = play(player, game, range(20), 5)
    assert np.mean([record.score for record in records]) > (-0.1 if continuous else 0.99)
    assert all(len(record.rewards) == 1 and record.terminated for record in records)


def test_random_games_differ_and_the_real_game_is_not_touched():
    game = Game(Corridor())
    player = player_of(game)
    game.reset(1)
    game.step(np.asarray([0.0, 1.0]))
    records = play(player, game, range(8), 6, "random")
    assert len({tuple(record.actions[:, 0]) for record in records}) > 4
    assert game.env.place == 1 and max(len(record.rewards) for record in records) == 6


# Pieces of a training are the whole.


def test_a_training_in_pieces_is_the_training_in_one(tmp_path):
    hparams = TINY.replace(vae_type="SRNN", policy_rnn_hidden_sizes=(4,), evaluate_every=7)
    public.train(Corridor(), tmp_path / "whole", 21, hparams)
    for stop in (12, 21):
        pieces = public.train(Corridor(), tmp_path / "pieces", stop, hparams)
    last = "checkpoints/step-000000021.safetensors"
    assert arrays(tmp_path / "whole" / last) == arrays(tmp_path / "pieces" / last)
    assert pieces.trained_steps == 21
    with pytest.raises(UsageError, match="another hparams"):
        public.train(Corridor(), tmp_path / "whole", 21, TINY)


def test_a_training_ends_when_it_is_solved(tmp_path):
    player = public.train(Corridor(1), tmp_path, 100, TINY, solved_at=-1.0)
    assert player.trained_steps == 10
    assert public.train(Corridor(1), tmp_path, 200, TINY, solved_at=-1.0).trained_steps == 10
    assert len(public.play(player, Corridor(1), games=3)) == 3


# Environments.


@pytest.mark.parametrize(
    "how, message",
    [("raises", "ZeroDivisionError: the floor"), ("nan", "not finite"), ("shape", r"\(2,\)"),
     ("reward", "score of inf")],
)  # fmt: skip
def test_an_environment_that_breaks_is_named_with_the_step(how, message, tmp_path):
    player = player_of(game := Game(Broken(how)))
    with pytest.raises(Stopped, match=f"step 7: Broken .*{message}"):
        practise(player, game, 0, 30)
    assert player.trained_steps == 6, "what was learned before stays"


def test_the_two_apis_are_one():
    old, new = Game(Legacy()), Game(Corridor())
    assert (old.observation_size, old.action_size) == (new.observation_size, new.action_size)
    np.testing.assert_array_equal(old.reset(7), new.reset(7))
    assert old.env.seeds == [7]
    for action in ([0, 1], [1, 0], [0, 1], [0, 1], [0, 1]):
        a, b = old.step(np.asarray(action)), new.step(np.asarray(action))
        assert a[1:] == b[1:] and a.observation == b.observation
    late = Game(Legacy())
    late.reset(1)
    moves = [late.step(np.asarray([1, 0])) for _ in range(20)]
    assert moves[-1].truncated and not moves[-1].terminated


def test_real_gym_is_played():
    pytest.importorskip("gym")
    assert "gym" in sys.modules
    game, new = environment.make("gym:CartPole-v1"), environment.make("CartPole-v1")
    assert game.threshold == new.threshold == 475 and game.discrete
    seen, other = game.reset(3), new.reset(3)
    assert seen.shape == other.shape == (4,)
    for _ in range(5):
        np.testing.assert_allclose(seen, other, atol=1e-6)
        seen, other = (g.step(np.asarray([0.0, 1.0])).observation for g in (game, new))
    player = player_of(game)
    practise(player, game, 0, 12)


def test_numbers_are_played_within_their_bounds():
    game = environment.make("Pendulum-v1")
    assert not game.discrete and game.threshold is None
    np.testing.assert_allclose(game._played(np.asarray([3.0])), [2.0])
    np.testing.assert_allclose(game._played(np.asarray([-0.5])), [-1.0])


@pytest.mark.parametrize(
    "name, message",
    [
        ("CartPol-v1", "did you mean 'CartPole-v"),
        ("no_such_module:Env-v0", "no_such_module"),
        ("gym:NoSuchGame-v0", "NoSuchGame|gym is not installed"),
    ],
)
def test_unknown_games_are_told_with_the_nearest(name, message):
    with pytest.raises(UsageError, match=message) as error:
        environment.make(name)
    assert "\n" not in str(error.value)


def test_spaces_that_are_no_vectors_are_refused():
    from gymnasium import spaces

    env = Corridor()
    env.action_space = spaces.Box(-np.inf, np.inf, [1])
    with pytest.raises(UsageError, match="a Box with bounds"):
        Game(env)
    env = Corridor()
    env.observation_space = spaces.Sequence(spaces.Discrete(2))
    with pytest.raises(UsageError, match="no flat vector"):
        Game(env)
    env.observation_space = spaces.Dict(a=spaces.Discrete(3), b=spaces.Box(0, 1, [2, 2]))
    assert Game(env).observation_size == 7
