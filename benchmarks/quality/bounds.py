"""Measures what the bound that training maximizes is worth: ELBO, IWAE and FIVO, on piano rolls.

    python -m benchmarks.quality.bounds --data DIR

The same VRNN is trained with each bound, with several seeds. Of each, the weights with the lowest
validation loss are tested, with one particle (the ELBO), with as many as in training, and with 64.
The weight of the KL is 1 from the start, as published; `--warm-up` lets it rise over 400 steps.
DIR is that of `benchmarks.quality.polyphonic`.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from benchmarks.quality.polyphonic import (
    PIANO,
    SETS,
    fit,
    keep_piano_keys,
    load,
    steps_and_hparams,
)
from benchmarks.quality.seeds import mean_and_range
from benchmarks.timing import print_table
from vaeseq.examples.midi.model import MidiModel, score_pieces
from vaeseq.model.scoring import WindowScorer

PUBLISHED = [  # own bounds, as quoted in work on variational SMC with partial rejection control
    ("jsb_chorales", "8.69", "8.01", "7.51"),
    ("nottingham", "3.87", "3.12", "3.07"),
]
OBJECTIVES = ("elbo", "iwae", "fivo")
STEPS = 1200
CONSTANT = "sequence_size=50,divergence_schedule=constant"
WARM_UP = "sequence_size=50,divergence_strength_start=0.05,divergence_strength_half=200"


def test(args, name, objective, seed):
    """Trains and tests a model; returns nats per frame by the number of particles, and steps."""
    path = os.path.join(args.data, f"{name}.npz")
    _, hparams = steps_and_hparams(name, args.core)
    hparams = hparams.parse(WARM_UP if args.warm_up else CONSTANT)
    particles = 1 if objective == "elbo" else args.particles
    hparams = hparams.replace(objective=objective, num_particles=particles, seed=seed)
    hparams = hparams.parse(args.hparams).replace(learning_rate_decay_steps=args.steps)
    keras.utils.set_random_seed(seed)
    model = MidiModel(hparams, PIANO.stop - PIANO.start)
    model.compile()
    train, valid = load(path, "train"), keep_piano_keys(load(path, "valid"))
    _, seconds = fit(model, train, valid, args.steps, args.every, args.minutes)
    held_out = keep_piano_keys(load(path, args.split))
    nats = {}
    for samples in (1, args.particles, hparams.log_prob_samples):
        score = score_pieces(WindowScorer(model, samples), model, held_out)
        nats[samples] = float(-np.sum(score.best) / held_out.num_frames)
    print(f"{name} {objective} seed {seed}: {nats}, {seconds:.0f} s", flush=True)
    return nats


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder with the .npz files")
    parser.add_argument("--sets", nargs="+", default=SETS, help="names of .npz files")
    parser.add_argument("--core", default="VRNN", help="the core (default: %(default)s)")
    parser.add_argument("--objectives", nargs="+", choices=OBJECTIVES, default=OBJECTIVES)
    parser.add_argument("--particles", type=int, default=4, help="particles of IWAE and FIVO")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--split", choices=("valid", "test"), default="test")
    parser.add_argument("--hparams", default="", help="hyperparameters to change")
    parser.add_argument("--steps", type=int, default=STEPS, help="training steps")
    parser.add_argument("--warm-up", action="store_true", help="let the weight of the KL rise")
    parser.add_argument("--every", type=int, default=300, help="steps between two validations")
    parser.add_argument("--minutes", type=float, default=30, help="longest training")
    args = parser.parse_args()
    rows = []
    for name in args.sets:
        for objective in args.objectives:
            results = [test(args, name, objective, seed) for seed in args.seeds]
            columns = [mean_and_range([r[k] for r in results]) for k in results[0]]
            rows.append([name, objective, *columns])
    print_table(
        ["set", "trained with", "-ELBO", f"{args.particles} particles", "64 particles"], rows
    )
    print()
    print_table(["published, 5 particles, own bound", "ELBO", "IWAE", "FIVO"], PUBLISHED)


if __name__ == "__main__":
    main()
