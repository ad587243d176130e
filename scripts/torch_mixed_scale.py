"""MSD-CSC in PyTorch, from its definition, with the tensor names of `scn` (Zhang & Zhang, National Science Review
8(3):nwaa159, 2021): the dictionary of a layer is [I F'], and a code holds the channels that it keeps and those that it adds.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

CHANNELS, BLOCKS, DEPTH, GROWTH, DILATIONS = 16, 3, 12, 12, 6
CLASSES = 10


class Threshold(nn.Module):
    """The shift of a batch norm in front of the rectifier."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, z: Tensor, statistics: nn.BatchNorm2d | None = None) -> Tensor:
        """With the running statistics of another batch norm."""
        kept = self.bn if statistics is None else statistics
        return functional.relu(
            functional.batch_norm(
                z, kept.running_mean, kept.running_var, self.bn.weight, self.bn.bias, self.training, 0.1, self.bn.eps
            )
        )


class Layer(nn.Module):
    """D = [I F'] with a dilated convolution F."""

    def __init__(self, channels: int, dilation: int, unfoldings: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(GROWTH, channels, 3, 3))
        self.step_size = nn.Parameter(torch.ones(1))
        self.threshold = Threshold(channels + GROWTH)
        # Each unfolding has running statistics of its own; scale and shift are shared.
        self.unfolded = nn.ModuleList(nn.BatchNorm2d(channels + GROWTH, affine=False) for _ in range(unfoldings))
        self.dilation = dilation

    def analyse(self, signal: Tensor) -> Tensor:
        """D'x."""
        added = functional.conv2d(signal, self.weight, padding=self.dilation, dilation=self.dilation)
        return torch.cat([signal, added], 1)

    def synthesise(self, code: Tensor) -> Tensor:
        """D*c."""
        kept, added = code[:, :-GROWTH], code[:, -GROWTH:]
        return kept + functional.conv_transpose2d(added, self.weight, padding=self.dilation, dilation=self.dilation)

    def estimate(self, signal: Tensor) -> Tensor:
        return self.threshold(self.step_size * self.analyse(signal))

    def step(self, code: Tensor, signal: Tensor, unfolding: int) -> Tensor:
        error = self.analyse(self.synthesise(code)) - self.analyse(signal)
        return self.threshold(code - self.step_size * error, self.unfolded[unfolding])


class Block(nn.Module):
    """Layers of which each codes the code of the one before; the input stays while they are unfolded."""

    def __init__(self, channels: int, unfoldings: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(channels + i * GROWTH, i % DILATIONS + 1, unfoldings) for i in range(DEPTH))
        self.unfoldings = unfoldings

    def forward(self, x: Tensor) -> Tensor:
        codes = [x]
        for layer in self.layers:
            codes.append(layer.estimate(codes[-1]))
        for unfolding in range(self.unfoldings):
            for i in range(DEPTH - 1, 0, -1):
                codes[i] = self.layers[i].synthesise(codes[i + 1])
            for i, layer in enumerate(self.layers):
                codes[i + 1] = layer.step(codes[i + 1], codes[i], unfolding)
        return codes[-1]


class MixedScaleCoding(nn.Module):
    """The plan of `configs/cifar10/msd-csc.toml`."""

    def __init__(self, unfoldings: int) -> None:
        super().__init__()
        channels = [CHANNELS + i * DEPTH * GROWTH for i in range(BLOCKS + 1)]
        self.conv1 = nn.Conv2d(3, CHANNELS, 3, padding=1, bias=False)
        self.threshold = Threshold(CHANNELS)
        self.blocks = nn.ModuleList(Block(channels[i], unfoldings) for i in range(BLOCKS))
        self.transitions = nn.ModuleList(nn.Conv2d(c, c, 1, bias=False) for c in channels[1:BLOCKS])
        self.classifier = nn.Linear(channels[BLOCKS], CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks[0](self.threshold(self.conv1(x)))
        for transition, block in zip(self.transitions, self.blocks[1:], strict=True):
            x = block(functional.max_pool2d(transition(x), 2))
        return self.classifier(x.mean((2, 3)))
