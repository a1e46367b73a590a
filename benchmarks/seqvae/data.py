"""The sequences of the SeqVAE suites: drawn from oracles whose likelihoods are known, or read."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pretty_midi
import tensorflow as tf

from benchmarks.seqvae.model import TokenHParams, Tokens
from vaeseq import context
from vaeseq.examples.midi import corpus as corpora
from vaeseq.examples.midi.music import melody, roll
from vaeseq.model.sampling import draw

_COMPONENTS = 8
_SIZES = {"train": 10_000, "valid": 1000, "test": 2000}


class Suite(NamedTuple):
    """Symbols [N, T] in splits, and what is known of where they come from."""

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    vocabulary: int
    oracles: Sequence[Any] = ()  # whose mixture, in equal parts, the data is from, where known
    components: dict[str, np.ndarray] | None = None  # which of them drew a sequence, by split
    names: Sequence[str] = ()  # of symbols, where they have some
    end: int | None = None  # the symbol after which there is nothing

    def sequences(self, symbols: np.ndarray) -> list[list[int]]:
        """Those of the rows of symbols, up to their ends."""
        rows = symbols.tolist()
        return [row[: row.index(self.end)] if self.end in row else row for row in rows]

    def text(self, symbols: np.ndarray) -> list[str]:
        """The names of the symbols, a line for each row."""
        return [" ".join(self.names[i] for i in row) for row in self.sequences(symbols)]

    def oracle_log_prob(self, symbols: np.ndarray) -> np.ndarray:
        """Of sequences under the oracle, [N]; exact."""
        parts = np.stack([oracle.log_probs(symbols) for oracle in self.oracles])
        return np.logaddexp.reduce(parts, axis=0) - np.log(len(parts))


class FromSymbol(context.EncodeObserved):
    """What stands before the first observation is symbol 0."""

    def initial_state(self, batch_size: Any) -> tf.Tensor:
        return self.obs_encoder(tf.zeros([batch_size], tf.int32))


class Oracle(Tokens):
    """The LSTM of SeqGAN: its weights are given."""

    def make_context(self) -> context.Context:
        return FromSymbol(self.encoder, self.encoded_size)


def _oracle(vocabulary: int, size: int = 32) -> Oracle:
    hparams = TokenHParams(vae_type="RNN", rnn_hidden_sizes=(size,), embed_size=size)
    return Oracle(hparams, vocabulary)


def released_oracle(path: Path) -> Oracle:
    """The oracle that came with SeqGAN."""
    with np.load(path) as file:
        parts = dict(file)
    oracle = _oracle(len(parts["embedding"]))

    def gates(weight: str) -> np.ndarray:
        return np.concatenate([parts[weight + gate] for gate in "ifog"], axis=-1)

    lstm, (dense,) = oracle.core.d_rnn.layers[0], oracle.decoder.mlp.layers
    oracle.encoder.encoders[0].set_weights([parts["embedding"]])
    lstm.set_weights([gates("W"), gates("U"), gates("b")])
    dense.set_weights([parts["Wout"], parts["bout"]])
    return oracle


def random_oracle(vocabulary: int, seed: int) -> Oracle:
    """An oracle whose weights are standard normal."""
    rng, oracle = np.random.default_rng(seed), _oracle(vocabulary)
    oracle.set_weights([rng.normal(size=w.shape) for w in oracle.get_weights()])
    return oracle


def drawn(oracles: list[Oracle], vocabulary: int, steps: int, sizes: dict[str, int]) -> Suite:
    """Splits of sequences of which each is drawn from one of the oracles."""
    rng, splits, components = np.random.default_rng(0), {}, {}
    for index, (name, size) in enumerate(sizes.items()):
        components[name] = rng.integers(len(oracles), size=size)
        symbols = np.zeros([size, steps], np.int32)
        for number, oracle in enumerate(oracles):
            own = np.flatnonzero(components[name] == number)
            symbols[own] = draw(
                oracle, oracle.initial_state(1), len(own), steps, seed=100 + 10 * index + number
            )
        splits[name] = symbols
    return Suite(**splits, vocabulary=vocabulary, oracles=oracles, components=components)


def oracle(folder: Path, steps: int) -> Suite:
    """SeqGAN's: 5000 symbols, 10,000 training sequences."""
    return drawn([released_oracle(folder / "seqgan_oracle.npz")], 5000, steps, _SIZES)


def own_oracle(folder: Path, steps: int) -> Suite:
    """The same of standard normal weights, as in the SeqVAE paper's code."""
    return drawn([random_oracle(5000, 1)], 5000, steps, _SIZES)


def mixture(folder: Path, steps: int) -> Suite:
    """Eight oracles with 100 symbols."""
    oracles = [random_oracle(100, seed) for seed in range(_COMPONENTS)]
    return drawn(oracles, 100, steps, _SIZES)


def captions(folder: Path, steps: int) -> Suite:
    """Captions word by word, ended and filled up by symbol 0; rare words are symbol 1."""
    lines = {
        name: [x.split() for x in (folder / f"captions/coco_{name}.txt").read_text().splitlines()]
        for name in ("train", "test")
    }
    words, counts = np.unique(np.concatenate(lines["train"]), return_counts=True)
    known = {word: 2 + i for i, word in enumerate(words[counts > 1].tolist())}

    def symbols(split: list[list[str]]) -> np.ndarray:
        array = np.zeros([len(split), steps], np.int32)
        for row, line in zip(array, split, strict=True):
            ids = [known.get(word, 1) for word in line[: steps - 1]]
            row[: len(ids)] = ids
        return array

    train, test = symbols(lines["train"]), symbols(lines["test"])
    names = ["", "<rare>", *known]
    return Suite(train[:-1000], train[-1000:], test, len(names), names=names, end=0)


def melodies(folder: Path, steps: int) -> Suite:
    """Nottingham's in windows, 16 steps to a bar; for training moved by -5 to 5 semitones."""
    paths = corpora.find([str(folder / "melody/nottingham")], "--data")
    pieces = corpora.collect(paths, beats=True, drums=False, progress=False).pieces
    form = roll.RollFormat(rate=4.0, beats=True)
    order = np.random.default_rng(0).permutation(len(pieces))
    tenth = len(pieces) // 10
    parts = {"test": order[:tenth], "valid": order[tenth : 2 * tenth], "train": order[2 * tenth :]}
    splits: dict[str, Any] = {}
    for name, own in parts.items():
        windows = []
        for index in own:
            frames = roll.to_roll(pieces[index].notes, form)
            for move in range(-5, 6) if name == "train" else (0,):
                moved = np.roll(frames, move, axis=1)
                ends = range(steps, len(moved) + 1, steps // 2)
                windows += [melody.of_rolls(moved[end - steps : end], True) for end in ends]
        splits[name] = np.stack(windows).astype(np.int32)
    names = [".", "-", *map(pretty_midi.note_number_to_name, range(21, 109))]
    return Suite(**splits, vocabulary=melody.SYMBOLS, names=names)


SUITES = {  # and how many steps their sequences have
    "oracle": (oracle, 20),
    "own-oracle": (own_oracle, 20),
    "mixture": (mixture, 20),
    "melody": (melodies, 64),
    "captions": (captions, 21),
}
