"""Two processes that train native layers; what they find is checked here, in each."""

import copy

import torch
from torch import Tensor, distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from wider.sparsity import sparsify, to_native


def net() -> nn.Sequential:
    """Whose convolution, norm and linear layer are native; the same in each process."""
    torch.manual_seed(0)
    layers = nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6), nn.Flatten(), nn.Linear(54, 6)
    plain = sparsify(nn.Sequential(*layers), num_weights=120, seed=0)
    return to_native(plain.eval())


def trained(model: nn.Module, images: Tensor) -> nn.Module:
    """After two steps on these images."""
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(2):
        optimiser.zero_grad()
        model(images).tanh().mean().backward()
        optimiser.step()
    return model


def main() -> None:
    """Raises where a process differs from one that trains alone."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo")
    rank, mesh = distributed.get_rank(), init_device_mesh("cpu", (2,))
    images = torch.randn(8, 4, 5, 5, generator=torch.Generator().manual_seed(1))
    expected = list(trained(net(), images).parameters())
    replicated = trained(DistributedDataParallel(net()), images[rank::2])
    sharded = copy.deepcopy(net())
    for part in (*sharded, sharded):
        if list(part.parameters()):
            fully_shard(part, mesh=mesh)
    trained(sharded, images[rank::2])
    found = [each.full_tensor() for each in sharded.parameters() if isinstance(each, DTensor)]
    for ours in (list(replicated.parameters()), found):
        for own, wanted in zip(ours, expected, strict=True):
            torch.testing.assert_close(own, wanted)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
