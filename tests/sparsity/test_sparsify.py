import copy
import math
import pickle
import random
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune
from torch.nn.utils.parametrize import is_parametrized

from wider.errors import InputError
from wider.models import NTKLinear
from wider.randomness import default_generator_from
from wider.sparsity import (
    ALLOCATIONS,
    PATTERNS,
    BudgetWarning,
    connectivity,
    count_weights,
    exclude,
    mask_of,
    matrices,
    sparsify,
    summary,
    weight_layers,
)


class Block(nn.Module):
    """A residual block, for nets with modules in modules."""

    def __init__(self, channels):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU()
        )

    def forward(self, images):
        return images + self.body(images)


def mlp():
    return nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 5)), (20,)


def linear():
    return nn.Linear(12, 9), (12,)


def conv1d():
    return nn.Sequential(nn.Conv1d(3, 8, 5), nn.ReLU(), nn.Conv1d(8, 4, 3)), (3, 12)


def conv2d():
    layers = nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(128, 10)
    return nn.Sequential(*layers), (3, 6, 6)


def conv3d():
    return nn.Sequential(nn.Conv3d(2, 6, 3), nn.Conv3d(6, 3, (1, 2, 3))), (2, 5, 5, 5)


def transposed():
    layers = nn.ConvTranspose1d(3, 8, 4), nn.Unflatten(1, (8, 1)), nn.ConvTranspose2d(8, 2, 2)
    return nn.Sequential(*layers, nn.Unflatten(1, (2, 1)), nn.ConvTranspose3d(2, 3, 2)), (3, 5)


def grouped():
    layers = nn.Conv2d(8, 16, 3, groups=4), nn.ConvTranspose2d(16, 8, 2, groups=2)
    return nn.Sequential(*layers), (8, 5, 5)


def nested():
    return nn.Sequential(nn.Conv2d(3, 6, 1), Block(6), nn.Sequential(Block(6))), (3, 4, 4)


def used_twice():
    layer = nn.Linear(15, 15)
    return nn.Sequential(nn.Linear(10, 15), layer, nn.ReLU(), layer), (10,)


def transformer():
    return nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, dropout=0.0), (3, 8)


NETS = [
    mlp,
    linear,
    conv1d,
    conv2d,
    conv3d,
    transposed,
    grouped,
    nested,
    used_twice,
    transformer,
]
every_net = pytest.mark.parametrize("build", NETS)
every_allocation = pytest.mark.parametrize("allocation", ALLOCATIONS)


def built(build, seed=0):
    with default_generator_from(seed, "tests"):
        return build()


def copied_state(net):
    return {name: tensor.clone() for name, tensor in net.state_dict().items()}


def same_state(one, other):
    return list(one) == list(other) and all(torch.equal(one[name], other[name]) for name in one)


def global_states():
    """The states of all generators that belong to everybody."""
    return torch.get_rng_state().tolist(), pickle.dumps(np.random.get_state()), random.getstate()  # noqa: NPY002


def num_nonzero(matrix):
    """Of what its module computes with."""
    return int(getattr(matrix.module, matrix.piece.parameter)[matrix.rows].count_nonzero())


def mask_on(net, name):
    mask = mask_of(weight_layers(net)[name])
    assert mask is not None
    return mask


def masks_of(net):
    masks = {name: mask_of(layer) for name, layer in weight_layers(net).items()}
    return {name: mask for name, mask in masks.items() if mask is not None}


# The budget


@every_allocation
@every_net
@pytest.mark.parametrize("part", [0.1, 0.5, 0.93])
def test_the_budget_is_met_exactly_and_the_net_still_runs(build, allocation, part):
    net, shape = built(build)
    num_weights = round(part * count_weights(net))
    assert sparsify(net, num_weights=num_weights, allocation=allocation) is net
    assert count_weights(net) == num_weights
    assert sum(num_nonzero(matrix) for matrix in matrices(net).values()) == num_weights
    outputs = net(torch.randn(2, *shape))
    outputs.square().sum().backward()
    assert outputs.isfinite().all()


@every_net
def test_one_weight_a_layer_is_enough(build):
    net, _ = built(build)
    num_matrices = len(matrices(net))
    sparsify(net, num_weights=num_matrices)
    assert count_weights(net) == num_matrices
    assert all(matrix.kept == 1 for matrix in matrices(net).values())


