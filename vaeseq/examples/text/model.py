"""A model of text, character by character."""

import keras

from vaeseq import ModelBase, codec
from vaeseq.examples.text.data import Vocabulary
from vaeseq.examples.text.hparams import TextHParams


class TextModel(ModelBase):
    """Observations are the ids of a vocabulary, int32 [B, T]."""

    hparams: TextHParams

    def __init__(self, hparams: TextHParams, vocabulary: Vocabulary):
        self.vocabulary = vocabulary
        super().__init__(hparams, name="text_model")

    def make_encoder(self) -> keras.layers.Layer:
        """An embedding of the character, through an MLP."""
        embed = keras.layers.Embedding(self.vocabulary.size, self.hparams.embed_size)
        return codec.MLPObsEncoder(self.hparams, first=embed)

    def make_decoder(self) -> codec.MLPObsDecoder:
        """A logit for every symbol of the vocabulary."""
        return codec.MLPObsDecoder(self.hparams, codec.CategoricalDecoder(self.vocabulary.size))
