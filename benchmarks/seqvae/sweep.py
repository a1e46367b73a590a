"""Can a policy gradient beat its control? Weights, rewards and regularisation, over several seeds.

    python -m benchmarks.seqvae.sweep --model RNN --seeds 5 --out sweep.jsonl
    python -m benchmarks.seqvae.sweep --model RNN --out sweep.jsonl --table

For each seed a model is trained by its ELBO until validation stops improving. From the best weights
each setting and weight continues for 2,000 updates of the ELBO plus the weighted policy gradient.
There are two controls: the pretrained model ("start"), and as many updates of the ELBO alone
("control"). Gains are the mean distance in NLL_oracle, in nats per symbol, below the temperature
curve of a control at equal NLL_test, with 95% confidence intervals of the mean over the seeds (t).
The agreement is measured for the setting oracle: the correlation between the true logits of samples
and those of a discriminator that was trained beside it.

Settings:

    stepwise     the default: log D of every prefix, discounted by 0.95, with a critic
    difference   dense rewards l_t - l_{t-1}, undiscounted, with a critic: minimizes KL(G || P)
    entropy      as difference, with an entropy bonus of 0.1
    reference    as difference, with 0.1 times the KL divergence from the model before all updates
    large        as difference, with batches of 256, two updates of the discriminator and a penalty
                 on its weights, in the manner of de Masson d'Autume et al. 2019, arXiv:1905.09922
    seqgan       rollouts with the CNN: 2 from every fifth step, baseline of the batch
    prefix       as seqgan, with the loss of Gao, Cui, Ding 2021
    oracle       as difference, with the true densities in place of the discriminator: a positive
                 control, which shows what the updates gain from perfect rewards

Rows are appended to --out, and those that are there are not made again.
"""

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from benchmarks.seqvae.arms import CONTROLS, make_hparams, pretrain, train_arm
from benchmarks.seqvae.data import SUITES, Suite
from benchmarks.seqvae.experiment import check_flags, read_begun
from benchmarks.seqvae.measures import Row, measure_model
from benchmarks.seqvae.model import Tokens
from benchmarks.seqvae.tables import gain, interval, mean_and_deviation, sweep
from benchmarks.seqvae.true_ratio import agreement, judge_by_oracles
from benchmarks.timing import print_table
from vaeseq.model.sampling import sample

_DIFFERENCE = "policy_reward=difference,policy_discount=1"
_ROLLED = "policy_rollouts=2,policy_reward_step=5,discriminator=cnn,policy_baseline=batch"
_KEYS = ("setting", "common", "weight", "seed")
Key: TypeAlias = tuple[str, str, float, int]
"""What tells a row from others: the setting, what its control has as well, weight and seed."""

_SAMPLES = 2000
_FACTORS = [0.5, 0.7, 0.85, 1.0, 1.27, 1.5, 1.82]
SETTINGS = {  # hyperparameters of the control too, and those of the policy gradient
    "stepwise": ("", ""),
    "difference": ("", _DIFFERENCE),
    "entropy": ("", f"{_DIFFERENCE},policy_entropy_bonus=0.1"),
    "reference": ("", f"{_DIFFERENCE},policy_reference_kl=0.1"),
    "large": ("batch_size=256", f"{_DIFFERENCE},discriminator_updates=2,discriminator_l2=0.1"),
    "seqgan": ("", f"policy_gradient=seqgan,{_ROLLED}"),
    "prefix": ("", f"policy_gradient=prefix,{_ROLLED}"),
    "oracle": ("", _DIFFERENCE),
}


def keys_of_seed(args: argparse.Namespace, seed: int) -> list[Key]:
    """Returns the keys of the rows of a seed: the controls, then every setting and weight."""
    commons = {setting: SETTINGS[setting][0] for setting in args.settings}
    controls = [("control", common, 0.0, seed) for common in dict.fromkeys(commons.values())]
    policies = [(*item, weight, seed) for item in commons.items() for weight in args.weights]
    return [("start", "", 0.0, seed), *controls, *policies]


def rows_of_seed(
    args: argparse.Namespace, suite: Suite, seed: int, known: set[Key]
) -> Iterator[Row]:
    """Yields the rows of a seed that are not known."""
    wanted = [key for key in keys_of_seed(args, seed) if key not in known]
    if not wanted:
        return
    weights, _ = pretrain(args.suite, args.model, args, suite, seed)
    for key in wanted:
        model = train(args, suite, key, weights)
        row = measure_model(model, suite, seed, args.factors, args.particles)
        del row["interpolated"]
        if key[0] == "oracle":
            steps = suite.test.shape[1]
            drawn = sample(model, model.initial_state(_SAMPLES), _SAMPLES, steps, seed=seed)
            row["agreement"] = agreement(model, drawn)
        identity = dict(zip(_KEYS, key, strict=True))
        yield {"model": args.model, **identity, "flags": flags_of(args), **row}
        keras.backend.clear_session()


