"""BatchNorm in compiled code, against PyTorch's."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from wider.bench import torch_threads
from wider.native import BatchNormReLU, NativeBatchNorm2d, NativeBatchNormReLU
from wider.sparsity import to_masked, to_native

KINDS = {nn.BatchNorm2d: NativeBatchNorm2d, BatchNormReLU: NativeBatchNormReLU}


def drawn(kind: type[nn.BatchNorm2d], channels: int, seed: int = 0, **options) -> nn.BatchNorm2d:
    generator = torch.Generator().manual_seed(seed)
    norm = kind(channels, **options)
    for name, value in norm.state_dict().items():
        if name == "running_var":
            value.copy_(torch.rand(channels, generator=generator) + 0.5)
        elif name != "num_batches_tracked":
            value.copy_(torch.randn(channels, generator=generator))
    return norm


def outcome(norm: nn.Module, tensors: list[Tensor], direction: Tensor) -> list[Tensor]:
    """The output, its gradients, and what the module remembers."""
    tensors = [tensor.clone().requires_grad_() for tensor in tensors]
    output = norm(*tensors)
    gradients = torch.autograd.grad(output, [*tensors, *norm.parameters()], direction)
    return [output, *gradients, *norm.buffers()]


@given(
    kind=st.sampled_from(list(KINDS)),
    shape=st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(1, 9), st.integers(1, 9)),
    training=st.booleans(),
    residual=st.booleans(),
    momentum=st.sampled_from([0.1, 1.0, None]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=80)
def test_outputs_gradients_and_statistics_are_those_of_double_precision(
    kind, shape, training, residual, momentum, seed
):
    if training and shape[0] * shape[2] * shape[3] == 1:
        return
    norm = drawn(kind, shape[1], seed, momentum=momentum).train(training)
    exact, native = copy.deepcopy(norm).double(), to_native(norm)
    assert type(native) is KINDS[kind]
    generator = torch.Generator().manual_seed(seed)
    tensors = [torch.randn(shape, generator=generator) + 1]
    if residual and kind is BatchNormReLU:
        tensors.append(torch.randn(shape, generator=generator))
    direction = torch.randn(shape, generator=generator)
    expected = outcome(exact, [tensor.double() for tensor in tensors], direction.double())
    # A rounding error near zero may open or close the rectifier: leave such draws out.
    if kind is BatchNormReLU and _is_close_to_zero(exact, tensors):
        return
    # Few numbers of nearly the same size have a variance near 0, which magnifies rounding.
    tolerance = 1e-4 * (1 + float(_scale(tensors[0])))
    for found, wanted in zip(outcome(native, tensors, direction), expected, strict=True):
        torch.testing.assert_close(found.double(), wanted.double(), rtol=1e-4, atol=tolerance)


def _is_close_to_zero(exact: nn.BatchNorm2d, tensors: list[Tensor]) -> bool:
    norm = copy.deepcopy(exact)
    plain = nn.BatchNorm2d.forward(norm, tensors[0].double())
    plain = plain + tensors[1].double() if len(tensors) > 1 else plain
    return bool((plain.abs() < 1e-4).any())


def _scale(features: Tensor) -> Tensor:
    return (1 / features.var((0, 2, 3), unbiased=False).sqrt().clamp(min=1e-3)).max()


@pytest.mark.parametrize("kind", KINDS)
class TestEveryNorm:
    """What each native norm does."""

    def test_it_becomes_native_and_plain_again_as_the_same_object(self, kind):
        norm = drawn(kind, 3)
        parameters = list(norm.parameters())
        assert to_native(norm) is norm
        assert type(norm) is KINDS[kind]
        assert to_masked(norm) is norm
        assert type(norm) is kind
        assert all(a is b for a, b in zip(parameters, norm.parameters(), strict=True))

    @pytest.mark.parametrize("features", [torch.ones(2, 3, 2, 2).double(), torch.ones(2, 3, 0, 2)])
    def test_other_numbers_and_nothing_at_all_go_through_pytorch(self, kind, features):
        plain = drawn(kind, 3).to(features.dtype).eval()
        native = to_native(copy.deepcopy(plain))
        assert torch.equal(native(features), plain(features))

    @pytest.mark.parametrize("options", [{"affine": False}, {"track_running_stats": False}])
    def test_norms_that_lack_something_go_through_pytorch(self, kind, options):
        plain, features = kind(3, **options), torch.randn(4, 3, 5, 5)
        native = to_native(copy.deepcopy(plain))
        assert torch.equal(native(features), plain(features))

    def test_one_number_per_channel_is_refused_in_training_as_pytorch_does(self, kind):
        with pytest.raises(ValueError, match="more than 1 value"):
            to_native(kind(3))(torch.ones(1, 3, 1, 1))

    def test_a_wrong_number_of_channels_is_refused_as_pytorch_does(self, kind):
        with pytest.raises(RuntimeError, match="running_mean"):
            to_native(kind(3))(torch.ones(2, 4, 2, 2))

    def test_infinity_and_nan_survive(self, kind):
        features = torch.randn(2, 3, 4, 4)
        features[0, 0, 0, 0], features[0, 1, 0, 0] = torch.inf, torch.nan
        output = to_native(kind(3))(features)
        assert not output[:, :2].isfinite().any()
        assert output[:, 2].isfinite().all()

    def test_features_in_channels_last_order_give_the_same(self, kind):
        norm = to_native(drawn(kind, 5)).eval()
        features = torch.randn(4, 5, 6, 7)
        turned = features.contiguous(memory_format=torch.channels_last)
        assert torch.equal(norm(features), norm(turned))

    def test_several_threads_give_the_same(self, kind):
        plain, features = drawn(kind, 7), torch.randn(8, 7, 64, 64)
        direction = torch.randn_like(features)
        outcomes = []
        for threads in (1, 3):
            with torch_threads(threads):
                native = to_native(copy.deepcopy(plain))
                outcomes.append(outcome(native, [features], direction))
        for one, several in zip(*outcomes, strict=True):
            assert torch.equal(one, several)

    def test_it_can_be_compiled(self, kind):
        norm, features = to_native(drawn(kind, 3)), torch.randn(4, 3, 5, 5)
        compiled = torch.compile(copy.deepcopy(norm), backend="aot_eager", fullgraph=True)
        torch.testing.assert_close(compiled(features), norm(features))


def test_a_residual_that_is_only_broadcast_goes_through_pytorch():
    plain, features = drawn(BatchNormReLU, 3), torch.randn(4, 3, 5, 5)
    native, residual = to_native(copy.deepcopy(plain)), torch.randn(3, 1, 1)
    assert torch.equal(native(features, residual), plain(features, residual))


def test_plain_batch_norm_relu_is_what_it_says():
    norm, features, residual = drawn(BatchNormReLU, 3), torch.randn(2, 4, 3, 5, 5), None
    features, residual = features
    expected = functional.batch_norm(features, None, None, norm.weight, norm.bias, training=True)
    assert torch.equal(norm(features), expected.relu())
    assert torch.equal(norm(features, residual), (expected + residual).relu())


@pytest.mark.parametrize("rectify", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("has_residual", [True, False])
def test_the_operator_passes_opcheck(rectify, training, has_residual):
    features = torch.randn(4, 3, 5, 6, requires_grad=True)
    residual = torch.randn(4, 3, 5, 6, requires_grad=True) if has_residual else None
    weight, bias = torch.randn(3, requires_grad=True), torch.randn(3, requires_grad=True)
    arguments = (features, residual, weight, bias, torch.zeros(3), torch.ones(3), 1e-5)
    operator = torch.ops.wider.batch_norm.default
    torch.library.opcheck(operator, (*arguments, training, rectify))
