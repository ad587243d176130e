#!/usr/bin/env python3
"""Trains the same networks with `scn` and with PyTorch, in turn, and prints images/s side by side.

Needs Python 3.10 or later, cargo and, for the compiled variants, a C++ compiler; installs PyTorch (requirements.txt)
into target/peers-venv. Every round runs our program and then each variant of the peer as processes of their own, so
that both meet the same noise; the ratio is taken within a round. Progress goes to stderr, the table to stdout.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
VIRTUAL_ENVIRONMENT = ROOT / "target" / "peers-venv"
PYTHON = VIRTUAL_ENVIRONMENT / "bin" / "python"
CIFAR10 = ROOT / "datasets" / "cifar-10-batches-bin"
MODELS = ("scn-1", "scn-4", "resnet18")
VARIANTS = ("plain", "tuned", "tuned-equal")
# Keeps freed memory in the process: PyTorch otherwise returns its large buffers to the system at every operation.
KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40)}


def note(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def run(command: list[Any], **options: Any) -> str:
    """Standard output of a command; ends the program where it fails."""
    words = [str(word) for word in command]
    result = subprocess.run(words, stdout=subprocess.PIPE, text=True, cwd=ROOT, **options)
    if result.returncode != 0:
        raise SystemExit(f"exit code {result.returncode}: {' '.join(words)}")
    return result.stdout


def install() -> None:
    """Create the virtual environment and install the pinned packages, once for each requirements.txt."""
    requirements = HERE / "requirements.txt"
    installed = VIRTUAL_ENVIRONMENT / "installed.txt"
    if installed.exists() and installed.read_text() == requirements.read_text():
        return
    note(f"installing PyTorch in {VIRTUAL_ENVIRONMENT.relative_to(ROOT)}")
    if not PYTHON.exists():
        venv.create(VIRTUAL_ENVIRONMENT, with_pip=True)
    run([PYTHON, "-m", "pip", "install", "--quiet", "-r", requirements])
    installed.write_text(requirements.read_text())


def value(entry: Any) -> float | None:
    """A number, or the median of an object `{"median": ...}`."""
    return entry.get("median") if isinstance(entry, dict) else entry


def run_ours(arguments: argparse.Namespace, model: str, tolerance: str | None) -> dict:
    command = [arguments.scn, "bench", "step", ROOT / "configs" / "cifar10" / f"{model}.toml", "--json"]
    command += ["--batch", arguments.batch, "--steps", arguments.steps, "--threads", arguments.threads]
    command += ["--synthetic"] if arguments.data is None else ["--set", f'data.dir="{arguments.data.parent}"']
    if model in arguments.weights:
        command += ["--weights", arguments.weights[model]]
    if tolerance is not None:
        command += ["--set", f"model.solver.tolerance={tolerance}"]
    return json.loads(run(command))


def run_peer(arguments: argparse.Namespace, model: str, variant: str) -> dict:
    plain = variant == "plain"
    command = [PYTHON, HERE / "scn_peer.py", "--model", model, "--variant", variant, "--batch", arguments.batch]
    steps, warm_up = (arguments.plain_steps, 1) if plain else (arguments.steps, 2)
    command += ["--steps", steps, "--warm-up", warm_up, "--threads", arguments.threads]
    if arguments.data is not None:
        command += ["--data", arguments.data]
    if model in arguments.weights:
        command += ["--weights", arguments.weights[model] / "model.safetensors"]
    if not plain:
        command += arguments.peer_options
    cache = {"TORCHINDUCTOR_CACHE_DIR": str(VIRTUAL_ENVIRONMENT / "compiled")}
    memory = {} if plain else KEEP_MEMORY
    return json.loads(run(command, env=os.environ | cache | memory))


def variants_of(model: str, variants: list[str]) -> list[str]:
    """ResNet-18 solves for nothing: one tuned peer, and the plain one."""
    return [variant for variant in variants if model != "resnet18" or variant != "tuned-equal"]


def tolerances_of(arguments: argparse.Namespace, model: str) -> list[str | None]:
    """Those that our solver is run at; a ResNet has none."""
    return [None] if model == "resnet18" else arguments.tolerances


def ours_at(tolerance: str | None) -> str:
    """How our runs at a tolerance are called in the results."""
    return "scn" if tolerance is None else f"scn {tolerance}"


def store(arguments: argparse.Namespace, runs: list[dict]) -> None:
    settings = {name: getattr(arguments, name) for name in ("rounds", "steps", "plain_steps", "batch", "threads")}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps({"settings": settings, "runs": runs}, indent=1) + "\n")


def measure(arguments: argparse.Namespace) -> list[dict]:
    """All runs, in the order they were made; stored after each, as they take long."""
    runs = []
    for number in range(1, arguments.rounds + 1):
        for model in arguments.models:
            for tolerance in tolerances_of(arguments, model):
                program = ours_at(tolerance)
                note(f"round {number} of {arguments.rounds}, {model}: {program}")
                result = run_ours(arguments, model, tolerance)
                runs.append({"round": number, "model": model, "program": program, "result": result})
                store(arguments, runs)
            for variant in variants_of(model, arguments.variants):
                note(f"round {number} of {arguments.rounds}, {model}: {variant}")
                result = run_peer(arguments, model, variant)
                runs.append({"round": number, "model": model, "program": variant, "result": result})
                store(arguments, runs)
    return runs


def column(runs: list[dict], model: str, program: str, *keys: str) -> list[float]:
    """The first of `keys` that each run of a program reports, round by round; runs without any are left out."""
    results = [entry["result"] for entry in runs if (entry["model"], entry["program"]) == (model, program)]
    found = [next((value(result[key]) for key in keys if result.get(key) is not None), None) for result in results]
    return [number for number in found if number is not None]


def median(numbers: list[float], form: str, scale: float = 1.0) -> str:
    return format(statistics.median(numbers) * scale, form) if numbers else "-"


def table(runs: list[dict]) -> str:
    """One line a model, variant and tolerance of ours: medians over the rounds, ratios with the least and largest."""
    head = ["model", "peer", "ours", "scn img/s", "peer img/s", "ratio (min..max)"]
    rows = [head + ["rho p99 scn", "peer", "MB scn", "peer"]]
    pairs = list(dict.fromkeys((entry["model"], entry["program"]) for entry in runs))
    for model, program in pairs:
        if program.startswith("scn"):
            continue
        peer = column(runs, model, program, "train_images_per_second")
        for name in (name for owner, name in pairs if owner == model and name.startswith("scn")):
            ours = column(runs, model, name, "train_images_per_second")
            ratios = [mine / theirs for mine, theirs in zip(ours, peer, strict=True)]
            row = [model, program, name, median(ours, ".1f"), median(peer, ".1f")]
            row.append(f"{statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})")
            for source in (name, program):
                row.append(median(column(runs, model, source, "kkt_p99", "rho_p99"), ".1e"))
            for source in (name, program):
                row.append(median(column(runs, model, source, "peak_rss_bytes"), ".0f", 1e-6))
            rows.append(row)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def weights_of(words: list[str]) -> dict[str, Path]:
    """`MODEL=CHECKPOINT` arguments; a checkpoint is a folder with a `model.safetensors`."""
    return {model: Path(path).resolve() for model, _, path in (word.partition("=") for word in words)}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Training images/s of scn and of the same networks in PyTorch.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3, help="timed steps of a run, after two of warm-up")
    parser.add_argument("--plain-steps", type=int, default=1, help="timed steps of the plain variant")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument(
        "--tolerances", nargs="+", default=["1e-4", "5e-4", "3e-3"],
        help="at which our solver is run: its default, and those that leave the residual of 50 and of 22 iterations",
    )
    parser.add_argument("--weights", nargs="+", default=[], metavar="MODEL=CHECKPOINT", help="start both from it")
    parser.add_argument(
        "--data", type=Path, default=CIFAR10 if CIFAR10.exists() else None,
        help="folder of CIFAR-10's binary files; default: in datasets/, or noise",
    )
    parser.add_argument("--scn", type=Path, help="our program; default: cargo build --release")
    parser.add_argument("--out", type=Path, default=ROOT / "target" / "peers.json", help="all raw numbers")
    parser.add_argument("--check", action="store_true", help="run the peer's own checks and stop")
    parser.add_argument("peer_options", nargs=argparse.REMAINDER, help="after --: options of the tuned scn_peer.py")
    arguments = parser.parse_args()
    arguments.weights = weights_of(arguments.weights)
    arguments.data = arguments.data and arguments.data.resolve()
    arguments.peer_options = [word for word in arguments.peer_options if word != "--"]
    return arguments


def main() -> None:
    arguments = parse_arguments()
    install()
    if arguments.check:
        run([PYTHON, HERE / "check.py"])
        return
    if arguments.scn is None:
        run(["cargo", "build", "--release", "--bin", "scn"])
        arguments.scn = ROOT / "target" / "release" / "scn"
    runs = measure(arguments)
    print(table(runs))


if __name__ == "__main__":
    main()