def train(args: argparse.Namespace, suite: Suite, key: Key, weights: list[np.ndarray]) -> Tokens:
    """Returns the model of a row, from the pretrained weights."""
    setting, common, weight, seed = key
    if setting == "start":
        hparams = make_hparams(args.suite, args.model, args.hparams, seed)
        model = Tokens(hparams, suite.vocabulary)
        model.set_weights(weights)
        return model
    policy = ["policy_gradient=none"]
    if setting != "control":
        policy = [f"policy_gradient_weight={weight}", SETTINGS[setting][1]]
    args.policy = ",".join(filter(None, [common, *policy]))
    prepare = judge_by_oracles if setting == "oracle" else None
    return train_arm(
        args.suite, f"{args.model} stepwise", args, suite, seed, weights, prepare=prepare
    )


def flags_of(args: argparse.Namespace) -> Row:
    """Returns the flags on which the results of all rows depend."""
    names = ("suite", "length", "steps", "policy_steps", "hparams", "factors", "particles")
    return {name: getattr(args, name) for name in names}


def key_of(row: Row) -> Key:
    """Returns what tells a row from the others of its model."""
    return row["setting"], row["common"], row["weight"], row["seed"]


def read(args: argparse.Namespace) -> list[Row]:
    """Returns the rows of --out that belong to the model."""
    return [row for row in read_begun(args.out) if row["model"] == args.model]


def print_sweep(rows: list[Row]) -> None:
    """Prints means over the seeds, and gains over both controls, of each setting and weight."""
    found = {key_of(row): row for row in rows}
    lines = []
    for setting, common, weight in dict.fromkeys(key[:3] for key in found):
        own = [row for key, row in found.items() if key[:3] == (setting, common, weight)]
        cells = [setting if setting != "control" else f"control {common}".strip(), f"{weight:g}"]
        cells.append(str(len(own)))
        for name in ("NLL_oracle", "NLL_test", "entropy"):
            cells.append(mean_and_deviation([row["1.0"][name] for row in own], 3))
        for control in (("start", "", 0.0), ("control", common, 0.0)):
            pairs = [(row, found.get((*control, row["seed"]))) for row in own]
            is_control = (setting, common, weight) == control
            gains = [gain(sweep(x), sweep(y)) for x, y in pairs if y is not None]
            cells.append("-" if is_control or not gains else interval(gains))
        known = [row["agreement"] for row in own if "agreement" in row]
        lines.append([*cells, mean_and_deviation(known, 2) if known else "-"])
    names = ["NLL_oracle", "NLL_test", "entropy", "gain over start", "gain over control"]
    print_table(["setting", "weight", "seeds", *names, "agreement"], lines)


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--suite", default="mixture", choices=SUITES)
    add("--data", type=Path, default=Path(), help="folder with the data of the suite")
    add("--model", default="RNN", choices=CONTROLS)
    add("--out", type=Path, required=True, help="JSON lines file of the rows")
    add("--settings", nargs="+", choices=SETTINGS, help="default: all that the model can have")
    add("--weights", type=float, nargs="+", default=[0.1, 1, 10, 100], help="of the gradient")
    add("--seeds", type=int, default=5, help="number of random seeds")
    add("--first-seed", type=int, default=0)
    add("--length", type=int, help="steps in a sequence")
    add("--steps", type=int, default=20_000, help="most steps of pretraining")
    add("--policy-steps", type=int, default=2000, help="generator updates after pretraining")
    add("--factors", type=float, nargs="+", default=_FACTORS, help="of the logits")
    add("--particles", type=int, default=16, help="samples of the bound on the NLL")
    add("--hparams", default="", help="hyperparameters to change in all models")
    add("--table", action="store_true", help="print the rows of --out and train nothing")
    args = parser.parse_args()
    excluded = {"oracle"} if args.model != "RNN" else set()
    args.settings = args.settings or [name for name in SETTINGS if name not in excluded]
    if excluded & set(args.settings):
        parser.error("oracle needs --model RNN: with latents, the model's density is only bounded")
    if not args.table:
        check_flags(read(args), flags_of(args))
        make, length = SUITES[args.suite]
        suite = make(args.data, args.length or length)
        for seed in range(args.first_seed, args.first_seed + args.seeds):
            for row in rows_of_seed(args, suite, seed, {key_of(x) for x in read(args)}):
                with args.out.open("a") as file:
                    file.write(json.dumps(row) + "\n")
    print_sweep(read(args))


if __name__ == "__main__":
    main()
