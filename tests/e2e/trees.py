"""Directory trees to put into a cluster, and how to tell whether they came back."""

import hashlib
import os
import shutil
from pathlib import Path

MIB = 1 << 20

# Names that break programs which quote, split, decode or parse them.
ODD_NAMES = [
    b"two words",
    b"it's",
    b'"double"',
    b"-rf",
    b"--help",
    b"new\nline",
    b"tab\tand\x1b[31m escape",
    "naïve 日本語 🐕".encode(),
    b"bytes \xff\xfe that are no text",
    b"$HOME `id` $(id) ; & | * ? [a]",
    b"back\\slash",
    b".hidden",
    b"...",
    b"n" * 255,
]


def link_or_copy(source, target):
    """A hard link where the system allows one: the bytes are there already."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def plain_files(root):
    """The plain files under `root` in the order of their paths."""
    for directory, names, files in os.walk(root):
        names.sort()
        for name in sorted(files):
            path = os.path.join(directory, name)
            if os.path.isfile(path) and not os.path.islink(path) and os.access(path, os.R_OK):
                yield path


def add_small_files(target, roots, count, at_most=256 * 1024):
    """Takes the first `count` small files of the roots, keeping their directories."""
    taken = 0
    for root in roots:
        for path in plain_files(root):
            if taken == count:
                return
            if os.path.getsize(path) > at_most:
                continue
            copy = target / os.path.relpath(path, "/")
            copy.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(path, copy)
            taken += 1


def large_files(roots):
    """The large files of the roots, the largest first."""
    found = {}
    for root in roots:
        for path in plain_files(root):
            status = os.stat(path)
            if status.st_size >= MIB:
                found.setdefault((status.st_dev, status.st_ino), path)
    return sorted(found.values(), key=lambda path: (-os.path.getsize(path), path))


def add_libraries(target, roots, total_bytes):
    target.mkdir(parents=True)
    taken = 0
    for number, path in enumerate(large_files(roots)):
        if taken >= total_bytes:
            return
        link_or_copy(path, target / f"{number:03}-{os.path.basename(path)}")
        taken += os.path.getsize(path)


def write_concatenation(target, roots, total_bytes):
    """One file of at least that size, made of the large files one after the other."""
    with open(target, "wb") as out:
        while out.tell() < total_bytes:
            before = out.tell()
            for path in large_files(roots):
                with open(path, "rb") as part:
                    shutil.copyfileobj(part, out, MIB)
                if out.tell() >= total_bytes:
                    return
            if out.tell() == before:
                out.write(os.urandom(MIB) * 64)


def add_odd_names(target):
    os.makedirs(os.fsencode(target))
    for number, name in enumerate(ODD_NAMES):
        with open(os.path.join(os.fsencode(target), name), "wb") as out:
            out.write(b"odd %d\n" % number + name)
    os.makedirs(os.path.join(os.fsencode(target), b"a directory\nof two lines", b"- -"))


def build_tree(root, small_files, library_bytes, big_bytes):
    """A tree of what is installed on this machine: deterministic on one machine."""
    roots = [path for path in ("/usr/lib/llvm-19", "/usr/lib/x86_64-linux-gnu", "/usr/lib/gcc", "/usr/bin", "/usr/lib")
             if os.path.isdir(path)]  # fmt: skip
    root = Path(root)
    add_small_files(root / "small", ["/usr/include", "/usr/share", "/etc"], small_files)
    add_libraries(root / "libraries", roots, library_bytes)
    write_concatenation(root / "big.bin", roots, big_bytes)
    (root / "empty").touch()
    (root / "empty directory").mkdir()
    add_odd_names(root / "odd names")


def sha256_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def manifest(root):
    """What a tree is: for each path, as bytes relative to the root, its digest, or None for a directory."""
    root = os.fsencode(root)
    found = {}
    for directory, names, files in os.walk(root):
        for name in names:
            found[os.path.relpath(os.path.join(directory, name), root)] = None
        for name in files:
            path = os.path.join(directory, name)
            found[os.path.relpath(path, root)] = sha256_of(path)
    return found


def differences(expected, found):
    """What is wrong with `found`, in words."""
    wrong = [f"missing: {path!r}" for path in sorted(expected.keys() - found.keys())]
    wrong += [f"not expected: {path!r}" for path in sorted(found.keys() - expected.keys())]
    wrong += [f"differs: {path!r}" for path in sorted(expected.keys() & found.keys()) if expected[path] != found[path]]
    return wrong


def tree_bytes(root):
    return sum(os.path.getsize(path) for path in plain_files(os.fsencode(root)))
