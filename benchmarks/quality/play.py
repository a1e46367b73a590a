"""Steps in the real environment until it is solved, over several random seeds.

    python -m benchmarks.quality.play --games CartPole-v1 --seeds 5
    python -m benchmarks.quality.play --cores RNN VRNN --agent-sees observation state --seeds 3

Every step counts, including random ones. Training ends when the mean greedy score of 20 episodes
reaches the threshold and that of 100 others does as well. The score in the table is the mean of
100 new episodes with the best weights. `--ppo` adds PPO of Stable-Baselines3, which must be
installed, with the tuned hyperparameters of its zoo for CartPole, evaluated every 1,024 steps.

`--cores` and `--agent-sees` compare world models. The dream's score is that of 100 episodes of the
agent in its world model, from the first observations of real ones; there, it samples its actions.
The error is that of the world model's prediction of the next change of the observation, given the
episode so far: its root mean square over 20 random episodes, the same for all, as a share of that
of the changes.
"""

import argparse
import itertools
import os
import tempfile
import time
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from benchmarks.timing import print_table
from vaeseq.examples import play
from vaeseq.examples.play import environment, episodes, imagination
from vaeseq.examples.play.imagination import Start
from vaeseq.examples.play.replay import Transitions
from vaeseq.model.wiring import State


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
    dream: float = np.nan
    error: float = np.nan


CORES = {
    "RNN": "",
    "VRNN": "vae_type=VRNN",
    "VRNN-categorical": "vae_type=VRNN,latent_kind=categorical",
}
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


def train(name, hparams, num_steps=None):
    """Trains a player; returns the result."""
    game = GAMES[name]
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as log_dir:
        steps = num_steps or game.steps
        player = play.train(make(name), log_dir, steps, hparams, game.threshold)
    seconds = time.perf_counter() - began
    played = play.play(player, make(name), 100, seed=10**6)
    score = float(np.mean([episode.score for episode in played]))
    env = environment.Environment(make(name))
    limit = env.env.spec.max_episode_steps
    dream = dream_score(player, np.stack([episode.observations[0] for episode in played]), limit)
    error = prediction_error(player, episodes.play(None, env, range(20), limit))
    return Result(player.trained_steps, seconds, score, score >= game.threshold, dream, error)


def dream_score(player, first, steps):
    """Returns the mean return of the agent in its world model from observations [B, X]."""
    world, agent = player.world, player.agent
    state = State(tf.constant(first), world.core.initial_state(len(first)))
    start = Start(state, agent.initial_memory(len(first)))
    imagine = tf.function(imagination.imagine, autograph=False)
    imagined = imagine(world, agent, start, steps, tf.constant([1, 2]))
    rewards = imagined.rewards * world.statistics.reward_scale
    reached = imagination.step_weights(imagined.continues)  # probabilities
    return float(tf.reduce_mean(tf.reduce_sum(rewards * reached, axis=1)))


def prediction_error(player, played):
    """Returns the error of the predicted next change over episodes, as a share of the changes."""
    pairs = [predicted_changes(player.world, episode) for episode in played]
    predicted, true = map(np.concatenate, zip(*pairs, strict=True))
    error = np.mean((predicted - true) ** 2, axis=0) / np.mean(true**2, axis=0)
    return float(np.sqrt(np.mean(error)))


def predicted_changes(world, episode):
    """Returns predictions of each change of an episode, given what is before it, and the truth."""
    observations = episode.observations[None].astype(np.float32)
    actions, rewards = (np.asarray(x, np.float32) for x in (episode.actions, episode.rewards))
    steps = len(rewards)
    terminated = np.arange(1, steps + 1) == steps * episode.terminated
    rows = (observations[:, 1:], actions[None], rewards[None], terminated[None], None, None)
    outcomes = tuple(world.outcomes(observations[:, :-1], Transitions(*rows)))
    state = State(tf.constant(observations[:, 0]), world.core.initial_state(1))
    contexts, _ = world.context.from_observations(outcomes, actions[None], state.context)
    inference, _ = world.infer(outcomes, actions[None], state=state)
    before = tf.nest.map_structure(
        lambda x, xs: tf.concat([x, xs[0, :-1]], axis=0), state.core, inference.states
    )
    noise = tf.zeros([steps, world.core.latent_size])
    context = tf.nest.map_structure(lambda x: x[0], contexts)
    step, _ = world.core.step(context, before, noise)
    changes = tf.nest.flatten(step.obs_params)[0], outcomes[0][0]
    return [np.asarray(x * world.statistics.change_scale) for x in changes]


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


def spread(values):
    """Returns the median, the lowest and the highest value as text."""
    return f"{np.median(values):,.0f} ({np.min(values):,.0f} to {np.max(values):,.0f})"


def row(name, agent, results):
    """Returns a row of the table for the results of all seeds."""
    steps, seconds, scores, solved, dreams, errors = map(np.asarray, zip(*results, strict=True))
    return [
        *(name, agent, f"{solved.sum()} of {len(results)}", spread(steps)),
        *(spread(seconds), spread(scores), ", ".join(f"{x:.0f}" for x in scores)),
        *(spread(dreams), f"{np.median(errors):.3f}"),
    ]


def describe(hparams):
    """Returns the name of a player in the table."""
    kind = "categorical " if hparams.latent_kind == "categorical" else ""
    return f"vaeseq {kind}{hparams.vae_type}, sees {hparams.agent_sees}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--games", nargs="*", choices=GAMES, default=list(GAMES))
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds (%(default)s)")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="maximum number of steps, for all games")
    parser.add_argument("--cores", nargs="*", choices=CORES, default=["RNN"])
    parser.add_argument(
        "--agent-sees", nargs="*", choices=("observation", "state"), default=["observation"]
    )
    parser.add_argument("--hparams", default="", help="hyperparameters to change")
    parser.add_argument("--ppo", action="store_true", help="also train PPO on CartPole")
    args = parser.parse_args()
    rows = []
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    results = {}
    kinds = itertools.product(args.cores, args.agent_sees)
    for seed, name, kind in itertools.product(seeds, args.games, kinds):
        core, sees = kind
        chosen = play.PlayHParams().parse(GAMES[name].hparams).parse(CORES[core])
        hparams = chosen.replace(agent_sees=sees, seed=seed).parse(args.hparams)
        result = train(name, hparams, args.steps)
        print(name, describe(hparams), seed, *result, flush=True)
        results.setdefault((name, describe(hparams)), []).append(result)
    rows += [row(name, agent, found) for (name, agent), found in results.items()]
    if args.ppo:
        rows.append(row("CartPole-v1", "PPO", [train_ppo(seed) for seed in seeds]))
    header = ["game", "agent", "solved", "steps", "s", "score over 100 games", "of each seed"]
    print_table([*header, "in its dream", "error"], rows)


if __name__ == "__main__":
    main()
