"""Epochs of a sparse ResNet-18 on a GPU: here, the common way, and in runs that share the card.

    python benchmarks/gpu_epoch.py --data-dir DIR --output gpu-epoch.csv

The common way is what training scripts do: float32, channels first, images moved one by one on
worker processes, and a mask that is multiplied into the gradients after each backward pass.
"""

import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
import torch
import tyro
from PIL import Image, ImageOps
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset, get_worker_info

from wider.bench import measure
from wider.data import ImageData, Images, PreparedData, Preprocessing, load, prepare
from wider.families import Family
from wider.models import ResNet18
from wider.randomness import stream
from wider.runs import provenance
from wider.sparsity import mask_of, weight_layers
from wider.training import Precision, Recipe, Trainer

RECIPE = Recipe(
    epochs=1000,  # more than are measured
    batch_size=128,
    learning_rate=0.01,
    momentum=0.9,
    weight_decay=5e-4,
    augmentation="crop-flip",
)
PADDING = 4  # pixels
PATIENCE = 600.0  # seconds, for processes that start and compile


@dataclass(frozen=True)
class Settings:
    """What is measured.

    Attributes:
        data_dir: folder with cifar10; random images where there is none.
        output: the table.
        device: "cpu" only to try the code.
        num_images: random ones.
        base_width: of the dense net that sets the number of weights.
        width: of the sparse net.
        workers: processes that move images for the common way.
        repetitions: epochs that are timed, of each peer, in turn.
        sharing: numbers of runs that share the device.
    """

    data_dir: Path | None = None
    output: Path = Path("gpu-epoch.csv")
    device: Literal["cuda", "cpu"] = "cuda"
    num_images: int = 50_000
    base_width: int = 8
    width: int = 64
    workers: int = 8
    repetitions: int = 5
    sharing: tuple[int, ...] = (1, 2, 4, 8)


class AugmentedImages(Dataset[tuple[Tensor, int]]):
    """Training images that are moved one at a time, as Pillow images."""

    def __init__(self, split: Images) -> None:
        pixels = split.images.permute(0, 2, 3, 1).numpy()
        scaled = pixels.reshape(-1, 3) / 255
        self.pixels, self.labels = pixels, split.labels.tolist()
        self.mean, self.deviation = (
            torch.tensor(numbers, dtype=torch.float32).view(3, 1, 1)
            for numbers in (scaled.mean(0), scaled.std(0))
        )
        self.random = random.Random(0)

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """One image and its class."""
        image = Image.fromarray(self.pixels[index])
        left, top = self.random.randrange(2 * PADDING + 1), self.random.randrange(2 * PADDING + 1)
        box = (left, top, left + image.width, top + image.height)
        image = ImageOps.expand(image, PADDING).crop(box)
        if self.random.random() < 0.5:
            image = ImageOps.mirror(image)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255
        return (pixels - self.mean) / self.deviation, self.labels[index]


def common_way(images: ImageData, settings: Settings) -> Callable[[], float]:
    """What trains for an epoch and returns its mean loss."""
    device, sparse = torch.device(settings.device), sparse_net(settings)
    net = Family(ResNet18, base_width=settings.base_width).dense(settings.width).to(device)
    layers = weight_layers(net)
    masks = {name: mask_of(layer) for name, layer in weight_layers(sparse).items()}
    masked = [(layers[name], mask.to(device)) for name, mask in masks.items() if mask is not None]
    with torch.no_grad():
        for layer, mask in masked:
            layer.weight.mul_(mask)
    optimiser = torch.optim.SGD(
        net.parameters(),
        lr=RECIPE.learning_rate,
        momentum=RECIPE.momentum,
        weight_decay=RECIPE.weight_decay,
    )
    loader = DataLoader(
        AugmentedImages(images.train),
        batch_size=RECIPE.batch_size,
        shuffle=True,
        num_workers=settings.workers,
        worker_init_fn=_seed_worker,
        pin_memory=settings.device == "cuda",
        persistent_workers=True,
        generator=stream(0, "common way"),
    )

    def run_epoch() -> float:
        losses = []
        net.train()
        for batch in loader:
            inputs, labels = (tensor.to(device, non_blocking=True) for tensor in batch)
            optimiser.zero_grad()
            loss = cross_entropy(net(inputs), labels)
            loss.backward()
            for layer, mask in masked:
                if layer.weight.grad is not None:
                    layer.weight.grad.mul_(mask)
            optimiser.step()
            losses.append(loss.detach())  # not .item(), which would make every step wait
        return float(torch.stack(losses).mean())

    return run_epoch


