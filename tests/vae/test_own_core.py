"""The laws of the core contract hold for the core of the page "Cores" as well."""

# ruff: noqa: F401  (the laws are collected here, with the fixtures of this file)
from pathlib import Path

import pytest
import tensorflow as tf

import vaeseq
from tests.conftest import SMALL
from tests.test_documents import python_of
from tests.vae.test_bounds import test_shared_steps_equal_the_steps
from tests.vae.test_cores import (
    given,
    infer,
    rnn_cell,
    test_a_filtering_posterior_and_no_other_ignores_later_observations,
    test_every_variable_has_a_finite_gradient_that_is_not_zero,
    test_padding_has_no_effect,
    test_sequences_of_a_batch_are_independent,
    test_unroll_equals_the_scanned_step,
    test_unroll_replays_what_generate_sampled,
    vae_type,
    waves,
)

PAGE = Path(__file__).parents[2] / "docs/cores.md"


@pytest.fixture(scope="module", autouse=True)
def registered():
    """Runs the code of the page from the definition of the core to its registration."""
    code = python_of(PAGE)
    begin, end = code.index("from vaeseq.context import"), code.index("causes = Walks(")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(vaeseq.VAE_TYPES, "CAUSES", None)
        exec(code[begin:end], {"vaeseq": vaeseq, "tf": tf, "__name__": "page"})
        yield


@pytest.fixture
def small():
    return SMALL.replace(vae_type="CAUSES")
