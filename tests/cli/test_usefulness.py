"""Samples of no use, and latents that say nothing, are one warning line."""

from types import SimpleNamespace

import numpy as np
import pytest

from vaeseq.cli import usefulness
from vaeseq.vae.latent import Gaussian

TEXT = "Shall I compare thee to a summer's day? Thou art more lovely and more temperate."


@pytest.fixture
def warnings(monkeypatch):
    """The warnings so far."""
    lines = []
    monkeypatch.setattr(
        usefulness.logging, "warning", lambda text, *args: lines.append(text % args)
    )
    return lines


@pytest.mark.parametrize(
    ("sequence", "expected"),
    [
        (TEXT, False),
        (TEXT * 4, False),
        (TEXT + 80 * "a", True),
        (TEXT + 20 * "abcd", True),
        (TEXT + 20 * "abcd" + "!", False),
        ("a" * 63, False),
        (TEXT * 100, True),
        (np.eye(100), False),
        (np.tile(np.eye(4), [20, 1]), True),
    ],
)
def test_a_sequence_repeats_itself_if_its_second_half_is_one_part_four_times(sequence, expected):
    assert usefulness.repeats_itself(sequence) == expected


@pytest.mark.parametrize(
    ("samples", "temperature", "options", "expected"),
    [
        ([TEXT, TEXT[::-1]], 1.0, {}, None),
        ([TEXT], 1.0, {}, None),
        ([TEXT, TEXT], 0.1, {}, "all 2 samples are the same: use a higher --temperature"),
        ([TEXT, TEXT], 1.0, {}, "all 2 samples are the same: train the model longer"),
        ([TEXT, TEXT], 0.5, {"between": True}, "the same: the model does not use z"),
        (["a" * 99, TEXT], 0.1, {}, "the end of #1 repeats itself: use a higher --temperature"),
        (["a" * 99, TEXT], 1.0, {"silent": ["#1"]}, "nothing sounds in #1: train the model longer"),
        ([f"{i}" * 99 for i in range(9)], 1.0, {}, "the end of #1, #2, #3 and 6 more repeats"),
    ],
)
def test_useless_samples_are_one_warning(warnings, samples, temperature, options, expected):
    names = {f"#{index}": sample for index, sample in enumerate(samples, 1)}
    usefulness.warn_of_samples(names, temperature, **options)
    assert len(warnings) == (expected is not None)
    assert expected is None or expected in warnings[0]


def test_posteriors_that_are_hardly_different_are_a_warning(warnings):
    model = SimpleNamespace(encode=lambda x: Gaussian(x[:, 0], np.ones([1, 2], np.float32)))
    ends = np.zeros([1, 2], np.float32), np.full([1, 2], 0.1, np.float32)
    assert usefulness.warn_of_sequence_latents(model, ends)
    assert "z hardly tells the two apart (their posteriors differ by 0.01 nats)" in warnings[0]
    assert not usefulness.warn_of_sequence_latents(model, (ends[0], ends[1] * 20))
    assert len(warnings) == 1


def test_a_low_kl_of_single_steps_is_a_warning(warnings):
    assert not usefulness.warn_of_step_latents({"a.mid": 0.2})
    assert usefulness.warn_of_step_latents({"a.mid": 0.2, "b.mid": 0.01, "c.mid": 0.02})
    assert usefulness.warn_of_sequence_latent({"a.mid": 0.4}, "--like")
    assert not usefulness.warn_of_sequence_latent({"a.mid": 0.6}, "--like")
    line, other = warnings
    assert other.startswith("--like: ") and "about a.mid (0.400 nats), so" in other
    assert "little information about b.mid (0.010 nats per step), c.mid (0.020" in line
