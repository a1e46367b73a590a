"""What each step of a run with a policy gradient does, counted by hand."""

import collections

import pytest
import tensorflow as tf

from tests.adversarial.words import ADVERSARIAL
from vaeseq import HParams, UsageError
from vaeseq.adversarial import schedule


def test_without_kept_samples_both_are_trained_in_turn():
    hparams = ADVERSARIAL.replace(policy_elbo_steps=2, policy_judge_steps=1)
    kinds = [schedule.kind(hparams, step) for step in range(5)]
    assert kinds == ["elbo", "elbo", "fresh", "both", "both"]


def test_kept_samples_are_seen_in_every_epoch_of_their_set():
    hparams = ADVERSARIAL.replace(
        policy_elbo_steps=1,
        policy_judge_steps=5,
        batch_size=6,
        discriminator_samples=12,
        discriminator_epochs=2,
        discriminator_rounds=2,
    )
    kinds = [schedule.kind(hparams, step) for step in range(16)]
    one_set = ["fresh", "fresh", "kept", "kept"]
    assert kinds == ["elbo", *one_set, "fresh", "policy", *one_set, *one_set, "policy"]
    slots = [int(schedule.slot(hparams, tf.constant(step))) for step in range(1, 15)]
    assert slots == [0, 1, 0, 1, 0, -1 % 2, 0, 1, 0, 1, 0, 1, 0, 1]  # the policy's has no meaning


@pytest.mark.parametrize(
    ("preset", "pretraining", "judging", "batches"),
    [("seqgan_published", 18_720, 23_400, 156), ("seqvae_published", 12_480, 37_440, 312)],
)
def test_the_phases_of_the_published_schedules(preset, pretraining, judging, batches):
    """120 or 40 epochs; 50 or 40 times 3 of the discriminator; then 5 x 3 after each update."""
    hparams = HParams().parse(f"preset={preset}")
    assert hparams.discriminator_samples == batches * hparams.batch_size == 9984
    begin = pretraining + judging
    kinds = [schedule.kind(hparams, step) for step in range(begin + 2 * (1 + 15 * batches))]
    assert set(kinds[:pretraining]) == {"elbo"}
    assert collections.Counter(kinds[pretraining:begin]) == {
        "fresh": judging // 3,
        "kept": 2 * judging // 3,
    }
    for start in (begin, begin + 1 + 15 * batches):
        one_round = kinds[start : start + 1 + 15 * batches]
        assert one_round[0] == "policy"
        assert one_round[1:] == 5 * (["fresh"] * batches + ["kept"] * 2 * batches)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"discriminator_samples": 13}, "discriminator_samples=13 must be a multiple of batch_siz"),
        ({"discriminator_samples": 12, "discriminator_updates": 4}, "divided among .*updates=4"),
        (
            {"discriminator_samples": 12, "policy_baseline": "critic"},
            "critic needs discriminator_samples=0",
        ),
    ],
)
def test_samples_that_cannot_be_kept_are_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        schedule.check(ADVERSARIAL.replace(batch_size=6, **changes))
