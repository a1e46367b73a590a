"""NADE: the elements of an observation, each given those before it.

    p(x) = prod_k p(x_k | x_<k)
    p(x_k = s | x_<k) = softmax_s(b_ks + V_ks . act(a + sum_{j < k} W_{j, x_j}))

with a and b computed from the features, x_k in 0, ..., S - 1, and 0 for both b and V of state 0.
W of state 0 is 0, too: an element in state 0 (a silent key, a white pixel) changes nothing. The
likelihood is exact. The elements are in the order of the flattened event.

Few elements are usually active, that is, not in state 0, and the hidden layer changes only where
one is. With M the most active elements of an event in a batch, M + 1 hidden vectors for each event
are enough. They come from one matrix product, and the logits from another.

Intervals
=========

W and V belong to single elements: what they learn of one chord says nothing about the same chord a
semitone higher. With `interval_units` = G, every element k has G more hidden units, which see the
elements before it by their distance alone, so that R and U are shared by all k:

    logits += U . act(l_k + sum_{j < k} R_{k - j, x_j})

with l [K, G] computed from the features. Where an event consists of several lines, such as the
keyboards of instruments, an element also sees all elements of the lines before its own, by their
distance along the line, with an R of their own.

Sources: Larochelle and Murray, "The Neural Autoregressive Distribution Estimator", 2011; given a
recurrent network: Boulanger-Lewandowski, Bengio, Vincent 2012, arXiv:1206.6392; intervals: Johnson,
"Generating Polyphonic Music Using Tied Parallel Networks", 2017.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq.nn.dist_module import DistModule
from vaeseq.nn.support import Support
from vaeseq.nn.types import Tensor
from vaeseq.training import memory

_COPIES = 4  # of the weights in training: themselves, their gradient and two means of Adam


class NADEParams(NamedTuple):
    """The params of one event; K elements, S states, H hidden units, G of them by interval."""

    bias: tf.Tensor  # b [..., K (S - 1)]
    local: tf.Tensor  # l [..., K G]
    hidden: tf.Tensor  # a [..., H]
    sharpness: tf.Tensor  # what all logits are multiplied by [..., 1]


class NADEDecoder(DistModule):
    """Discrete elements that depend on each other, such as the keys of a piano.

    Params: `NADEParams`. Events: states, `dtype` [N, *event_shape]. `param_size`:
    K (S - 1) + K G + H. A temperature divides the logits of each element given those before it.
    Sampling takes as many steps as elements are active, plus one.

    Args:
      event_shape: shape of one observation.
      hidden: H, the number of hidden units.
      num_states: S, the number of states of each element.
      dtype: dtype of observations.
      activation: of the hidden units.
      interval_units: G, the number of hidden units of each element that see the others by their
        distance; 0 for none.
      line_size: the number of elements of a line, along which distances count; by default the last
        axis of an event.
      name: the layer's name.

    Raises:
      ValueError: if a size is too small, if an event does not consist of whole lines, or if the
        weights do not fit into the machine's memory.

    Example:
      >>> import tensorflow as tf
      >>> from vaeseq import codec
      >>> decoder = codec.NADEDecoder([88], hidden=16)
      >>> params = decoder(tf.zeros([2, decoder.param_size]))
      >>> decoder.sample(params, seed=[0, 1]).shape
      TensorShape([2, 88])
    """

    event_shape: tf.TensorShape
    event_dtype: tf.DType

    def __init__(
        self,
        event_shape: Sequence[int],
        hidden: int = 128,
        num_states: int = 2,
        dtype: str | tf.DType = "int32",
        activation: str = "tanh",
        interval_units: int = 0,
        line_size: int | None = None,
        name: str | None = None,
    ):
        super().__init__(name=name)
        if hidden < 1 or num_states < 2 or math.prod(event_shape) < 1:
            raise ValueError(
                "NADEDecoder needs at least 1 element, hidden >= 1 and num_states >= 2, not "
                f"{list(event_shape)}, {hidden} and {num_states}"
            )
        self.event_shape, self.event_dtype = tf.TensorShape(event_shape), tf.as_dtype(dtype)
        self.hidden, self.num_states = hidden, num_states
        self.num_elements = math.prod(event_shape)
        self.num_logits = self.num_elements * (num_states - 1)
        memory.require(
            _COPIES * 2 * self.num_logits * hidden * tf.float32.size,
            f"NADEDecoder: weights of {self.num_logits} logits (event_shape {list(event_shape)}, "
            f"{num_states} states) x hidden={hidden}",
            "use a smaller event or fewer hidden units",
        )
        self.interval_units, self.line_size = interval_units, line_size or [1, *event_shape][-1]
        if interval_units < 0 or self.num_elements % self.line_size:
            raise ValueError(
                "NADEDecoder needs interval_units >= 0, and an event of whole lines; not "
                f"{interval_units}, and {self.num_elements} elements in lines of {self.line_size}"
            )
        memory.require(
            self.line_size**2 * (num_states - 1) * interval_units * tf.float32.size,
            f"NADEDecoder: the distances in lines of {self.line_size} elements, {num_states} "
            f"states, x interval_units={interval_units}",
            "use shorter lines or fewer units",
        )
        self.num_shared_params = hidden  # that belong to no single element
        self.param_size = self.num_logits + self.num_elements * interval_units + hidden
        self.activation: Callable[[tf.Tensor], tf.Tensor] = keras.activations.get(activation)

    def build(self, input_shape: tf.TensorShape) -> None:
        """Creates W [K (S - 1), H], V [H, K (S - 1)] and, with intervals, R and U [G, S - 1].

        R [2 L - 1, S - 1, G] is for the distances from 1 - L to L - 1 along a line of L elements.
        In an element's own line, only those above 0 are used.
        """
        small = keras.initializers.VarianceScaling(0.1, "fan_in")
        self.W = self.add_weight(
            shape=(self.num_logits, self.hidden), initializer=small, name="inputs"
        )
        self.V = self.add_weight(
            shape=(self.hidden, self.num_logits), initializer=small, name="outputs"
        )
        if self.interval_units:
            self.R = self._add_by_distance("own_line")
            self.R_earlier = self._add_by_distance("earlier_lines") if self._has_lines else None
            self.U = self.add_weight(
                shape=(self.interval_units, self.num_states - 1), initializer=small, name="U"
            )

    def _add_by_distance(self, name: str) -> keras.Variable:
        return self.add_weight(
            shape=(2 * self.line_size - 1, self.num_states - 1, self.interval_units),
            initializer=keras.initializers.RandomNormal(stddev=0.1),
            name=name,
        )

    @property
    def _has_lines(self) -> bool:
        return self.num_elements > self.line_size

    @property
    def support(self) -> Support:
        """Whole numbers from 0 to `num_states` - 1."""
        return Support(type(self).__name__, 0, self.num_states - 1, whole=True)

    def call(self, features: tf.Tensor) -> NADEParams:
        """Splits features [N, param_size]."""
        sizes = [self.num_logits, self.num_elements * self.interval_units, self.hidden]
        bias, local, hidden = tf.split(features, sizes, axis=-1)
        return NADEParams(bias, local, hidden, tf.ones_like(bias[..., :1]))

    def flatten_maps(self, maps: tf.Tensor) -> tf.Tensor:
        """Returns b and l, flattened, from those of each element [N, *event_shape, S - 1 + G]."""
        bias, local = tf.split(maps, [self.num_states - 1, self.interval_units], axis=-1)
        rows, units = tf.shape(maps)[0], self.num_elements * self.interval_units
        return tf.concat(
            [tf.reshape(bias, [rows, self.num_logits]), tf.reshape(local, [rows, units])], axis=-1
        )

    def dist(self, params: NADEParams) -> tfd.Distribution:
        """Returns the joint distribution of the elements."""
        return _NADE(self, params)

    def temper(self, params: NADEParams, temperature: Tensor | float) -> NADEParams:
        """Divides the logits by the temperature."""
        return params._replace(sharpness=params.sharpness / temperature)

    def logits(self, params: NADEParams, hidden: tf.Tensor) -> tf.Tensor:
        """Returns b + V . act of hidden = a + sum W [N, R, H]: [N, R, K, S - 1]."""
        outputs = tf.tensordot(self.activation(hidden), self.V, 1)
        logits = params.bias[:, None] + outputs
        return tf.reshape(logits, [*tf.unstack(tf.shape(logits)[:2]), self.num_elements, -1])

    def interval_logits(self, params: NADEParams, x: tf.Tensor) -> tf.Tensor:
        """Returns U . act(l + sum R) of all elements of events [N, K]: [N, K, S - 1]."""
        if not self.interval_units:
            return tf.zeros([1, self.num_elements, self.num_states - 1])
        N, L, S, G = tf.shape(x)[0], self.line_size, self.num_states, self.interval_units
        lines = tf.reshape(tf.one_hot(x - 1, S - 1), [N, -1, L * (S - 1)])
        sums = tf.tensordot(lines, _by_distance(self.R, above_only=True), 1)
        if self._has_lines:
            earlier = tf.cumsum(lines, axis=1, exclusive=True)
            sums += tf.tensordot(earlier, _by_distance(self.R_earlier), 1)
        hidden = tf.reshape(params.local, [N, -1, G]) + tf.reshape(sums, [N, -1, G])
        return tf.tensordot(self.activation(hidden), self.U, 1)


def _by_distance(R: tf.Tensor, above_only: bool = False) -> tf.Tensor:
    """Returns R for each pair of elements of lines, from one to another: [L (S - 1), L G]."""
    distances, states, units = R.shape
    size = (distances + 1) // 2
    distance = np.arange(size) - np.arange(size)[:, None]
    # The gradient of a `gather` from a variable would be sparse, with an entry for each pair.
    pairs = tf.gather(tf.reshape(R, [-1, states * units]), distance + size - 1)
    if above_only:
        pairs *= tf.cast(distance > 0, pairs.dtype)[..., None]
    pairs = tf.reshape(pairs, [size, size, states, units])
    return tf.reshape(tf.transpose(pairs, [0, 2, 1, 3]), [size * states, size * units])


class _NADE(tfd.Distribution):
    """The distribution of a `NADEDecoder` with given params."""

    def __init__(self, decoder: NADEDecoder, params: NADEParams):
        self._decoder, self._params = decoder, params
        super().__init__(
            dtype=decoder.event_dtype,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            name="NADE",
        )

    def _event_shape(self) -> tf.TensorShape:
        return self._decoder.event_shape

    def _event_shape_tensor(self) -> tf.Tensor:
        return tf.constant(self._decoder.event_shape.as_list(), tf.int32)

    def _batch_shape(self) -> tf.TensorShape:
        return self._params.bias.shape[:-1]

    def _batch_shape_tensor(self) -> tf.Tensor:
        return tf.shape(self._params.bias)[:-1]

    def _log_prob(self, events: Tensor) -> tf.Tensor:
        """Scores events [..., *event_shape], flattened to [N, K]."""
        decoder, batch = self._decoder, self._batch_shape_tensor()
        leading = tf.shape(events)[: tf.rank(events) - len(decoder.event_shape)]
        leading = tf.broadcast_dynamic_shape(leading, batch)
        events = tf.cast(events, tf.int32)
        events = tf.broadcast_to(events, tf.concat([leading, self._event_shape_tensor()], 0))
        x = tf.reshape(events, [-1, decoder.num_elements])
        log_prob = _sparse_log_prob(decoder, self._flat_params(leading), x)
        return tf.reshape(log_prob, leading)

    def _sample_n(self, n: Tensor, seed: Tensor) -> tf.Tensor:
        decoder, batch = self._decoder, self._batch_shape_tensor()
        x = _sample(decoder, self._flat_params(tf.concat([[n], batch], 0)), seed)
        shape = tf.concat([[n], batch, self._event_shape_tensor()], 0)
        return tf.reshape(tf.cast(x, self.dtype), shape)

    def _flat_params(self, leading: tf.Tensor) -> NADEParams:
        """Returns the params of events [*leading, ...] as [N, ...]."""

        def flatten(x: tf.Tensor) -> tf.Tensor:
            shape = tf.concat([leading, x.shape[-1:]], 0)
            return tf.reshape(tf.broadcast_to(x, shape), [-1, x.shape[-1]])

        flat: NADEParams = tf.nest.map_structure(flatten, self._params)
        return flat


def _sparse_log_prob(decoder: NADEDecoder, params: NADEParams, x: tf.Tensor) -> tf.Tensor:
    """Computes log p of events [N, K] in nats, [N]."""
    active = tf.cast(x > 0, tf.int32)
    before = tf.cumsum(active, axis=1, exclusive=True)  # the active elements before each, [N, K]
    rows = tf.reduce_max(tf.reduce_sum(active, axis=1)) + 1  # M + 1
    in_state = tf.one_hot(x - 1, decoder.num_states - 1)  # [N, K, S - 1]; zeros in state 0
    # Row r of an event holds its first r active elements.
    is_among_first = tf.cast(before[:, None] < tf.range(rows)[:, None], in_state.dtype)
    first = is_among_first[..., None] * in_state[:, None]  # [N, R, K, S - 1]
    first = tf.reshape(first, [-1, rows, decoder.num_logits])
    hidden = params.hidden[:, None] + tf.tensordot(first, decoder.W, 1)
    logits = decoder.logits(params, hidden)
    is_own_row = tf.one_hot(before, rows, axis=1)  # [N, R, K]
    logits = tf.reduce_sum(is_own_row[..., None] * logits, axis=1)  # [N, K, S - 1]
    logits = params.sharpness[..., None] * (logits + decoder.interval_logits(params, x))
    # log softmax with a logit 0 of state 0; for two states, that of a Bernoulli variable.
    chosen = tf.reduce_sum(in_state * logits, axis=-1)
    total = tf.reduce_logsumexp(tf.pad(logits, [[0, 0], [0, 0], [1, 0]]), axis=-1)
    return tf.reduce_sum(chosen - total, axis=1)


def _sample(decoder: NADEDecoder, params: NADEParams, seed: Tensor) -> tf.Tensor:
    """Samples events [N, K], one active element after another.

    The elements between two active ones are in state 0, so nothing changes between them: the next
    active element is the first k at which prod_{j <= k} p(x_j = 0) falls below a uniform number.
    """
    K, N = decoder.num_elements, tf.shape(params.bias)[0]
    position = tf.range(K)

    def step(
        i: tf.Tensor, last: tf.Tensor, hidden: tf.Tensor, x: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        logits = decoder.logits(params, hidden[:, None])[:, 0]  # [N, K, S - 1]
        logits = params.sharpness[..., None] * (logits + decoder.interval_logits(params, x))
        log_silent = -tf.reduce_logsumexp(tf.pad(logits, [[0, 0], [0, 0], [1, 0]]), axis=-1)
        log_silent = tf.where(position > last[:, None], log_silent, 0.0)
        seeds = tf.random.experimental.stateless_fold_in(seed, i)
        seeds = tf.random.experimental.stateless_split(seeds, 2)
        u = tf.random.stateless_uniform([N, 1], seeds[0], minval=1e-37)
        is_reached = tf.cumsum(log_silent, axis=1) < tf.math.log(u)
        found = tf.reduce_any(is_reached, axis=1)
        index = tf.where(found, tf.argmax(is_reached, axis=1, output_type=tf.int32), K)
        at = tf.minimum(index, K - 1)
        of_states = tf.gather(logits, at, batch_dims=1)  # [N, S - 1]
        state = tf.random.stateless_categorical(of_states, 1, seeds[1], dtype=tf.int32)[:, 0]
        change = tf.gather(decoder.W, at * (decoder.num_states - 1) + state)
        hidden += tf.where(found[:, None], change, 0.0)
        x += tf.one_hot(index, K, dtype=tf.int32) * (state[:, None] + 1)
        # A loop keeps its shapes, of which the computation above knows less.
        kept = zip((index, hidden, x), (last, start[2], start[3]), strict=True)
        return i + 1, *(tf.ensure_shape(new, old.shape) for new, old in kept)

    start = 0, tf.fill([N], -1), params.hidden, tf.zeros([N, K], tf.int32)
    return tf.while_loop(
        lambda i, last, *_: tf.reduce_any(last < K - 1), step, start, maximum_iterations=K + 1
    )[-1]
