"""What the benchmark scripts share: running a program that prints `name key=value …` lines, and small statistics."""

import os
import statistics
import subprocess
import sys


def parse_line(line):
    """`bare_io mode=direct op=put seconds=1.5` as a dict, with the first word under 'program'."""
    words = line.split()
    fields = {"program": words[0]}
    for word in words[1:]:
        key, _, value = word.partition("=")
        try:
            fields[key] = float(value)
        except ValueError:
            fields[key] = value
    return fields


def run(command):
    """Runs a benchmark program to its end and returns its lines, parsed. Ends this script when it fails."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{command[0]} failed with exit code {done.returncode}")
    return [parse_line(line) for line in done.stdout.splitlines() if "=" in line]


def median(values):
    return statistics.median(values)


def spread(values):
    """'median (least to most)'."""
    return f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def cpu_seconds(pids):
    """User and system CPU time that running processes have used so far."""
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def warn_if_loaded():
    """A benchmark on a busy machine measures the others."""
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"note: the load average is {load:.1f}: other programs are running, the figures will be low")
