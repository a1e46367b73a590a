"""WiredModel: the parts of a sequence model, wired together."""

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import keras
import tensorflow as tf

from vaeseq import vae
from vaeseq.context import Context, EncodeObserved
from vaeseq.hparams import HParams
from vaeseq.model import parts, saving, summary
from vaeseq.nn import convert, replicas
from vaeseq.nn.convert import stateless_seed
from vaeseq.nn.dist_module import DistModule
from vaeseq.nn.initial_seed import initial_seed
from vaeseq.nn.masked import Masked, MaskedEncoder
from vaeseq.nn.sequences import last, repeat_rows, replace_padding
from vaeseq.nn.support import check_observed
from vaeseq.nn.types import Nest, Seed, Size, Specs, Tensor
from vaeseq.training.private_api import all_layers, set_trainable
from vaeseq.vae.core import Inference


class State(NamedTuple):
    """The state of a model between two steps of a sequence.

    Example:
      >>> import numpy as np
      >>> import vaeseq
      >>> from vaeseq import codec
      >>> class Bits(vaeseq.ModelBase):
      ...     def make_encoder(self):
      ...         return codec.Flatten()
      ...     def make_decoder(self):
      ...         return codec.MLPObsDecoder(self.hparams, codec.BernoulliDecoder())
      >>> model = Bits(vaeseq.HParams(vae_type="RNN", rnn_hidden_sizes=(8,)))
      >>> state = model.prime(np.zeros([4, 10], np.int32), num_samples=3)
      >>> model.generate(state=state, sequence_size=5).shape  # three futures of each of four
      TensorShape([12, 5])
    """

    context: Any  # nest of [B, ...]
    core: Any  # nest of [B, ...]


class Conditions(NamedTuple):
    """What the inference of observed sequences is conditioned on."""

    observed: Any  # nest of [B, T, *event_shape]
    contexts: Any  # nest of [B, T, C_i]
    context_states: Any  # the states of the context after each step, a nest of [B, T, ...]
    evidence: tf.Tensor | None  # [B, T, D]


