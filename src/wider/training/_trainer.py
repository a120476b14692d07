"""The training loop in PyTorch, for any model on any device."""

import copy
import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from wider.data import Part, TrainingData
from wider.errors import InputError
from wider.randomness import stream
from wider.tasks import Task
from wider.training._distributed import ALONE, Processes
from wider.training._engine import Engine, Means
from wider.training._layer_rates import layers_of
from wider.training._metrics import ACCURACY
from wider.training._optimiser_state import Remembering, Slots, named
from wider.training._recipe import Recipe
from wider.training._rounds import Stretch
from wider.training._scored import Precision, Scored, Sums
from wider.training._speed import Speed, compiled

# They bound the memory of an evaluation, not its result: examples, and pixels or scores of tokens.
EVALUATION_BATCH, EVALUATION_NUMBERS = 1000, 2**23


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
        self._num_sums = 2 if self.metric.name == ACCURACY else 3
        # Of one part of a whole batch that this process computes at once.
        share = len(range(recipe.batch_size)[processes.share])
        self._full = -(-share // recipe.accumulate)
        self._shape = shape and f"{shape}, {precision}, {data.device}"
        self._speed = Speed.of(model, data.device, precision)
        self.name = ", ".join([self.name, *self._speed.words, *processes.words])
        self._start({})

    @classmethod
    def reason_against(cls, recipe: Recipe, task: Task) -> str | None:  # noqa: ARG003 - of any
        """See `Engine`; there is none."""
        return None

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

    def _steps(self, stretch: Stretch) -> Iterator[None]:
        recipe, running = self._recipe, self._running
        self._net.train()
        batches = self._data.train_batches(
            stretch.order,
            batch_size=recipe.batch_size,
            augmentation=recipe.augmentation,
            generator=stream(self._seed, "augmentation", stretch.number),
            share=self._processes.share,
            start=stretch.start,
        )
        starts = range(stretch.start, stretch.stop, recipe.batch_size)
        is_all = stretch.stop == len(stretch.order)
        for start, (inputs, targets) in zip(starts, batches, strict=is_all):
            size = min(recipe.batch_size, stretch.stop - start)
            running.sums += self._differentiated(inputs, targets, size)
            self._step_with_gradients()
            running.visited += size
            yield

    def _differentiated(self, inputs: Tensor, targets: Tensor, size: int) -> list[Sums]:
        """Adds to the gradients, and gives the sums, of this process's share of a batch.

        Args:
            inputs: of the share.
            targets: of the share.
            size: of the whole batch.
        """
        if not len(targets):  # a process may have none of the last batch
            nothing = torch.zeros((), dtype=torch.float64, device=self._data.device)
            return [(nothing,) * self._num_sums]
        parts = self._recipe.accumulate
        sums = []
        for own_inputs, own_targets in zip(inputs.chunk(parts), targets.chunk(parts), strict=True):
            # A smaller batch is not worth a compilation of its own.
            scored = self._fast if len(own_targets) == self._full else self._scored
            loss, *others = scored(self._laid_out(own_inputs), own_targets)
            (loss / size).backward()
            sums.append((loss.detach(), *others))
        return sums

    def _step_with_gradients(self) -> None:
        recipe, factor = self._recipe, self._factor(self._step)
        self._processes.add_up_gradients(self._net)
        if recipe.clip_norm is not None:
            nn.utils.clip_grad_norm_(self._net.parameters(), recipe.clip_norm)
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            if rate is not None:
                group["lr"] = rate * factor
        self._optimizer.step()
        self._optimizer.zero_grad()

    def _trained(self) -> Means:
        self._processes.average_buffers(self._net)
        return self._means_of(self._running.sums, self._running.visited, "train")

    @torch.no_grad()
    def _evaluate(self, part: Part) -> Means:
        sums, share, task = [], self._processes.share, self._data.task
        self._net.eval()
        numbers = math.prod(task.shape[1:])
        if task.output == "tokens":
            numbers = task.shape[0] * task.num_outputs
        size = min(EVALUATION_BATCH, max(1, EVALUATION_NUMBERS // numbers))
        for inputs, targets in self._data.batches(part, batch_size=size):
            if len(targets[share]):
                found = self._scored(self._laid_out(inputs[share]), targets[share])
                # Of tokens these are means over each example, and the last of a text is shorter.
                weight = targets.shape[1] if task.output == "tokens" else 1
                sums.append(tuple(each * weight for each in found) if weight > 1 else found)
        return self._means_of(sums, self._data.num_targets(part), part)

    def _means_of(self, sums: Sequence[Sums], count: int, part: Part) -> Means:
        """Over all examples of all processes."""
        # One transfer from the device for the whole round, summed in double precision.
        totals = torch.zeros(self._num_sums, dtype=torch.float64, device=self._data.device)
        if sums:
            columns = zip(*sums, strict=True)
            totals = torch.stack([torch.stack(column).double().sum() for column in columns])
        self._processes.add_up([totals])
        means = (totals / count if count else totals * math.nan).tolist()
        return self._means(means[0], means[1], means[-1], part)

    def _laid_out(self, inputs: Shaped[Tensor, "batch ..."]) -> Shaped[Tensor, "batch ..."]:
        if not self._speed.channels_last or inputs.dim() != 4:
            return inputs
        return inputs.contiguous(memory_format=torch.channels_last)

    def _slots(self) -> Slots:
        return self._remembering.slots()

    def _restart(self, slots: Slots) -> None:
        self._start(slots)

    def _computing_net(self) -> nn.Module:
        """The net that the steps change: the model, or what other models are copied into, too."""
        return copy.deepcopy(self.model) if self._speed.compiled and self._shape else self.model

    def _name_in_model(self, parameter: str) -> str:
        """What the model calls a parameter of the computing net."""
        return parameter

    def _start(self, slots: Slots) -> None:
        self._processes.check_same({**self.model.state_dict(), **named(slots)})
        self._net = self._computing_net()
        if self._speed.channels_last:
            self._net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        precision, task = self._speed.precision, self._data.task
        self._scored = Scored(self._net, task, self._objective, self.metric, precision)
        self._fast = self._scored
        if self._speed.compiled:
            self._scored, self._fast = compiled(self._scored, shape=self._shape)
            self._net = self._scored.net
        self._make_optimiser()
        self._remembering.restore(slots)

    def _make_optimiser(self) -> None:
        parameters = dict(self._net.named_parameters())
        factors = self._layer_factors(parameters)
        groups: dict[float, list[nn.Parameter]] = {}
        for name, parameter in parameters.items():
            groups.setdefault(factors[name], []).append(parameter)
        self._optimizer = self._recipe.optimiser_spec.make(
            [{"params": group} for group in groups.values()], fused=self._speed.fused
        )
        self._remembering = Remembering(self._optimizer, parameters)
        factor_of = {id(parameter): factors[name] for name, parameter in parameters.items()}
        self._rates: list[float | None] = []
        for group in self._optimizer.param_groups:
            own = {factor_of[id(parameter)] for parameter in group["params"]}
            if len(own) > 1:
                raise InputError(
                    f"the optimiser {self._recipe.optimiser_spec.name!r} puts layers of different "
                    "layer_rates into one group: keep the groups that it is given"
                )
            self._rates.append(group["lr"] * own.pop() if "lr" in group else None)

    def _layer_factors(self, parameters: Mapping[str, nn.Parameter]) -> dict[str, float]:
        """Of the learning rate of each parameter of the computing net."""
        rates = self._recipe.layer_rates
        if rates is None:
            return dict.fromkeys(parameters, 1.0)
        layers = layers_of(self.model, self._data.task)
        return {name: rates.factor(layers[self._name_in_model(name)]) for name in parameters}