def our_way(images: ImageData, settings: Settings, precision: Precision, seed: int = 0) -> Trainer:
    """The trainer that `wider run` would use; without images to test on, as in the common way."""
    data = prepare(images, Preprocessing(dataset=images.name)).to(settings.device)
    net = sparse_net(settings, seed).to(settings.device)
    return Trainer(net, _for_training_only(data), RECIPE, seed=seed, precision=precision)


def sparse_net(settings: Settings, seed: int = 0) -> nn.Module:
    """The net that is trained."""
    return Family(ResNet18, base_width=settings.base_width).sparse(settings.width, seed=seed)


def in_turn(images: ImageData, settings: Settings) -> list[dict[str, Any]]:
    """Rows of the peers, whose epochs are timed in turn in one process."""
    peers = {
        "wider, bfloat16": our_way(images, settings, "bfloat16").run_epoch,
        "wider, float32": our_way(images, settings, "float32").run_epoch,
        "common way": common_way(images, settings),
    }
    times = measure(peers, repetitions=settings.repetitions)
    quartiles = {name: np.quantile(times[name], (0.25, 0.5, 0.75)) for name in peers}
    return [
        {
            "peer": name,
            "runs": 1,
            "epochs": settings.repetitions,
            "seconds": median,
            "seconds_lower": lower,
            "seconds_upper": upper,
            "epochs_per_second": 1 / median,
            "ratio": median / quartiles["wider, bfloat16"][1],
        }
        for name, (lower, median, upper) in quartiles.items()
    ]


def shared(images: ImageData, settings: Settings, runs: int) -> dict[str, Any]:
    """The row of several runs that share the device, each in a process of its own."""
    context = get_context("spawn")
    barrier = context.Barrier(runs + 1)
    processes = [
        context.Process(target=_run_beside_others, args=(images, settings, seed, barrier))
        for seed in range(runs)
    ]
    for process in processes:
        process.start()
    try:
        barrier.wait(PATIENCE)  # all have compiled
        start = time.perf_counter()
        barrier.wait(PATIENCE)  # all are done
        seconds = time.perf_counter() - start
    finally:
        for process in processes:
            process.join(10)
            process.kill()
    epochs = runs * settings.repetitions
    return {
        "peer": "wider, bfloat16, in processes",
        "runs": runs,
        "epochs": epochs,
        "seconds": seconds / settings.repetitions,
        "epochs_per_second": epochs / seconds,
    }


def _run_beside_others(images: ImageData, settings: Settings, seed: int, barrier: Barrier) -> None:
    torch.set_num_threads(1)
    trainer = our_way(images, settings, "bfloat16", seed)
    trainer.run_epoch()
    barrier.wait(PATIENCE)
    for _ in range(settings.repetitions):
        trainer.run_epoch()
    barrier.wait(PATIENCE)


def _for_training_only(data: PreparedData) -> PreparedData:
    return replace(data, test_images=data.test_images[:0], test_labels=data.test_labels[:0])


def _seed_worker(_: int) -> None:
    worker = get_worker_info()
    assert worker is not None
    cast(AugmentedImages, worker.dataset).random.seed(worker.seed)


def _random_images(count: int) -> ImageData:
    generator = stream(0, "benchmark")
    pixels = torch.randint(256, (count, 3, 32, 32), dtype=torch.uint8, generator=generator)
    split = Images(pixels, torch.randint(10, (count,), generator=generator))
    classes = tuple(map(str, range(10)))
    return ImageData("random images", classes, "array", split, split, "none")


def main(settings: Settings) -> int:
    """Measures, prints the table and writes it; 2 where there is no GPU."""
    if settings.device == "cuda" and not torch.cuda.is_available():
        print("gpu_epoch needs a GPU that PyTorch can use, and there is none", file=sys.stderr)
        return 2
    if settings.data_dir is None:
        images = _random_images(settings.num_images)
    else:
        images = load("cifar10", data_dir=settings.data_dir)
    rows = in_turn(images, settings)
    for runs in settings.sharing:
        torch.compiler.reset()  # gives the graphs' memory back
        rows.append(shared(images, settings, runs))
    table = pd.DataFrame(rows).assign(
        images=f"{images.name}, {images.encoding}",
        num_images=len(images.train.labels),
        base_width=settings.base_width,
        width=settings.width,
        workers=settings.workers,
        machine=provenance.machine(torch.device(settings.device)),
        commit=provenance.commit(),
        **provenance.versions(),
        measured=datetime.now().astimezone().isoformat(timespec="seconds"),
    )
    print(table[["peer", "runs", "seconds", "epochs_per_second", "ratio"]].to_string())
    table.to_csv(settings.output, index=False, lineterminator="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Settings)))
