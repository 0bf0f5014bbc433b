"""A recipe by its name, and what the command line changes in it."""

import dataclasses
import json

from keras_residual import training


def find(name: str) -> training.Recipe:
    """Returns the recipe of that name."""
    if name not in training.recipes:
        raise ValueError(f"Unknown recipe: {name!r}. Accepted: {', '.join(training.recipes)}.")
    return training.recipes[name]


def changed(recipe: training.Recipe, changes: list[str]) -> training.Recipe:
    """Returns the recipe with each NAME=VALUE in place; values are read as JSON or as words."""
    fields = [field.name for field in dataclasses.fields(recipe)]
    for change in changes:
        name, sign, value = change.partition("=")
        if not sign or name not in fields:
            raise ValueError(f"`--set` takes NAME=VALUE of {', '.join(fields)}. Received: {change}")
        recipe = dataclasses.replace(recipe, **{name: _value(value)})
    return recipe


def _value(text):
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return text
    return tuple(value) if isinstance(value, list) else value
