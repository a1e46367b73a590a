"""A stack of LSTM layers: `step` computes one time step, `unroll` computes a sequence.

An LSTM (Hochreiter and Schmidhuber 1997; forget gate: Gers et al. 2000), time-major inside:

    i, f, o = sigmoid(x_t W + h_{t-1} U + b)    g = tanh(x_t W + h_{t-1} U + b)
    c_t = f c_{t-1} + i g                       h_t = o tanh(c_t)

The columns of W, U and b are in the order i, f, g, o, as in `keras.layers.LSTM` and cuDNN, so
`get_weights` and `set_weights` exchange weights with a Keras layer.
"""

from collections.abc import Callable
from typing import NamedTuple

import keras
import tensorflow as tf

from vaeseq.hparams import HParams
from vaeseq.nn.custom_gradient import custom_gradient
from vaeseq.nn.sequences import swap_time_batch
from vaeseq.nn.stack import RecurrentStack, StackState
from vaeseq.nn.types import Tensor


class LSTMState(NamedTuple):
    """The state of one layer: h_t and c_t, [B, H]; or those of all steps, [B, T, H]."""

    h: tf.Tensor
    c: tf.Tensor


class LSTM(keras.layers.Layer):
    """One LSTM layer of `units` cells.

    Example:
      >>> import tensorflow as tf
      >>> import vaeseq
      >>> lstm = vaeseq.LSTM(8)
      >>> lstm.build(tf.TensorShape([None, 3]))
      >>> lstm.project(tf.zeros([10, 4, 3])).shape
      TensorShape([10, 4, 32])
    """

    def __init__(self, units: int, name: str | None = None):
        super().__init__(name=name)
        self.units = units

    def build(self, input_shape: tf.TensorShape) -> None:
        """Creates the weights for inputs [..., X]. The forget gates start open (bias 1)."""
        units = self.units
        self.kernel = self.add_weight(
            shape=(input_shape[-1], 4 * units),
            initializer=_Initializer("glorot_uniform"),
            name="kernel",
        )
        self.recurrent_kernel = self.add_weight(
            shape=(units, 4 * units),
            initializer=_Initializer("orthogonal"),
            name="recurrent_kernel",
        )
        self.bias = self.add_weight(shape=(4 * units,), initializer="zeros", name="bias")
        self.bias.assign(tf.repeat([0.0, 1.0, 0.0, 0.0], units))
        for variable in (self.kernel, self.recurrent_kernel, self.bias):
            variable.from_format_1 = gates_from_format_1  # see `vaeseq.training.checkpoints`

    def step(self, inputs: Tensor, state: LSTMState) -> tuple[tf.Tensor, LSTMState]:
        """Computes the outputs [B, H] and the next state from inputs [B, X] and a state."""
        return self.step_gates(self.project(inputs) + state.h @ self.recurrent_kernel, state)

    def project(self, inputs: Tensor) -> tf.Tensor:
        """Computes x_t W + b [..., 4H] from inputs [..., X], those of one step or of many."""
        self._build_for(inputs)
        return tf.nn.bias_add(tf.tensordot(inputs, self.kernel, 1), self.bias)

    def step_gates(self, a: Tensor, state: LSTMState) -> tuple[tf.Tensor, LSTMState]:
        """Computes what `step` does, given x_t W + b + h_{t-1} U [B, 4H]."""
        a_if, a_go = tf.split(a, 2, axis=-1)
        h, c, *_ = _cell(a_if, a_go, state.c)
        return h, LSTMState(h, c)

    def unroll(self, inputs: Tensor, state: LSTMState) -> LSTMState:
        """Computes the states [T, B, H] after all steps from inputs [T, B, X]; outputs are `h`."""
        self._build_for(inputs)
        W, U = (tf.split(w, 2, axis=1) for w in (self.kernel, self.recurrent_kernel))
        b = tf.split(self.bias, 2)
        # One matrix product projects the inputs of all steps.
        x = [tf.nn.bias_add(tf.tensordot(inputs, W[half], 1), b[half]) for half in (0, 1)]
        return LSTMState(*_unroll(*x, *U, *state))

    def _build_for(self, inputs: Tensor) -> None:
        if not self.built:
            self.build(inputs.shape)


