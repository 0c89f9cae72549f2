"""How does this code end under N bytes, and how did its memory grow?"""

from daskclass.limits.running import Run, run
from daskclass.limits.ways import WAYS, best_way

__all__ = ["WAYS", "Run", "best_way", "run"]
