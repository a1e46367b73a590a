"""A strong simple baseline for text: an interpolated Kneser-Ney model of characters.

    python -m benchmarks.quality.ngram --data tinyshakespeare.txt

All orders are interpolated (Kneser and Ney 1995), with one discount per order (Chen and Goodman
1998). The last tenth of the text is scored, as in `benchmarks.quality.text_quality`.
"""

import argparse

import numpy as np

from benchmarks.timing import print_table
from vaeseq.examples.text import data


def windows(ids, order):
    """Returns all n-grams of an order, [N, order]."""
    return np.lib.stride_tricks.sliding_window_view(ids, order)


def keys(grams, base):
    """Returns a number for each n-gram, modulo 2^64."""
    powers = base ** np.arange(grams.shape[1], dtype=np.uint64)
    return (grams.astype(np.uint64) * powers).sum(1, dtype=np.uint64)


def lookup(table, values, wanted):
    """Returns values[i] for the i with table[i] == wanted, or 0; `table` is sorted."""
    at = np.minimum(np.searchsorted(table, wanted), len(table) - 1)
    return np.where(table[at] == wanted, values[at], 0)


def kneser_ney(train, scored, order, size):
    """Returns p(last character | the characters before it) of the `scored` n-grams [N, order]."""
    base = np.uint64(size + 1)
    probability = np.full(len(scored), 1 / size)
    for n in range(1, order + 1):
        grams = windows(train, min(n + 1, order))
        if n < order:  # lower orders count the contexts in which an n-gram occurs
            _, first = np.unique(keys(grams, base), return_index=True)
            grams = grams[first][:, 1:]
        gram, at, count = np.unique(keys(grams, base), return_index=True, return_counts=True)
        context, of = np.unique(keys(grams[at][:, :-1], base), return_inverse=True)
        total = np.bincount(of, weights=count)
        different = np.bincount(of)
        ones, twos = (count == 1).sum(), (count == 2).sum()
        discount = ones / (ones + 2 * twos)
        tail = scored[:, order - n :]
        c = lookup(gram, count, keys(tail, base))
        context_key = keys(tail[:, :-1], base)
        N, T = (lookup(context, x, context_key) for x in (total, different))
        smoothed = (np.maximum(c - discount, 0) + discount * T * probability) / np.maximum(N, 1)
        probability = np.where(N > 0, smoothed, probability)
    return probability


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="the text, in UTF-8")
    parser.add_argument("--max-order", type=int, default=9, help="the longest n-grams")
    args = parser.parse_args()
    text = data.file_text(args.data, "--data")
    vocabulary = data.Vocabulary.from_counts(data.count(text), 5000, 1)
    ids = vocabulary.encode("".join(text()))
    at = len(ids) * 9 // 10
    rows = []
    for order in range(1, args.max_order + 1):
        scored = windows(ids, order)[at - order + 1 :]
        nats = -np.log(kneser_ney(ids[:at], scored, order, vocabulary.size)).mean()
        rows.append([str(order), f"{nats:.4f}"])
    print_table(["order", "nats/char"], rows)


if __name__ == "__main__":
    main()