@every_net
@every_allocation
def test_the_full_budget_leaves_the_net_as_it_was(build, allocation):
    net, _ = built(build)
    before = copied_state(net)
    sparsify(net, num_weights=count_weights(net), allocation=allocation)
    assert same_state(net.state_dict(), before)


@pytest.mark.parametrize("pattern", PATTERNS)
@every_net
def test_every_pattern_stays_within_a_kernel_a_layer(build, pattern):
    net, _ = built(build)
    num_weights = count_weights(net) // 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BudgetWarning)
        sparsify(net, num_weights=num_weights, pattern=pattern)
    kernels = [math.prod(layer.weight.shape[2:]) for layer in weight_layers(net).values()]
    assert abs(count_weights(net) - num_weights) <= sum(kernel - 1 for kernel in kernels)


def test_an_explicit_allocation_is_obeyed():
    net, _ = built(mlp)
    sparsify(net, num_weights=250, allocation={"2": 0.5})
    assert connectivity(net) == {"0": 175 / 600, "2": 0.5, "": 250 / 750}


@pytest.mark.parametrize(
    ("num_weights", "message"),
    [
        # One kernel of 9 a step; 5 kernels of 45, 6 of 54.
        (47, "45 weights instead of 47 (-2)"),
        (52, "54 weights instead of 52 (+2)"),
        (1, "9 weights instead of 1 (+8)"),
        (1148, "1,152 weights instead of 1,148 (+4)"),
    ],
)
def test_io_says_by_how_much_it_misses_the_budget(num_weights, message):
    with pytest.warns(BudgetWarning) as caught:
        sparsify(nn.Conv2d(8, 16, 3), num_weights=num_weights, pattern="io")
    assert [str(warning.message) for warning in caught] == [f"pattern 'io' keeps {message}"]
    assert caught[0].filename == __file__  # the line to change is the caller's


def test_io_is_silent_where_it_meets_the_budget():
    net = nn.Sequential(nn.Conv2d(8, 16, 3), nn.Flatten(), nn.Linear(16, 10))
    sparsify(net, num_weights=457, allocation={"0": 450}, pattern="io")
    assert count_weights(net) == 457


# The initial weights


