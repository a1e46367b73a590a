"""NADE against enumeration, a dense computation, and finite differences."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import SMALL, assert_close
from vaeseq import codec
from vaeseq.codec.nade import NADEDecoder


def make(elements=6, states=2, hidden=4, rows=1, intervals=0, line=None):
    decoder = NADEDecoder([elements], hidden, states, interval_units=intervals, line_size=line)
    features = tf.random.stateless_normal([rows, decoder.param_size], [0, 1])
    params = decoder(features)
    for index, weight in enumerate(decoder.weights):
        weight.assign(2 * tf.random.stateless_normal(weight.shape, [1, index]))
    return decoder, params


def all_events(elements, states):
    return np.array(list(itertools.product(range(states), repeat=elements)), np.int32)


def repeated(params, rows):
    return tf.nest.map_structure(lambda x: tf.repeat(x, rows, axis=0), params)


def dense_log_prob(decoder, params, x):
    """Computes log p element by element, as the definition reads."""
    total, K, S = 0.0, decoder.num_elements, decoder.num_states
    hidden, W = params.hidden, tf.reshape(decoder.W, [K, S - 1, -1])
    for k in range(K):
        logits = decoder.logits(params, hidden[:, None])[:, 0, k]
        if decoder.interval_units:
            logits += _logits_by_distance(decoder, params, x, k)
        logits *= params.sharpness
        logits = tf.nn.log_softmax(tf.pad(logits, [[0, 0], [1, 0]]))
        total += tf.gather(logits, x[:, k], batch_dims=1)
        inputs = tf.concat([tf.zeros([1, decoder.hidden]), W[k]], 0)
        hidden += tf.gather(inputs, x[:, k])
    return total


def _logits_by_distance(decoder, params, x, k):
    """Computes the share of the intervals in the logits of element k, [N, S - 1]."""
    L = decoder.line_size
    hidden = tf.reshape(params.local, [len(x), -1, decoder.interval_units])[:, k]
    for j in range(k):
        R = decoder.R if j // L == k // L else decoder.R_earlier
        silent = tf.zeros([1, decoder.interval_units])
        hidden += tf.gather(tf.concat([silent, R[k % L - j % L + L - 1]], 0), x[:, j])
    return decoder.activation(hidden) @ decoder.U


KINDS = pytest.mark.parametrize(
    ("elements", "states", "intervals", "line"),
    [(6, 2, 0, None), (4, 3, 0, None), (6, 2, 3, None), (6, 2, 3, 3), (4, 3, 2, 2)],
)


@KINDS
def test_probabilities_sum_to_1(elements, states, intervals, line):
    decoder, params = make(elements, states, intervals=intervals, line=line)
    events = all_events(elements, states)
    log_prob = decoder.log_prob(repeated(params, len(events)), events)
    assert float(tf.reduce_logsumexp(log_prob)) == pytest.approx(0, abs=1e-4)


@KINDS
def test_the_sparse_computation_equals_the_dense_one(elements, states, intervals, line):
    decoder, params = make(elements, states, rows=20, intervals=intervals, line=line)
    x = np.random.default_rng(0).integers(states, size=[20, elements]).astype(np.int32)
    x[0], x[1] = 0, states - 1
    weights = [weight.value for weight in decoder.weights]
    results = []
    for function in (lambda *args: decoder.log_prob(*args[1:]), dense_log_prob):
        with tf.GradientTape() as tape:
            tape.watch((params, weights))
            log_prob = function(decoder, params, tf.constant(x))
        results.append((log_prob, *tape.gradient(log_prob, [*params, *weights])))
    for sparse, dense in zip(*results, strict=True):
        if sparse is not None:  # the gradient of `local`, which has no units without intervals
            np.testing.assert_allclose(sparse, dense, 1e-5, 1e-5 * np.abs(dense).max())


def test_the_gradient_is_that_of_finite_differences():
    decoder, params = make(5, 3, rows=4)
    x = np.random.default_rng(0).integers(3, size=[4, 5]).astype(np.int32)
    direction = tf.random.stateless_normal(decoder.W.shape, [2, 3])

    def total(step):
        before = tf.identity(decoder.W.value)
        decoder.W.assign(before + step * direction)
        value = float(tf.reduce_sum(decoder.log_prob(params, x)))
        decoder.W.assign(before)
        return value

    with tf.GradientTape() as tape:
        log_prob = tf.reduce_sum(decoder.log_prob(params, x))
    slope = float(tf.reduce_sum(tape.gradient(log_prob, decoder.W.value) * direction))
    assert (total(1e-2) - total(-1e-2)) / 2e-2 == pytest.approx(slope, rel=1e-2)


@pytest.mark.parametrize(
    ("elements", "states", "intervals", "line"),
    [(4, 2, 0, None), (3, 3, 0, None), (4, 2, 3, 2), (3, 3, 2, None)],
)
def test_frequencies_of_samples_are_the_probabilities(elements, states, intervals, line):
    decoder, params = make(elements, states, intervals=intervals, line=line)
    events = all_events(elements, states)
    expected = np.exp(decoder.log_prob(repeated(params, len(events)), events))
    samples = decoder.sample(repeated(params, 20000), [3, 4]).numpy()
    index = samples @ (states ** np.arange(elements)[::-1])
    frequency = np.bincount(index, minlength=len(events)) / len(index)
    np.testing.assert_allclose(frequency, expected, atol=4 * np.sqrt(0.25 / 20000))


def test_a_mixture_of_chains_sums_to_1():
    decoder = codec.MixtureDecoder(NADEDecoder([4], 3), 2)
    params = decoder(tf.random.stateless_normal([1, decoder.param_size], [0, 1]))
    events = all_events(4, 2)
    log_prob = decoder.log_prob(repeated(params, len(events)), events)
    assert float(tf.reduce_logsumexp(log_prob)) == pytest.approx(0, abs=1e-4)
    assert decoder.sample(repeated(params, 5), [0, 1]).shape == (5, 4)


def test_params_and_events_are_broadcast_against_each_other():
    decoder = NADEDecoder([3])
    params = decoder(tf.random.stateless_normal([2, decoder.param_size], [0, 1]))
    events = np.random.default_rng(0).integers(2, size=[2, 3, 3])
    dist = decoder.dist(tf.nest.map_structure(lambda x: x[:, None], params))
    expected = [decoder.log_prob(params, events[:, i]) for i in range(3)]
    assert_close(dist.log_prob(events), tf.stack(expected, axis=1))
    assert dist.sample(5, seed=[0, 1]).shape == (5, 2, 1, 3)


def test_a_single_element_without_axes():
    decoder = NADEDecoder([], 3, 4)
    params = decoder(tf.random.stateless_normal([1, decoder.param_size], [0, 1]))
    log_prob = decoder.log_prob(repeated(params, 4), np.arange(4))
    assert float(tf.reduce_logsumexp(log_prob)) == pytest.approx(0, abs=1e-4)


def test_a_low_temperature_gives_the_greedy_mode():
    decoder, params = make(6, 3, rows=5)
    cold = decoder.sample(decoder.temper(params, 1e-8), [0, 1]).numpy()
    greedy = np.zeros([5, 6], np.int32)
    for k in range(6):
        of_states = []
        for state in range(3):
            greedy[:, k] = state
            of_states.append(_prefix_log_prob(decoder, params, greedy, k + 1))
        greedy[:, k] = np.argmax(of_states, axis=0)
    np.testing.assert_array_equal(cold, greedy)


def _prefix_log_prob(decoder, params, x, length):
    """Returns log p(x_1:length) by enumeration of what follows."""
    rest = all_events(x.shape[1] - length, 3)
    rows = [
        decoder.log_prob(params, np.concatenate([x[:, :length], np.tile(r, [len(x), 1])], 1))
        for r in rest
    ]
    return tf.reduce_logsumexp(rows, axis=0).numpy()


@pytest.mark.parametrize("rows", [1, 3])
def test_compiled_and_eager_results_are_equal(rows):
    decoder, params = make(6, 2, rows)
    sample = tf.function(lambda p: decoder.sample(p, [0, 5]), autograph=False)
    assert_close(sample(params), decoder.sample(params, [0, 5]))


@pytest.mark.parametrize("arguments", [([6], 0), ([6], 3, 1), ([0], 3)])
def test_sizes_that_are_too_small_are_refused(arguments):
    with pytest.raises(ValueError, match="NADEDecoder needs at least 1 element, hidden >= 1"):
        NADEDecoder(*arguments)


def test_an_event_that_does_not_fit_into_memory_is_refused():
    size = (
        r"1000000 logits \(event_shape \[1000000\], 2 states\) x hidden=100000000 needs 2,980,232"
    )
    with pytest.raises(ValueError, match=f"^NADEDecoder: weights of {size}.* GB; use a smaller"):
        NADEDecoder([10**6], hidden=10**8)


def test_an_mlp_before_it():
    decoder = codec.MLPObsDecoder(SMALL, NADEDecoder([6], 4))
    params = decoder(tf.zeros([2, 3]))
    assert decoder.sample(params, [0, 1]).shape == (2, 6)
    assert {x.path.split("/")[-1] for x in decoder.trainable_weights} >= {"inputs", "outputs"}
