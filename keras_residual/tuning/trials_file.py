"""All trials of a search as a CSV file."""

import csv
import dataclasses
import io

from keras_residual.tuning.budget import Cost


def trials_csv(result) -> str:
    """Returns the text of a CSV file with a row for each trial of a `SearchResult`."""
    text = io.StringIO()
    knobs = [knob.name for knob in result.hypermodel.knobs]
    metrics = list(dict.fromkeys(name for row in result.rows for name in row.metrics))
    costs = [field.name for field in dataclasses.fields(Cost)]
    front = [row.trial for row in result.pareto()]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", "status", *metrics, *costs, "pareto", *knobs, "reason"])
    for row in result.rows:
        writer.writerow(
            [
                row.trial,
                row.status,
                *[row.metrics.get(name, "") for name in metrics],
                *[getattr(row.cost, name, "") for name in costs],
                "yes" if row.trial in front else "",
                *[row.values.get(name, "") for name in knobs],
                row.reason,
            ]
        )
    return text.getvalue()
