"""The recurrent stack: `step` for one time step, `unroll` for a sequence, one set of weights.

An LSTM (Hochreiter and Schmidhuber 1997; forget gate: Gers et al. 2000), time-major inside:

    i, f, o = sigmoid(x_t W + h_{t-1} U + b)    g = tanh(x_t W + h_{t-1} U + b)
    c_t = f c_{t-1} + i g                       h_t = o tanh(c_t)

The columns of W, U and b stand in the order i, f, o, g.
"""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from vaeseq.hparams import HParams
from vaeseq.nn.sequences import swap_time_batch


class LSTMState(NamedTuple):
    """The state of one layer: h_t and c_t, [B, H]; or those of all steps, [B, T, H]."""

    h: tf.Tensor
    c: tf.Tensor


class LSTM(keras.layers.Layer):
    """One LSTM layer of `units` cells."""

    def __init__(self, units: int, name: str | None = None):
        super().__init__(name=name)
        self.units = units

    def build(self, input_shape: Any) -> None:
        """Creates the weights for inputs [..., X]; the forget gates start open."""
        units = self.units
        self.kernel = self.add_weight(
            shape=(input_shape[-1], 4 * units), initializer="glorot_uniform", name="kernel"
        )
        self.recurrent_kernel = self.add_weight(
            shape=(units, 4 * units), initializer="orthogonal", name="recurrent_kernel"
        )
        self.bias = self.add_weight(shape=(4 * units,), initializer="zeros", name="bias")
        self.bias.assign(tf.repeat([0.0, 1.0, 0.0, 0.0], units))

    def initial_state(self, batch_size: Any) -> LSTMState:
        """Zeros."""
        return LSTMState(*2 * (tf.zeros([batch_size, self.units]),))

    def step(self, inputs: tf.Tensor, state: LSTMState) -> tuple[tf.Tensor, LSTMState]:
        """Inputs [B, X] and the state before them to outputs [B, H] and the state after."""
        self._build_for(inputs)
        a = tf.nn.bias_add(inputs @ self.kernel, self.bias) + state.h @ self.recurrent_kernel
        a_if, a_og = tf.split(a, 2, axis=-1)
        h, c, *_ = _cell(a_if, a_og, state.c)
        return h, LSTMState(h, c)

    def unroll(self, inputs: tf.Tensor, state: LSTMState) -> LSTMState:
        """Inputs [T, B, X] to the states after every step, [T, B, H]; the outputs are their h."""
        self._build_for(inputs)
        W, U = (tf.split(w, 2, axis=1) for w in (self.kernel, self.recurrent_kernel))
        b = tf.split(self.bias, 2)
        # The inputs of all steps in one matrix product.
        x = [tf.nn.bias_add(tf.tensordot(inputs, W[half], 1), b[half]) for half in (0, 1)]
        return LSTMState(*_unroll(*x, *U, *state))

    def _build_for(self, inputs: tf.Tensor) -> None:
        if not self.built:
            self.build(inputs.shape)


