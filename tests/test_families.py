import math
import pickle
import random
import warnings

import numpy as np
import pytest
import torch
from torch import nn

import wider
from wider import Family, InputError
from wider.models import MLP, ResNet18
from wider.randomness import default_generator_from
from wider.sparsity import (
    ALLOCATIONS,
    BudgetWarning,
    connectivity,
    count_weights,
    mask_of,
    weight_layers,
)

WIDTHS = [5, 10, 20, 40, 80, 160, 320, 640]
MEMBERS = ["dense", "sparse", "linear_bottleneck", "nonlinear_bottleneck"]  # Family's methods
every_member = pytest.mark.parametrize("member", MEMBERS)
CONSTANT = [member for member in MEMBERS if member != "dense"]
every_constant_member = pytest.mark.parametrize("member", CONSTANT)


def papers_family(**keywords):
    return Family(MLP, base_width=5, in_features=784, num_classes=10, **keywords)


def family_for(member):
    """The paper's family, with a hidden layer more where one is narrowed and one is widened."""
    return papers_family(num_hidden_layers=2 if member == "nonlinear_bottleneck" else 1)


def resnets(base_width=8, **keywords):
    return Family(ResNet18, base_width=base_width, **keywords)


def member_of(family, member, width, seed=0):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BudgetWarning)
        return getattr(family, member)(width, seed=seed)


def budget_of(family, member):
    return family.num_explicit_weights if member == "linear_bottleneck" else family.num_weights


def convolutional(width, channels=3):
    """A user's architecture: a plain callable."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 3),
        nn.BatchNorm2d(width),
        nn.Conv2d(width, width, 3),
        nn.Flatten(),
        nn.Linear(width * 16, 10),
    )


class Narrowing(nn.Sequential):
    """A user's architecture that takes part in non-linear bottlenecks."""

    def __init__(self, width, *, channels=3, narrowed=None):
        (middle,) = narrowed or self.narrowed_widths(width)
        convolutions = nn.Conv2d(channels, middle, 3), nn.ReLU(), nn.Conv2d(middle, width, 3)
        super().__init__(*convolutions, nn.Flatten(), nn.Linear(width, 10))

    @staticmethod
    def narrowed_widths(width, **_keywords):
        return (width,)


def same_net(one, other):
    states = one.state_dict(), other.state_dict()
    return list(states[0]) == list(states[1]) and all(map(torch.equal, *map(dict.values, states)))


def global_states():
    """The states of all generators that belong to everybody."""
    return torch.get_rng_state().tolist(), pickle.dumps(np.random.get_state()), random.getstate()  # noqa: NPY002


def masks_of(net):
    masks = {name: mask_of(layer) for name, layer in weight_layers(net).items()}
    return {name: mask for name, mask in masks.items() if mask is not None}


def test_the_budget_is_that_of_the_papers_baseline():
    assert papers_family().num_weights == 3970


@pytest.mark.parametrize("allocation", ALLOCATIONS)
@pytest.mark.parametrize("width", WIDTHS)
def test_every_sparse_member_has_the_budget(width, allocation):
    net = papers_family().sparse(width, allocation=allocation)
    assert count_weights(net) == 3970
    assert sum(int(layer.weight.count_nonzero()) for layer in weight_layers(net).values()) == 3970
    assert connectivity(net)[""] == 5 / width


@pytest.mark.parametrize("last", [0.1, 0.3, 0.5, 0.7, 1.0])
def test_figure_4_sets_the_connectivity_of_the_last_layer(last):
    net = papers_family().sparse(80, allocation={"output": last})
    parts = connectivity(net)
    assert parts["output"] == last  # 800 weights
    assert parts["hidden.0"] == (3970 - 800 * last) / 62_720


@pytest.mark.parametrize("width", WIDTHS)
def test_the_dense_control_grows(width):
    assert count_weights(papers_family().dense(width)) == 794 * width


@pytest.mark.parametrize("allocation", ALLOCATIONS)
def test_the_sparse_member_of_the_base_width_is_the_dense_one_bit_for_bit(allocation):
    family = papers_family()
    assert same_net(family.sparse(5, seed=3, allocation=allocation), family.dense(5, seed=3))


def test_sparse_and_dense_members_start_from_the_same_weights():
    family = papers_family()
    sparse, dense = family.sparse(80, seed=3), family.dense(80, seed=3)
    assert torch.equal(
        weight_layers(sparse)["output"].weight, weight_layers(dense)["output"].weight
    )
    mask = mask_of(weight_layers(sparse)["hidden.0"])
    assert mask is not None
    scale = math.sqrt(62_720 / 3170)
    torch.testing.assert_close(
        weight_layers(sparse)["hidden.0"].weight,
        weight_layers(dense)["hidden.0"].weight * scale * mask,
        rtol=3e-7,  # two roundings of float32
        atol=0,
    )


# What every member promises


