"""Exact counts of every model, from sources independent of this package.

`golden_counts.csv` is the one table of them. A network of timm or torchvision is counted from that
library's module; another one from plain arithmetic over its paper's table, in `recount.py`.
"""

import csv
import functools
import math
from pathlib import Path

import peers
from models.recount import NETWORKS

import keras_residual
from keras_residual.models.registry import find

PATH = Path(__file__).with_name("golden_counts.csv")
COLUMNS = ("trainable_parameters", "parameters", "macs")
# What torchvision calls the networks for clips.
VIDEO = {"R3D18": "r3d_18", "MC3_18": "mc3_18", "R2Plus1D18": "r2plus1d_18"}
TIMM_MODULES = ("resnet", "resnetv2", "regnet", "res2net", "resnest", "sknet", "densenet", "dpn")


def golden() -> dict[str, dict[str, str]]:
    """Returns the rows of the table by the name of the model."""
    with PATH.open(encoding="utf-8") as table:
        return {row["name"]: row for row in csv.DictReader(table)}


def stated(name: str) -> tuple[int, int, int]:
    """Returns trainable parameters, parameters and multiply–accumulates of a model."""
    row = golden()[name]
    return tuple(int(row[key]) for key in COLUMNS)


def count_module(make, sizes: tuple[int, ...] = (224, 224)) -> tuple[int, int, int]:
    """Counts a torch module on the meta device, where nothing is allocated."""
    torch = peers.torch()
    with torch.device("meta"):
        module = make().eval()
    macs = []

    def add(layer, inputs, outputs):
        macs.append(layer.weight.numel() * math.prod(outputs.shape[2:]))

    for layer in module.modules():
        if isinstance(layer, torch.nn.modules.conv._ConvNd | torch.nn.Linear):
            layer.register_forward_hook(add)
    module(torch.empty(1, 3, *sizes, device="meta"))
    trainable = sum(weight.numel() for weight in module.parameters())
    statistics = sum(v.numel() for name, v in module.named_buffers() if "running_" in name)
    return trainable, trainable + statistics, sum(macs)


@functools.cache
def timm_names() -> dict[str, tuple[str, dict]]:
    """Returns timm's networks that a name here means: model and options by timm's name."""
    found = {}
    for module in TIMM_MODULES:
        for name in peers.timm().list_models(module=module):
            try:
                variant, options = find(name)
            except ValueError:
                continue
            found[name] = (variant.name, options)
    return found


def count_peer(source: str) -> tuple[int, int, int]:
    """Counts a network from its source as the table names it, such as `"timm resnet18d"`."""
    library, name = source.split()
    if library == "torchvision":
        models = peers.torchvision().models
        if hasattr(models, name):
            return count_module(getattr(models, name))
        return count_module(getattr(models.video, name), (16, 112, 112))
    return count_module(lambda: peers.timm().create_model(name))


def has_peer(row: dict[str, str]) -> bool:
    return row["source"].startswith(("torchvision ", "timm "))


def new_row(name: str) -> dict[str, object]:
    """Returns the row of a model that the table lacks."""
    if name in NETWORKS:
        counts = NETWORKS[name]()
        source = find(name)[0].paper[1:].partition("]")[0].replace(",", "")
    elif name in VIDEO:
        source = f"torchvision {VIDEO[name]}"
        counts = count_peer(source)
    else:
        source = "timm " + next(timm for timm, found in timm_names().items() if found == (name, {}))
        counts = count_peer(source)
    return {"name": name, **dict(zip(COLUMNS, counts, strict=True)), "source": source}


def write() -> None:
    """Adds new models and removes those that no longer exist."""
    known = golden()
    rows = [known.get(name) or new_row(name) for name in keras_residual.list_models()]
    with PATH.open("w", encoding="utf-8", newline="") as table:
        writer = csv.DictWriter(table, ["name", *COLUMNS, "source"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
