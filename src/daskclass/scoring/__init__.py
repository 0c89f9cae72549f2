"""Which orders will come back? Trains a model, and scores every order on disk exactly once.

`daskclass.scoring.model` trains, saves and loads the model. `daskclass.scoring.parts` turns a file of orders into a
part with scores, and knows which parts are finished. The lab decides which worker does which part, and when.
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
