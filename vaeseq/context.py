"""Contexts: what is known before x_t, from inputs and from the observations before it."""

import abc
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from vaeseq.nn.dropout import WordDropout
from vaeseq.nn.sequences import over_time, scan


class Context(keras.layers.Layer, abc.ABC):
    """The context c_t of p(x_t | c_t, ...).

    You write `initial_state`, `call` and `observe`, one time step each. `from_observations` scans
    them for a sequence that is known (teacher forcing); override it where time can be fused.
    """

    @abc.abstractmethod
    def initial_state(self, batch_size: Any) -> Any:
        """The state before the first observation, a nest of [B, ...]."""

    @abc.abstractmethod
    def call(self, inputs: Any, state: Any) -> Any:
        """The context of this step: a nest of [B, C_i]. `inputs` is () where there are none."""

    @abc.abstractmethod
    def observe(self, observed: Any, state: Any) -> Any:
        """The state after x_t, `observed` [B, *event_shape]."""

    def from_observations(self, observed: Any, inputs: Any, state: Any) -> tuple[Any, Any]:
        """The contexts of a known sequence.

        Args:
          observed: nest of [B, T, *event_shape].
          inputs: nest of [B, T, ...], () where there are none.
          state: the state before the first step.

        Returns:
          The contexts, nests of [B, T, C_i], and the states after each step, of [B, T, ...].
        """

        def step(step_inputs: Any, state: Any) -> Any:
            observed, inputs = step_inputs
            context = self(inputs, state)
            state = self.observe(observed, state)
            return (context, state), state

        (contexts, states), _ = scan(step, (observed, inputs), state)
        return contexts, states


class Inputs(Context):
    """The context is the inputs, and the observations before are not seen."""

    def initial_state(self, batch_size: Any) -> Any:
        """Nothing."""
        return ()

    def call(self, inputs: Any, state: Any) -> Any:
        """The inputs themselves."""
        return inputs

    def observe(self, observed: Any, state: Any) -> Any:
        """Nothing."""
        return state

    def from_observations(self, observed: Any, inputs: Any, state: Any) -> tuple[Any, Any]:
        """All inputs."""
        return inputs, state


class EncodeObserved(Context):
    """The encoding of the observation before, zeros at first, beside that of the inputs, if any.

    Args:
      obs_encoder: layer, [N, *event_shape] -> [N, E].
      encoded_size: its E.
      input_encoder: layer for the inputs, or None to take them as they are.
      word_dropout: how probable it is in training that an observation before is zeros, so that
        the latent variables have to say what it would have said (Bowman et al. 2015,
        arXiv:1511.06349).
    """

    def __init__(
        self,
        obs_encoder: Callable[[Any], tf.Tensor],
        encoded_size: int,
        input_encoder: Callable[[Any], Any] | None = None,
        word_dropout: float = 0.0,
        name: str | None = None,
    ):
        super().__init__(name=name)
        self.obs_encoder, self.encoded_size = obs_encoder, encoded_size
        self.input_encoder = input_encoder
        self.word_dropout = WordDropout(word_dropout)

    def initial_state(self, batch_size: Any) -> tf.Tensor:
        """Zeros [B, E]."""
        return tf.zeros([batch_size, self.encoded_size])

    def call(self, inputs: Any, state: tf.Tensor) -> Any:
        """The encoded inputs and the encoding of x_{t-1}."""
        return (inputs if self.input_encoder is None else self.input_encoder(inputs), state)

    def observe(self, observed: Any, state: tf.Tensor) -> tf.Tensor:
        """The encoding of x_t."""
        return self.obs_encoder(observed)

    def from_observations(self, observed: Any, inputs: Any, state: Any) -> tuple[Any, Any]:
        """Encodes the whole sequence at once and shifts it by one step."""
        encoded = over_time(self.obs_encoder, observed)  # [B, T, E]
        before = tf.concat([state[:, None], encoded[:, :-1]], axis=1)
        if self.input_encoder is not None:
            inputs = over_time(self.input_encoder, inputs)
        return (inputs, self.word_dropout(before)), encoded


class Accumulate(Context):
    """The encodings of the last `history_size` observations, oldest first, and the inputs, if any.

    Args:
      obs_encoder: layer, [N, *event_shape] -> [N, E].
      encoded_size: its E.
      history_size: how many observations to keep; those before the first are zeros.
      combiner: layer for histories [N, history_size, E], or None to concatenate them.
    """

    def __init__(
        self,
        obs_encoder: Callable[[Any], tf.Tensor],
        encoded_size: int,
        history_size: int,
        combiner: Callable[[tf.Tensor], Any] | None = None,
        name: str | None = None,
    ):
        super().__init__(name=name)
        self.obs_encoder, self.encoded_size = obs_encoder, encoded_size
        self.history_size, self.combiner = history_size, combiner

    def initial_state(self, batch_size: Any) -> tf.Tensor:
        """Zeros [B, history_size, E]."""
        return tf.zeros([batch_size, self.history_size, self.encoded_size])

    def call(self, inputs: Any, state: tf.Tensor) -> Any:
        """The inputs and the combined history."""
        return (inputs, self._combine(state))

    def observe(self, observed: Any, state: tf.Tensor) -> tf.Tensor:
        """Drops the oldest encoding and appends that of x_t."""
        return tf.concat([state[:, 1:], self.obs_encoder(observed)[:, None]], axis=1)

    def from_observations(self, observed: Any, inputs: Any, state: Any) -> tuple[Any, Any]:
        """Encodes the whole sequence at once and takes every window of it."""
        steps = tf.shape(tf.nest.flatten(observed)[0])[1]
        encoded = tf.concat([state, over_time(self.obs_encoder, observed)], axis=1)

        def windows(first: int) -> tf.Tensor:
            """[B, T, history_size, E], the oldest of the first at `first`."""
            ages = range(first, first + self.history_size)
            return tf.stack([encoded[:, age : age + steps] for age in ages], axis=2)

        return (inputs, over_time(self._combine, windows(0))), windows(1)

    def _combine(self, history: tf.Tensor) -> Any:
        if self.combiner is not None:
            return self.combiner(history)
        return tf.reshape(history, [-1, self.history_size * self.encoded_size])


class Chain(Context):
    """Contexts one after another: each gets the one before as its inputs."""

    def __init__(self, contexts: Sequence[Context], name: str | None = None):
        super().__init__(name=name)
        self.contexts = tuple(contexts)

    def initial_state(self, batch_size: Any) -> tuple[Any, ...]:
        """The states of all."""
        return tuple(context.initial_state(batch_size) for context in self.contexts)

    def call(self, inputs: Any, state: Any) -> Any:
        """The last one's context."""
        for context, context_state in zip(self.contexts, state, strict=True):
            inputs = context(inputs, context_state)
        return inputs

    def observe(self, observed: Any, state: Any) -> tuple[Any, ...]:
        """All of them see x_t."""
        pairs = zip(self.contexts, state, strict=True)
        return tuple(context.observe(observed, context_state) for context, context_state in pairs)

    def from_observations(self, observed: Any, inputs: Any, state: Any) -> tuple[Any, Any]:
        """Each one's whole sequence in turn."""
        states = []
        for context, context_state in zip(self.contexts, state, strict=True):
            inputs, after = context.from_observations(observed, inputs, context_state)
            states.append(after)
        return inputs, tuple(states)
