"""Contexts: c_t, what p(x_t | c_t, ...) conditions on, from inputs and earlier observations."""

import abc
from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras
import tensorflow as tf

from vaeseq.nn.dropout import WordDropout
from vaeseq.nn.sequences import over_time, scan
from vaeseq.nn.types import Nest, Size

__all__ = [
    "Accumulate",
    "Chain",
    "Context",
    "EncodeObserved",
    "Inputs",
    "Nothing",
    "Split",
    "core_part",
]


class Split(NamedTuple):
    """A context c_t of which the decoder sees more than the core does.

    p(x_t | ...) has an arrow from `decoder` besides those of the graphical model. So it may be
    large, such as features of each pixel or key: no recurrent network has to take it in.

    Example:
      >>> import tensorflow as tf
      >>> from vaeseq import context
      >>> split = context.Split(core=tf.zeros([4, 8]), decoder=tf.zeros([4, 500]))
      >>> split.core.shape
      TensorShape([4, 8])
    """

    core: Nest  # nest of [..., C_i]
    decoder: Nest  # nest of [..., D_i]


def core_part(context: Nest) -> Nest:
    """Returns what the core sees of a context, a nest of [..., C_i].

    Example:
      >>> from vaeseq import context
      >>> context.core_part(context.Split(core="for the core", decoder="for the decoder"))
      'for the core'
      >>> context.core_part("for both")
      'for both'
    """
    return context.core if isinstance(context, Split) else context


class Context(keras.layers.Layer, abc.ABC):
    """The contexts c_1:T of a sequence. c_t must not depend on x_t or on later observations.

    You write:

    * `initial_state`: the state before the first observation.
    * `call`: c_t, given the inputs of step t and the state.
    * `observe`: the state after x_t.
    * `from_observations` (optional): all contexts of a known sequence, faster.

    You get a context for `ModelBase.make_context`. Training uses `from_observations` (teacher
    forcing); generation alternates between `call` and `observe`.

    Example:
      >>> import tensorflow as tf
      >>> import vaeseq
      >>> class Clock(vaeseq.Context):
      ...     def initial_state(self, batch_size):
      ...         return tf.zeros([batch_size, 1])
      ...     def call(self, inputs, state):
      ...         return state
      ...     def observe(self, observed, state):
      ...         return state + 1.0
      >>> clock = Clock()
      >>> observed = tf.zeros([1, 3, 2])
      >>> contexts, states = clock.from_observations(observed, (), clock.initial_state(1))
      >>> contexts.numpy().ravel().tolist()
      [0.0, 1.0, 2.0]
    """

    @abc.abstractmethod
    def initial_state(self, batch_size: Size) -> Nest:
        """Returns the state before the first observation, a nest of [B, ...]."""

    @abc.abstractmethod
    def call(self, inputs: Nest, state: Nest) -> Nest:
        """Returns c_t, a nest of [B, C_i], or a `Split` of two such nests.

        Args:
          inputs: nest of [B, ...]; () if the model has no inputs.
          state: the state after x_{t-1}.
        """

    @abc.abstractmethod
    def observe(self, observed: Nest, state: Nest) -> Nest:
        """Returns the state after x_t, given x_t [B, *event_shape] and the state before it.

        If elements are missing (`HParams(gaps=True)` and a mask), x_t is `vaeseq.nn.masked.Masked`,
        values and what of them is observed, which the encoder of the model takes as it is.
        """

    def from_observations(self, observed: Nest, inputs: Nest, state: Nest) -> tuple[Nest, Nest]:
        """Computes the contexts of a known sequence.

        This default scans `call` and `observe`. A subclass may override it with an implementation
        that gives the same results faster.

        Args:
          observed: nest of [B, T, *event_shape], or `Masked`; see `observe`.
          inputs: nest of [B, T, ...]; () if the model has no inputs.
          state: the state before the first step.

        Returns:
          The contexts, a nest of [B, T, C_i], and the states after each step, a nest of
          [B, T, ...].
        """

        def step(step_inputs: tuple[Nest, Nest], state: Nest) -> tuple[tuple[Nest, Nest], Nest]:
            observed, inputs = step_inputs
            context = self(inputs, state)
            state = self.observe(observed, state)
            return (context, state), state

        (contexts, states), _ = scan(step, (observed, inputs), state)
        return contexts, states


