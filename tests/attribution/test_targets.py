import pytest
import torch

from napari_cardioxai.attribution.gradients import Gradient
from napari_cardioxai.attribution.targets import (
    ClassLogit,
    StructureLogit,
    StructureVolume,
    as_target,
)
from napari_cardioxai.errors import AttributionError
from tests.attribution.nets import a_network, a_segmenter, an_image

ROWS = torch.arange(2)


def test_one_class_for_all_or_one_for_each_row_of_its_example():
    output = torch.arange(12.0).reshape(4, 3)
    rows = torch.tensor([0, 1, 0, 1])
    assert as_target(2)(output, rows).tolist() == [2, 5, 8, 11]
    assert as_target([0, 2])(output, rows).tolist() == [0, 5, 6, 11]
    assert as_target(torch.tensor([0, 2]))(output, rows).tolist() == [0, 5, 6, 11]


def test_a_network_with_one_output_has_two_classes():
    for output in (torch.tensor([3.0, -1.0]), torch.tensor([[3.0], [-1.0]])):
        assert ClassLogit(1)(output, ROWS).tolist() == [3, -1]
        assert ClassLogit(0)(output, ROWS).tolist() == [-3, 1]


def test_without_a_class_each_example_is_explained_for_the_one_that_was_predicted():
    network, x = a_network(), an_image(examples=3)
    predicted = network(x).argmax(1)
    heat = Gradient(network).attribute(x)
    torch.testing.assert_close(heat, Gradient(network).attribute(x, predicted))


@pytest.mark.parametrize("dims", [2, 3])
def test_the_logit_of_a_structure_is_summed_where_the_network_finds_it(dims):
    network, x = a_segmenter(dims), an_image(dims, side=8, examples=2)
    with torch.no_grad():
        output = network(x)
    found = output.argmax(1)
    channel = int(found.flatten(1).mode().values[0])
    expected = torch.where(found == channel, output[:, channel], 0).flatten(1).sum(1)
    told = Gradient(network).explain(x, StructureLogit(channel, name="wall"))
    torch.testing.assert_close(told.value, expected)
    assert told.target == "logit of wall, summed over its region"


def test_a_region_of_interest_takes_the_place_of_the_structure():
    network, x = a_segmenter(), an_image(side=8)
    region = torch.zeros(1, 8, 8, dtype=torch.bool)
    region[:, 2, 3] = True
    heat = Gradient(network).attribute(x, StructureLogit(1, region))
    far = torch.ones(8, 8, dtype=torch.bool)
    far[:6, 0:7] = False
    assert heat[0, 0][1:4, 2:5].any() and not heat[0, 0][far].any()


def test_volume_is_the_summed_probability_in_ml():
    network, x = a_segmenter(), an_image(side=8)
    with torch.no_grad():
        share = network(x).softmax(1)[:, 2]
    told = Gradient(network).explain(x, StructureVolume(2, voxel_ml=0.01, name="cavity"))
    torch.testing.assert_close(told.value, 0.01 * share.flatten(1).sum(1))
    assert told.target == "volume of cavity"


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        (7, "no class 7"),
        (-1, "no class -1"),
        ([0], "1 classes were named for 2 examples"),
        (StructureLogit(1), "labels no pixels"),
    ],
)
def test_a_target_that_a_classifier_has_not_is_refused_in_a_sentence(target, complaint):
    with pytest.raises(AttributionError, match=complaint):
        Gradient(a_network()).attribute(an_image(examples=2), target)


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        (1, "needs a structure as its target"),
        (StructureLogit(9), "no structure 9"),
        (StructureLogit(1, torch.ones(1, 4, 4, dtype=torch.bool)), "the region has shape"),
    ],
)
def test_a_target_that_a_segmenter_has_not_is_refused_in_a_sentence(target, complaint):
    with pytest.raises(AttributionError, match=complaint):
        Gradient(a_segmenter()).attribute(an_image(), target)


def test_a_structure_that_is_nowhere_is_refused_in_a_sentence():
    network = a_segmenter()
    network[-1].bias.data[1] = -1e3
    with pytest.raises(AttributionError, match="finds no ventricle"):
        Gradient(network).attribute(an_image(), StructureLogit(1, name="ventricle"))
