"""The SeqVAE suites: likelihood, policy gradients and their control, and the use of z.

    python -m benchmarks.seqvae --suite mixture --seeds 5

The suite oracle wants seqgan_oracle.npz in --data, with the arrays embedding, Wi, Ui, bi, ..., bg,
Wout and bout; captions wants captions/coco_train.txt and coco_test.txt, one in a line; melody wants
melody/nottingham, a folder with MIDI files.

For each seed a model is trained by its ELBO until validation says stop (the best weights count);
from there each arm goes on for the same number of generator updates: the control by the ELBO alone,
which is policy_gradient_weight = 0, the others with a policy gradient beside it. Nothing is chosen
on the test set, and no minimum over a curve is taken. Every row gives, in nats per symbol:

    NLL_oracle   of what is generated, under the oracle; below its entropy is over-sharpening
    NLL_test     of test sequences under the model; for SEQVAE the importance-weighted upper bound
    entropy      of the generator: -log p of what it generates, for SEQVAE by the same bound
    distinct     symbols among those generated
    BLEU         of what is generated with test sequences, where there is no oracle; self-BLEU

for logits times 1 and more (a lower temperature), and of z: KL, mutual information with the test
set, active units, reconstruction accuracy; for the mixture, how many components a linear probe of z
finds; sequences between two of the test set. Rows are appended to --out as JSON lines while it
runs; --table prints those again. Where there is an oracle, a policy gradient is compared with its
control at equal NLL_test, along the logits' factors. Needs nltk and scikit-learn.
"""

import argparse
import contextlib
import json
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from benchmarks.seqvae.data import SUITES
from benchmarks.seqvae.model import TokenHParams, Tokens
from benchmarks.seqvae.tables import draw_frontiers, print_tables
from vaeseq.model import latent_usage
from vaeseq.model.sampling import draw
from vaeseq.training.loop import batches_by_step

_RNN = "vae_type=RNN"
_SEQVAE = "vae_type=SEQVAE,divergence_strength_half=300,divergence_strength_start=0.01"
_ROLLED = "policy_rollouts=2,policy_reward_step=5,discriminator=cnn,"
_ARMS = {  # the model that is trained first, and what then changes
    "MLE": ("RNN", ""),
    "SeqGAN (N 2, c 5)": ("RNN", _ROLLED + "policy_gradient=seqgan,policy_baseline=none"),
    "RNN stepwise": ("RNN", "policy_gradient=stepwise"),
    "SEQVAE": ("SEQVAE", ""),
    "SEQVAE seqgan": ("SEQVAE", _ROLLED + "policy_gradient=seqgan,policy_baseline=batch"),
    "SEQVAE prefix": ("SEQVAE", _ROLLED + "policy_gradient=prefix,policy_baseline=batch"),
    "SEQVAE stepwise": ("SEQVAE", "policy_gradient=stepwise"),
}
_CONTROLS = {"RNN": "MLE", "SEQVAE": "SEQVAE"}  # of the arms from a model
_ON_ORACLES = "dropout=0.4,learning_rate=0.02,learning_rate_decay_steps=2000"
_COMMON = {  # of both models of a suite
    "oracle": _ON_ORACLES,
    "own-oracle": _ON_ORACLES,
    "mixture": "rnn_hidden_sizes=[64],learning_rate=0.004",
    "melody": "rnn_hidden_sizes=[128],dropout=0.2,learning_rate=0.006,"
    "learning_rate_decay_steps=3000",
    "captions": "rnn_hidden_sizes=[128],embed_size=128,dropout=0.4,learning_rate=0.003",
}
_ON_Z = {  # what keeps z in use
    # Here it is of no use: the oracle has none. In the first state alone it does the least harm.
    "oracle": "latent_size=2,seqvae_use_z_inputs=false,divergence_schedule=constant",
    "own-oracle": "latent_size=16",
    "mixture": "latent_size=16,word_dropout=0.2,free_bits=1",
    "melody": "latent_size=16,seqvae_batch_norm=0.72",
    "captions": "latent_size=16,seqvae_batch_norm=0.8,word_dropout=0.2",
}
_EVERY = 200  # steps from one look at validation to the next
_PATIENCE = 3  # looks without anything better
_JUDGE_STEPS, _POLICY_STEPS = 100, 200
_SAMPLES = 1000


