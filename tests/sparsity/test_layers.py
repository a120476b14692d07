import warnings

import pytest
import torch
from torch import nn

from wider.errors import InputError
from wider.sparsity import sparsify, stored_weight, tied_tensors, weight_layers


def lazy_linear(out_features):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "lazy modules are a new feature"
        return nn.LazyLinear(out_features)


def test_linear_and_convolutional_layers_are_found_by_name_in_the_order_of_the_module():
    net = nn.Sequential()
    net.add_module("convs", nn.Sequential(nn.Conv1d(1, 1, 1), nn.Conv2d(1, 1, 1)))
    net.add_module("norm", nn.BatchNorm2d(3))
    net.add_module("embedding", nn.Embedding(3, 3))
    net.add_module("back", nn.Sequential(nn.ConvTranspose3d(1, 1, 1), nn.ReLU(), nn.Linear(2, 2)))
    assert list(weight_layers(net)) == ["convs.0", "convs.1", "back.0", "back.2"]
    assert weight_layers(net)["back.2"] is net.get_submodule("back.2")


def test_subclasses_are_found():
    class MyLinear(nn.Linear):
        pass

    assert list(weight_layers(nn.Sequential(MyLinear(2, 2)))) == ["0"]


def test_a_bare_layer_has_the_empty_name():
    assert list(weight_layers(nn.Linear(2, 2))) == [""]


def test_a_layer_used_twice_is_there_once():
    layer = nn.Linear(2, 2)
    assert list(weight_layers(nn.Sequential(layer, nn.ReLU(), layer))) == ["0"]


def test_frozen_layers_are_left_out():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2))
    net.get_submodule("1").requires_grad_(False)
    assert list(weight_layers(net)) == ["0", "2"]


def test_a_frozen_sparse_layer_is_left_out():
    net = sparsify(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), num_weights=4)
    net.get_submodule("1").requires_grad_(False)
    assert list(weight_layers(net)) == ["0"]


def test_a_lazy_layer_is_refused_until_it_knows_its_shape():
    net = nn.Sequential(lazy_linear(3))
    with pytest.raises(InputError, match=r"layer '0' .* run one batch through the net first"):
        weight_layers(net)
    net(torch.zeros(1, 5))
    assert weight_layers(net)["0"].weight.shape == (3, 5)


def test_the_stored_weight_is_the_parameter_that_an_optimiser_sees():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    sparsify(net, num_weights=12, allocation={"0": 1.0})
    parameters = {id(parameter) for parameter in net.parameters()}
    assert all(id(stored_weight(layer)) in parameters for layer in weight_layers(net).values())


def test_tied_weights_are_named_in_pairs():
    net = nn.ModuleDict({"a": nn.Embedding(4, 3), "b": nn.Linear(3, 4), "c": nn.Linear(3, 4)})
    assert tied_tensors(net) == []
    net["b"].weight = net["a"].weight
    net["c"].weight = net["a"].weight
    assert tied_tensors(net) == [("a.weight", "b.weight"), ("a.weight", "c.weight")]


def test_a_layer_used_twice_is_not_tied_to_itself():
    layer = nn.Linear(2, 2)
    assert tied_tensors(nn.Sequential(layer, layer)) == []
