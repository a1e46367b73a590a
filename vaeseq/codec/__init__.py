"""Encoders and decoders of observations.

An encoder is any Keras layer from observations [N, *event_shape] to features [N, E]. A decoder is
a `DistModule`: the distribution of one observation, given features. All log-probabilities are in
nats.

The decoders named after a distribution take `event_shape`, the shape of one observation; its
elements are independent given the features. If they depend on each other, `NADEDecoder` models
each given those before it, and `MixtureDecoder` and `GaussianMixtureDecoder` model them by
components. `TFPDecoder` takes any distribution of TensorFlow Probability. `JointDecoder` combines
decoders to one of tuples. `MLPObsDecoder` puts an MLP before a decoder, and `ConvDecoder`
convolutions, so that it takes features of any size.
"""

from vaeseq.codec.convolutions import ConvDecoder, ConvObsEncoder
from vaeseq.codec.elementwise import (
    BernoulliDecoder,
    BetaDecoder,
    BinomialDecoder,
    CategoricalDecoder,
    NormalDecoder,
)
from vaeseq.codec.encoders import EncoderSequence, Flatten, MLPObsEncoder
from vaeseq.codec.joint import JointDecoder
from vaeseq.codec.mixtures import GaussianMixtureDecoder, MixtureDecoder
from vaeseq.codec.nade import NADEDecoder
from vaeseq.codec.tfp import TFPDecoder
from vaeseq.codec.wrapped import MLPObsDecoder

__all__ = [
    "BernoulliDecoder",
    "BetaDecoder",
    "BinomialDecoder",
    "CategoricalDecoder",
    "ConvDecoder",
    "ConvObsEncoder",
    "EncoderSequence",
    "Flatten",
    "GaussianMixtureDecoder",
    "JointDecoder",
    "MLPObsDecoder",
    "MLPObsEncoder",
    "MixtureDecoder",
    "NADEDecoder",
    "NormalDecoder",
    "TFPDecoder",
]
