"""Adds rows to `sources.csv` for weights of timm and torchvision that are missing there.

    python tests/weights/hub_sources.py results-imagenet.csv

The file with the accuracies is `results/results-imagenet.csv` of timm's repository.
"""

import csv
import json
import pathlib
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent)]

import peers  # noqa: E402
from models.counting import TIMM_MODULES, timm_names  # noqa: E402

from keras_residual.models.registry import find  # noqa: E402
from keras_residual.weights.sources import asset  # noqa: E402

_DPN = (124 / 255, 117 / 255, 104 / 255)
MEANS = {(0.485, 0.456, 0.406): "torch", (0.5, 0.5, 0.5): "half", _DPN: "dpn"}
CLASSES = {1000: "imagenet", 11821: "imagenet12k", 21843: "imagenet21k", 0: "none"}
RESTRICTED = ("CC-BY-NC-4.0", "SEER")
LICENCES = {
    "apache-2.0": "Apache-2.0",
    "bsd-3-clause": "BSD-3-Clause",
    "mit": "MIT",
    "cc-by-nc-4.0": "CC-BY-NC-4.0",
    "other": "SEER",
    "seer-license": "SEER",
    "unknown": "",
    None: "",
}


def published() -> list[str]:
    """Returns the names of all weights that timm publishes for the residual families."""
    timm = peers.timm()
    return [
        name for module in TIMM_MODULES for name in timm.list_models(module=module, pretrained=True)
    ]


def geometry(config) -> tuple[int, float]:
    """Returns the side of the square that a network sees, and its share of the image."""
    size, fraction = config.input_size[-1], config.crop_pct
    if size < 224 and config.test_input_size:
        size, fraction = config.test_input_size[-1], config.test_crop_pct or fraction
    return size, fraction


def hub_row(name: str, accuracies: dict) -> dict[str, object] | None:
    """Returns the row of one of timm's weights, `None` for a network that is not here."""
    architecture, _, tag = name.partition(".")
    if architecture not in timm_names():
        return None
    model, options = timm_names()[architecture]
    config = peers.timm().get_pretrained_cfg(name)
    size, fraction = geometry(config)
    return {
        "model": model,
        "tag": tag,
        "location": f"hf://timm/{name}",
        "layout": "timm",
        "normalization": MEANS[tuple(config.mean)],
        "resize": int(size / fraction),
        "crop": size,
        "interpolation": config.interpolation,
        "classes": CLASSES[config.num_classes],
        "top1": accuracies.get((name, str(size)), ""),
        "licence": LICENCES[config.license],
        "options": json.dumps(options) if options else "",
        "note": "" if config.num_classes else "without a classifier",
    }


def torchvision_rows() -> list[dict[str, object]]:
    """Returns the rows of torchvision's RegNets."""
    models, rows = peers.torchvision().models, []
    for builder in models.list_models(module=models):
        if not builder.startswith("regnet"):
            continue
        for weights in models.get_model_weights(builder):
            transform = weights.transforms()
            rows.append(
                {
                    "model": find(builder)[0].name,
                    "tag": weights.name,
                    "location": weights.url,
                    "digest": "sha256:" + weights.url.rpartition("-")[2].removesuffix(".pth"),
                    "layout": "torchvision",
                    "normalization": MEANS[tuple(transform.mean)],
                    "resize": transform.resize_size[0],
                    "crop": transform.crop_size[0],
                    "interpolation": transform.interpolation.value,
                    "classes": "imagenet",
                    "top1": f"{weights.meta['_metrics']['ImageNet-1K']['acc@1']:.3f}",
                    "licence": "CC-BY-NC-4.0" if "SWAG" in weights.name else "BSD-3-Clause",
                }
            )
    return rows


def write(results: pathlib.Path) -> None:
    """Adds missing rows after those of the same model.

    Weights for the 1,000 classes whose licence allows every use come first: what "imagenet" means.
    """
    with results.open(encoding="utf-8") as file:
        accuracies = {(row["model"], row["img_size"]): row["top1"] for row in csv.DictReader(file)}
    path = pathlib.Path(str(asset("sources.csv")))
    with path.open(encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows, columns = list(reader), reader.fieldnames
    listed = {row["location"] for row in rows}
    new = [hub_row(name, accuracies) for name in published()]
    new = [row for row in (*torchvision_rows(), *new) if row and row["location"] not in listed]
    new.sort(key=lambda row: (row["classes"] != "imagenet", row["licence"] in RESTRICTED))
    by_model = {}
    for row in (*rows, *new):
        by_model.setdefault(row["model"], []).append(row)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for group in by_model.values() for row in group)


if __name__ == "__main__":
    write(pathlib.Path(sys.argv[1]))
