"""A linear recurrence of each unit on its own: h_t = keep_t h_{t-1} + add_t.

Its derivative is the same recurrence backward in time: with d_t the derivative by h_t,

    d_t = dh_t + keep_{t+1} d_{t+1}    d(add_t) = d_t    d(keep_t) = d_t h_{t-1}

so the gradient is a scan, too, and nothing but the states is saved for it.

The scan computes one time step after the other. There are parallel scans with fewer dependent
operations (by doubling: Hillis and Steele 1986; in chunks; as sums of logarithms: Heinsen 2023,
arXiv:2311.06281), but on a CPU they are slower: a step of B x H units occupies it already, and they
read and write the whole sequence several times. With 32 sequences of 40 steps and 512 units, the
loop takes a third of the time of one matrix product of the layer; doubling takes 3 times and
logarithms take 24 times as long as the loop, chunks and several steps in each turn of the loop gain
nothing. Sums of logarithms are also less exact, and cannot compute `keep = 0` or a negative `add`.
"Linear scans" in `docs/benchmarks/speed.md` has the measurements.
"""

from collections.abc import Callable

import tensorflow as tf

from vaeseq.nn.custom_gradient import custom_gradient


def linear_scan(
    keep: tf.Tensor, add: tf.Tensor, initial: tf.Tensor, reverse: bool = False
) -> tf.Tensor:
    """Computes h_t = keep_t h_{t-1} + add_t for all steps.

    Args:
      keep: [T, B, H].
      add: [T, B, H].
      initial: h_0 [B, H].
      reverse: whether time runs from the last step to the first.

    Returns:
      h_1:T [T, B, H].
    """

    @custom_gradient
    def scan(
        keep: tf.Tensor, add: tf.Tensor, initial: tf.Tensor
    ) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, ...]]]:
        states = _scan(keep, add, initial, reverse)

        def gradient(d_states: tf.Tensor) -> tuple[tf.Tensor, ...]:
            zeros = tf.zeros_like(initial)
            d = linear_scan(_delay(keep, zeros, not reverse), d_states, zeros, not reverse)
            first = -1 if reverse else 0
            return d * _delay(states, initial, reverse), d, d[first] * keep[first]

        return states, gradient

    states: tf.Tensor = scan(keep, add, initial)
    return states


def _delay(sequence: tf.Tensor, first: tf.Tensor, reverse: bool) -> tf.Tensor:
    """Returns the sequence one step later in time: it begins with `first`, without its last."""
    parts = [sequence[1:], first[None]] if reverse else [first[None], sequence[:-1]]
    return tf.concat(parts, 0)


def _scan(keep: tf.Tensor, add: tf.Tensor, state: tf.Tensor, reverse: bool) -> tf.Tensor:
    steps = tf.shape(add)[0]
    array = tf.TensorArray(add.dtype, steps, element_shape=add.shape[1:])

    def body(
        n: tf.Tensor, state: tf.Tensor, array: tf.TensorArray
    ) -> tuple[tf.Tensor, tf.Tensor, tf.TensorArray]:
        t = steps - 1 - n if reverse else n
        state = keep[t] * state + add[t]
        return n + 1, state, array.write(t, state)

    *_, array = tf.while_loop(
        lambda n, *_: n < steps, body, (0, state, array), maximum_iterations=steps
    )
    return array.stack()
