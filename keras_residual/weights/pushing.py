"""Publishing weights: a file, its configuration and a card in a repository of the hub."""

import dataclasses
import json
import pathlib
import tempfile
from collections.abc import Mapping, Sequence

import keras
import numpy as np

from keras_residual import _checks
from keras_residual._words import name_of
from keras_residual.weights import _hub, _slots, sources
from keras_residual.weights._scaling import METADATA_KEY
from keras_residual.weights.description import description_of
from keras_residual.weights.errors import WeightsError, first_line
from keras_residual.weights.inference import preprocessing_of
from keras_residual.weights.preprocessing import Preprocessing
from keras_residual.weights.sources import forbids_commerce

_PIPELINES = {
    "classification": "image-classification",
    "multilabel": "image-classification",
    "segmentation": "image-segmentation",
    "super_resolution": "image-to-image",
    "tagging": "token-classification",
    "transcription": "automatic-speech-recognition",
}


def push(
    model: keras.Model,
    location: str,
    license: str | None = None,
    datasets: Sequence[str] = (),
    metrics: Mapping[str, float] | None = None,
    base_model: str | None = None,
    tags: Sequence[str] = (),
    private: bool = False,
    message: str = "Weights of keras_residual",
    token: str | None = None,
) -> str:
    """Publishes a model's weights on the Hugging Face hub, with a card.

    One commit holds the weights (`model.safetensors`, or `model.weights.h5` for models that are not
    image networks of this package), `config.json` with the description of the model's inputs and
    outputs, and `README.md` with front matter for the hub. The repository is created if needed.
    `weights.load(model, location)` and `weights=location` restore the weights bit for bit, and the
    scaling of pixels that they expect.

    Args:
        model: A built model.
        location: `"hf://owner/name"`, with `"@branch"` for an existing branch.
        license: SPDX identifier of the licence. Defaults to that of the published weights that were
            loaded into the model; required if there are none.
        datasets: Names of the datasets on the hub that the model was trained on. Defaults to the
            one recorded by the training, if any.
        metrics: Results by name, e.g. `{"accuracy": 0.921}`. Defaults to `None`.
        base_model: Repository of the weights that the training started from. Defaults to that of
            the published weights in the model, if these come from the hub.
        tags: Further tags. Defaults to none.
        private: Whether a new repository is private. Defaults to `False`.
        message: Message of the commit.
        token: Access token. Defaults to the one stored by `hf auth login` or `$HF_TOKEN`.

    Returns:
        The location with the commit, `"hf://owner/name@…"`.

    Raises:
        ValueError: If an argument is wrong, or `license` is needed.
        WeightsError: If the hub refuses or cannot be reached, in one line.
        ImportError: If huggingface_hub is not installed.

    Example:

    >>> model = keras_residual.ResNet8(weights="cifar10")
    >>> push(model, "hf://me/resnet20-digits", license="mit", metrics={"accuracy": 0.987})
    'hf://me/resnet20-digits@5f3e…'
    """
    address = _checked_address(location)
    card = _card(model, license, datasets, metrics, base_model, tags)
    _checks.boolean("private", private)
    try:
        import huggingface_hub as hub
    except ImportError as error:
        raise ImportError(
            f"Pushing to {location} needs huggingface_hub: pip install 'keras-residual[hub]'"
        ) from error
    with tempfile.TemporaryDirectory() as folder:
        _write(pathlib.Path(folder), model, address, card)
        try:
            api = hub.HfApi(endpoint=hub.constants.ENDPOINT, token=token)
            api.create_repo(address.repository, private=private, exist_ok=True)
            commit = api.upload_folder(
                repo_id=address.repository,
                folder_path=folder,
                commit_message=message,
                revision=address.revision,
            )
        # The HTTP library, and so the exceptions, depend on the version of huggingface_hub.
        except Exception as error:
            raise WeightsError(f"cannot push to {location}: {first_line(error)}") from error
    return f"hf://{address.repository}@{commit.oid}"


def _checked_address(location) -> _hub.Address:
    address = _hub.parse(location) if isinstance(location, str) else None
    if address is None or address.file is not None:
        raise ValueError(
            "`location` must have the form 'hf://owner/name' or 'hf://owner/name@branch'. "
            f"Received: location={location!r}"
        )
    return address


@dataclasses.dataclass(frozen=True)
class _Card:
    """The front matter of a card."""

    license: str
    datasets: tuple[str, ...]
    metrics: dict[str, float]
    base_model: str | None
    tags: tuple[str, ...]
    task: str


def _card(model, license, datasets, metrics, base_model, tags) -> _Card:
    if not isinstance(model, keras.Model) or not model.built:
        raise ValueError(f"`model` must be a built Keras model. Received: model={model!r}")
    source, description = sources.source_of(model), description_of(model)
    stated = description.licence if description is not None else None
    license = license or stated
    if not isinstance(license, str) or not license:
        raise ValueError(
            "`license` must be the SPDX identifier of a licence, such as 'mit' or 'apache-2.0': "
            f"the weights of {model.name!r} have none of their own. Received: license={license!r}"
        )
    if not datasets and description is not None and description.dataset:
        datasets = (description.dataset,)
    if base_model is None and source is not None and source.is_hub:
        base_model = source.location.removeprefix("hf://")
    return _Card(
        license.lower(),
        _texts("datasets", datasets),
        _numbers(metrics),
        base_model,
        tuple(dict.fromkeys(("keras", "keras-residual", "resnet", *_texts("tags", tags)))),
        "classification" if description is None else description.task,
    )


