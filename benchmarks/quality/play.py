"""Real moves until a game is solved, over seeds, beside the random agent and PPO.

    python -m benchmarks.quality.play --games CartPole-v1 --seeds 5

Every real move counts, the random ones too. A training ends when the greedy mean over 20 games and
then that over 100 others is above the threshold; the row's score is the mean over 100 fresh games
with the best weights. With --ppo, Stable-Baselines3's PPO beside it, where that is installed, with
the tuned hyperparameters of its zoo for CartPole, looked at every 1,024 moves.
"""

import argparse
import os
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from benchmarks.timing import print_table
from vaeseq.examples import play
from vaeseq.examples.play import environment

GAMES = {  # threshold, moves, hyperparameters
    "CartPole-v1": (475.0, 5000, ""),
    "Acrobot-v1": (-100.0, 20_000, ""),
    "Pendulum-v1": (-200.0, 15_000, ""),
    "CartPole-hidden": (400.0, 20_000, "policy_rnn_hidden_sizes=[64],update_every=2"),
}


def make(name):
    """The environment; of the hidden one, only position and angle are seen."""
    if name != "CartPole-hidden":
        return environment.make(name).env
    import gymnasium

    env = gymnasium.make("CartPole-v1", disable_env_checker=True)
    space = env.observation_space
    shown = gymnasium.spaces.Box(space.low[::2], space.high[::2])
    return gymnasium.wrappers.TransformObservation(env, lambda seen: seen[::2], shown)


def fresh(player, env):
    return float(np.mean([episode.score for episode in play.play(player, env, 100, seed=10**6)]))


def ours(name, seed, args):
    threshold, moves, text = GAMES[name]
    hparams = play.PlayHParams().parse(text).parse(args.hparams).replace(seed=seed)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        player = play.train(make(name), folder, args.steps or moves, hparams, threshold)
    seconds = time.perf_counter() - began
    return player.trained_steps, seconds, fresh(player, make(name)), threshold


def ppo(seed):
    import stable_baselines3
    from stable_baselines3.common.evaluation import evaluate_policy
    from stable_baselines3.common.monitor import Monitor

    envs = stable_baselines3.common.env_util.make_vec_env("CartPole-v1", 8, seed=seed)
    model = stable_baselines3.PPO(
        "MlpPolicy", envs, n_steps=32, batch_size=256, gae_lambda=0.8, gamma=0.98, n_epochs=20,
        ent_coef=0.0, learning_rate=1e-3, clip_range=0.2, seed=seed, device="cpu",
    )  # fmt: skip
    began, moves, score = time.perf_counter(), 0, 0.0
    while score < 475 and moves < 100_000:
        model.learn(1024, reset_num_timesteps=False)
        moves = model.num_timesteps
        score, _ = evaluate_policy(model, Monitor(make("CartPole-v1")), 100)
    return moves, time.perf_counter() - began, score, 475.0


def interval(values, rng):
    """The median, with a bootstrap interval of 95%."""
    draws = np.median(rng.choice(values, [10_000, len(values)]), axis=1)
    low, high = np.percentile(draws, [2.5, 97.5])
    return f"{np.median(values):,.0f} ({low:,.0f}-{high:,.0f})"


def row(name, label, results, rng):
    moves, seconds, scores, thresholds = map(np.asarray, zip(*results, strict=True))
    solved = scores >= thresholds
    return [
        *(name, label, f"{solved.sum()} of {len(results)}", interval(moves, rng)),
        *(interval(seconds, rng), interval(scores, rng), ", ".join(f"{x:.0f}" for x in scores)),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--games", nargs="*", choices=GAMES, default=list(GAMES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="instead of those of the table in this file")
    parser.add_argument("--hparams", default="", help="changes to the hyperparameters")
    parser.add_argument("--ppo", action="store_true", help="PPO on CartPole, too")
    args = parser.parse_args()
    rng, rows = np.random.default_rng(0), []
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    for name in args.games:
        results = []
        for seed in seeds:
            results.append(ours(name, seed, args))
            print(name, seed, *results[-1], flush=True)
        label = f"vaeseq {play.PlayHParams().parse(args.hparams).vae_type}"
        rows.append(row(name, label, results, rng))
    if args.ppo:
        rows.append(row("CartPole-v1", "PPO", [ppo(seed) for seed in seeds], rng))
    columns = ["game", "agent", "solved", "real moves", "s", "score over 100 games", "of each seed"]
    print_table(columns, rows)


if __name__ == "__main__":
    main()
