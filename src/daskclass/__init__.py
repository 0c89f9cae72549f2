"""The parts of a Dask class that are not the lesson: data, clusters, claims, exercises, checks.

Nothing is imported here, so that ``daskclass --help`` answers at once; import the module you need.
"""
