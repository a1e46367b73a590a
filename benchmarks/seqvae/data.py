"""The data of the SeqVAE suites: samples of oracles with known likelihoods, captions, melodies."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pretty_midi
import tensorflow as tf

from benchmarks.seqvae.model import TokenHParams, Tokens
from vaeseq import context
from vaeseq.examples.midi.collect import find_files, parse_files
from vaeseq.examples.midi.music import melody, roll
from vaeseq.model.sampling import sample
from vaeseq.nn.lstm import gates_from_format_1
from vaeseq.nn.types import Size

_COMPONENTS = 8
_SIZES = {"train": 10_000, "valid": 1000, "test": 2000}


class Suite(NamedTuple):
    """Splits of symbol sequences [N, T], and what is known of their origin."""

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    vocabulary: int
    oracles: Sequence[Tokens] = ()  # the data are from their mixture, with equal weights
    components: dict[str, np.ndarray] | None = None  # by split, the oracle of each sequence
    names: Sequence[str] = ()  # of the symbols
    end: int | None = None  # the symbol that ends a sequence

    def sequences(self, symbols: np.ndarray) -> list[list[int]]:
        """Returns the rows of symbols [N, T], each up to its end."""
        rows = symbols.tolist()
        return [row[: row.index(self.end)] if self.end in row else row for row in rows]

    def text(self, symbols: np.ndarray) -> list[str]:
        """Returns a line with the names of the symbols for each row."""
        return [" ".join(self.names[i] for i in row) for row in self.sequences(symbols)]

    def oracle_log_prob(self, symbols: np.ndarray) -> np.ndarray:
        """Returns the exact log-likelihoods under the mixture of the oracles in nats, [N]."""
        parts = np.stack([oracle.log_probs(symbols) for oracle in self.oracles])
        return np.logaddexp.reduce(parts, axis=0) - np.log(len(parts))


class StartsWithSymbolZero(context.EncodeObserved):
    """A context that sees symbol 0 before the first observation."""

    def initial_state(self, batch_size: Size) -> tf.Tensor:
        """Returns the encoding of symbol 0, [B, E]."""
        return self.obs_encoder(tf.zeros([batch_size], tf.int32))


class Oracle(Tokens):
    """The LSTM of SeqGAN; its weights are given."""

    def make_context(self) -> context.Context:
        """Returns SeqGAN's: the first input is symbol 0."""
        return StartsWithSymbolZero(self.encoder, self.encoded_size)


def _make_oracle(vocabulary: int, size: int = 32) -> Oracle:
    hparams = TokenHParams(vae_type="RNN", rnn_hidden_sizes=(size,), embed_size=size)
    return Oracle(hparams, vocabulary)


def released_oracle(path: Path) -> Oracle:
    """Loads the oracle released with SeqGAN."""
    with np.load(path) as file:
        parts = dict(file)
    oracle = _make_oracle(len(parts["embedding"]))

    def gates(weight: str) -> np.ndarray:
        return np.concatenate([parts[weight + gate] for gate in "ifgo"], axis=-1)

    lstm, (dense,) = oracle.core.d_rnn.layers[0], oracle.decoder.mlp.layers
    oracle.encoder.encoders[0].set_weights([parts["embedding"]])
    lstm.set_weights([gates("W"), gates("U"), gates("b")])
    dense.set_weights([parts["Wout"], parts["bout"]])
    return oracle


def random_oracle(vocabulary: int, seed: int) -> Oracle:
    """Returns an oracle with standard normal weights, which are those of vaeseq 0.1."""
    rng, oracle = np.random.default_rng(seed), _make_oracle(vocabulary)
    oracle.set_weights([rng.normal(size=w.shape) for w in oracle.get_weights()])
    lstm = oracle.core.d_rnn.layers[0]
    lstm.set_weights([gates_from_format_1(w) for w in lstm.get_weights()])
    return oracle


def sample_suite(
    oracles: Sequence[Oracle], vocabulary: int, steps: int, sizes: dict[str, int]
) -> Suite:
    """Returns splits whose sequences are each sampled from a random one of the oracles."""
    rng, splits, components = np.random.default_rng(0), {}, {}
    for index, (name, size) in enumerate(sizes.items()):
        components[name] = rng.integers(len(oracles), size=size)
        splits[name] = _sample_components(oracles, components[name], steps, seed=100 + 10 * index)
    return Suite(**splits, vocabulary=vocabulary, oracles=oracles, components=components)


