"""Numbers that a decoder excludes are named; what does not count is not."""

import re

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import SMALL
from vaeseq import Support, UsageError, codec
from vaeseq.nn.support import OUT_OF_RANGE, assert_observed, check_observed

WRONG = [
    (
        codec.BernoulliDecoder(),
        [0, 255],
        "255",
        "BernoulliDecoder allows whole numbers from 0 to 1",
    ),
    (
        codec.BernoulliDecoder(),
        [0.5, 1],
        "0.5",
        "BernoulliDecoder allows whole numbers from 0 to 1",
    ),
    (codec.CategoricalDecoder(4), [1.5, 3], "1.5", "CategoricalDecoder allows whole .* 0 to 3"),
    (codec.CategoricalDecoder(4), [3, 4], "4", "CategoricalDecoder allows whole .* 0 to 3"),
    (codec.CategoricalDecoder(4, dtype="uint8"), [0, -1], "-1", "whole numbers from 0 to 3"),
    (codec.CategoricalDecoder(4), [0, np.inf], "inf", "whole numbers from 0 to 3"),
    (codec.BetaDecoder(), [0, 5.0], "5", "BetaDecoder allows numbers from 0 to 1"),
    (codec.BinomialDecoder(10), [11, 0], "11", "BinomialDecoder allows whole numbers from 0 to 10"),
    (codec.MLPObsDecoder(SMALL, codec.BernoulliDecoder()), [0, 2], "2", "BernoulliDecoder allows"),
]


def asserted(support, observed, lengths=None, mask=None):
    """Returns the message of `assert_observed` in compiled code; None if it passes."""
    compiled = tf.function(assert_observed)
    try:
        compiled(support, tf.nest.map_structure(tf.constant, observed), lengths, mask)
    except tf.errors.InvalidArgumentError as error:
        return OUT_OF_RANGE.search(error.message)[0]


@pytest.mark.parametrize(("decoder", "row", "value", "allowed"), WRONG)
def test_the_error_names_the_number_the_decoder_and_what_is_allowed(decoder, row, value, allowed):
    observed = np.array([[0, 0], row])
    column = int(np.argmax(decoder.support.excludes(observed[1])))
    with pytest.raises(UsageError) as raised:
        check_observed(decoder.support, observed)
    at = rf"observed has {value} at \[1, {column}\], but .*{allowed}"
    assert_matches(at, str(raised.value))
    at = rf"observed has {value} at \[1, {column}\] of a batch, but .*{allowed}"
    assert_matches(at, asserted(decoder.support, observed))


def assert_matches(pattern, text):
    assert re.search(pattern, text), text
    assert "\n" not in text and len(text) < 120


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float32", "float64"])
def test_numbers_in_the_support_pass_in_any_dtype(dtype):
    observed = np.array([[0, 1]], dtype)
    for decoder in (codec.BernoulliDecoder(), codec.BetaDecoder(), codec.NormalDecoder()):
        check_observed(decoder.support, observed)
        assert asserted(decoder.support, observed) is None
        assert assert_observed(decoder.support, observed), "without compilation, of NumPy's arrays"


def test_limits_beyond_the_dtype_of_the_data_exclude_nothing():
    observed = np.array([[0, 255]], np.uint8)
    for support in (codec.BinomialDecoder(1000).support, Support("Positive", low=-0.5)):
        check_observed(support, observed)
        assert asserted(support, observed) is None
    assert "has 0 at" in asserted(Support("Positive", low=0.5), observed)


@pytest.mark.parametrize(
    ("decoder", "allowed"),
    [
        (codec.BernoulliDecoder(), "BernoulliDecoder allows whole numbers from 0 to 1"),
        (codec.BetaDecoder(), "BetaDecoder allows numbers from 0 to 1"),
        (codec.NormalDecoder(), "NormalDecoder allows finite numbers"),
    ],
)
def test_nan_is_no_number(decoder, allowed):
    support, observed, lengths = decoder.support, np.array([[0, np.nan, 1]]), np.array([1])
    hint = "; if something is missing, say so by lengths or observed_mask"
    with pytest.raises(UsageError) as raised:
        check_observed(support, observed)
    assert str(raised.value) == f"observed has nan at [0, 1], but {allowed}{hint}"
    place = f"observed has nan at [0, 1] of a batch, but {allowed}"
    assert asserted(support, observed) == f"{place}{hint}"
    check_observed(support, observed, lengths)
    assert asserted(support, observed, lengths) is None


@pytest.mark.parametrize("shape", [(), (2,)])
def test_what_a_mask_says_is_missing_does_not_count(shape):
    support = codec.CategoricalDecoder(4, shape).support
    observed, steps = np.zeros([2, 3, *shape]), np.ones([2, 3], bool)
    observed[0, 2], observed[1, 1], steps[0, 2], steps[1, 1] = np.nan, -1, False, False
    for mask in (steps, np.broadcast_to(steps[(..., *[None] * len(shape))], observed.shape)):
        check_observed(support, observed, None, mask)
        assert asserted(support, observed, None, mask) is None
        pair, supports = (observed, observed), (support, support)
        check_observed(supports, pair, None, mask)
        assert asserted(supports, pair, None, mask) is None
    observed[0, 0] = 7
    with pytest.raises(UsageError, match=r"has 7 at \[0, 0"):
        check_observed(support, observed, None, steps)
    assert "has 7 at" in asserted(support, observed, None, steps)


@pytest.mark.parametrize("shape", [(), (2,)])
def test_what_is_behind_the_end_of_a_row_does_not_count(shape):
    support = codec.CategoricalDecoder(4, shape).support
    observed = np.zeros([2, 3, *shape], np.int32)
    observed[0, 2:], observed[1, 1:] = -1, 9
    lengths = np.array([2, 1])
    check_observed(support, observed, lengths)
    assert asserted(support, observed, lengths) is None
    with pytest.raises(UsageError, match=r"observed has 9 at \[1, 1"):
        check_observed(support, observed, np.array([2, 2]))
    assert "has 9 at" in asserted(support, observed, np.array([2, 2]))


def test_each_part_of_a_tuple_has_its_own_support():
    support = codec.JointDecoder([codec.BetaDecoder([2]), codec.BinomialDecoder(4)]).support
    scores, counts = np.zeros([1, 3, 2]), np.array([[4, 0, 5]])
    with pytest.raises(UsageError, match=r"has 5 at \[0, 2\], but BinomialDecoder allows"):
        check_observed(support, (scores, counts))
    assert "BinomialDecoder" in asserted(support, (scores, counts))
    assert asserted(support, (scores, counts - 1)) == (
        "observed has -1 at [0, 1] of a batch, but BinomialDecoder allows whole numbers from 0 to 4"
    )


def test_tensors_without_values_are_left_to_the_compiled_check():
    @tf.function
    def compiled(x):
        check_observed(Support("Positive", low=0), x)
        return x

    assert compiled(tf.constant([[-1.0]])) == -1
    with pytest.raises(UsageError, match=r"observed has -1 at \[0, 0\], but Positive .* from 0"):
        check_observed(Support("Positive", low=0), tf.constant([[-1.0]]))
