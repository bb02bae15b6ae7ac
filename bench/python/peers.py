"""Times one edit and then all rows, in the ways of one library.

Usage: python peers.py numpy_ways|torch_ways THREADS SECONDS QUERIESxKEYS ...

Writes one JSON object a line: way, shape, milliseconds of each run, and the largest distance from float64
attention over the largest value.
"""

import importlib
import json
import os
import sys

module, threads, seconds, *shapes = sys.argv[1:]
for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[name] = threads

# The libraries read the environment when they are imported.
from problem import Problem, measure  # noqa: E402

library = importlib.import_module(module)
library.set_threads(int(threads))
for shape in shapes:
    queries, keys = map(int, shape.split("x"))
    for name, kind in library.WAYS.items():
        problem = Problem(queries, keys)
        times, rows = measure(kind(problem), problem, float(seconds))
        print(json.dumps({
            "way": name,
            "shape": shape,
            "threads": int(threads),
            "times": times,
            "error": problem.error(rows),
            "library": library.LIBRARY,
        }), flush=True)
