"""Train a character-level language model, generate text, and score texts."""

from vaeseq.cli import arguments
from vaeseq.cli.main import run_command
from vaeseq.examples.text.hparams import TextHParams

_PACKAGE = "vaeseq.examples.text"


def main() -> None:
    """Runs the console script."""
    run_command(parser())


def parser() -> arguments.Parser:
    """Returns the parser of the program's command line."""
    program, commands = arguments.make_parser("vaeseq-text", __doc__)
    train = arguments.add_command(
        commands, f"{_PACKAGE}.program", "train", "start or resume a training run"
    )
    arguments.add_training(train, num_steps=3000, hparams=TextHParams)
    arguments.add_workers(train, main)
    _add_corpus(train, "train", "text to train on, in UTF-8 (default: Shakespeare, if installed)")
    _add_corpus(train, "valid", "text to validate on (default: the last tenth of --train-corpus)")
    _add_corpus(
        train, "vocab", "text whose characters form the vocabulary (default: --train-corpus)"
    )

    generate = arguments.add_command(commands, f"{_PACKAGE}.generate", "generate", "generate text")
    arguments.add_sampling(generate, length=1000, unit="characters")
    generate.add_argument(
        "--prime", default="", metavar="TEXT", help="text that each sample continues"
    )
    arguments.add_interpolation(generate, "text")

    evaluate = arguments.add_command(
        commands, f"{_PACKAGE}.evaluate", "evaluate", "measure how probable a text is"
    )
    arguments.add_evaluation(evaluate)
    _add_corpus(evaluate, "eval", "text to score (default: the run's validation text)")
    for command in (generate, evaluate):
        _add_corpus(command, "vocab", "ignored: the run stores its vocabulary")
    return program


def _add_corpus(command: arguments.Parser, name: str, text: str) -> None:
    command.add_argument(f"--{name}-corpus", type=arguments.not_empty, metavar="FILE", help=text)
