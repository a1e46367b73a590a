"""Sample quality and variety: BLEU against real sequences, and self-BLEU within the samples.

BLEU is high if samples consist of n-grams of real sequences; self-BLEU is high if the samples are
alike (Zhu et al. 2018, arXiv:1802.01886). A model is better than another if its BLEU is higher at
the same self-BLEU (Caccia et al. 2020, arXiv:1811.02549).
"""

from collections.abc import Sequence

import numpy as np

_HYPOTHESES, _REFERENCES = 200, 500


def bleu(generated: Sequence[list[int]], real: Sequence[list[int]]) -> dict[str, float]:
    """Returns BLEU and self-BLEU of n-grams up to 4, from 0 to 1.

    Uses the first 200 generated sequences and the first 500 real ones.
    """
    references, own = list(real[:_REFERENCES]), list(generated[:_HYPOTHESES])
    others = [own[:i] + own[i + 1 :] for i in range(len(own))]
    return {
        "BLEU": float(np.mean([_bleu(references, x) for x in own])),
        "self-BLEU": float(np.mean([_bleu(*x) for x in zip(others, own, strict=True)])),
    }


def _bleu(references: list[list[int]], sequence: list[int]) -> float:
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu  # extra `benchmarks`

    smooth = SmoothingFunction().method1
    return sentence_bleu(references, sequence, smoothing_function=smooth) if sequence else 0.0
