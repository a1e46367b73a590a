"""Measures a training step of each core on piano rolls: 32 sequences of 100 frames of 88 keys.

    python -m benchmarks.speed.cores

Yardsticks: the matrix products that VRNN needs, those of its loops one after another, and an SRNN
in PyTorch, if it is installed.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # no busy waiting of PyTorch's threads

import tensorflow as tf

from benchmarks.speed.objectives import BATCH, KEYS, TIME, base_hparams, random_keys, step
from benchmarks.speed.train_step import import_torch
from benchmarks.timing import medians, print_table

LATENT = 32
CORES = ("RNN", "ISEQ", "SRNN", "VRNN", "DKF")


def vrnn_products(units):
    """Returns a function that computes the matrix products of a training step of VRNN."""
    gates, params = 4 * units, 2 * LATENT
    # d_t of z_{t-1} and d_{t-1}; the hidden layer of q of d_t; the params of q.
    in_loop = [(LATENT, gates), (units, gates), (units, units), (units, params)]
    # The encoder of x_{t-1} and x_t; d_t of c_t; the hidden layer of q of e_t; p; the decoder.
    for_all = [(KEYS, units), (KEYS, units), (units, gates), (units, units)]
    for_all += [(units, units), (units, params), (units + LATENT, units), (units, KEYS)]
    normal = tf.random.normal
    step_weights = [(normal([m, n]), normal([n, m])) for m, n in in_loop]
    sequences = [
        (normal([BATCH * TIME, m]), normal([m, n]), normal([BATCH * TIME, n]))
        for m, n in (*for_all, *in_loop)
    ]
    inputs = [(normal([BATCH, m]), normal([BATCH, n])) for m, n in in_loop]

    @tf.function(autograph=False)
    def loop(direction):
        def body(t, total):
            # The inputs change from step to step, so that no product can be optimized away.
            for x, weights in zip(inputs, step_weights, strict=True):
                total += tf.reduce_mean((x[direction] + total) @ weights[direction])
            return t + 1, total

        return tf.while_loop(lambda t, _: t < TIME, body, (0, tf.constant(0.0)))[1]

    @tf.function(autograph=False)
    def after_loop(scale):
        results = [
            tf.reduce_sum(tf.matmul(scale * x, dy, transpose_a=True)) for x, _, dy in sequences
        ]
        for x, weight, dy in sequences[: len(for_all)]:
            results += [tf.reduce_sum((scale * x) @ weight)]
            results += [tf.reduce_sum(tf.matmul(scale * dy, weight, transpose_b=True))]
        return results

    return lambda: (loop(0), loop(1), after_loop(tf.constant(1.0)))


def make_torch_srnn(units):
    """Returns an SRNN in PyTorch, as in Fraccaro et al. 2016 (arXiv:1605.07571), with Res_q."""
    torch = import_torch()
    nn, functional = torch.nn, torch.nn.functional

    def mlp(features, outputs):
        return nn.Sequential(nn.Linear(features, units), nn.ReLU(), nn.Linear(units, outputs))

    def positive(x):
        return functional.softplus(x) + 1e-4

    class SRNN(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.Linear(KEYS, units)
            self.d_rnn = nn.LSTM(units, units, batch_first=True)
            self.e_rnn = nn.LSTM(2 * units, units, batch_first=True)
            self.p = mlp(units + LATENT, 2 * LATENT)
            self.q = mlp(2 * units + LATENT, 2 * LATENT)
            self.decoder = mlp(units + LATENT, KEYS)

        def forward(self, x):
            encoded = self.encoder(x)
            contexts = functional.pad(encoded[:, :-1], (0, 0, 1, 0))
            d, _ = self.d_rnn(contexts)
            e, _ = self.e_rnn(torch.flip(torch.cat([contexts, encoded], -1), [1]))
            e = torch.flip(e, [1])
            z, latents, posteriors, priors = x.new_zeros(len(x), LATENT), [], [], []
            noise = torch.randn(TIME, len(x), LATENT)
            for t in range(TIME):
                prior = self.p(torch.cat([d[:, t], z], -1))
                posterior = self.q(torch.cat([d[:, t], e[:, t], z], -1))
                loc, scale = posterior.chunk(2, -1)
                loc = loc + prior[:, :LATENT]
                z = loc + positive(scale) * noise[t]
                latents.append(z)
                priors.append(prior)
                posteriors.append(torch.cat([loc, scale], -1))
            logits = self.decoder(torch.cat([d, torch.stack(latents, 1)], -1))
            reconstruction = functional.binary_cross_entropy_with_logits(logits, x, reduction="sum")
            (q_loc, q_scale), (p_loc, p_scale) = (
                torch.stack(params, 1).chunk(2, -1) for params in (posteriors, priors)
            )
            q = torch.distributions.Normal(q_loc, positive(q_scale), validate_args=False)
            p = torch.distributions.Normal(p_loc, positive(p_scale), validate_args=False)
            kl = torch.distributions.kl_divergence(q, p).sum()
            return (reconstruction + kl) / len(x)

    return SRNN()


def torch_step(observed, units):
    """Returns a function that trains the SRNN in PyTorch for one step."""
    torch = import_torch()
    torch.set_num_threads(os.cpu_count())
    observed, model = torch.tensor(observed.numpy()).float(), make_torch_srnn(units)
    optimizer = torch.optim.Adam(model.parameters())

    def step():
        optimizer.zero_grad()
        loss = model(observed)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    return step


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11, help="timed steps of each contender")
    parser.add_argument("--units", type=int, default=512, help="units of the networks")
    parser.add_argument("--cores", nargs="+", default=CORES, metavar="CORE")
    args = parser.parse_args()
    observed = random_keys()
    base = base_hparams(args.units).replace(latent_size=LATENT)
    contenders = {core: step(base.replace(vae_type=core), observed) for core in args.cores}
    contenders["matrix products of VRNN"] = vrnn_products(args.units)
    try:
        contenders["SRNN in PyTorch"] = torch_step(observed, args.units)
    except ImportError:
        print("PyTorch is not installed: no row for it")
    seconds = medians(contenders, args.rounds)
    first = next(iter(seconds.values()))
    rows = [[name, f"{s:.3f}", f"{s / first:.2f}"] for name, s in seconds.items()]
    print_table(["one training step", "s", f"x {args.cores[0]}"], rows)


if __name__ == "__main__":
    main()
