"""The problem that all ways from Python answer, and the clock that they are measured by."""

import time

import numpy as np

DIM = 64
WARM_UP_SECONDS, LEAST_RUNS = 0.4, 5


class Problem:
    """Standing queries, keys and values, of normal numbers."""

    def __init__(self, queries, keys):
        self.random = np.random.default_rng(1)
        self.query, self.key, self.value = (self.rows(count) for count in (queries, keys, keys))
        self.newer_queries = []
        self.slot = 0

    def rows(self, count):
        return self.random.standard_normal((count, DIM), dtype=np.float32)

    def edit(self):
        """A slot, and the rows that come into it."""
        self.slot = (self.slot + 1) % len(self.key)
        key, value = self.rows(2)
        return self.slot, key, value

    def replace_oldest_query(self):
        """A row that takes the place of the oldest query, and comes last."""
        row = self.rows(1)
        self.newer_queries.append(row)
        return row

    def error(self, rows):
        """The largest distance from float64 attention over the largest value."""
        query = np.concatenate([self.query, *self.newer_queries])[-len(self.query):]
        scores = query.astype(np.float64) @ self.key.astype(np.float64).T / np.sqrt(DIM)
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        exact = weights @ self.value / weights.sum(axis=1, keepdims=True)
        return float(np.abs(rows - exact).max() / np.abs(self.value).max())


def measure(way, problem, seconds):
    """Milliseconds of each run, and the rows of the last; a warm-up before them is left out."""
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
