"""How a classifier reads a sequence of latents: three ways to bring the frames together.

Each takes what the shared layer made of every frame, (b, t, units), and gives
one vector a sequence, (b, `features`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn


class TimeModel(nn.Module):
    """Frames (b, t, units) to one vector a sequence, (b, `features`)."""

    features: int


class Concatenation(TimeModel):
    """All frames side by side, as Clough et al. 2019 and Puyol-Antón et al. 2020 do."""

    def __init__(self, *, frames: int, units: int) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.features = frames * units

    def forward(self, x: Tensor) -> Tensor:
        """One long vector."""
        return self.flatten(x)


class Recurrence(TimeModel):
    """An LSTM over the frames; its last hidden state."""

    def __init__(self, *, frames: int, units: int) -> None:
        super().__init__()
        self.features = 64
        self.lstm = nn.LSTM(units, self.features, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """State after the last frame."""
        return self.lstm(x)[0][:, -1]


class Convolution(TimeModel):
    """Two 1-D convolutions of stride 2 over time, circular because the heart comes round again."""

    def __init__(self, *, frames: int, units: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(units, 32, 5, stride=2, padding=2, padding_mode="circular")
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv1d(32, 32, 5, stride=2, padding=2, padding_mode="circular")
        self.relu2 = nn.ReLU()
        self.flatten = nn.Flatten()
        self.features = 32 * -(-frames // 4)

    def forward(self, x: Tensor) -> Tensor:
        """Features of every fourth frame side by side."""
        return self.flatten(self.relu2(self.conv2(self.relu1(self.conv1(x.transpose(1, 2))))))


TIME_MODELS: Mapping[str, Callable[..., TimeModel]] = {
    "concat": Concatenation,
    "lstm": Recurrence,
    "conv": Convolution,
}
"""Time models by the name that a recipe and a model card carry."""
