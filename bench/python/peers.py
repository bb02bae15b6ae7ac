"""Attention after one edit by NumPy, in the two ways that a program without Attune has.

Usage: python peers.py THREADS SECONDS QUERIESxKEYS ...

- `scratch`: the changed row is written, and all rows are computed again, softmax(Q Kᵀ / √d) V.
- `continual`: the update of continual attention (Hedegaard, Bakhtiarnia, Iosifidis: "Continual Transformers",
  2023), written from its formulas for queries that stand. For a key k that takes the place of k', with values v
  and v',
      mass  ← mass  − exp(Q k'ᵀ / √d)    + exp(Q kᵀ / √d)
      sums  ← sums  − exp(Q k'ᵀ / √d) v' + exp(Q kᵀ / √d) v
      rows  = sums / mass
  It subtracts no largest score before exp, so that scores beyond 88 overflow, and its rounding errors pile up.

All arrays are float32 and made once. Writes one JSON object a line: way, shape, milliseconds per run, and the
largest distance from float64 attention over the largest value.
"""

import json
import os
import sys
import time

THREADS = sys.argv[1]
for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[name] = THREADS

import numpy as np  # noqa: E402 (it reads the environment when it is imported)

DIM = 64
WARM_UP_SECONDS, LEAST_RUNS = 0.4, 5


class Problem:
    """Standing queries, keys and values, of normal numbers."""

    def __init__(self, queries, keys):
        self.random = np.random.default_rng(1)
        self.query, self.key, self.value = (self.rows(count) for count in (queries, keys, keys))
        self.slot = 0

    def rows(self, count):
        return self.random.standard_normal((count, DIM), dtype=np.float32)

    def edit(self):
        """A slot, and the rows that come into it."""
        self.slot = (self.slot + 1) % len(self.key)
        key, value = self.rows(2)
        return self.slot, key, value

    def error(self, rows):
        scores = self.query.astype(np.float64) @ self.key.astype(np.float64).T / np.sqrt(DIM)
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        exact = weights @ self.value / weights.sum(axis=1, keepdims=True)
        return float(np.abs(rows - exact).max() / np.abs(self.value).max())


class Scratch:
    def __init__(self, problem):
        self.problem = problem
        self.scaled = problem.query / np.float32(np.sqrt(DIM))
        queries, keys = len(problem.query), len(problem.key)
        self.scores = np.empty((queries, keys), np.float32)
        self.largest, self.mass = (np.empty((queries, 1), np.float32) for _ in range(2))
        self.out = np.empty((queries, DIM), np.float32)

    def answer(self, slot, key, value):
        problem, scores = self.problem, self.scores
        problem.key[slot], problem.value[slot] = key, value
        np.dot(self.scaled, problem.key.T, out=scores)
        np.max(scores, axis=1, keepdims=True, out=self.largest)
        np.subtract(scores, self.largest, out=scores)
        np.exp(scores, out=scores)
        np.sum(scores, axis=1, keepdims=True, out=self.mass)
        np.dot(scores, problem.value, out=self.out)
        np.divide(self.out, self.mass, out=self.out)
        return self.out


class Continual:
    def __init__(self, problem):
        self.problem = problem
        self.scaled = problem.query / np.float32(np.sqrt(DIM))
        weights = np.exp(self.scaled @ problem.key.T)
        self.mass, self.sums = weights.sum(axis=1, keepdims=True), weights @ problem.value
        queries = len(problem.query)
        self.weights = np.empty((queries, 2), np.float32)
        self.change, self.out = (np.empty((queries, DIM), np.float32) for _ in range(2))
        self.keys, self.values = (np.empty((2, DIM), np.float32) for _ in range(2))

    def answer(self, slot, key, value):
        problem, weights = self.problem, self.weights
        self.keys[0], self.keys[1] = problem.key[slot], key
        self.values[0], self.values[1] = -problem.value[slot], value
        problem.key[slot], problem.value[slot] = key, value
        np.dot(self.scaled, self.keys.T, out=weights)
        np.exp(weights, out=weights)
        self.mass[:, 0] += weights[:, 1] - weights[:, 0]
        np.dot(weights, self.values, out=self.change)
        np.add(self.sums, self.change, out=self.sums)
        np.divide(self.sums, self.mass, out=self.out)
        return self.out


def measure(way, problem, seconds):
    times = []
    for limit in (min(WARM_UP_SECONDS, seconds), seconds):
        times.clear()
        end = time.perf_counter() + limit
        while time.perf_counter() < end or len(times) < LEAST_RUNS:
            edit = problem.edit()
            start = time.perf_counter()
            rows = way.answer(*edit)
            times.append(1000 * (time.perf_counter() - start))
    return times, rows


for shape in sys.argv[3:]:
    queries, keys = map(int, shape.split("x"))
    for name, kind in (("scratch", Scratch), ("continual", Continual)):
        problem = Problem(queries, keys)
        times, rows = measure(kind(problem), problem, float(sys.argv[2]))
        print(json.dumps({
            "way": name,
            "shape": shape,
            "threads": int(THREADS),
            "times": times,
            "error": problem.error(rows),
            "numpy": np.__version__,
        }), flush=True)
