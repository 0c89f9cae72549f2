"""The parts of a Dask class that are not the lesson: data, clusters, claims, exercises, checks.

None of them is imported here, so that ``daskclass --help`` answers at once; import the module you need.
"""

import sys

from daskclass import _moved

if _moved.Finder not in sys.meta_path:
    sys.meta_path.append(_moved.Finder)
