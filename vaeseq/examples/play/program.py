"""The commands of vaeseq-play."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from vaeseq.cli.program import Program
from vaeseq.errors import UsageError
from vaeseq.examples.play import environment, pictures, schedule
from vaeseq.examples.play.environment import Game
from vaeseq.examples.play.episodes import play
from vaeseq.examples.play.hparams import PlayHParams
from vaeseq.examples.play.player import Player
from vaeseq.training import files
from vaeseq.training.callbacks import Report
from vaeseq.training.loop import Batch
from vaeseq.training.run import Run

_DEFAULT = "CartPole-v1"
_DREAM = "dream.gif"


class PlayProgram(Program):
    """A run is made for a game; what is played in it is the replay of its checkpoints."""

    name = "vaeseq-play"
    inputs = "env"
    defaults = PlayHParams()
    flags: dict[str, Any] = {"env": {"type": "string"}}  # noqa: RUF012
    named: str | None = None  # the game that the command line names

    def prepare(self, args: Any, hparams: Any) -> tuple[Game, None]:
        """The game."""
        args.env = self.named = args.env or _DEFAULT
        return environment.make(args.env), None

    def write(self, run: Run, game: Game, content: None) -> None:
        """Nothing: the game's name is in run.json."""

    def read(self, run: Run) -> Game:
        """The game; UsageError where making it runs code that only the run names."""
        return self.game(run)

    def game(self, run: Run, pictures: bool = False) -> Game:
        """As `read`; with `pictures` it can be drawn."""
        name = run.about["env"]
        if environment.imports(name) and name != self.named:
            raise UsageError(
                f"--log-dir: {run.path} plays {name}, which runs the code of a module; "
                f"if you trust it, add --env {name}"
            )
        return environment.make(name, pictures)

    def make_model(self, hparams: Any, game: Game) -> Player:
        """A player of games of this kind."""
        return Player(hparams, game.observation_size, game.action_size, game.discrete)

    def plan(self, run: Run, player: Player, args: Any) -> tuple[Batch, Report]:
        """A move a step."""
        game = self.read(run)
        threshold = game.threshold if args.solved_at is None else args.solved_at
        return schedule.plan(run, player, game, args.num_steps, threshold, not args.no_early_stop)

    def finish(self, run: Run, player: Player) -> None:
        """Plays fresh games with the best weights, beside those of the random agent."""
        game = self.read(run)
        step = run.restore_best(player)
        seeds = schedule.seeds(player, schedule.FRESH, player.hparams.confirm_games)
        for agent in ("trained", "random"):
            records = play(player, game, seeds, player.hparams.game_steps, agent)
            told = schedule.summary(records, game.threshold)
            print(f"{agent:>8}: {_sentence(told)}")
            if agent == "trained":
                run.write(_DREAM, pictures.reality_beside_dream(player, records[0]))
        print(f"trained with {player.trained_steps} moves, the best weights after {step}")
        logging.info("curves, predictions and a dream are in %s", run.path)


PROGRAM = PlayProgram()


def train(args: Any) -> None:
    """Trains, or goes on training."""
    PROGRAM.named = args.env
    PROGRAM.train(args)


def run(args: Any) -> None:
    """Plays games, and prints a line for each and a summary."""
    PROGRAM.named = args.env
    kept = PROGRAM.open(args.log_dir)
    if args.env not in (None, kept.about["env"]):
        raise UsageError(
            f"--env: {args.log_dir} has learned {kept.about['env']}, not {args.env}; leave it out"
        )
    kept, player = PROGRAM.trained(args.log_dir)
    game = PROGRAM.game(kept, pictures=bool(args.render))
    seeds = [environment.seed_of(args.seed, i) for i in range(args.num_games)]
    most = args.max_moves or player.hparams.game_steps
    frames: list[np.ndarray] = []
    records = []
    for number, seed in enumerate(seeds, 1):
        film = args.render and number == 1
        watch = (lambda game: frames.append(game.picture())) if film else (lambda game: None)
        (record,) = play(player, game, [seed], most, args.agent, watch)
        records.append(record)
        if not args.json:
            print(f"game {number}: {record.score:g} in {len(record.rewards)} moves", flush=True)
    if args.render:
        with files.atomic_write(Path(args.render)) as file:
            file.write(pictures.gif(frames, len(frames) / game.frames_per_second))
    told = schedule.summary(records, game.threshold)
    if args.json:
        games_told = [{"score": x.score, "moves": len(x.rewards)} for x in records]
        about = {"env": game.name, "agent": args.agent, "seed": args.seed}
        print(json.dumps({**about, **told, "each": games_told}, indent=2))
    else:
        print(_sentence(told))


def _sentence(told: dict[str, Any]) -> str:
    text = f"{told['mean']:.1f} +- {told['deviation']:.1f} over {told['games']} games"
    if told["threshold"] is None:
        return text
    return f"{text}; {'solved' if told['solved'] else 'not solved'}, at {told['threshold']:g}"
