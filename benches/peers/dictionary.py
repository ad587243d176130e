#!/usr/bin/env python3
"""Learns the same dictionary with `scn` and with scikit-learn's MiniBatchDictionaryLearning, and prints how long each takes
to the objective that scikit-learn ends with.

Needs Python 3.10 or later and cargo; installs scikit-learn (requirements-dictionary.txt) into target/dictionary-venv, or
runs as it is where --python has it. Both get the same whitened patches in the same order (`scn dictionary patches`), the
same atoms to start from, the same lambda, batch and number of threads. Every dictionary is judged on patches that none
learns from, by one solver: scikit-learn's lasso, to a tolerance of 1e-6. Progress goes to stderr, the table to stdout.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
VIRTUAL_ENVIRONMENT = ROOT / "target" / "dictionary-venv"
EXPERIMENT = ROOT / "configs" / "dictionary" / "classical.toml"
# How scikit-learn finds codes, and the processes that it starts for it.
VARIANTS = (("cd", 1), ("cd", 2), ("lars", 1), ("lars", 2))


def note(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def run(command: list[Any], **options: Any) -> str:
    """Standard output of a command; ends the program where it fails."""
    words = [str(word) for word in command]
    result = subprocess.run(words, stdout=subprocess.PIPE, text=True, cwd=ROOT, **options)
    if result.returncode != 0:
        raise SystemExit(f"exit code {result.returncode}: {' '.join(words)}")
    return result.stdout


def install() -> Path:
    """The Python of a virtual environment with the pinned packages."""
    python = VIRTUAL_ENVIRONMENT / "bin" / "python"
    requirements = HERE / "requirements-dictionary.txt"
    installed = VIRTUAL_ENVIRONMENT / "installed.txt"
    if not (installed.exists() and installed.read_text() == requirements.read_text()):
        note(f"installing scikit-learn in {VIRTUAL_ENVIRONMENT.relative_to(ROOT)}")
        venv.create(VIRTUAL_ENVIRONMENT, with_pip=True)
        run([python, "-m", "pip", "install", "--quiet", "-r", requirements])
        installed.write_text(requirements.read_text())
    return python


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="a folder of photographs")
    parser.add_argument("--scn", type=Path, default=ROOT / "target" / "release" / "scn")
    parser.add_argument("--python", type=Path, help="a Python with scikit-learn and safetensors")
    parser.add_argument("--atoms", type=int, default=144)
    parser.add_argument("--lambda", dest="weight", type=float, default=0.1)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--patches", type=int, default=20_480, help="for the only pass over them")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    return parser.parse_args()


def overrides(arguments: argparse.Namespace) -> list[str]:
    # Ten short epochs: `scn` tells time and objective at the end of each.
    settings = {
        "dictionary.images": json.dumps(str(arguments.images.resolve())),
        "dictionary.atoms": arguments.atoms,
        "dictionary.lambda": arguments.weight,
        "dictionary.batch": arguments.batch,
        "dictionary.epochs": 10,
        "dictionary.patches": arguments.patches // 10,
        "run.threads": arguments.threads,
    }
    return [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]


def peer(arguments: argparse.Namespace, settings: dict) -> None:
    """Prints the seconds that scikit-learn takes and the objective of its atoms, or the objective of given atoms."""
    import time

    import numpy
    from safetensors.numpy import load_file
    from sklearn.decomposition import MiniBatchDictionaryLearning, sparse_encode

    tensors = load_file(settings["patches"])
    train, evaluation, start = (tensors[name].astype("float64") for name in ("train", "evaluation", "start"))

    def objective(atoms: numpy.ndarray) -> float:
        codes = sparse_encode(
            evaluation, atoms, algorithm="lasso_cd", alpha=arguments.weight, max_iter=20_000, n_jobs=arguments.threads
        )
        residual = evaluation - codes @ atoms
        total = 0.5 * (residual**2).sum() + arguments.weight * numpy.abs(codes).sum()
        return total / len(evaluation)

    if "atoms" in settings:
        print(json.dumps(objective(load_file(settings["atoms"])["atoms"].astype("float64"))))
        return
    learner = MiniBatchDictionaryLearning(
        n_components=arguments.atoms,
        alpha=arguments.weight,
        batch_size=arguments.batch,
        max_iter=1,
        fit_algorithm=settings["algorithm"],
        n_jobs=settings["jobs"],
        dict_init=start.astype(settings["dtype"]),
        shuffle=False,
        tol=0.0,
        max_no_improvement=None,
        random_state=0,
    )
    train = train.astype(settings["dtype"])
    began = time.perf_counter()
    learner.fit(train)
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "objective": objective(learner.components_.astype("float64"))}))


def reached(curve: list[tuple[float, float]], goal: float) -> float | None:
    """When the curve is at the goal, by a line between the points around it."""
    before = None
    for at, value in curve:
        if value <= goal:
            if before is None or before[1] == value:
                return at
            part = (before[1] - goal) / (before[1] - value)
            return before[0] + part * (at - before[0])
        before = (at, value)
    return None


def main() -> None:
    arguments = parsed()
    if arguments.peer is not None:
        peer(arguments, json.loads(arguments.peer))
        return
    python = arguments.python or install()
    arguments.patches -= arguments.patches % (10 * arguments.batch)
    environment = os.environ | {name: str(arguments.threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}

    def ask(**settings: Any) -> Any:
        options = ["--lambda", arguments.weight, "--atoms", arguments.atoms, "--batch", arguments.batch]
        options += ["--patches", arguments.patches, "--threads", arguments.threads]
        command = [python, Path(__file__), arguments.images, *options, "--peer", json.dumps(settings)]
        return json.loads(run(command, env=environment))

    with tempfile.TemporaryDirectory() as folder:
        patches = Path(folder) / "patches.safetensors"
        run([arguments.scn, "dictionary", "patches", EXPERIMENT, "--out", patches, *overrides(arguments)])
        print("| | seconds | objective | seconds of scn to it | ratio |")
        print("| --- | --- | --- | --- | --- |")
        for index in range(arguments.rounds):
            note(f"round {index + 1}: scn")
            out = Path(folder) / f"run-{index}"
            run([arguments.scn, "dictionary", "learn", EXPERIMENT, "--out", out, *overrides(arguments)])
            lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
            curve = [(line["seconds"], line["evaluation"]["objective"]) for line in lines]
            judged = ask(patches=str(patches), atoms=str(out / "checkpoints" / "last" / "learner.safetensors"))
            print(f"| scn | {curve[-1][0]:.3f} | {judged:.4f} (says {curve[-1][1]:.4f}) | | |", flush=True)
            for algorithm, jobs in VARIANTS:
                for dtype in ("float32", "float64"):
                    note(f"round {index + 1}: scikit-learn, {algorithm}, {jobs} jobs, {dtype}")
                    found = ask(patches=str(patches), algorithm=algorithm, jobs=jobs, dtype=dtype)
                    ours = reached(curve, found["objective"])
                    ratio = "never" if ours is None else f"{ours:.3f} | {found['seconds'] / ours:.1f}"
                    name = f"scikit-learn {algorithm}, {jobs} jobs, {dtype}"
                    print(f"| {name} | {found['seconds']:.2f} | {found['objective']:.4f} | {ratio} |", flush=True)


if __name__ == "__main__":
    main()