@every_net
def test_kept_weights_and_biases_are_divided_by_the_root_of_the_connectivity(build):
    dense, _ = built(build)
    sparse, _ = built(build)
    sparsify(sparse, num_weights=count_weights(dense) // 4)
    parts = connectivity(sparse)
    for name, layer in weight_layers(sparse).items():
        original = weight_layers(dense)[name]
        mask = mask_of(layer)
        mask = torch.ones_like(layer.weight, dtype=torch.bool) if mask is None else mask
        scale = 1 / math.sqrt(parts[name])
        # rtol: two roundings of float32.
        torch.testing.assert_close(
            layer.weight, torch.where(mask, original.weight * scale, 0.0), rtol=3e-7, atol=0
        )
        if layer.bias is not None and original.bias is not None:
            torch.testing.assert_close(layer.bias, original.bias * scale, rtol=3e-7, atol=0)


@pytest.mark.parametrize(
    ("layer", "fan_in"),
    [
        (lambda: nn.Linear(200, 500), 200),
        (lambda: nn.Conv1d(40, 500, 5), 40 * 5),
        (lambda: nn.Conv2d(20, 500, 3), 20 * 9),
        (lambda: nn.Conv2d(80, 500, 3, groups=4), 20 * 9),
    ],
)
@pytest.mark.parametrize("part", [0.05, 0.5])
def test_initial_weights_are_uniform_with_the_effective_fan_in(layer, fan_in, part):
    with default_generator_from(0, "tests"):
        net = layer()
    num_weights = round(part * count_weights(net))
    sparsify(net, num_weights=num_weights)
    mask = mask_on(net, "")
    kept = net.weight[mask].detach().double()
    bound = 1 / math.sqrt(fan_in * num_weights / mask.numel())
    assert kept.abs().max() <= bound * (1 + 1e-6)
    assert kept.abs().max() > bound * (1 - 20 / num_weights)  # missed once in exp(20) nets
    # A uniform's kurtosis is 9/5, so the standard error of its deviation s is s sqrt(0.2 / n).
    deviation = bound / math.sqrt(3)
    assert abs(kept.std() - deviation) < 4 * deviation * math.sqrt(0.2 / num_weights)
    assert abs(kept.mean()) < 4 * deviation / math.sqrt(num_weights)
    assert net.bias.abs().max() <= bound * (1 + 1e-6)
    assert net.bias.abs().max() > bound * (1 - 20 / net.bias.numel())


@pytest.mark.parametrize("part", [0.05, 0.5])
def test_initial_ntk_weights_are_normal_with_variance_one_over_connectivity(part):
    with default_generator_from(0, "tests"):
        net = NTKLinear(200, 500)
    num_weights = round(part * count_weights(net))
    sparsify(net, num_weights=num_weights)
    kept = net.weight[mask_on(net, "")].detach().double()
    # A normal's kurtosis is 3, so the standard error of its deviation s is s sqrt(0.5 / n).
    deviation = 1 / math.sqrt(part)
    assert abs(kept.std() - deviation) < 4 * deviation * math.sqrt(0.5 / num_weights)
    assert abs(net.bias.std() - deviation) < 4 * deviation * math.sqrt(0.5 / 500)
    assert abs(kept.pow(4).mean() / kept.var() ** 2 - 3) < 4 * math.sqrt(24 / num_weights)


@pytest.mark.parametrize(
    ("layer", "variance"),
    [
        (lambda: nn.Linear(200, 20_000, bias=False), 1 / 3),  # x of length sqrt(fan_in)
        (lambda: NTKLinear(200, 20_000, bias=False), 1.0),
    ],
)
def test_the_outputs_keep_their_variance(layer, variance):
    with default_generator_from(0, "tests"):
        net = layer()
        images = torch.randn(200)
    images *= math.sqrt(200) / images.norm()
    sparsify(net, num_weights=round(0.1 * count_weights(net)))
    squares = net(images).detach().double().square()
    assert abs(squares.mean() - variance) < 4 * squares.std() / math.sqrt(20_000)


def test_layers_that_keep_everything_are_untouched_bit_for_bit():
    dense, _ = built(mlp)
    sparse, _ = built(mlp)
    sparsify(sparse, num_weights=400, allocation={"2": 1.0})
    assert not is_parametrized(sparse.get_submodule("2"))
    assert same_state(sparse[2].state_dict(), dense[2].state_dict())


def test_other_parameters_are_untouched():
    dense, _ = built(conv2d)
    sparse, _ = built(conv2d)
    sparsify(sparse, num_weights=100)
    assert same_state(sparse[1].state_dict(), dense[1].state_dict())


def test_frozen_layers_are_left_alone():
    net = nn.Sequential(nn.Linear(10, 10), nn.Linear(10, 10))
    net[0].requires_grad_(False)
    frozen = copied_state(net[0])
    sparsify(net, num_weights=30)
    assert same_state(net[0].state_dict(), frozen)
    assert count_weights(net) == 30


def test_parameters_stay_trainable_and_in_their_dtype():
    net = sparsify(nn.Linear(10, 10).double(), num_weights=30)
    assert net.weight.dtype == torch.float64
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert len(list(net.parameters())) == 2


def test_attention_computes_the_same_on_the_fast_path_and_the_slow_one():
    net, _ = built(transformer)
    sparsify(net, num_weights=100)
    images = torch.randn(2, 3, 8)
    slow = net.train()(images)
    with torch.no_grad():
        fast = net.eval()(images)
    torch.testing.assert_close(fast, slow.detach())


# The masks


@every_net
def test_the_same_seed_gives_the_same_masks_whatever_the_initial_weights(build):
    nets = [built(build, seed=seed)[0] for seed in (0, 1)]
    for net in nets:
        sparsify(net, num_weights=count_weights(net) // 3, seed=5)
    one, other = map(masks_of, nets)
    assert one
    assert same_state(one, other)


def test_different_seeds_give_different_masks():
    masks = [
        masks_of(sparsify(built(mlp)[0], num_weights=200, seed=seed))["0"] for seed in range(9)
    ]
    assert len({tuple(mask.flatten().tolist()) for mask in masks}) == 9


def test_layers_of_the_same_shape_get_different_masks():
    net = sparsify(nn.Sequential(nn.Linear(9, 9), nn.Linear(9, 9)), num_weights=80)
    assert mask_on(net, "0").sum() == mask_on(net, "1").sum()
    assert not torch.equal(mask_on(net, "0"), mask_on(net, "1"))


def test_a_mask_depends_on_the_name_and_shape_of_its_layer_only():
    alone = nn.Sequential()
    alone.add_module("one", nn.Linear(20, 30))
    with_others = nn.Sequential()
    with_others.add_module("before", nn.Linear(7, 20))
    with_others.add_module("one", nn.Conv1d(20, 30, 1))
    with_others.add_module("after", nn.Linear(30, 9))
    sparsify(alone, num_weights=100, seed=3)
    sparsify(with_others, num_weights=160, allocation={"one": 100, "after": 20}, seed=3)
    assert torch.equal(mask_on(alone, "one"), mask_on(with_others, "one")[..., 0])


def test_masks_do_not_look_at_the_weights():
    """The kept weights are as large as the removed ones, although both come from one seed."""
    with default_generator_from(0, "initial weights"):
        net = nn.Linear(300, 300)
    dense = net.weight.detach().clone()
    sparsify(net, num_weights=45_000, seed=0)
    for values in (dense, dense.abs()):
        kept = values[mask_on(net, "")]
        standard_error = values.std() * math.sqrt(1 / 45_000 - 1 / 90_000)
        assert abs(kept.mean() - values.mean()) < 4 * standard_error


def test_no_global_generator_is_touched_or_asked():
    net, _ = built(mlp)
    other = copy.deepcopy(net)
    before = global_states()
    sparsify(net, num_weights=200)
    assert global_states() == before
    with default_generator_from(99, "elsewhere"):
        sparsify(other, num_weights=200)
    assert same_state(net.state_dict(), other.state_dict())


# What is refused, and that the net is then as it was


def tied_embedding():
    embedding, layer = nn.Embedding(9, 6), nn.Linear(6, 9)
    layer.weight = embedding.weight
    return nn.Sequential(embedding, layer)


def tied_to_a_bare_parameter():
    layer, other = nn.Linear(6, 6), nn.ReLU()
    other.extra = layer.weight
    return nn.Sequential(layer, other)


def sparse_already():
    return sparsify(nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6)), num_weights=50)


