"""Measures a training step with a policy gradient against a step of the ELBO alone.

    python -m benchmarks.speed.policy_step

SEQVAE with the sizes of SeqGAN's oracle: 5000 symbols, 20 steps, 64 sequences, 32 units. `prefix`
and `seqgan` use 4 rollouts from every 5th step, which gives 4 rewards. Each step also updates the
discriminator.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from benchmarks.seqvae.model import TokenHParams, Tokens
from benchmarks.timing import medians, print_table

_VOCABULARY, _TIME = 5000, 20
_ROLLED = "policy_rollouts=4,policy_reward_step=5,policy_baseline=batch,discriminator=cnn"
_STEPS = {
    "ELBO": "",
    "stepwise": "policy_gradient=stepwise",
    "prefix": f"policy_gradient=prefix,{_ROLLED}",
    "seqgan": f"policy_gradient=seqgan,{_ROLLED}",
}


def make_step(changes, observed):
    """Returns a function that trains a model with changed hyperparameters for one step."""
    keras.utils.set_random_seed(0)
    hparams = TokenHParams(vae_type="SEQVAE", policy_judge_steps=0).parse(changes)
    model = Tokens(hparams, _VOCABULARY)
    model.compile()
    model.make_train_function()
    batches = iter(tf.data.Dataset.from_tensors(observed).repeat())
    return lambda: model.train_function(batches)["loss"].numpy()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9, help="timed steps of each contender")
    args = parser.parse_args()
    observed = np.random.default_rng(0).integers(_VOCABULARY, size=[64, _TIME]).astype(np.int32)
    contenders = {name: make_step(changes, observed) for name, changes in _STEPS.items()}
    seconds = medians(contenders, args.rounds)
    rows = [[name, f"{s:.3f}", f"{s / seconds['ELBO']:.1f}"] for name, s in seconds.items()]
    print_table(["one training step", "s", "x ELBO"], rows)


if __name__ == "__main__":
    main()
