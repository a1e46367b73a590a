"""Measures an update of SeqGAN's discriminator: that of vaeseq 0.1 against the present one.

    python -m benchmarks.speed.discriminator_step

The published sizes, with 5000 symbols: SeqVAE's discriminator of sequences of 8 steps, and SeqGAN's
of 20. An update learns from 32 observed sequences and 32 generated ones. In 0.1 these are sampled
for each update. Now they can be kept for several epochs, and filters can see whole windows alone,
as in SeqGAN. Then the parts of an update.
"""

import argparse
import os
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from benchmarks.seqvae.model import TokenHParams, Tokens
from benchmarks.speed.plain_cnn import PlainCNN
from benchmarks.timing import medians, print_table
from vaeseq.adversarial import rollouts

_VOCABULARY, _ROWS = 5000, 32
_SIZES = {
    8: "discriminator_widths=[1,2,3,4,6,8],discriminator_filters=[100,200,100,200,200,100]",
    20: "discriminator_filters=[100,200,200,200,200,100,100,100,100,100,160,160]",
}
_HPARAMS = TokenHParams(embed_size=64, batch_size=_ROWS).parse(
    "policy_gradient=seqgan,policy_baseline=none,discriminator=cnn"
)


class Step:
    """Updates of a discriminator, and their parts.

    Args:
      time: steps of the sequences.
      former: whether discriminator and optimizer are those of 0.1.
      changes: hyperparameters to change.
    """

    def __init__(self, time: int, former: bool = False, changes: str = ""):
        keras.utils.set_random_seed(0)
        hparams = _HPARAMS.parse(_SIZES[time]).parse(changes)
        self.model = Tokens(hparams, _VOCABULARY)
        self.model.compile()
        self.adversary = self.model.adversary
        observed = np.random.default_rng(0).integers(_VOCABULARY, size=[_ROWS, time])
        self.batch = rollouts.batch_of(self.model, observed.astype(np.int32))
        if former:
            self.adversary.discriminator = PlainCNN(hparams, self.model.make_encoder())
            self.adversary.discriminator(observed)
            self.adversary.optimizer = keras.optimizers.Adam(hparams.discriminator_learning_rate)
        self.discriminator = self.adversary.discriminator
        self.variables = self.discriminator.trainable_variables
        self.adversary.optimizer.build(self.variables)
        self.generated = self.sample()
        self.gradients = [tf.ones(x.shape) for x in self.variables]

    def sample(self) -> tf.Tensor:
        """Returns generated sequences."""
        return rollouts.sample(self.model, self.batch, [1, 2]).observed

    def on_fresh(self) -> None:
        """Makes an update on fresh samples."""
        self.adversary.update_discriminator(self.batch, self.sample())

    def on_kept(self) -> None:
        """Makes an update on samples that were generated before."""
        self.adversary.update_discriminator(self.batch, self.generated)

    def gradient(self) -> list[tf.Tensor]:
        """Returns the gradient of the loss."""
        with tf.GradientTape() as tape:
            loss = self.adversary.discriminator_loss(self.batch, self.generated)
        return [tf.convert_to_tensor(x) for x in tape.gradient(loss, self.variables)]

    def apply(self) -> None:
        """Applies a gradient."""
        self.adversary.optimizer.apply(self.gradients, self.variables)


def compiled(function: Callable[[], object]) -> Callable[[], object]:
    """Returns a compiled function that is waited for."""
    graph = tf.function(function, autograph=False)
    return lambda: tf.nest.map_structure(lambda x: x if x is None else x.numpy(), graph())


def measure(time: int, rounds: int) -> None:
    """Prints the tables for one length of sequences."""
    former, now = Step(time, former=True), Step(time)
    whole = Step(time, changes="discriminator_whole_windows=true")
    contenders = {
        "0.1: fresh samples": former.on_fresh,
        "now: fresh samples": now.on_fresh,
        "now: kept samples": now.on_kept,
        "now: kept samples, whole windows": whole.on_kept,
        "part: sampling": now.sample,
        "part: gradient, 0.1": former.gradient,
        "part: gradient": now.gradient,
        "part: gradient, whole windows": whole.gradient,
        "part: Adam, 0.1": former.apply,
        "part: Adam": now.apply,
    }
    seconds = medians({name: compiled(call) for name, call in contenders.items()}, rounds)
    first = next(iter(seconds.values()))
    rows = [[name, f"{1e3 * s:.1f}", f"{first / s:.2f}"] for name, s in seconds.items()]
    print_table([f"{time} steps", "ms", "0.1's update / this"], rows)


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=25, help="timed calls of each contender")
    args = parser.parse_args()
    for time in _SIZES:
        measure(time, args.rounds)


if __name__ == "__main__":
    main()
