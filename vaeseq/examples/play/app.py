"""Learn a game, then learn to play it in imagination; play it."""

from vaeseq.cli import arguments
from vaeseq.cli.main import run_command

_COMMANDS = "vaeseq.examples.play.program"


def main() -> None:
    """The console script."""
    run_command(parser())


def parser() -> arguments.Parser:
    """The program's command line."""
    program, commands = arguments.make_parser("vaeseq-play", __doc__)
    train = arguments.add_command(commands, _COMMANDS, "train", "train, or go on training")
    arguments.add_training(train, num_steps=5000)
    train.set_defaults(workers=1, main=main)
    train.add_argument(
        "--env",
        metavar="NAME",
        help="the game: an id of Gymnasium such as Pendulum-v1, module:Id, or gym:Id for one of "
        "Gym; by default CartPole-v1",
    )
    train.add_argument(
        "--solved-at",
        type=arguments.finite,
        metavar="X",
        help="the mean return that is enough; by default what the game says",
    )
    train.add_argument(
        "--no-early-stop", action="store_true", help="go on to --num-steps when it is solved"
    )

    run = arguments.add_command(commands, _COMMANDS, "run", "play games")
    run.add_argument("--env", metavar="NAME", help="not needed, but for module:Id")
    run.add_argument(
        "--max-moves", type=arguments.positive, metavar="N", help="after which a game is broken off"
    )
    run.add_argument(
        "--num-games",
        type=arguments.positive,
        default=10,
        metavar="N",
        help="how many (%(default)s)",
    )
    run.add_argument(
        "--agent", choices=("trained", "random"), default="trained", help="who plays (%(default)s)"
    )
    run.add_argument(
        "--seed", type=arguments.natural, default=0, metavar="N", help="of the games (%(default)s)"
    )
    run.add_argument("--render", metavar="FILE", help="the first game as an animation, a .gif")
    run.add_argument("--json", action="store_true", help="print one JSON object")
    return program
