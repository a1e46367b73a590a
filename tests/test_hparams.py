import copy
import dataclasses
import inspect
import json
import pickle
import pydoc
from typing import Optional

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaeseq import HParams, UsageError, hparam
from vaeseq.examples.midi.hparams import MidiHParams
from vaeseq.examples.play.hparams import PlayHParams
from vaeseq.examples.text.hparams import TextHParams
from vaeseq.hparams.field import hyperparameters

sizes = st.lists(st.integers(1, 2000), max_size=4).map(tuple)
positive = st.floats(1e-12, 1e6)
changes = st.fixed_dictionaries(
    {},
    optional={
        "vae_type": st.sampled_from(["RNN", "ISEQ", "SRNN", "my core"]),
        "rnn_hidden_sizes": sizes,
        "learning_rate": positive,
        "divergence_strength_half": positive,
        "use_monte_carlo_kl": st.booleans(),
        "seed": st.integers(0, 2**31 - 1),
        "activation": st.sampled_from(["relu", "tanh"]),
    },
)


@settings(deadline=None)
@given(changes)
def test_hparams_can_be_stored_as_json(changes):
    """As run.json stores them."""
    hparams = TextHParams(**changes)
    written = json.dumps(dataclasses.asdict(hparams))
    assert TextHParams().replace(**json.loads(written)) == hparams


@settings(deadline=None)
@given(changes)
def test_parse_inverts_formatting_as_name_equals_value(changes):
    text = ", ".join(
        f"{name} = {list(value) if isinstance(value, tuple) else value!s}"
        for name, value in changes.items()
    )
    assert HParams().parse(text) == HParams(**changes)


def test_parse_accepts_the_format_of_vae_seq():
    hparams = HParams().parse("latent_size=8,rnn_hidden_sizes=[512,512],use_monte_carlo_kl=True")
    assert hparams.rnn_hidden_sizes == (512, 512)
    assert hparams.latent_size == 8 and hparams.use_monte_carlo_kl
    assert HParams().parse("") == HParams()
    assert HParams().parse("rnn_hidden_sizes=7,vae_type='RNN'").rnn_hidden_sizes == (7,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("latent_sise=8", "did you mean 'latent_size'"),
        ("latent_size=8.5", "latent_size must be int"),
        ("latent_size=big", "latent_size must be int"),
        ("latent_size=true", "latent_size must be int"),
        ("latent_size=0", "out of range: at least 1"),
        ("rnn_hidden_sizes=[64,0]", "out of range"),
        ("learning_rate=0", "out of range: above 0"),
        ("learning_rate=1e999", "out of range"),
        ("learning_rate=NaN", "out of range"),
        ("activation=reluu", "did you mean 'relu'"),
        ("use_monte_carlo_kl=1", "must be bool"),
        ("latent_size", "not of the form name=value"),
        ("latent_size=1,latent_size=2", "given twice"),
        ("seed=-1", "out of range"),
    ],
)
def test_parse_names_the_mistake(text, message):
    with pytest.raises(UsageError, match=message):
        HParams().parse(text)


def test_a_subclass_overrides_a_default_and_keeps_its_limits():
    @dataclasses.dataclass(frozen=True)
    class Mine(HParams):
        dropout: float = 0.15
        taste: str = "any"  # a field without limits

    assert Mine().dropout == 0.15 and HParams().dropout == 0.0
    assert Mine(taste="none").taste == "none"
    with pytest.raises(UsageError, match=r"dropout = 1\.5 is out of range: at least 0, at"):
        Mine(dropout=1.5)
    with pytest.raises(UsageError, match="taste must be str"):
        Mine().replace(taste=1)


def test_a_preset_sets_several_values_and_others_override_it():
    paper = HParams().parse("preset=paper,latent_size=8")
    assert paper.vae_type == "SEQVAE" and not paper.seqvae_use_z_inputs
    assert (paper.rnn_hidden_sizes, paper.latent_size) == ((32,), 8)
    seqgan = HParams().parse("preset=seqgan")
    assert seqgan.vae_type == "RNN"
    assert (seqgan.policy_gradient, seqgan.discriminator) == ("seqgan", "cnn")
    with pytest.raises(UsageError, match="did you mean 'paper'"):
        HParams().parse("preset=papr")


def test_a_subclass_that_is_no_dataclass_is_refused():
    class Mine(HParams):
        dropout: float = 0.15

    with pytest.raises(TypeError, match=r"Mine must be a dataclass.*dataclass\(frozen=True\)"):
        Mine()


def test_a_default_without_a_type_is_refused():
    with pytest.raises(TypeError, match=r"Mine\.latent_size needs a type, or it is ignored"):

        class Mine(HParams):
            latent_size = 32


