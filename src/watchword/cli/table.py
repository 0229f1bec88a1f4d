"""The command `watchword table`: a table of the paper with our figures beside it; `--run` trains and measures it."""

import json
from pathlib import Path
from typing import Annotated

import typer


def table(
    number: Annotated[str, typer.Argument(help="1, 2, 3 or 4; none with --ablations.", show_default=False)] = "",
    run: Annotated[bool, typer.Option("--run", help="Train what is missing and measure it; else only print.")] = False,
    train: Annotated[bool, typer.Option(help="With --run: train; else only measure what is trained.")] = True,
    ablations: Annotated[bool, typer.Option("--ablations", help="The ablations beside the rows they change.")] = False,
    scale: Annotated[str, typer.Option(help="What rows are trained on, and how long; see recipes/paper.")] = "small",
    seeds: Annotated[int, typer.Option(min=1, help="With --run: seeds 1 to this.")] = 3,
    rows: Annotated[
        list[str] | None, typer.Option(help="With --run: only these recipes; may be repeated or joined by commas.")
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(help="With --run: manifests to test on; else WATCHWORD_WORK and WATCHWORD_DATA."),
    ] = None,
    recipes: Annotated[Path | None, typer.Option(help="The recipes folder of a clone.", show_default="here")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print a table of the paper with our own figures beside the published ones.

    With --run, rows are trained one after the other and measured; stopped, the same command goes on where it was.
    """
    from watchword.evaluate.table_results import find, read_results
    from watchword.evaluate.table_text import as_json as in_json
    from watchword.evaluate.table_text import markdown
    from watchword.evaluate.tables import TableError, find_recipes, read_tables

    if bool(number) == ablations:
        raise TableError("table: name one table, 1 to 4, or --ablations")
    tables = read_tables(find_recipes(recipes))
    if ablations and "ablations" not in tables.tables:
        raise TableError(f"table: no ablations in {tables.folder / 'paper' / 'ablation'}")
    chosen = tables.table("ablations" if ablations else number)
    tables.scale(scale)
    if run:
        from watchword.cli.table_running import run_table

        wanted = [name for part in rows or () for name in part.split(",") if name]
        run_table(tables, chosen, scale, range(1, seeds + 1), wanted, data or [], train)
    found = find(tables, read_results(tables.results), scale, [row.recipe for row in chosen.rows])
    if as_json:
        typer.echo(json.dumps(in_json(tables, chosen, scale, found), ensure_ascii=False, indent=1))
    else:
        typer.echo(markdown(tables, chosen, scale, found))
