"""SCN-K and ResNet-18 in PyTorch, and the time of a training step: the peer that `compare.py` runs beside `scn`.

One step is forward, cross-entropy, backward and SGD with momentum 0.9 and weight decay 5e-4, in float32.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

import solvers

# Width of the reduction layer and stride of each bottleneck module; its expansion layer is K times as wide.
MODULES = [(16, 1), (16, 1), (16, 1), (32, 2), (32, 1), (64, 2), (64, 1)]
RESNET18_STAGES = [64, 128, 256, 512]
BLOCKS_OF_STAGE = 2
MODELS = {"scn-1": 1, "scn-2": 2, "scn-4": 4, "resnet18": None}
VARIANTS = ("plain", "tuned", "tuned-equal")
CLASSES = 10
IMAGE = (3, 32, 32)
# Added to the diagonal of the backward system; the authors' value.
RIDGE = 1e-6


@dataclass(frozen=True)
class Options:
    """How the codes are solved for."""

    chunked: bool
    compiled: bool
    restart: bool
    forward_iterations: int
    backward_iterations: int
    threads: int
    chunk_elements: int


class Solver:
    """Codes and implicit gradients of rows, by whole-batch operations or in chunks that stay in the cache.

    Chunks are spread over Python threads that each run single-threaded operations: PyTorch releases the interpreter
    lock inside an operation, and no operation waits for the other threads.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.residuals: list[Tensor] | None = None
        self._pool = ThreadPoolExecutor(options.threads, initializer=prepare_worker)
        fista = solvers.restarted_fista_of_chunk if options.restart else solvers.fista_of_chunk
        self._fista = self._compile(fista(options.forward_iterations))
        self._conjugate_gradients = self._compile(solvers.conjugate_gradients_of_chunk(options.backward_iterations))
        self._compiled_shapes: set[tuple[int, ...]] = set()

    def _compile(self, solve: Callable[..., Tensor]) -> Callable[..., Tensor]:
        if not (self.options.compiled and self.options.chunked):
            return solve
        return torch.compile(solve, dynamic=False, fullgraph=True, options={"cpp_wrapper": True, "cpp.threads": 1})

    def codes(self, scaled_b: Tensor, gram: Tensor, largest: Tensor) -> Tensor:
        """alpha of the rows `b/L`."""
        if self.options.chunked:
            contraction = torch.eye(len(gram), dtype=gram.dtype) - gram / largest
            codes = self._in_chunks(self._fista, [scaled_b], [contraction])
        else:
            codes = solvers.fista_as_written(scaled_b * largest, gram, largest, self.options.forward_iterations)
        if self.residuals is not None:
            self.residuals.append(solvers.natural_residual(codes, scaled_b * largest, gram, largest))
        return codes

    def gamma(self, gradient: Tensor, codes: Tensor, gram: Tensor) -> Tensor:
        """gamma of the rows: (Q_AA + ridge I) gamma_A = gradient_A on the active set A = {alpha > 0}."""
        if self.options.chunked:
            matrix = gram + RIDGE * torch.eye(len(gram), dtype=gram.dtype)
            return self._in_chunks(self._conjugate_gradients, [gradient, codes], [matrix])
        return solvers.conjugate_gradients_as_written(
            gradient, (codes > 0).to(codes.dtype), gram, RIDGE, self.options.backward_iterations
        )

    def _in_chunks(self, solve: Callable[..., Tensor], rows: list[Tensor], shared: list[Tensor]) -> Tensor:
        result = torch.empty_like(rows[0])
        size = chunk_size(*rows[0].shape, self.options.chunk_elements)

        def run(start: int) -> None:
            with torch.no_grad():
                part = slice(start, start + size)
                result[part] = solve(*(tensor[part] for tensor in rows), *shared)

        starts = range(0, len(result), size)
        shape = (len(rows), size, result.shape[1])
        if shape not in self._compiled_shapes:
            # One thread compiles; the others would wait for it and compile again.
            self._compiled_shapes.add(shape)
            self._pool.submit(run, 0).result()
        for _ in self._pool.map(run, starts):
            pass
        return result


