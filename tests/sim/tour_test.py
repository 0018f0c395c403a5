"""Runs every command of docs/tour.md, in its order, and checks that the pictures show what the tour says.

With a build that has no mutants, the commands with --mutant are left out: `./dev test` runs the others in its release
stage and all in its stage for the mutants.
"""

import argparse
import json
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def commands() -> list[list[str]]:
    """The lines of the shell blocks, as lists of words."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "docs" / "tour.md").read_text(), re.DOTALL | re.MULTILINE)
    return [shlex.split(line) for block in blocks for line in block.splitlines() if line.strip()]


def page_of(words: list[str], directory: Path) -> dict | None:
    if "--html" not in words:
        return None
    text = (directory / words[words.index("--html") + 1]).read_text()
    return json.loads(re.search(r'<script id="run" type="application/json">(.*?)</script>', text, re.DOTALL).group(1))


def roles(run: dict) -> dict[int, dict[int, set[int]]]:
    """By term: the nodes by the role (1: pre-vote, 2: candidate, 3: leader) that they had in it."""
    found: dict[int, dict[int, set[int]]] = {}
    members = run["members"]
    for node, role, term in zip(members["node"], members["role"], members["term"]):
        found.setdefault(term, {}).setdefault(role, set()).add(node)
    return found


def check(condition: bool, what: str) -> None:
    if not condition:
        sys.exit(f"the tour promises what the picture does not show: {what}")


def check_page(name: str, run: dict) -> None:
    terms = roles(run)
    leaders = {term: nodes.get(3, set()) for term, nodes in terms.items()}
    check(all(len(nodes) <= 1 for nodes in leaders.values()) or "--mutant" in run["command"], "no two leaders of a term")
    if name == "election.html":
        check(run["failure"] == "" and sum(1 for nodes in leaders.values() if nodes) >= 2, "a second leader is elected")
    if name == "partition.html":
        check(run["failure"] == "" and 4 in run["messages"]["fate"], "messages are cut off")
        check(any(1 in nodes for nodes in terms.values()), "who is cut off asks for pre-votes")
    if name == "split.html":
        split = [term for term, nodes in terms.items() if len(nodes.get(2, set())) > 1 and not leaders[term]]
        check(run["failure"] == "" and split != [], "a term with several candidates and no leader")
    if name == "bug.html":
        check(run["failure"] != "" and run["mutant"] != "", "the planted bug does harm")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=Path)
    program = parser.parse_args().program.resolve()
    listing = subprocess.run([program, "list"], capture_output=True, text=True, check=True).stdout
    has_mutants = "not in this build" not in listing
    found = commands()
    check(len(found) == 5, "five commands")
    with tempfile.TemporaryDirectory() as directory:
        for words in found:
            check(words[:2] == ["./dev", "sim"], f"{words} is run by ./dev sim")
            if "--mutant" in words and not has_mutants:
                print("left out:", shlex.join(words))
                continue
            print(shlex.join(words), flush=True)
            run = subprocess.run([program, *words[2:]], cwd=directory, capture_output=True, text=True, check=False)
            page = page_of(words, Path(directory)) if run.returncode in (0, 1) else None
            expected = 1 if page is not None and page["mutant"] else 0
            if run.returncode != expected:
                sys.exit(f"exits with {run.returncode}, not {expected}:\n{run.stdout}{run.stderr}")
            if page is not None:
                check_page(words[words.index("--html") + 1], page)


if __name__ == "__main__":
    main()
