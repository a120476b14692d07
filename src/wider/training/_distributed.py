"""The processes that train one net together, started by torchrun."""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn

from wider.errors import InputError

# The first process may wait for another command that is training the run.
PATIENCE = timedelta(days=1)


@dataclass(frozen=True)
class Processes:
    """All processes that train one net, as one of them sees them.

    They add up their gradients after each backward pass. `DistributedDataParallel` would do it
    during the pass, but not for a process that has no image of a batch, nor with a net that is
    compiled as one graph.

    Attributes:
        rank: of this one, from 0.
        count: of all.
        device: on which their messages are made.
    """

    rank: int = 0
    count: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.rank == 0

    @property
    def share(self) -> slice:
        """The images of each batch that are this process's."""
        return slice(self.rank, None, self.count)

    @property
    def words(self) -> list[str]:
        """For the provenance of a result."""
        return [f"{self.count} processes"] if self.count > 1 else []

    def told_by_first(self, number: int = 0) -> int:
        """Waits for the first process's number, and returns it in all of them."""
        if self.count == 1:
            return number
        message = torch.tensor(int(number), device=self.device)
        distributed.broadcast(message, src=0)
        return int(message)

    def gathered(self, tensor: Tensor) -> Tensor:
        """The tensors of all processes, which have one shape, by rank."""
        if self.count == 1:
            return tensor.unsqueeze(0)
        every = [torch.empty_like(tensor) for _ in range(self.count)]
        distributed.all_gather(every, tensor.contiguous())
        return torch.stack(every)

    def own_row(self, rows: Tensor) -> Tensor:
        """This process's row of what `gathered` returned.

        Where that many processes were others than these, the first one has the sum of all rows.
        """
        if len(rows) == self.count:
            return rows[self.rank]
        return rows.sum().reshape(1) if self.is_first else rows.new_zeros(1)

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replaces each tensor by its sum over all processes."""
        if self.count == 1 or not tensors:
            return
        # One message: many small ones would each wait for the slowest process.
        message = torch.cat([tensor.flatten() for tensor in tensors])
        distributed.all_reduce(message)
        sums = message.split([tensor.numel() for tensor in tensors])
        for tensor, total in zip(tensors, sums, strict=True):
            tensor.copy_(total.view_as(tensor))

    def add_up_gradients(self, net: nn.Module) -> None:
        """Gives every process the gradient of all images of a batch."""
        if self.count == 1:
            return
        for parameter in net.parameters():
            if parameter.requires_grad and parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        self.add_up(
            [parameter.grad for parameter in net.parameters() if parameter.grad is not None]
        )

    def average_buffers(self, net: nn.Module) -> None:
        """Gives every process the mean of BatchNorm's running statistics."""
        if self.count == 1:
            return
        running = [buffer for buffer in net.buffers() if buffer.is_floating_point()]
        self.add_up(running)
        for buffer in running:
            buffer.div_(self.count)

    def check_same(self, tensors: Mapping[str, Tensor]) -> None:
        """Does nothing if all processes hold the same tensors.

        Raises:
            RuntimeError: they do not.
        """
        if self.count == 1:
            return
        own = torch.frombuffer(bytearray(_digest(tensors)), dtype=torch.uint8).to(self.device)
        digests = self.gathered(own)
        if different := [rank for rank, other in enumerate(digests) if not other.equal(own)]:
            raise RuntimeError(
                f"processes {self.rank} and {different[0]} started from different nets, masks or "
                "checkpoints: give all of them the same code, versions and store"
            )


ALONE = Processes()


@contextmanager
def joined_processes(device: str) -> Iterator[Processes]:
    """The processes that `torchrun` started for this command; otherwise this one alone.

    Args:
        device: "cpu", or "cuda" for a GPU to each process of a machine.

    Raises:
        InputError: there are not enough GPUs.
    """
    if not _is_launched():
        yield ALONE
        return
    on_gpu, local_rank = device == "cuda", int(os.environ["LOCAL_RANK"])
    if on_gpu and local_rank >= torch.cuda.device_count():
        raise InputError(
            f"torchrun started {os.environ['LOCAL_WORLD_SIZE']} processes here, and there are "
            f"{torch.cuda.device_count()} GPUs: use --nproc-per-node with at most as many"
        )
    if on_gpu:
        torch.cuda.set_device(local_rank)
    distributed.init_process_group("nccl" if on_gpu else "gloo", timeout=PATIENCE)
    try:
        yield Processes(distributed.get_rank(), distributed.get_world_size(), torch.device(device))
    finally:
        distributed.destroy_process_group()


def is_first_process() -> bool:
    """Whether this is the process that writes and speaks, before or after they have joined."""
    return not _is_launched() or os.environ["RANK"] == "0"


def _is_launched() -> bool:
    return distributed.is_available() and distributed.is_torchelastic_launched()


def _digest(tensors: Mapping[str, Tensor]) -> bytes:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):  # files give them in any order
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().data)
    return digest.digest()
