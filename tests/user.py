"""A program of a user who checks types strictly; see test_typing.py. It is not run."""

import numpy as np
import numpy.typing as npt

import vaeseq
from vaeseq import codec, context, metrics


class Series(vaeseq.ModelBase):
    def make_encoder(self) -> codec.MLPObsEncoder:
        return codec.MLPObsEncoder(self.hparams)

    def make_decoder(self) -> vaeseq.DistModule:
        return codec.MLPObsDecoder(self.hparams, codec.NormalDecoder([3]))

    def make_context(self) -> vaeseq.Context:
        return context.Accumulate(self.encoder, self.encoded_size, history_size=2)


def score(observed: npt.NDArray[np.float32], steps: int) -> float:
    hparams = vaeseq.HParams(vae_type="SRNN", latent_size=8)
    model = Series(hparams)
    model.compile()
    model.fit(observed[:, :-steps], epochs=hparams.latent_size, verbose=0)
    samples = model.forecast(observed[:, :-steps], steps=steps, num_samples=20)
    smoothing: vaeseq.Smoothing = model.smooth(observed)
    scores = metrics.crps(samples, observed[:, -steps:])
    return float(scores.mean() + smoothing.bound.sum())
