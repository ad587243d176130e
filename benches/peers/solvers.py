"""The two solves of a sparse-coding layer, on rows: one row is the code of one pixel.

With the dictionary D in R^{m x n}, G = D'D and b = D'x - lambda1 the codes are

    alpha = argmin_{alpha >= 0}  1/2 alpha' G alpha - b' alpha

(Sun, Nasrabadi & Tran, arXiv:1701.08349, eq. 1, with lambda2 = 0). All functions take `[rows, n]`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

# Added to denominators: rows whose residual is exactly 0 keep it instead of becoming 0/0.
TINY = torch.finfo(torch.float32).tiny

Solve = Callable[[Tensor, Tensor], Tensor]
MaskedSolve = Callable[[Tensor, Tensor, Tensor], Tensor]


def momenta(iterations: int) -> list[float]:
    """(s - 1)/s+ of each FISTA iteration, with s+ = (1 + sqrt(1 + 4 s^2))/2 (Beck & Teboulle, 2009)."""
    s, result = 1.0, []
    for _ in range(iterations):
        following = (1.0 + math.sqrt(1.0 + 4.0 * s * s)) / 2.0
        result.append((s - 1.0) / following)
        s = following
    return result


def fista_as_written(b: Tensor, gram: Tensor, largest: Tensor, iterations: int) -> Tensor:
    """FISTA of the whole batch (SCN appendix A), one operation after the other:

    alpha+ = max(0, gamma + (b - Q gamma)/L),  gamma+ = alpha+ + (s - 1)/s+ (alpha+ - alpha)
    """
    codes = torch.zeros_like(b)
    extrapolated = codes
    for momentum in momenta(iterations):
        following = torch.relu(extrapolated + (b - extrapolated @ gram) / largest)
        extrapolated = following + momentum * (following - codes)
        codes = following
    return codes


def conjugate_gradients_as_written(
    rhs: Tensor, mask: Tensor, gram: Tensor, ridge: float, iterations: int
) -> Tensor:
    """Solve (Q_AA + ridge I) gamma_A = rhs_A of the whole batch, gamma = 0 off the active set A (`mask` 1 or 0)."""
    residual = rhs * mask
    direction = residual
    solution = torch.zeros_like(rhs)
    squared = (residual * residual).sum(-1, keepdim=True)
    for _ in range(iterations):
        product = (direction @ gram + ridge * direction) * mask
        step = squared / ((direction * product).sum(-1, keepdim=True) + TINY)
        solution = solution + step * direction
        residual = residual - step * product
        following = (residual * residual).sum(-1, keepdim=True)
        direction = residual + following / (squared + TINY) * direction
        squared = following
    return solution


def fista_of_chunk(iterations: int) -> Solve:
    """FISTA on rows that fit the cache, from `b/L` and `I - Q/L`.

    The step is alpha+ = max(0, gamma (I - Q/L) + b/L), and the first one, from 0, needs no product.
    """
    later_momenta = momenta(iterations)[1:]

    def solve(scaled_b: Tensor, contraction: Tensor) -> Tensor:
        codes = torch.relu(scaled_b)
        extrapolated = codes
        for momentum in later_momenta:
            following = (extrapolated @ contraction).add_(scaled_b).relu_()
            extrapolated = torch.lerp(codes, following, 1.0 + momentum)
            codes = following
        return codes

    return solve


def restarted_fista_of_chunk(iterations: int) -> Solve:
    """As `fista_of_chunk`, with gradient restart per row (O'Donoghue & Candes, 2015): s = 1 where
    (gamma - alpha+)'(alpha+ - alpha) > 0."""

    def solve(scaled_b: Tensor, contraction: Tensor) -> Tensor:
        codes = torch.relu(scaled_b)
        extrapolated = codes
        s = torch.full_like(codes[:, :1], (1.0 + math.sqrt(5.0)) / 2.0)
        for _ in range(iterations - 1):
            following = (extrapolated @ contraction).add_(scaled_b).relu_()
            change = following - codes
            uphill = ((extrapolated - following) * change).sum(-1, keepdim=True) > 0.0
            s = torch.where(uphill, 1.0, s)
            next_s = (1.0 + torch.sqrt(1.0 + 4.0 * s * s)) / 2.0
            extrapolated = following + (s - 1.0) / next_s * change
            codes, s = following, next_s
        return codes

    return solve


def conjugate_gradients_of_chunk(iterations: int) -> MaskedSolve:
    """Masked conjugate gradients on rows that fit the cache; `matrix` is Q + ridge I, the mask is alpha > 0."""

    def solve(rhs: Tensor, codes: Tensor, matrix: Tensor) -> Tensor:
        active = (codes > 0.0).to(rhs.dtype)
        residual = rhs * active
        direction = residual
        solution = torch.zeros_like(rhs)
        squared = (residual * residual).sum(-1, keepdim=True)
        for _ in range(iterations):
            product = direction @ matrix
            step = squared / ((direction * product).sum(-1, keepdim=True) + TINY)
            solution = solution + step * direction
            residual = residual - step * product * active
            following = (residual * residual).sum(-1, keepdim=True)
            direction = residual + following / (squared + TINY) * direction
            squared = following
        return solution

    return solve


def natural_residual(codes: Tensor, b: Tensor, gram: Tensor, largest: Tensor) -> Tensor:
    """rho = |alpha - max(0, alpha - grad/L)| / |alpha| of each row, grad = Q alpha - b; 0 exactly at the optimum.

    Where alpha = 0 it is 0 if 0 is optimal and infinite elsewhere. In float64.
    """
    codes, b, gram, largest = codes.double(), b.double(), gram.double(), largest.double()
    step = codes - torch.relu(codes - (codes @ gram - b) / largest)
    change, size = step.norm(dim=-1), codes.norm(dim=-1)
    return torch.where(change == 0.0, 0.0, change / size)