def hparams(suite, model, text, seed):
    of_model = {"RNN": _RNN, "SEQVAE": f"{_SEQVAE},{_ON_Z[suite]}"}[model]
    start = TokenHParams(seed=seed).parse(_COMMON[suite]).parse(of_model)
    return start.parse(text)


def batches(suite, hparams, start, stop):
    def batch(step):
        rng = np.random.default_rng((hparams.seed, step))
        return suite.train[rng.integers(len(suite.train), size=hparams.batch_size)]

    return batches_by_step(batch, start, stop)


def negative_elbo(model, symbols):
    return model.evaluate(
        batches_by_step(lambda i: symbols[i * 250 : (i + 1) * 250], 0, len(symbols) // 250),
        verbose=0,
        return_dict=True,
    )["loss"]


def pretrained(name, model, args, suite, seed):
    """The weights with the lowest loss on the validation sequences, and how long that took."""
    keras.utils.set_random_seed(seed)
    own = hparams(name, model, args.hparams, seed)
    trained = Tokens(own, suite.vocabulary)
    trained.compile()
    best, weights, worse, step, start = np.inf, None, 0, 0, time.perf_counter()
    while worse < _PATIENCE and step < args.steps:
        trained.fit(batches(suite, own, step, step + _EVERY), shuffle=False, verbose=0)
        step += _EVERY
        loss = negative_elbo(trained, suite.valid)
        worse = 0 if loss < best else worse + 1
        if loss < best:
            best, weights = loss, trained.get_weights()
        print(f"  {model} seed {seed} step {step}: {loss:.4f}", flush=True)
    return weights, time.perf_counter() - start


def arm(name, label, args, suite, seed, weights):
    """A model that goes on from the weights, for as many updates in every arm."""
    model, text = _ARMS[label]
    extra = "learning_rate=0.001,learning_rate_decay_steps=0,divergence_schedule=constant"
    extra += f",policy_judge_steps={_JUDGE_STEPS}"
    own = hparams(name, model, args.hparams, seed).parse(extra).parse(text).parse(args.policy)
    keras.utils.set_random_seed(seed)
    trained = Tokens(own, suite.vocabulary)
    trained.set_weights(weights)
    trained.compile()
    judge = _JUDGE_STEPS if own.policy_gradient != "none" else 0
    steps = judge + args.policy_steps
    trained.fit(batches(suite, own, 0, steps), shuffle=False, verbose=0)
    return trained


@contextlib.contextmanager
def sharpened(model, factor):
    """The logits times a factor."""
    (dense,) = model.decoder.mlp.layers
    weights = dense.get_weights()
    dense.set_weights([factor * w for w in weights])
    yield
    dense.set_weights(weights)


def nll(model, symbols, particles):
    return -float(model.log_probs(symbols, particles).mean()) / symbols.shape[1]


def look(model, suite, seed, factors, particles):
    """All that a row says, for every factor."""
    found, steps = {}, suite.test.shape[1]
    for factor in factors:
        with sharpened(model, factor):
            sampled = draw(model, model.initial_state(1), _SAMPLES, steps, seed=seed)
            row = {"NLL_test": nll(model, suite.test[:_SAMPLES], particles)}
            row["entropy"] = nll(model, sampled, particles)
            found[str(factor)] = row | of_generated(suite, sampled)
    return found | {"z": use_of_z(model, suite), "interpolated": interpolated(model, suite)}


def of_generated(suite, sampled):
    """What is said of sequences without the model that generated them."""
    if suite.oracles:
        quality = {"NLL_oracle": -float(suite.oracle_log_prob(sampled).mean()) / sampled.shape[1]}
    else:
        from benchmarks.seqvae.bleu import bleu

        quality = bleu(suite.sequences(sampled), suite.sequences(suite.test))
    return {**quality, "distinct": len(np.unique(sampled))}


def interpolated(model, suite):
    """In words, from one test sequence to another."""
    if not suite.names or model.hparams.vae_type != "SEQVAE":
        return []
    return suite.text(np.asarray(model.interpolate(suite.test[0], suite.test[1], 5)))


def use_of_z(model, suite):
    if model.hparams.vae_type != "SEQVAE":
        return None
    test = suite.test[: len(suite.test) // 250 * 250]
    parts = [(x, [x.shape[1]] * len(x)) for x in np.split(test, len(test) // 250)]
    found = latent_usage.latent_usage(model, parts)._asdict()
    if len(suite.oracles) > 1:
        found["probe"] = probe(model, suite)
    return found


def probe(model, suite):
    """The share of test sequences whose component a linear map of the mean of z tells."""
    from sklearn.linear_model import LogisticRegression

    means = {
        name: model.encode(symbols[:5000]).loc.numpy()
        for name, symbols in (("train", suite.train), ("test", suite.test))
    }
    known = {name: suite.components[name][:5000] for name in means}
    linear = LogisticRegression(max_iter=2000).fit(means["train"], known["train"])
    return float(linear.score(means["test"], known["test"]))


def yardsticks(suite):
    """What needs no training: the oracle itself, and powers of the frequencies of symbols."""
    counts = np.bincount(suite.train.ravel(), minlength=suite.vocabulary) + 1e-2
    rng = np.random.default_rng(0)
    rows = {}
    for label, power in {"uniform": 0, "unigram": 1, "unigram cubed": 3}.items():
        p = counts**power / (counts**power).sum()
        sampled = rng.choice(suite.vocabulary, [_SAMPLES, suite.test.shape[1]], p=p)
        own = {"NLL_test": -np.log(p)[suite.test].mean(), "entropy": -np.sum(p * np.log(p))}
        rows[label] = own | of_generated(suite, sampled)
    if suite.oracles:
        test, train = (
            -float(suite.oracle_log_prob(symbols).mean()) / symbols.shape[1]
            for symbols in (suite.test, suite.train)  # there are more of the latter
        )
        rows["oracle"] = {"NLL_test": test, "entropy": train} | of_generated(suite, suite.test)
    else:
        rows["training sequences"] = of_generated(suite, rng.permutation(suite.train)[:_SAMPLES])
    return {label: {"1.0": row, "z": None} for label, row in rows.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suite", required=True, choices=SUITES)
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(),
        help="folder; own-oracle and mixture need nothing of it",
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--arms", nargs="+", choices=_ARMS, default=list(_ARMS))
    parser.add_argument("--length", type=int, help="of the sequences")
    parser.add_argument("--steps", type=int, default=20_000, help="of the ELBO, at most")
    parser.add_argument("--policy-steps", type=int, default=_POLICY_STEPS)
    parser.add_argument("--factors", type=float, nargs="+", default=[1.0, 1.27, 1.5, 1.82])
    parser.add_argument("--particles", type=int, default=16, help="of the bound on NLL")
    parser.add_argument("--hparams", default="", help="changes for all models")
    parser.add_argument("--policy", default="", help="changes for all arms")
    parser.add_argument("--out", type=Path, help="where rows are appended to")
    parser.add_argument("--table", type=Path, nargs="+", help="only print what is in such files")
    parser.add_argument("--picture", type=Path, help="of such files: the two NLL, as a PNG file")
    args = parser.parse_args()
    if args.table:
        lines = [json.loads(x) for path in args.table for x in path.read_text().splitlines()]
        print_tables(lines)
        if args.picture:
            draw_frontiers(lines, args.picture)
        return
    make, length = SUITES[args.suite]
    suite = make(args.data, args.length or length)
    lines = []

    def add(label, seed, seconds, found):
        lines.append({"label": label, "seed": seed, "seconds": round(seconds, 1), **found})
        print(json.dumps(lines[-1]), flush=True)
        if args.out:
            with args.out.open("a") as file:
                file.write(json.dumps(lines[-1]) + "\n")

    for label, found in yardsticks(suite).items():
        add(label, 0, 0.0, found)
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        weights = {}
        for label in args.arms:
            model, _ = _ARMS[label]
            if model not in weights:
                weights[model], took = pretrained(args.suite, model, args, suite, seed)
            start = time.perf_counter()
            trained = arm(args.suite, label, args, suite, seed, weights[model])
            seconds = time.perf_counter() - start
            found = look(trained, suite, seed, args.factors, args.particles)
            found["control"] = _CONTROLS[model]
            add(label, seed, took + seconds, found)
    print_tables(lines)


if __name__ == "__main__":
    main()
