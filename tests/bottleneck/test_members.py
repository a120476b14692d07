"""The members of a family that have bottlenecks."""

import warnings

import pytest
import torch
from torch import nn

from wider import Family, InputError
from wider.bottleneck import LinearBottleneck
from wider.models import MLP, ResNet18
from wider.sparsity import BudgetWarning, count_weights, weight_layers


def papers_family(**keywords):
    return Family(MLP, base_width=5, in_features=784, num_classes=10, **keywords)


def resnets(base_width=8):
    return Family(ResNet18, base_width=base_width)


def member_of(family, member, width):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BudgetWarning)
        return getattr(family, member)(width)


def budget_of(family, member):
    return family.num_explicit_weights if member == "linear_bottleneck" else family.num_weights


def same_net(one, other):
    states = one.state_dict(), other.state_dict()
    return list(states[0]) == list(states[1]) and all(map(torch.equal, *map(dict.values, states)))


# The budget at every width


def without_memory(family, member, width):
    """The net, and what is said about it; its weights are not needed."""
    with warnings.catch_warnings(record=True) as caught, torch.device("meta"):
        warnings.simplefilter("always")
        net = getattr(family, member)(width)
    return net, [str(warning.message) for warning in caught]


def reported_deviation(family, member, width):
    """By how much a member misses its budget, as the warning says it."""
    net, said = without_memory(family, member, width)
    budget, count = budget_of(family, member), count_weights(net)
    kind = {"linear_bottleneck": "linear", "nonlinear_bottleneck": "non-linear"}[member]
    expected = (
        f"{kind} bottlenecks have whole channels: {count:,} weights instead of {budget:,} "
        f"({count - budget:+,})"
    )
    assert said == ([expected] if count != budget else [])
    return count - budget


LINEAR_WIDTHS = {8: [8, 16, 32, 64], 16: [16, 128], 18: [18, 36, 64, 128, 256], 64: [128, 256]}
NONLINEAR_WIDTHS = {8: [8, 16, 32], 18: [18, 36, 64, 128], 64: [64, 128, 256]}


def pairs(widths_of):
    return [(base_width, width) for base_width, widths in widths_of.items() for width in widths]


@pytest.mark.parametrize(("base_width", "width"), pairs(LINEAR_WIDTHS))
def test_resnets_with_linear_bottlenecks_keep_the_budget(base_width, width):
    deviation = reported_deviation(resnets(base_width), "linear_bottleneck", width)
    # Less is left than one channel of the first 1x1 convolution costs, to 2 width from width.
    assert -3 * width < deviation <= 0


@pytest.mark.parametrize(("base_width", "width"), pairs(NONLINEAR_WIDTHS))
def test_resnets_with_nonlinear_bottlenecks_keep_the_budget(base_width, width):
    deviation = reported_deviation(resnets(base_width), "nonlinear_bottleneck", width)
    # Less is left than one channel in the middle of the first block costs.
    assert -2 * 9 * width < deviation <= 0


@pytest.mark.parametrize(
    ("member", "base_width", "width", "message"),
    [
        # The first stage's 8 channels divided by 16 and 32.
        ("linear_bottleneck", 8, 128, r"'stages\.0\.0\.convolution_2' \(128 x 1152\) .* 0\.5 "),
        ("linear_bottleneck", 8, 256, r"'stages\.0\.0\.convolution_1' \(256 x 2304\) .* 0\.25 "),
        # 42 w^2 of 1x1 convolutions, 107 w of stem and output, and 477 w of single channels.
        ("nonlinear_bottleneck", 8, 64, "the net has 209,408 weights, and the budget is 175,192"),
        ("nonlinear_bottleneck", 8, 128, "762,880 weights"),
        ("nonlinear_bottleneck", 8, 256, "2,902,016 weights"),
        ("nonlinear_bottleneck", 16, 128, "762,880 weights"),
    ],
)
def test_resnets_that_would_need_less_than_one_channel_are_refused(
    member, base_width, width, message
):
    with pytest.raises(InputError, match=f"at width {width}, .*{message}.*use a smaller width or"):
        without_memory(resnets(base_width), member, width)


@pytest.mark.parametrize(
    ("width", "deviation"),
    [(5, 0), (10, -644), (20, -504), (40, -224), (80, -24), (160, -74), (320, -48), (640, -522)],
)
def test_the_papers_mlps_with_linear_bottlenecks_keep_the_budget(width, deviation):
    assert reported_deviation(papers_family(), "linear_bottleneck", width) == deviation


@pytest.mark.parametrize(
    ("width", "deviation"),
    [(5, 0), (10, -719), (20, -579), (40, -299), (80, -603), (160, -507), (291, -10)],
)
def test_mlps_with_nonlinear_bottlenecks_keep_the_budget(width, deviation):
    # One channel of hidden.0 costs 784 + width: up to that many weights find no place.
    family = papers_family(num_hidden_layers=2)
    assert reported_deviation(family, "nonlinear_bottleneck", width) == deviation


def test_the_warning_points_at_the_line_to_change():
    for member in ("linear_bottleneck", "nonlinear_bottleneck"):
        with pytest.warns(BudgetWarning) as caught:
            getattr(papers_family(num_hidden_layers=2), member)(40)
        assert [warning.filename for warning in caught] == [__file__]


