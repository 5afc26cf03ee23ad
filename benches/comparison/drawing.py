"""The plot: CPU per request, one group of bars per case, one bar per peer, as plain SVG."""

from xml.sax.saxutils import escape

import report

WIDTH = 760
LEFT = 96
RIGHT = 120
BAR = 15
ROW = 19
GROUP_HEAD = 26
GROUP_GAP = 14
TOP = 74

# User and system time; the gate has other colours.
COLOURS = {True: ("#1f6f54", "#7fc3a6"), False: ("#566270", "#b4bdc7")}


def svg(data):
    """The whole file."""
    cases = [case for case in report.measured(data["results"]) if case.plotted]
    groups = [(case, bars(data["results"][case.name])) for case in cases]
    most = max((bar["cpu"] for _, group in groups for bar in group), default=1)
    scale = (WIDTH - LEFT - RIGHT) / most
    body, top = [], TOP
    for case, group in groups:
        body.append(label(16, top + 14, case.title, "title"))
        top += GROUP_HEAD
        for bar in group:
            body += drawn(bar, top, scale)
            top += ROW
        top += GROUP_GAP
    about = data["about"]
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top}" viewBox="0 0 {WIDTH} {top}">',
        "<style>text{font:12px sans-serif;fill:#1d242b}.head{font-size:16px;font-weight:bold}"
        ".title{font-weight:bold}.small{font-size:11px;fill:#56606a}.name{text-anchor:end}</style>",
        f'<rect width="{WIDTH}" height="{top}" fill="#ffffff"/>',
        label(16, 26, "CPU time per request, microseconds: less is better", "head"),
        label(16, 44, "dark: user, light: system; behind it the ratio to smolgate. "
                      "forwarder parses nothing: the limit.", "small"),
        label(16, 60, f"{about['date']}, {about['machine']}", "small"),
    ]
    return "\n".join([*head, *body, "</svg>", ""])


def bars(by_peer):
    gate = by_peer.get(report.GATE, [])
    found = []
    for peer, turns in by_peer.items():
        cpu = report.median(turns, "cpu")
        if cpu is not None:
            # Medians of the parts need not add up to the median of the whole.
            user, system = report.median(turns, "user"), report.median(turns, "system")
            share = user / (user + system) if user + system else 0
            found.append({"peer": peer, "cpu": cpu, "user": cpu * share, "ratio": report.ratio(turns, gate, "cpu")})
    return found


def drawn(bar, top, scale):
    dark, light = COLOURS[bar["peer"] == report.GATE]
    user, whole = bar["user"] * scale, bar["cpu"] * scale
    number = f"{bar['cpu']:.1f}" + (f" (x {bar['ratio']:.2f})" if bar["ratio"] is not None else "")
    return [
        label(LEFT - 8, top + 12, bar["peer"], "name"),
        f'<rect x="{LEFT}" y="{top}" width="{user:.1f}" height="{BAR}" fill="{dark}"/>',
        f'<rect x="{LEFT + user:.1f}" y="{top}" width="{whole - user:.1f}" height="{BAR}" fill="{light}"/>',
        label(LEFT + whole + 6, top + 12, number, "small"),
    ]


def label(x, y, words, kind):
    return f'<text x="{x:.1f}" y="{y}" class="{kind}">{escape(words)}</text>'
