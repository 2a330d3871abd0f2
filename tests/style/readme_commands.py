#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the commands that README.md prints, so that it cannot rot.

    readme_commands.py ROOT LINDOS | readme_commands.py --selftest

Taken are the lines of fenced blocks that start with build/PRESET/bin/lindos. Run are those that need neither a
probe nor the engine: help, version, show, and predict with --no-db of a scenario without a device that must be probed.
Of the others the verb and each --option must be known to `lindos VERB --help`.
"""
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

PROGRAM = re.compile(r"^build/[a-z]+/bin/lindos$")
TIMEOUT_S = 240


def commands(text: str) -> list[list[str]]:
    """The words after the program of each command in a fenced block; comments and continued lines are understood."""
    found, fenced, line = [], False, ""
    for raw in text.splitlines():
        if raw.lstrip().startswith("```"):
            fenced, line = not fenced, ""
            continue
        if not fenced:
            continue
        line += raw
        if line.endswith("\\"):
            line = line[:-1]
            continue
        if line.lstrip().startswith("build/"):  # output blocks may hold anything, even an open quote
            words = shlex.split(line, comments=True)
            if words and PROGRAM.match(words[0]):
                found.append(words[1:])
        line = ""
    return found


def needs_this_machine(root: pathlib.Path, words: list[str]) -> bool:
    scenarios = [root / w for w in words if w.endswith(".toml")]
    return any(re.search(r'^device = "this-machine"', s.read_text(encoding="utf-8"), re.M) for s in scenarios if s.exists())


def is_quick(root: pathlib.Path, words: list[str]) -> bool:
    if "--help" in words or words in (["--version"], ["-h"]):
        return True
    if words[0] == "show":
        return True
    return words[0] == "predict" and "--no-db" in words and not needs_this_machine(root, words)


def call(root: pathlib.Path, lindos: str, words: list[str]) -> subprocess.CompletedProcess:
    return subprocess.run([lindos, *words], cwd=root, capture_output=True, text=True, timeout=TIMEOUT_S)


def complaint(root: pathlib.Path, lindos: str, words: list[str]) -> str | None:
    if is_quick(root, words):
        done = call(root, lindos, words)
        if done.returncode != 0:
            return f"exit status {done.returncode}: {done.stderr.strip()[-400:]}"
        return None if done.stdout.strip() else "prints nothing"
    help_text = call(root, lindos, [words[0], "--help"])
    if help_text.returncode != 0:
        return "unknown verb"
    for word in words[1:]:
        option = word.split("=")[0]
        if option.startswith("--") and not re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", help_text.stdout):
            return f"{words[0]} has no option {option}"
        if word.startswith("scenarios/") and not (root / word).exists():
            return f"{word} does not exist"
    return None


def check(root: pathlib.Path, lindos: str) -> int:
    found = commands((root / "README.md").read_text(encoding="utf-8"))
    quick = sum(is_quick(root, words) for words in found)
    if quick < 3:
        print(f"README.md: {quick} quick lindos commands found, at least 3 expected: is the extraction broken?")
        return 1
    failed = 0
    for words in found:
        why = complaint(root, lindos, words)
        if why:
            failed += 1
            print(f"README.md: lindos {' '.join(words)}: {why}")
    print(f"{len(found)} commands, {quick} of them run, {failed} wrong")
    return 1 if failed else 0


def selftest() -> int:
    text = ("build/release/bin/lindos outside\n```sh\nbuild/release/bin/lindos show a.toml   # comment\n"
            "build/dev/bin/lindos predict b.toml \\\n  --no-db\nother build/dev/bin/lindos x\n```\n"
            "```\ndon't parse output\nlindos show c\n```\n")
    expected = [["show", "a.toml"], ["predict", "b.toml", "--no-db"]]
    if commands(text) != expected:
        print(f"selftest: extracted {commands(text)}")
        return 1
    # A program that knows one verb with one option: a wrong verb, a wrong option and a failing command must be found.
    fake = ('#!/bin/sh\n[ "$1" = show ] && [ "$2" = bad ] && exit 1\n'
            '[ "$1" = gone ] && exit 2\necho "usage: --known FILE"\n')
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        program = root / "lindos"
        program.write_text(fake)
        program.chmod(0o755)
        planted = {("show", "bad"): True, ("gone", "x"): True, ("run", "--unknown"): True, ("run", "--known-not"): True,
                   ("run", "scenarios/none.toml"): True, ("show", "good"): False, ("run", "--known", "f"): False}
        for words, wrong in planted.items():
            if (complaint(root, str(program), list(words)) is not None) != wrong:
                print(f"selftest: {' '.join(words)} should {'' if wrong else 'not '}be a complaint")
                return 1
    return 0


def main() -> int:
    if sys.argv[1:] == ["--selftest"]:
        return selftest()
    return check(pathlib.Path(sys.argv[1]), sys.argv[2])


if __name__ == "__main__":
    sys.exit(main())
