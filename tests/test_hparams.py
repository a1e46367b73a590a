import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaeseq import HParams, UsageError
from vaeseq.examples.text.hparams import TextHParams

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


def test_hparams_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        HParams().seed = 1
