"""Multi-layer convolutional sparse coding in PyTorch, from the definitions of its papers, for `step_parity.py`.

Sulam, Aberdam, Beck & Elad, arXiv:1806.00701: three dictionaries of 4x4 windows at stride 2, plain convolutions of the
deepest codes, a linear classifier; 4,005,869 parameters. Tensors have the names that `scn` gives them, so that values go
from one to the other as they are; a threshold is a bias of the other sign.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

CHANNELS = (3, 32, 64, 128)
PLAIN = ((256, 1), (512, 2), (512, 2))
CLASSES = 10
UNFOLDINGS = 6
PURSUITS = ("thresholding", "ista", "fista", "ml-ista", "ml-fista", "ml-lista")


class Rule(nn.Module):
    """What a layer learns beside its dictionary and thresholds: the size of its step, or an encoder."""

    def __init__(self, shape: tuple[int, ...], encodes: bool) -> None:
        super().__init__()
        if encodes:
            self.encoder = nn.Parameter(torch.zeros(shape))
        else:
            self.step_size = nn.Parameter(torch.ones(1))


class Layer(nn.Module):
    """Atoms `weight [n, c, 4, 4]`, a code for each at every second pixel."""

    def __init__(self, channels: int, atoms: int, encodes: bool) -> None:
        super().__init__()
        shape = (atoms, channels, 4, 4)
        self.weight = nn.Parameter(torch.zeros(shape))
        self.threshold = nn.Parameter(torch.zeros(atoms))
        self.rule = Rule(shape, encodes)

    @property
    def encoder(self) -> Tensor:
        return getattr(self.rule, "encoder", self.weight)

    @property
    def step_size(self) -> Tensor | float:
        return getattr(self.rule, "step_size", 1.0)

    def decode(self, codes: Tensor, weight: Tensor) -> Tensor:
        return functional.conv_transpose2d(codes, weight, stride=2, padding=1)

    def encode(self, signal: Tensor, weight: Tensor) -> Tensor:
        return functional.conv2d(signal, weight, stride=2, padding=1)

    def shrink(self, codes: Tensor) -> Tensor:
        return functional.relu(codes - self.threshold[:, None, None])

    def first(self, signal: Tensor) -> Tensor:
        return self.shrink(self.step_size * self.encode(signal, self.encoder))

    def step(self, signal: Tensor, codes: Tensor) -> Tensor:
        if hasattr(self.rule, "encoder"):
            again = self.encode(self.decode(codes, self.weight), self.weight)
            return self.shrink(codes - again + self.encode(signal, self.encoder))
        error = self.decode(codes, self.weight) - signal
        return self.shrink(codes - self.step_size * self.encode(error, self.weight))


class PlainConvolution(nn.Module):
    """3x3, with bias and ReLU, and max pooling."""

    def __init__(self, channels: int, filters: int, pooling: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(filters, channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(filters))
        self.pooling = pooling

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(functional.conv2d(x, self.weight, self.bias, padding=1))
        return functional.max_pool2d(x, self.pooling) if self.pooling > 1 else x


class MultiLayerCoding(nn.Module):
    """The network, by a pursuit."""

    def __init__(self, pursuit: str) -> None:
        super().__init__()
        self.pursuit = pursuit
        pairs = zip(CHANNELS, CHANNELS[1:])
        self.layers = nn.ModuleList(Layer(*pair, pursuit == "ml-lista") for pair in pairs)
        channels, convolutions = CHANNELS[-1], []
        for filters, pooling in PLAIN:
            convolutions.append(PlainConvolution(channels, filters, pooling))
            channels = filters
        self.convolutions = nn.ModuleList(convolutions)
        self.classifier = nn.Linear(channels, CLASSES)

    def codes(self, images: Tensor) -> Tensor:
        """The deepest."""
        codes, signal = [], images
        for layer in self.layers:
            signal = iterate(layer.first(signal), lambda point: layer.step(signal, point), *self.inside_layers())
            codes.append(signal)
        return iterate(codes[-1], lambda point: self.unfold(images, point), *self.through_layers())

    def inside_layers(self) -> tuple[int, bool]:
        """Iterations of each layer by itself, and whether they are accelerated."""
        return (UNFOLDINGS if self.pursuit in ("ista", "fista") else 0, self.pursuit == "fista")

    def through_layers(self) -> tuple[int, bool]:
        """The same of all layers together."""
        return (UNFOLDINGS if self.pursuit.startswith("ml-") else 0, self.pursuit == "ml-fista")

    def unfold(self, images: Tensor, deepest: Tensor) -> Tensor:
        points = [deepest]
        for layer in reversed(self.layers[1:]):
            points.append(layer.decode(points[-1], layer.encoder))
        signal = images
        for layer, point in zip(self.layers, reversed(points), strict=True):
            signal = layer.step(signal, point)
        return signal

    def forward(self, images: Tensor) -> Tensor:
        x = self.codes(images)
        for convolution in self.convolutions:
            x = convolution(x)
        return self.classifier(x.mean((2, 3)))


def iterate(codes: Tensor, step: Callable[[Tensor], Tensor], iterations: int, accelerated: bool) -> Tensor:
    """ISTA or FISTA from the first codes on."""
    previous = codes
    for factor in momentum(iterations, accelerated):
        point = codes + factor * (codes - previous)
        previous, codes = codes, step(point)
    return codes


def momentum(iterations: int, accelerated: bool) -> Iterator[float]:
    t = 1.0
    for _ in range(iterations):
        following = (1.0 + math.sqrt(1.0 + 4.0 * t * t)) / 2.0
        yield (t - 1.0) / following if accelerated else 0.0
        t = following


def parameters(network: nn.Module) -> int:
    """Values that training changes."""
    return sum(map(Tensor.numel, network.parameters()))

