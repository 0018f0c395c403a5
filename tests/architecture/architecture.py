"""The rules of the architecture, and the check of a source tree against them.

Three kinds of rule:
  - edges: which folder may include which (and, in CMake, link which);
  - purity: what `core` and `sim` may not use, because a run must be a function of its seed (P6): threads, sockets,
    files, wall clocks, unseeded randomness, the parts of Asio that wait by themselves, and containers whose order
    differs between builds;
  - one definition: a qualified name is that of one type. Two types of one name break the one-definition rule of C++: the
    linker keeps one copy of each template over them, whichever it meets first, and says nothing.

An exception stands on the offending line, or on the one above it, with its reason:
    // architecture: allow unordered: only looked up, never iterated
`core` may only ask for the rules in CORE_EXCEPTIONS.
"""

import re
from pathlib import Path
from typing import Iterator, NamedTuple

CORE = ("core/base", "core/env", "core/wire", "core/raft", "core/meta", "core/ec", "core/chunk", "core/client")

# Which folders each folder may include, besides itself. A folder that is not named here may hold no C++.
EDGES = {
    "core/base": (),
    "core/env": ("core/base",),
    "core/wire": ("core/base", "core/env"),
    "core/raft": ("core/base", "core/env", "core/wire"),
    "core/ec": ("core/base", "core/env", "core/wire"),
    "core/meta": ("core/base", "core/env", "core/wire", "core/raft", "core/ec"),
    "core/chunk": ("core/base", "core/env", "core/wire", "core/ec"),
    "core/client": ("core/base", "core/env", "core/wire", "core/ec"),
    "sim": CORE,
    "net": ("core/base", "core/env", "core/wire"),
    "runtime": CORE + ("net",),
    # It borrows the harnesses of tests.
    "fuzz": CORE + ("sim", "net", "runtime", "tests"),
    "tests": CORE + ("sim", "net", "runtime"),
}

# The parts of Asio that core and sim may see: what a coroutine is made of, and nothing that waits.
PURE_ASIO = re.compile(
    r"boost/asio/(any_io_executor|any_completion_handler|associated_\w+|async_result|awaitable|bind_executor|co_spawn|"
    r"deferred|detached|dispatch|execution(/.*)?|execution_context|post|query|require|prefer|this_coro|use_awaitable)\.hpp"
)

FORBIDDEN_INCLUDES = {
    "thread": r"thread|mutex|shared_mutex|condition_variable|future|stop_token|semaphore|latch|barrier|pthread\.h|"
    r"boost/thread.*",
    "socket": r"boost/beast.*|sys/socket\.h|sys/epoll\.h|sys/un\.h|netinet/.*|arpa/.*|netdb\.h|poll\.h|openssl/.*",
    "file": r"fstream|filesystem|fcntl\.h|unistd\.h|dirent\.h|sys/(stat|mman|file|uio|statvfs)\.h|rocksdb/.*|"
    r"boost/filesystem.*",
    "clock": r"ctime|time\.h|sys/time\.h|sys/timerfd\.h",
    "random": r"random|sys/random\.h|boost/random.*",
    "log": r"iostream|spdlog/.*",
}

FORBIDDEN_TOKENS = {
    "thread": r"std::(jthread|thread|async|this_thread|mutex|atomic)\b|\bpthread_\w+",
    "socket": r"\basio::(ip|local|io_context|thread_pool|system_executor)\b|\bio_context\b",
    "file": r"\b(fopen|std::ifstream|std::ofstream|std::filesystem)\b",
    "clock": r"\b(system_clock|steady_clock|high_resolution_clock|clock_gettime|gettimeofday)\b|\bstd::time\b|"
    r"\b(steady|system|deadline|high_resolution)_timer\b",
    "random": r"\b(srand|rand|random_device|mt19937(_64)?|minstd_rand0?|default_random_engine)\b|\w+_distribution\b|"
    r"\bstd::shuffle\b",
    "environment": r"\b(getenv|setenv)\b",
    "hash": r"\bstd::hash<",
    "unordered": r"\bunordered_(multi)?(map|set)\b",
    # Such a container is ordered by where its keys happen to lie in memory.
    "pointer-order": r"\bstd::(multi)?(set|map)<[^<>,]*\*\s*[,>]",
}

CORE_EXCEPTIONS = ("unordered", "hash")

ALLOW = re.compile(r"//\s*architecture: allow ([\w-]+): (\S.*)")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


# What opens a brace, or closes one, in code without comments and literals.
BRACE = re.compile(
    r"\bnamespace\s+(?P<space>[\w:]+)\s*\{"
    r"|\b(?:struct|class|union|enum(?:\s+(?:class|struct))?)\s+(?:\[\[\w+\]\]\s*)?(?P<type>\w+)\s*(?:final\s*)?"
    r"(?::(?!:)[^{};()]*)?\{"
    r"|(?P<other>[{}])"
)


class Finding(NamedTuple):
    path: str
    line: int
    text: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.text}"


def folder_of(path: str) -> str | None:
    """The unit of the architecture that a path lies in: core/raft, sim, tests, …"""
    parts = path.split("/")
    if parts[0] == "core":
        return "/".join(parts[:2]) if len(parts) > 2 else None
    return parts[0] if len(parts) > 1 else None


def is_pure(folder: str) -> bool:
    return folder.startswith("core/") or folder == "sim"


def code_lines(text: str) -> list[str]:
    """The lines of a C++ source less its comments and the contents of its literals."""
    token = re.compile(
        r'//[^\n]*|/\*.*?\*/|R"([^(\s]*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.DOTALL
    )

    def blank(match):
        found = match.group(0)
        return '""' if found[0] in "\"R" else " " + "\n" * found.count("\n")

    return token.sub(blank, text).split("\n")


