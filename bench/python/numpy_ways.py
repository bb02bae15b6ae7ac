"""Attention after one edit by NumPy, in the two ways that a program without Attune has. All arrays are float32, made once.

- `scratch`: the changed row is written, and all rows are computed again, softmax(Q Kᵀ / √d) V.
- `continual`: the update of continual attention (Hedegaard, Bakhtiarnia, Iosifidis: "Continual Transformers",
  2023), written from its formulas for queries that stand. For a key k that takes the place of k', with values v
  and v',
      mass  ← mass  − exp(Q k'ᵀ / √d)    + exp(Q kᵀ / √d)
      sums  ← sums  − exp(Q k'ᵀ / √d) v' + exp(Q kᵀ / √d) v
      rows  = sums / mass
  It subtracts no largest score before exp, so that scores beyond 88 overflow, and its rounding errors pile up.
"""

import numpy as np

from problem import DIM

LIBRARY = f"NumPy {np.__version__}"


def set_threads(_threads):
    """NumPy reads the number of threads from the environment, once."""


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


WAYS = {"scratch": Scratch, "continual": Continual}
