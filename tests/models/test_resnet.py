import math
import warnings

import pytest
import torch
from torch.nn import functional

import wider
from wider import InputError
from wider.models import BasicBlock, ResNet18
from wider.randomness import default_generator_from, stream
from wider.sparsity import (
    ALLOCATIONS,
    BudgetWarning,
    allocate,
    connectivity,
    count_weights,
    mask_of,
    sparsify,
    weight_layers,
)

BUDGET = 175_192  # of width 8
STEM_KERNELS = {"cifar": 3, "imagenet": 7}
every_stem = pytest.mark.parametrize("stem", STEM_KERNELS)
every_allocation = pytest.mark.parametrize("allocation", ALLOCATIONS)


def images(*shape):
    return torch.randn(*shape, generator=stream(0, "images"))


def seeded(seed=0, **keywords):
    with default_generator_from(seed, "tests"):
        return ResNet18(**keywords)


def closed_form(width, num_classes, in_channels, stem):
    """The weights: a first stage of 4 * 9 w^2, then 18 c^2 + 3 * 36 c^2 + 2 c^2 from c to 2 c."""
    stages = 4 * 9 * width**2 + sum(128 * c**2 for c in (width, 2 * width, 4 * width))
    return STEM_KERNELS[stem] ** 2 * in_channels * width + stages + 8 * width * num_classes


@every_stem
@pytest.mark.parametrize("width", [1, 2, 8, 12, 18])
@pytest.mark.parametrize(("num_classes", "in_channels"), [(10, 3), (100, 3), (10, 1)])
def test_weights_and_parameters_by_the_closed_form(width, num_classes, in_channels, stem):
    net = ResNet18(width, num_classes, in_channels, stem=stem)
    expected = closed_form(width, num_classes, in_channels, stem)
    # BatchNorm: 1 + 4 of width w, then 4 and the shortcut's of 2 w, 4 w and 8 w, two numbers each.
    others = 2 * (5 * width + 5 * 14 * width) + num_classes
    assert count_weights(net) == expected
    assert sum(parameter.numel() for parameter in net.parameters()) == expected + others


@pytest.mark.parametrize(
    ("width", "papers"), [(8, 1.8e5), (12, 4.0e5), (18, 9.0e5), (40, 4.4e6), (64, 1.1e7)]
)
def test_the_papers_base_widths(width, papers):
    # They are those of 100 classes: with ten, widths 12 and 18 round to 3.9e5 and 8.8e5.
    with torch.device("meta"):
        num_weights = count_weights(ResNet18(width, num_classes=100))
    assert float(f"{num_weights:.1e}") == papers


def test_width_8_is_the_budget():
    assert count_weights(ResNet18(8)) == BUDGET


def test_width_64_on_imagenet_is_the_resnet18_everybody_knows():
    with torch.device("meta"):
        net = ResNet18(64, num_classes=1000, stem="imagenet")
    assert count_weights(net) == 11_678_912
    assert sum(parameter.numel() for parameter in net.parameters()) == 11_689_512


