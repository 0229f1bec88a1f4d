"""Rewrites the table of measured figures in README.md from evaluation reports.

python scripts/readme_figures.py REPORT.json …
"""

import sys
from pathlib import Path
from typing import Any

from watchword.evaluate.metrics import Figure
from watchword.evaluate.report import ReportError, percent, read_report

START, END = "<!-- figures:start -->", "<!-- figures:end -->"
README = Path(__file__).parent.parent / "README.md"
SHOWN = {
    "ap": "average precision",
    "top1": "top-1",
    "eer": "EER",
    "auc": "AUC",
    "easy_eer": "EER, easy negatives",
    "easy_auc": "AUC, easy negatives",
    "hard_eer": "EER, hard negatives",
    "hard_auc": "AUC, hard negatives",
}


def figures_table(reports: list[dict[str, Any]]) -> str:
    """The reports' main figures as a Markdown table: benchmark, figure with its interval, command."""
    lines = ["| benchmark | figure | % (95 % interval) | command |", "|---|---|---|---|"]
    for report in reports:
        for result in report["results"]:
            name, command = f"{result['benchmark']}, {result['corpus']}", f"`{report['command']}`"
            for key in (key for key in SHOWN if key in result["figures"]):
                value, interval = percent(Figure(**result["figures"][key]))
                lines.append(f"| {name} | {SHOWN[key]} | {value} ({interval}) | {command} |")
                name = command = ""
    return "\n".join(lines)


def rewrite(readme: Path, reports: list[dict[str, Any]]) -> None:
    """Replaces what stands between the two marks. Raises ReportError if a mark is missing."""
    text = readme.read_text(encoding="utf-8")
    head, start, rest = text.partition(START)
    _, end, tail = rest.partition(END)
    if not start or not end:
        raise ReportError(f"{readme}: no {START} … {END}; put the two marks where the table belongs")
    readme.write_text(f"{head}{START}\n{figures_table(reports)}\n{END}{tail}", encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Reads the reports, rewrites the README, and returns the exit status."""
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        rewrite(README, [read_report(Path(argument)) for argument in arguments])
    except ReportError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
