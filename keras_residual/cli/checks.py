import json
import re
from importlib import metadata
from typing import Annotated

import typer
from rich.table import Table

from keras_residual.cli._terminal import console, quiet, refusing

_PACKAGE = "keras-residual"
# For whoever runs the tests or writes the documentation.
_OWN = ("dev", "docs", "all")


def checks(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show versions, backend, devices, and what each extra would install."""
    with refusing(), quiet():
        found = {**_versions(), "extras": _extras(), **_backend()}
    if as_json:
        print(json.dumps(found, indent=2))
        return
    for name, value in found.items():
        if name != "extras":
            text = ", ".join(value) if isinstance(value, list) else value
            console.print(f"{name:<16} {text}", markup=False, soft_wrap=True)
    table = Table("extra", "installed", "missing", box=None, pad_edge=False)
    for extra, packages in found["extras"].items():
        lacking = [name for name, version in packages.items() if version is None]
        there = [f"{name} {version}" for name, version in packages.items() if version is not None]
        table.add_row(extra, ", ".join(there), ", ".join(lacking))
    console.print(table)
    console.print(f'pip install "{_PACKAGE}[EXTRA]" brings what is missing.', markup=False)


def _versions():
    import platform

    names = (_PACKAGE, "keras", "tensorflow", "jax", "torch", "numpy")
    found = {name: _version(name) or "not installed" for name in names}
    return {**found, "python": platform.python_version(), "machine": platform.platform()}


def _backend():
    import keras

    backend = keras.backend.backend()
    if backend == "torch":
        import torch

        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        devices = names or ["cpu"]
    else:
        devices = [str(device) for device in keras.distribution.list_devices()]
    return {"backend": backend, "devices": devices}


def _extras() -> dict[str, dict[str, str | None]]:
    """Returns the version of each package by extra, `None` for one that is not installed."""
    extras: dict[str, dict[str, str | None]] = {}
    for requirement in metadata.requires(_PACKAGE) or ():
        found = re.match(r"([\w.-]+)(?:\[[^]]*])?.*extra == ['\"]([\w-]+)['\"]", requirement)
        if found and found[2] not in _OWN and found[1] != _PACKAGE:
            extras.setdefault(found[2], {})[found[1]] = _version(found[1])
    return dict(sorted(extras.items()))


def _version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
