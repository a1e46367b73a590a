"""The command `vaeseq-play run`: plays episodes and prints their scores."""

import argparse
import json
from pathlib import Path

import numpy as np

from vaeseq.errors import UsageError
from vaeseq.examples.play import pictures
from vaeseq.examples.play.environment import Environment, derive_seed
from vaeseq.examples.play.episodes import Episode, Summary, play, summarise
from vaeseq.examples.play.program import PlayProgram
from vaeseq.training import files


def run(args: argparse.Namespace) -> None:
    """Plays episodes; prints a line for each and a summary, or a JSON object."""
    program = PlayProgram(args.env)
    name = program.open(args.log_dir).about["env"]
    if args.env not in (None, name):
        raise UsageError(
            f"--env: the run in {args.log_dir} has learned {name}, not {args.env}; leave out --env"
        )
    kept, player = program.trained(args.log_dir)
    environment = program.make_environment(kept, render=args.render is not None)
    actor = player.actor if args.agent == "trained" else None
    max_steps = args.max_moves or player.hparams.game_steps
    frames: list[np.ndarray] = []

    def record(environment: Environment) -> None:
        frames.append(environment.render())

    episodes = []
    for number in range(args.num_games):
        watch = record if args.render and number == 0 else None
        seed = derive_seed(args.seed, number)
        episodes += play(actor, environment, [seed], max_steps, watch)
        if not args.json:
            _print_episode(number + 1, episodes[-1])
    if args.render:
        _write(args.render, pictures.gif(frames, len(frames) / environment.frames_per_second))
    threshold = environment.threshold if args.solved_at is None else args.solved_at
    summary = summarise(episodes, threshold)
    if args.json:
        about = {"env": environment.name, "agent": args.agent, "seed": args.seed}
        print(_json(about, summary, episodes))
    else:
        print(summary)


def _write(path: str, animation: bytes) -> None:
    try:
        with files.atomic_write(Path(path)) as file:
            file.write(animation)
    except OSError as error:
        raise UsageError(f"--render: cannot write {path}: {error.strerror}") from error


def _print_episode(number: int, episode: Episode) -> None:
    moves = len(episode.rewards)
    print(f"game {number}: score {episode.score:g} in {moves} moves", flush=True)


def _json(about: dict[str, object], summary: Summary, episodes: list[Episode]) -> str:
    each = [{"score": x.score, "moves": len(x.rewards)} for x in episodes]
    return json.dumps({**about, **summary._asdict(), "each": each}, indent=2)
