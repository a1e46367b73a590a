"""What a row of the SeqVAE tables measures, for models and for simple baselines."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np

from benchmarks.seqvae.bleu import bleu
from benchmarks.seqvae.data import Suite
from benchmarks.seqvae.model import Tokens
from vaeseq.model import latent_usage
from vaeseq.model.sampling import sample

_SAMPLES = 1000
_BATCH_ROWS = 250
_PROBE_ROWS = 5000

Row: TypeAlias = dict[str, object]
"""The measurements of a model by name: JSON."""


@contextlib.contextmanager
def sharpened(model: Tokens, factor: float, offset: np.ndarray | float = 0.0) -> Iterator[None]:
    """Multiplies the logits of a model by a factor, an inverse temperature, and adds an offset."""
    (dense,) = model.decoder.mlp.layers
    kernel, bias = dense.get_weights()
    dense.set_weights([factor * kernel, factor * bias + offset])
    yield
    dense.set_weights([kernel, bias])


def nats_per_symbol(model: Tokens, symbols: np.ndarray, particles: int) -> float:
    """Returns the mean negative log-likelihood, or its importance-weighted upper bound."""
    return -float(model.log_probs(symbols, particles).mean()) / symbols.shape[1]


def oracle_nats_per_symbol(suite: Suite, symbols: np.ndarray) -> float:
    """Returns the mean negative log-likelihood under the oracle."""
    return -float(suite.oracle_log_prob(symbols).mean()) / symbols.shape[1]


def measure_model(
    model: Tokens, suite: Suite, seed: int, factors: Sequence[float], particles: int
) -> Row:
    """Returns the likelihoods and sample quality for each factor of the logits, and the use of z.

    Args:
      model: the model.
      suite: the data.
      seed: the random seed of the samples.
      factors: factors of the logits.
      particles: samples of the importance-weighted bound.
    """
    row: Row = {}
    for factor in factors:
        with sharpened(model, factor):
            row[str(factor)] = measure_samples(model, suite, seed, particles)
    return row | {"z": measure_latents(model, suite), "interpolated": interpolate(model, suite)}


def measure_samples(model: Tokens, suite: Suite, seed: int, particles: int) -> Row:
    """Returns the likelihood of test sequences and the quality of generated ones."""
    sampled = sample(model, model.initial_state(_SAMPLES), _SAMPLES, suite.test.shape[1], seed=seed)
    return {
        "NLL_test": nats_per_symbol(model, suite.test[:_SAMPLES], particles),
        "entropy": nats_per_symbol(model, sampled, particles),
        **sample_quality(suite, sampled),
    }


def sample_quality(suite: Suite, sampled: np.ndarray) -> Row:
    """Returns what can be measured of samples without the model that generated them."""
    if suite.oracles:
        quality: Row = {"NLL_oracle": oracle_nats_per_symbol(suite, sampled)}
    else:
        quality = bleu(suite.sequences(sampled), suite.sequences(suite.test))
    return {**quality, "distinct": len(np.unique(sampled))}


def interpolate(model: Tokens, suite: Suite) -> list[str]:
    """Returns interpolations between two test sequences, as text if the symbols have names."""
    if not suite.names or model.hparams.vae_type != "SEQVAE":
        return []
    return suite.text(np.asarray(model.interpolate(suite.test[0], suite.test[1], 5)))


def measure_latents(model: Tokens, suite: Suite) -> Row | None:
    """Returns how much the test sequences use z; None for a model without z."""
    if model.hparams.vae_type != "SEQVAE":
        return None
    test = suite.test[: len(suite.test) // _BATCH_ROWS * _BATCH_ROWS]
    batches = [(x, [x.shape[1]] * len(x)) for x in np.split(test, len(test) // _BATCH_ROWS)]
    row = latent_usage.latent_usage(model, batches)._asdict()
    return row | ({"probe": probe_accuracy(model, suite)} if len(suite.oracles) > 1 else {})


def probe_accuracy(model: Tokens, suite: Suite) -> float:
    """Returns how often a linear probe of the mean of z finds the component of a test sequence."""
    from sklearn.linear_model import LogisticRegression

    train, test = (model.encode(x[:_PROBE_ROWS]).loc.numpy() for x in (suite.train, suite.test))
    known = {name: components[:_PROBE_ROWS] for name, components in suite.components.items()}
    probe = LogisticRegression(max_iter=2000).fit(train, known["train"])
    return float(probe.score(test, known["test"]))


def measure_baselines(suite: Suite) -> dict[str, Row]:
    """Returns rows that need no training: powers of the symbol frequencies, and the data."""
    rng = np.random.default_rng(0)
    rows = {
        label: measure_unigram(suite, power, rng)
        for label, power in {"uniform": 0, "unigram": 1, "unigram cubed": 3}.items()
    }
    if suite.oracles:
        rows["oracle"] = {
            "NLL_test": oracle_nats_per_symbol(suite, suite.test),
            # The training set is the largest sample of the oracle.
            "entropy": oracle_nats_per_symbol(suite, suite.train),
            **sample_quality(suite, suite.test),
        }
    else:
        sample = rng.permutation(suite.train)[:_SAMPLES]
        rows["training sequences"] = sample_quality(suite, sample)
    return {label: {"1.0": row, "z": None} for label, row in rows.items()}


def measure_unigram(suite: Suite, power: float, rng: np.random.Generator) -> Row:
    """Returns the row of independent symbols, with probabilities proportional to count^power."""
    counts = np.bincount(suite.train.ravel(), minlength=suite.vocabulary) + 1e-2
    p = counts**power / (counts**power).sum()
    sampled = rng.choice(suite.vocabulary, [_SAMPLES, suite.test.shape[1]], p=p)
    own: Row = {"NLL_test": -np.log(p)[suite.test].mean(), "entropy": -np.sum(p * np.log(p))}
    return own | sample_quality(suite, sampled)