def _cell(a_if: tf.Tensor, a_og: tf.Tensor, c: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Pre-activations [B, 2H] each and c_{t-1} [B, H] to h_t, c_t and the gates i, f, o, g."""
    i, f = tf.split(tf.sigmoid(a_if), 2, axis=-1)
    o, g = tf.split(a_og, 2, axis=-1)
    o, g = tf.sigmoid(o), tf.tanh(g)
    c = f * c + i * g
    return o * tf.tanh(c), c, i, f, o, g


@tf.custom_gradient
def _unroll(
    x_if: tf.Tensor, x_og: tf.Tensor, U_if: tf.Tensor, U_og: tf.Tensor, h0: tf.Tensor, c0: tf.Tensor
) -> Any:
    """Inputs x_t W + b [T, B, 2H], for two gates each, to h_1:T and c_1:T [T, B, H].

    The gradient is what makes the library fast. The automatic one keeps a weight gradient in the
    backward loop; this loop carries only dh and dc, everything that is the same function of saved
    values at every step is computed for all steps at once, and the gradient of U is one matrix
    product over all steps after the loop. The gates come in two halves because a product as small
    as h U runs on one core, and two of them run on two.
    """
    steps, units = tf.shape(x_if)[0], c0.shape[-1]

    def arrays(*sizes: int) -> list[tf.TensorArray]:
        return [tf.TensorArray(h0.dtype, steps, element_shape=[None, s]) for s in sizes]

    def forward(t: Any, h: Any, c: Any, saved: Any) -> Any:
        h, c, *gates = _cell(x_if[t] + h @ U_if, x_og[t] + h @ U_og, c)
        return t + 1, h, c, [a.write(t, x) for a, x in zip(saved, (h, c, *gates), strict=True)]

    *_, saved = tf.while_loop(
        lambda t, *_: t < steps,
        forward,
        (0, h0, c0, arrays(*6 * [units])),
        maximum_iterations=steps,
    )
    hs, cs, i, f, o, g = (array.stack() for array in saved)

    def gradient(dhs: tf.Tensor, dcs: tf.Tensor) -> tuple[tf.Tensor, ...]:
        tanh_c = tf.tanh(cs)
        c_prev = tf.concat([c0[None], cs[:-1]], 0)
        h_prev = tf.concat([h0[None], hs[:-1]], 0)
        # What dc (or dh, for the output gate) is multiplied with for the pre-activations' gradient.
        by_i, by_f = g * i * (1 - i), c_prev * f * (1 - f)
        by_o, by_g = tanh_c * o * (1 - o), i * (1 - g * g)
        dh_to_dc = o * (1 - tanh_c * tanh_c)
        # Once: a transposing product at every step costs twice as much.
        U_if_T, U_og_T = tf.transpose(U_if), tf.transpose(U_og)

        def backward(t: Any, dh: Any, dc: Any, da_ifs: Any, da_ogs: Any) -> Any:
            dh += dhs[t]
            dc += dcs[t] + dh * dh_to_dc[t]
            da_if = tf.concat([dc * by_i[t], dc * by_f[t]], -1)
            da_og = tf.concat([dh * by_o[t], dc * by_g[t]], -1)
            dh = da_if @ U_if_T + da_og @ U_og_T
            return t - 1, dh, dc * f[t], da_ifs.write(t, da_if), da_ogs.write(t, da_og)

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


class RNN(keras.layers.Layer):
    """A stack of LSTM layers, one for each of `hparams.rnn_hidden_sizes`.

    Its state is a tuple of `LSTMState`, [B, H_l] each.
    """

    def __init__(self, hparams: HParams, name: str | None = None):
        super().__init__(name=name)
        self.layers = tuple(
            LSTM(size, name=f"lstm_{i}") for i, size in enumerate(hparams.rnn_hidden_sizes)
        )
        self.built = True

    def initial_state(self, batch_size: Any) -> tuple[LSTMState, ...]:
        """Zeros."""
        return tuple(layer.initial_state(batch_size) for layer in self.layers)

    def step(self, inputs: tf.Tensor, state: Any) -> tuple[tf.Tensor, tuple[LSTMState, ...]]:
        """Inputs [B, X] and the state before them to outputs [B, H] and the state after."""
        states = []
        for layer, layer_state in zip(self.layers, state, strict=True):
            inputs, layer_state = layer.step(inputs, layer_state)
            states.append(layer_state)
        return inputs, tuple(states)

    def unroll(self, inputs: tf.Tensor, state: Any) -> tuple[tf.Tensor, tuple[LSTMState, ...]]:
        """Inputs [B, T, X] to outputs [B, T, H] and the states after every step, [B, T, H_l]."""
        outputs, states = swap_time_batch(inputs), []
        for layer, layer_state in zip(self.layers, state, strict=True):
            states.append(layer.unroll(outputs, layer_state))
            outputs = states[-1].h
        batch_major = tf.nest.map_structure(swap_time_batch, tuple(states))
        return batch_major[-1].h, batch_major

    def unroll_backward(self, inputs: tf.Tensor, lengths: tf.Tensor | None = None) -> tf.Tensor:
        """Inputs [B, T, X] to outputs [B, T, H], each a summary of the inputs from t on.

        With `lengths` [B] every row starts at its own end, so padding does not reach it.
        """
        initial = self.initial_state(tf.shape(inputs)[0])
        outputs, _ = self.unroll(_reverse(inputs, lengths), initial)
        return _reverse(outputs, lengths)


def _reverse(sequence: tf.Tensor, lengths: tf.Tensor | None) -> tf.Tensor:
    if lengths is None:
        return tf.reverse(sequence, [1])
    return tf.reverse_sequence(sequence, lengths, seq_axis=1)