def _sample_components(
    oracles: Sequence[Oracle], components: np.ndarray, steps: int, seed: int
) -> np.ndarray:
    symbols = np.zeros([len(components), steps], np.int32)
    for number, oracle in enumerate(oracles):
        rows = np.flatnonzero(components == number)
        symbols[rows] = sample(
            oracle, oracle.initial_state(len(rows)), len(rows), steps, seed=seed + number
        )
    return symbols


def oracle_suite(folder: Path, steps: int) -> Suite:
    """Returns the data of SeqGAN: 5000 symbols, 10,000 training sequences."""
    return sample_suite([released_oracle(folder / "seqgan_oracle.npz")], 5000, steps, _SIZES)


def own_oracle_suite(folder: Path, steps: int) -> Suite:
    """Returns the same from a standard normal oracle, as in the code of the SeqVAE paper."""
    return sample_suite([random_oracle(5000, 1)], 5000, steps, _SIZES)


def mixture_suite(folder: Path, steps: int) -> Suite:
    """Returns a mixture of eight oracles with 100 symbols."""
    oracles = [random_oracle(100, seed) for seed in range(_COMPONENTS)]
    return sample_suite(oracles, 100, steps, _SIZES)


def captions_suite(folder: Path, steps: int) -> Suite:
    """Returns captions as words. Symbol 0 ends and pads a caption; symbol 1 is any rare word."""
    lines = [_read_words(folder / f"captions/coco_{name}.txt") for name in ("train", "test")]
    words, counts = np.unique(np.concatenate(lines[0]), return_counts=True)
    known = {word: 2 + i for i, word in enumerate(words[counts > 1].tolist())}
    names = ["", "<rare>", *known]
    train, test = (_encode_words(split, known, steps) for split in lines)
    return Suite(train[:-1000], train[-1000:], test, len(names), names=names, end=0)


def _read_words(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text().splitlines()]


def _encode_words(lines: list[list[str]], known: dict[str, int], steps: int) -> np.ndarray:
    array = np.zeros([len(lines), steps], np.int32)
    for row, line in zip(array, lines, strict=True):
        ids = [known.get(word, 1) for word in line[: steps - 1]]
        row[: len(ids)] = ids
    return array


def melody_suite(folder: Path, steps: int) -> Suite:
    """Returns windows of the Nottingham melodies, 16 steps to a bar; training is transposed."""
    paths = find_files([str(folder / "melody/nottingham")], "--data")
    pieces = parse_files(paths, beats=True, drums=False, progress=False).pieces
    order = np.random.default_rng(0).permutation(len(pieces))
    tenth = len(pieces) // 10
    parts = {"test": order[:tenth], "valid": order[tenth : 2 * tenth], "train": order[2 * tenth :]}
    form = roll.RollFormat(rate=4.0, beats=True)
    splits = {}
    for name, indices in parts.items():
        rolls = [roll.to_roll(pieces[index].notes, form) for index in indices]
        semitones = range(-5, 6) if name == "train" else (0,)
        windows = [x for own in rolls for x in _melody_windows(own, semitones, steps)]
        splits[name] = np.stack(windows).astype(np.int32)
    names = [".", "-", *map(pretty_midi.note_number_to_name, range(21, 109))]
    return Suite(**splits, vocabulary=melody.SYMBOLS, names=names)


def _melody_windows(frames: np.ndarray, semitones: Sequence[int], steps: int) -> list[np.ndarray]:
    """Returns half-overlapping windows of a roll, transposed by each number of semitones."""
    ends = range(steps, len(frames) + 1, steps // 2)
    transposed = [np.roll(frames, semitone, axis=1) for semitone in semitones]
    return [melody.from_rolls(x[end - steps : end], True) for x in transposed for end in ends]


SUITES = {  # the function that makes the data, and the default length of its sequences
    "oracle": (oracle_suite, 20),
    "own-oracle": (own_oracle_suite, 20),
    "mixture": (mixture_suite, 20),
    "melody": (melody_suite, 64),
    "captions": (captions_suite, 21),
}
