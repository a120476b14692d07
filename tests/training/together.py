"""What each process of test_distributed.py does: `torchrun together.py FOLDER`."""

import os
import signal
import sys
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from pathlib import Path

import safetensors.torch
import torch
from filelock import Timeout
from torch import nn

from wider.data import PreparedData, Preprocessing
from wider.families import Family
from wider.models import MLP, MLPSpec
from wider.randomness import default_generator_from, stream
from wider.runs import Digests, RunSpec, Store, Widening, execute
from wider.sparsity import sparsify
from wider.training import ALONE, Processes, Recipe, Trainer, joined_processes

RECIPE = Recipe(epochs=3, batch_size=8, momentum=0.9, weight_decay=1e-3, augmentation="crop-flip")
CLIPPED = Recipe.model_validate(
    {
        "steps": 9,
        "evaluate_every": 4,
        "batch_size": 8,
        "optimiser": {"name": "adamw", "epsilon": 1e-2},
        "schedule": {"name": "warm-up-cosine", "warm_up": 2},
        "clip_norm": 0.1,
        "accumulate": 2,
        "metric": "error",
    }
)
SPEC = RunSpec(
    data=Preprocessing(dataset="digits", num_train=201),
    model=MLPSpec(num_hidden_layers=2),
    widening=Widening(base_width=4, width=16),
    recipe=Recipe(epochs=4, batch_size=50, momentum=0.9),
)
KILLED_AFTER, KILLED_AT = 2, 150  # epochs, and images of the next one
WRITES = KILLED_AFTER * 6 + 3  # till then: after each of five steps, and after an epoch
LEFT_AFTER = (2, 5, 8)  # steps, of which an epoch has five


def data() -> PreparedData:
    """Of the last batch, a single image, the second process has none."""
    generator = stream(0, "tests")

    def part(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        labels = torch.arange(count) % 3
        images = torch.randn(count, 2, 8, 8, generator=generator)
        return images + labels.view(-1, 1, 1, 1), labels

    return PreparedData(*part(33), *part(11), *part(5), num_classes=3, black=torch.zeros(2))


def mlp(seed: int = 0) -> nn.Module:
    family = Family(MLP, base_width=2, in_features=128, num_classes=3, num_hidden_layers=2)
    return family.sparse(8, seed=seed)


def with_batch_norm() -> nn.Module:
    with default_generator_from(0, "tests"):
        net = nn.Sequential(
            nn.Conv2d(2, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 3)
        )
    return sparsify(net, num_weights=300, seed=0)


def trained(
    net: nn.Module,
    processes: Processes = ALONE,
    state: Mapping[str, torch.Tensor] | None = None,
    recipe: Recipe = RECIPE,
) -> Trainer:
    trainer = Trainer(net, data(), recipe, seed=0, processes=processes)
    if state is not None:
        trainer.load_state(state)
    while not trainer.finished:
        trainer.run_epoch()
    return trainer


class Left(Exception):  # noqa: N818 - how a test leaves an epoch
    pass


def left_after(steps: int, net: nn.Module, processes: Processes = ALONE) -> dict[str, torch.Tensor]:
    """The state in the middle of an epoch."""
    trainer, taken = Trainer(net, data(), RECIPE, seed=0, processes=processes), []

    def leave(_: float) -> None:
        taken.append(None)
        if len(taken) == steps:
            raise Left

    with suppress(Left):
        while True:
            trainer.run_epoch(leave)
    return trainer.state()


class KillingStore(Store):
    """Kills its process after some checkpoints."""

    written = 0

    def write_checkpoint(
        self, spec: RunSpec, state: Mapping[str, torch.Tensor], *, digests: Digests
    ) -> None:
        super().write_checkpoint(spec, state, digests=digests)
        self.written += 1
        if self.written == WRITES:
            os.kill(os.getpid(), signal.SIGKILL)


def go_on_within_epochs(folder: Path, processes: Processes) -> None:
    for name, make in (("mlp", mlp), ("with-batch-norm", with_batch_norm)):
        for steps in LEFT_AFTER:
            path = folder / f"left-{name}-{steps}.safetensors"
            state = left_after(steps, make(), processes)
            if processes.is_first:
                safetensors.torch.save_file(state, path)
            processes.told_by_first()
            trainer = trained(make(), processes, safetensors.torch.load_file(path))
            path = folder / f"{name}-on-after-{steps}-{processes.rank}.safetensors"
            safetensors.torch.save_file(trainer.state(), path)
    trainer = trained(mlp(), processes, left_after(2, mlp()))
    safetensors.torch.save_file(trainer.state(), folder / f"from-one-{processes.rank}.safetensors")


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    with joined_processes("cpu") as processes:
        for name, net in (("mlp", mlp()), ("with-batch-norm", with_batch_norm())):
            trainer = trained(net, processes)
            assert trainer.name == "torch, masked, 2 processes"
            safetensors.torch.save_file(
                trainer.state(), folder / f"{name}-{processes.rank}.safetensors"
            )
        clipped = trained(mlp(), processes, recipe=CLIPPED).state()
        safetensors.torch.save_file(clipped, folder / f"clipped-{processes.rank}.safetensors")
        go_on_within_epochs(folder, processes)
        try:
            Trainer(mlp(seed=processes.rank), data(), RECIPE, seed=0, processes=processes)
        except RuntimeError as error:
            (folder / f"different-{processes.rank}.txt").write_text(str(error))
        norm = nn.BatchNorm2d(2)
        torch.nn.init.constant_(norm.running_mean, processes.rank)  # pyright: ignore
        processes.average_buffers(norm)
        (folder / f"mean-{processes.rank}.txt").write_text(str(norm.running_mean))
        store = Store(folder / "finished")
        recipe = SPEC.recipe.model_copy(update={"epochs": 1})
        runs = [
            execute(SPEC.model_copy(update={"recipe": recipe}), store, processes=processes)
            for _ in range(2)
        ]
        for number, run in enumerate(runs):
            path = folder / f"result-{number}-{processes.rank}.json"
            path.write_text(run.result.model_dump_json())
        store = Store(folder / "store")
        with store.lock(SPEC) if processes.is_first else nullcontext():
            processes.told_by_first()
            try:
                execute(SPEC, store, processes=processes, wait=False)
            except Timeout:
                (folder / f"elsewhere-{processes.rank}").touch()
        execute(SPEC, KillingStore(store.path), processes=processes, checkpoint_seconds=0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
