"""Hyperparameters of vaeseq-midi."""

import dataclasses

from vaeseq.errors import UsageError
from vaeseq.hparams import HParams, hparam

RATES = (0.1, 1000.0)  # the lowest and the highest, in frames per second or per beat


@dataclasses.dataclass(frozen=True)
class MidiHParams(HParams):
    """Hyperparameters of `MidiModel`.

    The defaults were chosen on held-out chorales, by likelihood and by the stability of samples.
    """

    vae_type: str = "RNN"
    latent_size: int = 32
    latent_decoder_fc_layers: tuple[int, ...] = (128,)
    rnn_hidden_sizes: tuple[int, ...] = (256,)
    obs_encoder_fc_layers: tuple[int, ...] = (128,)
    obs_decoder_fc_hidden_layers: tuple[int, ...] = ()
    dropout: float = 0.2
    learning_rate: float = 4e-3
    learning_rate_decay_steps: int = 1500
    divergence_schedule: str = "gompertz"
    divergence_strength_start: float = 0.01
    divergence_strength_half: float = 500.0
    batch_size: int = 16
    sequence_size: int = 128

    rate: float = hparam(
        8.0,
        "Frames per second, unless the run counts frames per beat.",
        low=RATES[0],
        high=RATES[1],
        heading="Music",
    )
    velocity_levels: int = hparam(
        1,
        "The number of velocities at which a key can be struck. With 0, a key is on or off in "
        "each frame, so that repeated notes merge.",
        low=0,
        high=127,
    )
    decoder: str = hparam(
        "nade",
        'The distribution of a frame. "nade": each key given those below it; "keys": independent '
        'keys; "beta_count": a Beta distribution for each key and a count of sounding keys '
        '(VAE-Seq, 2018); "melody": one symbol for the highest voice.',
        choices=("nade", "keys", "beta_count", "melody"),
    )
    top_voice: bool = hparam(
        False,
        "With decoder=melody: whether notes that start below one that sounds are left out. "
        "Otherwise the melody jumps to each lower voice that moves while the highest holds a note.",
    )
    nade_hidden: int = hparam(128, "The hidden units of decoder=nade.", low=1, high=1 << 16)
    interval_units: int = hparam(
        32,
        "With decoder=nade: the hidden units of each key that see other keys by their interval, in "
        "the same frame and in earlier ones, so that what is learned in one key holds in all. With "
        "0, there are none, and the model does not look back on its past.",
        low=0,
        high=1 << 12,
    )
    interval_features: int = hparam(
        32, "With interval_units: the features of each key's past.", low=1, high=1 << 12
    )
    past_size: int = hparam(
        128,
        "With interval_units: the number of frames in which the model looks for passages like the "
        "last one.",
        low=1,
        high=1 << 12,
    )
    history_size: int = hparam(1, "The number of frames in the context.", low=1, high=1 << 12)
    history_encoder_fc_layers: tuple[int, ...] = hparam(
        (128,),
        "If `history_size` is above 1: units of the dense layers that encode these frames "
        "together.",
        low=1,
        high=1 << 20,
    )
    transpose: int = hparam(
        5,
        "Training pieces are transposed at random by at most this many semitones.",
        low=0,
        high=64,
    )

    common_key: bool = hparam(
        False,
        "Whether all pieces are transposed to C major or A minor, by the key that fits their notes "
        "best. What a model samples is then in one key, too.",
    )
    window_step: int = hparam(
        1,
        "Training windows begin at multiples of so many frames, counted from the beginning of "
        "their piece.",
        low=1,
        high=1 << 12,
    )

    shortest_window: int = hparam(
        0,
        "With a number above 0, training windows have random lengths from this to "
        "`sequence_size`, in multiples of `window_step`.",
        low=0,
        high=1 << 20,
    )

    @property
    def sees_past(self) -> bool:
        """Whether the decoder sees the past of each key by interval."""
        return self.decoder == "nade" and self.interval_units > 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.decoder == "beta_count" and self.velocity_levels:
            raise UsageError(
                "hparams: decoder=beta_count does not model onsets; add velocity_levels=0"
            )
        if self.decoder == "melody" and self.velocity_levels != 1:
            raise UsageError("hparams: decoder=melody needs velocity_levels=1")


# For melodies of up to 16 bars of 4/4, a segment for each bar. The KL has a low weight, because
# interpolation is interesting only if z is informative (Roberts et al. 2018, arXiv:1803.05428).
# This costs likelihood. Most of the time the decoder sees its last note only by way of z.
MELODY = MidiHParams(
    decoder="melody",
    top_voice=True,
    common_key=True,
    transpose=0,
    vae_type="SEQVAE",
    latent_size=128,
    latent_decoder_fc_layers=(),
    rnn_hidden_sizes=(128,),
    obs_encoder_fc_layers=(),
    seqvae_segment=16,
    seqvae_parts=16,
    dropout=0.1,
    word_dropout=0.7,
    divergence_strength_start=1e-4,
    divergence_strength_end=0.2,
    divergence_strength_half=400.0,
    learning_rate=5e-3,
    learning_rate_decay_steps=3000,
    batch_size=32,
    sequence_size=256,
    window_step=16,
    shortest_window=64,
)
