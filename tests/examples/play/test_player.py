"""Training of players: learning, resuming, stopping."""

import json

import numpy as np
import pytest

from tests.examples.play.conftest import LEARNING, TINY, train_steps
from tests.examples.play.toy_environments import Bandit, Corridor
from vaeseq.errors import UsageError
from vaeseq.examples import play as public
from vaeseq.examples.play import schedule
from vaeseq.examples.play.collect import _EPISODE
from vaeseq.examples.play.environment import Environment, derive_seed
from vaeseq.examples.play.episodes import play
from vaeseq.examples.play.schedule import Evaluation
from vaeseq.training import loop
from vaeseq.training.run import Run


@pytest.mark.parametrize("continuous", [False, True])
def test_an_environment_of_one_step_is_solved(continuous, player_for):
    hparams = LEARNING.replace(
        random_steps=60, replay_steps=1000, horizon=1, learning_rate=0.01,
        agent_learning_rate=0.01, rnn_hidden_sizes=(16,), policy_fc_layers=(16,), batch_size=32,
    )  # fmt: skip
    environment = Environment(Bandit(paying=1, continuous=continuous))
    player = player_for(environment, hparams)
    train_steps(player, environment, 0, 400 if continuous else 150)
    episodes = play(player.actor, environment, range(20), 5)
    assert np.mean([episode.score for episode in episodes]) > (-0.1 if continuous else 0.99)
    assert all(len(episode.rewards) == 1 and episode.terminated for episode in episodes)


def test_random_episodes_differ_and_the_environment_itself_is_not_touched():
    environment = Environment(Corridor())
    environment.reset(1)
    environment.step(np.asarray([0.0, 1.0]))
    episodes = play(None, environment, range(8), 6)
    assert len({tuple(episode.actions[:, 0]) for episode in episodes}) > 4
    assert environment.env.position == 1
    assert max(len(episode.rewards) for episode in episodes) == 6


@pytest.mark.parametrize(
    "hparams",
    [
        LEARNING.replace(vae_type="SRNN", policy_rnn_hidden_sizes=(4,)),
        LEARNING.replace(vae_type="VRNN", agent_sees="state", latent_kind="categorical"),
    ],
    ids=["SRNN", "categorical VRNN, sees its state"],
)
def test_resuming_gives_the_same_checkpoint_as_one_run(
    hparams, pool, player_for, tmp_path, without_pictures
):
    def train(log_dir, num_steps):
        environment = Environment(Corridor())
        pool.put_back_all()
        player = player_for(environment, hparams)
        player.train_in(environment)
        run = Run(log_dir, {"program": "test", "hparams": {}})
        evaluation = Evaluation(player, environment, None, early_stop=True)
        loop.train(player, *schedule.plan(run, player, evaluation, num_steps, ""))
        groups = [player.weights, *player.training_state.values()]
        return player, [np.array(x.numpy()) for group in groups for x in group]

    _, in_one_run = train(tmp_path / "one", 21)
    train(tmp_path / "two", 12)
    player, resumed = train(tmp_path / "two", 21)
    assert player.trained_steps == 21
    for a, b in zip(in_one_run, resumed, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_run_is_solved_if_its_return_reaches_the_threshold_of_today():
    metrics = {"valid_return": 100.0, "solved": 1.0}
    for threshold, enough in ((None, True), (100.0, True), (475.0, False)):
        assert Evaluation(None, None, threshold, early_stop=True).is_enough(metrics) == enough
        assert not Evaluation(None, None, threshold, early_stop=False).is_enough(metrics)
    unsolved = metrics | {"solved": 0.0}  # the confirmation may have failed
    assert not Evaluation(None, None, 50.0, early_stop=True).is_enough(unsolved)


def test_no_game_of_a_command_is_one_of_the_training():
    seed, numbers = 3, range(50)
    played = {schedule.game_seed(seed, number) for number in numbers}
    assert len(played) == 50
    trained = {derive_seed(seed, _EPISODE, number) for number in numbers}
    assert played.isdisjoint(trained)
    assert derive_seed(0, _EPISODE, 0) == 1484405855, "published results depend on these seeds"


def test_training_stops_when_solved_and_rejects_other_hparams(tmp_path, without_pictures, caplog):
    caplog.set_level("INFO")
    player = public.train(Corridor(1), tmp_path, 100, TINY, solved_at=-1.0)
    assert player.trained_steps == 10
    assert public.train(Corridor(1), tmp_path, 200, TINY, solved_at=-1.0).trained_steps == 10
    assert "solved at step 10; give a higher solved_at to continue" in caplog.text
    assert public.train(Corridor(1), tmp_path, 13, TINY, solved_at=2.0).trained_steps == 13
    assert len(public.play(player, Corridor(1), games=3)) == 3
    with pytest.raises(UsageError, match="another hparams"):
        public.train(Corridor(1), tmp_path, 100, TINY.replace(horizon=3))


def test_a_run_that_began_before_a_hyperparameter_existed_goes_on(tmp_path, without_pictures):
    public.train(Corridor(1), tmp_path, 10, TINY)
    path = tmp_path / "run.json"
    about = json.loads(path.read_text())
    del about["hparams"]["agent_sees"]
    path.write_text(json.dumps(about))
    assert public.train(Corridor(1), tmp_path, 20, TINY).trained_steps == 20


def test_the_layout_of_checkpoints_is_that_of_version_0_1(player_for):
    player = player_for(Environment(Corridor()))
    dense, lstm = ["kernel", "bias"], ["kernel", "recurrent_kernel", "bias"]
    statistics = ["moves", "seen", "seen_squared", "change_squared", "reward_squared"]
    assert [weight.name for weight in player.weights] == [
        *(*dense, *dense, *statistics, *lstm),  # the world model
        *("return_scale", *(6 * dense)),  # the agent
    ]
    assert list(player.training_state) == ["optimizer", "metrics", "replay", "place"]
    assert [metric.name for metric in player.metrics] == [
        *("loss", "elbo", "log_prob", "kl"),
        *("game_return", "imagined_return", "entropy", "critic_loss"),
    ]
