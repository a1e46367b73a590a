"""What a step of training with a policy gradient does: a function of the step and hyperparameters.

A run trains the ELBO, then the discriminator, then both in turn:

    elbo ... elbo | fresh ... fresh | both both both ...

If samples are kept (`discriminator_samples` above 0), every step of the discriminator learns from a
part of them. A set is sampled and learned from in the first epoch, and kept for the others. After
the second phase, each update of the policy is followed by several sets:

    elbo ... | fresh ... kept ... | policy fresh ... kept ... fresh ... kept ... | policy ...
"""

import tensorflow as tf

from vaeseq.errors import UsageError
from vaeseq.hparams import HParams


def check(hparams: HParams) -> None:
    """Raises `UsageError` if hyperparameters of the schedule exclude each other."""
    if hparams.posterior_steps > hparams.policy_elbo_steps:
        raise UsageError(
            f"hparams: posterior_steps={hparams.posterior_steps} must be at most "
            f"policy_elbo_steps={hparams.policy_elbo_steps}: the posterior is trained apart before "
            "the discriminator is"
        )
    samples, rows = hparams.discriminator_samples, hparams.batch_size
    if samples % rows:
        raise UsageError(
            f"hparams: discriminator_samples={samples} must be a multiple of batch_size={rows}"
        )
    if samples and rows % hparams.discriminator_updates:
        raise UsageError(
            f"hparams: batch_size={rows} cannot be divided among "
            f"discriminator_updates={hparams.discriminator_updates}; make it a multiple"
        )
    if samples and hparams.policy_baseline == "critic":
        raise UsageError(
            "hparams: policy_baseline=critic needs discriminator_samples=0, because a critic "
            "learns from the samples of the policy's update alone"
        )


def kind(hparams: HParams, step: int) -> str:
    """Returns what a step does.

    elbo: an update with the ELBO; fresh: the discriminator learns from fresh samples; kept: from
    kept ones; both: an update of the policy, then fresh; policy: an update of the policy alone.
    """
    judged = step - hparams.policy_elbo_steps
    in_turn = judged - hparams.policy_judge_steps
    if judged < 0:
        return "elbo"
    if in_turn < 0:
        return _judge(hparams, judged)
    if hparams.discriminator_samples == 0:
        return "both"
    index = in_turn % round_steps(hparams)
    return "policy" if index == 0 else _judge(hparams, index - 1)


def _judge(hparams: HParams, index: int) -> str:
    """Returns what the discriminator learns from in one of the steps that train it alone."""
    if hparams.discriminator_samples == 0:
        return "fresh"
    epoch = index // epoch_steps(hparams) % hparams.discriminator_epochs
    return "fresh" if epoch == 0 else "kept"


def slot(hparams: HParams, step: tf.Tensor) -> tf.Tensor:
    """Returns the number of the part of the kept samples in a step of the discriminator."""
    judged = step - hparams.policy_elbo_steps
    in_turn = (judged - hparams.policy_judge_steps) % round_steps(hparams) - 1
    index = tf.where(judged < hparams.policy_judge_steps, judged, in_turn)
    return index % epoch_steps(hparams)


def epoch_steps(hparams: HParams) -> int:
    """Returns the number of steps in which the discriminator sees all kept samples once."""
    return hparams.discriminator_samples // hparams.batch_size


def round_steps(hparams: HParams) -> int:
    """Returns the number of steps from an update of the policy to the next with kept samples."""
    sets = hparams.discriminator_rounds * hparams.discriminator_epochs
    return 1 + sets * epoch_steps(hparams)