def prepare_worker() -> None:
    """Single-threaded operations, and room for one compiled function a shape; both are settings of the thread."""
    torch.set_num_threads(1)
    torch._dynamo.config.recompile_limit = 64


def chunk_size(rows: int, atoms: int, elements: int) -> int:
    """The largest power of two that divides `rows`, of at most `elements` numbers: all chunks have one shape."""
    size = 1
    while rows % (2 * size) == 0 and 2 * size * atoms <= elements:
        size *= 2
    return size


def as_rows(images: Tensor) -> Tensor:
    """`[b, n, h, w]` to `[b h w, n]`; a view where the memory is channels-last."""
    return images.permute(0, 2, 3, 1).reshape(-1, images.shape[1])


def as_images(rows: Tensor, shape: torch.Size) -> Tensor:
    """The inverse of `as_rows`, channels-last in memory."""
    batch, atoms, height, width = shape
    return rows.view(batch, height, width, atoms).permute(0, 3, 1, 2)


class SparseCode2d(torch.autograd.Function):
    """alpha* = argmin_{alpha >= 0} 1/2 |x - D alpha|^2 + lambda1 1'alpha of the patch x around every output pixel.

    `weight [n, c, k, k]` holds the atoms. Gradients by implicit differentiation at the solution: with gamma of
    `Solver.gamma`, dL/dx = D gamma (transposed convolution),
    dL/dD = sum x gamma' - D sum (gamma alpha' + alpha gamma'), dL/dlambda1 = -sum gamma.
    """

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, lambda1: Tensor, stride: int, solver: Solver) -> Tensor:
        atoms, _, kernel, _ = weight.shape
        filters = weight.reshape(atoms, -1)
        gram = filters @ filters.T
        largest = torch.linalg.eigvalsh(gram)[-1]
        bias = (-lambda1 / largest).expand(atoms)
        scaled_b = functional.conv2d(x, weight / largest, bias, stride=stride, padding=kernel // 2)
        codes = solver.codes(as_rows(scaled_b), gram, largest)
        ctx.save_for_backward(x, weight, codes, gram)
        ctx.stride, ctx.solver, ctx.shape = stride, solver, scaled_b.shape
        result = as_images(codes, scaled_b.shape)
        return result if solver.options.chunked else result.contiguous()

    @staticmethod
    def backward(ctx, gradient: Tensor):
        x, weight, codes, gram = ctx.saved_tensors
        atoms, _, kernel, _ = weight.shape
        gamma = ctx.solver.gamma(as_rows(gradient), codes, gram)
        grad_x, grad_weight, _ = torch.ops.aten.convolution_backward(
            as_images(gamma, ctx.shape),
            x,
            weight,
            None,
            [ctx.stride] * 2,
            [kernel // 2] * 2,
            [1, 1],
            False,
            [0, 0],
            1,
            [ctx.needs_input_grad[0], True, False],
        )
        cross = gamma.T @ codes
        correction = (cross + cross.T) @ weight.reshape(atoms, -1)
        grad_weight = grad_weight - correction.view(weight.shape)
        return grad_x, grad_weight, -gamma.sum().reshape(1), None, None


class SparseCoding2d(nn.Module):
    """A dictionary from N(0, 1/m^2), m = c k^2, and one learned lambda1 that starts at 0."""

    def __init__(self, channels: int, atoms: int, kernel: int, stride: int, solver: Solver) -> None:
        super().__init__()
        patch = channels * kernel * kernel
        self.weight = nn.Parameter(torch.randn(atoms, channels, kernel, kernel) / patch)
        self.lambda1 = nn.Parameter(torch.zeros(1))
        self.stride, self.solver = stride, solver

    def forward(self, x: Tensor) -> Tensor:
        return SparseCode2d.apply(x, self.weight, self.lambda1, self.stride, self.solver)


class ScnLayer(nn.Module):
    """Batch norm without scale and shift, and the sparse coding of its output."""

    def __init__(self, channels: int, atoms: int, stride: int, solver: Solver) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, eps=1e-4, affine=False)
        self.coding = SparseCoding2d(channels, atoms, 3, stride, solver)

    def forward(self, x: Tensor) -> Tensor:
        return self.coding(self.norm(x))


class Scn(nn.Module):
    """SCN-K in the order of the authors' program (Sun, Nasrabadi & Tran, arXiv:1701.08349, section 3.4)."""

    def __init__(self, width: int, solver: Solver) -> None:
        super().__init__()
        plan = [layer for atoms, stride in MODULES for layer in ((atoms, stride), (atoms * width, 1))]
        inputs = [IMAGE[0]] + [atoms for atoms, _ in plan]
        self.layers = nn.ModuleList(
            ScnLayer(channels, atoms, stride, solver) for channels, (atoms, stride) in zip(inputs, plan)
        )
        self.norm = nn.BatchNorm2d(inputs[-1], eps=1e-4, affine=False)
        self.classifier = nn.Linear(inputs[-1], CLASSES)
        nn.init.normal_(self.classifier.weight, std=1.0 / inputs[-1])
        nn.init.zeros_(self.classifier.bias)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return self.classifier(self.norm(x).mean((2, 3)))

    @torch.no_grad()
    def project(self) -> None:
        """lambda1 >= 0."""
        for layer in self.layers:
            layer.coding.lambda1.clamp_(min=0.0)


class Shortcut(nn.Module):
    """A 1x1 convolution with batch norm."""

    def __init__(self, channels: int, filters: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, filters, 1, stride, bias=False)
        self.bn = nn.BatchNorm2d(filters)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x))


