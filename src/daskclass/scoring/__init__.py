"""Which orders will come back? Train a model, and score every order on disk with it, once and only once.

The model is trained, saved and loaded in `daskclass.scoring.model`; one file of orders becomes one part of scores in
`daskclass.scoring.parts`, which also says what is finished already. Who does which part when is the lab's question.
"""

from daskclass.scoring.model import (
    FEATURES,
    TARGET,
    DoesNotFit,
    Model,
    ModelProblem,
    best_possible,
    check,
    load,
    quality,
    sample,
    save,
    train,
)
from daskclass.scoring.parts import (
    MANIFEST_NAME,
    CannotScore,
    Part,
    finished,
    read_manifest,
    score_file,
    write_manifest,
)

__all__ = [
    "FEATURES",
    "MANIFEST_NAME",
    "TARGET",
    "CannotScore",
    "DoesNotFit",
    "Model",
    "ModelProblem",
    "Part",
    "best_possible",
    "check",
    "finished",
    "load",
    "quality",
    "read_manifest",
    "sample",
    "save",
    "score_file",
    "train",
    "write_manifest",
]
