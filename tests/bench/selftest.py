# SPDX-License-Identifier: Apache-2.0
"""The benchmark's own arithmetic: python3 -m unittest selftest."""

import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "integ")]

import callgrind  # noqa: E402
import figures  # noqa: E402
import load  # noqa: E402
import report  # noqa: E402


def result(*cpu_us, p99=500):
    parts = dict(zip(("gateway", "connector"), cpu_us))
    return {"cpu_us": parts, "requests": 1000, "us": 1e6, "foreign": 1.5, "p50_us": 300, "p99_us": p99}


def row(rounds, **more):
    return {"title": "t", "how": "cpu", "labels": list(rounds[0]), "missing": {}, "rounds": rounds, **more}


# The second round was disturbed: all its figures are twice as high, its ratios are not.
RUN = {"hosts": [{"CPU": "x"}], "rows": {
    "1k": row([{"nginx": result(20), "direct": result(16), "tunnel": result(15, 13)},
               {"nginx": result(40), "direct": result(36), "tunnel": result(30, 26)},
               {"nginx": result(20), "direct": result(17), "tunnel": result(15, 15)}]),
    "idle": row([{"0": result(20), "1000": result(21), "10000": result(23)}]),
    "h2": row([{"nginx": result(20)}], missing={"direct": "not offered"}),
    "memory": {"title": "m", "how": "memory", "labels": ["nginx", "direct"], "missing": {}, "rounds": [
        {"nginx": {"idle_kib": {"server": 6000}, "each_kib": {"1000": 15.0}},
         "direct": {"idle_kib": {"gateway": 3000}, "each_kib": {"1000": 12.0}}}]},
}}


class Figures(unittest.TestCase):
    def test_ratio_is_taken_within_a_round(self):
        found = figures.ratios(RUN, "1k", "direct", "nginx", figures.cpu())
        self.assertEqual([round(r, 2) for r in found], [0.8, 0.9, 0.85])

    def test_parts_add_up(self):
        self.assertEqual(figures.values(RUN, "1k", "tunnel", figures.cpu()), [28, 56, 30])
        alone = figures.ratios(RUN, "1k", "tunnel", "nginx", figures.cpu("gateway"), figures.cpu())
        self.assertEqual(alone, [0.75, 0.75, 0.75])

    def test_what_a_label_is_compared_with(self):
        for labels, label, want in ((["nginx", "direct"], "direct", "nginx"),
                                    (["nginx", "direct"], "nginx", "nginx"),
                                    (["nginx +log", "tunnel +log"], "tunnel +log", "nginx +log"),
                                    (["0", "1000"], "1000", "0")):
            self.assertEqual(figures.peer({"labels": labels}, label), want, label)

    def test_missing_says_why(self):
        for name, label, why in (("h2", "direct", "not offered"), ("tls", "direct", "not measured")):
            with self.assertRaisesRegex(figures.Missing, why):
                figures.values(RUN, name, label, figures.cpu())

    def test_verdict(self):
        less = figures.Goal("", 0.9, 0.8, None)
        more = figures.Goal("", 0.95, 1.0, None, is_more=True)
        for goal, value, want in ((less, 0.8, "stretch"), (less, 0.804, "stretch"), (less, 0.81, "must"),
                                  (less, 0.904, "must"), (less, 0.91, "MISSED"), (more, 1.0, "stretch"),
                                  (more, 0.95, "must"), (more, 0.94, "MISSED")):
            self.assertEqual(goal.verdict(value), want, value)

    def test_percentiles_of_all_rounds_together(self):
        def some(slow):
            return [figures.times({"times": "1:49"}), figures.times({"times": f"2:{51 - slow} 9:{slow}"})]

        self.assertEqual(figures.times({"times": "200:3 1010:1"}), {200: 3, 1010: 1})
        self.assertEqual(figures.percentile(some(1), 0.5), 2)
        self.assertEqual(figures.percentile(some(1), 0.99), 2)
        self.assertEqual(figures.percentile(some(2), 0.99), 9)
        with self.assertRaises(figures.Missing):
            figures.percentile([], 0.5)

    def test_added_latency_is_a_difference_of_percentiles(self):
        def slow(us, n):
            return dict(result(1), times=f"300:{100 - n} {us}:{n}")

        # Rounds in which something else held nginx up do not turn the sign, but widen the range.
        rounds = [{"nginx": slow(us, 2), "tunnel": slow(1280, 2)} for us in [600] * 5 + [2700] * 4]
        run = {"rows": {"rate": {"rounds": rounds}}}
        goal = next(g for g in figures.GOALS if "nginx' p99" in g.title)
        found = goal.figures(run)
        self.assertEqual((found.value, found.high), (1.0, 1.0))
        self.assertLess(found.low, 0)
        self.assertEqual(figures.spread(figures.Estimate(1, 0.5, 2), 2), "1.00 [0.50-2.00]")
        with self.assertRaises(figures.Missing):
            goal.figures({"rows": {}})

    def test_spread(self):
        self.assertEqual(figures.spread([1.0]), "1.0")
        self.assertEqual(figures.spread([3, 1, 2], 2), "2.00 [1.00-3.00]")

    def test_of_a_row_in_several_runs_the_last_counts(self):
        runs = [{"host": 1, "rows": {"a": 1, "b": 1}}, {"host": 2, "rows": {"b": 2}}]
        self.assertEqual(figures.merged(runs), {"hosts": [1, 2], "rows": {"a": 1, "b": 2}})


