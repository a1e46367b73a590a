"""A training of a player in a run: its moves, its reports, when it is enough."""

import functools
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from vaeseq.examples.play import pictures
from vaeseq.examples.play.environment import Game, seed_of
from vaeseq.examples.play.episodes import Practice, Record, play
from vaeseq.examples.play.player import Player
from vaeseq.training.callbacks import Report
from vaeseq.training.loop import Batch
from vaeseq.training.run import Run

_LOOK, _CONFIRM, FRESH = range(10, 13)  # what the seeds of whole games are for


def seeds(player: Player, purpose: int, games: int) -> list[int]:
    """Seeds of games that are played for a purpose, after so many moves of training."""
    return [seed_of(player.hparams.seed, purpose, player.trained_steps, i) for i in range(games)]


def summary(records: list[Record], threshold: float | None) -> dict[str, Any]:
    """Mean and deviation of the returns of games, and whether they say that it is solved."""
    scores = [record.score for record in records]
    mean = float(np.mean(scores))
    return {
        "mean": mean,
        "deviation": float(np.std(scores)),
        "games": len(scores),
        "threshold": threshold,
        "solved": None if threshold is None else mean >= threshold,
    }


def plan(
    run: Run, player: Player, game: Game, num_steps: int, threshold: float | None, early_stop: bool
) -> tuple[Batch, Report]:
    """The steps and the reports of a training.

    At a report the player plays greedy games. Where their mean is above the threshold, it plays
    `confirm_games` others, and these are what counts; the training is solved where their mean is
    above it, too.

    Args:
      run: where to.
      player: who learns.
      game: in which; it stays with the training.
      num_steps: how many moves in the real game.
      threshold: the return that is enough, or None.
      early_stop: whether the training ends when it is solved.
    """
    hparams = player.hparams
    shown: list[Record] = []

    @functools.cache
    def practice() -> Practice:
        return Practice(player, game)  # not before the checkpoint has been read

    def validate() -> dict[str, float]:
        records = play(
            player, game, seeds(player, _LOOK, hparams.evaluate_games), hparams.game_steps
        )
        told = summary(records, threshold)
        solved = False
        if told["solved"]:
            others = seeds(player, _CONFIRM, hparams.confirm_games)
            told = summary(play(player, game, others, hparams.game_steps), threshold)
            solved = told["solved"]
        shown[:] = records[:1]
        return {
            "valid_return": told["mean"],
            "valid_deviation": told["deviation"],
            "solved": float(solved),
        }

    def sample() -> dict[str, bytes]:
        picture = pictures.prediction(player, shown[0])
        tf.summary.image("prediction", tf.io.decode_png(picture)[None])
        return {".png": picture}

    def enough(metrics: dict[str, float]) -> bool:
        return early_stop and metrics["solved"] > 0

    player.next_turn = lambda: practice().turn()
    lines = run.metrics()
    if lines and enough(lines[-1]):
        logging.info("solved at step %d; --no-early-stop goes on", lines[-1]["step"])
        num_steps = min(num_steps, int(lines[-1]["step"]))
    report = Report(
        run, num_steps, hparams.evaluate_every, validate, "-valid_return", sample, enough
    )
    return lambda step: np.asarray([step]), report