def test_hparams_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        HParams().seed = 1


@dataclasses.dataclass(frozen=True)
class Own(HParams):
    """A subclass as a user writes it."""

    latent_size: int = 8
    horizon: float | None = hparam(None, "How far to look.", above=0)
    taste: str = "any"


@pytest.mark.parametrize("make", [HParams, HParams().replace, lambda **x: Own().replace(**x)])
def test_numbers_of_numpy_become_those_of_python(make):
    hparams = make(
        latent_size=np.int64(3),
        dropout=np.float32(0.5),
        use_monte_carlo_kl=np.bool_(True),
        rnn_hidden_sizes=np.array([4, 5]),
        obs_encoder_fc_layers=[np.int32(6)],
        learning_rate=np.array(0.25),
        vae_type=np.str_("RNN"),
    )
    assert json.loads(json.dumps(dataclasses.asdict(hparams)))["rnn_hidden_sizes"] == [4, 5]
    values = hparams.latent_size, hparams.dropout, hparams.use_monte_carlo_kl, hparams.learning_rate
    assert values == (3, 0.5, True, 0.25) and [*map(type, values)] == [int, float, bool, float]
    assert type(hparams.vae_type) is str and type(hparams.obs_encoder_fc_layers[0]) is int


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"latent_size": np.int64(0)},
            "latent_size = 0 is out of range: at least 1, at most 10485",
        ),
        ({"latent_size": np.float64(3)}, r"latent_size must be int, not 3\.0"),
        ({"dropout": np.array([0.5])}, r"dropout must be float, not \[0\.5\]"),
        ({"rnn_hidden_sizes": np.ones([2, 2], int)}, r"must be tuple of int, not \[1, 1\]"),
    ],
)
def test_numbers_of_numpy_are_held_to_the_limits(changes, message):
    with pytest.raises(UsageError, match=message):
        HParams(**changes)


@pytest.mark.parametrize("cls", [HParams, Own, TextHParams])
def test_the_constructor_hints_at_the_name_that_was_meant(cls):
    with pytest.raises(UsageError, match="unknown name 'latnet_size'; did you mean 'latent_size'"):
        cls(latnet_size=3)


def test_a_constructor_of_ones_own_has_arguments_of_its_own():
    @dataclasses.dataclass(frozen=True, init=False)
    class Wide(HParams):
        def __init__(self, width):
            super().__init__(rnn_hidden_sizes=(width,))

    assert Wide(width=7).rnn_hidden_sizes == (7,)


def test_the_signature_names_the_fields_and_copies_are_equal():
    assert "latent_size" in inspect.signature(HParams).parameters
    assert "taste" in inspect.signature(Own).parameters
    for hparams in (HParams(latent_size=3), Own(horizon=2.0)):
        assert copy.deepcopy(hparams) == hparams == pickle.loads(pickle.dumps(hparams))


@pytest.mark.parametrize("kind", [float | None, Optional[float]])  # noqa: UP045
def test_a_field_may_be_a_number_or_none(kind):
    cls = dataclasses.make_dataclass("Maybe", [("x", kind, 0.5)], bases=(HParams,), frozen=True)
    assert [cls(x=x).x for x in (None, 1, np.float64(2))] == [None, 1.0, 2.0]
    assert [cls().parse(f"x={x}").x for x in ("none", "None", "null", "3")] == [None] * 3 + [3.0]
    with pytest.raises(UsageError, match="x must be float or None, not 'big'"):
        cls().parse("x=big")
    with pytest.raises(UsageError, match="horizon = 0"):
        Own(horizon=0)
    with pytest.raises(UsageError, match="dropout must be float, not None"):
        cls(dropout=None)


def test_a_field_of_a_type_that_cannot_be_checked_is_refused():
    with pytest.raises(TypeError, match=r"cannot have the type <class 'dict'>; it must be int"):
        dataclasses.make_dataclass("Odd", [("x", dict, None)], bases=(HParams,), frozen=True)()


@pytest.mark.parametrize("cls", [HParams, TextHParams, MidiHParams, PlayHParams])
def test_every_field_is_documented(cls):
    text = pydoc.render_doc(cls, renderer=pydoc.plaintext)
    for field in hyperparameters(cls).values():
        assert field.doc.endswith("."), field.name
        assert f"{field.name}=" in text and field.doc.split()[-1] in text, field.name


def test_help_of_a_subclass_has_its_own_fields_and_its_own_defaults():
    text = pydoc.render_doc(Own, renderer=pydoc.plaintext)
    assert "A subclass as a user writes it." in text and "latent_size=8  (int, at least 1" in text
    assert "horizon=None  (float or None, above 0)" in text and "How far to look." in text
    assert "Own\n" in text and "taste=any  (str)" in text
