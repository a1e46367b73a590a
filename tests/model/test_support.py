"""A model refuses numbers that its decoder excludes, wherever they come in."""

import numpy as np
import pytest
import tensorflow as tf

import vaeseq
from tests.conftest import SMALL, Bits, Waves
from vaeseq import UsageError, codec
from vaeseq.model.scoring import WindowScorer

WRONG = np.array([[0, 1, 1], [0, 255, 1]])
MESSAGE = r"^observed has 255 at \[1, 1\], but BernoulliDecoder allows whole numbers from 0 to 1$"
COMPILED = MESSAGE.replace(", but", " of a batch, but")


class Counts(vaeseq.ModelBase):
    """Pairs of a share and a count."""

    def make_encoder(self):
        return codec.MLPObsEncoder(self.hparams)

    def make_decoder(self):
        parts = [codec.BetaDecoder(), codec.BinomialDecoder(4)]
        return codec.MLPObsDecoder(self.hparams, codec.JointDecoder(parts))


@pytest.fixture
def model(pooled):
    return pooled(Bits, SMALL.replace(vae_type="SEQVAE", log_prob_samples=1))


def batches(observed, **others):
    return tf.data.Dataset.from_tensors({"observed": observed, **others} if others else observed)


@pytest.mark.parametrize(
    "use",
    [
        lambda model: model.log_prob(WRONG),
        lambda model: model.log_prob(tf.constant(WRONG)),
        lambda model: model.infer(WRONG),
        lambda model: model.encode(WRONG),
        lambda model: model.generate(2, 3, prefix=WRONG),
        lambda model: model.evaluate(WRONG, verbose=0),
        lambda model: model.fit(WRONG, verbose=0),
        lambda model: model.fit({"observed": WRONG, "lengths": np.array([3, 2])}, verbose=0),
        lambda model: model.fit(WRONG[:1], validation_data=WRONG, verbose=0),
        lambda model: WindowScorer(model).score([(WRONG, [3, 3])]),
    ],
)
def test_numbers_are_checked_where_they_are_known(model, use):
    with pytest.raises(UsageError, match=MESSAGE):
        use(model)


@pytest.mark.parametrize("verb", ["fit", "evaluate"])
@pytest.mark.parametrize("dtype", ["int64", "float32", "uint8"])
def test_batches_of_a_dataset_are_checked_in_compiled_code(model, verb, dtype):
    before = model.get_weights()
    with pytest.raises(UsageError, match=COMPILED):
        getattr(model, verb)(batches(WRONG.astype(dtype)), verbose=0)
    np.testing.assert_equal(model.get_weights(), before)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinity_is_named_with_its_place(pooled, value):
    model = pooled(Waves, SMALL.replace(vae_type="RNN"))
    observed = np.zeros([2, 3, 2])
    observed[1, 2, 0] = value
    message = rf"observed has {value} at \[1, 2, 0\], but NormalDecoder allows finite numbers"
    for use in (model.log_prob, model.fit):
        with pytest.raises(UsageError, match=message):
            use(observed)


@pytest.mark.parametrize("dtype", ["str", "object", "datetime64[s]", "complex64"])
def test_what_is_no_number_is_refused(model, dtype):
    values = np.zeros([2, 3]).astype(int).astype(dtype)
    for use in (model.log_prob, model.fit):
        with pytest.raises(ValueError, match="observed must be numbers, such as float32, not an"):
            use(values)
    with pytest.raises(ValueError, match="observed must be numbers"):
        model.fit(batches(np.array([["a", "b"]])), verbose=0)


@pytest.mark.parametrize("observed", [[[0, 1], [1, 1]], [np.zeros(2), np.zeros(3)]])
def test_lists_are_refused(model, observed):
    for use in (model.log_prob, model.fit, lambda x: model.forecast(x, 2)):
        with pytest.raises(ValueError, match="observed must be an array, not a list"):
            use(observed)
    with pytest.raises(ValueError, match="prefix must be an array, not a list"):
        model.generate(prefix=observed)


def test_wrong_shapes_of_a_dataset_are_refused_before_it_is_read(pooled):
    model = pooled(Waves, SMALL.replace(vae_type="RNN"))
    wrong = batches(np.zeros([4, 6, 3]))
    for use in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=r"shape \[B, T, 2\], not \(4, 6, 3\)"):
            use(wrong, verbose=0)


def test_a_mask_by_which_nothing_is_observed_is_not_trained(pooled):
    model = pooled(Bits, SMALL.replace(vae_type="RNN", gaps=True))
    batch = {"observed": np.zeros([2, 3]), "observed_mask": np.zeros([2, 3], bool)}
    with pytest.raises(ValueError, match="observed_mask is False everywhere"):
        model.fit(batch, verbose=0)
    batch["observed_mask"][1, 2] = True
    model.fit(batch, verbose=0)


def test_what_is_behind_the_end_of_a_row_is_not_checked(model):
    batch = {"observed": WRONG, "lengths": np.array([3, 1])}
    assert np.isfinite(model.log_prob(**batch)).all()
    assert np.isfinite(model.evaluate(batch, verbose=0)).all()
    model.fit(batches(**batch), verbose=0)


def test_what_is_missing_is_not_checked(pooled):
    model = pooled(Bits, SMALL.replace(vae_type="RNN", gaps=True))
    batch = {"observed": WRONG * 1.0, "observed_mask": WRONG < 2}
    batch["observed"][WRONG > 2] = np.nan
    assert np.isfinite(model.log_prob(**batch)).all()
    assert np.isfinite(model.evaluate(batch, verbose=0)).all()
    model.fit(batches(**batch), verbose=0)
    batch["observed_mask"] = WRONG >= 0
    with pytest.raises(UsageError, match=r"observed has nan at \[1, 1\]"):
        model.log_prob(**batch)
    with pytest.raises(UsageError, match=r"observed has nan at \[1, 1\] of a batch, but Bern"):
        model.fit(batches(**batch), verbose=0)


def test_without_check_numerics_arrays_are_checked_and_datasets_are_not(pooled):
    model = pooled(Bits, SMALL.replace(vae_type="RNN", check_numerics=False))
    with pytest.raises(UsageError, match=MESSAGE):
        model.fit(WRONG, verbose=0)
    model.fit(batches(WRONG), verbose=0)


def test_each_part_of_a_tuple_is_checked(pooled):
    model = pooled(Counts, SMALL.replace(vae_type="RNN"))
    shares, counts = np.full([2, 3], 0.5), np.array([[0, 4, 1], [2, 3, 0]])
    assert np.isfinite(model.log_prob((shares, counts))).all()
    with pytest.raises(UsageError, match=r"has 5 at \[0, 1\], but BinomialDecoder .* 0 to 4"):
        model.log_prob((shares, counts + (counts == 4)))
    with pytest.raises(UsageError, match=r"has 1.5 at \[0, 0\], but BetaDecoder .* from 0 to 1"):
        model.log_prob((shares * 3, counts))
    with pytest.raises(ValueError, match="observed must be a nest like"):
        model.log_prob(shares)