# Linear bottlenecks


def test_the_effective_and_the_explicit_number_of_weights_of_a_resnet():
    family = resnets()
    assert family.num_weights == 175_192
    # r (m + n): stem 8 * 35; 640 for each of four 8 x 72; from c to 2 c one 2c x 9c, three
    # 2c x 18c and one 2c x c: 22 c^2, 120 c^2, 3 c^2; output 10 * 74.
    by_hand = 8 * 35 + 4 * 640 + sum(145 * c**2 for c in (8, 16, 32)) + 10 * 74
    assert family.num_explicit_weights == by_hand == 198_460


def test_widening_by_f_divides_the_channels_by_f():
    net, _ = without_memory(resnets(), "linear_bottleneck", 32)
    channels = {
        name: part.down.weight.shape[0]
        for name, part in net.named_modules()
        if isinstance(part, LinearBottleneck)
    }
    for stage, expected in enumerate((2, 4, 8, 16)):
        for block in (0, 1):
            for index in (1, 2):
                assert channels[f"stages.{stage}.{block}.convolution_{index}"] == expected
    assert len(channels) == 21


def test_every_layer_of_a_resnet_has_a_bottleneck_with_nothing_between():
    net = member_of(resnets(2), "linear_bottleneck", 4)
    names = list(weight_layers(resnets(2).dense(4)))
    assert list(weight_layers(net)) == [
        f"{name}.{part}" for name in names for part in ("down", "up")
    ]
    assert net(torch.randn(2, 3, 32, 32)).shape == (2, 10)


def test_what_is_no_weight_starts_as_in_the_dense_net():
    linear, dense = member_of(resnets(2), "linear_bottleneck", 4), resnets(2).dense(4)
    state = linear.state_dict()
    for name, tensor in dense.state_dict().items():
        if "norm" in name:
            assert torch.equal(state[name], tensor)


def test_a_layer_that_cannot_be_factorised_is_refused():
    family = Family(lambda width: nn.Conv1d(3, width, 3), base_width=2)
    with pytest.raises(InputError, match="is a Conv1d"):
        member_of(family, "linear_bottleneck", 4)


def test_an_architecture_whose_layers_depend_on_the_width_has_no_linear_bottleneck():
    family = Family(
        lambda width: nn.Sequential(*(nn.Linear(3, 3) for _ in range(width))), base_width=2
    )
    with pytest.raises(InputError, match="at width 3, the baseline has layers '0', '1', the wide"):
        member_of(family, "linear_bottleneck", 3)


# Non-linear bottlenecks


@pytest.mark.parametrize("family", [papers_family(num_hidden_layers=3), resnets()])
def test_the_nonlinear_member_of_the_base_width_is_the_dense_one_bit_for_bit(family):
    width = family.base_width
    assert same_net(family.nonlinear_bottleneck(width, seed=3), family.dense(width, seed=3))


def test_a_resnets_blocks_grow_and_their_middles_shrink_by_one_ratio():
    net = member_of(resnets(), "nonlinear_bottleneck", 16)
    assert isinstance(net, ResNet18)
    # Of 175,192, 107 * 16 and 42 * 16^2 are fixed; 162,728 are left where 16 channels (and twice,
    # four, eight times as many) would take 2,682 * 16^2 = 686,592: a ratio of 0.237.
    middles = [block.convolution_1.out_channels for stage in net.stages for block in stage]  # pyright: ignore
    assert middles == [5, 4, 8, 8, 16, 15, 30, 30]
    assert [stage[-1].convolution_2.out_channels for stage in net.stages] == [16, 32, 64, 128]  # pyright: ignore
    assert net(torch.randn(2, 3, 32, 32)).shape == (2, 10)


def test_an_mlp_by_hand():
    # 784 n + 40 n + 400 <= 3995: four channels, and 299 of the weights find no place.
    net = member_of(papers_family(num_hidden_layers=2), "nonlinear_bottleneck", 40)
    assert {name: tuple(layer.weight.shape) for name, layer in weight_layers(net).items()} == {
        "hidden.0": (4, 784),
        "hidden.1": (40, 4),
        "output": (10, 40),
    }


@pytest.mark.parametrize(
    ("architecture", "keywords", "name"),
    [
        (MLP, {}, "MLP"),
        (lambda width: nn.Linear(7, width), {}, "<lambda>"),
        (nn.Linear, {"out_features": 4}, "Linear"),
    ],
)
def test_an_architecture_without_narrowed_layers_is_refused(architecture, keywords, name):
    family = Family(architecture, base_width=2, **keywords)
    message = f"{name} exposes no layers .*use wider.models.ResNet18, wider.models.MLP with num_hid"
    with pytest.raises(InputError, match=message):
        family.nonlinear_bottleneck(4)


def test_less_than_one_channel_is_refused_by_width():
    message = "at width 320, the narrowed layers would need less than one channel.*3,995"
    with pytest.raises(InputError, match=message):
        papers_family(num_hidden_layers=2).nonlinear_bottleneck(320)
