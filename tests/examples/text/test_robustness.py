"""Runs of vaeseq-text survive kills and signals, and refuse malicious files."""

import contextlib
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import safetensors.numpy

from benchmarks.kill_matrix import matrix, state
from tests.conftest import TINY, VERSE
from tests.examples.text.conftest import parse
from vaeseq.examples.text.model import TextModel
from vaeseq.examples.text.program import TextProgram
from vaeseq.model.scoring import WindowScorer
from vaeseq.training import checkpoint_file
from vaeseq.vae.core import VAECore


@contextlib.contextmanager
def process(*arguments):
    """Runs vaeseq-text in a process of its own, which ends with the block."""
    code = "from vaeseq.examples.text.app import main; main()"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
    )
    guard = threading.Timer(600, running.kill)  # a test that hangs fails
    guard.start()
    try:
        yield running
    finally:
        guard.cancel()
        running.kill()
        running.communicate()


def wait_for(pattern, running):
    """Reads stderr until it contains the pattern; returns what was read."""
    text = ""
    while not re.search(pattern, text):
        character = running.stderr.read(1)
        assert character, f"the process ended without {pattern!r}: {text}"
        text += character
    return text


def test_a_run_killed_three_times_equals_an_uninterrupted_run(main, tmp_path, corpus):
    hparams = f"{TINY},dropout=0.2"
    flags = ["--train-corpus", corpus, "--hparams", hparams]
    run, whole = tmp_path / "run", tmp_path / "whole"
    endless = ["train", "--log-dir", run, *flags, "--num-steps", 10**6]
    trains = r"\b[1-9]\d*/1000000 "
    with process(*endless) as running:
        wait_for("the learning rate decays", running)
        running.kill()  # while it writes the files of the run, or before
    with process(*endless) as running:
        wait_for(trains, running)
        running.send_signal(signal.SIGINT)
        _, err = running.communicate()
        assert running.returncode == 130 and "Traceback" not in err
        saved = int(re.search(r"saved at step (\d+)", err)[1])
    with process(*endless) as running:
        assert f"from step {saved} to" in wait_for(trains, running)
        running.kill()
    newest = max((run / "checkpoints").glob("step-*"))
    num_steps = int(re.search(r"\d+", newest.name)[0]) + 10
    for log_dir in (run, whole):
        code, _, err = main("train", "--log-dir", log_dir, *flags, "--num-steps", num_steps)
        assert code == 0, err
    assert state(run) == state(whole)


@pytest.mark.slow
def test_runs_killed_at_ten_random_moments_equal_an_uninterrupted_run():
    kills, equal = matrix(10, steps=700)
    assert len(kills) == 10 and all(equal)
    assert not [kill for kill in kills if not kill.as_expected]


def test_a_signal_ends_a_command_quietly(trained_run):
    with process("generate", "--log-dir", trained_run, "--length", 10**6) as running:
        wait_for("char/s", running)
        running.terminate()
        out, err = running.communicate()
    assert running.returncode == 143 and out == "" and "Traceback" not in err, err


def test_a_loss_that_is_not_finite_exits_with_1_and_suggests_a_remedy(main, tmp_path, corpus):
    train = ["train", "--log-dir", tmp_path / "run", "--train-corpus", corpus, "--num-steps", 9]
    code, _, err = main(*train, "--hparams", f"{TINY},learning_rate=1e38,clip_gradient_norm=0")
    assert code == 1 and "Traceback" not in err
    assert "not finite; nothing was updated. Use a smaller learning_rate" in err


def test_weights_that_overflow_in_the_last_update_stop_the_training(main, tmp_path, corpus):
    train = ["train", "--log-dir", tmp_path / "run", "--train-corpus", corpus, "--num-steps", 1]
    code, _, err = main(*train, "--hparams", f"{TINY},learning_rate=1e300")
    assert code == 1 and "Traceback" not in err
    assert re.search(r"not finite: .*; the newest checkpoint in .* is that of step 1$", err), err


def test_everything_is_traced_once(main, tmp_path, corpus, monkeypatch):
    traced = []

    def count(owner, name):
        method = getattr(owner, name)

        def counted(*args, **kwargs):
            traced.append(name)
            return method(*args, **kwargs)

        monkeypatch.setattr(owner, name, counted)

    count(TextModel, "train_step")
    count(WindowScorer, "_score_window")
    count(VAECore, "generate")
    run, valid = tmp_path / "run", tmp_path / "valid.txt"
    valid.write_text(VERSE * 101)  # long enough for two streams
    corpora = ["--train-corpus", corpus, "--valid-corpus", valid]
    train = ["train", "--log-dir", run, *corpora, "--hparams", TINY, "--num-steps", 5]
    TextProgram(report_steps=2).train(parse(*train, "--keep", 1))
    assert len(list(run.glob("checkpoints/step-*"))) == 1
    assert sorted(traced) == ["_score_window", "generate", "train_step"]
    traced.clear()
    main("evaluate", "--log-dir", run)
    several_pieces = ["--length", 600, "--num-samples", 2, "--temperature", 0.5]
    main("generate", "--log-dir", run, *several_pieces)
    assert traced == ["_score_window", "generate"]


