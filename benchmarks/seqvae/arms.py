"""The arms of the experiment: hyperparameters, pretraining by the ELBO, and policy gradients."""

import argparse
import time
from collections.abc import Callable, Iterable

import keras
import numpy as np

from benchmarks.seqvae.data import Suite
from benchmarks.seqvae.model import TokenHParams, Tokens
from vaeseq.training.loop import batches_by_step

CONTROLS = {"RNN": "MLE", "SEQVAE": "SEQVAE"}  # the control arm of each pretrained model
_ROLLED = "policy_rollouts=2,policy_reward_step=5,discriminator=cnn,"
ARMS = {  # the pretrained model, and the hyperparameters that change after pretraining
    "MLE": ("RNN", ""),
    "SeqGAN (N 2, c 5)": ("RNN", _ROLLED + "policy_gradient=seqgan,policy_baseline=none"),
    "RNN stepwise": ("RNN", "policy_gradient=stepwise"),
    "SEQVAE": ("SEQVAE", ""),
    "SEQVAE seqgan": ("SEQVAE", _ROLLED + "policy_gradient=seqgan,policy_baseline=batch"),
    "SEQVAE prefix": ("SEQVAE", _ROLLED + "policy_gradient=prefix,policy_baseline=batch"),
    "SEQVAE stepwise": ("SEQVAE", "policy_gradient=stepwise"),
}

_ORACLE = "dropout=0.4,learning_rate=0.02,learning_rate_decay_steps=2000"
_SUITE_HPARAMS = {  # of both models
    "oracle": _ORACLE,
    "own-oracle": _ORACLE,
    "mixture": "rnn_hidden_sizes=[64],learning_rate=0.004",
    "melody": "rnn_hidden_sizes=[128],dropout=0.2,learning_rate=0.006,"
    "learning_rate_decay_steps=3000",
    "captions": "rnn_hidden_sizes=[128],embed_size=128,dropout=0.4,learning_rate=0.003",
}
_LATENT_HPARAMS = {  # of SEQVAE; they keep z in use
    # The oracle has no latent variable. z does the least harm if only the first state sees it.
    "oracle": "latent_size=2,seqvae_use_z_inputs=false,divergence_schedule=constant",
    "own-oracle": "latent_size=16",
    "mixture": "latent_size=16,word_dropout=0.2,free_bits=1",
    "melody": "latent_size=16,seqvae_batch_norm=0.72",
    "captions": "latent_size=16,seqvae_batch_norm=0.8,word_dropout=0.2",
}
_SEQVAE = (
    "vae_type=SEQVAE,divergence_schedule=gompertz,divergence_strength_half=300,"
    "divergence_strength_start=0.01"
)
_ARM_HPARAMS = "learning_rate=0.001,learning_rate_decay_steps=0,divergence_schedule=constant"
_EVALUATION_ROWS = 250


def make_hparams(suite_name: str, model: str, changes: str, seed: int) -> TokenHParams:
    """Returns the hyperparameters of a model ("RNN" or "SEQVAE") in a suite."""
    hparams = TokenHParams(seed=seed, vae_type="RNN").parse(_SUITE_HPARAMS[suite_name])
    if model == "SEQVAE":
        hparams = hparams.parse(_SEQVAE).parse(_LATENT_HPARAMS[suite_name])
    return hparams.parse(changes)


def make_batches(suite: Suite, hparams: TokenHParams, start: int, stop: int) -> Iterable:
    """Returns random training batches, each a function of (seed, step)."""

    def batch(step: int) -> np.ndarray:
        rng = np.random.default_rng((hparams.seed, step))
        return suite.train[rng.integers(len(suite.train), size=hparams.batch_size)]

    return batches_by_step(batch, start, stop)


def negative_elbo(model: Tokens, symbols: np.ndarray) -> float:
    """Returns the negative ELBO in nats per symbol."""

    def batch(index: int) -> np.ndarray:
        return symbols[index * _EVALUATION_ROWS : (index + 1) * _EVALUATION_ROWS]

    batches = batches_by_step(batch, 0, len(symbols) // _EVALUATION_ROWS)
    return model.evaluate(batches, verbose=0, return_dict=True)["loss"]


def pretrain(
    suite_name: str,
    model: str,
    args: argparse.Namespace,
    suite: Suite,
    seed: int,
    every: int = 200,
    patience: int = 3,
) -> tuple[list[np.ndarray], float]:
    """Trains by the ELBO until validation stops improving.

    Args:
      suite_name: a key of `SUITES`.
      model: "RNN" or "SEQVAE".
      args: the command line; `steps` is the largest number of training steps.
      suite: the data.
      seed: the random seed.
      every: training steps between two validations.
      patience: the number of validations without improvement that ends training.

    Returns:
      The weights with the lowest validation loss, and the training time in seconds.
    """
    keras.utils.set_random_seed(seed)
    hparams = make_hparams(suite_name, model, args.hparams, seed)
    trained = Tokens(hparams, suite.vocabulary)
    trained.compile()
    best, weights, worse, step, start = np.inf, None, 0, 0, time.perf_counter()
    while worse < patience and step < args.steps:
        trained.fit(make_batches(suite, hparams, step, step + every), shuffle=False, verbose=0)
        step += every
        loss = negative_elbo(trained, suite.valid)
        worse = 0 if loss < best else worse + 1
        if loss < best:
            best, weights = loss, trained.get_weights()
        print(f"  {model} seed {seed} step {step}: {loss:.4f}", flush=True)
    return weights, time.perf_counter() - start


def train_arm(
    suite_name: str,
    label: str,
    args: argparse.Namespace,
    suite: Suite,
    seed: int,
    weights: list[np.ndarray],
    judge_steps: int = 100,
    prepare: Callable[[Tokens, Suite], None] | None = None,
) -> Tokens:
    """Continues from pretrained weights; the number of generator updates is the same in all arms.

    Args:
      suite_name: a key of `SUITES`.
      label: a key of `ARMS`.
      args: the command line; `policy_steps` is the number of generator updates.
      suite: the data.
      seed: the random seed.
      weights: the pretrained weights.
      judge_steps: updates of the discriminator before the first policy gradient.
      prepare: what else to do to the compiled model before it is trained.

    Returns:
      The trained model.
    """
    model, changes = ARMS[label]
    extra = f"{_ARM_HPARAMS},policy_judge_steps={judge_steps}"
    hparams = make_hparams(suite_name, model, args.hparams, seed)
    hparams = hparams.parse(extra).parse(changes).parse(args.policy)
    keras.utils.set_random_seed(seed)
    trained = Tokens(hparams, suite.vocabulary)
    trained.set_weights(weights)
    trained.compile()
    if prepare:
        prepare(trained, suite)
    steps = args.policy_steps + (judge_steps if hparams.policy_gradient != "none" else 0)
    trained.fit(make_batches(suite, hparams, 0, steps), shuffle=False, verbose=0)
    return trained
