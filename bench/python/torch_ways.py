"""Attention after one edit by PyTorch, on the CPU, in float32.

- `sdpa`: the changed row is written, and `scaled_dot_product_attention` computes all rows again.
- `retroactive`: the step of the package continual-inference, which takes the oldest key out of all rows and the
  newest in. It replaces the oldest query, too, whose row it computes whole: that is how the package knows attention,
  and one row of many. Like the formulas it subtracts no largest score.
"""

import math

import numpy as np
import torch
from continual.multihead_attention.retroactive_mha import _scaled_dot_product_attention_step

from problem import DIM

LIBRARY = f"PyTorch {torch.__version__.split('+')[0]}"


def set_threads(threads):
    torch.set_num_threads(threads)


class Sdpa:
    def __init__(self, problem):
        self.problem = problem
        # The rows of NumPy and of PyTorch are the same memory.
        self.query, self.key, self.value = (
            torch.from_numpy(rows)[None, None] for rows in (problem.query, problem.key, problem.value)
        )

    @torch.inference_mode()
    def answer(self, slot, key, value):
        self.problem.key[slot], self.problem.value[slot] = key, value
        return torch.nn.functional.scaled_dot_product_attention(self.query, self.key, self.value)[0, 0].numpy()


class Retroactive:
    def __init__(self, problem):
        self.problem = problem
        # The first edit is of slot 1, which is the oldest here.
        key, value = (torch.from_numpy(np.roll(rows, -1, axis=0)) for rows in (problem.key, problem.value))
        query = torch.from_numpy(problem.query)
        scaled = query / math.sqrt(DIM)
        weights = torch.exp(scaled @ key.T)
        self.state = tuple(part[None] for part in (
            weights.sum(1, keepdim=True)[1:], (weights @ value)[1:], scaled[1:], key.T.contiguous(), value,
        ))

    @torch.inference_mode()
    def answer(self, slot, key, value):
        problem = self.problem
        query = problem.replace_oldest_query()
        problem.key[slot], problem.value[slot] = key, value
        rows, self.state = _scaled_dot_product_attention_step(
            self.state, *(torch.from_numpy(np.atleast_2d(row)) for row in (query, key, value)),
        )
        return rows[0].numpy()


WAYS = {"sdpa": Sdpa, "retroactive": Retroactive}
