import pytest

from vaeseq import HParams
from vaeseq.cli import arguments


@pytest.fixture
def parser():
    parser, commands = arguments.make_parser("prog", "A program.")
    train = arguments.add_command(commands, "nowhere", "train", "train")
    arguments.add_training(train, num_steps=10, hparams=HParams)
    generate = arguments.add_command(commands, "nowhere", "generate", "generate")
    arguments.add_sampling(generate, length=5, unit="characters")
    arguments.add_evaluation(arguments.add_command(commands, "nowhere", "evaluate", "evaluate"))
    return parser


def test_the_flags_of_2018_are_accepted(parser):
    args = parser.parse_args(["train", "--log-dir=d", "--num-steps", "7", "--hparams", "seed=1"])
    assert (args.log_dir, args.num_steps, args.hparams) == ("d", 7, "seed=1")
    args = parser.parse_args(["generate", "--log-dir", "d", "--length", "3", "--num-samples", "2"])
    assert (args.length, args.num_samples, args.temperature) == (3, 2, 1.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "no command given; see prog --help"),
        ("trian", "unknown command 'trian'; did you mean 'train'?"),
        ("train", "required: --log-dir"),
        (
            "train --log-dir d --num-step 3",
            "unknown argument '--num-step'; did you mean '--num-steps'",
        ),
        ("train --log-dir d --hparam=seed=1", "did you mean '--hparams'"),
        ("train --log-dir d --num-steps 0", "must be a whole number of at least 1, not '0'"),
        ("generate --log-dir d --length 0", "argument --length: must be a whole number"),
        ("generate --log-dir d --length x", "argument --length: must be a whole number"),
        ("generate --log-dir d --temperature 0", "must be a number above 0"),
        ("generate --log-dir d --temperature nan", "must be a number above 0"),
        ("generate --log-dir d --seed -1", "argument --seed: "),
        ("evaluate --log-dir d --log-prob-samples 0", "at least 1"),
        ("train --log-dir d extra", "unknown argument 'extra'"),
    ],
)
def test_a_mistake_prints_one_line_to_stderr_and_exits_with_2(parser, capsys, arguments, message):
    with pytest.raises(SystemExit) as exit:
        parser.parse_args(arguments.split())
    assert exit.value.code == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and message in err


def test_an_unknown_value_is_reported_with_its_flag(parser, capsys):
    _, commands = arguments.make_parser("prog", "A program.")
    run = arguments.add_command(commands, "nowhere", "run", "run")
    run.add_argument("--agent", choices=("trained", "random"))
    with pytest.raises(SystemExit):
        run.parse_args(["--log-dir", "d", "--agent", "rando"])
    _, err = capsys.readouterr()
    assert "unknown value of --agent: 'rando'; did you mean 'random'?" in err