def weight_normed():
    return nn.Sequential(nn.Linear(6, 6), parametrizations.weight_norm(nn.Linear(6, 6)))


def weight_normed_by_hook():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # deprecated, and still in use
        return nn.Sequential(nn.Linear(6, 6), nn.utils.weight_norm(nn.Linear(6, 6)))


def spectral_normed_by_hook():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return nn.Sequential(nn.Linear(6, 6), nn.utils.spectral_norm(nn.Linear(6, 6)))


def weight_normed_and_spectral_normed():
    norms = parametrizations.weight_norm, parametrizations.spectral_norm
    return nn.Sequential(nn.Linear(6, 6), *(norm(nn.Linear(6, 6)) for norm in norms))


def pruned():
    return nn.Sequential(
        nn.Linear(6, 6), prune.random_unstructured(nn.Linear(6, 6), "weight", amount=9)
    )


def weightless():
    return nn.Sequential(nn.BatchNorm1d(6), nn.ReLU())


def frozen():
    return nn.Linear(6, 6).requires_grad_(False)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (tied_embedding, r"at least one trainable"),
        (tied_to_a_bare_parameter, r"'0\.weight' and '1\.extra' are one tied tensor"),
        (sparse_already, r"weight of layer '0' is parametrised already"),
        (weight_normed, r"weight of layer '1' is parametrised already"),
        (weight_normed_by_hook, r"layer '1'"),
        (spectral_normed_by_hook, r"layer '1'"),
        (pruned, r"layer '1'"),
        (weightless, r"at least one trainable matrix .* wider\.sparsity\.register"),
        (frozen, r"at least one trainable matrix .* wider\.sparsity\.register"),
    ],
)
def test_a_net_that_cannot_be_sparsified_is_refused_and_left_as_it_was(build, message):
    net = build()
    before, parametrized = copied_state(net), [is_parametrized(part) for part in net.modules()]
    with pytest.raises(InputError, match=message):
        sparsify(net, num_weights=20)
    assert same_state(net.state_dict(), before)
    assert [is_parametrized(part) for part in net.modules()] == parametrized


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"num_weights": 751}, "larger than the net"),
        ({"num_weights": 1}, "leaves a layer with nothing"),
        ({"num_weights": 200, "allocation": "none"}, "unknown allocation"),
        ({"num_weights": 200, "allocation": {"1": 0.5}}, "does not have"),
        ({"num_weights": 200, "pattern": "none"}, "unknown pattern"),
    ],
)
def test_an_impossible_wish_is_refused_and_the_net_left_as_it_was(keywords, message):
    net, _ = built(mlp)
    before = copied_state(net)
    with pytest.raises(InputError, match=message):
        sparsify(net, **keywords)
    assert same_state(net.state_dict(), before)


