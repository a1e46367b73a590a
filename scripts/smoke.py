"""Trains a small model with an installed vaeseq; fails if the loss does not fall."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import vaeseq
from vaeseq import codec, metrics


class Series(vaeseq.ModelBase):
    """Series of one number."""

    def make_encoder(self):
        """Returns an MLP."""
        return codec.MLPObsEncoder(self.hparams)

    def make_decoder(self):
        """Returns a normal distribution."""
        return codec.MLPObsDecoder(self.hparams, codec.NormalDecoder([1]))


def main():
    """Fits, forecasts and scores."""
    phases = np.random.default_rng(0).uniform(0, 6, size=[64, 1, 1])
    observed = np.sin(phases + np.arange(30)[:, None] / 3)
    model = Series(vaeseq.HParams(vae_type="SRNN", rnn_hidden_sizes=(16,), learning_rate=0.01))
    model.compile()
    losses = model.fit(observed, batch_size=8, epochs=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0], losses
    score = metrics.crps(model.forecast(observed[:4, :20], 10, 20), observed[:4, 20:]).mean()
    print(f"loss {losses[0]:.2f} -> {losses[-1]:.2f}, CRPS of forecasts {score:.2f}")


if __name__ == "__main__":
    main()
