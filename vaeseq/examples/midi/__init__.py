"""vaeseq-midi: models of music."""
