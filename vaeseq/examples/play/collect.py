"""Collecting experience: the steps of the real environment in which a player trains."""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from vaeseq.errors import Stopped
from vaeseq.examples.play.agent import Actor, Memory
from vaeseq.examples.play.environment import Environment, derive_seed
from vaeseq.examples.play.hparams import PlayHParams
from vaeseq.examples.play.replay import TRANSITION_DTYPES, Replay, Transitions, untrained_variable
from vaeseq.nn.types import Tensor

_EPISODE, _RANDOM, _POLICY = range(3)  # purposes of random seeds


class Collected(NamedTuple):
    """What one step in the environment adds."""

    rows: Transitions  # [1, ...]; [2, ...] if an episode begins: its first observation, the step
    memory: Memory  # of the agent after the step
    episode_return: Tensor  # []: of the episode that has just ended; NaN if none has


class Progress:
    """How far a player is in the real environment, as variables for checkpoints.

    Args:
      memory: the initial memory of the agent.
    """

    def __init__(self, memory: Memory):
        self.steps = untrained_variable(dtype="int64")
        self.episodes = untrained_variable(dtype="int64")  # begun
        self.memory = tf.nest.map_structure(lambda x: untrained_variable(*x.shape), memory)

    @property
    def variables(self) -> list[keras.Variable]:
        """The variables that a checkpoint must keep."""
        return [self.steps, self.episodes, *tf.nest.flatten(self.memory)]

    def advance(self, steps: tf.Tensor, episodes: tf.Tensor, memory: Memory) -> None:
        """Adds steps and begun episodes, and stores the memory."""
        self.steps.assign_add(steps)
        self.episodes.assign_add(episodes)
        for variable, value in zip(*map(tf.nest.flatten, (self.memory, memory)), strict=True):
            variable.assign(value)


class Collector:
    """Executes the steps of a training run in the real environment.

    Episodes and random actions are functions of the seed and the number of the episode; actions of
    the policy are functions of the seed and the number of the step. The first step after a
    checkpoint is restored repeats the steps of the unfinished episode.

    Args:
      environment: the environment.
      actor: chooses the actions that are not random.
      replay: what has been collected before; the caller appends what `step` returns.
      progress: how far the player is; the caller advances it.
      hparams: the hyperparameters.
    """

    def __init__(
        self,
        environment: Environment,
        actor: Actor,
        replay: Replay,
        progress: Progress,
        hparams: PlayHParams,
    ):
        self.environment, self.actor, self.hparams = environment, actor, hparams
        self.replay, self.progress = replay, progress
        self._resumed = False
        self._end()

    def step(self) -> Collected:
        """Executes the next step, after a reset if an episode begins.

        Raises:
          Stopped: if the environment raises or returns invalid values.
        """
        number = int(self.progress.steps.numpy()) + 1
        try:
            if not self._resumed:
                self._resume()
            first = [self._reset()] if self._ended else []
            action, memory = self._action(number)
            return self._step(first, action, memory)
        except Stopped as error:
            raise Stopped(f"step {number}: {error}") from error.__cause__

    def _end(self) -> None:
        """Forgets the current episode, so that the next step begins another."""
        self._ended, self._return, self._length = True, 0.0, 0
        self._episode, self._start = 0, 0  # number of the episode, and its first row
        self._observation = np.zeros(self.environment.observation_size, np.float32)

    def _reset(self) -> Transitions:
        """Begins the next episode; returns its first row."""
        self._end()
        self._ended = False
        self._episode = int(self.progress.episodes.numpy()) + 1
        self._start = int(self.replay.count.numpy())
        self._observation = self._first_observation()
        no_action = np.zeros(self.environment.action_size, np.float32)
        return Transitions(self._observation, no_action, 0.0, False, False, self._start)

    def _first_observation(self) -> np.ndarray:
        return self.environment.reset(derive_seed(self.hparams.seed, _EPISODE, self._episode - 1))

    def _action(self, number: int) -> tuple[np.ndarray, Memory]:
        """Returns the action of a step, random or sampled from the policy, and the new memory."""
        memory = self.actor.initial_memory(1)
        if self._length:
            memory = tf.nest.map_structure(tf.convert_to_tensor, self.progress.memory)
        seed = np.asarray([derive_seed(self.hparams.seed, _POLICY), number], np.int32)
        sampled, state = self.actor.sample(self._observation[None], memory, seed)
        action = self._random_action(number) if self._is_random(number) else sampled[0]
        return action, memory._replace(state=state, action=tf.constant(action[None]))

    def _is_random(self, number: int) -> bool:
        rng = np.random.default_rng([self.hparams.seed, _RANDOM, self._episode])
        return number <= self.hparams.random_steps or rng.random() < self.hparams.random_games

    def _random_action(self, number: int) -> np.ndarray:
        """Returns a random action that is the same for `hparams.random_hold` steps."""
        held = number // self.hparams.random_hold
        rng = np.random.default_rng([self.hparams.seed, _RANDOM, held])
        return self.environment.random_action(rng)

    def _step(self, first: list[Transitions], action: np.ndarray, memory: Memory) -> Collected:
        """Executes an action; returns its row after those in `first`."""
        before, step = self._observation, self.environment.step(action)
        self._observation = step.observation
        self._return += float(np.float32(step.reward))  # rounded as in the replay buffer
        self._length += 1
        truncated = step.truncated or self._length >= self.hparams.game_steps
        self._ended = step.terminated or truncated
        row = Transitions(
            step.observation, action, step.reward, step.terminated, truncated, self._start
        )
        episode_return = self._return if self._ended else np.nan
        memory = self.actor.remember(memory, before[None], _stack([row]))
        return Collected(_stack([*first, row]), memory, np.asarray(episode_return, np.float32))

    def _resume(self) -> None:
        """Repeats the steps of the unfinished episode, if there is one in the replay buffer."""
        self._resumed = True
        count = int(self.replay.count.numpy())
        if not count:
            return
        last = self._rows(np.asarray(count - 1))
        self._start = int(last.episode_start)
        numbers = np.arange(self._start, count)
        if last.terminated or last.truncated or len(numbers) > self.replay.capacity:
            return
        rows = self._rows(numbers)
        self._episode = int(self.progress.episodes.numpy())
        seen = [self._first_observation()]
        seen += [self.environment.step(action).observation for action in rows.action[1:]]
        if not np.array_equal(seen, rows.observation):
            logging.warning(
                "%s does not repeat with the same seed; beginning a new episode",
                self.environment.name,
            )
            return
        self._ended, self._observation, self._length = False, seen[-1], len(numbers) - 1
        self._return = sum(map(float, rows.reward))

    def _rows(self, numbers: np.ndarray) -> Transitions:
        """Returns rows of the replay buffer as arrays."""
        rows = self.replay.gather(tf.constant(numbers))
        return Transitions(*(np.asarray(x) for x in rows))


def _stack(rows: list[Transitions]) -> Transitions:
    columns = zip(*rows, strict=True)
    pairs = zip(columns, TRANSITION_DTYPES, strict=True)
    return Transitions(*(np.asarray(column, dtype) for column, dtype in pairs))
