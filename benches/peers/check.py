"""Checks of the peer: the codes are optimal, the gradients are those of finite differences, the variants agree.

Run by `compare.py --check`, or with the virtual environment's Python.
"""

from __future__ import annotations

import unittest

import torch
from torch import Tensor

import solvers
from scn_peer import Options, SparseCode2d, Solver, chunk_size

CONVERGED = {"forward_iterations": 600, "backward_iterations": 16}


def options(**changes: object) -> Options:
    """Two threads and chunks of a few rows."""
    defaults = {"chunked": True, "compiled": False, "restart": False, "threads": 2, "chunk_elements": 128}
    return Options(**(defaults | {"forward_iterations": 50, "backward_iterations": 20} | changes))


def tiny_layer(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    """Images, a well-conditioned dictionary (m = 18 > n = 8) and a positive lambda1."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, 2, 6, 4, generator=generator, dtype=dtype)
    weight = torch.randn(8, 2, 3, 3, generator=generator, dtype=dtype)
    return x, weight, torch.tensor([0.7], dtype=dtype)


class Codes(unittest.TestCase):
    """KKT: with grad = Q alpha - b, alpha >= 0, grad >= 0, and grad = 0 where alpha > 0."""

    def check_optimal(self, solver_options: Options, stride: int) -> None:
        x, weight, lambda1 = tiny_layer()
        codes = SparseCode2d.apply(x, weight, lambda1, stride, Solver(solver_options))
        patches = torch.nn.functional.unfold(x, 3, padding=1, stride=stride).transpose(1, 2)
        dictionary = weight.reshape(len(weight), -1).T
        alpha = codes.flatten(2).transpose(1, 2)
        gradient = (alpha @ dictionary.T - patches) @ dictionary + lambda1
        self.assertTrue((alpha >= 0).all())
        self.assertGreater((alpha > 0).double().mean().item(), 0.05)
        self.assertGreater((alpha == 0).double().mean().item(), 0.05)
        self.assertGreater(gradient.min().item(), -1e-9)
        self.assertLess(gradient[alpha > 0].abs().max().item(), 1e-9)

    def test_plain(self) -> None:
        self.check_optimal(options(chunked=False, **CONVERGED), stride=1)

    def test_chunked_with_stride(self) -> None:
        self.check_optimal(options(**CONVERGED), stride=2)

    def test_restart(self) -> None:
        self.check_optimal(options(restart=True, **CONVERGED), stride=1)

    def test_residual_is_zero_at_the_optimum_only(self) -> None:
        gram, b = torch.eye(2).double(), torch.tensor([[1.0, -1.0], [-1.0, -2.0], [1.0, 1.0]]).double()
        codes = torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]]).double()
        largest = torch.tensor(1.0).double()
        self.assertEqual(solvers.natural_residual(codes, b, gram, largest).tolist(), [0.0, 0.0, float("inf")])


class Gradients(unittest.TestCase):
    """Implicit gradients against central differences in float64."""

    def check(self, solver_options: Options, stride: int) -> None:
        solver = Solver(solver_options)
        inputs = [tensor.requires_grad_() for tensor in tiny_layer()]
        torch.autograd.gradcheck(
            lambda *tensors: SparseCode2d.apply(*tensors, stride, solver), inputs, eps=1e-6, atol=1e-4, rtol=1e-3
        )

    def test_plain(self) -> None:
        self.check(options(chunked=False, **CONVERGED), stride=1)

    def test_chunked_with_stride(self) -> None:
        self.check(options(**CONVERGED), stride=2)


class Variants(unittest.TestCase):
    """At equal counts, the float32 codes and gradients of the plain variant; with restart, of eager chunks."""

    def results(self, solver_options: Options) -> list[Tensor]:
        inputs = [tensor.requires_grad_() for tensor in tiny_layer(torch.float32)]
        codes = SparseCode2d.apply(*inputs, 1, Solver(solver_options))
        (codes * torch.linspace(-1, 1, codes.numel()).view(codes.shape)).sum().backward()
        return [codes.detach()] + [tensor.grad for tensor in inputs]

    def check_equal(self, **changes: object) -> None:
        counts = {"forward_iterations": 12, "backward_iterations": 8}  # unrolled, so few compile fast
        reference = {"restart": changes.get("restart", False), "chunked": changes.get("restart", False)}
        expected = self.results(options(**counts, **reference))
        for wanted, actual in zip(expected, self.results(options(**counts, **changes))):
            torch.testing.assert_close(actual, wanted, atol=1e-4, rtol=1e-3)

    def test_chunked(self) -> None:
        self.check_equal()

    def test_compiled(self) -> None:
        self.check_equal(compiled=True)

    def test_compiled_restart(self) -> None:
        self.check_equal(compiled=True, restart=True)

    def test_chunks_have_one_shape(self) -> None:
        for rows, atoms in [(131072, 16), (6272, 64), (7, 64)]:
            size = chunk_size(rows, atoms, 1 << 16)
            self.assertEqual(rows % size, 0)
            self.assertLessEqual(size * atoms, 1 << 16)


if __name__ == "__main__":
    unittest.main()
