import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from keras_residual.cli._json import AsJson, print_json, standard_output_kept
from keras_residual.cli._steps import Steps
from keras_residual.cli._table import columns, print_table
from keras_residual.cli._terminal import bold, console, in_one_line, quiet, refusing
from keras_residual.cli._units import human_bytes, human_seconds

_COLUMNS = columns(
    "Model", "Batch", "Threads", "Median", "95 %", "Inputs\na second", "Load", "Memory", "Size"
)


def benchmark(
    models: Annotated[
        list[str],
        typer.Argument(
            help="Exported files, .keras files, and names: ResNet50, keras.applications.ResNet50."
        ),
    ],
    batch_size: Annotated[
        list[int] | None, typer.Option(help="May be repeated. Default: 1 and 32.", min=1)
    ] = None,
    threads: Annotated[
        list[int] | None, typer.Option(help="May be repeated. Default: 1 and 2.", min=1)
    ] = None,
    seconds: Annotated[float, typer.Option(help="Time for each row.", min=0.1)] = 1.0,
    output: Annotated[
        Path, typer.Option(help="Folder for benchmark.json and benchmark.png.")
    ] = Path("runs/benchmark"),
    as_json: AsJson = False,
) -> None:
    """Measure files and networks side by side: latency, throughput, loading, memory, size.

    With --json, what benchmark.json holds, a list of objects: name, format, batch_size, threads,
    median_seconds, p95_seconds, per_second (inputs), load_seconds, memory_bytes, file_bytes
    (null for a network by name).
    """
    with standard_output_kept(as_json):
        measured, rows = _measured(models, batch_size, threads, seconds, output)
    if as_json:
        print_json(rows)
        return
    print_table(_COLUMNS, [_row(row) for row in measured.rows])
    console.print(
        "Median of all runs, in turns; memory is what loading and running added to the runtime's.",
        style="dim",
        soft_wrap=in_one_line(),
    )
    console.print(f"{bold(f'{output}/')} benchmark.json, benchmark.png", soft_wrap=in_one_line())


def _measured(models, batch_size, threads, seconds, output):
    """Runs and writes the benchmark; returns the report and its rows as JSON types."""
    with Steps("Measuring, each in a process of its own") as steps, refusing(), quiet():
        from keras_residual import export
        from keras_residual._files import write_text

        measured = export.benchmark(
            *models,
            batch_sizes=batch_size or (1, 32),
            threads=threads or (1, 2),
            seconds=seconds,
            progress=steps.reach,
        )
        rows = [{**asdict(row), "per_second": row.per_second} for row in measured.rows]
        write_text(output / "benchmark.json", json.dumps(rows, indent=2) + "\n")
        measured.plot(output / "benchmark.png")
    return measured, rows


def _row(row) -> list[str]:
    return [
        row.name,
        str(row.batch_size),
        str(row.threads),
        human_seconds(row.median_seconds),
        human_seconds(row.p95_seconds),
        f"{row.per_second:,.0f}" if row.per_second > 100 else f"{row.per_second:.1f}",
        human_seconds(row.load_seconds),
        human_bytes(row.memory_bytes),
        "–" if row.file_bytes is None else human_bytes(row.file_bytes),
    ]
