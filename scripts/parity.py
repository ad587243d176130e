#!/usr/bin/env python3
"""Tests that `scn` computes what PyTorch computes: imports random networks of PyTorch and compares logits and weights.

Needs Python 3.10 or later and a built `scn`; runs in the virtual environment of benches/peers, and installs PyTorch
there if it is missing. The table goes to stdout, progress to stderr; the exit code is 1 where anything fails.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.append(str(ROOT / "benches" / "peers"))

from compare import PYTHON, VIRTUAL_ENVIRONMENT, install  # noqa: E402

MODELS = ("resnet18", "resnet34", "sdnet18", "sdnet34", "sdnet18-all")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Parity of scn with PyTorch.")
    scn = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "release" / "scn"
    parser.add_argument("--scn", type=Path, default=scn, help="the program; default: %(default)s")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--files", type=Path, metavar="FOLDER", help="keep all files in new folders of it")
    parser.add_argument("--prepare", action="store_true", help="only write the files that scn is given, with --files")
    parser.add_argument("--check", action="store_true", help="run the tests of the networks in PyTorch instead")
    arguments = parser.parse_args()
    if arguments.prepare and arguments.files is None:
        parser.error("--prepare needs --files")
    for folder in [arguments.files / model for model in arguments.models] if arguments.files else []:
        if folder.exists():
            parser.error(f"{folder} exists already: remove it, or give --files another folder")
    if not (arguments.prepare or arguments.check or arguments.scn.is_file()):
        parser.error(f"there is no {arguments.scn}: build it with `cargo build --release`, or give --scn")
    arguments.scn = arguments.scn.resolve()
    return arguments


@contextlib.contextmanager
def folder_of(files: Path | None, model: str) -> Iterator[Path]:
    """Where a network's files go: a folder that stays, or one that goes with the `with`."""
    if files is not None:
        yield files.resolve() / model
        return
    with tempfile.TemporaryDirectory(prefix="scn-parity-") as folder:
        yield Path(folder) / model


def main() -> None:
    arguments = parse_arguments()
    if Path(sys.prefix).resolve() != VIRTUAL_ENVIRONMENT.resolve():
        install()
        os.execv(PYTHON, [str(PYTHON), *sys.argv])
    if arguments.check:
        raise SystemExit(subprocess.call([sys.executable, HERE / "check.py"]))
    # Only the virtual environment has what this imports.
    from parity_cases import check, prepare, table

    results = []
    for model in arguments.models:
        with folder_of(arguments.files, model) as folder:
            reference = prepare(model, folder)
            if not arguments.prepare:
                results += check(arguments.scn, reference)
    if results:
        print(table(results))
    if not all(result.passed for result in results):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
