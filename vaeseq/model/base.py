"""ModelBase: a sequence model that Keras trains."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import keras
import tensorflow as tf

from vaeseq.adversarial.adversary import Adversary
from vaeseq.hparams import HParams
from vaeseq.model.latent_space import LatentSpaceModel
from vaeseq.model.replicated import Metrics, ReplicatedMean, ReplicatedModel
from vaeseq.model.wiring import State
from vaeseq.nn import finite, replicas
from vaeseq.nn.convert import stateless_seed, unpack_batch
from vaeseq.nn.types import Nest, Seed, Specs, Tensor
from vaeseq.training.private_api import seed_states
from vaeseq.vae import objectives
from vaeseq.vae.core import Inference

Aux = TypeVar("Aux")


class ModelBase(LatentSpaceModel, ReplicatedModel):
    """A sequence model with the recurrent core that `hparams.vae_type` names.

    You write `make_encoder` and `make_decoder`, and `make_context` if x_t depends on more than
    the previous observation. You get a Keras model (`fit`, `evaluate`, callbacks) with
    `log_prob`, `generate` and `infer`, and, if one z describes the whole sequence, `encode`,
    `decode` and `interpolate`. The constructor creates the weights.

    A batch is a nest of observed sequences [B, T, *event_shape], or a dict with the keys
    `observed` and, optionally, `inputs`, a nest of [B, T, ...]; `lengths`, int [B], the number of
    steps in each row; and `state`, the `State` before the first step.

    Args:
      hparams: the hyperparameters; a subclass may have its own.
      inputs_spec: nest of `tf.TensorSpec` of the inputs of one step, such as
        `tf.TensorSpec([4])`; () if there are none.
      name: the name of the Keras model.

    Raises:
      UsageError: if `hparams.vae_type` is unknown.
      RuntimeError: if the backend of Keras is not TensorFlow.
    """

    adversary: Adversary | None = None  # computes the policy gradient; `compile` creates it

    def __init__(
        self, hparams: HParams | None = None, inputs_spec: Specs = (), name: str | None = None
    ):
        super().__init__(hparams, inputs_spec, name)
        self._means = {name: ReplicatedMean(name) for name in ("loss", "elbo", "log_prob", "kl")}

    def compile(
        self,
        optimizer: keras.optimizers.Optimizer | str | None = None,
        jit_compile: bool = False,
        **kwargs: Any,
    ) -> None:
        """Compiles as Keras does, without a loss; see `make_optimizer` for the default optimizer.

        XLA is off by default: on CPU it is no faster than the fused recurrence, and it disables
        `hparams.check_numerics`, because XLA removes assertions.
        """
        super().compile(
            optimizer or make_optimizer(self.hparams), jit_compile=jit_compile, **kwargs
        )
        if self.hparams.policy_gradient != "none":
            with self.distribute_strategy.scope():
                self.adversary = Adversary(self)

    @property
    def trained_steps(self) -> int:
        """The number of training steps so far."""
        return int(self.optimizer.iterations.numpy())

    @property
    def training_state(self) -> dict[str, list[tf.Variable | keras.Variable]]:
        """The variables that a checkpoint keeps beside the weights, in named groups."""
        means = [x for metric in self.metrics for x in metric.variables]
        state = {"optimizer": self.optimizer.variables, "metrics": means}
        return state | ({"adversary": self.adversary.variables} if self.adversary else {})

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """Means per time step in nats, and the metrics of the policy gradient, if any.

        loss (with the weighted KL), elbo, log_prob and kl.
        """
        return [*self._means.values(), *(self.adversary.metrics if self.adversary else ())]

    def call(
        self,
        observed: Nest,
        inputs: Nest | None = None,
        lengths: Tensor | Sequence[int] | None = None,
        *,
        state: State | None = None,
        seed: Seed = 0,
    ) -> Inference:
        """Returns the inference of observed sequences; see `infer`.

        Through this call, Keras passes `training` to layers such as dropout.
        """
        return self.infer(observed, inputs, lengths, state=state, seed=seed)[0]

    def train_step(self, data: Nest) -> Metrics:
        """Makes one update; its randomness is a function of (seed, step).

        Raises:
          Stopped: in `fit`, before the update, if the loss or a gradient is not finite.
        """
        self.update(data, _no_objective)
        metrics: Metrics = self.get_metrics_result()
        return metrics

    def update(self, data: Nest, objective: Callable[[], tuple[tf.Tensor, Aux]]) -> Aux:
        """Makes one update, and updates the metrics.

        Args:
          data: the batch.
          objective: returns a term that is added to the loss (the weighted KL minus log p(x | z)),
            and something else that it has computed.

        Returns:
          The second value of `objective`.
        """
        step = self.optimizer.iterations
        seed = tf.random.experimental.stateless_fold_in(stateless_seed(self.hparams.seed), step)
        _set_seed_states(self, seed)
        strength = objectives.divergence_strength(self.hparams, step)
        variables = self.trainable_variables
        with tf.GradientTape() as tape:
            log_prob, kl, num_steps = self._terms(data, seed, training=True)
            added, aux = objective()
            loss = strength * kl - log_prob + added
        log_prob, kl, *gradients = replicas.total([log_prob, kl, *tape.gradient(loss, variables)])
        checks = []
        if self.hparams.check_numerics and not self.jit_compile:
            suspects = {"observed": data, "log_prob": log_prob, "kl": kl}
            checks = [finite.assert_finite(log_prob + kl, suspects, variables, gradients, step + 1)]
        with tf.control_dependencies(checks):
            self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
            self._update_means(strength, log_prob, kl, num_steps)
        return aux

    def test_step(self, data: Nest) -> Metrics:
        """Returns the metrics of one batch, in which the KL has full weight."""
        log_prob, kl, num_steps = self._terms(
            data, stateless_seed(self.hparams.seed), training=False
        )
        log_prob, kl = replicas.total([log_prob, kl])
        self._update_means(1.0, log_prob, kl, num_steps)
        metrics: Metrics = self.get_metrics_result()
        return metrics

    def make_train_function(self, force: bool = False) -> None:
        """Sets `train_function`, which raises `Stopped` if a loss or gradient is not finite."""
        if self.train_function is None or force:
            if self.adversary is None:
                super().make_train_function(force)
            else:
                self.train_function = self.adversary.train_function()
            self.train_function = finite.raise_stopped_if_not_finite(self.train_function)

    def _terms(
        self, data: Nest, seed: tf.Tensor, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns this replica's share of log_prob and kl per time step of the global batch.

        Also returns the number of time steps in that batch. The shares of all replicas add up to
        the means of the batch.
        """
        observed, inputs, lengths, state = unpack_batch(data)
        inference = self(observed, inputs, lengths, state=state, seed=seed, training=training)
        shape = tf.shape(inference.log_prob)
        own_steps = shape[0] * shape[1] if lengths is None else tf.reduce_sum(lengths)
        (num_steps,) = replicas.total([tf.cast(own_steps, tf.float32)])
        log_prob = tf.reduce_sum(inference.log_prob) / num_steps
        return log_prob, tf.reduce_sum(inference.kl) / num_steps, num_steps

    def _update_means(
        self, strength: tf.Tensor | float, log_prob: tf.Tensor, kl: tf.Tensor, num_steps: tf.Tensor
    ) -> None:
        values = (strength * kl - log_prob, log_prob - kl, log_prob, kl)
        for mean, value in zip(self._means.values(), values, strict=True):
            mean.update_state(value, num_steps)