def test_layers_are_named_and_shaped_from_input_to_output():
    expected: dict[str, tuple[int, ...]] = {"stem": (2, 3, 3, 3)}
    for stage, channels in enumerate([2, 4, 8, 16]):
        narrow = max(2, channels // 2)
        block = f"stages.{stage}"
        expected[f"{block}.0.convolution_1"] = (channels, narrow, 3, 3)
        expected[f"{block}.0.convolution_2"] = (channels, channels, 3, 3)
        if stage > 0:
            expected[f"{block}.0.shortcut.convolution"] = (channels, narrow, 1, 1)
        expected[f"{block}.1.convolution_1"] = (channels, channels, 3, 3)
        expected[f"{block}.1.convolution_2"] = (channels, channels, 3, 3)
    expected["output"] = (10, 16)
    shapes = {name: tuple(part.weight.shape) for name, part in weight_layers(ResNet18(2)).items()}
    assert list(shapes.items()) == list(expected.items())
    assert len(shapes) == 20 + 1


def test_only_the_output_has_a_bias_and_every_convolution_a_norm():
    net = ResNet18(2)
    layers = weight_layers(net)
    assert [name for name, layer in layers.items() if layer.bias is not None] == ["output"]
    norms = [part for part in net.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    assert len(norms) == 20


def test_layers_start_as_pytorchs_own():
    # U(-a, a), a = 1/sqrt(fan_in): variance a^2/3, and that of its estimate (1/5 - 1/9) a^4/n.
    for layer in weight_layers(seeded(width=16)).values():
        weight = layer.weight.detach().double()
        bound = 1 / math.sqrt(weight[0].numel())
        assert weight.abs().max() <= bound * (1 + 1e-6)
        error = bound**2 * math.sqrt((1 / 5 - 1 / 9) / weight.numel())
        assert abs(weight.square().mean() - bound**2 / 3) < 4 * error


@pytest.mark.parametrize(
    ("stem", "shape", "sizes"),
    [
        ("cifar", (3, 32, 32), [(32, 32)] * 3 + [(16, 16), (8, 8), (4, 4)]),
        ("cifar", (1, 28, 28), [(28, 28)] * 3 + [(14, 14), (7, 7), (4, 4)]),
        ("cifar", (3, 33, 9), [(33, 9)] * 3 + [(17, 5), (9, 3), (5, 2)]),
        ("imagenet", (3, 224, 224), [(112, 112), (56, 56), (56, 56), (28, 28), (14, 14), (7, 7)]),
        ("imagenet", (3, 65, 32), [(33, 16), (17, 8), (17, 8), (9, 4), (5, 2), (3, 1)]),
    ],
)
def test_feature_maps_stage_by_stage(stem, shape, sizes):
    net = ResNet18(2, num_classes=5, in_channels=shape[0], stem=stem)
    seen = []
    for part in (net.stem, net.pool, *net.stages):
        part.register_forward_hook(lambda *passed: seen.append(tuple(passed[-1].shape)))
    assert net(images(2, *shape)).shape == (2, 5)
    channels = [2, 2, 2, 4, 8, 16]
    assert seen == [(2, count, *size) for count, size in zip(channels, sizes, strict=True)]


@pytest.mark.parametrize(
    ("in_channels", "out_channels", "stride", "projected"),
    [(3, 3, 1, False), (3, 4, 1, True), (3, 3, 2, True), (3, 6, 2, True)],
)
def test_a_block_projects_its_shortcut_where_the_shape_changes(
    in_channels, out_channels, stride, projected
):
    block = BasicBlock(in_channels, out_channels, stride)
    assert (len(weight_layers(block)) == 3) == projected
    assert block(images(2, in_channels, 8, 6)).shape == (2, out_channels, 8 // stride, 6 // stride)


def test_an_empty_batch_gives_no_scores():
    assert ResNet18(2).eval()(torch.zeros(0, 3, 32, 32)).shape == (0, 10)


def with_random_norms(net):
    """The net with BatchNorms whose four vectors all differ from the neutral ones."""
    generator = stream(0, "norms")
    for part in net.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            for values in (part.weight.data, part.bias.data, part.running_mean, part.running_var):
                assert values is not None
                values.copy_(0.5 + torch.rand(values.shape, generator=generator))
    return net


class Functional:
    """ResNet-18 once more, from a state dict, with the formulas written out."""

    def __init__(self, state, stem, *, training):
        self.state, self.imagenet, self.training = state, stem == "imagenet", training
        self.running = {}  # what the running statistics should be after this batch

    def __call__(self, x):
        state = self.state
        stride, padding = (2, 3) if self.imagenet else (1, 1)
        x = functional.conv2d(x, state["stem.weight"], None, stride, padding)
        x = self.norm(x, "norm").relu()
        if self.imagenet:
            x = functional.max_pool2d(x, 3, 2, 1)
        for stage in range(4):
            x = self.block(x, f"stages.{stage}.0", 1 if stage == 0 else 2, changes=stage > 0)
            x = self.block(x, f"stages.{stage}.1", 1, changes=False)
        return x.mean((2, 3)) @ state["output.weight"].T + state["output.bias"]

    def block(self, x, name, stride, *, changes):
        shortcut = x
        if changes:
            kernel = self.state[f"{name}.shortcut.convolution.weight"][:, :, 0, 0]
            projected = torch.einsum("oi,bihw->bohw", kernel, x[:, :, ::stride, ::stride])
            shortcut = self.norm(projected, f"{name}.shortcut.norm")
        kernel = self.state[f"{name}.convolution_1.weight"]
        x = self.norm(functional.conv2d(x, kernel, None, stride, 1), f"{name}.norm_1").relu()
        kernel = self.state[f"{name}.convolution_2.weight"]
        x = self.norm(functional.conv2d(x, kernel, None, 1, 1), f"{name}.norm_2")
        return (x + shortcut).relu()

    def norm(self, x, name):
        mean = self.state[f"{name}.running_mean"]
        variance = self.state[f"{name}.running_var"]
        if self.training:
            old = {"running_mean": mean, "running_var": variance}
            count = x.numel() // x.shape[1]
            mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
            new = {"running_mean": mean, "running_var": variance * count / (count - 1)}
            for part, value in new.items():
                self.running[f"{name}.{part}"] = 0.9 * old[part] + 0.1 * value
        gain = self.state[f"{name}.weight"] / (variance + 1e-5).sqrt()
        shift = self.state[f"{name}.bias"] - mean * gain
        return x * gain[:, None, None] + shift[:, None, None]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("stem", "shape"),
    [
        ("cifar", (4, 3, 32, 32)),
        ("cifar", (4, 1, 28, 28)),
        ("imagenet", (4, 3, 64, 64)),
        ("imagenet", (4, 3, 75, 66)),
    ],
)
def test_outputs_are_those_of_an_independent_net(stem, shape, training):
    net = with_random_norms(seeded(width=4, in_channels=shape[1], stem=stem)).double()
    net.train(training)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    other = Functional(before, stem, training=training)
    batch = images(*shape).double()
    expected = other(batch)
    # 18 layers in a row, each with sums of up to 288 products: some hundred roundings of 1e-16.
    torch.testing.assert_close(net(batch), expected, rtol=1e-13, atol=1e-13)
    after = net.state_dict()
    assert len(other.running) == (40 if training else 0)
    for name, value in other.running.items():
        torch.testing.assert_close(after[name], value, rtol=1e-13, atol=1e-13)
    for name in set(before) - set(other.running):
        seen = 1 if training and name.endswith("num_batches_tracked") else 0
        assert torch.equal(after[name], before[name] + seen)


@every_stem
def test_gradients_are_those_of_an_independent_net_and_none_is_missing(stem):
    net = with_random_norms(seeded(width=4, stem=stem)).double()
    batch, labels = images(4, 3, 64, 64).double(), torch.arange(4)
    leaves = {name: p.detach().clone().requires_grad_() for name, p in net.named_parameters()}
    other = Functional({**net.state_dict(), **leaves}, stem, training=True)
    functional.cross_entropy(other(batch), labels).backward()
    functional.cross_entropy(net(batch), labels).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name
        torch.testing.assert_close(parameter.grad, leaves[name].grad, rtol=1e-9, atol=1e-11)


@every_allocation
@pytest.mark.parametrize("width", [8, 16, 32])
def test_sparse_at_the_exact_budget(width, allocation):
    net = sparsify(ResNet18(width), num_weights=BUDGET, allocation=allocation)
    assert count_weights(net) == BUDGET
    assert connectivity(net)[""] == BUDGET / closed_form(width, 10, 3, "cifar")
    masked = [name for name, layer in weight_layers(net).items() if mask_of(layer) is not None]
    assert bool(masked) == (width > 8)
    assert net(images(2, 3, 32, 32)).isfinite().all()


@every_allocation
@pytest.mark.parametrize("width", [16, 32])
def test_whole_kernels_miss_the_budget_by_less_than_one_each(width, allocation):
    net = ResNet18(width)
    shapes = {name: layer.weight.shape for name, layer in weight_layers(net).items()}
    counts = allocate(shapes, BUDGET, allocation)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sparsify(net, num_weights=BUDGET, allocation=allocation, pattern="io")
    missed = 0
    for name, layer in weight_layers(net).items():
        mask = mask_of(layer)
        mask = torch.ones(layer.weight.shape) if mask is None else mask
        kernels = mask.flatten(2).float() if mask.dim() > 2 else mask[..., None].float()
        assert torch.equal(kernels.amin(-1), kernels.amax(-1)), name
        deviation = int(mask.sum()) - counts[name]
        assert abs(deviation) < kernels.shape[-1], name
        missed += deviation
    assert count_weights(net) - BUDGET == missed
    if missed:
        (warning,) = caught
        assert warning.category is BudgetWarning
        assert f"weights instead of {BUDGET:,} ({missed:+,})" in str(warning.message)
    else:  # width 32, level: what the layers miss cancels
        assert (width, allocation, caught) == (32, "level", [])


def test_a_sparse_net_trains_without_touching_its_zeros():
    net = sparsify(seeded(width=16), num_weights=BUDGET)
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, weight_decay=5e-4)
    batch, labels = images(8, 3, 32, 32), torch.arange(8)
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        loss = functional.cross_entropy(net(batch), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2
    assert count_weights(net) == BUDGET
    for layer in weight_layers(net).values():
        if (mask := mask_of(layer)) is not None:
            assert torch.equal(layer.weight != 0, mask)


def test_the_family():
    family = wider.Family(ResNet18, base_width=8, num_classes=10, in_channels=3)
    assert family.num_weights == BUDGET
    assert count_weights(family.dense(width=16)) == closed_form(16, 10, 3, "cifar")
    assert count_weights(family.sparse(width=16)) == BUDGET
    one, same, other = (family.sparse(width=16, seed=seed) for seed in (1, 1, 2))
    batch = images(2, 3, 32, 32)
    assert torch.equal(one(batch), same(batch))
    assert not torch.equal(one(batch), other(batch))


def test_a_family_on_imagenet():
    family = wider.Family(ResNet18, base_width=4, num_classes=100, stem="imagenet")
    assert family.num_weights == closed_form(4, 100, 3, "imagenet")
    net = family.sparse(width=8)
    assert count_weights(net) == family.num_weights
    assert net(images(2, 3, 64, 64)).shape == (2, 100)


@pytest.mark.parametrize("sparse", [False, True])
def test_a_state_dict_goes_round(sparse):
    def net(seed):
        plain = seeded(seed, width=9)
        return sparsify(plain, num_weights=BUDGET, seed=seed) if sparse else plain

    batch = images(4, 3, 32, 32)
    one, other = net(0), net(1)
    one(batch)  # so that the running statistics are not the initial ones
    other.load_state_dict(one.state_dict())
    assert torch.equal(one.eval()(batch), other.eval()(batch))


@pytest.mark.parametrize("name", ["width", "num_classes", "in_channels"])
@pytest.mark.parametrize("size", [0, -1])
def test_a_size_below_one_is_refused_by_name(name, size):
    with pytest.raises(InputError, match=f"{name} is {size}; a ResNet-18 needs at least 1"):
        ResNet18(**{"width": 8, name: size})


def test_an_unknown_stem_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="unknown stem 'svhn'; use 'cifar' or 'imagenet'"):
        ResNet18(8, stem="svhn")  # pyright: ignore[reportArgumentType]


# Narrowed blocks


def test_narrowed_blocks_are_narrow_in_their_middles_only():
    narrowed = (3, 1, 2, 4, 5, 6, 7, 8)
    net = ResNet18(2, narrowed=narrowed)
    usual = weight_layers(ResNet18(2))
    expected = {name: tuple(layer.weight.shape) for name, layer in usual.items()}
    for index, middle in enumerate(narrowed):
        block = f"stages.{index // 2}.{index % 2}"
        out, fan_in = 2 ** (index // 2 + 1), max(2, 2 ** ((index + 1) // 2))
        expected[f"{block}.convolution_1"] = (middle, fan_in, 3, 3)
        expected[f"{block}.convolution_2"] = (out, middle, 3, 3)
    shapes = {name: tuple(layer.weight.shape) for name, layer in weight_layers(net).items()}
    assert list(shapes.items()) == list(expected.items())
    assert net(images(2, 3, 32, 32)).shape == (2, 10)


def test_the_outputs_of_a_narrowed_net_are_those_of_an_independent_one():
    narrowed = (3, 1, 2, 4, 5, 6, 7, 8)
    net = with_random_norms(seeded(width=4, narrowed=narrowed)).double().eval()
    batch = images(4, 3, 32, 32).double()
    expected = Functional(net.state_dict(), "cifar", training=False)(batch)
    torch.testing.assert_close(net(batch), expected, rtol=1e-13, atol=1e-13)


def test_the_usual_narrowed_widths_change_nothing():
    usual = ResNet18.narrowed_widths(3, num_classes=10, stem="cifar")
    assert usual == (3, 3, 6, 6, 12, 12, 24, 24)
    plain, same = seeded(width=3).state_dict(), seeded(width=3, narrowed=usual).state_dict()
    assert list(plain) == list(same)
    assert all(map(torch.equal, plain.values(), same.values()))


@pytest.mark.parametrize(
    ("narrowed", "message"),
    [
        ((3,) * 7, "narrowed has 7 widths; this ResNet-18 has 8 layers that can be narrowed"),
        ((3,) * 7 + (0,), r"narrowed is \(3, .*0\); every width must be at least 1"),
    ],
)
def test_wrong_narrowed_widths_are_refused(narrowed, message):
    with pytest.raises(InputError, match=message):
        ResNet18(2, narrowed=narrowed)
