"""Writes `state_dict.pth`, what `scn import` must read of a file that `torch.save` wrote; run with PyTorch 2.15."""

from collections import OrderedDict
from pathlib import Path

import torch

tensors = OrderedDict(
    {
        "module.conv1.weight": torch.arange(12, dtype=torch.float32).reshape(2, 3, 2, 1) / 8,
        # Not contiguous.
        "module.layer1.0.conv1.weight": (torch.arange(6, dtype=torch.float32).reshape(2, 3) / 4).T,
        "module.bn1.weight": torch.tensor([1.5, -0.25], dtype=torch.float64),
        "module.bn1.bias": torch.tensor([0.5, -2.0], dtype=torch.float16),
        "module.bn1.running_mean": torch.tensor([3.0, -1.0], dtype=torch.bfloat16),
        "module.bn1.running_var": torch.tensor([1.0, float("inf")]),
        "module.bn1.num_batches_tracked": torch.tensor(7),
        "module.dn.step_size": torch.tensor(0.125),
    }
)
momentum = {"state": {0: {"momentum_buffer": torch.zeros(2)}}}
saved = {"epoch": 3, "state_dict": tensors, "optimizer": momentum}
torch.save(saved, Path(__file__).with_name("state_dict.pth"))
