"""vaeseq-text on what people, machines and enemies do to a run."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from benchmarks.kill_matrix import matrix
from tests.conftest import TINY, VERSE
from vaeseq.examples.text import app, program
from vaeseq.examples.text.model import TextModel
from vaeseq.model import sampling
from vaeseq.model.scoring import WindowScorer
from vaeseq.vae.core import VAECore


def test_ten_kills_at_random_moments_lose_nothing():
    kills, equal = matrix(10, steps=700)
    assert len(kills) == 10 and all(equal)
    strange = [kill for kill in kills if not kill.as_expected]
    assert not strange


def test_an_explosion_exits_with_1_and_says_what_to_try(main, tmp_path, corpus):
    train = ["train", "--log-dir", tmp_path / "run", "--train-corpus", corpus, "--num-steps", 9]
    code, _, err = main(*train, "--hparams", f"{TINY},learning_rate=1e38,clip_gradient_norm=0")
    assert code == 1 and "Traceback" not in err
    assert "not finite; nothing was updated. Try a smaller learning_rate" in err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_command_within_seconds_and_quietly(good, number, code):
    flags = ["generate", "--log-dir", str(good), "--length", "1000000"]
    command = [sys.executable, "-c", "from vaeseq.examples.text.app import main; main()", *flags]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while "char/s" not in process.stderr.read(80):
        assert process.poll() is None
    process.send_signal(number)
    start = time.monotonic()
    out, err = process.communicate()
    assert process.returncode == code and out == "" and "Traceback" not in err
    assert time.monotonic() - start < 10


def test_everything_is_traced_once(main, tmp_path, corpus, monkeypatch):
    traced = []

    def count(owner, name):
        method = getattr(owner, name)
        monkeypatch.setattr(
            owner, name, lambda *args, **kwargs: (traced.append(name), method(*args, **kwargs))[1]
        )

    for owner, name in (
        (TextModel, "train_step"),
        (WindowScorer, "_read_window"),
        (VAECore, "generate"),
    ):
        count(owner, name)
    monkeypatch.setattr(program, "_REPORT_STEPS", 2)
    monkeypatch.setattr(program, "_STREAM_CHARACTERS", 50)  # several streams
    monkeypatch.setattr(sampling, "_STEPS_AT_ONCE", 7)  # several pieces
    run = tmp_path / "run"
    train = ["train", "--log-dir", run, "--train-corpus", corpus, "--hparams", TINY]
    main(*train, "--num-steps", 5, "--keep", 1)
    assert len(list(run.glob("checkpoints/step-*"))) == 1
    assert sorted(traced) == ["_read_window", "generate", "train_step"]
    traced.clear()
    main("evaluate", "--log-dir", run)
    main("generate", "--log-dir", run, "--length", 30, "--num-samples", 2, "--temperature", 0.5)
    assert traced == ["_read_window", "generate"]


# A corpus of malicious directories. Each is a good run that somebody has changed.


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    (folder / "corpus.txt").write_text(VERSE * 20)
    flags = ["--log-dir", folder / "run", "--train-corpus", folder / "corpus.txt"]
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit):
        arguments = ["train", *flags, "--hparams", TINY, "--num-steps", 2]
        patch.setattr(sys, "argv", ["vaeseq-text", *map(str, arguments)])
        app.main()
    return folder / "run"


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
    """What is there moves out of the run, and a link leads to it."""

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
    "hparams-memory": (hparams(rnn_hidden_sizes=[10**6] * 9), "GB to train"),
    "hparams-layers": (hparams(rnn_hidden_sizes=[1] * 10**5), "more than 64"),
    "hparams-range": (hparams(sequence_size=10**15), "out of range"),
    "hparams-type-of-core": (hparams(vae_type="../x"), "unknown vae_type"),
    "vocabulary-link": (link_out("vocabulary.json"), "leads out of"),
    "vocabulary-words": (write("vocabulary.json", VOCABULARY % ('["abc"]', 1)), "too long"),
    "vocabulary-twice": (write("vocabulary.json", VOCABULARY % ('["a", "a"]', 1)), "twice"),
    "vocabulary-huge": (write("vocabulary.json", VOCABULARY % ('["a"]', 10**12)), "greater"),
    "vocabulary-other": (write("vocabulary.json", VOCABULARY % ('["a"]', 1)), "another run"),
    "corpus-link": (link_out("corpus/train_corpus.ids"), "leads out of"),
    "corpus-folder": (link_out("corpus"), "leads out of"),
    "corpus-empty": (write("corpus/train_corpus.ids", ""), "cut short"),
    "corpus-ids": (write("corpus/train_corpus.ids", b"\xff" * 1600), "another run"),
    "checkpoints-link": (link_out("checkpoints"), "leads out of"),
    "checkpoints-huge": (huge("checkpoints/step-000000002.safetensors"), "valid"),
    "samples-link": (link_out("samples"), "leads out of"),
    "metrics-link": (link_out("metrics.jsonl"), "leads out of"),
    "tensorboard-link": (link_out("tensorboard"), "leads out of"),
    "curves-link": (link_out("curves.png"), "leads out of"),
    "lock-link": (link_out("lock"), "leads out of"),
}


@pytest.mark.parametrize("attack", MALICIOUS)
def test_a_malicious_directory_is_refused_in_one_line(main, good, tmp_path, attack):
    change, message = MALICIOUS[attack]
    run, outside = tmp_path / "run", tmp_path / "outside"
    shutil.copytree(good, run)
    outside.mkdir()
    change(run)
    before = content(outside)
    code, out, err = main("train", "--log-dir", run, "--num-steps", 3)
    assert code == 2 and out == "" and "Traceback" not in err
    assert message in err.splitlines()[-1], err
    assert content(outside) == before, "something was written outside"


def content(folder):
    return {path: path.is_file() and path.read_bytes() for path in folder.rglob("*")}


def test_a_pickle_for_a_checkpoint_is_passed_over(main, good, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(good, run)
    for path in (run / "checkpoints").iterdir():
        path.write_bytes(PICKLE)
    for command in ("evaluate", "generate"):
        code, out, err = main(command, "--log-dir", run)
        assert code == 2 and out == "" and "has no valid checkpoint" in err