@every_member
def test_a_member_computes_scores_at_its_width(member):
    net = member_of(family_for(member), member, 40)
    assert isinstance(net, MLP)
    assert net.hidden[-1](torch.zeros(2, 784 if len(net.hidden) == 1 else 4)).shape == (2, 40)
    assert net(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


@every_member
def test_a_member_is_reproducible_and_its_seed_counts(member):
    family = family_for(member)
    net = member_of(family, member, 40, seed=1)
    assert same_net(net, member_of(family_for(member), member, 40, seed=1))
    assert not same_net(net, member_of(family, member, 40, seed=2))


@every_member
def test_members_share_no_tensor(member):
    family = family_for(member)
    one, other = (member_of(family, member, 40) for _ in range(2))
    with torch.no_grad():
        for parameter in one.parameters():
            parameter.zero_()
    assert all(parameter.any() for parameter in other.parameters())


@every_member
def test_a_member_neither_touches_nor_asks_a_global_generator(member):
    family = family_for(member)
    before = global_states()
    net = member_of(family, member, 40)
    assert global_states() == before
    with default_generator_from(99, "elsewhere"):
        assert same_net(net, member_of(family, member, 40))


@every_member
@pytest.mark.parametrize("width", [4, 1, 0, -5])
def test_a_width_below_the_base_width_is_refused(member, width):
    with pytest.raises(InputError, match=f"width {width} is below the family's base width 5"):
        member_of(family_for(member), member, width)


@every_member
def test_keywords_reach_the_architecture(member):
    family = Family(
        MLP, base_width=4, in_features=6, num_classes=3, num_hidden_layers=2, bias=False
    )
    assert family.num_weights == 6 * 4 + 4 * 4 + 4 * 3
    net = member_of(family, member, 8)
    layers = {name.removesuffix(".down").removesuffix(".up") for name in weight_layers(net)}
    assert layers == {"hidden.0", "hidden.1", "output"}
    assert all(layer.bias is None for layer in weight_layers(net).values())


@every_member
def test_any_callable_is_an_architecture(member):
    narrowing = member == "nonlinear_bottleneck"
    family = Family(Narrowing if narrowing else convolutional, base_width=4, channels=1)
    net = member_of(family, member, 8)
    assert net(torch.randn(2, 1, 5, 5) if narrowing else torch.randn(2, 1, 8, 8)).shape == (2, 10)
    if member != "dense":
        assert count_weights(net) <= budget_of(family, member)


@every_constant_member
def test_the_member_of_the_base_width_has_exactly_the_budget(member):
    for family in (family_for(member), resnets()):
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # so there is nothing to report
            net = getattr(family, member)(family.base_width)
        assert count_weights(net) == budget_of(family, member)


@every_constant_member
@pytest.mark.parametrize("num_hidden_layers", [2, 3, 4])
@pytest.mark.parametrize("width", [8, 9, 12, 17, 32])
def test_deep_mlps_keep_the_budget(member, num_hidden_layers, width):
    family = Family(
        MLP, base_width=8, in_features=12, num_classes=4, num_hidden_layers=num_hidden_layers
    )
    net = member_of(family, member, width)
    budget = budget_of(family, member)
    # Less than the dearest channel is left: one input and one output of every wide layer.
    assert budget - 2 * (width + 12) < count_weights(net) <= budget


# Sparse members


def test_a_users_architecture_keeps_the_budget():
    family = Family(convolutional, base_width=4)
    assert family.num_weights == 3 * 4 * 9 + 4 * 4 * 9 + 4 * 16 * 10
    assert count_weights(family.dense(8)) == 3 * 8 * 9 + 8 * 8 * 9 + 8 * 16 * 10
    assert count_weights(family.sparse(8)) == family.num_weights


def test_a_lambda_is_an_architecture():
    family = Family(lambda width: nn.Linear(7, width), base_width=2)
    assert count_weights(family.sparse(9)) == family.num_weights == 14


def test_masks_and_initial_weights_are_separate_streams_of_one_seed():
    """Else the mask would be a function of the very numbers that the weights were drawn from."""
    family = papers_family()
    net, dense = family.sparse(80, seed=0), family.dense(80, seed=0)
    mask = mask_of(weight_layers(net)["hidden.0"])
    assert mask is not None
    for values in (
        weight_layers(dense)["hidden.0"].weight.detach(),
        weight_layers(dense)["hidden.0"].weight.detach().abs(),
    ):
        standard_error = values.std() * math.sqrt(1 / 3170 - 1 / 62_720)
        assert abs(values[mask].mean() - values.mean()) < 4 * standard_error


def test_masks_depend_on_the_seed_and_not_on_the_parametrization():
    one = masks_of(papers_family().sparse(80, seed=4))
    other = masks_of(papers_family(parametrization="ntk").sparse(80, seed=4))
    third = masks_of(papers_family().sparse(80, seed=5))
    assert torch.equal(one["hidden.0"], other["hidden.0"])
    assert not torch.equal(one["hidden.0"], third["hidden.0"])


def test_the_pattern_is_passed_on_and_its_deviation_reported():
    family = Family(convolutional, base_width=4)
    with pytest.warns(BudgetWarning, match=r"instead of 892 \([+-]\d+\)"):
        net = family.sparse(8, pattern="io")
    for layer in weight_layers(net).values():
        mask = mask_of(layer)
        if mask is not None:
            kernels = mask.reshape(*mask.shape[:2], -1)
            assert torch.equal(kernels.all(-1), kernels.any(-1))
    assert mask_of(weight_layers(net)["2"]) is not None


def test_an_allocation_that_empties_a_layer_is_refused():
    family = Family(MLP, base_width=1, in_features=10, num_classes=1, num_hidden_layers=2)
    with pytest.raises(InputError, match="leaves layer 'output' with nothing"):
        family.sparse(100, allocation="proportional")  # 12 weights of 11,100: 0.1 of 100


# The family itself


@pytest.mark.parametrize("base_width", [0, -1])
def test_a_base_width_below_one_is_refused(base_width):
    with pytest.raises(InputError, match=f"base_width is {base_width}; it must be at least 1"):
        Family(MLP, base_width=base_width)


def test_the_budget_costs_no_global_randomness():
    before = torch.get_rng_state()
    assert papers_family().num_weights == 3970
    assert torch.equal(torch.get_rng_state(), before)


def test_the_public_names_are_those_of_the_design():
    assert wider.Family is Family
    assert wider.count_weights is count_weights
    assert wider.connectivity is connectivity
    assert wider.sparsify is wider.sparsity.sparsify
