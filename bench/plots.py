"""One plot per benchmark: bars by system, one panel per load. Written so that the same figures give the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.figures import Shown

_OURS = "#1f6feb"
_THEIRS = "#9aa4b2"


def draw(file: Path, shown: Shown, rows: Sequence[dict[str, Any]]) -> Path | None:
    """Draw the main figure; the file, or None when no run counts.

    Args:
        file: the SVG to write.
        shown: how the benchmark is shown.
        rows: lines of its table.
    """
    drawn = [row for row in rows if row.get(shown.main) is not None]
    if not drawn:
        file.unlink(missing_ok=True)
        return None
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": file.stem, "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot

    loads = list(dict.fromkeys(row["load"] for row in drawn))
    height = 0.9 + 0.32 * len(drawn) + 0.55 * len(loads)
    sizes = [sum(row["load"] == load for row in drawn) for load in loads]
    figure, axes = pyplot.subplots(
        len(loads), 1, figsize=(8, height), squeeze=False, sharex=True, gridspec_kw={"height_ratios": sizes}
    )
    for panel, load in zip(axes[:, 0], loads, strict=True):
        _panel(panel, shown, [row for row in drawn if row["load"] == load], load)
    axes[-1, 0].set_xlabel(shown.main.strip())
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)
    return file


def _panel(panel: Any, shown: Shown, rows: Sequence[dict[str, Any]], load: str) -> None:
    ordered = list(reversed(rows))
    values = [row[shown.main] for row in ordered]
    colours = [_OURS if row["system"].startswith("Pointsman") else _THEIRS for row in ordered]
    bars = panel.barh([row["system"] for row in ordered], values, color=colours)
    panel.bar_label(bars, labels=[f"{value:,.4g}" for value in values], padding=3)
    if shown.log and min(values) > 0:
        panel.set_xscale("log")
    panel.margins(x=0.15)
    panel.set_title(load, loc="left", fontsize=9)
    panel.spines[["top", "right"]].set_visible(False)
