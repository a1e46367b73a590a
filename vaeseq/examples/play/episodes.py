"""Real games: one move after another while training, whole games to see what has been learned."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging

from vaeseq.errors import Stopped
from vaeseq.examples.play.agent import Memory
from vaeseq.examples.play.environment import Game, seed_of
from vaeseq.examples.play.player import Player, Turn
from vaeseq.examples.play.replay import Rows

_TRAINING, _RANDOM, _ACTIONS = range(3)  # what seeds are for


class Practice:
    """The real game in which a player trains, one move at a time.

    Each game's randomness is a function of (seed, number of the game), and so are the actions of
    random games; the agent's is one of (seed, number of the move). A training that goes on makes
    the moves of its unfinished game again.

    Args:
      player: the player.
      game: the game.
    """

    def __init__(self, player: Player, game: Game):
        self.player, self.game, self.hparams = player, game, player.hparams
        self.ended, self.begin, self.score, self.length = True, 0, 0.0, 0
        self.observation = np.zeros(game.observation_size, np.float32)
        if player.trained_steps:
            self._rejoin()

    def turn(self) -> Turn:
        """Makes the next move."""
        player, new = self.player, []
        number, games = player.trained_steps + 1, int(player.place.games.numpy())
        count = int(player.replay.count.numpy())
        try:
            if self.ended:
                new.append(self._first_row(games, count))
                games += 1
            action, memory = self._action(number, games)
            move = self.game.step(action)
        except Stopped as error:
            raise Stopped(f"step {number}: {error}") from error.__cause__
        self.score += float(np.float32(move.reward))  # as the replay has it
        self.length += 1
        truncated = move.truncated or self.length >= self.hparams.game_steps
        self.ended, self.observation = move.terminated or truncated, move.observation
        last = (move.observation, action, move.reward, move.terminated, truncated, self.begin)
        new.append(Rows(*last))
        score = self.score if self.ended else np.nan
        return Turn(_stacked(new), memory, np.asarray(score, np.float32))

    def _first_row(self, games: int, count: int) -> Rows:
        self.observation = self.game.reset(seed_of(self.hparams.seed, _TRAINING, games))
        self.ended, self.begin, self.score, self.length = False, count, 0.0, 0
        return Rows(self.observation, np.zeros(self.game.action_size), 0.0, False, False, count)

    def _action(self, number: int, games: int) -> tuple[np.ndarray, Memory]:
        """At random in the first games and in some of the others, else as the policy draws it."""
        player, seed = self.player, self.hparams.seed
        memory = player.agent.initial_memory(1)
        if self.length:
            memory = tf.nest.map_structure(tf.convert_to_tensor, player.place.memory)
        observation = tf.constant(self.observation[None])
        drawn_with = np.asarray([seed_of(seed, _ACTIONS), number], np.int32)
        _, drawn, state = player.act(observation, memory, drawn_with)
        action = drawn[0].numpy()
        of_game = np.random.default_rng([seed, _RANDOM, games])
        if number <= self.hparams.random_steps or of_game.random() < self.hparams.random_games:
            held = number // self.hparams.random_hold
            action = self.game.random_action(np.random.default_rng([seed, _RANDOM, held]))
        return action, Memory(state, tf.constant(action[None]))

    def _rejoin(self) -> None:
        """Takes the game to where the replay ends."""
        replay = self.player.replay
        count = int(replay.count.numpy())
        last = tf.nest.map_structure(lambda x: x.numpy(), replay.read(tf.constant(count - 1)))
        if last.terminated or last.truncated:
            return
        self.begin, self.ended = int(last.begin), False
        numbers = np.arange(self.begin, count)
        if len(numbers) > replay.capacity:
            self.ended = True
            return
        rows = tf.nest.map_structure(lambda x: x.numpy(), replay.read(tf.constant(numbers)))
        games = int(self.player.place.games.numpy()) - 1
        seen = [self.game.reset(seed_of(self.hparams.seed, _TRAINING, games))]
        seen += [self.game.step(action).observation for action in rows.action[1:]]
        self.observation, self.length = seen[-1], len(numbers) - 1
        self.score = sum(map(float, rows.reward))
        if not np.array_equal(seen, rows.observation):
            logging.warning("%s is not the same with the same seed: a new game", self.game.name)
            self.ended = True


class Record(NamedTuple):
    """A game that was played: n moves."""

    observations: np.ndarray  # [n + 1, X]
    actions: np.ndarray  # [n, A]
    rewards: np.ndarray  # [n]
    terminated: bool

    @property
    def score(self) -> float:
        """The return, without discount."""
        return float(self.rewards.sum())


def play(
    player: Player,
    game: Game,
    seeds: Sequence[int],
    most_moves: int,
    agent: str = "trained",
    watch: Callable[[Game], None] = lambda game: None,
) -> list[Record]:
    """Plays whole games, side by side in copies of a game.

    Args:
      player: who plays.
      game: the game; it is copied, and stays as it is.
      seeds: of each game.
      most_moves: after which a game is broken off.
      agent: "trained", which does what it thinks best, or "random".
      watch: is called with the first of the games before each of its moves and after the last.
    """
    games = [game.copy() for _ in seeds]
    rngs = [np.random.default_rng([seed, _ACTIONS]) for seed in seeds]
    observations = [[game.reset(seed)] for game, seed in zip(games, seeds, strict=True)]
    actions: list[list[np.ndarray]] = [[] for _ in seeds]
    rewards: list[list[float]] = [[] for _ in seeds]
    terminated = [False] * len(seeds)
    playing = set(range(len(seeds)))
    memory = player.agent.initial_memory(len(seeds))
    watch(games[0])
    while playing:
        if agent == "random":
            made = np.stack(
                [game.random_action(rng) for game, rng in zip(games, rngs, strict=True)]
            )
        else:
            latest = tf.constant(np.stack([seen[-1] for seen in observations]))
            greedy, _, state = player.act(latest, memory, tf.zeros([2], tf.int32))
            memory, made = Memory(state, greedy), greedy.numpy()
        for i in tuple(playing):
            move = games[i].step(made[i])
            observations[i].append(move.observation)
            actions[i].append(made[i])
            rewards[i].append(move.reward)
            terminated[i] = move.terminated
            if i == 0:
                watch(games[0])
            if move.terminated or move.truncated or len(rewards[i]) >= most_moves:
                playing.remove(i)
    for copied in games:
        copied.close()
    parts = zip(observations, actions, rewards, terminated, strict=True)
    return [Record(*map(np.asarray, played), over) for *played, over in parts]  # type: ignore


def _stacked(rows: list[Rows]) -> Rows:
    kinds = (np.float32, np.float32, np.float32, bool, bool, np.int64)
    columns = zip(*rows, strict=True)
    return Rows(*(np.asarray(x, kind) for x, kind in zip(columns, kinds, strict=True)))
