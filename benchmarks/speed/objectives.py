"""Measures a training step with each objective: ELBO, IWAE and FIVO.

    python -m benchmarks.speed.objectives

The data are those of a piano, 88 keys, 32 sequences of 100 frames. The ratios are to the ELBO of
the same core.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

import vaeseq
from benchmarks.timing import medians, print_table
from vaeseq import codec

BATCH, TIME, KEYS = 32, 100, 88


class Keys(vaeseq.ModelBase):
    """Keys that are independent given the latents."""

    def make_encoder(self):
        """Returns dense layers."""
        return codec.MLPObsEncoder(self.hparams)

    def make_decoder(self):
        """Returns a Bernoulli variable for each key."""
        return codec.MLPObsDecoder(self.hparams, codec.BernoulliDecoder([KEYS]))


def base_hparams(units):
    """Returns the sizes that all models have in common."""
    return vaeseq.HParams(
        rnn_hidden_sizes=(units,),
        latent_size=32,
        obs_encoder_fc_layers=(units,),
        obs_decoder_fc_hidden_layers=(units,),
        latent_decoder_fc_layers=(units,),
    )


def random_keys():
    """Returns piano rolls in which about 4 keys sound at once."""
    keys = np.random.default_rng(0).random([BATCH, TIME, KEYS]) < 4 / KEYS
    return tf.constant(keys, tf.int32)


def step(hparams, observed):
    """Returns a function that trains a model for one step."""
    model = Keys(hparams)
    model.compile()
    compiled = tf.function(model.train_step, autograph=False)
    return lambda: compiled(observed)["loss"].numpy()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="timed steps of each contender")
    parser.add_argument("--particles", type=int, default=4, help="particles of IWAE and FIVO")
    parser.add_argument("--units", type=int, default=512, help="units of the recurrent networks")
    parser.add_argument("--cores", nargs="+", default=["SRNN", "ISEQ"], metavar="CORE")
    parser.add_argument("--estimators", action="store_true", help="also measure stl and dreg")
    args = parser.parse_args()
    observed, base = random_keys(), base_hparams(args.units)
    kinds = [("elbo", "plain"), ("iwae", "plain"), ("fivo", "plain")]
    if args.estimators:
        kinds += [("iwae", "stl"), ("iwae", "dreg")]
    contenders = {}
    for core in args.cores:
        for objective, estimator in kinds:
            particles = 1 if objective == "elbo" else args.particles
            hparams = base.replace(
                vae_type=core, objective=objective, num_particles=particles, estimator=estimator
            )
            contenders[f"{core} {objective} {estimator}"] = step(hparams, observed)
    seconds = medians(contenders, args.rounds)
    rows = []
    for name, s in seconds.items():
        core, objective, estimator = name.split()
        ratio = s / seconds[f"{core} elbo plain"]
        rows.append([core, objective, estimator, f"{s:.3f}", f"{ratio:.2f}"])
    print_table(["core", "objective", "estimator", "s", "x ELBO"], rows)


if __name__ == "__main__":
    main()
