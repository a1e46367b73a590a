"""WiredModel: the parts of a sequence model, wired together."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from vaeseq import vae
from vaeseq.context import Context, EncodeObserved
from vaeseq.hparams import HParams
from vaeseq.model import parts
from vaeseq.nn import convert, replicas
from vaeseq.nn.convert import stateless_seed
from vaeseq.nn.dist_module import DistModule
from vaeseq.nn.sequences import last
from vaeseq.nn.types import Nest, Seed, Size, Specs, Tensor
from vaeseq.vae.core import Inference


class State(NamedTuple):
    """The state of a model between two steps of a sequence."""

    context: Any  # nest of [B, ...]
    core: Any  # nest of [B, ...]


class WiredModel(keras.Model):
    """A recurrent core with its encoder, decoder and context; see `ModelBase`.

    The constructor creates the weights.
    """

    def __init__(
        self, hparams: HParams | None = None, inputs_spec: Specs = (), name: str | None = None
    ):
        if keras.backend.backend() != "tensorflow":
            raise RuntimeError(
                f"vaeseq needs Keras with the TensorFlow backend, not {keras.backend.backend()}; "
                "set KERAS_BACKEND=tensorflow before Python starts"
            )
        super().__init__(name=name)
        self.hparams = hparams or HParams()
        parts.check_inputs_spec(inputs_spec)
        self.inputs_spec = inputs_spec
        self.encoder = self.make_encoder()
        parts.check_encoder(self.encoder)
        self.decoder = self.make_decoder()
        parts.check_decoder(self.decoder)
        self.encoded_size = parts.encoded_size(self.encoder, self.zero_observations)
        self.context = self.make_context()
        self.core = vae.make(self.hparams, self.encoder, self.decoder)
        self._create_weights()
        self.built = True

    def make_encoder(self) -> keras.layers.Layer:
        """Returns a layer from observations [N, *event_shape] to features [N, E]."""
        raise NotImplementedError(f"{type(self).__name__} must define make_encoder")

    def make_decoder(self) -> DistModule:
        """Returns the observation distribution, given features [N, D]."""
        raise NotImplementedError(f"{type(self).__name__} must define make_decoder")

    def make_context(self) -> Context:
        """Returns the context that x_t depends on; by default x_{t-1}, encoded, and the inputs."""
        return EncodeObserved(
            self.encoder, self.encoded_size, word_dropout=self.hparams.word_dropout
        )

    def infer(
        self,
        observed: Nest,
        inputs: Nest | None = None,
        lengths: Tensor | Sequence[int] | None = None,
        *,
        state: State | None = None,
        seed: Seed = 0,
    ) -> tuple[Inference, State]:
        """Infers the latents of observed sequences.

        Args:
          observed: nest of [B, T, *event_shape].
          inputs: nest of [B, T, ...] that matches `inputs_spec`; None if there are none.
          lengths: int [B], the number of steps in each row; None uses all steps.
          state: the state that an earlier call returned; None starts at the initial state.
          seed: of the noise of the latents.

        Returns:
          The inference, and the state after the last step of each row. Pass the state to `infer`
          to read more of the sequence, or to `generate` to continue it.
        """
        observed, inputs = self.as_sequences(observed, inputs)
        batch, time = tf.unstack(tf.shape(tf.nest.flatten(observed)[0])[:2])
        state = state or self.initial_state(batch)
        contexts, context_states = self.context.from_observations(observed, inputs, state.context)
        noise = self.noise(batch, time, seed)
        lengths = None if lengths is None else tf.cast(lengths, tf.int32)
        inference = self.core.infer(contexts, observed, state.core, noise, lengths)
        return inference, last(State(context_states, inference.states), lengths)

    def initial_state(self, batch_size: Size) -> State:
        """Returns the state before the first step."""
        return State(self.context.initial_state(batch_size), self.core.initial_state(batch_size))

    def noise(self, batch_size: Size, steps: Size, seed: Seed) -> tf.Tensor:
        """Returns standard normal noise [B, T, Z]."""

        def normal(shape: Any) -> tf.Tensor:
            return tf.random.stateless_normal(shape, stateless_seed(seed))

        size = self.core.latent_size
        noise = replicas.own_rows(normal, [batch_size, steps, size])
        return tf.ensure_shape(noise, [None, None, size])

    @property
    def zero_observations(self) -> Any:
        """Observations of one step that are zero: a nest of [1, *event_shape]."""

        def zeros(dtype: tf.DType, shape: tf.TensorShape) -> tf.Tensor:
            return tf.zeros([1, *shape], dtype)

        return tf.nest.map_structure(zeros, self.decoder.event_dtype, self.decoder.event_shape)

    def as_sequences(self, observed: Nest, inputs: Nest | None = None) -> tuple[Any, Any]:
        """Converts observations and inputs to tensors of the expected dtypes.

        Raises:
          ValueError: if a structure or a shape is not the expected one.
        """
        event = tf.nest.map_structure(
            tf.TensorSpec, self.decoder.event_shape, self.decoder.event_dtype
        )
        return (
            convert.as_sequences("observed", observed, event),
            convert.as_sequences("inputs", inputs, self.inputs_spec),
        )

    def _create_weights(self) -> None:
        """Calls every layer once, on zeros."""

        def zeros(spec: tf.TensorSpec) -> tf.Tensor:
            return tf.zeros([1, 1, *spec.shape], spec.dtype)

        observed = tf.nest.map_structure(lambda x: x[:, None], self.zero_observations)
        inputs = tf.nest.map_structure(zeros, self.inputs_spec)
        self.infer(observed, inputs)
        first = tf.nest.map_structure(lambda x: x[:, 0], inputs)
        self.context(first, self.context.initial_state(1))