def _set_seed_states(model: keras.Model, seed: tf.Tensor) -> None:
    """Makes the random generators of all layers a function of a seed."""
    for index, state in enumerate(seed_states(model)):
        folded = tf.random.experimental.stateless_fold_in(seed, index)
        state.assign(tf.cast(folded, state.dtype))


def _no_objective() -> tuple[float, None]:
    return 0.0, None


def make_optimizer(hparams: HParams) -> keras.optimizers.Optimizer:
    """Returns Adam (Kingma and Ba 2014, arXiv:1412.6980) with clipped gradients.

    The learning rate is a function of the step and the hyperparameters alone: it follows a cosine
    (Loshchilov and Hutter 2016, arXiv:1608.03983) from `learning_rate` at step 0 to
    `learning_rate_end` times that at step `learning_rate_decay_steps`, and is constant afterwards.
    """
    rate = hparams.learning_rate
    if hparams.learning_rate_decay_steps:
        rate = keras.optimizers.schedules.CosineDecay(
            rate, hparams.learning_rate_decay_steps, hparams.learning_rate_end
        )
    return keras.optimizers.Adam(
        rate, beta_2=hparams.adam_beta_2, global_clipnorm=hparams.clip_gradient_norm or None
    )


def best_metric(hparams: HParams) -> str:
    """Returns the metric that selects the best weights of a generative model; see `Report`.

    It is the validation loss. With a policy gradient, which does not maximize the likelihood, it
    is the step: the weights of the last report.
    """
    return "valid_loss" if hparams.policy_gradient == "none" else "-step"
