"""What Python programs use: `train` and `play` on an environment object of their own."""

import dataclasses
import json
import os
from typing import Any

import keras

import vaeseq
from vaeseq.errors import UsageError
from vaeseq.examples.play import schedule
from vaeseq.examples.play.environment import Game
from vaeseq.examples.play.episodes import Record
from vaeseq.examples.play.episodes import play as play_games
from vaeseq.examples.play.hparams import PlayHParams
from vaeseq.examples.play.player import Player
from vaeseq.training.run import Run

__all__ = ["Game", "PlayHParams", "Player", "play", "train"]

_PROGRAM = "vaeseq.examples.play"  # of a run, as `vaeseq-play` is of its own


def train(
    env: Any,
    log_dir: str | os.PathLike[str],
    num_steps: int = 5000,
    hparams: PlayHParams | None = None,
    solved_at: float | None = None,
) -> Player:
    """Learns to play a game; the same call goes on where an earlier one has ended.

    Args:
      env: an environment of Gymnasium or Gym. It is copied to be looked at, and its randomness
        must be that of the seed of `reset`.
      log_dir: the run.
      num_steps: moves in the real game, at most.
      hparams: the hyperparameters.
      solved_at: the mean return that ends the training; by default what `env.spec` says.

    Returns:
      The player with its best weights.

    Raises:
      UsageError: for an environment whose observations or actions cannot be vectors, or a run of
        another game.
      Stopped: where the environment raises, or shows what is not finite or of another shape.
    """
    hparams, game = hparams or PlayHParams(), Game(env)
    keras.utils.set_random_seed(hparams.seed)
    player = Player(hparams, game.observation_size, game.action_size, game.discrete)
    player.compile()
    run = _run(log_dir, {"env": game.name, "hparams": dataclasses.asdict(hparams)})
    threshold = game.threshold if solved_at is None else solved_at
    vaeseq.train(player, *schedule.plan(run, player, game, num_steps, threshold, True))
    run.restore_best(player)
    return player


def play(player: Player, env: Any, games: int = 10, seed: int = 0) -> list[Record]:
    """Plays whole games, greedily: what was seen, done and won in each."""
    seeds = [schedule.seed_of(seed, i) for i in range(games)]
    return play_games(player, Game(env), seeds, player.hparams.game_steps)


def _run(log_dir: str | os.PathLike[str], about: dict[str, Any]) -> Run:
    """The run in a directory, which begins unless it is there."""
    run = Run(log_dir, {"program": _PROGRAM, **about})
    if not run.exists(log_dir):
        with run.beginning():
            pass
    found = Run.open(log_dir, _PROGRAM, {"env": {"type": "string"}}).about
    for name, value in json.loads(json.dumps(about)).items():
        if found.get(name) != value:
            raise UsageError(f"{log_dir} holds a run with another {name}; choose another log_dir")
    return run