def gates_from_format_1(weight: Tensor) -> tf.Tensor:
    """Reorders the gates on the last axis from i, f, o, g (vaeseq 0.1) to i, f, g, o."""
    i, f, o, g = tf.split(weight, 4, axis=-1)
    return tf.concat([i, f, g, o], axis=-1)


class _Initializer(keras.initializers.Initializer):
    """A Keras initializer whose columns are sampled in the order of vaeseq 0.1.

    A random seed therefore gives the same network as in that version.
    """

    def __init__(self, name: str):
        self.initializer = keras.initializers.get(name)

    def __call__(self, shape: tuple[int, ...], dtype: str | None = None) -> tf.Tensor:
        return gates_from_format_1(self.initializer(shape, dtype))


def _cell(a_if: tf.Tensor, a_go: tf.Tensor, c: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Computes h_t, c_t and the gates i, f, g, o of pre-activations [B, 2H] and c_{t-1} [B, H]."""
    i, f = tf.split(tf.sigmoid(a_if), 2, axis=-1)
    g, o = tf.split(a_go, 2, axis=-1)
    g, o = tf.tanh(g), tf.sigmoid(o)
    c = f * c + i * g
    return o * tf.tanh(c), c, i, f, g, o


@custom_gradient
def _unroll(
    x_if: tf.Tensor, x_go: tf.Tensor, U_if: tf.Tensor, U_go: tf.Tensor, h0: tf.Tensor, c0: tf.Tensor
) -> tuple[tuple[tf.Tensor, tf.Tensor], Callable[..., tuple[tf.Tensor, ...]]]:
    """Computes h_1:T and c_1:T [T, B, H] from x_t W + b [T, B, 2H], for two gates each.

    The custom gradient makes this layer fast. The automatic gradient accumulates the weight
    gradient in the backward loop. This one carries only dh and dc in the loop. Everything that is
    the same function of saved values at every step is computed for all steps together, and the
    gradient of U is one matrix product over all steps after the loop. The gates come in two halves
    because a product as small as h U runs on one core, and two of them run on two.
    """
    steps, units = tf.shape(x_if)[0], c0.shape[-1]

    def arrays(*sizes: int) -> list[tf.TensorArray]:
        return [tf.TensorArray(h0.dtype, steps, element_shape=[None, s]) for s in sizes]

    def forward(
        t: tf.Tensor, h: tf.Tensor, c: tf.Tensor, saved: list[tf.TensorArray]
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, list[tf.TensorArray]]:
        h, c, *gates = _cell(x_if[t] + h @ U_if, x_go[t] + h @ U_go, c)
        return t + 1, h, c, [a.write(t, x) for a, x in zip(saved, (h, c, *gates), strict=True)]

    *_, saved = tf.while_loop(
        lambda t, *_: t < steps,
        forward,
        (0, h0, c0, arrays(*6 * [units])),
        maximum_iterations=steps,
    )
    hs, cs, i, f, g, o = (array.stack() for array in saved)

    def gradient(dhs: tf.Tensor, dcs: tf.Tensor) -> tuple[tf.Tensor, ...]:
        tanh_c = tf.tanh(cs)
        c_prev = tf.concat([c0[None], cs[:-1]], 0)
        h_prev = tf.concat([h0[None], hs[:-1]], 0)
        # The factors of dc (for the output gate, of dh) in the gradient of the pre-activations.
        by_i, by_f = g * i * (1 - i), c_prev * f * (1 - f)
        by_g, by_o = i * (1 - g * g), tanh_c * o * (1 - o)
        dh_to_dc = o * (1 - tanh_c * tanh_c)
        # Transposed once: a transposing product at every step costs twice as much.
        U_if_T, U_go_T = tf.transpose(U_if), tf.transpose(U_go)

        def backward(
            t: tf.Tensor,
            dh: tf.Tensor,
            dc: tf.Tensor,
            da_ifs: tf.TensorArray,
            da_gos: tf.TensorArray,
        ) -> tuple[tf.Tensor | tf.TensorArray, ...]:
            dh += dhs[t]
            dc += dcs[t] + dh * dh_to_dc[t]
            da_if = tf.concat([dc * by_i[t], dc * by_f[t]], -1)
            da_go = tf.concat([dc * by_g[t], dh * by_o[t]], -1)
            dh = da_if @ U_if_T + da_go @ U_go_T
            return t - 1, dh, dc * f[t], da_ifs.write(t, da_if), da_gos.write(t, da_go)

        _, dh0, dc0, *das = tf.while_loop(
            lambda t, *_: t >= 0,
            backward,
            (steps - 1, tf.zeros_like(h0), tf.zeros_like(c0), *arrays(2 * units, 2 * units)),
            maximum_iterations=steps,
        )
        das = [array.stack() for array in das]
        dUs = [tf.tensordot(h_prev, da, [[0, 1], [0, 1]]) for da in das]
        return *das, *dUs, dh0, dc0

    return (hs, cs), gradient


class LSTMStack(RecurrentStack):
    """A stack of LSTM layers, one for each of `hparams.rnn_hidden_sizes`.

    Its state is a tuple of `LSTMState`, [B, H_l] each.

    Example:
      >>> import tensorflow as tf
      >>> import vaeseq
      >>> stack = vaeseq.LSTMStack(vaeseq.HParams(rnn_hidden_sizes=(8, 16)))
      >>> outputs, states = stack.unroll(tf.zeros([4, 10, 3]), stack.initial_state(4))
      >>> outputs.shape
      TensorShape([4, 10, 16])
    """

    def __init__(self, hparams: HParams, name: str | None = None):
        super().__init__(name=name)
        self.layers = tuple(
            LSTM(size, name=f"lstm_{i}") for i, size in enumerate(hparams.rnn_hidden_sizes)
        )
        self.state_size = 2 * sum(layer.units for layer in self.layers)
        self.built = True

    def state_from(self, features: Tensor) -> StackState:
        """Returns a state of the features [B, state_size]: h of all layers, then c of all."""
        sizes = [layer.units for layer in self.layers]
        h, c = (tf.split(x, sizes, axis=-1) for x in tf.split(features, 2, axis=-1))
        return tuple(map(LSTMState, h, c))

    def step(self, inputs: Tensor, state: StackState) -> tuple[tf.Tensor, StackState]:
        """Computes the outputs [B, H] and the next state from inputs [B, X] and a state."""
        first = self.layers[0]
        a = self.project(inputs) + state[0].h @ first.recurrent_kernel
        return self.step_gates(a, state)

    def project(self, inputs: Tensor) -> tf.Tensor:
        """Computes what the inputs [..., X] add to the gates of the first layer, [..., 4H_1].

        A loop over time that has only a part of its inputs in advance takes their products before
        it begins, adds the others at each step, and calls `step_gates`.
        """
        return self.layers[0].project(inputs)

    def step_gates(self, a: Tensor, state: StackState) -> tuple[tf.Tensor, StackState]:
        """Computes what `step` does, given x_t W + b + h_{t-1} U [B, 4H_1] of the first layer."""
        first, *others = self.layers
        outputs, first_state = first.step_gates(a, state[0])
        states = [first_state]
        for layer, layer_state in zip(others, state[1:], strict=True):
            outputs, layer_state = layer.step(outputs, layer_state)
            states.append(layer_state)
        return outputs, tuple(states)

    def unroll(self, inputs: Tensor, state: StackState) -> tuple[tf.Tensor, StackState]:
        """Computes the outputs [B, T, H] and all states [B, T, H_l] from inputs [B, T, X]."""
        outputs, states = swap_time_batch(inputs), []
        for layer, layer_state in zip(self.layers, state, strict=True):
            states.append(layer.unroll(outputs, layer_state))
            outputs = states[-1].h
        batch_major = tf.nest.map_structure(swap_time_batch, tuple(states))
        return batch_major[-1].h, batch_major
