"""The Python interface: `train` and `play` with an environment object."""

import dataclasses
import os
from collections.abc import Mapping

import keras

import vaeseq
from vaeseq.errors import UsageError
from vaeseq.examples.play import episodes, schedule
from vaeseq.examples.play.environment import Environment, GymEnv, derive_seed
from vaeseq.examples.play.episodes import Episode
from vaeseq.examples.play.hparams import PlayHParams
from vaeseq.examples.play.player import Player
from vaeseq.examples.play.schedule import Evaluation
from vaeseq.training.run import Run

__all__ = ["Environment", "Episode", "PlayHParams", "Player", "play", "train"]

_PROGRAM = "vaeseq.examples.play"  # in run.json; runs of the program have "vaeseq-play"


def train(
    env: GymEnv,
    log_dir: str | os.PathLike[str],
    num_steps: int = 5000,
    hparams: PlayHParams | None = None,
    solved_at: float | None = None,
) -> Player:
    """Trains a player in an environment; resumes if the run exists.

    Args:
      env: an environment of Gymnasium or Gym. It must support `copy.deepcopy`, since it is
        evaluated in copies. For a run to be reproducible, all of its randomness must come from the
        seed given to `reset`.
      log_dir: the run directory.
      num_steps: the maximum number of steps in the real environment.
      hparams: the hyperparameters.
      solved_at: training ends when the mean return reaches this threshold; by default
        `env.spec.reward_threshold`. A solved run goes on with a higher one.

    Returns:
      The player with its best weights.

    Raises:
      UsageError: if observations or actions cannot be represented as vectors, or if the run began
        with another environment or other hyperparameters.
      Stopped: if the environment raises, or returns values that are not finite or of the wrong
        shape.

    Example:
      >>> import gymnasium
      >>> from vaeseq.examples import play
      >>> hparams = play.PlayHParams(
      ...     rnn_hidden_sizes=(8,), random_steps=40, evaluate_every=50, evaluate_games=1
      ... )
      >>> env = gymnasium.make("CartPole-v1")
      >>> player = play.train(env, "runs/cartpole", num_steps=50, hparams=hparams)
      >>> player.trained_steps
      50
    """
    hparams, environment = hparams or PlayHParams(), Environment(env)
    keras.utils.set_random_seed(hparams.seed)
    player = Player(
        hparams, environment.observation_size, environment.action_size, environment.discrete
    )
    player.compile()
    player.train_in(environment)
    run = _open_or_begin(log_dir, {"env": environment.name, "hparams": dataclasses.asdict(hparams)})
    threshold = environment.threshold if solved_at is None else solved_at
    evaluation = Evaluation(player, environment, threshold, early_stop=True)
    to_continue = "give a higher solved_at"
    vaeseq.train(player, *schedule.plan(run, player, evaluation, num_steps, to_continue))
    run.restore_best(player)
    return player


def play(player: Player, env: GymEnv, games: int = 10, seed: int = 0) -> list[Episode]:
    """Plays greedy episodes.

    Args:
      player: the player.
      env: the environment, which stays as it is: episodes are played in copies.
      games: the number of episodes.
      seed: the random seed of the environment.

    Example:
      >>> import gymnasium
      >>> from vaeseq.examples import play
      >>> player = play.Player(play.PlayHParams(rnn_hidden_sizes=(8,)), 4, 2, discrete=True)
      >>> env = gymnasium.make("CartPole-v1")
      >>> [episode.actions.shape[1] for episode in play.play(player, env, games=2)]
      [2, 2]
    """
    seeds = [derive_seed(seed, i) for i in range(games)]
    return episodes.play(player.actor, Environment(env), seeds, player.hparams.game_steps)


def _open_or_begin(log_dir: str | os.PathLike[str], about: Mapping[str, object]) -> Run:
    """Returns the run in a directory; begins it if there is none."""
    run = Run(log_dir, {"program": _PROGRAM, **about})
    if not run.exists(log_dir):
        with run.beginning():
            pass
    found = Run.open(log_dir, _PROGRAM, {"env": {"type": "string"}}).about
    # An earlier version may have begun the run, and know fewer hyperparameters.
    found["hparams"] = dataclasses.asdict(PlayHParams().replace(**found["hparams"]))
    for name, value in about.items():
        if found.get(name) != value:
            raise UsageError(
                f"log_dir: the run in {log_dir} began with another {name}; choose another log_dir"
            )
    return run
