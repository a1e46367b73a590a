"""Environments of Gymnasium and Gym behind one interface of float32 vectors.

Observations are flattened to vectors [X]. Actions are vectors [A] as well: one-hot for a `Discrete`
action space, and numbers in [-1, 1], scaled to the bounds of the space, for a `Box`. The integers
of a `Box` have equal parts of [-1, 1].
"""

import contextlib
import copy
import importlib
import inspect
import math
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple, Protocol

import gymnasium
import numpy as np
from gymnasium.envs import registration

from vaeseq.errors import Stopped, UsageError, did_you_mean

_LEGACY = "gym:"
_UNUSABLE = "returned values that cannot be used:"


class GymEnv(Protocol):
    """An environment of Gymnasium or of any version of Gym.

    `reset` and `step` return two and five values, or one and four as they did before Gym 0.26.
    """

    observation_space: Any
    action_space: Any
    metadata: Any
    spec: Any

    @property
    def unwrapped(self) -> Any:
        """The environment without its wrappers."""

    def reset(self, *args: Any, **kwargs: Any) -> Any:
        """Begins an episode."""

    def step(self, action: Any) -> Any:
        """Executes an action."""

    def render(self, *args: Any, **kwargs: Any) -> Any:
        """Renders the current state."""

    def close(self) -> None:
        """Releases resources."""


class TimeStep(NamedTuple):
    """The outcome of one step of an environment."""

    observation: np.ndarray  # [X]
    reward: float
    terminated: bool  # the episode is over
    truncated: bool  # the episode was cut off, for example by a time limit


class Environment:
    """An environment whose observations and actions are vectors.

    Args:
      env: an environment of Gymnasium or Gym.
      name: its name in messages; by default the id in `env.spec` or the name of the class.

    Attributes:
      observation_size: X.
      action_size: A.
      discrete: whether actions are one-hot.
      threshold: the mean return that `env.spec` calls solved, or None.

    Raises:
      UsageError: if observations or actions cannot be represented as vectors.

    Example:
      >>> import gymnasium
      >>> from vaeseq.examples import play
      >>> environment = play.Environment(gymnasium.make("CartPole-v1"))
      >>> environment.observation_size, environment.action_size, environment.discrete
      (4, 2, True)
      >>> environment.reset(seed=0).shape
      (4,)
    """

    def __init__(self, env: GymEnv, name: str = ""):
        self.env = env
        self.name: str = name or getattr(env.spec, "id", None) or type(env.unwrapped).__name__
        modern = isinstance(env.action_space, gymnasium.spaces.Space)
        self._spaces: Any = gymnasium.spaces if modern else importlib.import_module("gym.spaces")
        self.observation_size = self._flat_size()
        actions = env.action_space
        self.discrete = isinstance(actions, self._spaces.Discrete)
        if self.discrete:
            self.action_size = int(actions.n)
        elif isinstance(actions, self._spaces.Box) and actions.is_bounded():
            self.action_size = math.prod(actions.shape)
        else:
            raise UsageError(
                f"{self.name} has action space {actions}; supported: Discrete, bounded Box"
            )
        threshold = getattr(env.spec, "reward_threshold", None)
        self.threshold = None if threshold is None else float(threshold)

    def reset(self, seed: int) -> np.ndarray:
        """Begins the episode that belongs to `seed`; returns the first observation [X]."""
        env: Any = self.env
        with self._errors_as_stopped():
            if _reset_takes_seed(env):
                returned = env.reset(seed=seed)
            else:  # before Gym 0.26
                env.seed(seed)
                returned = env.reset()
        pair = isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[1], dict)
        return self._vector(returned[0] if pair else returned)

    def step(self, action: np.ndarray) -> TimeStep:
        """Executes an action [A]."""
        native = self._native_action(action)
        with self._errors_as_stopped():
            returned = self.env.step(native)
        with self._errors_as_stopped(_UNUSABLE):
            step = _time_step(returned)
        if not math.isfinite(step.reward):
            raise Stopped(f"{self.name} returned a reward of {step.reward}; rewards must be finite")
        return step._replace(observation=self._vector(step.observation))

    def random_action(self, rng: np.random.Generator) -> np.ndarray:
        """Returns an action [A] from a uniform distribution."""
        if self.discrete:
            return np.eye(self.action_size, dtype=np.float32)[rng.integers(self.action_size)]
        return rng.uniform(-1, 1, self.action_size).astype(np.float32)

    def render(self) -> np.ndarray:
        """Returns an image of the current state, uint8 [height, width, 3]."""
        try:
            with self._errors_as_stopped():
                image = self.env.render()
        except Stopped as error:  # usually names a package that is not installed
            raise UsageError(f"--render: {error}") from error
        if not isinstance(image, np.ndarray):
            raise UsageError(f"--render: {self.name} does not render images")
        return image

    @property
    def frames_per_second(self) -> float:
        """The frame rate of the environment's animations."""
        return float(self.env.metadata.get("render_fps", 30))

    def copy(self) -> "Environment":
        """Returns an independent copy.

        Raises:
          UsageError: if the environment does not support `copy.deepcopy`.
        """
        try:
            return copy.deepcopy(self)
        except Exception as error:
            raise UsageError(
                f"{self.name} cannot be copied ({error}); episodes are played in copies, so "
                "the environment must support copy.deepcopy"
            ) from error

    def __deepcopy__(self, memo: dict[int, object]) -> "Environment":
        return Environment(copy.deepcopy(self.env, memo), self.name)

    def close(self) -> None:
        """Releases the resources of the environment."""
        self.env.close()

    def _flat_size(self) -> int:
        space = self.env.observation_space
        try:
            size = self._spaces.flatdim(space)
        except (ValueError, NotImplementedError):
            size = 0
        if not size:
            raise UsageError(
                f"{self.name} has observation space {space}, which does not flatten to a vector "
                "of fixed size; wrap it in an ObservationWrapper whose space is a Box"
            )
        return int(size)

    def _native_action(self, action: np.ndarray) -> int | np.ndarray:
        """Converts an action [A] to an element of the action space."""
        space = self.env.action_space
        if self.discrete:
            return int(np.argmax(action)) + int(getattr(space, "start", 0))
        fraction = (np.clip(action, -1, 1).reshape(space.shape) + 1) / 2
        if space.dtype.kind == "f":
            native: np.ndarray = space.low + fraction * (space.high - space.low)
        else:  # rounding would make the bounds half as probable as the integers between them
            low, high = space.low.astype(np.float64), space.high.astype(np.float64)
            native = np.minimum(np.floor(low + fraction * (high - low + 1)), high)
        return native.astype(space.dtype)

    def _vector(self, observation: object) -> np.ndarray:
        """Flattens an observation and checks it."""
        space = self.env.observation_space
        if isinstance(space, self._spaces.Box):
            with self._errors_as_stopped(_UNUSABLE):
                shape = np.asarray(observation).shape
            if shape != space.shape:
                raise Stopped(
                    f"{self.name} returned an observation of shape {shape}; its observation space "
                    f"has shape {space.shape}"
                )
        with self._errors_as_stopped(_UNUSABLE):
            vector = np.asarray(self._spaces.flatten(space, observation), np.float32)
        if not np.isfinite(vector).all():
            raise Stopped(f"{self.name} returned an observation that is not finite")
        return vector

    @contextlib.contextmanager
    def _errors_as_stopped(self, what: str = "raised") -> Iterator[None]:
        """Turns any exception that the environment causes into a one-line `Stopped`."""
        try:
            yield
        except Exception as error:
            reason = f"{type(error).__name__}: {_first_line(error)}"
            raise Stopped(f"{self.name} {what} {reason}") from error


