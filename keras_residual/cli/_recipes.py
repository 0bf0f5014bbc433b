"""Overrides of a recipe from the command line."""

import dataclasses
import json

from keras_residual import training


def changed(recipe: training.Recipe, changes: list[str]) -> training.Recipe:
    """Returns the recipe with each NAME=VALUE applied; a value is JSON or a plain string."""
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
    except RecursionError as error:
        raise ValueError("`--set` takes no value that is nested so deeply.") from error
    return tuple(value) if isinstance(value, list) else value
