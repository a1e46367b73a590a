"""Learns a model of a game, learns to play inside that model, and plays the real game."""

from vaeseq.cli import arguments
from vaeseq.cli.main import run_command

_PACKAGE = "vaeseq.examples.play"


def main() -> None:
    """Runs the console script."""
    run_command(parser())


def parser() -> arguments.Parser:
    """Returns the parser of the command line."""
    program, commands = arguments.make_parser("vaeseq-play", __doc__)
    train = arguments.add_command(
        commands, f"{_PACKAGE}.program", "train", "begin or resume a training run"
    )
    arguments.add_training(train, num_steps=5000)
    train.set_defaults(workers=1, main=main)
    train.add_argument(
        "--env",
        metavar="NAME",
        help="the game: an id of Gymnasium such as Pendulum-v1, module:Id for one that a module "
        "registers, or gym:Id for one of Gym (default: CartPole-v1)",
    )
    train.add_argument(
        "--solved-at",
        type=arguments.finite,
        metavar="X",
        help="stop when the mean score reaches X (default: the threshold of the game, if it has "
        "one)",
    )
    train.add_argument(
        "--no-early-stop",
        action="store_true",
        help="continue to --num-steps after the game is solved",
    )

    run = arguments.add_command(commands, f"{_PACKAGE}.run", "run", "play games")
    run.add_argument(
        "--env", metavar="NAME", help="the game; needed only to confirm that module:Id is trusted"
    )
    run.add_argument(
        "--max-moves",
        type=arguments.positive,
        metavar="N",
        help="cut off a game after N moves (default: the hparam game_steps)",
    )
    run.add_argument(
        "--num-games",
        type=arguments.positive,
        default=10,
        metavar="N",
        help="number of games (default: %(default)s)",
    )
    run.add_argument(
        "--agent",
        choices=("trained", "random"),
        default="trained",
        help="who plays (default: %(default)s)",
    )
    run.add_argument(
        "--seed",
        type=arguments.natural,
        default=0,
        metavar="N",
        help="random seed of the games (default: %(default)s)",
    )
    run.add_argument(
        "--render", metavar="FILE", help="write an animation of the first game to FILE, a .gif"
    )
    run.add_argument("--json", action="store_true", help="print the result as a JSON object")
    return program
