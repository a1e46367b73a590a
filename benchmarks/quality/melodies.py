"""Melodies through one vector: reconstruction and interpolation, with a flat decoder and in bars.

    python -m benchmarks.quality.melodies --steps 1000

The melodies are those of the `demo` extra, dance tunes and the highest voices of chorales, or
those of `--data`. A tenth of the pieces is held out for the test, and a tenth of the others for
validation (`--split valid`). A model for each number of bars is trained on windows of at most so
many bars, once with a flat decoder and once with a conductor over bars; all else is that of
`vaeseq-midi train --encoding melody`.

Reconstruction is the share of the symbols of sixteenth notes that are right, given the mean of q(z
given x): `forced` sees the true symbols before each step; `greedy` its own most probable ones, and
`sampled` its own samples. `notes` is the share of the notes that `greedy` starts at the right time
and pitch. `hold` always holds the last note; `forced` sees that more is predictable without z.

Interpolation is greedy, in 11 points between windows of different pieces, in units of the edit
distance of the two ends: `mean`, `largest` are the distances from point to point, so that 0.1 is
an even path that never turns aside. `crossfade` takes each symbol from one end or the other.
"""

import argparse
import itertools
import os
import time
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from benchmarks.timing import print_table
from vaeseq.examples.midi.collect import collect, embedded_melodies
from vaeseq.examples.midi.corpus import (
    Corpus,
    choose_format,
    consecutive_spans,
    hold_out,
    window_batch,
)
from vaeseq.examples.midi.hparams import MELODY
from vaeseq.examples.midi.model import MidiModel
from vaeseq.examples.midi.music import melody, roll
from vaeseq.model import latent_usage
from vaeseq.training.loop import batches_by_step

BAR, POINTS = 16, 11
ROWS = 64  # at once


class Data(NamedTuple):
    """Rolls to train on, their format, and rolls that are held out."""

    train: Corpus
    form: roll.RollFormat
    held_out: list[np.ndarray]


def load(paths, split):
    """Returns the data, with the pieces of a split held out."""
    pieces = collect(paths, "--data", True, False) if paths else embedded_melodies()
    rest, test = hold_out(pieces.pieces, 0)
    train, valid = hold_out(rest, 0)
    form = choose_format(train, MELODY, BAR / 4, False)
    rolls, held_out = (
        [roll.to_roll(piece.notes, form) for piece in part]
        for part in (train, valid if split == "valid" else test)
    )
    corpus = Corpus(np.concatenate(rolls), consecutive_spans(map(len, rolls)))
    return Data(corpus, form, held_out)