def allowed_rule(lines: list[str], index: int) -> str | None:
    """The rule that the line's annotation, or that of the comment line above it, makes an exception from."""
    here = ALLOW.search(lines[index])
    if here is None and index > 0 and lines[index - 1].lstrip().startswith("//"):
        here = ALLOW.search(lines[index - 1])
    return here.group(1) if here else None


def check_include(folder: str, name: str, quoted: bool) -> Iterator[tuple[str, str]]:
    """What is wrong with one #include: pairs of the rule and the message."""
    target = folder_of(name)
    if target in EDGES and target != folder and target not in EDGES[folder]:
        yield "edge", f"{folder} may not include {target} ({name})"
    elif quoted and target not in EDGES:
        yield "edge", f"include project headers by their path from the root: {name}"
    if not is_pure(folder):
        return
    if name.startswith("boost/asio") and not PURE_ASIO.fullmatch(name):
        yield "asio", f"{folder} may not see this part of Asio: <{name}>"
    for rule, pattern in FORBIDDEN_INCLUDES.items():
        if re.fullmatch(pattern, name):
            yield rule, f"{folder} may not include <{name}> (rule: {rule})"


def check_line(folder: str, line: str) -> Iterator[tuple[str, str]]:
    for rule, pattern in FORBIDDEN_TOKENS.items():
        found = re.search(pattern, line)
        if found:
            yield rule, f"{folder} may not use {found.group(0).strip()} (rule: {rule})"


def check_source(path: str, text: str) -> list[Finding]:
    """All that is wrong with one C++ source, named by its path from the root."""
    folder = folder_of(path)
    if folder not in EDGES:
        return [Finding(path, 1, "no rule says what this folder may include: add it to tests/architecture/architecture.py")]
    findings = []
    lines = text.split("\n")
    for index, code in enumerate(code_lines(text)):
        # Literals are blanked in `code`, so the name of an include is read from the line itself.
        include = INCLUDE.match(lines[index]) if code.lstrip().startswith("#") else None
        if include:
            problems = list(check_include(folder, include.group(2), include.group(1) == '"'))
        elif is_pure(folder):
            problems = list(check_line(folder, code))
        else:
            problems = []
        exception = allowed_rule(lines, index) if problems else None
        for rule, message in problems:
            if rule == exception and rule != "edge" and (folder == "sim" or rule in CORE_EXCEPTIONS):
                continue
            findings.append(Finding(path, index + 1, message))
    return findings


def types_defined(text: str) -> Iterator[tuple[str, int]]:
    """The qualified names of the types that one C++ source defines for others to see, each with its line."""
    code = "\n".join(code_lines(text))
    scopes: list[str | None] = []  # a namespace each, or None: a type, a function, or a namespace without a name
    for brace in BRACE.finditer(code):
        if brace.group("other") == "}":
            if scopes:
                scopes.pop()
            continue
        if brace.group("type") and None not in scopes:
            yield "::".join([*filter(None, scopes), brace.group("type")]), code.count("\n", 0, brace.start()) + 1
        scopes.append(brace.group("space"))


def check_definitions(sources: dict[str, str]) -> list[Finding]:
    """The types that are defined in two places; `sources` is the text of each path."""
    findings = []
    first: dict[str, str] = {}
    for path, text in sources.items():
        for name, line in types_defined(text):
            where = first.setdefault(name, f"{path}:{line}")
            if where != f"{path}:{line}":
                findings.append(Finding(path, line, f"{name} is another type in {where}"))
    return findings


# The targets that one call of CMake names: the first is the one that it is about.
CMAKE_CALL = re.compile(r"\b(dogfs_library|dogfs_proto_library|target_link_libraries)\(([^)]*)\)")


def cmake_calls(text: str) -> Iterator[tuple[str, list[str], int]]:
    """Of each call that declares or links a library: what is called, the names in it, and the line."""
    text = re.sub(r"#[^\n]*", "", text)
    for match in CMAKE_CALL.finditer(text):
        yield match[1], re.findall(r"[\w-]+", match[2]), text.count("\n", 0, match.start()) + 1


def libraries_declared(texts: dict[str, str]) -> dict[str, str]:
    """The folder of each library; `texts` is what each CMakeLists.txt says."""
    folders = {}
    for path, text in texts.items():
        for call, names, _ in cmake_calls(text):
            if call != "target_link_libraries":
                folders[names[0]] = folder_of(path)
    return folders


def check_cmake(path: str, text: str, libraries: dict[str, str]) -> list[Finding]:
    """All that is wrong with what one CMakeLists.txt links: along the edges only. `libraries`: by libraries_declared()."""
    folder = folder_of(path)
    findings = []
    for _, names, line in cmake_calls(text):
        for target in names[1:]:
            linked = libraries.get(target, folder)
            if linked != folder and linked not in EDGES.get(folder, ()):
                findings.append(Finding(path, line, f"{folder} may not link {linked} ({target})"))
    return findings


def check_tree(root: Path) -> list[Finding]:
    findings = []
    sources = {}
    builds = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if name.split("/")[0] in ("build", ".git", ".cache") or not path.is_file():
            continue
        if path.suffix in (".h", ".cc", ".cpp", ".hpp"):
            sources[name] = path.read_text()
            findings += check_source(name, sources[name])
        elif path.name == "CMakeLists.txt" and "/" in name:
            builds[name] = path.read_text()
    libraries = libraries_declared(builds)
    for name, text in builds.items():
        findings += check_cmake(name, text, libraries)
    return findings + check_definitions(sources)
