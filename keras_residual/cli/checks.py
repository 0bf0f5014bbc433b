import re
from importlib import metadata

from keras_residual import _needs
from keras_residual.cli._json import AsJson, print_json
from keras_residual.cli._table import Column, print_table
from keras_residual.cli._terminal import console, in_one_line, quiet, refusing

_PACKAGE = "keras-residual"
# Extras for developers: tests and documentation.
_OWN = ("dev", "docs", "types", "all")


_COLUMNS = (
    Column("Extra", text=True),
    Column("Package", text=True, wraps=True),
    Column("Installed", text=True),
)


def checks(as_json: AsJson = False) -> None:
    """Show versions, backend, devices, and what each extra would install.

    With --json, an object: keras-residual, keras, tensorflow, jax, torch, numpy and python
    (versions, or "not installed"), machine, extras (for each extra the version of each of its
    packages, null for one that is missing), backend, devices (a list of names).
    """
    with refusing(), quiet():
        found = {**_versions(), "extras": _extras(), **_backend()}
    if as_json:
        print_json(found)
        return
    for name, value in found.items():
        if name != "extras":
            text = ", ".join(value) if isinstance(value, list) else value
            console.print(f"{name:<16} {text}", markup=False, soft_wrap=in_one_line())
    console.print()
    print_table(_COLUMNS, _rows(found["extras"]))
    console.print(f'pip install "{_PACKAGE}[EXTRA]" installs what is missing.', markup=False)


def _rows(extras):
    """Returns a row per package; only the first row of an extra names it."""
    return [
        [extra if number == 0 else "", package, version or "missing"]
        for extra, packages in extras.items()
        for number, (package, version) in enumerate(packages.items())
    ]


def _versions():
    import platform

    names = (_PACKAGE, "keras", "tensorflow", "jax", "torch", "numpy")
    found = {name: _version(name) or "not installed" for name in names}
    return {**found, "python": platform.python_version(), "machine": platform.platform()}


def _backend():
    try:
        import keras
    except ImportError as error:
        # What is wrong is what the command is asked for.
        return {"backend": _needs.explained(error), "devices": []}
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
