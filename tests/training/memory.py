"""Small data of every task, in memory, and nets for them."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from wider.data import Augmentation, Batch, Part, TrainingData
from wider.randomness import default_generator_from, stream
from wider.sparsity import sparsify
from wider.tasks import Task
from wider.training import Engine, Epoch

FEATURES, CONTEXT, VOCABULARY, CLASSES = 6, 5, 7, 3
BYTES = {"train": 2.0, "test": 4.0, "validation": 1.0}
TASKS = {
    "classes": Task("features", (FEATURES,), "classes", CLASSES),
    "numbers": Task("features", (FEATURES,), "numbers", 2),
    "tokens": Task("tokens", (CONTEXT,), "tokens", VOCABULARY, VOCABULARY),
}


class Memory(TrainingData):
    """Examples of a task that can be learned: targets follow from inputs."""

    def __init__(self, task: Task, dtype: torch.dtype = torch.float32, num_train: int = 22) -> None:
        self._task = task
        generator = stream(0, "tests")
        rule = torch.randn(FEATURES, task.num_outputs, generator=generator, dtype=dtype)
        self.parts: dict[str, tuple[Tensor, Tensor]] = {}
        for part, count in {"train": num_train, "test": 9, "validation": 4}.items():
            if task.input == "tokens":
                rows = torch.randint(VOCABULARY, (count, CONTEXT), generator=generator)
                self.parts[part] = rows, (rows + 1) % VOCABULARY
                continue
            inputs = torch.randn(count, FEATURES, generator=generator, dtype=dtype)
            outputs = inputs @ rule
            self.parts[part] = inputs, outputs.argmax(1) if task.output == "classes" else outputs

    @property
    def task(self) -> Task:
        return self._task

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    def count(self, part: Part) -> int:
        return len(self.parts[part][0])

    def bytes_per_token(self, part: Part) -> float:
        return BYTES[part]

    def check_augmentation(self, augmentation: Augmentation) -> None:
        pass

    def train_batches(
        self,
        order: Tensor,
        *,
        batch_size: int,
        augmentation: Augmentation,  # noqa: ARG002 - there is none
        generator: torch.Generator,  # noqa: ARG002
        share: slice = slice(None),
        start: int = 0,
    ) -> Iterator[Batch]:
        inputs, targets = self.parts["train"]
        for first in range(start, len(order), batch_size):
            rows = order[first : first + batch_size][share]
            yield inputs[rows], targets[rows]

    def batches(self, part: Part, *, batch_size: int) -> Iterator[Batch]:
        yield from zip(*(each.split(batch_size) for each in self.parts[part]), strict=True)


class Tokens(nn.Module):
    """Embeds, mixes nothing among places, and says what comes next."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, width)
        self.inner = nn.Linear(width, width)
        self.middle = nn.Linear(width, width)
        self.head = nn.Linear(width, VOCABULARY)

    def forward(self, tokens: Tensor) -> Tensor:
        hidden = torch.tanh(self.inner(self.embedding(tokens)))
        return self.head(torch.tanh(self.middle(hidden)))


def net(task: Task, width: int = 24, *, dense: bool = False) -> nn.Module:
    """With layers that become native, where it is not dense."""
    with default_generator_from(0, "tests"):
        if task.input == "tokens":
            made: nn.Module = Tokens(width)
        else:
            layers = [nn.Linear(FEATURES, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh()]
            made = nn.Sequential(*layers, nn.Linear(width, task.num_outputs))
    return made if dense else sparsify(made, num_weights=150, seed=0)


def trained(trainer: Engine) -> Engine:
    while not trainer.finished:
        trainer.run_epoch()
    return trainer


def states_after_each_step(trainer: Engine) -> list[dict[str, Tensor]]:
    states: list[dict[str, Tensor]] = []
    while not trainer.finished:
        trainer.run_epoch(lambda _: states.append(trainer.state()))
    return states


def bits(trainer: Engine) -> tuple[str, dict[str, bytes]]:
    """All but the seconds; repr shows every digit, and NaN, which is not equal to itself."""
    state = {name: t.numpy().tobytes() for name, t in trainer.state().items() if name != "history"}
    return repr(timeless(trainer)), state


def timeless(trainer: Engine) -> list[Epoch]:
    return [row._replace(seconds=0.0) for row in trainer.history]


def weights(trainer: Engine) -> dict[str, Any]:
    trainer.update_model()
    return {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
