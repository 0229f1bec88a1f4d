"""What `watchword table --run` does: trains and measures the rows that are missing, telling how it goes."""

import signal
from collections.abc import Iterable, Sequence
from pathlib import Path

import typer

from watchword.evaluate.tables import PaperTable, TableError, Tables

AGAIN = "run the same command again to go on; what is finished is kept"


def run_table(
    tables: Tables,
    table: PaperTable,
    scale: str,
    seeds: Iterable[int],
    rows: Sequence[str],
    data: Sequence[Path],
    untrained: bool,
) -> None:
    """Runs the rows of a table (all of them if none are named), or measures those that are trained.

    Raises TableError for a row that the table does not have."""
    recipes = [row.recipe for row in table.rows]
    for name in rows:
        if name not in recipes:
            raise TableError(f"table: no row {name!r}; the rows' recipes are {', '.join(dict.fromkeys(recipes))}")
    old = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        from watchword.cli.evaluate import default_places, trials_cache
        from watchword.cli.progress import progress_bar
        from watchword.cli.training import training_report
        from watchword.train.table_runs import prepare_measures, run_rows

        def tell(sentence: str) -> None:
            typer.echo(sentence, err=True)

        places = list(data) or default_places()
        tell("building the trials")
        prepared = prepare_measures(tables, table.columns, scale, places, trials_cache())
        wanted = rows or recipes
        finished = run_rows(
            tables, wanted, scale, seeds, prepared, training_report, tell, progress_bar, untrained=untrained
        )
    except KeyboardInterrupt:
        finished = False
    finally:
        signal.signal(signal.SIGTERM, old)
    if not finished:
        typer.echo(f"table: stopped; {AGAIN}", err=True)
        raise typer.Exit(130)
