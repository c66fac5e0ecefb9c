"""VGG: plain stacks of 3-pixel convolutions (Simonyan and Zisserman 2015)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from napari_cardioxai.networks.layers import Layers, initialise

_WIDTHS = (64, 128, 256, 512, 512)
_HIDDEN = 4096


class Vgg(nn.Module):
    """Five stages of convolutions, each halved by a maximum, and three linear layers.

    Parameters
    ----------
    convolutions
        How many in each stage: (2, 2, 3, 3, 3) is VGG16, (2, 2, 4, 4, 4) VGG19.
    spatial_dims, in_channels, classes
        2 or 3; channels of the input; logits.
    pooled
        Side that the last maps are brought to before the linear layers. The
        published 7 in 2-D; 2 in 3-D by default, where 7 would make 720 million
        weights of the first linear layer.
    dropout
        Probability between the linear layers.
    """

    def __init__(
        self,
        convolutions: Sequence[int],
        *,
        spatial_dims: int = 2,
        in_channels: int = 1,
        classes: int = 2,
        pooled: int | None = None,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        layers = Layers(spatial_dims)
        side = pooled or (7 if spatial_dims == 2 else 2)
        features: list[nn.Module] = []
        before = in_channels
        for width, count in zip(_WIDTHS, convolutions, strict=True):
            for _ in range(count):
                features += [layers.conv(before, width, 3, bias=True), nn.ReLU()]
                before = width
            features.append(layers.max_pool(2, stride=2))
        self.features = nn.Sequential(*features)
        self.avgpool = layers.mean_to(side)
        self.flatten = nn.Flatten()
        self.classifier = nn.Sequential(
            nn.Linear(before * side**spatial_dims, _HIDDEN),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(_HIDDEN, _HIDDEN),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(_HIDDEN, classes),
        )
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (b, classes)."""
        return self.classifier(self.flatten(self.avgpool(self.features(x))))