# Malicious run directories: each changes a copy of a good run.


def about(**changes):
    def change(run):
        path = run / "run.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def hparams(**changes):
    def change(run):
        path = run / "run.json"
        content = json.loads(path.read_text())
        content["hparams"].update(changes)
        path.write_text(json.dumps(content))

    return change


def write(name, content):
    def change(run):
        path = run / name
        path.unlink(missing_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return change


def link_out(name):
    """Moves a file or folder out of the run and leaves a link to it."""

    def change(run):
        outside = run.parent / "outside" / name.replace("/", "-")
        if (run / name).exists():
            (run / name).rename(outside)
        else:
            outside.mkdir()
        (run / name).symlink_to(outside)

    return change


def pipe(name):
    def change(run):
        (run / name).unlink()
        os.mkfifo(run / name)

    return change


def huge(name):
    def change(run):
        for path in (run / "checkpoints").iterdir():
            path.unlink()
        with open(run / name, "wb") as file:
            file.truncate(1 << 41)

    return change


PICKLE = b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x04exit\x94\x85\x94R\x94."
VOCABULARY = '{"characters": %s, "oov_buckets": %s}'

MALICIOUS = {
    "about-link": (link_out("run.json"), "leads out of"),
    "about-pipe": (pipe("run.json"), "neither a file nor a folder"),
    "about-deep": (write("run.json", "[" * 10**6), "not JSON"),
    "about-list": (write("run.json", "[]"), "not of type 'object'"),
    "about-number": (about(hparams=3), "not of type 'object'"),
    "about-path": (about(train_corpus={"a": 1}), "train_corpus"),
    "about-bytes": (write("run.json", b"\xff\xfe"), "cannot read"),
    "hparams-type": (hparams(batch_size="os.system('x')"), "batch_size must be int"),
    "hparams-name": (hparams(__class__=1), "unknown name"),
    "hparams-memory": (hparams(rnn_hidden_sizes=[10**6] * 9), "training the model needs"),
    "hparams-layers": (hparams(rnn_hidden_sizes=[1] * 10**5), "100000 items, above 64"),
    "hparams-range": (hparams(sequence_size=10**15), "out of range"),
    "hparams-batch": (hparams(batch_size=2**16, sequence_size=2**20), "time steps needs"),
    "hparams-digits": (hparams(learning_rate_decay_steps=10**400), "decay_steps is out of range"),
    "hparams-float": (hparams(learning_rate=10**400), "learning_rate is out of range"),
    "hparams-sequence": (hparams(sequence_size=2000), "training sequences have 2000"),
    "hparams-type-of-core": (hparams(vae_type="../x"), "unknown vae_type"),
    "vocabulary-link": (link_out("vocabulary.json"), "leads out of"),
    "vocabulary-words": (write("vocabulary.json", VOCABULARY % ('["abc"]', 1)), "too long"),
    "vocabulary-twice": (write("vocabulary.json", VOCABULARY % ('["a", "a"]', 1)), "twice"),
    "vocabulary-surrogate": (
        write("vocabulary.json", VOCABULARY % ('["\\ud800"]', 1)),
        "a surrogate is no character",
    ),
    "vocabulary-huge": (write("vocabulary.json", VOCABULARY % ('["a"]', 10**12)), "greater"),
    "vocabulary-other": (write("vocabulary.json", VOCABULARY % ('["a"]', 1)), "another run"),
    "corpus-link": (link_out("corpus/train_corpus.ids"), "leads out of"),
    "corpus-folder": (link_out("corpus"), "leads out of"),
    "corpus-empty": (write("corpus/train_corpus.ids", ""), "cut short"),
    "corpus-short": (write("corpus/train_corpus.ids", b"\0\1\2"), "training text has 2 char"),
    "corpus-ids": (write("corpus/train_corpus.ids", b"\xff" * 1600), "another run"),
    "checkpoints-link": (link_out("checkpoints"), "leads out of"),
    "checkpoints-huge": (huge("checkpoints/step-000000002.safetensors"), "valid"),
    "samples-link": (link_out("samples"), "leads out of"),
    "metrics-link": (link_out("metrics.jsonl"), "leads out of"),
    "tensorboard-link": (link_out("tensorboard"), "leads out of"),
    "curves-link": (link_out("curves.png"), "leads out of"),
    "unfinished-folder": (lambda run: (run / "x.unfinished").mkdir(), "is a folder"),
    "lock-link": (link_out("lock"), "leads out of"),
}


@pytest.mark.parametrize("attack", MALICIOUS)
def test_a_malicious_directory_is_refused_in_one_line(main, copied_run, tmp_path, attack):
    change, message = MALICIOUS[attack]
    outside = tmp_path / "outside"
    outside.mkdir()
    change(copied_run)
    before = content(outside)
    code, out, err = main("train", "--log-dir", copied_run, "--num-steps", 3)
    assert code == 2 and out == "" and "Traceback" not in err
    assert message in err.splitlines()[-1], err
    assert content(outside) == before, "something was written outside"


def content(folder):
    return {path: path.is_file() and path.read_bytes() for path in folder.rglob("*")}


def test_a_pickle_in_place_of_a_checkpoint_is_skipped(main, copied_run):
    for path in (copied_run / "checkpoints").iterdir():
        path.write_bytes(PICKLE)
    for command in ("evaluate", "generate"):
        code, out, err = main(command, "--log-dir", copied_run)
        assert code == 2 and out == "" and "has no valid checkpoint" in err


LARGEST = np.finfo(np.float32).max


def set_weights(run, values):
    """Sets the weights whose names begin like this in all checkpoints, with valid checksums."""
    for path in (run / "checkpoints").iterdir():
        arrays = safetensors.numpy.load_file(path)
        for (name, array), (start, value) in itertools.product(arrays.items(), values.items()):
            if name.startswith(start):
                array[...] = value
        checkpoint_file.save(path, arrays)


@pytest.mark.parametrize(
    ("values", "codes", "message"),
    [
        ({"model/": np.nan}, (2, 2, 2), "not finite|no valid checkpoint"),
        ({"model/": 1e38}, (2, 2, 1), "not finite|overflow"),
        # Only the logits overflow: the bias and the product are as large as numbers can be.
        (
            {"model/001": [LARGEST, -LARGEST] * 12, "model/002": LARGEST},
            (2, 2, 1),
            "not finite|overflow",
        ),
    ],
    ids=["nan", "large", "logits"],
)
def test_weights_that_overflow_end_in_one_line(main, copied_run, values, codes, message):
    set_weights(copied_run, values)
    commands = (["generate", "--length", 5], ["evaluate"], ["train", "--num-steps", 3])
    for (command, *flags), expected in zip(commands, codes, strict=True):
        code, out, err = main(command, "--log-dir", copied_run, *flags)
        assert code == expected and out == "" and "Traceback" not in err
        assert re.search(message, err.splitlines()[-1]), err


def test_a_temperature_so_low_that_it_overflows_is_reported(main, trained_run):
    flags = ["--length", 9, "--temperature", 1e-40]
    code, out, err = main("generate", "--log-dir", trained_run, *flags)
    assert code == 2 and out == "" and "or the temperature is too low" in err.splitlines()[-1]


CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]")


