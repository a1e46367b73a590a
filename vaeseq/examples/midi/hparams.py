"""Hyperparameters of the music example."""

import dataclasses

from vaeseq.errors import UsageError
from vaeseq.hparams import HParams, hparam

MOST_FRAMES = 1000  # a second, or a beat


@dataclasses.dataclass(frozen=True)
class MidiHParams(HParams):
    """Defaults chosen on validation chorales, by likelihood and by how stable samples are."""

    vae_type: str = "RNN"
    latent_size: int = 32
    latent_decoder_fc_layers: tuple[int, ...] = (128,)
    rnn_hidden_sizes: tuple[int, ...] = (256,)
    obs_encoder_fc_layers: tuple[int, ...] = (128,)
    obs_decoder_fc_hidden_layers: tuple[int, ...] = ()
    dropout: float = 0.3
    learning_rate: float = 4e-3
    learning_rate_decay_steps: int = 1500
    divergence_strength_start: float = 0.01
    divergence_strength_half: float = 500.0
    batch_size: int = 16
    sequence_size: int = 128

    # Time: frames a second, unless the run counts them by the beat.
    rate: float = hparam(8.0, above=0, high=MOST_FRAMES)
    # What a key can do in a frame: 0 levels, sound or not; 1, be struck or held, too; more, be
    # struck with one of so many velocities.
    velocity_levels: int = hparam(1, low=0, high=127)
    # How p(x_t | ...) is written: every key by itself, a Beta for each and a count (2018), or one
    # symbol for the highest voice.
    decoder: str = hparam("keys", choices=("keys", "beta_count", "melody"))
    # How many frames the context holds; above 1 they go through these layers together.
    history_size: int = hparam(1, low=1, high=1 << 12)
    history_encoder_fc_layers: tuple[int, ...] = hparam((128,), low=1, high=1 << 20)
    # Training pieces are moved by up to so many semitones, at random.
    transpose: int = hparam(5, low=0, high=64)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.decoder == "beta_count" and self.velocity_levels:
            raise UsageError(
                "hparams: decoder=beta_count knows only whether a key sounds; add velocity_levels=0"
            )
        if self.decoder == "melody" and self.velocity_levels != 1:
            raise UsageError("hparams: decoder=melody needs velocity_levels=1")


# Melodies, four bars of 4/4 at once. The KL weighs little: a z that says more is what makes
# interpolation worth hearing (Roberts et al. 2018, arXiv:1803.05428), at the price of likelihood.
MELODY = MidiHParams(
    decoder="melody",
    vae_type="SEQVAE",
    latent_size=32,
    latent_decoder_fc_layers=(),
    rnn_hidden_sizes=(128,),
    obs_encoder_fc_layers=(),
    dropout=0.2,
    word_dropout=0.3,
    divergence_strength_end=0.2,
    divergence_strength_half=200.0,
    learning_rate=3e-3,
    batch_size=32,
    sequence_size=64,
)
