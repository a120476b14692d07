"""The training loop in PyTorch, for any model on any device."""

import copy
from collections.abc import Mapping

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
        super().__init__(model, data, recipe, seed=seed)
        data.check_augmentation(recipe.augmentation)
        self._processes = processes
        self._shape = shape and f"{shape}, {precision}, {data.device}"
        self._speed = Speed.of(model, data.device, precision)
        self.name = ", ".join([self.name, *self._speed.words, *processes.words])
        self._start({})

    def update_model(self) -> None:
        """Copies the weights back where another net of this shape was trained for it."""
        if self._net is not self.model:
            self.model.load_state_dict(self._net.state_dict())

    def _train_epoch(self, order: Int64[Tensor, " images"]) -> tuple[float, float]:
        recipe, losses, hits = self._recipe, [], []
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
        )
        starts = range(0, len(order), recipe.batch_size)
        for start, (images, labels) in zip(starts, batches, strict=True):
            if len(labels):  # a process may have none of the last batch
                # A smaller batch is not worth a compilation of its own.
                judge = self._fast_judge if len(labels) == full else self._judge
                loss, recognised = judge(self._laid_out(images), labels)
                (loss / min(recipe.batch_size, len(order) - start)).backward()
                losses.append(loss.detach())
                hits.append(recognised)
            self._processes.add_up_gradients(self._net)
            self._optimizer.step()
            self._optimizer.zero_grad()
        self._processes.average_buffers(self._net)
        return self._means(losses, hits, len(order))

    @torch.no_grad()
    def _evaluate(self, part: Part) -> tuple[float, float]:
        losses, hits = [], []
        share = self._processes.share
        self._net.eval()
        _, height, width = self._data.image_shape
        size = min(EVALUATION_BATCH, max(1, EVALUATION_PIXELS // (height * width)))
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