class Block(nn.Module):
    """Two 3x3 convolutions around a shortcut (He, Zhang, Ren & Sun, arXiv:1512.03385)."""

    def __init__(self, channels: int, filters: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, filters, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        projected = stride != 1 or channels != filters
        self.shortcut = Shortcut(channels, filters, stride) if projected else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        residual = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)), inplace=True)))
        return functional.relu(residual.add_(self.shortcut(x)), inplace=True)


class ResNet18(nn.Module):
    """ResNet-18 with a 3x3 stem for small images."""

    def __init__(self) -> None:
        super().__init__()
        channels = RESNET18_STAGES[0]
        self.conv1 = nn.Conv2d(IMAGE[0], channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        blocks = []
        for stage, filters in enumerate(RESNET18_STAGES):
            for block in range(BLOCKS_OF_STAGE):
                blocks.append(Block(channels, filters, 2 if block == 0 and stage > 0 else 1))
                channels = filters
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(channels, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        return self.classifier(self.blocks(x).mean((2, 3)))


def load_images(folder: Path | None, count: int) -> tuple[Tensor, Tensor]:
    """`count` training images of CIFAR-10's binary files with the mean of each channel subtracted, and labels;
    seeded noise without a folder. A record is one label byte and 3072 pixels."""
    if folder is None:
        generator = torch.Generator().manual_seed(0)
        images = torch.randn(count, *IMAGE, generator=generator)
        return images, torch.randint(CLASSES, (count,), generator=generator)
    pixels = numpy.prod(IMAGE)
    records = torch.from_numpy(numpy.fromfile(folder / "data_batch_1.bin", numpy.uint8)).view(-1, 1 + pixels)
    images = records[:, 1:].view(-1, *IMAGE).float() / 255
    mean = images.mean((0, 2, 3), keepdim=True)
    return images[:count] - mean, records[:count, 0].long()


def load_weights(model: nn.Module, checkpoint: Path) -> None:
    """Read a `model.safetensors` that `scn train` wrote; the names are the same."""
    missing, unexpected = model.load_state_dict(load_file(checkpoint), strict=False)
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise SystemExit(f"{checkpoint} is of another network: it lacks {missing} and has {unexpected} more")


def quantiles_of_residuals(model: nn.Module, solver: Solver, images: Tensor) -> dict:
    """rho over the pixels of each layer: median and 99th percentile, and the largest of each over the layers."""
    solver.residuals = []
    with torch.no_grad():
        model(images)
    layers = [
        {"p50": residual.quantile(0.5).item(), "p99": residual.quantile(0.99).item()}
        for residual in solver.residuals
    ]
    solver.residuals = None
    return {
        "rho_p50": max(layer["p50"] for layer in layers),
        "rho_p99": max(layer["p99"] for layer in layers),
        "layers": layers,
    }


def seconds(function: Callable[[], None], warm_up: int, repetitions: int) -> list[float]:
    """Wall-clock time of each repetition after `warm_up` calls."""
    for _ in range(warm_up):
        function()
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return times


def peak_rss_bytes() -> int:
    """Largest resident memory of this process so far (Linux counts it in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def solver_options(arguments: argparse.Namespace) -> Options:
    """The variant's settings, with what the command line overrides."""
    plain = arguments.variant == "plain"
    # Compiling made the solves faster, and ResNet-18 not.
    compiled = arguments.model != "resnet18" if arguments.compile is None else arguments.compile
    forward, backward = (22, 10) if arguments.variant == "tuned-equal" else (50, 20)
    return Options(
        chunked=not plain,
        compiled=compiled and not plain,
        restart=arguments.restart,
        forward_iterations=arguments.forward_iterations or forward,
        backward_iterations=arguments.backward_iterations or backward,
        threads=arguments.threads,
        chunk_elements=arguments.chunk_elements,
    )


def measure(arguments: argparse.Namespace) -> dict:
    """Time training and evaluation of one model and variant; JSON-ready."""
    import_rss = peak_rss_bytes()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    options = solver_options(arguments)
    solver = Solver(options)
    width = MODELS[arguments.model]
    model = ResNet18() if width is None else Scn(width, solver)
    if arguments.weights is not None:
        load_weights(model, arguments.weights)
    images, labels = load_images(arguments.data, arguments.batch)
    if options.chunked:
        model = model.to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)
    report = {}
    if isinstance(model, Scn):
        report = quantiles_of_residuals(model, solver, images)
    network = torch.compile(model) if isinstance(model, ResNet18) and options.compiled else model
    optimizer = torch.optim.SGD(
        model.parameters(), arguments.learning_rate, momentum=0.9, weight_decay=5e-4, fused=options.chunked
    )
    losses = []

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss = functional.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
        if isinstance(model, Scn):
            model.project()
        losses.append(loss.item())

    def evaluate() -> None:
        with torch.no_grad():
            network(images)

    train = seconds(step, arguments.warm_up, arguments.steps)
    model.eval()
    evaluation = seconds(evaluate, arguments.warm_up, arguments.steps)
    return report | {
        "model": arguments.model,
        "variant": arguments.variant,
        "options": asdict(options),
        "torch": torch.__version__,
        "batch": arguments.batch,
        "images": "synthetic" if arguments.data is None else "cifar-10",
        "train_seconds": train,
        "eval_seconds": evaluation,
        "train_images_per_second": arguments.batch / statistics.median(train),
        "eval_images_per_second": arguments.batch / statistics.median(evaluation),
        "losses": losses,
        "import_rss_bytes": import_rss,
        "peak_rss_bytes": peak_rss_bytes(),
    }


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time training steps of a peer in PyTorch; JSON on stdout.")
    parser.add_argument("--model", choices=MODELS, required=True)
    parser.add_argument("--variant", choices=VARIANTS, default="tuned")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--warm-up", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--forward-iterations", type=int, help="FISTA; default 50, tuned-equal 22")
    parser.add_argument("--backward-iterations", type=int, help="conjugate gradients; default 20, tuned-equal 10")
    parser.add_argument("--restart", action="store_true", help="FISTA with gradient restart (tuned variants)")
    parser.add_argument(
        "--compile", action=argparse.BooleanOptionalAction, help="torch.compile; default: of SCN's tuned variants"
    )
    parser.add_argument("--chunk-elements", type=int, default=1 << 16, help="numbers in a chunk of rows")
    parser.add_argument("--learning-rate", type=float, default=0.1)
    parser.add_argument("--data", type=Path, help="folder of CIFAR-10's binary files; default: seeded noise")
    parser.add_argument("--weights", type=Path, help="model.safetensors of a run; default: random")
    return parser.parse_args()


if __name__ == "__main__":
    print(json.dumps(measure(parse_arguments())))
