"""What a soak has come to, for a person to read."""

from pathlib import Path

from soak_state import FAILURES, State


def duration(ms: int) -> str:
    minutes, seconds = divmod(ms // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


def totals(state: State) -> list[str]:
    total = state.totals
    rows = [
        ("runs", f"{total['runs']:,}, {total['failed']:,} failed"),
        ("events", f"{total['events']:,}"),
        ("operations", f"{total['operations']:,} of clients, {total['failed_operations']:,} failed"),
        ("virtual time", duration(total["virtual_ms"])),
        ("CPU time", duration(total["cpu_ms"])),
        ("wall time", f"{duration(total['wall_ms'])}, and {duration(state.keeping_ms)} for failures"),
    ]
    return [f"{name:<14} {text}" for name, text in rows]


def counts(title: str, found: dict[str, int]) -> list[str]:
    return [title, *(f"{count:>14,}  {name}" for name, count in sorted(found.items()) if count > 0)]


def faults(state: State) -> list[str]:
    never = sorted(name for name, count in state.faults.items() if count == 0)
    lines = counts("Faults that struck:", state.faults)
    lines += [f"  NEVER: {name}" for name in never if name in state.expected_faults]
    return lines + [f"  in none of these scenarios: {name}" for name in never if name not in state.expected_faults]


def harms(state: State) -> list[str]:
    never = sorted(name for name, count in state.harms.items() if count == 0)
    return counts("Harms that came to pass:", state.harms) + [f"  NEVER: {name}" for name in never]


def marks(state: State) -> list[str]:
    if not state.has_marks:
        return ["No coverage marks: they are not compiled into this build (the presets debug and mutants have them)."]
    never = [f"  {text}" for text, count in sorted(state.marks.items()) if count == 0]
    lines = counts("Coverage marks hit:", state.marks)
    return [*lines, "", "Coverage marks NEVER hit:", *never] if never else [*lines, "", "Every coverage mark was hit."]


def scenarios(state: State) -> list[str]:
    lines = [f"{'Scenario':<32} {'runs':>8} {'failed':>8}"]
    return lines + [f"{Path(name).stem:<32} {runs:>8} {failed:>8}" for name, (runs, failed) in state.scenarios.items()]


def failures(state: State, directory: Path) -> list[str]:
    if not state.totals["failed"]:
        return ["No run failed."]
    lines = [f"Of {state.totals['failed']} runs that failed, {len(state.failures)} are kept in {directory / FAILURES}:"]
    for failure in state.failures:
        lines += [f"  {failure.name()}: {failure.what}", f"    {failure.command}"]
        lines.append(f"    {failure.outcome or 'not shrunk yet: the next ./dev soak does it'}")
    return lines + further_failures(state)


def further_failures(state: State) -> list[str]:
    """By a line each: all of their texts are in the state."""
    lines = []
    if state.further:
        lines.append(f"{len(state.further)} more; the commands are those above, with their seeds:")
        lines += [f"  {failure.name()}: {(failure.what.splitlines() or [''])[0]}" for failure in state.further]
    recorded = state.recorded()
    for name, (_, failed) in state.scenarios.items():
        if failed > recorded[name]:
            lines.append(f"{failed - recorded[name]} more of {Path(name).stem} are only counted.")
    return lines


def summary(state: State, directory: Path) -> str:
    seeds = f"seeds {state.first_seed}..{state.next_seed - 1}" if state.rounds else "nothing yet"
    head = f"Soak since {state.begun} of commit {state.commit}, build {state.build[:12]}: {seeds}"
    if not state.rounds:
        return head
    parts = [[head], totals(state), faults(state), harms(state), marks(state), scenarios(state), failures(state, directory)]
    return "\n\n".join("\n".join(part) for part in parts)
