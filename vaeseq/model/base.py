"""ModelBase: a Keras model of sequences."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from vaeseq import vae
from vaeseq.adversarial.policy_gradient import Adversary
from vaeseq.context import Context, EncodeObserved
from vaeseq.hparams import HParams
from vaeseq.model.latent_space import LatentSpace
from vaeseq.nn import convert, finite, replicas
from vaeseq.nn.convert import stateless_seed, unpack_batch
from vaeseq.nn.dist_module import DistModule
from vaeseq.nn.sequences import last
from vaeseq.vae import objectives
from vaeseq.vae.core import Inference


class State(NamedTuple):
    """What a model remembers of a sequence: the states of its context and of its core."""

    context: Any
    core: Any


class ModelBase(LatentSpace, keras.Model):
    """A model of sequences with the recurrent core that `hparams.vae_type` names.

    You write `make_encoder` and `make_decoder`, and `make_context` if the model conditions on more
    than the observation before; you get a Keras model: `fit`, `evaluate`, callbacks. The weights
    are made by the constructor.

    A batch is the observed sequences, a nest of [B, T, *event_shape], or a dict with `observed`
    and optionally `inputs`, a nest of [B, T, ...], `lengths`, int [B], for rows that end early,
    and `state`, for rows that go on from somewhere.

    Args:
      hparams: the hyperparameters; a subclass may have its own.
      inputs_spec: nest of `tf.TensorSpec` of the inputs of one step, such as
        `tf.TensorSpec([4])`; () where there are none.

    Raises:
      UsageError: where `hparams.vae_type` is unknown.
    """

    def __init__(
        self, hparams: HParams | None = None, inputs_spec: Any = (), name: str | None = None
    ):
        if keras.backend.backend() != "tensorflow":
            raise RuntimeError(
                f"vaeseq needs Keras on TensorFlow, but its backend is {keras.backend.backend()}; "
                "set KERAS_BACKEND=tensorflow before Python starts"
            )
        super().__init__(name=name)
        self.hparams = hparams or HParams()
        self.inputs_spec = inputs_spec
        self.encoder = self.make_encoder()
        self.decoder = self.make_decoder()
        self.encoded_size = self.encoder(self.zero_observations).shape[-1]
        self.context = self.make_context()
        self.core = vae.make(self.hparams, self.encoder, self.decoder)
        self._means = {name: _Mean(name) for name in ("loss", "elbo", "log_prob", "kl")}
        self._make_weights()
        self.built = True

    # What a subclass writes.

    def make_encoder(self) -> keras.layers.Layer:
        """Returns a layer from observations [N, *event_shape] to features [N, E]."""
        raise NotImplementedError(f"{type(self).__name__} must define make_encoder")

    def make_decoder(self) -> DistModule:
        """Returns the observation distribution, given features."""
        raise NotImplementedError(f"{type(self).__name__} must define make_decoder")

    def make_context(self) -> Context:
        """Returns what p(x_t | ...) conditions on; by default x_{t-1} encoded, and the inputs."""
        return EncodeObserved(
            self.encoder, self.encoded_size, word_dropout=self.hparams.word_dropout
        )

    # What a user calls.

    def compile(self, optimizer: Any = None, jit_compile: bool = False, **kwargs: Any) -> None:
        """As in Keras, without a loss; by default with the optimizer of the hyperparameters.

        XLA is off: on CPU it gains nothing over the fused recurrence, and with it
        `hparams.check_numerics` does nothing: compiled code has no assertions.
        """
        with self.distribute_strategy.scope():
            super().compile(
                optimizer=optimizer or make_optimizer(self.hparams),
                jit_compile=jit_compile,
                **kwargs,
            )
            if not self.optimizer.built:
                self.optimizer.build(self.trainable_variables)
            if self.hparams.policy_gradient != "none":
                self.adversary = Adversary(self)
        if self._replicated:  # train_step has summed the gradients already, before they are clipped
            self.optimizer._all_reduce_sum_gradients = lambda gradients: gradients

    def infer(
        self,
        observed: Any,
        inputs: Any = None,
        lengths: Any = None,
        *,
        state: State | None = None,
        seed: Any = 0,
    ) -> tuple[Inference, State]:
        """Infers the latents of observed sequences.

        Args:
          observed: nest of [B, T, *event_shape].
          inputs: nest of [B, T, ...], as `inputs_spec` says; None where there are none.
          lengths: int [B], where rows end early.
          state: where an earlier call ended; None starts anew.
          seed: int, or stateless int32 [2], of the latents' noise.

        Returns:
          The inference, and the state at the end of each row: give it to `infer` to go on reading
          or to `generate` to go on writing.
        """
        observed, inputs = self.as_sequences(observed, inputs)
        batch, time = tf.unstack(tf.shape(tf.nest.flatten(observed)[0])[:2])
        state = state or self.initial_state(batch)
        contexts, context_states = self.context.from_observations(observed, inputs, state.context)
        noise = self.noise(batch, time, seed)
        lengths = None if lengths is None else tf.cast(lengths, tf.int32)
        inference = self.core.infer(contexts, observed, state.core, noise, lengths)
        return inference, last(State(context_states, inference.states), lengths)

    def initial_state(self, batch_size: Any) -> State:
        """The state before the first step."""
        return State(self.context.initial_state(batch_size), self.core.initial_state(batch_size))

    def log_prob(
        self,
        observed: Any,
        inputs: Any = None,
        lengths: Any = None,
        *,
        num_samples: int | None = None,
        seed: int = 0,
    ) -> tf.Tensor:
        """Log-likelihood of each sequence in nats, [B].

        Exact for a core without latents; otherwise the importance-weighted bound with
        `num_samples` (`hparams.log_prob_samples`) samples, in expectation never above it.
        """
        samples = num_samples or self.hparams.log_prob_samples
        if self.core.latent_size == 0:
            samples = 1
        return self._log_prob(observed, inputs, lengths, tf.range(samples), stateless_seed(seed))

    def generate(
        self,
        batch_size: int = 1,
        sequence_size: int | None = None,
        inputs: Any = None,
        prefix: Any = None,
        temperature: float = 1.0,
        seed: int = 0,
        *,
        state: State | None = None,
    ) -> Any:
        """Draws sequences.

        Args:
          batch_size: how many.
          sequence_size: their length; by default that of `inputs`, or `hparams.sequence_size`.
          inputs: nest of [B, sequence_size, ...], as `inputs_spec` says.
          prefix: observed sequences to go on from, [B, T, ...] or [1, T, ...]; not part of the
            result. Models with inputs go on from a `state` of `infer` instead.
          temperature: draw latents and observations from p^(1 / temperature).
          seed: the same seed draws the same sequences.
          state: a state from `infer` to go on from.

        Returns:
          Observations, nest of [B, sequence_size, *event_shape].

        Raises:
          ValueError: for a size below 1 or a temperature not above 0.
        """
        if sequence_size is None:
            given = () if inputs is None else tf.nest.flatten(inputs)
            sequence_size = given[0].shape[1] if given else self.hparams.sequence_size
        if batch_size < 1 or sequence_size < 1:
            raise ValueError(f"cannot generate {batch_size} sequences of {sequence_size} steps")
        if not 0 < temperature < math.inf:
            raise ValueError(f"the temperature must be above 0, not {temperature}")
        if prefix is not None:
            state = self._end_state(prefix, stateless_seed(seed))
        if state is None:
            state = self.initial_state(batch_size)
        return self.extend(state, batch_size, sequence_size, inputs, temperature, seed)[0]

    def extend(
        self,
        state: State,
        batch_size: int,
        sequence_size: int,
        inputs: Any = None,
        temperature: float = 1.0,
        seed: Any = 0,
        *,
        latents: Any = None,
    ) -> tuple[Any, State]:
        """Draws sequences from a state on, of `batch_size` rows or of one for all of them.

        With `latents`, [B, sequence_size, Z], only the observations are drawn.

        Returns:
          Observations, nest of [B, sequence_size, *event_shape], and the state after them: what is
          too long to be drawn at once can be drawn piece by piece.
        """
        state = tf.nest.map_structure(
            lambda x: tf.broadcast_to(x, [batch_size, *x.shape[1:]]), state
        )
        temperature_ = None if temperature == 1 else tf.constant(temperature, tf.float32)
        inputs = convert.as_sequences("inputs", inputs, self.inputs_spec)
        return self._extend(
            inputs, state, tf.constant(sequence_size), temperature_, stateless_seed(seed), latents
        )

    # Training and evaluation by Keras.

    train_function: Any
    test_function: Any
    adversary: Adversary | None = None  # what gives the policy gradient; made by `compile`

    @property
    def trained_steps(self) -> int:
        """How many updates the optimizer has made."""
        return int(self.optimizer.iterations.numpy())

    @property
    def training_state(self) -> dict[str, list[Any]]:
        """The variables that must survive beside the weights, in named groups."""
        means = [x for metric in self.metrics for x in metric.variables]
        state = {"optimizer": self.optimizer.variables, "metrics": means}
        return state | ({"adversary": self.adversary.variables} if self.adversary else {})

    def train_step(
        self, data: Any, objective: Callable[[], tf.Tensor] | None = None
    ) -> dict[str, tf.Tensor]:
        """One update; everything random in it is a function of (seed, step).

        Args:
          data: the batch.
          objective: what is minimised beside the negative ELBO; None is nothing.

        Raises:
          Stopped: in `fit`, before the update, where the loss or a gradient is not finite.
        """
        step = self.optimizer.iterations
        seed = tf.random.experimental.stateless_fold_in(stateless_seed(self.hparams.seed), step)
        for index, state in enumerate(self._seed_states):
            state.assign(
                tf.cast(tf.random.experimental.stateless_fold_in(seed, index), state.dtype)
            )
        strength = objectives.divergence_strength(self.hparams, step)
        variables = self.trainable_variables
        with tf.GradientTape() as tape:
            log_prob, kl, num_steps = self._means_of(data, seed, training=True)
            loss = strength * kl - log_prob
            if objective is not None:
                loss += objective()
        log_prob, kl, *gradients = replicas.total([log_prob, kl, *tape.gradient(loss, variables)])
        suspects = {"observed": data, "log_prob": log_prob, "kl": kl}
        checks = []
        if self.hparams.check_numerics and not self.jit_compile:
            checks = [finite.checked(log_prob + kl, suspects, variables, gradients, step + 1)]
        with tf.control_dependencies(checks):
            self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
            return self._update_means(strength, log_prob, kl, num_steps)

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """The metrics of one batch, with the KL at full weight."""
        log_prob, kl, num_steps = self._means_of(
            data, stateless_seed(self.hparams.seed), training=False
        )
        log_prob, kl = replicas.total([log_prob, kl])
        return self._update_means(1.0, log_prob, kl, num_steps)

    def make_train_function(self, force: bool = False) -> None:
        """As in Keras, with one line for what stops a training; see `_replicate`."""
        if self.train_function is None or force:
            if self._replicated:
                self.train_function = self._replicate(self.train_step)
            elif self.adversary is not None:
                self.train_function = self.adversary.train_function()
            else:
                super().make_train_function(force)
            self.train_function = finite.raise_stopped_if_not_finite(self.train_function)

    def make_test_function(self, force: bool = False) -> None:
        """As in Keras; see `_replicate`."""
        if not self._replicated:
            super().make_test_function(force)
        elif self.test_function is None or force:
            self.test_function = self._replicate(self.test_step)

    def _maybe_symbolic_build(self, *_: Any, **__: Any) -> None:
        """Nothing: the constructor makes the weights. Keras's fails for several workers."""

    @property
    def _replicated(self) -> bool:
        return self.distribute_strategy.num_replicas_in_sync > 1

    def _replicate(self, step: Callable[[Any], Any]) -> Any:
        """A step on the next batch of a distributed iterator, run by all replicas together.

        Its results are those of any replica: all are the same. Keras 3.15 averages them over an
        axis that they do not have.
        """
        strategy = self.distribute_strategy

        def function(iterator: Any) -> Any:
            results = strategy.run(step, args=(next(iterator),))
            return tf.nest.map_structure(
                lambda result: strategy.experimental_local_results(result)[0], results
            )

        return tf.function(function, reduce_retracing=True, autograph=False)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """Means per time step in nats: loss (with the weighted KL), elbo, log_prob, kl.

        Also those of the policy gradient, if any.
        """
        return [*self._means.values(), *(self.adversary.metrics if self.adversary else ())]

    def call(
        self,
        observed: Any,
        inputs: Any = None,
        lengths: Any = None,
        *,
        state: State | None = None,
        seed: Any = 0,
    ) -> Inference:
        """The inference of observed sequences.

        As a call of the model, so that layers which behave differently in training, such as
        dropout and batch normalization, know of it.
        """
        return self.infer(observed, inputs, lengths, state=state, seed=seed)[0]

    def _means_of(self, data: Any, seed: Any, training: bool) -> tuple[Any, Any, tf.Tensor]:
        """Log-probability and KL of this replica's rows per time step of the global batch.

        Their sum over the replicas is that of the batch. Also the number of time steps in it.
        """
        observed, inputs, lengths, state = unpack_batch(data)
        inference = self(observed, inputs, lengths, state=state, seed=seed, training=training)
        shape = tf.shape(inference.log_prob)
        own = tf.cast(
            shape[0] * shape[1] if lengths is None else tf.reduce_sum(lengths), tf.float32
        )
        (num_steps,) = replicas.total([own])
        log_prob = tf.reduce_sum(inference.log_prob) / num_steps
        return log_prob, tf.reduce_sum(inference.kl) / num_steps, num_steps

    def _update_means(self, strength: Any, log_prob: Any, kl: Any, num_steps: Any) -> Any:
        values = (strength * kl - log_prob, log_prob - kl, log_prob, kl)
        for mean, value in zip(self._means.values(), values, strict=True):
            mean.update_state(value, num_steps)
        return self.get_metrics_result()

    # The compiled parts. `tf.config.run_functions_eagerly(True)` switches compilation off.

    @functools.cached_property
    def _log_prob(self) -> Any:
        def log_prob(observed: Any, inputs: Any, lengths: Any, samples: Any, seed: Any) -> Any:
            def log_weight(sample: Any) -> tf.Tensor:
                folded = tf.random.experimental.stateless_fold_in(seed, sample)
                inference, _ = self.infer(observed, inputs, lengths, seed=folded)
                return objectives.log_weight(inference)

            log_weights = tf.map_fn(log_weight, samples, fn_output_signature=tf.float32)
            return objectives.importance_weighted_bound(log_weights)

        return tf.function(log_prob, reduce_retracing=True, autograph=False)

    @functools.cached_property
    def _extend(self) -> Any:
        def extend(
            inputs: Any, state: State, steps: Any, temperature: Any, seed: Any, latents: Any
        ) -> Any:
            batch = tf.shape(tf.nest.flatten(state)[0])[0]
            noise_seed, seed = tf.unstack(tf.random.experimental.stateless_split(seed))
            noise = self.noise(batch, steps, noise_seed)
            observed, after = self.core.generate(
                self.context, inputs, state, noise, seed, temperature, latents
            )
            return observed, State(*after)

        return tf.function(extend, reduce_retracing=True, autograph=False)

    @functools.cached_property
    def _end_state(self) -> Any:
        def end_state(prefix: Any, seed: Any) -> State:
            return self.infer(prefix, seed=seed)[1]

        return tf.function(end_state, reduce_retracing=True, autograph=False)

    def noise(self, batch: Any, time: Any, seed: Any) -> tf.Tensor:
        """Standard normal [B, T, Z]."""
        size = self.core.latent_size
        noise = replicas.own_rows(
            lambda shape: tf.random.stateless_normal(shape, stateless_seed(seed)),
            [batch, time, size],
        )
        return tf.ensure_shape(noise, [None, None, size])

    @property
    def _seed_states(self) -> list[Any]:
        """The states of the random generators of Keras layers, such as dropout."""
        weights = {id(weight) for weight in self.weights}
        metrics = {id(weight) for metric in self.metrics for weight in metric.variables}
        return [x for x in self.variables if id(x) not in weights | metrics]

    def _make_weights(self) -> None:
        """Calls everything once, on zeros."""
        observed = tf.nest.map_structure(lambda x: x[:, None], self.zero_observations)
        inputs = tf.nest.map_structure(
            lambda spec: tf.zeros([1, 1, *spec.shape], spec.dtype), self.inputs_spec
        )
        self.infer(observed, inputs)
        first = tf.nest.map_structure(lambda x: x[:, 0], inputs)
        self.context(first, self.context.initial_state(1))

    @property
    def zero_observations(self) -> Any:
        """Zeros [1, *event_shape]."""
        return tf.nest.map_structure(
            lambda dtype, shape: tf.zeros([1, *shape], dtype),
            self.decoder.event_dtype,
            self.decoder.event_shape,
        )

    def as_sequences(self, observed: Any, inputs: Any = None) -> tuple[Any, Any]:
        """Both as tensors of the right dtype and shape, or ValueError."""
        event = tf.nest.map_structure(
            tf.TensorSpec, self.decoder.event_shape, self.decoder.event_dtype
        )
        return (
            convert.as_sequences("observed", observed, event),
            convert.as_sequences("inputs", inputs, self.inputs_spec),
        )


class _Mean(keras.metrics.Mean):
    """A mean of values on which all replicas agree: each keeps its own, and they are the same."""

    def add_variable(
        self,
        shape: Any,
        initializer: Any,
        dtype: Any = None,
        aggregation: str = "only_first_replica",
        name: str | None = None,
    ) -> Any:
        """As in Keras, which would sum over the replicas."""
        return super().add_variable(shape, initializer, dtype, "only_first_replica", name)


def make_optimizer(hparams: HParams) -> keras.optimizers.Optimizer:
    """Adam (Kingma and Ba 2014, arXiv:1412.6980) with clipped gradients.

    The learning rate is a function of the step and the hyperparameters alone: along a cosine
    (Loshchilov and Hutter 2016, arXiv:1608.03983) it falls until `learning_rate_decay_steps`,
    and stays there at `learning_rate_end` of what it was.
    """
    rate: Any = hparams.learning_rate
    if hparams.learning_rate_decay_steps:
        rate = keras.optimizers.schedules.CosineDecay(
            rate, hparams.learning_rate_decay_steps, hparams.learning_rate_end
        )
    return keras.optimizers.Adam(
        rate, beta_2=hparams.adam_beta_2, global_clipnorm=hparams.clip_gradient_norm or None
    )
