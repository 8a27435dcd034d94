"""Runs the benchmark: `python -m benchmarks.run` from the root of the repository."""

import argparse
import dataclasses
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from benchmarks import measure, report, stream
from benchmarks.report import Row
from benchmarks.subjects import REFERENCES, SUBJECTS, Missing, Subject

ROUNDS: Final = 5
QUICK_ROUNDS: Final = 2
QUICK: Final = 5
"""How much shorter the streams of a quick run are."""
RATE: Final = 1_000
SHORT: Final = {"slope", "drain", "start", "told"}
"""Kinds that are measured once a round."""
STREAMED: Final = {"slope", "memory", "latency"}
"""Kinds that read the stream."""


def say(text: str) -> None:
    """A line of progress; the table alone goes to the standard output."""
    print(text, file=sys.stderr, flush=True)


def chosen(only: Sequence[str]) -> list[Subject]:
    """The wanted subjects, and one reference that their ratios need."""
    if not only:
        return list(SUBJECTS)
    wanted = [subject for subject in SUBJECTS if subject.name in only]
    if any(subject.per_event for subject in wanted):
        references = (subject for subject in SUBJECTS if subject.name in REFERENCES)
        for reference in references:
            if reference in wanted:
                break
            try:
                reference.command()
            except Missing:
                continue
            wanted.insert(0, reference)
            break
    return wanted


