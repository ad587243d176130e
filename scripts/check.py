"""Checks of the networks in `torch_models.py`: the layer is its formula, D and D' are adjoint, |D|^2 is the norm.

Run by `parity.py --check`, or with the virtual environment's Python.
"""

from __future__ import annotations

import unittest

import numpy
import torch

from torch_models import IMAGE, LAMBDA, PLANS, STEP, ConvolutionalSparseCoding, Network, random_network, unit_atoms

# Kernel, stride and side of an image.
GEOMETRIES = [(3, 1, 6), (3, 2, 6), (3, 2, 7), (1, 1, 5), (1, 2, 6), (1, 2, 5)]


def layer_of(kernel: int, stride: int, side: int) -> ConvolutionalSparseCoding:
    """Seven atoms of two channels, in float64."""
    torch.manual_seed(1)
    return ConvolutionalSparseCoding(2, 7, kernel, stride, side).double()


def dictionary_matrix(layer: ConvolutionalSparseCoding) -> numpy.ndarray:
    """D, pixels by codes, from its definition: a unit atom stands around every `stride`-th pixel, cut at the border."""
    weight, stride, side = layer.dn.weight.detach().numpy(), layer.dn.stride, layer.dn.side
    atoms, channels, kernel, _ = weight.shape
    places = range(0, side, stride)
    matrix = numpy.zeros((channels, side, side, atoms, len(places), len(places)))
    for atom in range(atoms):
        unit = weight[atom] / numpy.linalg.norm(weight[atom])
        for channel, row, column in numpy.ndindex(unit.shape):
            for i, y in enumerate(places):
                for j, x in enumerate(places):
                    v, u = y + row - kernel // 2, x + column - kernel // 2
                    if 0 <= v < side and 0 <= u < side:
                        matrix[channel, v, u, atom, i, j] = unit[channel, row, column]
    return matrix.reshape(channels * side * side, -1)


def shapes_of(model: str) -> Network:
    """A network without values."""
    with torch.device("meta"):
        return Network(PLANS[model])


class Layer(unittest.TestCase):
    """Against the dictionary as a matrix."""

    def test_codes_are_two_steps_of_the_formula(self) -> None:
        for geometry in GEOMETRIES:
            with self.subTest(geometry), torch.no_grad():
                layer = layer_of(*geometry)
                images = torch.randn(3, 2, geometry[2], geometry[2], dtype=torch.float64)
                codes = layer(images).flatten(1).numpy()
                dictionary, step = dictionary_matrix(layer), layer.dn.step_size.item()
                for image, actual in zip(images.flatten(1).numpy(), codes, strict=True):
                    expected = numpy.zeros(dictionary.shape[1])
                    for _ in range(2):
                        gradient = dictionary.T @ (dictionary @ expected - image)
                        expected = numpy.maximum(0.0, expected - step * (gradient + LAMBDA))
                    numpy.testing.assert_allclose(actual, expected, atol=1e-12)
                    self.assertTrue(0.1 < (expected > 0).mean() < 0.9)

    def test_second_step_uses_the_residual(self) -> None:
        """One step alone would be a convolution with a threshold; the two must differ for the test above to tell."""
        layer = layer_of(3, 1, 6)
        with torch.no_grad():
            images = torch.randn(3, 2, 6, 6, dtype=torch.float64)
            analysis = layer.dn.analyse(images, unit_atoms(layer.dn.weight))
            one = torch.relu(layer.dn.step_size * (analysis - LAMBDA))
            self.assertGreater(((layer(images) - one).norm() / one.norm()).item(), 0.1)

    def test_synthesis_is_adjoint_to_analysis(self) -> None:
        for geometry in GEOMETRIES:
            with self.subTest(geometry), torch.no_grad():
                dictionary = layer_of(*geometry).dn
                atoms = unit_atoms(dictionary.weight)
                images = torch.randn(3, 2, geometry[2], geometry[2], dtype=torch.float64)
                analysis = dictionary.analyse(images, atoms)
                codes = torch.randn_like(analysis)
                in_codes = (analysis * codes).sum().item()
                in_images = (images * dictionary.synthesise(codes, atoms)).sum().item()
                self.assertAlmostEqual(in_codes, in_images, delta=1e-10)

    def test_step_size_is_that_of_the_norm(self) -> None:
        for geometry in GEOMETRIES:
            with self.subTest(geometry):
                layer = layer_of(*geometry)
                norm = numpy.linalg.norm(dictionary_matrix(layer), 2)
                self.assertAlmostEqual(layer.dn.step_size.item() * norm**2 / STEP, 1.0, delta=5e-3)


class Networks(unittest.TestCase):
    """Names and sizes, and that the logits can tell a mistake."""

    def test_parameters(self) -> None:
        """11,173,962 is the usual count of ResNet-18 with a 3x3 stem; SDNets have as many."""
        expected = {"resnet18": 11_173_962, "resnet34": 21_282_122, "sdnet18": 11_173_962}
        expected |= {"sdnet34": 21_282_122, "sdnet18-all": 11_173_962}
        for model, count in expected.items():
            with self.subTest(model):
                self.assertEqual(sum(parameter.numel() for parameter in shapes_of(model).parameters()), count)

    def test_names(self) -> None:
        shapes = {
            "resnet18": {"conv1.weight": [64, 3, 3, 3], "layer2.0.shortcut.0.weight": [128, 64, 1, 1]},
            "sdnet18": {"layer0.0.dn.weight": [64, 3, 3, 3], "layer0.0.dn.step_size": [], "layer0.1.bias": [64]},
            "sdnet18-all": {"layer4.1.conv2.dn.weight": [512, 512, 3, 3], "layer2.0.shortcut.0.dn.step_size": []},
        }
        for model, expected in shapes.items():
            with self.subTest(model):
                state = shapes_of(model).state_dict()
                expected |= {"layer1.0.bn2.bias": [64], "layer4.0.shortcut.1.weight": [512], "linear.weight": [10, 512]}
                self.assertEqual({name: list(state[name].shape) for name in expected}, expected)

    def test_logits_depend_on_the_images(self) -> None:
        for model in ["resnet18", "sdnet18", "sdnet18-all"]:
            with self.subTest(model), torch.no_grad():
                torch.manual_seed(0)
                logits = random_network(PLANS[model])(torch.randn(5, *IMAGE))
                self.assertGreater((logits.std(0).mean() / logits.abs().max()).item(), 0.02)


if __name__ == "__main__":
    unittest.main()
