"""Train a model of music on MIDI, MusicXML or ABC files, generate and score music, and play."""

import argparse

from vaeseq.cli import arguments
from vaeseq.cli.main import run_command
from vaeseq.examples.midi.hparams import MidiHParams

_PACKAGE = "vaeseq.examples.midi"
_LAST_PORT = 65535


def main() -> None:
    """Runs the console script."""
    run_command(parser())


def parser() -> arguments.Parser:
    """Returns the parser of the program's command line."""
    program, commands = arguments.make_parser("vaeseq-midi", __doc__)
    train = arguments.add_command(
        commands, f"{_PACKAGE}.program", "train", "start or resume a training run"
    )
    arguments.add_training(
        train, num_steps=None, hparams=MidiHParams, default_steps="1500, for melodies 3000"
    )
    arguments.add_workers(train, main)
    _add_files(
        train,
        "--train-files",
        "MIDI, MusicXML or ABC files, folders or glob patterns to train on (default: the Bach "
        "chorales, and for melodies also dance tunes, if installed)",
    )
    _add_files(
        train,
        "--valid-files",
        "MIDI, MusicXML or ABC files to validate on (default: a random tenth of --train-files)",
    )
    train.add_argument(
        "--frames-per-beat",
        type=arguments.above_zero,
        metavar="N",
        help="number of frames per beat (default: 4 for the Bach chorales and for melodies; "
        "otherwise frames are counted per second, by the hyperparameter `rate`)",
    )
    train.add_argument(
        "--instruments",
        choices=("merge", "apart"),
        help="merge: one keyboard for all notes (default); apart: one keyboard for each family of "
        "instruments",
    )
    train.add_argument(
        "--encoding",
        choices=("roll", "melody"),
        help="roll: the state of every key (default); melody: the highest voice only, one symbol "
        "per frame, with one latent variable per melody",
    )
    train.add_argument(
        "--drums",
        action="store_true",
        help="keep drums on a separate keyboard (default: ignore them)",
    )

    generate = arguments.add_command(
        commands, f"{_PACKAGE}.generate", "generate", "generate music as .mid, .wav and .png files"
    )
    arguments.add_sampling(
        generate,
        length=30,
        unit="seconds",
        kind=arguments.above_zero,
        default_of_others="with --like: the whole tune; with --interpolate: what both pieces have, "
        "at most a training sequence of melodies, or 30 seconds",
    )
    generate.add_argument(
        "--out-dir", type=arguments.not_empty, required=True, metavar="DIR", help="output directory"
    )
    generate.add_argument(
        "--play",
        action="store_true",
        help="open the page that shows and plays the samples in the browser",
    )
    generate.add_argument(
        "--prime",
        type=arguments.not_empty,
        metavar="FILE",
        help="MIDI, MusicXML or ABC file that each sample continues",
    )
    generate.add_argument(
        "--prime-seconds",
        type=arguments.above_zero,
        metavar="S",
        help="use only the first S seconds of --prime (default: all)",
    )
    generate.add_argument(
        "--like",
        type=arguments.not_empty,
        metavar="FILE",
        help="make variations of a tune, as long as it is or as --length says. With latent "
        "variables, they lie between those of the tune and random ones; without, the model keeps "
        "or replaces what starts together in the tune, given the variation up to there",
    )
    generate.add_argument(
        "--amount",
        type=arguments.not_negative,
        metavar="X",
        help="how far the variations of --like are from the tune: from 0, the tune or what its "
        "latent variables say of it, to 1, samples that do not depend on it (default: 0.3)",
    )
    generate.add_argument(
        "--exact-length",
        action="store_true",
        help="stop at --length exactly, even within a note (default: generate up to 50%% more, at "
        "most 8 seconds, and end at the longest rest or held chord); not with --like and "
        "--interpolate, whose samples have no such ending",
    )
    generate.add_argument(
        "--tempo",
        type=arguments.above_zero,
        metavar="BPM",
        help="beats per minute of the generated music (default: that of the end of --prime, or the "
        "median of the training files); if the run counts frames per second, the music is sped up "
        "by the ratio of this tempo to the default",
    )
    generate.add_argument(
        "--program",
        nargs="+",
        metavar="NAME",
        help="General MIDI instrument of the generated music, a name or a number from 0 to 127; "
        "one for all keyboards of the run but drums, or one for each (default: those of --prime, "
        "or of the training files)",
    )
    arguments.add_interpolation(generate, "piece")

    evaluate = arguments.add_command(
        commands, f"{_PACKAGE}.evaluate", "evaluate", "measure how probable pieces are"
    )
    arguments.add_evaluation(evaluate)
    _add_files(
        evaluate,
        "--eval-files",
        "MIDI, MusicXML or ABC files, folders or glob patterns to score (default: the run's "
        "held-out pieces)",
    )
    evaluate.add_argument(
        "--samples",
        type=arguments.positive,
        metavar="N",
        help="also generate N samples, and compare the statistics of their music with those of the "
        "pieces",
    )
    evaluate.add_argument(
        "--length",
        type=arguments.above_zero,
        metavar="N",
        help="length of each of the --samples in seconds (default: 30)",
    )
    evaluate.add_argument(
        "--temperature",
        type=arguments.above_zero,
        metavar="X",
        help="temperature of the --samples (default: 1)",
    )
    studio = arguments.add_command(
        commands,
        f"{_PACKAGE}.studio.serve",
        "studio",
        "open a page in the browser on which to play with a trained model",
    )
    studio.add_argument(
        "--port",
        type=_port,
        default=8421,
        metavar="N",
        help="port of this machine at which the page is served; 0 takes a free one (default: "
        "%(default)s)",
    )
    studio.add_argument(
        "--no-browser",
        action="store_true",
        help="print the address of the page, but do not open it",
    )
    return program


def _port(text: str) -> int:
    """Parses the number of a port."""
    number = arguments.natural(text)
    if number > _LAST_PORT:
        raise argparse.ArgumentTypeError(f"must be at most {_LAST_PORT}, not {text!r}")
    return number


def _add_files(parser: arguments.Parser, flag: str, text: str) -> None:
    parser.add_argument(flag, type=arguments.not_empty, nargs="+", metavar="PATH", help=text)
