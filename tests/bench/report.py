# SPDX-License-Identifier: Apache-2.0
"""Results as text: tables that are Markdown and read well on a terminal."""

import statistics

from figures import GOALS, RECORDED, Missing, cpu, field, middle, peer, percentile, ratios, spread, times, values


def table(head, lines):
    rows = [head] + lines
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    rows.insert(1, ["-" * w for w in widths])
    return ["| " + " | ".join(c.ljust(w) for c, w in zip(row, widths)) + " |" for row in rows]


def _parts(run, row, label):
    names = values(run, row, label, lambda r: list(r["cpu_us"]))[0]
    if len(names) < 2:
        return ""
    return " + ".join(f"{n} {statistics.median(values(run, row, label, cpu(n))):.1f}" for n in names)


def _pushes(run, name, row, label):
    per_s = values(run, name, label, lambda r: r["requests"] / r["us"] * 1e6)
    latency = "-"
    first = values(run, name, label, lambda r: r)[0]
    if "times" in first:
        all_rounds = values(run, name, label, times)
        latency = " / ".join(f"{percentile(all_rounds, share):.0f}" for share in (0.50, 0.99))
    elif "p50_us" in first:
        latency = " / ".join(f"{statistics.median(values(run, name, label, field(p))):.0f}"
                             for p in ("p50_us", "p99_us"))
    base = peer(row, label)
    of_base = "-" if base == label else spread(ratios(run, name, label, base, cpu()), 2)
    return [name, label, spread(values(run, name, label, cpu())), of_base, _parts(run, name, label),
            f"{statistics.median(per_s):.0f}", latency,
            f"{statistics.median(values(run, name, label, field('foreign'))):.0f} %"]


def cost_table(run):
    lines = []
    for name, row in run["rows"].items():
        if row["how"] != "cpu":
            continue
        for label in row["labels"]:
            lines.append(_pushes(run, name, row, label))
        if name in RECORDED and "nginx" in row["labels"]:
            us = RECORDED[name] * statistics.median(values(run, name, "nginx", cpu()))
            lines.append([name, "haproxy reverse-http", f"~{us:.1f}", f"{RECORDED[name]:.2f} (recorded)",
                          "", "-", "-", "-"])
        lines += [[name, label, why, "-", "", "-", "-", "-"]
                  for label, why in row["missing"].items()]
    return table(["row", "subject", "CPU us per push", "ratio", "of which", "pushes/s", "p50 / p99 us",
                  "foreign"], lines)


def memory_table(run):
    lines = []
    row = run["rows"]["memory"]
    counts = max((list(r["each_kib"]) for r in row["rounds"][0].values()), key=len)
    for label in row["labels"]:
        (at_rest,) = values(run, "memory", label, field("idle_kib"))
        idle = [f"{part} {kib / 1024:.1f}" for part, kib in at_rest.items()]
        line = [label, ", ".join(idle)]
        for n in counts:
            try:
                each = values(run, "memory", label, lambda r, n=n: r["each_kib"][n])
                line.append(spread(each))
            except KeyError:
                line.append("-")
        lines.append(line)
    return table(["subject", "at rest, MiB"] + [f"KiB each at {n}" for n in counts], lines)


def goal_table(run):
    lines = []
    for goal in GOALS:
        try:
            found = goal.figures(run)
            shown, verdict = spread(found, 2), goal.verdict(middle(found))
        except Missing as why:
            shown, verdict = str(why), "-"
        except KeyError:
            shown, verdict = "not measured", "-"
        sign = ">=" if goal.is_more else "<="
        lines.append([goal.title, goal.unit, shown, f"{sign} {goal.must:.2f}", f"{sign} {goal.stretch:.2f}",
                      verdict])
    return table(["goal", "unit", "this run", "must", "stretch", "reached"], lines)


def text(run):
    parts = []
    titles = [f"- {name}: {row['title']}" for name, row in run["rows"].items() if row["how"] == "cpu"]
    if titles:
        parts += ["Median [min-max] of the rounds; ratio: to nginx in the same round, or to the first line of "
                  "the row where there is no nginx.", "", *titles, "", *cost_table(run), ""]
    if "memory" in run["rows"]:
        parts += ["Memory: PSS, and what an idle TLS connection adds", "", *memory_table(run), ""]
    parts += ["Goals", "", *goal_table(run), ""]
    for host in run["hosts"][-1:]:
        parts += [", ".join(f"{k} {v}" for k, v in host.items())]
    return "\n".join(parts)