@pytest.mark.parametrize(
    ("build", "left_out"),
    [
        (weight_normed_by_hook, ["1"]),
        (spectral_normed_by_hook, ["1"]),
        (pruned, ["1"]),
        (weight_normed_and_spectral_normed, ["1", "2"]),
    ],
)
def test_a_layer_that_another_tool_changed_can_be_left_out_with_all_its_tensors(build, left_out):
    net = build()
    sparsify(net, num_weights=20, exclude=left_out)  # no warning of what is not counted
    assert count_weights(net) == 20
    assert {tensor.kind for tensor in summary(net).tensors[1:]} == {"excluded"}
    assert net(torch.randn(2, 6)).isfinite().all()


@pytest.mark.parametrize("on_meta", [(0, 1, 2), (1,)])
def test_a_net_without_numbers_is_refused_whole(on_meta):
    net = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 6))
    for number in on_meta:
        net[number].to("meta")
    before = copied_state(net)
    assert count_weights(net) == 108
    name = str(on_meta[0])
    with pytest.raises(InputError, match=rf"layer '{name}' is on the meta device"):
        sparsify(net, num_weights=20, exclude=["2"])
    assert not any(is_parametrized(layer) for layer in net)
    assert count_weights(net) == 108  # what was to be left out is not
    real = [key for key, tensor in before.items() if not tensor.is_meta]
    assert same_state({key: net.state_dict()[key] for key in real}, {k: before[k] for k in real})


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"num_weights": 700, "exclude": ["2"]}, "larger than the net"),
        ({"num_weights": 200, "exclude": ["0", "2"]}, "at least one trainable matrix"),
        ({"num_weights": 200, "exclude": ["2"], "pattern": "none"}, "unknown pattern"),
        ({"num_weights": 200, "exclude": ["2", "head"]}, "matches no matrix"),
    ],
)
def test_a_refusal_forgets_what_was_to_be_left_out_but_not_what_was_before(keywords, message):
    net, _ = built(mlp)
    with pytest.raises(InputError, match=message):
        sparsify(net, **keywords)
    assert count_weights(net) == 750
    exclude(net, ["0"])
    with pytest.raises(InputError):
        sparsify(net, **keywords)
    assert count_weights(net) == 150


def test_a_lazy_net_is_refused_until_it_knows_its_shapes():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "lazy modules are a new feature"
        lazy = nn.LazyLinear(6)
    layer = nn.Linear(6, 6)
    net, before = nn.Sequential(lazy, layer), layer.weight.clone()
    with pytest.raises(InputError, match="run one batch through the net first"):
        sparsify(net, num_weights=20)
    assert torch.equal(layer.weight, before)
    net(torch.zeros(1, 6))
    assert count_weights(sparsify(net, num_weights=20)) == 20


def test_a_tied_tensor_that_is_frozen_is_no_obstacle():
    layers = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 6)
    layers[1].weight = layers[0].weight
    layers[0].weight.requires_grad_(False)
    assert count_weights(sparsify(nn.Sequential(*layers), num_weights=20)) == 20


def test_a_bias_that_two_layers_share_is_refused_and_left_as_it_was():
    layers = nn.Linear(6, 6), nn.Linear(6, 6)
    layers[1].bias = layers[0].bias
    before = layers[0].bias.detach().clone()
    with pytest.raises(InputError, match=r"'0\.bias' and '1\.bias' are one tied tensor"):
        sparsify(nn.Sequential(*layers), num_weights=18)
    assert torch.equal(layers[0].bias, before)
