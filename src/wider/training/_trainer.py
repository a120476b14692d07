"""The training loop in PyTorch, for any model on any device."""

import copy
import math
from collections.abc import Iterator, Mapping

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from wider.data import Part, TrainingData
from wider.randomness import stream
from wider.training._distributed import ALONE, Processes
from wider.training._engine import Engine
from wider.training._recipe import Recipe
from wider.training._speed import Judge, Precision, Speed, compiled

# They bound the memory of an evaluation, not its result: images, and pixels where they are large.
EVALUATION_BATCH, EVALUATION_PIXELS = 1000, 2**23


class Trainer(Engine):
    """Trains through autograd; removed weights are stored and multiplied. See `Engine`.

    Several processes train one net in the same steps as one would, to rounding, each on its share
    of every batch; all of them hold the whole net. Only BatchNorm tells them apart: each process
    normalises with the statistics of its own share, and after an epoch all have the mean of their
    running ones.

    Args:
        model: as in `Engine`; with convolutions on a GPU, its memory format changes.
        data: as in `Engine`.
        recipe: as in `Engine`.
        seed: as in `Engine`.
        precision: of products; see `Speed`.
        processes: that train this net, each with a trainer of its own.
        shape: what this net has in common with all that may share its compiled code: those that
            differ in nothing but numbers. They are trained one after the other. None shares none.

    Raises:
        RuntimeError: processes did not start from the same net.
    """

    name = "torch, masked"

    def __init__(
        self,
        model: nn.Module,
        data: TrainingData,
        recipe: Recipe,
        *,
        seed: int,
        precision: Precision = "float32",
        processes: Processes = ALONE,
        shape: str | None = None,
    ) -> None:
        super().__init__(model, data, recipe, seed=seed, processes=processes)
        data.check_augmentation(recipe.augmentation)
        self._shape = shape and f"{shape}, {precision}, {data.device}"
        self._speed = Speed.of(model, data.device, precision)
        self.name = ", ".join([self.name, *self._speed.words, *processes.words])
        self._start({})

    def update_model(self) -> None:
        """Copies the weights back where another net of this shape was trained for it."""
        if self._net is not self.model:
            self.model.load_state_dict(self._net.state_dict())

    def state(self) -> dict[str, Tensor]:
        """See `Engine`."""
        state = super().state()
        if self._processes.count > 1 and self._running.visited:
            for name, buffer in self._running_statistics().items():
                state[name] = self._processes.gathered(buffer).cpu()
        return state

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """See `Engine`.

        Where another number of processes had begun an epoch, BatchNorm goes on from the first one's
        statistics.
        """
        super().load_state(state)
        for name, buffer in self._running_statistics().items():
            rows = state.get(name, ())
            if len(rows) == self._processes.count:
                buffer.copy_(rows[self._processes.rank])

    def _running_statistics(self) -> dict[str, Tensor]:
        """BatchNorm's, which within an epoch are each process's own."""
        return {
            f"epoch.buffer.{name}": buffer
            for name, buffer in self._net.named_buffers()
            if buffer.is_floating_point()
        }

    def _steps(self, order: Int64[Tensor, " images"]) -> Iterator[None]:
        recipe, running = self._recipe, self._running
        nothing = torch.zeros((), dtype=torch.float64, device=self._data.device)
        full = len(range(recipe.batch_size)[self._processes.share])
        self._net.train()
        for group in self._optimizer.param_groups:
            group["lr"] = self._learning_rate
        batches = self._data.train_batches(
            order,
            batch_size=recipe.batch_size,
            augmentation=recipe.augmentation,
            generator=stream(self._seed, "augmentation", len(self.history) + 1),
            share=self._processes.share,
            start=running.visited,
        )
        starts = range(running.visited, len(order), recipe.batch_size)
        for start, (images, labels) in zip(starts, batches, strict=True):
            size = min(recipe.batch_size, len(order) - start)
            loss = recognised = nothing
            if len(labels):  # a process may have none of the last batch
                # A smaller batch is not worth a compilation of its own.
                judge = self._fast_judge if len(labels) == full else self._judge
                loss, recognised = judge(self._laid_out(images), labels)
                (loss / size).backward()
            self._processes.add_up_gradients(self._net)
            self._optimizer.step()
            self._optimizer.zero_grad()
            running.losses.append(loss.detach())
            running.hits.append(recognised)
            running.visited += size
            yield

    def _trained(self) -> tuple[float, float]:
        running = self._running
        self._processes.average_buffers(self._net)
        return self._means(running.losses, running.hits, running.visited)

    @torch.no_grad()
    def _evaluate(self, part: Part) -> tuple[float, float]:
        losses, hits = [], []
        share = self._processes.share
        self._net.eval()
        pixels = math.prod(self._data.task.shape[1:])
        size = min(EVALUATION_BATCH, max(1, EVALUATION_PIXELS // pixels))
        for images, labels in self._data.batches(part, batch_size=size):
            if len(labels[share]):
                loss, recognised = self._judge(self._laid_out(images[share]), labels[share])
                losses.append(loss)
                hits.append(recognised)
        return self._means(losses, hits, self._data.count(part))

    def _means(self, losses: list[Tensor], hits: list[Tensor], count: int) -> tuple[float, float]:
        """Of all images of all processes; NaN where there are none."""
        # One transfer from the device for the whole epoch, summed in double precision.
        sums = torch.stack([_total(losses, self._data.device), _total(hits, self._data.device)])
        self._processes.add_up([sums])
        loss, recognised = (sums / count).tolist() if count else (float("nan"), float("nan"))
        return loss, recognised

    def _laid_out(self, images: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        if not self._speed.channels_last:
            return images
        return images.contiguous(memory_format=torch.channels_last)

    def _momentum(self) -> dict[str, Tensor]:
        return {
            name: self._optimizer.state[parameter]["momentum_buffer"]
            for name, parameter in self._net.named_parameters()
            if self._recipe.momentum and parameter in self._optimizer.state
        }

    def _restart(self, momentum: Mapping[str, Tensor]) -> None:
        self._start(momentum)

    def _computing_net(self) -> nn.Module:
        """The net that the steps change: the model, or what other models are copied into, too."""
        return copy.deepcopy(self.model) if self._speed.compiled and self._shape else self.model

    def _start(self, momentum: Mapping[str, Tensor]) -> None:
        held = {f"momentum.{name}": value for name, value in momentum.items()}
        self._processes.check_same({**self.model.state_dict(), **held})
        self._net, recipe = self._computing_net(), self._recipe
        if self._speed.channels_last:
            self._net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self._judge = self._fast_judge = Judge(self._net, self._speed)
        if self._speed.compiled:
            self._judge, self._fast_judge = compiled(self._judge, shape=self._shape)
            self._net = self._judge.net
        self._optimizer = torch.optim.SGD(
            self._net.parameters(),
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            fused=self._speed.fused or None,
        )
        for name, parameter in self._net.named_parameters():
            if name in momentum:
                # Laid out in memory as the parameter is: the fused optimiser asks for it.
                buffer = torch.empty_like(parameter, requires_grad=False).copy_(momentum[name])
                self._optimizer.state[parameter]["momentum_buffer"] = buffer


def _total(sums: list[Tensor], device: torch.device) -> Float[Tensor, ""]:
    if not sums:
        return torch.zeros((), dtype=torch.float64, device=device)
    return torch.stack(sums).double().sum()
