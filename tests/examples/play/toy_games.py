"""Games whose values are known."""

import gymnasium
import numpy as np
from gymnasium import spaces


class Corridor(gymnasium.Env):
    """Right wins at once, left does nothing: [place], from 0 to `length`; 1 point for the end."""

    def __init__(self, length=3, most_moves=20):
        self.observation_space = spaces.Box(-1.0, 10.0, [1], np.float32)
        self.action_space = spaces.Discrete(2, start=5)  # 5 is left, 6 is right
        self.length, self.most_moves = length, most_moves
        self.place = self.moves = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = self.moves = 0
        return self._seen(), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        self.place = max(0, self.place + (1 if action == 6 else -1))
        self.moves += 1
        won = self.place == self.length
        return self._seen(), float(won), won, self.moves >= self.most_moves, {}

    def _seen(self):
        return np.asarray([self.place], np.float32)


class Arms(gymnasium.Env):
    """Two arms, one move a game; `paying` is the one that pays 1. Or a number, best at 0.5."""

    def __init__(self, paying=1, continuous=False):
        self.observation_space = spaces.Box(-1.0, 1.0, [1], np.float32)
        self.action_space = (
            spaces.Box(-2.0, 2.0, [1], np.float32) if continuous else spaces.Discrete(2)
        )
        self.paying, self.continuous = paying, continuous

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._seen(), {}

    def step(self, action):
        reward = (
            -((float(action[0]) - 1.0) ** 2) if self.continuous else float(action == self.paying)
        )
        return self._seen(), reward, True, False, {}

    def _seen(self):
        return self.np_random.uniform(-1, 1, [1]).astype(np.float32)


class Legacy:
    """The corridor as environments were before Gym 0.26: `seed`, one value and four."""

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
        seen, reward, won, late, _ = self.env.step(5 + action)
        return seen, reward, won or late, {"TimeLimit.truncated": late and not won}


class Broken(Corridor):
    """A corridor in which something goes wrong at the third move of the second game."""

    def __init__(self, how):
        super().__init__(most_moves=4, length=9)
        self.how, self.games = how, 0

    def reset(self, *, seed=None, options=None):
        self.games += 1
        return super().reset(seed=seed)

    def step(self, action):
        seen, reward, *rest = super().step(action)
        if self.games < 2 or self.moves < 3:
            return seen, reward, *rest
        if self.how == "raises":
            raise ZeroDivisionError("the floor is lava")
        wrong = {"nan": (seen * np.nan, reward), "shape": (np.zeros(2, np.float32), reward)}
        return *wrong.get(self.how, (seen, np.inf)), *rest
