"""Measures ways to compute h_t = keep_t h_{t-1} + add_t, the recurrence of a minGRU.

    python -m benchmarks.speed.linear_scan

32 sequences and 512 units. The yardstick is the matrix product of the sequence with one of the
four weights of a layer. The errors are those against float64.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from benchmarks.timing import medians, print_table
from vaeseq.nn.linear_scan import linear_scan

BATCH, UNITS, TIMES = 32, 512, (40, 512)


def in_blocks(keep, add, state, size=8):
    """Computes 8 steps in each turn of a loop; T must be a multiple."""
    blocks = add.shape[0] // size
    keep, add = (tf.reshape(x, [blocks, size, *state.shape]) for x in (keep, add))
    array = tf.TensorArray(add.dtype, blocks, element_shape=add.shape[1:])

    def body(block, state, array):
        states = []
        for t in range(size):
            state = keep[block, t] * state + add[block, t]
            states.append(state)
        return block + 1, state, array.write(block, tf.stack(states))

    loop = tf.while_loop(lambda n, *_: n < blocks, body, (0, state, array))
    return tf.reshape(loop[-1].stack(), [blocks * size, *state.shape])


def by_doubling(keep, add, state):
    """Combines each step with that 1, 2, 4, ... steps before (Hillis and Steele 1986)."""
    add, span = tf.concat([add[:1] + keep[:1] * state, add[1:]], 0), 1
    while span < add.shape[0]:
        add = tf.concat([add[:span], keep[span:] * add[:-span] + add[span:]], 0)
        keep = tf.concat([keep[:span], keep[span:] * keep[:-span]], 0)
        span *= 2
    return add


def by_chunks(keep, add, state):
    """Runs through sqrt(T) chunks at once, then through their ends, then adds what they receive."""
    size = int(np.ceil(np.sqrt(add.shape[0])))
    padding = [[0, -add.shape[0] % size], [0, 0], [0, 0]]
    keep, add = (tf.reshape(tf.pad(x, padding), [-1, size, *x.shape[1:]]) for x in (keep, add))
    kept, own = [keep[:, 0]], [add[:, 0]]
    for t in range(1, size):
        kept.append(keep[:, t] * kept[-1])
        own.append(keep[:, t] * own[-1] + add[:, t])
    received = [state]
    for chunk in range(keep.shape[0] - 1):
        received.append(kept[-1][chunk] * received[-1] + own[-1][chunk])
    states = [x + k * tf.stack(received) for x, k in zip(own, kept, strict=True)]
    return tf.reshape(tf.stack(states, 1), [-1, *state.shape])


def by_logarithms(keep, add, state):
    """Sums logarithms (Heinsen 2023), which must be those of positive numbers."""
    kept = tf.cumsum(tf.math.log(keep))
    terms = tf.concat([tf.math.log(state)[None], tf.math.log(add) - kept], 0)
    return tf.exp(kept + tf.math.cumulative_logsumexp(terms)[1:])


WAYS = {
    "a step a turn (vaeseq)": linear_scan,
    "8 steps a turn": in_blocks,
    "by doubling": by_doubling,
    "by chunks": by_chunks,
    "by logarithms": by_logarithms,
}


def measure(time, rounds):
    """Returns the rows of the table for sequences of `time` steps."""
    keep, add = (tf.random.uniform([time, BATCH, UNITS], 0.01) for _ in range(2))
    state, weight = tf.ones([BATCH, UNITS]), tf.random.normal([UNITS, UNITS])
    expected = [state.numpy().astype(np.float64)]
    for keep_t, add_t in zip(keep.numpy(), add.numpy(), strict=True):
        expected.append(keep_t * expected[-1] + add_t)

    def call(way):
        compiled = tf.function(way, autograph=False)
        return lambda: compiled(keep, add, state).numpy()

    calls = {name: call(way) for name, way in WAYS.items()}
    errors = {
        name: f"{np.abs(run()[:time] - expected[1:]).max():.0e}" for name, run in calls.items()
    }
    calls["matrix product"] = lambda: tf.tensordot(add, weight, 1).numpy()
    seconds = medians(calls, rounds)
    return [
        [f"{time}", name, f"{1e3 * s:.1f}", errors.get(name, "-")] for name, s in seconds.items()
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11, help="timed calls of each contender")
    args = parser.parse_args()
    rows = [row for time in TIMES for row in measure(time, args.rounds)]
    print_table(["T", "way", "ms", "largest error"], rows)


if __name__ == "__main__":
    main()
