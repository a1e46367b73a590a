"""The command `vaeseq-play run`: plays episodes and prints their scores."""

import argparse
import contextlib
import errno
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from vaeseq.errors import UsageError
from vaeseq.examples.play import pictures, schedule
from vaeseq.examples.play.environment import Environment
from vaeseq.examples.play.episodes import Episode, Summary, play, summarise
from vaeseq.examples.play.player import Player
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
    film = None if args.render is None else _make_film(args.render)
    kept, player = program.trained(args.log_dir)
    environment = program.make_environment(kept, render=film is not None)
    episodes = _play(args, player, environment, film)
    _print_result(args, environment, episodes)
    if film is not None:  # last, so that a full disk does not cost the result
        _write(args.render, film.gif(environment.frames_per_second))


def _make_film(path: str) -> pictures.Film:
    """Returns an empty film. That it can be written is checked before the games, not after them."""
    folder = Path(path).parent
    with _errors_naming_the_flag(path):
        if Path(path).is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    return pictures.Film()


def _write(path: str, animation: bytes) -> None:
    with _errors_naming_the_flag(path), files.atomic_write(Path(path)) as file:
        file.write(animation)


@contextlib.contextmanager
def _errors_naming_the_flag(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"--render: cannot write {path}: {error.strerror}") from error


def _play(
    args: argparse.Namespace, player: Player, environment: Environment, film: pictures.Film | None
) -> list[Episode]:
    """Plays the episodes one by one and films the first; prints each, but for JSON."""
    actor = player.actor if args.agent == "trained" else None
    max_steps = args.max_moves or player.hparams.game_steps
    episodes: list[Episode] = []
    for number in range(args.num_games):
        watch = film.record if film is not None and number == 0 else None
        seed = schedule.game_seed(args.seed, number)
        episodes += play(actor, environment, [seed], max_steps, watch)
        if not args.json:
            _print_episode(number + 1, episodes[-1])
    return episodes


def _print_result(
    args: argparse.Namespace, environment: Environment, episodes: list[Episode]
) -> None:
    threshold = environment.threshold if args.solved_at is None else args.solved_at
    summary = summarise(episodes, threshold)
    if args.json:
        about = {"env": environment.name, "agent": args.agent, "seed": args.seed}
        print(_json(about, summary, episodes), flush=True)
    else:
        print(summary, flush=True)


def _print_episode(number: int, episode: Episode) -> None:
    moves = len(episode.rewards)
    print(f"game {number}: score {episode.score:g} in {moves} moves", flush=True)


def _json(about: dict[str, object], summary: Summary, episodes: list[Episode]) -> str:
    each = [{"score": x.score, "moves": len(x.rewards)} for x in episodes]
    return json.dumps({**about, **summary._asdict(), "each": each}, indent=2)
