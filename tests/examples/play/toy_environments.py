"""Environments with known values."""

import gymnasium
import numpy as np
from gymnasium import spaces


class Corridor(gymnasium.Env):
    """A corridor with positions 0 to `length`. Reaching the end gives 1 point and terminates."""

    def __init__(self, length=3, max_steps=20):
        self.observation_space = spaces.Box(-1.0, 10.0, [1], np.float32)
        self.action_space = spaces.Discrete(2, start=5)  # 5 is left, 6 is right
        self.length, self.max_steps = length, max_steps
        self.position = self.steps = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.position = self.steps = 0
        return self._observation(), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        self.position = max(0, self.position + (1 if action == 6 else -1))
        self.steps += 1
        won = self.position == self.length
        return self._observation(), float(won), won, self.steps >= self.max_steps, {}

    def _observation(self):
        return np.asarray([self.position], np.float32)


class Bandit(gymnasium.Env):
    """Episodes of one step: arm `paying` of two pays 1. If `continuous`, the best action is 0.5."""

    def __init__(self, paying=1, continuous=False):
        self.observation_space = spaces.Box(-1.0, 1.0, [1], np.float32)
        self.action_space = (
            spaces.Box(-2.0, 2.0, [1], np.float32) if continuous else spaces.Discrete(2)
        )
        self.paying, self.continuous = paying, continuous

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._observation(), {}

    def step(self, action):
        reward = (
            -((float(action[0]) - 1.0) ** 2) if self.continuous else float(action == self.paying)
        )
        return self._observation(), reward, True, False, {}

    def _observation(self):
        return self.np_random.uniform(-1, 1, [1]).astype(np.float32)


class Recall(gymnasium.Env):
    """Episodes of two steps. The first observation says which action the second step pays for."""

    def __init__(self):
        self.observation_space = spaces.Box(-1.0, 1.0, [1], np.float32)
        self.action_space = spaces.Discrete(2)
        self.cue = self.steps = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.cue, self.steps = int(self.np_random.integers(2)), 0
        return np.asarray([2 * self.cue - 1], np.float32), {}

    def step(self, action):
        self.steps += 1
        ended = self.steps == 2
        return np.zeros(1, np.float32), float(ended and action == self.cue), ended, False, {}


class Legacy:
    """The corridor with the interface of Gym before 0.26: `seed`, one value and four values."""

    metadata = None
    spec = None

    def __init__(self):
        self.env = Corridor()
        self.observation_space, self.action_space = self.env.observation_space, spaces.Discrete(2)
        self.seeds = []

    @property
    def unwrapped(self):
        return self

    def seed(self, seed):
        self.seeds.append(seed)

    def reset(self):
        return self.env.reset()[0]

    def step(self, action):
        observation, reward, won, late, _ = self.env.step(5 + action)
        return observation, reward, won or late, {"TimeLimit.truncated": late and not won}


class Broken(Corridor):
    """A corridor that fails at the third step of its second episode."""

    def __init__(self, how):
        super().__init__(max_steps=4, length=9)
        self.how, self.episodes = how, 0

    def reset(self, *, seed=None, options=None):
        self.episodes += 1
        return super().reset(seed=seed)

    def step(self, action):
        observation, reward, *rest = super().step(action)
        if self.episodes < 2 or self.steps < 3:
            return observation, reward, *rest
        if self.how == "raises":
            raise ZeroDivisionError("the floor is lava")
        wrong = {"nan": (observation * np.nan, reward), "shape": (np.zeros(2, np.float32), reward)}
        return *wrong.get(self.how, (observation, np.inf)), *rest


class Unrepeatable(Corridor):
    """A corridor whose first position depends on the number of resets, not on the seed."""

    resets = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        Unrepeatable.resets += 1
        self.position = -Unrepeatable.resets
        return self._observation(), {}


gymnasium.register("VaeseqCorridor-v0", Corridor)
