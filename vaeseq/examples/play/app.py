"""Learn a model of a game, learn to play inside that model, and play the real game."""

from vaeseq.cli import arguments
from vaeseq.cli.main import run_command
from vaeseq.examples.play.hparams import PlayHParams

_PACKAGE = "vaeseq.examples.play"


def main() -> None:
    """Runs the console script."""
    run_command(parser())


def parser() -> arguments.Parser:
    """Returns the parser of the program's command line."""
    program, commands = arguments.make_parser("vaeseq-play", __doc__)
    train = arguments.add_command(
        commands, f"{_PACKAGE}.program", "train", "start or resume a training run"
    )
    arguments.add_training(train, num_steps=5000, hparams=PlayHParams)
    _add_environment(train)

    run = arguments.add_command(commands, f"{_PACKAGE}.run", "run", "play games")
    _add_games(run)
    _add_output(run)
    return program


def _add_environment(parser: arguments.Parser) -> None:
    """Adds the flags of `train` that name the game and say when it is solved."""
    parser.add_argument(
        "--env",
        type=arguments.not_empty,
        metavar="NAME",
        help="the game: a Gymnasium id such as Pendulum-v1, module:Id if importing a module "
        "registers it, or gym:Id for Gym (default: CartPole-v1)",
    )
    _add_threshold(parser, "stop when the mean score reaches X")
    parser.add_argument(
        "--no-early-stop", action="store_true", help="train until --num-steps even if solved"
    )


def _add_threshold(parser: arguments.Parser, what: str) -> None:
    parser.add_argument(
        "--solved-at",
        type=arguments.finite,
        metavar="X",
        help=f"{what} (default: the threshold that the game declares)",
    )


def _add_games(parser: arguments.Parser) -> None:
    """Adds the flags of `run` that choose the games and the agent."""
    parser.add_argument(
        "--env",
        type=arguments.not_empty,
        metavar="NAME",
        help="the game of the run; only needed to trust a module:Id",
    )
    _add_threshold(parser, "the mean score that counts as solved")
    parser.add_argument(
        "--num-games",
        type=arguments.positive,
        default=10,
        metavar="N",
        help="number of games (default: %(default)s)",
    )
    parser.add_argument(
        "--max-moves",
        type=arguments.positive,
        metavar="N",
        help="stop a game after N moves (default: the hyperparameter game_steps)",
    )
    parser.add_argument(
        "--agent",
        choices=("trained", "random"),
        default="trained",
        help="who plays (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=arguments.natural,
        default=0,
        metavar="N",
        help="random seed; the same seed gives the same games (default: %(default)s)",
    )


def _add_output(parser: arguments.Parser) -> None:
    """Adds the flags of `run` that choose what it writes."""
    parser.add_argument(
        "--render",
        type=arguments.not_empty,
        metavar="FILE",
        help="write the first game as an animated GIF to FILE",
    )
    parser.add_argument("--json", action="store_true", help="print the result as a JSON object")
