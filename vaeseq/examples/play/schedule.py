"""The schedule of a training run: its batches, its evaluations, and when it is solved."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from absl import logging

from vaeseq.examples.play import pictures
from vaeseq.examples.play.environment import Environment, derive_seed
from vaeseq.examples.play.episodes import Episode, play, summarise
from vaeseq.examples.play.player import Player
from vaeseq.training.callbacks import Report
from vaeseq.training.loop import Batch
from vaeseq.training.run import Run

_EVALUATION, _CONFIRMATION, FINAL, _GAME = range(10, 14)  # purposes of random seeds


def episode_seeds(player: Player, purpose: int, episodes: int) -> list[int]:
    """Returns the seeds of episodes that are played for a purpose at the current step."""
    seed, step = player.hparams.seed, player.trained_steps
    return [derive_seed(seed, purpose, step, i) for i in range(episodes)]


def game_seed(seed: int, number: int) -> int:
    """Returns the seed of a game that a command plays, which is no game of a training."""
    return derive_seed(seed, _GAME, number)


class Evaluation:
    """The evaluation of a player at each report.

    The player plays greedy episodes. If their mean return reaches the threshold, it plays
    `confirm_games` other episodes, and these count instead: the environment is solved if their
    mean return reaches the threshold as well.

    Args:
      player: the player.
      environment: the environment, which stays as it is.
      threshold: the mean return that counts as solved, or None.
      early_stop: whether training ends when the environment is solved.
    """

    def __init__(
        self, player: Player, environment: Environment, threshold: float | None, early_stop: bool
    ):
        self.player, self.environment = player, environment
        self.threshold, self.early_stop = threshold, early_stop

    def validate(self) -> dict[str, float]:
        """Plays; returns the metrics."""
        hparams = self.player.hparams
        episodes = self._play(_EVALUATION, hparams.evaluate_games)
        self._shown = episodes[0]
        summary, solved = summarise(episodes, self.threshold), False
        if summary.solved:
            episodes = self._play(_CONFIRMATION, hparams.confirm_games)
            summary = summarise(episodes, self.threshold)
            solved = bool(summary.solved)
        return {
            "valid_return": summary.mean,
            "valid_deviation": summary.deviation,
            "solved": float(solved),
        }

    def sample(self) -> dict[str, bytes]:
        """Returns a picture of the world model's predictions for the first episode played."""
        picture = pictures.prediction(self.player, self._shown)
        tf.summary.image("prediction", tf.io.decode_png(picture)[None])
        return {".png": picture}

    def is_enough(self, metrics: Mapping[str, float]) -> bool:
        """Returns whether training ends after a report with these metrics.

        The report may be of an earlier training, which had a lower threshold.
        """
        solved, mean = metrics.get("solved", 0) > 0, metrics.get("valid_return", np.nan)
        return self.early_stop and solved and (self.threshold is None or mean >= self.threshold)

    def _play(self, purpose: int, number: int) -> list[Episode]:
        seeds = episode_seeds(self.player, purpose, number)
        max_steps = self.player.hparams.game_steps
        return play(self.player.actor, self.environment, seeds, max_steps)


def plan(
    run: Run, player: Player, evaluation: Evaluation, num_steps: int, to_continue: str
) -> tuple[Batch, Report]:
    """Returns the batches and the reports that take a player to `num_steps`.

    A run that is solved stays where it is, unless `evaluation.early_stop` is false. The user is
    told so, and what to do `to_continue`.
    """
    lines = run.metrics()
    if lines and evaluation.is_enough(lines[-1]):
        logging.info("solved at step %d; %s to continue", lines[-1]["step"], to_continue)
    report = Report(
        run,
        num_steps,
        player.hparams.evaluate_every,
        evaluation.validate,
        "-valid_return",
        evaluation.sample,
        evaluation.is_enough,
    )
    return _step_number, report


def _step_number(step: int) -> np.ndarray:
    """The batch of a step: the player collects its own data; see `Player.make_train_function`."""
    return np.asarray([step])
