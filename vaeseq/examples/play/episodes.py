"""Whole episodes, played to see what a player has learned."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from vaeseq.examples.play.agent import Actor
from vaeseq.examples.play.environment import Environment
from vaeseq.examples.play.replay import Transitions

_RANDOM_ACTIONS = 2  # purpose of random seeds


class Episode(NamedTuple):
    """An episode of n steps.

    Example:
      >>> import numpy as np
      >>> from vaeseq.examples import play
      >>> episode = play.Episode(np.zeros([3, 4]), np.zeros([2, 1]), np.array([1.0, 0.5]), True)
      >>> episode.score
      1.5
    """

    observations: np.ndarray  # [n + 1, X]
    actions: np.ndarray  # [n, A]
    rewards: np.ndarray  # [n]
    terminated: bool

    @property
    def score(self) -> float:
        """The undiscounted return."""
        return float(self.rewards.sum())


class Summary(NamedTuple):
    """The returns of several episodes."""

    mean: float
    deviation: float  # standard deviation
    games: int
    threshold: float | None  # the mean return that counts as solved
    solved: bool | None  # None without a threshold

    def __str__(self) -> str:
        games = "game" if self.games == 1 else "games"
        text = f"mean score {self.mean:.1f} +- {self.deviation:.1f} over {self.games} {games}"
        if self.threshold is None:
            return text
        solved = "solved" if self.solved else "not solved"
        return f"{text}; {solved} (threshold {self.threshold:g})"


def summarise(episodes: Sequence[Episode], threshold: float | None) -> Summary:
    """Returns mean and standard deviation of the returns, and whether they reach a threshold."""
    scores = [episode.score for episode in episodes]
    mean = float(np.mean(scores))
    solved = None if threshold is None else mean >= threshold
    return Summary(mean, float(np.std(scores)), len(scores), threshold, solved)


class Policy(Protocol):
    """Chooses the actions of several episodes that are played side by side."""

    def __call__(self, observations: np.ndarray, rewards: np.ndarray) -> np.ndarray:
        """Returns the next actions [B, A].

        Args:
          observations: the latest observations, [B, X].
          rewards: those of the last actions, [B]; not used before the first.
        """


class GreedyPolicy:
    """Chooses the actions that an agent considers best.

    Args:
      actor: the agent's policy.
      batch_size: the number of episodes.
    """

    def __init__(self, actor: Actor, batch_size: int):
        self._actor, self._memory = actor, actor.initial_memory(batch_size)
        self._before: np.ndarray | None = None

    def __call__(self, observations: np.ndarray, rewards: np.ndarray) -> np.ndarray:
        """Returns the most probable actions."""
        if self._before is not None:
            self._remember(self._before, observations, rewards)
        actions, self._memory = self._actor.greedy(observations, self._memory)
        self._before = observations
        return actions

    def _remember(self, before: np.ndarray, observations: np.ndarray, rewards: np.ndarray) -> None:
        """Takes in a step, after which the episodes continue."""
        no, start = np.zeros(len(rewards), np.bool_), np.zeros(len(rewards), np.int64)
        step = Transitions(observations, self._memory.action, rewards, no, no, start)
        self._memory = self._actor.remember(self._memory, before, step)


class RandomPolicy:
    """Chooses uniformly random actions, for each episode with a random seed of its own."""

    def __init__(self, environment: Environment, seeds: Sequence[int]):
        self._environment = environment
        self._rngs = [np.random.default_rng([seed, _RANDOM_ACTIONS]) for seed in seeds]

    def __call__(self, observations: np.ndarray, rewards: np.ndarray) -> np.ndarray:
        """Returns random actions."""
        return np.stack([self._environment.random_action(rng) for rng in self._rngs])


def play(
    actor: Actor | None,
    environment: Environment,
    seeds: Sequence[int],
    max_steps: int,
    watch: Callable[[Environment], None] | None = None,
) -> list[Episode]:
    """Plays episodes side by side in copies of an environment.

    Args:
      actor: plays greedily; None plays random actions.
      environment: the environment, which stays as it is.
      seeds: one for each episode.
      max_steps: an episode is cut off after these.
      watch: called with the environment of the first episode before each of its steps and after
        the last one.
    """
    random = RandomPolicy(environment, seeds)
    policy: Policy = random if actor is None else GreedyPolicy(actor, len(seeds))
    recordings = [_Recording(environment.copy(), seed, max_steps) for seed in seeds]
    if watch is not None:
        recordings[0].watch(watch)
    while not all(recording.ended for recording in recordings):
        observations = np.stack([recording.observations[-1] for recording in recordings])
        rewards = np.asarray([recording.last_reward for recording in recordings], np.float32)
        actions = policy(observations, rewards)
        for recording, action in zip(recordings, actions, strict=True):
            if not recording.ended:
                recording.step(action)
    return [recording.finish() for recording in recordings]


class _Recording:
    """An episode that is being played."""

    def __init__(self, environment: Environment, seed: int, max_steps: int):
        self._environment, self._max_steps = environment, max_steps
        self._watch: Callable[[Environment], None] | None = None
        self.observations = [environment.reset(seed)]
        self._actions: list[np.ndarray] = []
        self._rewards: list[float] = []
        self._terminated = self.ended = False

    def watch(self, watch: Callable[[Environment], None]) -> None:
        """Calls `watch` now and after each step."""
        self._watch = watch
        watch(self._environment)

    @property
    def last_reward(self) -> float:
        """The reward of the last step; 0 before the first."""
        return self._rewards[-1] if self._rewards else 0.0

    def step(self, action: np.ndarray) -> None:
        """Executes an action."""
        step = self._environment.step(action)
        self.observations.append(step.observation)
        self._actions.append(action)
        self._rewards.append(step.reward)
        self._terminated = step.terminated
        too_long = len(self._rewards) >= self._max_steps
        self.ended = step.terminated or step.truncated or too_long
        if self._watch is not None:
            self._watch(self._environment)

    def finish(self) -> Episode:
        """Closes the environment and returns the episode."""
        self._environment.close()
        return Episode(
            np.asarray(self.observations),
            np.asarray(self._actions),
            np.asarray(self._rewards),
            self._terminated,
        )
