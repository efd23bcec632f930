"""A table as a page of its own for the report: in words, to be sorted and searched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from string import Template

# Complete in itself, since a report is opened where there may be no network. A cell's data-value is
# what it is sorted by: a number in full, where its text is rounded.
_PAGE = Template("""\
<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>$title</title>
<style>
body { font: 14px/1.4 system-ui, sans-serif; margin: 1em; }
input { font: inherit; padding: .3em .5em; width: 20em; max-width: 90%; }
table { border-collapse: collapse; margin: 1em 0; font-variant-numeric: tabular-nums; }
th, td { padding: .25em .7em; text-align: left; border-bottom: 1px solid #ddd; }
th { position: sticky; top: 0; background: #f3f3f3; cursor: pointer; vertical-align: bottom; }
th[aria-sort=ascending]::after { content: " \\25B2"; }
th[aria-sort=descending]::after { content: " \\25BC"; }
.number { text-align: right; white-space: nowrap; }
</style>
<input type="search" placeholder="search rows" aria-label="search rows">
<table>
<thead><tr>$headings</tr></thead>
<tbody>
$rows
</tbody>
</table>
$notes
<script>
const body = document.querySelector("tbody"), heads = [...document.querySelectorAll("th")];
const value = (row, at) => row.cells[at].dataset.value;
heads.forEach((head, at) => head.addEventListener("click", () => {
  const up = head.getAttribute("aria-sort") !== "ascending";
  heads.forEach(other => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const numbers = head.className === "number";
  const order = (a, b) => numbers ? a - b : a.localeCompare(b);
  const sorted = [...body.rows].sort((one, other) => {
    const a = value(one, at), b = value(other, at);
    if (a === "" || b === "") return (a === "") - (b === "");  // what is missing comes last
    return up ? order(a, b) : order(b, a);
  });
  body.append(...sorted);
}));
document.querySelector("input").addEventListener("input", event => {
  const words = event.target.value.toLowerCase().split(/\\s+/);
  for (const row of body.rows)
    row.hidden = !words.every(word => row.textContent.toLowerCase().includes(word));
});
</script>
</html>
""")


def page(
    title: str,
    headings: Sequence[str],
    rows: Iterable[Sequence[tuple[str, str]]],
    numeric: Sequence[bool],
    notes: Iterable[str],
) -> str:
    """Give the HTML page of a table, which loads nothing.

    Args:
        title: of the window.
        headings: of the columns.
        rows: for each cell what it is sorted by, empty where there is nothing, and its text.
        numeric: for each column whether it is sorted by number.
        notes: sentences below the table.
    """
    kinds = [' class="number"' if each else "" for each in numeric]
    heads = "".join(
        f'<th scope="col"{kind}>{escape(heading)}</th>'
        for heading, kind in zip(headings, kinds, strict=True)
    )
    lines = [
        "".join(
            f'<td{kind} data-value="{escape(value)}">{escape(text)}</td>'
            for (value, text), kind in zip(row, kinds, strict=True)
        )
        for row in rows
    ]
    return _PAGE.substitute(
        title=escape(title),
        headings=heads,
        rows="\n".join(f"<tr>{line}</tr>" for line in lines),
        notes="\n".join(f"<p>{escape(note)}</p>" for note in notes),
    )
