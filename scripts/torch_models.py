"""The networks of `parity.py` in PyTorch, from their definitions, with the tensor names of published checkpoints.

ResNet-18 and -34 for small images (He, Zhang, Ren & Sun, arXiv:1512.03385), and SDNets (Dai, Li, Zhai, Ma & Vidal,
arXiv:2210.12945), where convolutional sparse-coding layers stand for the first convolution or for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

STAGES = (64, 128, 256, 512)
LAMBDA = 0.1
# The step size is this share of 1/|D|^2, which so many steps of power iteration find.
STEP = 0.9
POWER_ITERATIONS = 100
CLASSES = 10
IMAGE = (3, 32, 32)


@dataclass(frozen=True)
class Plan:
    """Blocks of each stage, and which convolutions are sparse-coding layers."""

    blocks: tuple[int, int, int, int]
    coded_stem: bool = False
    coded_blocks: bool = False


PLANS = {
    "resnet18": Plan((2, 2, 2, 2)),
    "resnet34": Plan((3, 4, 6, 3)),
    "sdnet18": Plan((2, 2, 2, 2), coded_stem=True),
    "sdnet34": Plan((3, 4, 6, 3), coded_stem=True),
    "sdnet18-all": Plan((2, 2, 2, 2), coded_stem=True, coded_blocks=True),
}


def unit_atoms(weight: Tensor) -> Tensor:
    """Each filter of `[n, c, k, k]` divided by its Euclidean norm."""
    return weight / weight.square().sum((1, 2, 3), keepdim=True).sqrt()


class Dictionary(nn.Module):
    """Atoms `weight [n, c, k, k]` for square images; each atom has a code at every `stride`-th pixel."""

    def __init__(self, channels: int, atoms: int, kernel: int, stride: int, side: int) -> None:
        super().__init__()
        self.stride, self.padding, self.side = stride, kernel // 2, side
        # Norms that differ: the layer is to divide by them.
        scale = torch.rand(atoms, 1, 1, 1) + 0.5
        self.weight = nn.Parameter(torch.randn(atoms, channels, kernel, kernel) * scale)
        self.register_buffer("step_size", STEP / self.squared_norm())

    def analyse(self, x: Tensor, atoms: Tensor) -> Tensor:
        """D'x: images `[b, c, side, side]` to codes."""
        return functional.conv2d(x, atoms, stride=self.stride, padding=self.padding)

    def synthesise(self, codes: Tensor, atoms: Tensor) -> Tensor:
        """D*c: codes to images."""
        smallest = (codes.shape[-1] - 1) * self.stride + atoms.shape[-1] - 2 * self.padding
        return functional.conv_transpose2d(
            codes, atoms, stride=self.stride, padding=self.padding, output_padding=self.side - smallest
        )

    @torch.no_grad()
    def squared_norm(self) -> Tensor:
        """|D|^2, the largest eigenvalue of D'D, by power iteration on codes of one image."""
        atoms, places = unit_atoms(self.weight), -(-self.side // self.stride)
        codes = torch.randn(1, len(atoms), places, places)
        for _ in range(POWER_ITERATIONS):
            codes = self.analyse(self.synthesise(codes, atoms), atoms)
            codes /= codes.norm()
        return self.synthesise(codes, atoms).square().sum()


class ConvolutionalSparseCoding(nn.Module):
    """Two steps of FISTA from 0 on min_c 1/2 |x - D*c|^2 + lambda |c|_1, c >= 0 (Dai et al., eq. 4)."""

    def __init__(self, channels: int, atoms: int, kernel: int, stride: int, side: int) -> None:
        super().__init__()
        self.dn = Dictionary(channels, atoms, kernel, stride, side)

    def forward(self, x: Tensor) -> Tensor:
        step, atoms = self.dn.step_size, unit_atoms(self.dn.weight)
        codes = functional.relu(step * self.dn.analyse(x, atoms) - step * LAMBDA)
        # FISTA's momentum is 0 in its second step.
        residual = x - self.dn.synthesise(codes, atoms)
        return functional.relu(codes + step * self.dn.analyse(residual, atoms) - step * LAMBDA)


def convolution(channels: int, filters: int, kernel: int, stride: int, side: int, coded: bool) -> nn.Module:
    """From images of so many pixels a side; without bias."""
    if coded:
        return ConvolutionalSparseCoding(channels, filters, kernel, stride, side)
    return nn.Conv2d(channels, filters, kernel, stride, kernel // 2, bias=False)


class Block(nn.Module):
    """Two 3x3 convolutions around a shortcut; no ReLU between them where they are sparse-coding layers."""

    def __init__(self, channels: int, filters: int, stride: int, side: int, coded: bool) -> None:
        super().__init__()
        self.coded = coded
        self.conv1 = convolution(channels, filters, 3, stride, side, coded)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = convolution(filters, filters, 3, 1, side // stride, coded)
        self.bn2 = nn.BatchNorm2d(filters)
        self.shortcut = nn.Sequential()
        if stride != 1 or channels != filters:
            projection = convolution(channels, filters, 1, stride, side, coded)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(filters))

    def forward(self, x: Tensor) -> Tensor:
        inner = self.bn1(self.conv1(x))
        inner = inner if self.coded else functional.relu(inner)
        return functional.relu(self.bn2(self.conv2(inner)) + self.shortcut(x))


class Network(nn.Module):
    """A 3x3 stem, four stages of blocks of which the last three halve the image, global average pooling, a linear
    classifier. ReLU follows the stem's batch norm where the stem is a convolution."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        (channels, side, _), filters = IMAGE, STAGES[0]
        stem, norm = convolution(channels, filters, 3, 1, side, plan.coded_stem), nn.BatchNorm2d(filters)
        if plan.coded_stem:
            self.layer0 = nn.Sequential(stem, norm)
        else:
            self.conv1, self.bn1 = stem, norm
        channels = filters
        for stage, filters in enumerate(STAGES):
            blocks = []
            for block in range(plan.blocks[stage]):
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(Block(channels, filters, stride, side, plan.coded_blocks))
                channels, side = filters, side // stride
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.linear = nn.Linear(channels, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer0(x) if hasattr(self, "layer0") else functional.relu(self.bn1(self.conv1(x)))
        for stage in range(len(STAGES)):
            x = self.get_submodule(f"layer{stage + 1}")(x)
        return self.linear(x.mean((2, 3)))


@torch.no_grad()
def random_network(plan: Plan, batches: int = 3, batch: int = 16) -> Network:
    """Random weights, batch norm's included, and the running statistics of a few random batches."""
    network = Network(plan)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
            # The plain average over the batches: after a few with the usual momentum, the statistics would still be
            # near 0 and 1, and the codes, which are small, would hardly reach the logits.
            module.momentum = None
    network.train()
    for _ in range(batches):
        network(torch.randn(batch, *IMAGE))
    return network.eval()