def _texts(name: str, values) -> tuple[str, ...]:
    values = None if isinstance(values, str) else values
    if values is None or not all(isinstance(value, str) and value for value in values):
        raise ValueError(f"`{name}` must be a sequence of names. Received: {name}={values!r}")
    return tuple(values)


def _numbers(metrics) -> dict[str, float]:
    metrics = {} if metrics is None else metrics
    if not isinstance(metrics, Mapping) or not all(isinstance(name, str) for name in metrics):
        raise ValueError(f"`metrics` must be numbers by name. Received: metrics={metrics!r}")
    names = metrics.items()
    return {name: _checks.real("metrics", value, -np.inf, np.inf) for name, value in names}


def _write(folder: pathlib.Path, model, address: _hub.Address, card: _Card) -> None:
    """Writes the files of a repository into a folder."""
    scaling = _scaling_of(model)
    file = _write_weights(folder, model, scaling)
    description = description_of(model)
    config = {
        "library": "keras_residual",
        "model": name_of(model),
        "file": file,
        "preprocessing": None if scaling is None else dataclasses.asdict(scaling),
        "description": None if description is None else dataclasses.asdict(description),
    }
    text = json.dumps(config, indent=2, ensure_ascii=False)
    (folder / "config.json").write_text(text + "\n", encoding="utf-8")
    readme = _front_matter(address, card) + _readme(model, address, card, scaling)
    (folder / "README.md").write_text(readme, encoding="utf-8")


def _scaling_of(model) -> Preprocessing | None:
    try:
        return preprocessing_of(model)
    except ValueError:
        # Not every model takes images, and the preprocessing may be unknown.
        return None


def _write_weights(folder: pathlib.Path, model, scaling: Preprocessing | None) -> str:
    try:
        slots = _slots.slots_of(model)
    except WeightsError:
        model.save_weights(folder / "model.weights.h5")
        return "model.weights.h5"
    try:
        from safetensors.numpy import save_file
    except ImportError as error:
        raise ImportError("Pushing weights needs safetensors: pip install safetensors") from error
    metadata = {"format": "keras_residual"}
    if scaling is not None:
        metadata[METADATA_KEY] = json.dumps(dataclasses.asdict(scaling))
    arrays = {slot.name: _plain(value) for slot, value in _slots.read(slots)}
    save_file(arrays, folder / "model.safetensors", metadata=metadata)
    return "model.safetensors"


def _plain(value: np.ndarray) -> np.ndarray:
    """Returns an array that NumPy can write; float32 can represent every bfloat16."""
    value = value.astype("float32") if value.dtype.kind not in "fiub" else value
    return np.array(value, order="C")


def _front_matter(address: _hub.Address, card: _Card) -> str:
    import huggingface_hub as hub

    name = address.repository.rpartition("/")[2]
    pipeline = _PIPELINES.get(card.task)
    dataset = card.datasets[0] if card.datasets else "unknown"
    results = [
        hub.EvalResult(
            task_type=pipeline or card.task,
            dataset_type=dataset,
            dataset_name=dataset,
            metric_type=metric,
            metric_value=value,
        )
        for metric, value in card.metrics.items()
    ]
    data = hub.ModelCardData(
        license=card.license,
        library_name="keras",
        datasets=list(card.datasets) or None,
        metrics=list(card.metrics) or None,
        base_model=card.base_model,
        tags=list(card.tags),
        pipeline_tag=pipeline,
        eval_results=results or None,
        model_name=name if results else None,
    )
    return f"---\n{data.to_yaml()}\n---\n\n"


def _readme(model, address: _hub.Address, card: _Card, scaling: Preprocessing | None) -> str:
    where = f"hf://{address.repository}"
    lines = [f"# {address.repository.rpartition('/')[2]}", ""]
    lines += [f"`{name_of(model)}` of {model.count_params():,} parameters, trained with Keras 3."]
    if forbids_commerce(card.license):
        lines += ["", f"**The licence, {card.license}, forbids commercial use.**"]
    lines += ["", "```python", "from keras_residual import weights", ""]
    lines += [f'weights.load(model, "{where}")', "```", ""]
    shape = " × ".join("any" if size is None else str(size) for size in model.inputs[0].shape[1:])
    lines += [f"- Input: {shape}"]
    if scaling is not None:
        lines += [
            f"- Pixels of 0…255: (x / {scaling.divisor:g} - {list(scaling.mean)}) / "
            f"{list(scaling.std)}, {scaling.channels.upper()}"
        ]
    lines += [f"- {name}: {value:g}" for name, value in card.metrics.items()]
    return "\n".join(lines) + "\n"
