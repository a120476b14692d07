"""Native layers behave as the layers that they replace: what each of them inherits."""

import copy
import operator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional
from torch.nn.utils import parametrize, prune
from torch.nn.utils.parametrizations import weight_norm

from wider.errors import InputError
from wider.native import (
    BatchNormReLU,
    NativeBatchNorm2d,
    NativeBatchNormReLU,
    SparseConv2d,
    SparseLayer,
    SparseLinear,
)
from wider.sparsity import (
    connectivity,
    count_weights,
    exclude,
    layer_times,
    mask_of,
    sparsify,
    summary,
    to_masked,
    to_native,
)

from .contract import Contract, seeded

MASK = "parametrizations.weight.0.mask"
SHIFT = nn.Identity()  # a second parametrisation that any weight takes


class WeightContract(Contract):
    """What every native layer with values of its own does."""

    def state(self) -> dict[str, Tensor]:
        """Of another masked layer with the same mask."""
        return {
            name: value + 1 if value.is_floating_point() else value
            for name, value in self.masked().state_dict().items()
        }

    def test_what_is_read_of_the_replaced_layer_is_there(self):
        masked, native = self.pair()
        assert torch.equal(native.weight, masked.weight)
        assert torch.equal(native.bias, masked.bias)
        public = {name for name in vars(masked) if not name.startswith("_")}
        assert "training" in public
        for name in public:
            assert getattr(native, name) == getattr(masked, name), name
        made = type(native)(masked.weight, native.mask(), masked.bias)
        assert public <= {*vars(made)}

    def test_a_net_that_reads_the_weight_gets_its_gradient(self):
        masked, native = self.pair()
        for layer in (masked, native):
            layer.weight.tanh().sum().backward()
        self.assert_same_weight_gradient(native, masked)
        with pytest.raises(KeyError):
            native.weight = nn.Parameter(masked.weight.detach())

    def assert_same_weight_gradient(self, native: Any, masked: Any) -> None:
        stored = masked.parametrizations.weight.original.grad
        torch.testing.assert_close(native.spread(native.values.grad), stored, rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("frozen", ["weight", "bias"])
    def test_gradients_and_frozen_parameters_stay(self, frozen: str):
        layer = self.masked()
        stored = layer.parametrizations.weight.original
        layer(self.inputs()).tanh().sum().backward()
        gradients = stored.grad.clone(), layer.bias.grad.clone()
        stored.no_decay = True
        (stored if frozen == "weight" else layer.bias).requires_grad_(False)
        bias = layer.bias
        to_native(layer)
        assert layer.bias is bias
        assert layer.values.requires_grad == (frozen != "weight")
        assert layer.bias.requires_grad == (frozen != "bias")
        assert torch.equal(layer.spread(layer.values.grad), gradients[0])
        assert layer.values.no_decay
        assert count_weights(layer) == (0 if frozen == "weight" else layer.num_weights)
        to_masked(layer)
        back = layer.parametrizations.weight.original
        assert back.requires_grad == (frozen != "weight")
        assert back.no_decay
        assert torch.equal(back.grad, gradients[0])
        assert torch.equal(layer.bias.grad, gradients[1])

    def test_values_are_decayed_as_weights_are(self):
        _, native = self.pair()
        decayed = [parameter for parameter in native.parameters() if parameter.dim() >= 2]
        assert [id(parameter) for parameter in decayed] == [id(native.values)]

    def test_what_is_excluded_is_not_counted_either_way(self):
        net = nn.Sequential(self.masked(), nn.Linear(3, 3))
        exclude(net, ["0"])
        counts, lines = count_weights(net), str(summary(net))
        assert counts == 9
        assert count_weights(to_native(net)) == counts
        assert connectivity(net) == {"1": 1, "": 1}
        assert str(summary(net)) == lines.replace("masked", "native")
        assert count_weights(to_masked(net)) == counts
        again = to_native(nn.Sequential(self.masked(), nn.Linear(3, 3)))
        exclude(again, ["0"])
        assert count_weights(again) == counts

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            (
                lambda layer: parametrize.register_parametrization(layer, "weight", SHIFT),
                "a second parametrisation",
            ),
            (
                lambda layer: parametrize.register_parametrization(layer, "bias", SHIFT),
                "a parametrised bias",
            ),
            (lambda layer: prune.identity(layer, "bias"), "a bias that is recomputed"),
            (
                lambda layer: layer.parametrizations.weight.original.register_hook(torch.tanh),
                "a hook on its weight",
            ),
            (lambda layer: setattr(layer, "mask", None), "an attribute called mask"),
            (
                lambda layer: setattr(layer, "forward", type(layer).forward.__get__(layer)),
                "a forward of its own",
            ),
        ],
    )
    def test_what_a_native_layer_cannot_do_stays_masked_and_is_said(self, change, reason):
        net = nn.Sequential(self.masked())
        change(net[0])
        expected = net(self.inputs())
        (row,) = layer_times(net, self.inputs())
        assert (row.stays, row.native_seconds) == (reason, None)
        assert mask_of(to_native(net)[0]) is not None
        assert torch.equal(net(self.inputs()), expected)

    def test_a_hook_on_the_values_is_not_lost_in_silence(self):
        _, native = self.pair()
        native.values.register_hook(torch.tanh)
        with pytest.raises(InputError, match="remove the hook before to_masked"):
            to_masked(native)

    def test_layers_with_one_weight_go_on_sharing_it(self):
        first, second = self.masked(), self.masked()
        second.parametrizations.weight.original = first.parametrizations.weight.original
        net = to_native(nn.Sequential(first, second))
        assert first.values is second.values
        to_masked(net)
        stored = [layer.parametrizations.weight.original for layer in (first, second)]
        assert stored[0] is stored[1]
        second.forward = second.forward  # what one of them cannot, none does
        to_native(net)
        assert not any(isinstance(layer, SparseLayer) for layer in net)

    @pytest.mark.parametrize("form", ["dense", "masked", "by parametrize's names"])
    def test_dense_and_masked_states_load(self, form: str):
        state, (masked, native) = self.state(), self.pair()
        masked.load_state_dict(state)
        if form == "dense":
            del state[MASK]
            state["weight"] = torch.where(state["weight"] == 0, 1.0, state["weight"])
        elif form == "by parametrize's names":
            state["parametrizations.weight.original"] = state.pop("weight")
        net = nn.Sequential(native)
        net.load_state_dict({f"0.{name}": value for name, value in state.items()})
        assert torch.equal(native.weight, masked.weight)
        assert torch.equal(native.bias, masked.bias)

    def test_states_of_other_masks_and_shapes_are_refused(self):
        state, (_, native) = self.state(), self.pair()
        before = native.weight.clone()
        with pytest.raises(RuntimeError, match=r"mask keeps other weights.*to_masked"):
            native.load_state_dict(state | {MASK: ~state[MASK]})
        with pytest.raises(RuntimeError, match=r"native layer '': the state's weight is \(1, 2\)"):
            native.load_state_dict({"weight": torch.ones(1, 2), "bias": native.bias})
        with pytest.raises(RuntimeError, match="Missing key"):
            native.load_state_dict({"bias": native.bias})
        assert torch.equal(native.weight, before)

    def test_states_with_flat_values_load(self):
        _, native = self.pair()
        state = native.state_dict()
        state["values"] = state["values"].flatten() + 1
        native.load_state_dict(state)
        assert torch.equal(native.values.flatten(), state["values"])

    def test_derivatives_by_the_values_are_right_in_every_transform(self):
        masked, native = self.pair()
        exact = to_native(copy.deepcopy(masked)).double()

        def loss(layer: Any, inputs: Tensor):
            def of(values: Tensor, image: Tensor) -> Tensor:
                return functional_call(layer, {"values": values}, (image[None],)).tanh().sum()

            return vmap(grad(of), (None, 0))(layer.values.detach(), inputs)

        found, expected = loss(native, self.inputs()), loss(exact, self.inputs().double())
        torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4)

    def test_gradients_of_gradients_are_right(self):
        masked, native = self.pair()
        layers = (nn.Sequential(native, nn.Tanh()), nn.Sequential(masked, nn.Tanh()).double())
        for net, dtype in zip(layers, (torch.float32, torch.float64), strict=True):
            inputs = self.inputs().to(dtype).requires_grad_()
            (slope,) = torch.autograd.grad(net(inputs).sum(), inputs, create_graph=True)
            slope.square().sum().backward()
        stored = masked.parametrizations.weight.original.grad
        found = native.spread(native.values.grad).double()
        torch.testing.assert_close(found, stored, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(
            native.bias.grad.double(), masked.bias.grad, rtol=1e-4, atol=1e-4
        )


class TestLinear(WeightContract):
    native_kind = SparseLinear
    inputs_shape = (5, 20)

    def masked(self) -> Any:
        return sparsify(seeded(lambda: nn.Linear(20, 6)), num_weights=36, seed=0)

    @pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors is in prototype")
    @pytest.mark.parametrize("training", [True, False])
    def test_a_transformer_that_reads_the_weights_computes_the_same(self, training: bool):
        encoder = seeded(lambda: nn.TransformerEncoderLayer(16, 2, 32, 0.0, batch_first=True))
        net = sparsify(nn.TransformerEncoder(encoder, 2), num_weights=400).train(training)
        native: Any = to_native(copy.deepcopy(net))
        assert isinstance(native.layers[0].linear1, SparseLinear)
        # Attention reads its last projection's weight and never calls it.
        assert mask_of(native.layers[0].self_attn.out_proj) is not None
        tokens = torch.randn(3, 5, 16)
        padding = torch.arange(5) >= torch.tensor([[5], [3], [4]])
        for options in ({}, {"src_key_padding_mask": padding}):
            with torch.set_grad_enabled(training):
                torch.testing.assert_close(native(tokens, **options), net(tokens, **options))

    def test_a_function_that_takes_the_weight_computes_the_same(self):
        masked, native = self.pair()
        found, expected = (
            functional.linear(self.inputs(), layer.weight, layer.bias) for layer in (native, masked)
        )
        torch.testing.assert_close(found, expected)


class TestConvolution(WeightContract):
    native_kind = SparseConv2d
    inputs_shape = (5, 4, 9, 8)

    def masked(self) -> Any:
        layer = seeded(lambda: nn.Conv2d(4, 6, 3, stride=2, padding=1))
        return sparsify(layer, num_weights=60, seed=0)

    def test_one_image_without_a_batch_is_taken(self):
        masked, native = self.pair()
        image = self.inputs()[0]
        torch.testing.assert_close(native(image), masked(image))
        with pytest.raises(
            InputError, match=r"\(batch, 4, rows, columns\) or \(4, rows, columns\)"
        ):
            native(image[:3])

    def test_making_one_draws_nothing(self):
        state = torch.random.get_rng_state()
        SparseConv2d(torch.ones(6, 4, 3, 3), torch.ones(6, 4, 3, 3) > 0, None)
        assert torch.equal(torch.random.get_rng_state(), state)


class TestBatchNorm(Contract):
    native_kind = NativeBatchNorm2d
    inputs_shape = (4, 3, 5, 5)

    def masked(self) -> Any:
        return nn.BatchNorm2d(3)


class TestBatchNormReLU(Contract):
    native_kind = NativeBatchNormReLU
    inputs_shape = (4, 3, 5, 5)

    def masked(self) -> Any:
        return BatchNormReLU(3)


def test_a_layer_under_two_names_and_in_a_list_is_one_layer():
    shared = nn.Linear(10, 10)
    net = sparsify(nn.Sequential(shared, nn.ReLU(), shared), num_weights=5)
    to_native(net)
    assert net[0] is net[2] is shared
    assert isinstance(shared, SparseLinear)


def test_weight_norm_on_top_of_a_mask_stays_masked():
    net = sparsify(nn.Sequential(nn.Linear(20, 6)), num_weights=36)
    weight_norm(net[0])
    assert not isinstance(to_native(net)[0], SparseLayer)


def test_a_native_net_can_be_sent_to_a_new_process():
    layers = nn.Conv2d(4, 6, 3), BatchNormReLU(6), nn.BatchNorm2d(6), nn.Flatten(), nn.Linear(54, 6)
    net = to_native(sparsify(nn.Sequential(*layers), num_weights=120).eval()).requires_grad_(False)
    images = torch.randn(5, 4, 5, 5)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        found: Any = pool.submit(operator.call, net, images).result()
    assert torch.equal(found, net(images))
