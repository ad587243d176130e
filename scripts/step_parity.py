#!/usr/bin/env python3
"""Tests that training steps of `scn` are those of PyTorch: from the same weights, on the same images, the same loss, the
same gradients and, after two steps of SGD with momentum, the same weights.

Needs Python 3.10 or later and a built `scn`; runs in the virtual environment of benches/peers, and installs PyTorch
there if it is missing. `scn` trains on a dataset of ten images, in the layout of CIFAR-10, that is made here: once with a
learning rate that moves nothing, which leaves the initial weights and, as momentum, their gradients; and once with that
of the experiment. The table goes to stdout, progress to stderr; the exit code is 1 where anything fails.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.append(str(ROOT / "benches" / "peers"))

from compare import PYTHON, VIRTUAL_ENVIRONMENT, install  # noqa: E402

# By pursuit; those that are published are `configs/cifar10/<name>.toml`.
MODELS = {
    "thresholding": "ml-csc-thresholding",
    "ista": "ml-csc-ista",
    "fista": "ml-csc-fista",
    "ml-ista": "ml-ista",
    "ml-fista": "ml-fista",
    "ml-lista": "ml-lista",
}
PARAMETERS = {"ml-ista": 4_005_869}
IMAGES = 10
# Too small to move a weight.
STILL = 1e-30
LEARNING_RATE, MOMENTUM = 0.005, 0.9
STEPS = 2
# Away from 0, where every published threshold starts; the deepest of the initial codes are smaller than 0.002.
THRESHOLD = -0.002
# Of losses relative to the loss, of gradients and weights relative to the largest of a tensor.
TOLERANCE = 1e-4


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Parity of a training step with PyTorch's.")
    scn = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "release" / "scn"
    parser.add_argument("--scn", type=Path, default=scn, help="the program; default: %(default)s")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--device", default="cpu", help="of scn; default: %(default)s")
    arguments = parser.parse_args()
    if not arguments.scn.is_file():
        parser.error(f"there is no {arguments.scn}: build it with `cargo build --release`, or give --scn")
    arguments.scn = arguments.scn.resolve()
    return arguments


def write_dataset(folder: Path) -> tuple:
    """Files of official lengths in which all images of a class are one; the ten images and their labels."""
    import numpy

    target = folder / "cifar-10-batches-bin"
    target.mkdir(parents=True)
    pixels = numpy.random.default_rng(0).integers(0, 256, (IMAGES, 3072), dtype=numpy.uint8)
    records = numpy.concatenate([numpy.arange(IMAGES, dtype=numpy.uint8)[:, None], pixels], 1)
    content = numpy.tile(records, (10_000 // IMAGES, 1)).tobytes()
    for name in [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]:
        (target / name).write_bytes(content)
    return pixels.reshape(IMAGES, 3, 32, 32), records[:, 0]


def train(arguments: argparse.Namespace, pursuit: str, folder: Path, out: str, learning_rate: float, epochs: int) -> Path:
    settings = {
        "run.device": arguments.device,
        "data.dir": json.dumps(str(folder)),
        "data.train_images": IMAGES,
        "data.test_images": IMAGES,
        "data.batch_size": IMAGES,
        "data.mean": '"none"',
        "data.divide": "false",
        "data.augment.shift": 0,
        "model.threshold.initial": THRESHOLD,
        "train.epochs": epochs,
        "train.optimizer.learning_rate": learning_rate,
        "train.schedule": '{ kind = "constant" }',
    }
    words = [arguments.scn, "train", ROOT / "configs" / "cifar10" / f"{MODELS[pursuit]}.toml"]
    words += ["--out", folder / out]
    for key, value in settings.items():
        words += ["--set", f"{key}={value}"]
    result = subprocess.run(words, capture_output=True, text=True)
    if result.returncode != 0:
        raise SystemExit(f"scn train: exit code {result.returncode}: {result.stderr.strip()}")
    return folder / out


def losses(run: Path) -> list[float]:
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [line["loss"] for line in lines if line["split"] == "train"]


def compare(arguments: argparse.Namespace, pursuit: str, folder: Path, images, labels) -> list[tuple[str, str, bool]]:
    """Lines of the table: what, its error, whether it is small enough."""
    import torch
    from safetensors.torch import load_file
    from torch.nn import functional

    from torch_ml_csc import MultiLayerCoding, parameters

    print(f"{pursuit}: scn", file=sys.stderr, flush=True)
    still = train(arguments, pursuit, folder, f"{pursuit}-still", STILL, 1)
    moved = train(arguments, pursuit, folder, f"{pursuit}-moved", LEARNING_RATE, STEPS)
    print(f"{pursuit}: PyTorch", file=sys.stderr, flush=True)
    last = Path("checkpoints") / "last"
    network = MultiLayerCoding(pursuit)
    network.load_state_dict(load_file(still / last / "model.safetensors"))
    found = load_file(still / last / "optimizer.safetensors")
    images = torch.from_numpy(images).float() / 255.0
    labels = torch.from_numpy(labels).long()
    optimizer = torch.optim.SGD(network.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)
    rows, expected = [], []
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = functional.cross_entropy(network(images), labels)
        loss.backward()
        expected.append(loss.item())
        if step == 0:
            gradients = {name: parameter.grad.clone() for name, parameter in network.named_parameters()}
            if gradients.keys() != found.keys():
                raise SystemExit(f"{pursuit}: scn trains {sorted(found)}, PyTorch {sorted(gradients)}")
        optimizer.step()
    rows.append(judged("loss", abs(losses(still)[0] / expected[0] - 1.0)))
    rows.append(judged("gradients", largest(found, gradients)))
    rows.append(judged("loss after a step", abs(losses(moved)[1] / expected[1] - 1.0)))
    weights = load_file(moved / last / "model.safetensors")
    rows.append(judged("weights after two", largest(weights, network.state_dict())))
    count = parameters(network)
    rows.append(("parameters", f"{count:,}", PARAMETERS.get(pursuit, count) == count))
    return rows


def judged(what: str, error: float) -> tuple[str, str, bool]:
    return what, f"{error:.1e}", error <= TOLERANCE


def largest(found: dict, expected: dict) -> float:
    """The largest relative error of a tensor."""
    errors = []
    for name, tensor in expected.items():
        difference = (found[name].reshape(tensor.shape) - tensor.detach()).abs().max()
        errors.append((difference / tensor.detach().abs().max()).item())
    return max(errors)


def main() -> None:
    arguments = parse_arguments()
    if Path(sys.prefix).resolve() != VIRTUAL_ENVIRONMENT.resolve():
        install()
        os.execv(PYTHON, [str(PYTHON), *sys.argv])
    passed = True
    with tempfile.TemporaryDirectory(prefix="scn-step-parity-") as name:
        folder = Path(name)
        images, labels = write_dataset(folder)
        for pursuit in arguments.models:
            for what, outcome, good in compare(arguments, pursuit, folder, images, labels):
                print(f"{pursuit:14}{what:20}{outcome:>12}{'' if good else '  FAILED'}")
                passed &= good
    raise SystemExit(not passed)


if __name__ == "__main__":
    main()