class Report(unittest.TestCase):
    def test_all_tables(self):
        text = report.text(RUN)
        for line in (r"\| 1k +\| direct +\| 17.0 \[16.0-36.0\] \| 0.85 \[0.80-0.90\]",
                     r"gateway 15.0 \+ connector 15.0",
                     r"\| 1k +\| haproxy reverse-http \| ~57.0",
                     r"\| h2 +\| direct +\| not offered",
                     r"\| direct, 1 KiB +\| x nginx +\| 0.85 \[0.80-0.90\] .* must +\|",
                     r"\| memory of an idle TLS connection, 1000 .* 0.80 .* stretch",
                     r"\| cost beside 10 000 idle connections : 0 .* 1.15 .* MISSED"):
            self.assertRegex(text, line)


class Parsers(unittest.TestCase):
    def test_h2load(self):
        text = ("Application protocol: {}\nrequests: 9 total, 9 started, 9 done, {} succeeded, 0 failed, 0 errored, "
                "0 timeout\nstatus codes: {} 2xx, {} 3xx, 0 4xx, 0 5xx\n")
        self.assertEqual(load.h2load_result(text.format("h2", 9, 9, 0), 2),
                         {"requests": 9, "us": 2000000, "failed": 0})
        self.assertEqual(load.h2load_result(text.format("h2", 9, 8, 1), 2)["failed"], 1)
        with self.assertRaises(load.Wrong):
            load.h2load_result(text.format("http/1.1", 9, 9, 0), 2)

    def test_callgrind(self):
        dump = ["events: Ir\n", "ob=(1) /usr/bin/frunproxyd\n", "fl=(1) a.c\n", "fn=(1) push\n", "0 10\n",
                "cob=(2) /usr/lib/libssl.so.3\n", "cfi=(2) b.c\n", "cfn=(2) SSL_read\n", "calls=3 0\n", "0 600\n",
                "0 5\n", "ob=(2)\n", "fn=(2)\n", "0 600\n", "fn=(1)\n", "0 1\n"]
        costs = callgrind.self_costs(dump)
        self.assertEqual(costs, {("frunproxyd", "push"): 15, ("libssl.so.3", "SSL_read"): 600,
                                 ("libssl.so.3", "push"): 1})
        self.assertEqual(callgrind.smallest([{"a": 9}, {"a": 1, "b": 3}, {"a": 5}]), {"a": 1, "b": 3})
        self.assertEqual(callgrind.less({"a": 30, "b": 4}, {"a": 10}, 2), {"a": 10, "b": 2})


if __name__ == "__main__":
    unittest.main()