def test_what_strangers_wrote_into_a_run_does_not_control_the_terminal(main, terminal, copied_run):
    path = copied_run / "vocabulary.json"
    content = json.loads(path.read_text())
    size = len(content["characters"])
    content["characters"] = [*"\x1b\x07\x9b\u202e\r", *map(chr, range(0x4E00, 0x4E00 + size - 5))]
    path.write_text(json.dumps(content))
    (copied_run / "checkpoints" / "evil\x1b[2J\rname").touch()
    commands = [
        ["generate", "--length", "300"],
        ["train", "--num-steps", "3"],
        ["generate", "\x9b"],
    ]
    with terminal() as read:
        for command, *flags in commands:
            main(command, "--log-dir", copied_run, *flags)
            shown = read()
            assert not CONTROLS.search(shown), repr(shown)
            assert "\\x" in shown
            assert "evil\\x1b[2J\\rname" in shown or command == "generate"


def test_a_full_stdout_is_reported_and_a_full_stderr_is_not(main, copied_run, monkeypatch, capsys):
    generate = ["generate", "--log-dir", copied_run, "--length", 5]
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        code, _, err = main(*generate)
    assert code == 2
    assert err.splitlines()[-1].endswith("error: cannot write to stdout: No space left on device")
    monkeypatch.setattr(sys, "stdout", sys.__stdout__)
    with open("/dev/full", "w") as full, open(os.devnull, "w") as null:
        monkeypatch.setattr(sys, "stdout", null)
        monkeypatch.setattr(sys, "stderr", full)
        assert main(*generate)[0] == 0
