import numpy as np
import pytest
import tensorflow as tf

from vaeseq.nn.convert import Batch, as_lengths, as_sequences, stateless_seed, unpack_batch

X, U = np.zeros([4, 6, 2]), np.zeros([4, 6, 1])
SPEC, EVENT, WEIGHT = tf.TensorSpec([2]), tf.TensorShape([2]), np.ones([4])


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (X, Batch(X)),
        ((X,), Batch(X)),
        ((X, None, None), Batch(X)),
        ((X, None, WEIGHT), Batch(X, sample_weight=WEIGHT)),
        ({"observed": X, "inputs": U}, Batch(X, U)),
        (({"observed": X, "lengths": [6] * 4},), Batch(X, lengths=[6] * 4)),
        (({"observed": X}, None, WEIGHT), Batch(X, sample_weight=WEIGHT)),
    ],
)
def test_a_batch_is_unpacked(data, expected):
    tf.nest.map_structure(np.testing.assert_array_equal, unpack_batch(data, EVENT), expected)


@pytest.mark.parametrize("data", [(X, U), ((X, U),), ((X, U), None, WEIGHT), {"observed": (X, U)}])
def test_observations_may_be_tuples(data):
    batch = unpack_batch(data, (EVENT, EVENT))
    tf.nest.map_structure(np.testing.assert_array_equal, batch.observed, (X, U))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"observed": X, "length": [6] * 4}, r"observed_mask, not \['length'\]"),
        ((X, U), "a batch has targets"),
        ((X, None, None, None), r"x, \(x,\) or \(x, None, sample_weight\), not a tuple of 4"),
    ],
)
def test_what_is_no_batch_is_an_error(data, message):
    with pytest.raises(ValueError, match=message):
        unpack_batch(data, EVENT)


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([6, 6, 6, 7], "from 1 to 6, the number of steps; not 7"),
        ([6, 0, 6, 6], "not 0"),
        ([6, 6], r"shape \[4\], one for each row, not \(2,\)"),
        (6, r"shape \[4\]"),
        ([2.5, 1, 1, 1], "lengths must be whole numbers, not float32"),
    ],
)
def test_lengths_that_are_impossible_are_errors(lengths, message):
    with pytest.raises(ValueError, match=message):
        as_lengths(lengths, 4, 6)


def test_sequences_are_converted_to_the_dtype_and_shape_of_their_spec():
    pair = as_sequences("observed", (X, U), (SPEC, tf.TensorSpec([1], tf.int32)))
    assert [x.dtype for x in pair] == [tf.float32, tf.int32]
    assert as_sequences("inputs", None, ()) == ()


def test_errors_about_sequences_name_the_expected_and_the_given_shape():
    with pytest.raises(ValueError, match=r"x must have the shape \[B, T, 2\], not \(4, 6, 1\)"):
        as_sequences("x", U, SPEC)
    with pytest.raises(ValueError, match=r"nest like \[B, T, 2\], not \(\[4, 6, 2\], \[4, 6, 1\]"):
        as_sequences("x", (X, U), SPEC)
    with pytest.raises(ValueError, match=r"like \(\[B, T, 2\], \[B, T, 2\]\), not \[4, 6, 2\]"):
        as_sequences("x", X, (SPEC, SPEC))
    with pytest.raises(ValueError, match="x must be numbers, such as float32, not an array of"):
        as_sequences("x", X.astype(str), SPEC)


def test_an_int_becomes_a_stateless_seed_and_a_stateless_seed_stays():
    assert stateless_seed(3).numpy().tolist() == [3, 0]
    assert stateless_seed([3, 4]).numpy().tolist() == [3, 4]
