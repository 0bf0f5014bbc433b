import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from keras_residual.cli._terminal import (
    bold,
    console,
    human_bytes,
    human_seconds,
    quiet,
    refusing,
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
) -> None:
    """Measure files and networks side by side: latency, throughput, loading, memory, size."""
    with console.status("Measuring, each in a process of its own"), refusing(), quiet():
        from keras_residual import export
        from keras_residual._files import write_text

        measured = export.benchmark(
            *models, batch_sizes=batch_size or (1, 32), threads=threads or (1, 2), seconds=seconds
        )
        rows = [asdict(row) for row in measured.rows]
        write_text(output / "benchmark.json", json.dumps(rows, indent=2) + "\n")
        measured.plot(output / "benchmark.png")
    console.print(_table(measured))
    console.print(
        "Median of all runs, in turns; memory is what loading and running added to the runtime's.",
        style="dim",
        soft_wrap=True,
    )
    console.print(f"{bold(f'{output}/')} benchmark.json, benchmark.png", soft_wrap=True)


def _table(measured) -> Table:
    table = Table(header_style="bold")
    table.add_column("Model", overflow="fold")
    for heading in ("Batch", "Threads", "Median", "95 %", "Per second", "Load", "Memory", "Size"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in measured.rows:
        table.add_row(
            row.name,
            str(row.batch_size),
            str(row.threads),
            human_seconds(row.median_seconds),
            human_seconds(row.p95_seconds),
            f"{row.per_second:,.0f}" if row.per_second > 100 else f"{row.per_second:.1f}",
            human_seconds(row.load_seconds),
            human_bytes(row.memory_bytes),
            "–" if row.file_bytes is None else human_bytes(row.file_bytes),
        )
    return table
