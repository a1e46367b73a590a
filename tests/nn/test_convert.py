import numpy as np
import pytest
import tensorflow as tf

from vaeseq.nn.convert import as_sequences, stateless_seed, unpack_batch

X, U = np.zeros([4, 6, 2]), np.zeros([4, 6, 1])
SPEC = tf.TensorSpec([2])


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (X, (X, None, None, None)),
        ((X,), (X, None, None, None)),
        ((X, None, None), (X, None, None, None)),
        ((X, U), ((X, U), None, None, None)),  # observations that are pairs
        ({"observed": X, "inputs": U}, (X, U, None, None)),
        (({"observed": X, "lengths": [6] * 4},), (X, None, [6] * 4, None)),
    ],
)
def test_a_batch_is_unpacked(data, expected):
    unpacked = unpack_batch(data)
    tf.nest.map_structure(np.testing.assert_array_equal, unpacked, expected)


def test_a_batch_with_an_unknown_key_is_an_error():
    with pytest.raises(ValueError, match=r"observed, inputs, lengths, state, not \['length'\]"):
        unpack_batch({"observed": X, "length": [6] * 4})


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


def test_an_int_becomes_a_stateless_seed_and_a_stateless_seed_stays():
    assert stateless_seed(3).numpy().tolist() == [3, 0]
    assert stateless_seed([3, 4]).numpy().tolist() == [3, 4]