def _reset_takes_seed(env: Any) -> bool:
    """Returns whether `reset` takes the seed. Before Gym 0.26, a method `seed` did.

    `reset(**kwargs)` can be of either kind, so the method decides.
    """
    parameters = inspect.signature(env.unwrapped.reset).parameters
    takes_any = any(x.kind is x.VAR_KEYWORD for x in parameters.values())
    return "seed" in parameters or (takes_any and not callable(getattr(env, "seed", None)))


def _time_step(returned: Any) -> TimeStep:
    """Converts what `step` returned, but for the observation."""
    if len(returned) == 5:
        observation, reward, terminated, truncated, _ = returned
    else:  # before Gym 0.26
        observation, reward, done, info = returned
        truncated = info.get("TimeLimit.truncated", False)
        terminated = done and not truncated
    return TimeStep(observation, float(reward), bool(terminated), bool(truncated))


def make(name: str, render: bool = False) -> Environment:
    """Makes a registered environment.

    Args:
      name: an id of Gymnasium, `module:Id`, or `gym:Id` for an environment of Gym.
      render: whether `Environment.render` will be called.

    Raises:
      UsageError: if the name is unknown or a package is not installed.
    """
    kwargs: dict[str, Any] = {"render_mode": "rgb_array"} if render else {}
    kwargs["disable_env_checker"] = True
    try:
        if name.startswith(_LEGACY):
            return Environment(_import_gym().make(name.removeprefix(_LEGACY), **kwargs), name)
        return Environment(gymnasium.make(name, **kwargs), name)
    except UsageError:
        raise
    except Exception as error:  # the environment's own code may raise anything
        reason = _first_line(error) or type(error).__name__
        raise UsageError(f"--env: cannot make {name}: {reason}{_other_name(name)}") from error


def _other_name(name: str) -> str:
    """Returns a hint at the nearest name, if it is the name that may be wrong.

    Gym gives a hint of its own, and the names in a module are unknown.
    """
    registered = registration.registry.keys()
    right = {*registered, *(x.rpartition("-v")[0] for x in registered)}  # without version: newest
    if name in right or name.startswith(_LEGACY) or imports_module(name):
        return ""
    return did_you_mean(name, registered)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "")


def imports_module(name: str) -> bool:
    """Returns whether `make` imports a module that is part of the name."""
    return ":" in name.removeprefix(_LEGACY)


def _import_gym() -> ModuleType:
    try:
        return importlib.import_module("gym")
    except ImportError as error:
        raise UsageError("--env: gym is not installed; pip install 'vaeseq[gym]'") from error


def derive_seed(*numbers: int) -> int:
    """Returns a seed of 31 bits that is a function of the numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0] >> 1)
