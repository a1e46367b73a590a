"""vaeseq-text: a character-level language model."""
