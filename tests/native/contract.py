"""What every native layer does as the layer that it replaces."""

import copy
import io
import pickle
from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import jacfwd, jacrev, jvp, vmap

from wider.errors import InputError
from wider.sparsity import (
    to_masked,
    to_native,
)


# PyTorch's own forward-mode differentiation calls it.
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
class Contract:
    """What every native layer does, as a test for each kind."""

    native_kind: type[nn.Module]
    inputs_shape: tuple[int, ...]

    def masked(self) -> Any:
        raise NotImplementedError

    def inputs(self) -> Tensor:
        return torch.randn(self.inputs_shape, generator=torch.Generator().manual_seed(1))

    def pair(self) -> tuple[Any, Any]:
        masked = self.masked()
        native = to_native(copy.deepcopy(masked))
        assert isinstance(native, self.native_kind)
        return masked, native

    def test_it_is_the_same_object_with_its_hooks_its_mode_and_what_was_put_into_it(self):
        layer, seen = self.masked().eval(), Counter()

        def remember(name: str):
            def hook(*_: Any) -> None:
                seen[name] += 1

            return hook

        hooks = [
            "forward_hook",
            "forward_pre_hook",
            "full_backward_hook",
            "full_backward_pre_hook",
            "state_dict_post_hook",
            "state_dict_pre_hook",
            "load_state_dict_pre_hook",
            "load_state_dict_post_hook",
        ]
        handles = [getattr(layer, f"register_{name}")(remember(name)) for name in hooks]
        layer.note = "of the user"
        layer.inner = nn.Linear(2, 2)
        kind = type(layer)
        for convert in (to_native, to_masked):
            assert convert(layer) is layer
            assert isinstance(layer, self.native_kind) == (convert is to_native)
            layer(self.inputs().requires_grad_()).sum().backward()
            layer.load_state_dict(layer.state_dict())
            assert seen == dict.fromkeys(hooks, 1)
            assert (layer.note, layer.inner.in_features) == ("of the user", 2)
            assert not layer.training
            seen.clear()
        assert type(layer).__name__ == kind.__name__
        to_native(layer)
        for handle in handles:
            handle.remove()
        layer(self.inputs())
        assert not seen

    def test_it_can_be_copied_pickled_and_saved(self):
        _, native = self.pair()
        native.eval().requires_grad_(False)
        expected = native(self.inputs())
        file = io.BytesIO()
        torch.save(native, file)
        file.seek(0)
        copies = [
            copy.deepcopy(native),
            pickle.loads(pickle.dumps(native)),  # noqa: S301 - our own
            torch.load(file, weights_only=False),
        ]
        for each in copies:
            assert torch.equal(each(self.inputs()), expected)

    def test_export_leaves_the_batch_open(self):
        _, native = self.pair()
        native.eval()
        for dtype in (torch.float32, torch.float64):
            layer, inputs = native.to(dtype), self.inputs().to(dtype)
            batch = torch.export.Dim("batch")
            program = torch.export.export(layer, (inputs,), dynamic_shapes=({0: batch},))
            for count in (2, 5):
                found = program.module()(inputs[:count])
                torch.testing.assert_close(found, layer(inputs[:count]))

    def test_an_export_to_onnx_says_what_to_do(self, monkeypatch: pytest.MonkeyPatch):
        _, native = self.pair()
        monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
        with pytest.raises(InputError, match=r"call wider\.sparsity\.to_masked"):
            torch.export.export(native, (self.inputs(),))

    def test_it_can_be_compiled_and_trained(self):
        _, native = self.pair()
        compiled: Any = torch.compile(copy.deepcopy(native), backend="aot_eager", fullgraph=True)
        for each in (native, compiled):
            each(self.inputs()).tanh().sum().backward()
        for ours, theirs in zip(native.parameters(), compiled.parameters(), strict=True):
            torch.testing.assert_close(ours.grad, theirs.grad)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_autocast_gives_what_it_gives_of_the_replaced_layer(self, dtype: torch.dtype):
        masked, native = self.pair()
        inputs, exact = self.inputs().to(dtype), copy.deepcopy(masked).double()
        outcomes = []
        for layer in (native, masked):
            own = inputs.clone().requires_grad_()
            with torch.autocast("cpu", torch.bfloat16):
                outputs = layer(own)
            outputs.float().tanh().sum().backward()
            to_masked(layer)
            gradients = [parameter.grad for parameter in layer.parameters()]
            outcomes.append([outputs, own.grad, *gradients])
        # bfloat16 keeps 8 bits of a number, of which the gradients are sums.
        for ours, theirs in zip(*outcomes, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0.05, atol=0.05)
        expected = exact(inputs.double())
        torch.testing.assert_close(outcomes[0][0].double(), expected, rtol=2**-8, atol=2**-6)

    def test_forward_mode_is_right(self):
        masked, native = self.pair()
        exact = copy.deepcopy(masked).eval().double()
        native.eval()
        inputs = self.inputs()
        direction = inputs.flip(0) + 1
        expected = jvp(exact, (inputs.double(),), (direction.double(),))[1]
        found = jvp(native, (inputs,), (direction,))[1]
        torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4)
        with torch.autograd.forward_ad.dual_level():
            dual = torch.autograd.forward_ad.make_dual(inputs, direction)
            found = torch.autograd.forward_ad.unpack_dual(native(dual)).tangent
        assert found is not None
        torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4)

    def test_transforms_are_right(self):
        masked, native = self.pair()
        for layer in (masked, native):
            layer.eval()
        inputs = self.inputs()[:2]
        several = torch.stack([inputs, 2 * inputs, inputs - 1])
        torch.testing.assert_close(
            vmap(native)(several), torch.stack([masked(each) for each in several])
        )
        expected = jacrev(masked)(inputs)
        torch.testing.assert_close(jacrev(native)(inputs), expected)
        torch.testing.assert_close(jacfwd(native)(inputs), expected)


def seeded(make):
    """A module whose weights do not depend on the tests before."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make()
