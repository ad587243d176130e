#!/usr/bin/env python3
"""Tests that a training step of MSD-CSC is PyTorch's: from the same weights, on the same images, the same loss and the same
gradients of all tensors, with batch norms that train, and after a few such steps the same logits of `scn predict` by running
statistics, which a network that is not switched to evaluation would not give.

Gradients are discontinuous where a value in front of a rectifier is 0, and of the millions of such values of a step some are
nearer to it than float32 tells. So PyTorch's own float32 is held against its float64 as well: errors of gradients may be no
more than a few times PyTorch's.

Needs Python 3.10 or later and a built `scn`; runs in the virtual environment of benches/peers, and installs PyTorch there if
it is missing. `scn` trains on ten images in the layout of CIFAR-10, each of a class of its own and repeated, so that ten
training images are those; with a learning rate that moves nothing, so that its checkpoint holds the initial weights and, as
momentum, the sum of equal gradients. The table goes to stdout, progress to stderr; the exit code is 1 where anything fails.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.append(str(ROOT / "benches" / "peers"))

from compare import PYTHON, VIRTUAL_ENVIRONMENT, install  # noqa: E402

UNFOLDINGS = (0, 1, 3)
IMAGES = 10
# Too small to move a weight: all steps are the same. So many bring running variances, which start at 1, near those of the
# batch, which are hundreds of times smaller where weights are new: codes would die from layer to layer otherwise.
STILL = 1e-30
STEPS = 80
MOMENTUM = 0.9
# The most that an error of gradients may be, over that of PyTorch's float32.
OF_PYTORCH = 3.0
# Of losses relative to the loss, of gradients and logits relative to the largest of a tensor.
TOLERANCE = 1e-4


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Parity of a training step of MSD-CSC with PyTorch's.")
    scn = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "release" / "scn"
    parser.add_argument("--scn", type=Path, default=scn, help="the program; default: %(default)s")
    parser.add_argument("--unfoldings", nargs="+", type=int, default=list(UNFOLDINGS))
    arguments = parser.parse_args()
    if not arguments.scn.is_file():
        parser.error(f"there is no {arguments.scn}: build it with `cargo build --release`, or give --scn")
    arguments.scn = arguments.scn.resolve()
    return arguments


def call(*words: str | Path) -> None:
    result = subprocess.run(words, capture_output=True, text=True)
    if result.returncode != 0:
        raise SystemExit(f"scn {words[1]}: exit code {result.returncode}: {result.stderr.strip()}")


def write_dataset(folder: Path) -> tuple:
    """The ten images and their labels."""
    import numpy

    target = folder / "cifar-10-batches-bin"
    target.mkdir(parents=True)
    # Of patches of many sizes, so that averages over images of all layers tell them apart; with noise, as the gradient of a
    # largest value is ambiguous where pixels are equal.
    random = numpy.random.default_rng(0)
    sides = [2 ** (i % 5) for i in range(IMAGES)]
    patches = [random.integers(0, 128, (3, 32 // side, 32 // side), dtype=numpy.uint8) for side in sides]
    flat = [patch.repeat(side, 1).repeat(side, 2).reshape(-1) for side, patch in zip(sides, patches, strict=True)]
    pixels = numpy.stack(flat) + random.integers(0, 128, (IMAGES, 3072), dtype=numpy.uint8)
    records = numpy.concatenate([numpy.arange(IMAGES, dtype=numpy.uint8)[:, None], pixels], 1)
    content = numpy.tile(records, (10_000 // IMAGES, 1)).tobytes()
    for name in [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]:
        (target / name).write_bytes(content)
    return pixels.reshape(IMAGES, 3, 32, 32), records[:, 0]


def train(scn: Path, folder: Path, unfoldings: int) -> Path:
    """The folder of a run of equal steps."""
    settings = {
        "run.device": '"cpu"',
        "data.dir": json.dumps(str(folder)),
        "data.train_images": IMAGES,
        "data.test_images": IMAGES,
        "data.batch_size": IMAGES,
        "data.mean": '"none"',
        "data.divide": "false",
        "model.unfoldings": unfoldings,
        "train.epochs": STEPS,
        "train.optimizer.learning_rate": STILL,
    }
    out = folder / f"run-{unfoldings}"
    words = [scn, "train", ROOT / "configs" / "cifar10" / "msd-csc.toml", "--out", out]
    call(*words, *(word for key, value in settings.items() for word in ["--set", f"{key}={value}"]))
    return out


def compare(scn: Path, folder: Path, unfoldings: int, images, labels) -> list[tuple[str, str, bool]]:
    """Lines of the table: what, its error, whether it is small enough."""
    import torch
    from safetensors.torch import load_file, save_file
    from torch.nn import functional

    from torch_mixed_scale import MixedScaleCoding

    print(f"{unfoldings} unfoldings: scn", file=sys.stderr, flush=True)
    run = train(scn, folder, unfoldings)
    last = run / "checkpoints" / "last"
    trained, found = load_file(last / "model.safetensors"), load_file(last / "optimizer.safetensors")
    print(f"{unfoldings} unfoldings: PyTorch", file=sys.stderr, flush=True)
    # In float64 it has no rounding errors of its own.
    network = MixedScaleCoding(unfoldings).double()
    names = dict(network.named_parameters())
    if names.keys() != found.keys():
        raise SystemExit(f"scn trains {sorted(found.keys() - names.keys())}, PyTorch {sorted(names.keys() - found.keys())}")
    with torch.no_grad():
        for name, parameter in names.items():
            parameter.copy_(trained[name])
    x = torch.from_numpy(images).double() / 255.0
    loss = functional.cross_entropy(network(x), torch.from_numpy(labels).long())
    loss.backward()
    single = MixedScaleCoding(unfoldings)
    with torch.no_grad():
        for name, parameter in single.named_parameters():
            parameter.copy_(trained[name])
    functional.cross_entropy(single(x.float()), torch.from_numpy(labels).long()).backward()
    metrics = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    loss_here = next(line["loss"] for line in metrics if line["split"] == "train")
    # Momentum has added up the same gradient.
    sum_of_momentum = (1.0 - MOMENTUM**STEPS) / (1.0 - MOMENTUM)
    found = {name: gradient.double() / sum_of_momentum for name, gradient in found.items()}
    gradients = {name: parameter.grad for name, parameter in names.items()}
    # Without unfoldings a batch norm takes the size of its input away: all that is left of a step size's gradient is the
    # rounding of a sum that cancels. So those are judged by the largest gradient of the network.
    sizes = [name for name in names if name.endswith("step_size")]
    scale = max(gradient.abs().max().item() for gradient in gradients.values())
    of_sizes = max((found.pop(name) - gradients.pop(name)).abs().max().item() / scale for name in sizes)
    here = errors(found, gradients)
    in_single = errors({name: parameter.grad for name, parameter in single.named_parameters()}, gradients)

    with torch.no_grad():
        for _ in range(STEPS - 1):
            network(x)
    running = {name: value for name, value in network.state_dict().items() if "running" in name}
    save_file({"images": x.float()}, folder / "images.safetensors")
    logits = folder / f"logits-{unfoldings}.safetensors"
    call(scn, "predict", run, folder / "images.safetensors", "--out", logits, "--device", "cpu")
    with torch.no_grad():
        expected = network.eval()(x)
    if not (expected - expected[0]).abs().max() > 1e-3 * expected.abs().max():
        raise SystemExit("the logits in evaluation do not depend on the images: they tell nothing")
    return [
        ("loss", *judged(abs(loss_here / loss.item() - 1.0))),
        ("gradients, median tensor", *beside(statistics.median, here, in_single)),
        ("gradients, worst tensor", *beside(max, here, in_single)),
        ("gradients of step sizes", *judged(of_sizes)),
        ("running statistics", *judged(largest(trained, running))),
        ("logits in evaluation", *judged(largest(load_file(logits), {"logits": expected}))),
        ("parameters", f"{sum(parameter.numel() for parameter in names.values()):,}", True),
    ]


def judged(error: float) -> tuple[str, bool]:
    return f"{error:.1e}", error <= TOLERANCE


def beside(of, here: dict[str, float], in_single: dict[str, float]) -> tuple[str, bool]:
    """Of all tensors, and the same of PyTorch in float32."""
    error, in_pytorch = of(here.values()), of(in_single.values())
    return f"{error:.1e}, PyTorch's {in_pytorch:.1e}", error <= max(TOLERANCE, OF_PYTORCH * in_pytorch)


def errors(found: dict, expected: dict) -> dict[str, float]:
    """The error of each tensor, relative to its largest value."""
    by_name = {}
    for name, tensor in expected.items():
        if found[name].numel() != tensor.numel():
            raise SystemExit(f"{name}: {list(found[name].shape)} in scn, {list(tensor.shape)} in PyTorch")
        scale = tensor.abs().max().clamp_min(1e-30)
        by_name[name] = ((found[name].double().reshape(tensor.shape) - tensor).abs().max() / scale).item()
    return by_name


def largest(found: dict, expected: dict) -> float:
    """The largest error of a tensor, relative to its largest value."""
    return max(errors(found, expected).values())


def main() -> None:
    arguments = parse_arguments()
    if Path(sys.prefix).resolve() != VIRTUAL_ENVIRONMENT.resolve():
        install()
        os.execv(PYTHON, [str(PYTHON), *sys.argv])
    passed = True
    with tempfile.TemporaryDirectory(prefix="scn-step-") as folder:
        images, labels = write_dataset(Path(folder))
        for unfoldings in arguments.unfoldings:
            for what, outcome, small in compare(arguments.scn, Path(folder), unfoldings, images, labels):
                print(f"{unfoldings} unfoldings  {what:<26}{outcome}{'' if small else '  FAILED'}")
                passed &= small
    if not passed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
