"""A model of several findings, to copy and change. It is not trained: put your own network and weights in its place.

saltrust assess --model examples/my_multilabel_model.py:load --dataset phantom-chest5
"""

import torch
from torch import nn


def load() -> dict:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(4),
        nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(16, 6),
    )  # fmt: skip
    # network.load_state_dict(torch.load("weights.pt", weights_only=True))
    return {
        "network": network,
        "size": 96,  # side of its square images in pixels
        "channels": 1,  # grey
        "input_range": (-1, 1),  # of a black and a white pixel
        # Its outputs in their order: logits, before any sigmoid. The data set's findings must be among them.
        "classes": ("Pleural Effusion", "Edema", "Pneumothorax", "Consolidation", "Cardiomegaly", "Atelectasis"),
        "exclusive": False,  # each speaks for itself
    }