def windows(model, rolls):
    """Returns whole windows of pieces, [N, T], of which each piece has some, and their pieces."""
    size = model.hparams.sequence_size
    found = [
        (model.observe(piece[at : at + size], strike_first_frame=True), index)
        for index, piece in enumerate(rolls)
        for at in range(0, len(piece) - size + 1, max(2 * BAR, size // 4))
    ]
    return np.stack([x for x, _ in found]), np.array([index for _, index in found])


def train(data, bars, segment, args):
    """Returns a trained model and the seconds of a step."""
    hparams = MELODY.replace(
        sequence_size=bars * BAR,
        shortest_window=min(MELODY.shortest_window, bars * BAR),
        seqvae_segment=segment,
        seqvae_parts=bars,
        batch_size=MELODY.batch_size * MELODY.seqvae_parts // bars,  # of as many bars
        learning_rate_decay_steps=args.steps,
        seed=args.seed,
    ).parse(args.hparams)
    keras.utils.set_random_seed(args.seed)
    model = MidiModel(hparams, data.form.num_keys)
    model.compile()

    def batch(step):
        rolls, lengths = window_batch(data.train, step, hparams, data.form.pitched)
        return {"observed": model.observe(rolls, strike_first_frame=True), "lengths": lengths}

    model.fit(batches_by_step(batch, 0, 1), shuffle=False, verbose=0)  # compiles
    start = time.perf_counter()
    model.fit(batches_by_step(batch, 1, args.steps), shuffle=False, verbose=0)
    return model, (time.perf_counter() - start) / (args.steps - 1)


def forced(model, observed, latents):
    """Returns the most probable symbol of each step, given the true ones before it."""
    rows, steps = observed.shape
    state = model.state_from_latents(latents)
    contexts, _ = model.context.from_observations(tf.constant(observed), (), state.context)
    noise = tf.zeros([rows, steps, latents.shape[-1]])
    params = model.core.unroll(contexts, state.core, noise)[0].obs_params
    return np.asarray(model.decoder.sample(model.decoder.temper(params, 1e-8), [0, 0]))


def reconstruct(model, observed):
    """Returns the columns of a row of the table of reconstructions."""
    parts = np.split(observed, range(ROWS, len(observed), ROWS))
    posteriors = [model.encode(x) for x in parts]
    steps = observed.shape[1]
    decoded = [
        (
            forced(model, x, q.loc),
            np.asarray(model.reconstruct(x)),
            np.asarray(model.decode(q.loc, steps, seed=1)),
        )
        for x, q in zip(parts, posteriors, strict=True)
    ]
    by_forced, greedy, sampled = (np.concatenate(x) for x in zip(*decoded, strict=True))
    starts = observed >= melody.FIRST
    shares = [np.mean(x == observed) for x in (by_forced, greedy, sampled)]
    shares.append(np.mean((greedy == observed)[starts]))
    q = type(posteriors[0])(*(tf.concat(x, 0) for x in zip(*posteriors, strict=True)))
    kl = tf.reduce_mean(q.dist().kl_divergence(type(q).standard_like(q.loc).dist()))
    return [
        *(f"{x:.3f}" for x in shares),
        f"{kl:.1f}",
        f"{latent_usage.mutual_information(q):.2f}",
        str(latent_usage.active_units(q)),
    ]


def edit_distance(first, second):
    """Returns the least number of symbols to insert, delete or replace (Levenshtein)."""
    column = np.arange(len(second) + 1)
    row = column
    for count, symbol in enumerate(first, 1):
        best = np.minimum(row[1:] + 1, row[:-1] + (second != symbol))
        row = np.minimum.accumulate(np.concatenate([[count], best]) - column) + column
    return int(row[-1])


def crossfade(start, end, rng):
    """Returns melodies [POINTS, T] that take more and more symbols from the second."""
    order = rng.permutation(len(start))
    shares = np.linspace(0, len(start), POINTS)
    return np.where(order < shares[:, None], end, start)


def smoothness(paths):
    """Returns the mean and the largest step of paths, each in units of the distance of its ends."""
    steps = []
    for path in paths:
        whole = edit_distance(path[0], path[-1])
        if whole:  # the two ends may be decoded alike
            steps.append([edit_distance(*pair) / whole for pair in itertools.pairwise(path)])
    if not steps:
        return ["-", "-"]
    return [f"{np.mean(steps):.3f}", f"{np.mean(np.max(steps, axis=1)):.3f}"]


def interpolate(model, observed, pieces, count):
    """Returns the columns of a row of the table of interpolations: of the model, of crossfades."""
    rng = np.random.default_rng(0)
    pairs = rng.permutation(len(observed))[: 2 * count].reshape(-1, 2)
    pairs = [(a, b) for a, b in pairs if pieces[a] != pieces[b]]
    paths = [np.asarray(model.interpolate(observed[a], observed[b], POINTS)) for a, b in pairs]
    faded = [crossfade(observed[a], observed[b], rng) for a, b in pairs]
    return [str(len(pairs)), *smoothness(paths), *smoothness(faded)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", help="MIDI files, folders or globs, not the chorales")
    parser.add_argument("--bars", type=int, nargs="+", default=[2, 4, 16])
    parser.add_argument("--segments", type=int, nargs="+", default=[0, BAR], help="0 is flat")
    parser.add_argument("--split", choices=["valid", "test"], default="test")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--pairs", type=int, default=12, help="of melodies to interpolate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--hparams", default="", help="hyperparameters to change")
    args = parser.parse_args()
    data, rows, paths = load(args.data, args.split), [], []
    for bars in args.bars:
        for segment in args.segments:
            model, seconds = train(data, bars, segment, args)
            observed, pieces = windows(model, data.held_out)
            name = [str(bars), "conductor" if segment else "flat"]
            if segment == args.segments[0]:
                holds = f"{np.mean(observed == melody.HOLD):.3f}"
                rows.append([str(bars), "hold", str(len(observed)), holds, *7 * ["-"]])
            shown = [str(len(observed)), *reconstruct(model, observed), f"{seconds:.3f}"]
            rows.append([*name, *shown])
            paths.append([*name, *interpolate(model, observed, pieces, args.pairs)])
            print(*rows[-1], "|", *paths[-1], flush=True)
    header = ["bars", "decoder", "windows", "forced", "greedy", "sampled", "notes"]
    header += ["KL", "mutual information", "active units", "s a step"]
    print_table(header, rows)
    print()
    header = ["z: mean", "z: largest", "crossfade: mean", "crossfade: largest"]
    print_table(["bars", "decoder", "pairs", *header], paths)


if __name__ == "__main__":
    main()
