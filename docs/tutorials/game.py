# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Learn a game inside a model
#
# An agent plays a little, a model learns the game from what it saw, and the agent practises inside
# the model. [vaeseq-play](../games.md) does this for CartPole and other environments; here is a
# game of our own.
#
# ## The game
#
# A boat on a river that pushes it. The agent sees where it is and how fast, steers left, not at all
# or right, and loses points with the distance from the middle.

# %%
import os
import tempfile

import gymnasium
import matplotlib.pyplot as plt
import numpy as np

from vaeseq.examples import play
from vaeseq.examples.play import pictures

SMOKE = bool(os.environ.get("VAESEQ_SMOKE"))  # set by the tests: small sizes, poor results
STEPS = 70 if SMOKE else 600


class River(gymnasium.Env):
    """Stay in the middle."""

    observation_space = gymnasium.spaces.Box(-5.0, 5.0, [2], np.float32)
    action_space = gymnasium.spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        """Begins an episode."""
        super().reset(seed=seed)
        self.place, self.speed, self.steps = self.np_random.uniform(-1, 1), 0.0, 0
        return self._see(), {}

    def step(self, action):
        """Steers; the river pushes by chance."""
        self.speed += 0.1 * (action - 1) + 0.03 * self.np_random.normal()
        self.place += self.speed
        self.steps += 1
        lost = abs(self.place) > 3
        return self._see(), 1.0 - abs(self.place), lost, self.steps >= 50, {}

    def _see(self):
        return np.array([self.place, self.speed], np.float32)


# %% [markdown]
# ## Training
#
# 150 steps are random; the model learns from step 101 on. Then, after every step, there is one
# update of the model and one of the agent. The agent never learns from the game itself: all its
# episodes are imagined.

# %%
hparams = play.PlayHParams(
    rnn_hidden_sizes=(32,),
    obs_decoder_fc_hidden_layers=(64,),
    random_steps=60 if SMOKE else 150,
    horizon=10,
    evaluate_every=70 if SMOKE else 300,
    evaluate_games=2 if SMOKE else 5,
)
with tempfile.TemporaryDirectory() as log_dir:
    player = play.train(River(), log_dir, num_steps=STEPS, hparams=hparams)


def random_score(seed):
    """Returns the score of an episode with random actions."""
    river, rng = River(), np.random.default_rng(seed)
    river.reset(seed=seed)
    score = 0.0
    for _ in range(50):
        _, reward, lost, over, _ = river.step(rng.integers(3))
        score += reward
        if lost or over:
            return score
    return score


episodes = play.play(player, River(), games=10)
print(f"after {player.trained_steps} steps: {np.mean([e.score for e in episodes]):.1f}")
print(f"random: {np.mean([random_score(seed) for seed in range(100)]):.1f}; the most is 50")

# %% [markdown]
# ## What it does

# %%
figure, axes = plt.subplots(figsize=(9, 2.5))
for episode in episodes:
    axes.plot(episode.observations[:, 0], color="tab:blue", alpha=0.5)
axes.axhline(0, color="black", linestyle=":")
_ = axes.set(xlabel="step", ylabel="place")

# %% [markdown]
# ## What it believes
#
# The world model is a `ModelBase` like any other. Here it predicts a real episode from one place
# on, given the actions alone, and then dreams a whole episode in which the agent chooses the
# actions.

# %%
episode = max(episodes, key=lambda episode: len(episode.actions))
begin = len(episode.actions) // 4
predicted = pictures.predict(player, episode, begin, len(episode.actions) - begin)
dreamed = pictures.dream(player, episode)
figure, axes = plt.subplots(figsize=(9, 2.5))
axes.plot(episode.observations[:, 0], color="black", label="real")
axes.plot(begin + np.arange(len(predicted)), predicted[:, 0], "--", label="predicted")
axes.plot(dreamed[:, 0], ":", label="dreamed")
axes.set(xlabel="step", ylabel="place")
_ = axes.legend()

# %% [markdown]
# The prediction drifts away: with given actions, small errors of the speed add up, and so does what
# the river did by chance. The dream does not drift, because its agent corrects what it dreams. That
# is why an agent can learn in a model that is not exact.
#
# ## Next
#
# * [vaeseq-play](../games.md): environments of Gymnasium, continuous actions, world models with
#   latents, agents that see the state of the model.
# * [Benchmarks](../benchmarks/quality.md#games): CartPole and Pendulum, and what PPO needs.
