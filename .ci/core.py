"""What the wheel alone can do, without the packages of the study and away from the sources."""

from importlib.util import find_spec

import torch

import wider

assert find_spec("pandas") is None
assert wider.native.is_available(), wider.native.NO_KERNELS

net = wider.models.MLP(80, in_features=784, num_classes=10)
wider.sparsify(net, num_weights=3970, seed=0)
images = torch.rand(40, 784, generator=torch.Generator().manual_seed(0))
scores = net(images)
wider.to_native(net)
torch.testing.assert_close(net(images), scores)
assert wider.count_weights(net) == 3970

advice = wider.theory.best_width(images, base_width=5, widths=[5, 20, 80], num_classes=10)
assert advice.width in (5, 20, 80)


def refusal(name: str) -> str:
    """What is said where a room is touched whose extra is not installed."""
    try:
        getattr(wider, name)
    except ImportError as error:
        return str(error)
    return f"wider.{name} is there"


for name in ("runs", "study", "report", "open_study"):
    assert refusal(name).endswith("is not installed: pip install 'wider[study]'"), refusal(name)
