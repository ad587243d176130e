"""What `parity.py` gives to `scn`, and how it judges what comes back."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from torch_models import IMAGE, PLANS, random_network, unit_atoms

State = dict[str, Tensor]

BATCH = 5
# Of logits, max|a - b| / max|b|.
TOLERANCE = 1e-4
# Of the values of unit atoms, which are rounded once more when they are normalised.
ATOM_TOLERANCE = 1e-6
# Exit code of `scn` for files that it cannot use.
BAD_INPUT = 3
# Whether batch norm takes the statistics of the batch, and how `scn predict` is told.
MODES = {"eval": (False, []), "train": (True, ["--batch-statistics"])}


def plain(state: State) -> State:
    return state


def wrapped(state: State) -> dict[str, Any]:
    """As a training script with DataParallel saves it."""
    return {"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}, "epoch": 3}


def layer0(state: State) -> State:
    """A ResNet's stem under the names of an SDNet's."""
    stem = {"conv1": "layer0.0", "bn1": "layer0.1"}
    return {re.sub(r"^(conv1|bn1)\b", lambda found: stem[found[0]], name): tensor for name, tensor in state.items()}


def variants_of(model: str) -> list[Callable[[State], dict]]:
    """The forms of file that a network is saved in."""
    return [plain, wrapped, layer0] if model.startswith("resnet") else [plain, wrapped]


@dataclass(frozen=True)
class Reference:
    """A network's tensors, PyTorch's logits of the images by mode, and the folder of its files."""

    model: str
    folder: Path
    state: State
    logits: dict[str, Tensor]

    @property
    def images(self) -> Path:
        return self.folder / "images.safetensors"


@dataclass(frozen=True)
class Result:
    """One line of the table."""

    model: str
    file: str
    mode: str
    passed: bool
    outcome: str


class Failure(Exception):
    """What is wrong, in a few words."""


def prepare(model: str, folder: Path) -> Reference:
    """A random network, the same at each call, and the files that `scn` is given, in a new folder."""
    print(f"{model}: PyTorch's files and logits", file=sys.stderr, flush=True)
    torch.manual_seed(0)
    network = random_network(PLANS[model])
    images = torch.randn(BATCH, *IMAGE)
    # In float64 they have no rounding errors of their own.
    logits = {mode: logits_of(network, images, batch_statistics) for mode, (batch_statistics, _) in MODES.items()}
    reference = Reference(model, folder, network.state_dict(), logits)
    folder.mkdir(parents=True)
    save_file({"images": images}, reference.images)
    save_file(logits, folder / "expected-logits.safetensors")
    for variant in variants_of(model):
        torch.save(variant(reference.state), folder / f"{variant.__name__}.pth")
    torch.save(damaged(reference.state)[0], folder / "damaged.pth")
    return reference


@torch.no_grad()
def logits_of(network: torch.nn.Module, images: Tensor, batch_statistics: bool) -> Tensor:
    """Of a copy in float64: the running statistics stay as they are."""
    return copy.deepcopy(network).double().train(batch_statistics)(images.double())


def damaged(state: State) -> tuple[State, list[str]]:
    """One tensor missing, one too many, one of another shape; and their names."""
    missing, extra = "layer3.0.bn2.bias", "layer4.1.bn3.weight"
    misshapen = next(name for name in state if re.fullmatch(r"layer2\.1\.conv1\.(dn\.)?weight", name))
    state = {name: tensor for name, tensor in state.items() if name != missing}
    state |= {extra: torch.ones(512), misshapen: state[misshapen][:, :-1].clone()}
    return state, [missing, extra, misshapen]


def check(scn: Path, reference: Reference) -> list[Result]:
    """All that is asked of one network."""
    results = []
    for variant in variants_of(reference.model):
        results += check_file(scn, reference, variant)
    results.append(judged(reference, "damaged", "refusal", lambda: check_refusal(scn, reference)))
    return results


def check_file(scn: Path, reference: Reference, variant: Callable[[State], dict]) -> list[Result]:
    """Import, logits in each mode, and export, of one form of file."""
    folder, file = reference.folder, variant.__name__
    print(f"{reference.model}: {file}", file=sys.stderr, flush=True)
    imported = folder / f"{file}-imported"

    def check_import() -> str:
        call(scn, "import", folder / f"{file}.pth", "--model", reference.model, "--out", imported)
        return "done"

    def check_logits(mode: str) -> str:
        out = folder / f"{file}-{mode}-logits.safetensors"
        call(scn, "predict", imported, reference.images, "--out", out, *MODES[mode][1], "--device", "cpu")
        return compare_logits(read(out), reference.logits[mode])

    def check_export() -> str:
        out = folder / f"{file}-exported.safetensors"
        call(scn, "export", imported, "--out", out)
        return compare_states(read(out), reference.state)

    results = [judged(reference, file, "import", check_import)]
    if results[0].passed:
        results = [judged(reference, file, mode, lambda mode=mode: check_logits(mode)) for mode in MODES]
        results.append(judged(reference, file, "export", check_export))
    return results


def check_refusal(scn: Path, reference: Reference) -> str:
    """The damaged file is refused with the names of the three tensors, and nothing is left."""
    folder = reference.folder / "refused"
    folder.mkdir()
    words = ["import", reference.folder / "damaged.pth", "--model", reference.model, "--out", folder / "imported"]
    result = subprocess.run([scn, *words], capture_output=True, text=True)
    _, names = damaged(reference.state)
    unnamed = [name for name in names if name not in result.stderr]
    left = [path.name for path in folder.iterdir()]
    if result.returncode != BAD_INPUT:
        raise Failure(f"exit code {result.returncode}, expected {BAD_INPUT}: {last_line(result.stderr)}")
    if unnamed:
        raise Failure(f"standard error does not name {', '.join(unnamed)}")
    if left:
        raise Failure(f"left behind: {', '.join(left)}")
    return "refused"


def judged(reference: Reference, file: str, mode: str, check: Callable[[], str]) -> Result:
    """The result of a check that returns its outcome or raises `Failure`."""
    try:
        return Result(reference.model, file, mode, True, check())
    except Failure as failure:
        return Result(reference.model, file, mode, False, f"FAILED: {failure}")


def call(scn: Path, *words: str | Path) -> None:
    result = subprocess.run([scn, *words], capture_output=True, text=True)
    if result.returncode != 0:
        raise Failure(f"scn {words[0]}: exit code {result.returncode}: {last_line(result.stderr)}")


def read(output: Path) -> State:
    try:
        return load_file(output)
    except (OSError, SafetensorError) as error:
        raise Failure(f"cannot read {output.name}: {error}") from error


def last_line(text: str) -> str:
    return (text.strip().splitlines() or ["nothing on standard error"])[-1]


def compare_logits(output: State, expected: Tensor) -> str:
    """The relative error."""
    if "logits" not in output or output["logits"].shape != expected.shape:
        shapes = {name: list(tensor.shape) for name, tensor in output.items()}
        raise Failure(f"the output holds {shapes}, expected logits {list(expected.shape)}")
    error = ((output["logits"].double() - expected).abs().max() / expected.abs().max()).item()
    if not error <= TOLERANCE:
        raise Failure(f"relative error {error:.1e}")
    return f"{error:.1e}"


def compare_states(exported: State, state: State) -> str:
    """Whether exactly the tensors of `state` are there, but for the counts of batches, with its values."""
    names = {name for name in state if not name.endswith("num_batches_tracked")}
    wrong = [f"{name} is missing" for name in names - exported.keys()]
    wrong += [f"{name} is unknown" for name in exported.keys() - state.keys()]
    common = names & exported.keys()
    wrong += [f"{name} differs" for name in common if not same_values(name, exported[name], state[name])]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise Failure(f"{', '.join(sorted(wrong)[:3])}{more}")
    return "equal"


def same_values(name: str, actual: Tensor, expected: Tensor) -> bool:
    """Equal shapes and values; a dictionary's atoms only after division by their norms, a scalar may be `[1]`."""
    if name.endswith("step_size"):
        actual = actual.reshape(expected.shape) if actual.numel() == 1 else actual
    if actual.shape != expected.shape:
        return False
    if name.endswith("dn.weight"):
        difference = unit_atoms(actual.double()) - unit_atoms(expected.double())
        return bool(difference.abs().max() <= ATOM_TOLERANCE)
    return bool((actual.double() == expected.double()).all())


def table(results: list[Result]) -> str:
    rows = [("model", "file", "mode", "relative error")]
    rows += [(result.model, result.file, result.mode, result.outcome) for result in results]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)