class Inputs(Context):
    """The context is the inputs alone; x_t does not condition on earlier observations.

    Example:
      >>> import tensorflow as tf
      >>> from vaeseq import context
      >>> contexts, _ = context.Inputs().from_observations((), tf.ones([4, 10, 2]), ())
      >>> contexts.shape
      TensorShape([4, 10, 2])
    """

    def initial_state(self, batch_size: Size) -> tuple[()]:
        """Returns (): this context has no state."""
        return ()

    def call(self, inputs: Nest, state: Nest) -> Nest:
        """Returns the inputs."""
        return inputs

    def observe(self, observed: Nest, state: Nest) -> Nest:
        """Returns the state unchanged."""
        return state

    def from_observations(self, observed: Nest, inputs: Nest, state: Nest) -> tuple[Nest, Nest]:
        """Returns the inputs of all steps."""
        return inputs, state


class Nothing(Context):
    """A constant: x_t depends on the latents (and d_t on the time step) alone.

    A core with latents is then a state-space model: its latents must carry all that one step tells
    about another. With `context.Inputs` the same holds for a model with inputs.

    Example:
      >>> import tensorflow as tf
      >>> from vaeseq import context
      >>> nothing = context.Nothing()
      >>> nothing((), nothing.initial_state(4)).shape
      TensorShape([4, 1])
    """

    def initial_state(self, batch_size: Size) -> tf.Tensor:
        """Returns the constant, zeros [B, 1]."""
        return tf.zeros([batch_size, 1])

    def call(self, inputs: Nest, state: tf.Tensor) -> tf.Tensor:
        """Returns the constant."""
        return state

    def observe(self, observed: Nest, state: tf.Tensor) -> tf.Tensor:
        """Returns the constant."""
        return state

    def from_observations(
        self, observed: Nest, inputs: Nest, state: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the constant of all steps, twice."""
        steps = tf.shape(tf.nest.flatten(observed)[0])[1]
        constants = tf.repeat(state[:, None], steps, axis=1)
        return constants, constants


class EncodeObserved(Context):
    """The inputs, if any, and the encoding of x_{t-1}; zeros at the first step.

    Args:
      obs_encoder: layer from observations [N, *event_shape] to features [N, E].
      encoded_size: E.
      input_encoder: layer for the inputs [N, ...]; None uses them unchanged.
      word_dropout: the probability in training that x_{t-1} is replaced by zeros. It makes a
        model with latent variables use them (Bowman et al. 2015, arXiv:1511.06349).
      name: the layer's name.

    Example:
      >>> import tensorflow as tf
      >>> from vaeseq import codec, context
      >>> before = context.EncodeObserved(codec.Flatten(), encoded_size=1)
      >>> observed = tf.constant([[[1.0], [2.0], [3.0]]])  # [B, T, 1]
      >>> (_, contexts), _ = before.from_observations(observed, (), before.initial_state(1))
      >>> contexts.numpy().ravel().tolist()
      [0.0, 1.0, 2.0]
    """

    def __init__(
        self,
        obs_encoder: Callable[[Nest], tf.Tensor],
        encoded_size: int,
        input_encoder: Callable[[Nest], Nest] | None = None,
        word_dropout: float = 0.0,
        name: str | None = None,
    ):
        super().__init__(name=name)
        self.obs_encoder, self.encoded_size = obs_encoder, encoded_size
        self.input_encoder = input_encoder
        self.word_dropout = WordDropout(word_dropout)

    def initial_state(self, batch_size: Size) -> tf.Tensor:
        """Returns zeros [B, E]."""
        return tf.zeros([batch_size, self.encoded_size])

    def call(self, inputs: Nest, state: tf.Tensor) -> Nest:
        """Returns the encoded inputs and the encoding of x_{t-1}."""
        return (inputs if self.input_encoder is None else self.input_encoder(inputs), state)

    def observe(self, observed: Nest, state: tf.Tensor) -> tf.Tensor:
        """Returns the encoding of x_t [B, E]."""
        return self.obs_encoder(observed)

    def from_observations(
        self, observed: Nest, inputs: Nest, state: tf.Tensor
    ) -> tuple[Nest, tf.Tensor]:
        """Encodes all observations as one batch and shifts them by one step."""
        encoded = over_time(self.obs_encoder, observed)  # [B, T, E]
        before = tf.concat([state[:, None], encoded[:, :-1]], axis=1)
        if self.input_encoder is not None:
            inputs = over_time(self.input_encoder, inputs)
        return (inputs, self.word_dropout(before)), encoded


class Accumulate(Context):
    """The inputs, if any, and the encodings of the last `history_size` observations.

    Args:
      obs_encoder: layer from observations [N, *event_shape] to features [N, E].
      encoded_size: E.
      history_size: the number of observations; zeros stand for those before the first.
      combiner: layer for histories [N, history_size, E], oldest first; None concatenates them.
      name: the layer's name.

    Example:
      >>> import tensorflow as tf
      >>> from vaeseq import codec, context
      >>> last_two = context.Accumulate(codec.Flatten(), encoded_size=1, history_size=2)
      >>> observed = tf.constant([[[1.0], [2.0], [3.0]]])  # [B, T, 1]
      >>> (_, contexts), _ = last_two.from_observations(observed, (), last_two.initial_state(1))
      >>> contexts.numpy().tolist()
      [[[0.0, 0.0], [0.0, 1.0], [1.0, 2.0]]]
    """

    def __init__(
        self,
        obs_encoder: Callable[[Nest], tf.Tensor],
        encoded_size: int,
        history_size: int,
        combiner: Callable[[tf.Tensor], Nest] | None = None,
        name: str | None = None,
    ):
        super().__init__(name=name)
        self.obs_encoder, self.encoded_size = obs_encoder, encoded_size
        self.history_size, self.combiner = history_size, combiner

    def initial_state(self, batch_size: Size) -> tf.Tensor:
        """Returns zeros [B, history_size, E]."""
        return tf.zeros([batch_size, self.history_size, self.encoded_size])

    def call(self, inputs: Nest, state: tf.Tensor) -> Nest:
        """Returns the inputs and the combined history."""
        return (inputs, self._combine(state))

    def observe(self, observed: Nest, state: tf.Tensor) -> tf.Tensor:
        """Removes the oldest encoding and appends that of x_t."""
        return tf.concat([state[:, 1:], self.obs_encoder(observed)[:, None]], axis=1)

    def from_observations(
        self, observed: Nest, inputs: Nest, state: tf.Tensor
    ) -> tuple[Nest, tf.Tensor]:
        """Encodes all observations as one batch and slices the histories from the result."""
        steps = tf.shape(tf.nest.flatten(observed)[0])[1]
        encoded = tf.concat([state, over_time(self.obs_encoder, observed)], axis=1)

        def histories(first: int) -> tf.Tensor:
            """Returns T windows [B, T, history_size, E]; the first begins at index `first`."""
            starts = range(first, first + self.history_size)
            return tf.stack([encoded[:, start : start + steps] for start in starts], axis=2)

        return (inputs, over_time(self._combine, histories(0))), histories(1)

    def _combine(self, history: tf.Tensor) -> Nest:
        if self.combiner is not None:
            return self.combiner(history)
        return tf.reshape(history, [-1, self.history_size * self.encoded_size])


class Chain(Context):
    """Contexts in a chain: the output of each is the inputs of the next.

    Args:
      contexts: the contexts; the first gets the model's inputs, the last returns c_t.
      name: the layer's name.

    Example:
      >>> import tensorflow as tf
      >>> from vaeseq import codec, context
      >>> before = context.EncodeObserved(codec.Flatten(), encoded_size=3)
      >>> chain = context.Chain([context.Inputs(), before])
      >>> observed, inputs = tf.zeros([4, 10, 3]), tf.ones([4, 10, 2])
      >>> (inputs, encoded), _ = chain.from_observations(observed, inputs, chain.initial_state(4))
      >>> inputs.shape, encoded.shape
      (TensorShape([4, 10, 2]), TensorShape([4, 10, 3]))
    """

    def __init__(self, contexts: Sequence[Context], name: str | None = None):
        super().__init__(name=name)
        self.contexts = tuple(contexts)

    def initial_state(self, batch_size: Size) -> tuple[Nest, ...]:
        """Returns the initial states of all contexts."""
        return tuple(context.initial_state(batch_size) for context in self.contexts)

    def call(self, inputs: Nest, state: Nest) -> Nest:
        """Returns the output of the last context."""
        for context, context_state in zip(self.contexts, state, strict=True):
            inputs = context(inputs, context_state)
        return inputs

    def observe(self, observed: Nest, state: Nest) -> tuple[Nest, ...]:
        """Returns the states of all contexts after x_t."""
        pairs = zip(self.contexts, state, strict=True)
        return tuple(context.observe(observed, context_state) for context, context_state in pairs)

    def from_observations(
        self, observed: Nest, inputs: Nest, state: Nest
    ) -> tuple[Nest, tuple[Nest, ...]]:
        """Computes the contexts of a known sequence, one context after another."""
        states = []
        for context, context_state in zip(self.contexts, state, strict=True):
            inputs, after = context.from_observations(observed, inputs, context_state)
            states.append(after)
        return inputs, tuple(states)