def shorter(subject: Subject) -> Subject:
    """The same subject with a shorter stream."""
    small, large = subject.counts
    return dataclasses.replace(subject, counts=(small // QUICK, large // QUICK))


class Bench:
    """One run of the benchmark."""

    def __init__(self, subjects: Iterable[Subject], rounds: int, servers: measure.Standins) -> None:
        self.rows: Final = [Row(subject) for subject in subjects]
        self._rounds = rounds
        self._servers = servers

    def run(self) -> None:
        """Measure all rows, the rounds of the short ones interleaved so that a busy minute hits all of them."""
        for number in range(1, self._rounds + 1):
            for row in self.rows:
                if row.subject.kind in SHORT and number <= (row.subject.most_rounds or number):
                    self._guarded(row, f"round {number}/{self._rounds}")
        for row in self.rows:
            if row.subject.kind not in SHORT:
                self._guarded(row, "once")
        report.relate(self.rows)

    def _guarded(self, row: Row, when: str) -> None:
        if row.problem:
            return
        try:
            command = row.subject.command()
            if row.subject.kind == "slope":
                self._slope(row, command)
            elif row.subject.kind == "start":
                self._start(row, command)
            elif row.subject.kind in ("drain", "told"):
                self._told(row, command)
            else:
                self._once(row, command)
        except Missing as reason:
            row.problem = str(reason)
            say(f"{row.subject.name}: {row.problem}")
        except measure.Failed as reason:
            row.problem, row.failed = f"FAILED: {reason}", True
            row.values.clear()
            say(f"{row.subject.name}: {row.problem}")
        else:
            say(f"{when}  {row.subject.name:20}{row.values[-1]:10.1f} {row.subject.unit}")

    def _measured(self, row: Row, command: list[str], count: int, *arguments: str, tree: bool = False) -> measure.Cost:
        url = self._servers.url(*arguments)
        cost = measure.run([*command, url, str(count), *row.subject.options], whole_tree=tree)
        if cost.outcome.get("events") != count:
            raise measure.Failed(f"counted {cost.outcome.get('events')} events of {count}")
        return cost

    def _slope(self, row: Row, command: list[str]) -> None:
        """Two runs: their difference is free of start-up, login, discovery and the lists of pods."""
        small, large = row.subject.counts
        costs = {
            count: [self._measured(row, command, count, "--events", str(count)) for _ in range(row.subject.repeats)]
            for count in (small, large)
        }

        def slope(cpu: Callable[[measure.Cost], float]) -> float:
            least = {count: min(map(cpu, runs)) for count, runs in costs.items()}
            return (least[large] - least[small]) / (large - small) * 1e6

        if row.subject.own:
            row.values.append(slope(lambda cost: float(cost.outcome["cpu_seconds"])))
            row.more["children_us"] = round(slope(lambda cost: cost.cpu - float(cost.outcome["cpu_seconds"])), 1)
        else:
            row.values.append(slope(lambda cost: cost.cpu))
        row.rss = max(row.rss, *(cost.rss for cost in costs[large]))

    def _start(self, row: Row, command: list[str]) -> None:
        """A start, and its ratio to the start of Python itself."""
        cost = measure.run([*command, *row.subject.options])
        bare = measure.run([sys.executable, "-c", "pass"])
        row.values.append(cost.cpu * 1e3)
        row.rss = max(row.rss, cost.rss)
        row.bare.append(bare.cpu * 1e3)

    def _told(self, row: Row, command: list[str]) -> None:
        """What only the program itself can tell, such as the time of one call; it needs no server of ours."""
        count = row.subject.counts[1]
        cost = measure.run([*command, str(count), *row.subject.options])
        if cost.outcome.get("events") != count:
            raise measure.Failed(f"did {cost.outcome.get('events')} of {count}")
        for name in row.subject.notes:
            found = round(float(cost.outcome[name]), 1)
            row.more[name] = min(found, row.more.get(name, found))
        row.values.append(float(cost.outcome[row.subject.figure]))
        row.rss = max(row.rss, float(cost.outcome.get("rss_mib", cost.rss)))

    def _once(self, row: Row, command: list[str]) -> None:
        count = row.subject.counts[1]
        if row.subject.kind == "listing":
            arguments = ["--events", "0", "--list-events", str(count)]
        elif row.subject.kind == "latency":
            arguments = ["--events", str(count), "--rate", str(RATE)]
        else:
            arguments = ["--events", str(count)]
        try:
            cost = self._measured(row, command, count, *arguments, tree=True)
        finally:
            self._servers.stop(*arguments)
        row.rss = cost.rss
        if row.subject.kind == "latency":
            row.values.append(float(cost.outcome["latency_p99_ms"]))
            row.more["p50_ms"] = round(float(cost.outcome["latency_p50_ms"]), 1)
        else:
            row.values.append(cost.rss)
            row.more["cpu_seconds"] = round(cost.cpu, 1)


def main() -> int:
    """The command line; 1 where something of ours became slower or failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    names = [subject.name for subject in SUBJECTS]
    help_only = f"measure this row; may be repeated: {', '.join(names)}"
    parser.add_argument("--only", action="append", default=[], metavar="NAME", choices=names, help=help_only)
    parser.add_argument("--quick", action="store_true", help="short streams and few rounds: for a first look")
    parser.add_argument("--rounds", type=int, help=f"default: {ROUNDS}, quick {QUICK_ROUNDS}")
    parser.add_argument("--update-baseline", action="store_true", help="compare later runs with this one")
    options = parser.parse_args()
    if options.quick and options.update_baseline:
        parser.error("a quick run is no baseline")
    load = os.getloadavg()[0]
    if load > (os.cpu_count() or 1) / 4:
        say(f"The machine is busy (load {load:.1f}): expect the figures to scatter.")

    subjects = chosen(options.only)
    if options.quick:
        subjects = [shorter(subject) for subject in subjects]
    say("making the stream, if it is not there yet ...")
    stream.cached_events(max((subject.counts[1] for subject in subjects if subject.kind in STREAMED), default=0))
    with measure.Standins() as servers:
        bench = Bench(subjects, options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS), servers)
        bench.run()

    print(report.table(bench.rows))
    report.write_results(bench.rows, quick=options.quick, load=load)
    if options.update_baseline:
        report.update_baseline(bench.rows)
        say("The baseline is updated.")
        worse = False
    else:
        told, worse = report.compare(bench.rows, quick=options.quick)
        print("", *told, sep="\n")
    return 1 if worse or any(row.failed for row in bench.rows) else 0


if __name__ == "__main__":
    sys.exit(main())
