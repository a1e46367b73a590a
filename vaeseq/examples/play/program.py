"""The program vaeseq-play and its command `train`."""

import argparse

from absl import logging

from vaeseq.cli.program import Program, Schema
from vaeseq.errors import UsageError
from vaeseq.examples.play import environment, pictures, schedule
from vaeseq.examples.play.environment import Environment
from vaeseq.examples.play.episodes import play, summarise
from vaeseq.examples.play.hparams import PlayHParams
from vaeseq.examples.play.player import Player
from vaeseq.examples.play.schedule import Evaluation
from vaeseq.training import memory
from vaeseq.training.callbacks import Report
from vaeseq.training.loop import Batch
from vaeseq.training.run import Run

_DEFAULT_ENV = "CartPole-v1"
_DREAM = "dream.gif"
_STEP_BYTES = 200  # of the objects that hold a step of an episode


class PlayProgram(Program[PlayHParams, Environment, None, Player]):
    """Trains players. The data of a run is the replay buffer in its checkpoints.

    Args:
      env: the name of the environment on the command line, or None. Its code may be imported; that
        of a name which is only found in a run may not.
    """

    name = "vaeseq-play"
    defaults = PlayHParams()
    flags: dict[str, Schema] = {"env": {"type": "string"}}  # noqa: RUF012
    shares_batches = False  # a player collects its own data

    def __init__(self, env: str | None):
        self.env = env
        self.threshold: float | None = None  # of the training in progress

    def open(self, log_dir: str, keep: int = 2) -> Run:
        """Returns a run of this program.

        Raises:
          UsageError: if its run.json does not name the game, because it is damaged; see also `Run`.
        """
        run = super().open(log_dir, keep)
        if "env" not in run.about:
            raise UsageError(
                f"--log-dir: {run.path / 'run.json'} does not name the game as its `env`; restore "
                "the file, or choose another directory"
            )
        return run

    def prepare(self, args: argparse.Namespace, hparams: PlayHParams) -> tuple[Environment, None]:
        """Makes the environment of a new run."""
        args.env = self.env = self.env or _DEFAULT_ENV
        return environment.make(self.env), None

    def write(self, run: Run, domain: Environment, content: None) -> None:
        """Writes no files: the name of the environment is in run.json."""

    def read(self, run: Run) -> Environment:
        """Makes the environment of a run."""
        return self.make_environment(run)

    def make_environment(self, run: Run, render: bool = False) -> Environment:
        """Makes the environment of a run; with `render` it can be rendered.

        Raises:
          UsageError: if this would import a module that the user has not named.
        """
        name = run.about["env"]
        if environment.imports_module(name) and name != self.env:
            raise UsageError(
                f"--log-dir: the run in {run.path} plays {name}, which runs the code of a module; "
                f"if you trust it, add --env {name}"
            )
        return environment.make(name, render)

    def time_steps(self, hparams: PlayHParams) -> int:
        """Returns the number of time steps of replayed windows, or of imagined trajectories."""
        return max(super().time_steps(hparams), hparams.imagined_games * hparams.horizon)

    def make_model(self, hparams: PlayHParams, domain: Environment) -> Player:
        """Returns a player for environments with these observations and actions."""
        sizes = domain.observation_size, domain.action_size
        games = max(hparams.evaluate_games, hparams.confirm_games)
        memory.require(
            games * hparams.game_steps * (_STEP_BYTES + 4 * sum(sizes)),
            f"hparams: playing {games} games of {hparams.game_steps} steps side by side",
            "use a smaller game_steps, evaluate_games or confirm_games",
        )
        return Player(hparams, *sizes, domain.discrete)

    def plan(self, run: Run, model: Player, args: argparse.Namespace) -> tuple[Batch, Report]:
        """Returns batches and reports; a training step is a step of the environment."""
        domain = self.read(run)
        model.train_in(domain)
        self.threshold = domain.threshold if args.solved_at is None else args.solved_at
        evaluation = Evaluation(model, domain, self.threshold, not args.no_early_stop)
        return schedule.plan(run, model, evaluation, args.num_steps, "use --no-early-stop")

    def is_unfinished(self, run: Run) -> bool:
        """Returns whether the closing games were interrupted: the dream is written after them."""
        return not run.file(_DREAM).exists()

    def finish(self, run: Run, model: Player) -> None:
        """Plays new episodes with the best weights and with random actions."""
        domain = self.read(run)
        step = run.restore_best(model)
        games = model.hparams.confirm_games
        seeds = schedule.episode_seeds(model, schedule.FINAL, games)
        logging.info("playing %d closing games, then as many with random actions", games)
        played = {}
        for name, actor in (("trained", model.actor), ("random", None)):
            played[name] = play(actor, domain, seeds, model.hparams.game_steps)
            print(f"{name:>8}: {summarise(played[name], self.threshold)}")
        run.write(_DREAM, pictures.reality_beside_dream(model, played["trained"][0]))
        print(f"trained for {model.trained_steps} moves; the best weights are those after {step}")
        logging.info("curves, predictions and a dream are in %s", run.path)


def train(args: argparse.Namespace) -> None:
    """Starts or resumes a training run."""
    PlayProgram(args.env).train(args)
