"""Medians, ratios, tables.

Results have the form that `--json` writes:

    {"about": {...}, "results": {case: {peer: [numbers of a turn or null, ...]}}}

If peers take turns under load, a round has several turns, otherwise one.
"""

import statistics

from cases import CASES
from kinds import KINDS

GATE = "smolgate"

# Tables between these lines of a document are replaced.
BEGIN = "<!-- tables: benches/compare writes them -->"
END = "<!-- end of the tables -->"


def median(turns, key):
    """The median over the turns; None if there is no number."""
    values = [numbers[key] for numbers in turns if numbers and key in numbers]
    return statistics.median(values) if values else None


def ratio(turns, gate_turns, key):
    """The median of the turns' ratios to the gate: a disturbance of a turn affects both numbers."""
    pairs = [(one, gate) for one, gate in zip(turns, gate_turns) if one and gate and key in one]
    ratios = [one[key] / gate[key] for one, gate in pairs if gate.get(key, 0) > 0]
    return statistics.median(ratios) if ratios else None


def number(value, digits):
    return "-" if value is None else f"{value:,.{digits}f}"


def rows(case, results):
    """The header and one row per peer, as strings."""
    kind = KINDS[case.kind]
    header = ["", *(column.title for column in kind.columns), "of the gate"]
    lines = []
    for peer, turns in results[case.name].items():
        cells = [number(median(turns, column.key), column.digits) for column in kind.columns]
        cells.append(number(ratio(turns, results[case.name].get(GATE, []), kind.main), 2))
        lines.append([peer, *cells])
    return header, lines


def measured(results):
    return [case for case in CASES if results.get(case.name)]


def judged(results):
    """The cases in which no request may fail."""
    return [case for case in measured(results) if not KINDS[case.kind].may_fail]


def failures(results):
    """A sentence for each case and peer with failed requests."""
    for case in judged(results):
        for peer, turns in results[case.name].items():
            failed = sum(numbers["failed"] for numbers in turns if numbers)
            if failed:
                yield f"{case.name}: {failed:.0f} requests failed at {peer}"


def gaps(results):
    """A sentence for each case and peer without a number, or with an impossible one."""
    for case in judged(results):
        kind = KINDS[case.kind]
        for peer, turns in results[case.name].items():
            if not any(turns):
                yield f"{case.name}: nothing of {peer}"
            elif "rate" in {column.key for column in kind.columns} and not median(turns, "rate"):
                yield f"{case.name}: no request was answered by {peer}"


def text(data):
    """All tables, for a terminal."""
    out = []
    for case in measured(data["results"]):
        header, lines = rows(case, data["results"])
        widths = [max(len(line[column]) for line in [header, *lines]) for column in range(len(header))]
        out.append(f"\n{case.title}  [{case.name}]")
        for line in [header, *lines]:
            cells = [cell.ljust(width) if index == 0 else cell.rjust(width)
                     for index, (cell, width) in enumerate(zip(line, widths))]
            out.append("  " + "  ".join(cells).rstrip())
    out.extend(["", *failures(data["results"])])
    return "\n".join(out)


def markdown(data):
    """All tables, for a document, after the time and the machine of the run."""
    about = data["about"]
    versions = ", ".join(f"{name} {version}".strip() for name, version in about["versions"].items())
    out = [f"{about['date']}, {about['machine']}. {versions}. "
           f"{about['rounds']} rounds of {about['seconds']:g} s."]
    if about["missing"]:
        out[0] += f" Missing: {', '.join(about['missing'])}."
    if about["same_headers"]:
        out[0] += " With `--same-headers`."
    for case in measured(data["results"]):
        header, lines = rows(case, data["results"])
        out += ["", f"**{case.title}** (`{case.name}`)", "", "| " + " | ".join(header) + " |",
                "|---|" + "--:|" * (len(header) - 1)]
        out += ["| " + " | ".join(line) + " |" for line in lines]
    for sentence in failures(data["results"]):
        out += ["", sentence + "."]
    return "\n".join(out)


def paste(path, tables):
    """Replaces the text between the two markers of a document."""
    document = path.read_text()
    head, begin, rest = document.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{path}: the lines {BEGIN} and {END} are not there")
    path.write_text(f"{head}{begin}\n\n{tables}\n\n{end}{tail}")
