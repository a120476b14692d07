"""File, memory and time of one image of a wide sparse net, beside the dense nets it stands between.

Each net is saved, then loaded and asked in a process of its own, on one thread:
`.venv/bin/python benchmarks/serve.py`.
"""

import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import psutil
import torch
from torch import nn

import wider
from wider.models import MLP, ResNet18

IMAGES, WARM_UP = 300, 20
Make = Callable[[int], nn.Module]


class Served(NamedTuple):
    """What a net costs: its file and its memory in megabytes, one image in milliseconds."""

    file: float
    memory: float
    milliseconds: float


def mlp(width: int) -> nn.Module:
    """For MNIST."""
    return MLP(width, in_features=784, num_classes=10)


def resnet(width: int) -> nn.Module:
    """For CIFAR-10."""
    return ResNet18(width)


NETS: dict[str, tuple[Make, tuple[int, ...], int, int]] = {
    "MLP 784-width-10": (mlp, (1, 784), 40, 2560),
    "ResNet-18": (resnet, (1, 3, 32, 32), 16, 64),
}


def served(make: Make, width: int, shape: tuple[int, ...], path: Path, native: bool) -> Served:
    """Loads a net and asks it for one image after the other."""
    torch.set_num_threads(1)
    image = torch.rand(shape)
    with torch.inference_mode():  # what every net needs once is loaded before it is weighed
        mlp(4)(torch.rand(1, 784))
        resnet(2)(torch.rand(1, 3, 32, 32))
    process = psutil.Process()
    before = process.memory_info().rss
    net = wider.load(path, partial(make, width), native=native).eval()
    with torch.inference_mode():
        times = []
        for number in range(WARM_UP + IMAGES):
            start = time.perf_counter()
            net(image)
            if number >= WARM_UP:
                times.append(time.perf_counter() - start)
    memory = process.memory_info().rss - before
    return Served(path.stat().st_size / 1e6, memory / 1e6, 1e3 * statistics.median(times))


def main() -> None:
    """Prints the table."""
    print("| net | weights | file, MB | memory, MB | one image, ms |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for title, (make, shape, base_width, width) in NETS.items():
            family = wider.Family(make, base_width=base_width)
            nets = {
                f"{title}, width {base_width}, dense": (family.dense(base_width), base_width),
                f"{title}, width {width}, sparse, native": (family.sparse(width), width),
                f"{title}, width {width}, dense": (family.dense(width), width),
            }
            for name, (net, own_width) in nets.items():
                path = Path(folder, name.replace(" ", "_"))
                wider.save(net, path)
                context = multiprocessing.get_context("spawn")
                with ProcessPoolExecutor(1, mp_context=context) as pool:
                    is_native = "native" in name
                    found = pool.submit(served, make, own_width, shape, path, is_native).result()
                count = wider.count_weights(net)
                numbers = f"{found.file:.2f} | {found.memory:.0f} | {found.milliseconds:.2f}"
                print(f"| {name} | {count:,} | {numbers} |", flush=True)
    print(f"\none thread of {os.cpu_count()}, torch {torch.__version__}")


if __name__ == "__main__":
    main()
