"""Steps in the real environment until it is solved, over several random seeds.

    python -m benchmarks.quality.play --games CartPole-v1 --seeds 5

Every step counts, including random ones. Training ends when the mean greedy score of 20 episodes
reaches the threshold and that of 100 others does as well. The score in the table is the mean of
100 new episodes with the best weights. `--ppo` adds PPO of Stable-Baselines3, which must be
installed, with the tuned hyperparameters of its zoo for CartPole, evaluated every 1,024 steps.
"""

import argparse
import os
import tempfile
import time
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from benchmarks.timing import print_table
from vaeseq.examples import play
from vaeseq.examples.play import environment


class Game(NamedTuple):
    """An environment, and how long a player may train in it."""

    threshold: float
    steps: int
    hparams: str = ""


class Result(NamedTuple):
    """One training run."""

    steps: int
    seconds: float
    score: float
    solved: bool


GAMES = {
    "CartPole-v1": Game(475.0, 5000),
    "Acrobot-v1": Game(-100.0, 20_000),
    "Pendulum-v1": Game(-200.0, 15_000),
    "CartPole-hidden": Game(400.0, 20_000, "policy_rnn_hidden_sizes=[64],update_every=2"),
}


def make(name):
    """Returns an environment; "CartPole-hidden" shows only position and angle, no velocities."""
    if name != "CartPole-hidden":
        return environment.make(name).env
    import gymnasium

    env = gymnasium.make("CartPole-v1", disable_env_checker=True)
    space = env.observation_space
    shown = gymnasium.spaces.Box(space.low[::2], space.high[::2])
    return gymnasium.wrappers.TransformObservation(env, lambda seen: seen[::2], shown)


def train(name, seed, hparams="", num_steps=None):
    """Trains a player; returns the result."""
    game = GAMES[name]
    hparams = play.PlayHParams().parse(game.hparams).parse(hparams).replace(seed=seed)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as log_dir:
        steps = num_steps or game.steps
        player = play.train(make(name), log_dir, steps, hparams, game.threshold)
    seconds = time.perf_counter() - began
    episodes = play.play(player, make(name), 100, seed=10**6)
    score = float(np.mean([episode.score for episode in episodes]))
    return Result(player.trained_steps, seconds, score, score >= game.threshold)


def train_ppo(seed):
    """Trains PPO on CartPole; returns the result."""
    import stable_baselines3
    from stable_baselines3.common.evaluation import evaluate_policy
    from stable_baselines3.common.monitor import Monitor

    envs = stable_baselines3.common.env_util.make_vec_env("CartPole-v1", 8, seed=seed)
    model = stable_baselines3.PPO(
        "MlpPolicy", envs, n_steps=32, batch_size=256, gae_lambda=0.8, gamma=0.98, n_epochs=20,
        ent_coef=0.0, learning_rate=1e-3, clip_range=0.2, seed=seed, device="cpu",
    )  # fmt: skip
    threshold = GAMES["CartPole-v1"].threshold
    began, steps, score = time.perf_counter(), 0, 0.0
    while score < threshold and steps < 100_000:
        model.learn(1024, reset_num_timesteps=False)
        steps = model.num_timesteps
        score, _ = evaluate_policy(model, Monitor(make("CartPole-v1")), 100)
    return Result(steps, time.perf_counter() - began, score, score >= threshold)


def interval(values, rng):
    """Returns the median with its 95% bootstrap interval as text."""
    medians = np.median(rng.choice(values, [10_000, len(values)]), axis=1)
    low, high = np.percentile(medians, [2.5, 97.5])
    return f"{np.median(values):,.0f} ({low:,.0f}-{high:,.0f})"


def row(name, agent, results, rng):
    """Returns a row of the table for the results of all seeds."""
    steps, seconds, scores, solved = map(np.asarray, zip(*results, strict=True))
    return [
        *(name, agent, f"{solved.sum()} of {len(results)}", interval(steps, rng)),
        *(interval(seconds, rng), interval(scores, rng), ", ".join(f"{x:.0f}" for x in scores)),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--games", nargs="*", choices=GAMES, default=list(GAMES))
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds (%(default)s)")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="maximum number of steps, for all games")
    parser.add_argument("--hparams", default="", help="hyperparameters to change")
    parser.add_argument("--ppo", action="store_true", help="also train PPO on CartPole")
    args = parser.parse_args()
    rng, rows = np.random.default_rng(0), []
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    agent = f"vaeseq {play.PlayHParams().parse(args.hparams).vae_type}"
    for name in args.games:
        results = []
        for seed in seeds:
            results.append(train(name, seed, args.hparams, args.steps))
            print(name, seed, *results[-1], flush=True)
        rows.append(row(name, agent, results, rng))
    if args.ppo:
        rows.append(row("CartPole-v1", "PPO", [train_ppo(seed) for seed in seeds], rng))
    print_table(
        ["game", "agent", "solved", "steps", "s", "score over 100 games", "of each seed"], rows
    )


if __name__ == "__main__":
    main()