class WiredModel(keras.Model):
    """A recurrent core with its encoder, decoder and context; see `ModelBase`.

    The constructor creates the weights, from the random seed `hparams.seed`.
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
        parts.check_dtype(self.dtype_policy.name, keras.config.floatx())
        if not isinstance(hparams, HParams | None):
            raise TypeError(f"hparams must be a vaeseq.HParams, not {hparams!r}")
        self.hparams = hparams or HParams()
        parts.check_inputs_spec(inputs_spec)
        self.inputs_spec = inputs_spec
        with initial_seed(self.hparams.seed):
            self._create_parts()
        self.built = True

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor and the indices of frozen layers, as JSON.

        A subclass adds the further arguments of its own constructor.
        """
        layers = enumerate(all_layers(self))
        return {
            "name": self.name,
            "hparams": saving.hparams_to_json(self.hparams),
            "inputs_spec": saving.specs_to_json(self.inputs_spec),
            "frozen": [index for index, layer in layers if not layer.trainable],
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> Self:
        """Creates a model, with initial weights, from what `get_config` returned.

        An `inputs_spec` or `hparams` that the constructor of a subclass does not take is what the
        constructor itself chooses.

        Raises:
          UsageError: if the class of the hyperparameters is not defined, or for a wrong value.
          ValueError: if the constructor of the subclass chooses something else than was saved.
        """
        config = dict(config)
        frozen = config.pop("frozen", ())
        saved = {
            "hparams": saving.hparams_from_json(config["hparams"]),
            "inputs_spec": saving.specs_from_json(config["inputs_spec"]),
        }
        parameters = inspect.signature(cls.__init__).parameters
        takes_all = any(x.kind is x.VAR_KEYWORD for x in parameters.values())
        optional = {"name": config["name"], **saved}
        given = {name: x for name, x in optional.items() if takes_all or name in parameters}
        others = {name: x for name, x in config.items() if name not in optional}
        model: Self = super().from_config(others | given, custom_objects)
        for name, value in saved.items():
            if getattr(model, name) != value:
                raise ValueError(
                    f"{cls.__name__} was saved with {name} = {value}, but its constructor, which "
                    f"does not take {name}, chooses {getattr(model, name)}"
                )
        for index, layer in enumerate(all_layers(model)):
            if layer.trainable == (index in frozen):
                set_trainable(layer, index not in frozen)
        return model

    def save(self, filepath: str | Path, *args: Any, **kwargs: Any) -> None:
        """Saves the model, its optimizer and its step, as `keras.Model.save` does.

        Raises:
          ValueError: for the old format of Keras, HDF5, which cannot hold such a model.
        """
        if str(filepath).endswith((".h5", ".hdf5")):
            raise ValueError(
                f"cannot save {filepath}: sequence models are saved only in the format .keras, or "
                "their weights alone by save_weights, in .weights.h5"
            )
        super().save(filepath, *args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles and copies as Keras does, with weights, optimizer and step.

        The class need not be registered, because pickle finds classes by name.
        """
        return saving.revive, (type(self), *super().__reduce__())

    def _create_parts(self) -> None:
        """Creates all layers and their weights."""
        self.encoder = self.make_encoder()
        parts.check_encoder(self.encoder)
        if self.hparams.gaps:
            self.encoder = MaskedEncoder(self.encoder)
        self.decoder = self.make_decoder()
        parts.check_decoder(self.decoder)
        self.encoded_size = parts.encoded_size(self.encoder, self.neutral_observations)
        self.context = self.make_context()
        self.core = vae.make(self.hparams, self.encoder, self.decoder)
        self._call_once()

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

    def prepare(
        self,
        observed: Nest,
        inputs: Nest | None = None,
        lengths: Tensor | Sequence[int] | None = None,
        observed_mask: Nest | None = None,
    ) -> tuple[Any, Any, tf.Tensor | None]:
        """Converts the arguments of `infer` to tensors, and replaces what is missing.

        With a mask, the observations are `vaeseq.nn.masked.Masked`.

        Raises:
          ValueError: if a structure, a shape or a length is not as expected, or if the decoder
            excludes an observed number (see `DistModule.support`); compiled code does not know the
            numbers yet.
        """
        given = observed
        observed, inputs = self.as_sequences(observed, inputs)
        convert.assert_equal_sizes(observed, inputs)
        if lengths is not None:
            first = tf.nest.flatten(observed)[0]
            lengths = convert.as_lengths(lengths, *tf.unstack(tf.shape(first)[:2]))
        if observed_mask is not None:
            observed = self._masked(observed, observed_mask)
        # The numbers as they were given: the conversion makes 1 of 1.5.
        check_observed(self.decoder.support, given, lengths, observed_mask)
        if lengths is None:
            return observed, inputs, None
        nothing = tf.nest.map_structure(lambda x: tf.zeros([1, *x.shape[2:]], x.dtype), inputs)
        return (
            replace_padding(observed, lengths, self._nothing_like(observed)),
            replace_padding(inputs, lengths, nothing),
            lengths,
        )

    def _masked(self, observed: Any, observed_mask: Nest) -> Masked:
        """Returns observations with gaps."""
        if not self.hparams.gaps:
            raise ValueError(
                "observed_mask needs a model whose encoders know of gaps: HParams(gaps=True)"
            )
        mask = convert.as_mask(observed_mask, observed, self.decoder.has_independent_elements)
        return Masked.fill(observed, mask, self.neutral_observations)

    def _nothing_like(self, observed: Any) -> Any:
        """Returns one step of prepared observations of which nothing is observed."""
        neutral = self.neutral_observations
        if not isinstance(observed, Masked):
            return neutral
        return Masked(neutral, tf.nest.map_structure(lambda x: tf.zeros_like(x, tf.bool), neutral))

    def condition(
        self, observed: Nest, inputs: Nest, lengths: tf.Tensor | None, context_state: Any
    ) -> Conditions:
        """Computes what the inference of prepared sequences is conditioned on."""
        contexts, states = self.context.from_observations(observed, inputs, context_state)
        return Conditions(observed, contexts, states, self.core.encode(contexts, observed, lengths))

    def infer_prepared(
        self,
        observed: Nest,
        inputs: Nest,
        lengths: tf.Tensor | None,
        state: State | None,
        seed: Seed,
        num_samples: Size | None = None,
    ) -> tuple[Inference, State]:
        """Infers the latents of sequences from `prepare`; see `infer`.

        With `num_samples`, the latents of each row are sampled so many times. The results then have
        B * num_samples rows, and those of a row follow each other.
        """
        state = state or self.initial_state(tf.shape(tf.nest.flatten(observed)[0])[0])
        given = self.condition(observed, inputs, lengths, state.context)
        if num_samples is not None:  # what depends on the observations alone is computed once
            given, state, lengths = repeat_rows((given, state, lengths), num_samples)
        rows, time = tf.unstack(tf.shape(tf.nest.flatten(given.observed)[0])[:2])
        inference = self.core.infer(
            given.contexts,
            given.observed,
            state.core,
            self.noise(rows, time, seed),
            lengths,
            given.evidence,
        )
        return inference, last(State(given.context_states, inference.states), lengths)

    def initial_state(self, batch_size: Size) -> State:
        """Returns the state before the first step."""
        return State(self.context.initial_state(batch_size), self.core.initial_state(batch_size))

    def noise(
        self,
        batch_size: Size,
        steps: Size,
        seed: Seed,
        temperature: tf.Tensor | float | None = None,
    ) -> tf.Tensor:
        """Returns the noise of the latents [B, T, Z]: standard normal, or Gumbel if categorical.

        With a temperature, the latents come from p^(1 / temperature).
        """

        def sample(shape: Any) -> tf.Tensor:
            return self.core.latent_kind.noise(shape, stateless_seed(seed), temperature)

        size = self.core.latent_size
        noise = replicas.own_rows(sample, [batch_size, steps, size])
        return tf.ensure_shape(noise, [None, None, size])

    @property
    def neutral_observations(self) -> Any:
        """The decoder's neutral event as an observation of one row: a nest of [1, *event_shape]."""
        return tf.nest.map_structure(lambda x: x[None], self.decoder.neutral_event)

    def as_sequences(self, observed: Nest, inputs: Nest | None = None) -> tuple[Any, Any]:
        """Converts observations and inputs to tensors of the expected dtypes.

        Raises:
          ValueError: if a structure or a shape is not the expected one.
        """
        return (
            convert.as_sequences("observed", observed, self._event_spec),
            convert.as_sequences("inputs", inputs, self.inputs_spec),
        )

    def check_sequences(self, observed: Nest, inputs: Nest | None) -> None:
        """Raises `ValueError` if the structure, a shape or a dtype is not the expected one.

        Args:
          observed, inputs: arrays, tensors, or their specs; see `infer`.
        """
        convert.check_sequences("observed", observed, self._event_spec)
        convert.check_sequences("inputs", () if inputs is None else inputs, self.inputs_spec)

    @property
    def _event_spec(self) -> Specs:
        return tf.nest.map_structure(
            tf.TensorSpec, self.decoder.event_shape, self.decoder.event_dtype
        )

    def summary(self, *args: Any, **kwargs: Any) -> None:
        """Prints the parts of the model; the arguments are those of `keras.Model.summary`.

        Each parameter counts once, in the first part that has it: the context and the core share
        the encoder. The shapes are those of features, of the decoder's params, of c_t and of z_t,
        or, in a core without latents, of its state; `expand_nested` also shows the layers inside.
        """
        observed, inputs = self._one_step()
        prepared = self.prepare(observed, inputs)
        contexts = self.condition(*prepared, self.initial_state(1).context).contexts
        inference, _ = self.infer_prepared(*prepared, None, 0)
        steps, states = inference.steps, tf.nest.flatten(inference.states)
        latents = steps.latents if self.core.latent_size else states[:1]
        shapes = {"encoder": [(None, self.encoded_size)]} | {
            name: [(None, None, *x.shape[2:]) for x in tf.nest.flatten(outputs)]
            for name, outputs in (
                ("decoder", steps.obs_params),
                ("context", contexts),
                ("core", latents),
            )
        }
        summary.of(self, shapes).summary(*args, **kwargs)

    def _call_once(self) -> None:
        """Calls every layer on one time step, which creates its weights."""
        observed, inputs = self._one_step()
        self.infer_prepared(*self.prepare(observed, inputs), None, 0)
        first = tf.nest.map_structure(lambda x: x[:, 0], inputs)
        self.context(first, self.context.initial_state(1))

    def _one_step(self) -> tuple[Any, Any]:
        """Returns observations and inputs of one row of one step, nests of [1, 1, ...]."""

        def zeros(spec: tf.TensorSpec) -> tf.Tensor:
            return tf.zeros([1, 1, *spec.shape], spec.dtype)

        observed = tf.nest.map_structure(lambda x: x[:, None], self.neutral_observations)
        return observed, tf.nest.map_structure(zeros, self.inputs_spec)
