"""The benchmark of piano rolls takes any set of its kind."""

import numpy as np

from tests.benchmarks.test_commands import run

TINY = (
    "rnn_hidden_sizes=[4],obs_encoder_fc_layers=[4],nade_hidden=3,interval_units=2,"
    "interval_features=2,past_size=5,sequence_size=6,batch_size=2"
)


def test_a_set_of_ones_own(tmp_path, monkeypatch, capsys):
    rng, arrays = np.random.default_rng(0), {}
    for split in ("train", "valid", "test"):
        rolls = rng.random([12, 88]) < 0.05
        arrays[f"{split}_lengths"] = np.array([7, 5], np.int32)
        arrays[f"{split}_counts"] = rolls.sum(1).astype(np.uint8)
        arrays[f"{split}_notes"] = (21 + np.nonzero(rolls)[1]).astype(np.uint8)
    np.savez(tmp_path / "mine.npz", **arrays)
    flags = ["--data", str(tmp_path), "--sets", "mine", "--steps", "2", "--hparams", TINY]
    run(monkeypatch, "benchmarks.quality.polyphonic", *flags)
    printed = capsys.readouterr().out
    assert "step 2," in printed and "| vaeseq RNN-NADE-past | mine | exact | 2 |" in printed
