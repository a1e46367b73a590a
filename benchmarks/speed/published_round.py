"""Measures a round of training as published: an update of the policy, then the discriminator's.

    python -m benchmarks.speed.published_round

The models and schedules of `benchmarks.seqvae.published`: five sets of 9,984 samples a round, three
epochs each. Every kind of step is timed with smaller sets, which changes no step, and counts as
often as in a whole round. A step of the ELBO is what pretraining consists of.
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from benchmarks.seqvae.model import Tokens
from benchmarks.seqvae.published import make_hparams
from benchmarks.timing import print_table
from vaeseq.adversarial import schedule

_VOCABULARY = 5000
_MODELS = [("authors", "SeqVAE_1"), ("authors", "SeqVAE_2"), ("authors", "SeqGAN")]
_MODELS += [("seqgan", "SeqGAN")]
_PARTS = {
    "elbo": "update of the ELBO",
    "policy": "update of the policy",
    "fresh": "discriminator, fresh samples",
    "kept": "discriminator, kept samples",
}
_WARM_UP = 2  # of each kind


def step_seconds(hparams, times):
    """Returns the median seconds of each kind of step."""
    keras.utils.set_random_seed(0)
    model = Tokens(hparams, _VOCABULARY)
    model.compile()
    model.make_train_function()
    rows, steps = hparams.batch_size, hparams.sequence_size
    observed = np.random.default_rng(0).integers(_VOCABULARY, size=[rows, steps])
    batches = iter(tf.data.Dataset.from_tensors(observed.astype(np.int32)).repeat())
    seconds = {kind: [] for kind in _PARTS}
    while min(map(len, seconds.values())) < times + _WARM_UP:
        kind = schedule.kind(hparams, model.trained_steps)
        start = time.perf_counter()
        tf.nest.map_structure(np.asarray, model.train_function(batches))
        seconds[kind].append(time.perf_counter() - start)
    return {kind: statistics.median(found[_WARM_UP:]) for kind, found in seconds.items()}


def in_a_round(hparams):
    """Returns how often each kind of step occurs in a round."""
    first = hparams.policy_elbo_steps + hparams.policy_judge_steps
    kinds = [schedule.kind(hparams, first + i) for i in range(schedule.round_steps(hparams))]
    return {kind: kinds.count(kind) for kind in _PARTS}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=9, help="timed steps of each kind")
    parser.set_defaults(hparams="")
    args = parser.parse_args()
    for experiment, arm in _MODELS:
        hparams = make_hparams(experiment, arm, args, 0)
        small = hparams.replace(
            policy_elbo_steps=args.steps + _WARM_UP,
            policy_judge_steps=0,
            discriminator_samples=2 * hparams.batch_size,
        )
        seconds, counts = step_seconds(small, args.steps), in_a_round(hparams)
        total = sum(seconds[kind] * counts[kind] for kind in _PARTS)
        rows = [
            [
                _PARTS[kind],
                f"{1e3 * seconds[kind]:.1f}",
                str(counts[kind]),
                f"{seconds[kind] * counts[kind]:.1f}",
                f"{seconds[kind] * counts[kind] / total:.0%}",
            ]
            for kind in _PARTS
        ]
        title = f"{arm}, {hparams.sequence_size} steps"
        print_table([title, "ms", "in a round", "s a round", "share"], rows)
        print(f"A round takes {total:.0f} s.\n", flush=True)


if __name__ == "__main__":
    main()
