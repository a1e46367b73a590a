"""Games as arrays: one adapter for the environments of Gymnasium and of its ancestor Gym.

Observations are flat float32 vectors. Actions are vectors too: one-hot where there is a choice, and
numbers from -1 to 1, the bounds of the game, where it is played by numbers.
"""

import copy
import importlib
import inspect
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.envs import registration

from vaeseq.errors import Stopped, UsageError, did_you_mean

_LEGACY = "gym:"


class Move(NamedTuple):
    """What a move brings: [X], and the score and the end of a single game."""

    observation: np.ndarray
    reward: float
    terminated: bool  # the game is over
    truncated: bool  # it was broken off


class Game:
    """An environment of Gymnasium or of Gym.

    Args:
      env: the environment. Gym's `reset` and `step` may return two and five values, or one and
        four as they did before 0.26.
      name: how messages call it.

    Raises:
      UsageError: where its observations or actions cannot be vectors.
    """

    def __init__(self, env: Any, name: str = ""):
        self.env = env
        self.name = name or getattr(env.spec, "id", None) or type(env.unwrapped).__name__
        modern = isinstance(env.action_space, gymnasium.spaces.Space)
        self._spaces = gymnasium.spaces if modern else importlib.import_module("gym.spaces")
        self.observation_size = self._flat_size()
        actions = env.action_space
        self.discrete = isinstance(actions, self._spaces.Discrete)
        if self.discrete:
            self.action_size = int(actions.n)
        elif isinstance(actions, self._spaces.Box) and actions.is_bounded():
            self.action_size = math.prod(actions.shape)
        else:
            raise UsageError(
                f"{self.name} is played by {actions}; vaeseq plays by Discrete actions, or a Box "
                "with bounds"
            )
        threshold = getattr(env.spec, "reward_threshold", None)
        self.threshold = None if threshold is None else float(threshold)

    def _flat_size(self) -> int:
        space = self.env.observation_space
        try:
            size = self._spaces.flatdim(space)
        except (ValueError, NotImplementedError):
            size = 0
        if not size:
            raise UsageError(
                f"{self.name} shows {space}, which has no flat vector of a fixed size; wrap it in "
                "an ObservationWrapper whose space is a Box"
            )
        return int(size)

    def reset(self, seed: int) -> np.ndarray:
        """Begins a game; the same seed begins the same one. Returns the first observation [X]."""
        if "seed" in inspect.signature(self.env.unwrapped.reset).parameters:
            returned = self._guarded(lambda: self.env.reset(seed=seed))
        else:  # before Gym 0.26
            self.env.seed(seed)
            returned = self._guarded(self.env.reset)
        pair = isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[1], dict)
        return self._vector(returned[0] if pair else returned)

    def step(self, action: np.ndarray) -> Move:
        """Makes a move, [A]."""
        played = self._played(action)
        returned = self._guarded(lambda: self.env.step(played))
        if len(returned) == 5:
            observation, reward, terminated, truncated, _ = returned
        else:  # before Gym 0.26
            observation, reward, done, info = returned
            truncated = bool(info.get("TimeLimit.truncated", False))
            terminated = done and not truncated
        if not math.isfinite(reward):
            raise Stopped(f"{self.name} gave a score of {reward}")
        return Move(self._vector(observation), float(reward), bool(terminated), bool(truncated))

    def random_action(self, rng: np.random.Generator) -> np.ndarray:
        """An action [A], all as probable."""
        if self.discrete:
            return np.eye(self.action_size, dtype=np.float32)[rng.integers(self.action_size)]
        return rng.uniform(-1, 1, self.action_size).astype(np.float32)

    def picture(self) -> np.ndarray:
        """The game as it looks, uint8 [height, width, 3]."""
        try:
            picture = self._guarded(self.env.render)
        except Stopped as error:  # most often a package that is not installed, which it names
            raise UsageError(f"--render: {error}") from error
        if not isinstance(picture, np.ndarray):
            raise UsageError(f"{self.name} draws no pictures")
        return picture

    @property
    def frames_per_second(self) -> float:
        """How fast its pictures are to be shown."""
        return float(self.env.metadata.get("render_fps", 30))

    def copy(self) -> "Game":
        """Another game of the same kind, played by itself."""
        try:
            return copy.deepcopy(self)
        except Exception as error:
            raise UsageError(
                f"{self.name} cannot be copied ({error}); give a function that makes it"
            ) from error

    def __deepcopy__(self, memo: dict[int, Any]) -> "Game":
        return Game(copy.deepcopy(self.env, memo), self.name)

    def close(self) -> None:
        """Frees what the environment holds."""
        self.env.close()

    def _played(self, action: np.ndarray) -> Any:
        space = self.env.action_space
        if self.discrete:
            return int(np.argmax(action)) + int(getattr(space, "start", 0))
        share = (np.clip(action, -1, 1).reshape(space.shape) + 1) / 2
        return (space.low + share * (space.high - space.low)).astype(space.dtype)

    def _vector(self, observation: Any) -> np.ndarray:
        space = self.env.observation_space
        if isinstance(space, self._spaces.Box) and np.shape(observation) != space.shape:
            raise Stopped(
                f"{self.name} showed the shape {np.shape(observation)}, not its own {space.shape}"
            )
        flat = self._guarded(lambda: self._spaces.flatten(space, observation))
        vector = np.asarray(flat, np.float32)
        if not np.isfinite(vector).all():
            raise Stopped(f"{self.name} showed an observation that is not finite")
        return vector

    def _guarded(self, call: Callable[[], Any]) -> Any:
        """What an environment raises, whatever it is, ends the training in one line."""
        try:
            return call()
        except Exception as error:
            raise Stopped(f"{self.name} raised {type(error).__name__}: {error}") from error


def make(name: str, pictures: bool = False) -> Game:
    """A game by its name: an id of Gymnasium, `module:Id`, or `gym:Id` for one of Gym.

    Args:
      name: the name.
      pictures: whether `Game.picture` is going to be called.

    Raises:
      UsageError: where there is none, or it lacks something that is not installed.
    """
    how: dict[str, Any] = {"render_mode": "rgb_array"} if pictures else {}
    try:
        if name.startswith(_LEGACY):
            return Game(
                _gym().make(name.removeprefix(_LEGACY), disable_env_checker=True, **how), name
            )
        return Game(gymnasium.make(name, disable_env_checker=True, **how), name)
    except UsageError:
        raise
    except Exception as error:  # whatever an environment's own code raises
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        hint = "" if ":" in name else did_you_mean(name, registration.registry)
        raise UsageError(f"--env: cannot make {name}: {reason}{hint}") from error


def imports(name: str) -> bool:
    """Whether `make` imports a module that the name names."""
    return ":" in name.removeprefix(_LEGACY)


def _gym() -> Any:
    try:
        return importlib.import_module("gym")
    except ImportError as error:
        raise UsageError("--env: gym is not installed; pip install 'vaeseq[gym]'") from error


def seed_of(*numbers: int) -> int:
    """A seed of 31 bits that is a function of some numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0] >> 1)
