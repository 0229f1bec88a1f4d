"""Rewrites the tables of docs/tables.md from the recorded results, as `watchword table` prints them.

python scripts/paper_tables.py
"""

from pathlib import Path

from watchword.evaluate.table_results import find, read_results
from watchword.evaluate.table_text import markdown
from watchword.evaluate.tables import find_recipes, read_tables

START, END = "<!-- tables:start -->", "<!-- tables:end -->"
ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "tables.md"
PRINTED = (("1", "small"), ("2", "small"), ("3", "small"), ("3", "medium"), ("4", "small"), ("ablations", "small"))


def printed() -> str:
    """All tables of the page, one below the other."""
    tables = read_tables(find_recipes(ROOT / "recipes"))
    results = read_results(tables.results)
    parts = []
    for number, scale in PRINTED:
        chosen = tables.table(number)
        found = find(tables, results, scale, [row.recipe for row in chosen.rows])
        parts.append(markdown(tables, chosen, scale, found).strip())
    return "\n\n".join(parts)


def rewrite(page: Path) -> None:
    """Puts the tables between the page's markers."""
    before, _, rest = page.read_text(encoding="utf-8").partition(START)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{START}\n{printed()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    rewrite(PAGE)
