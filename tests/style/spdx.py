#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every source file opens with its SPDX line: Apache-2.0, under gui/ GPL-3.0-or-later.

    spdx.py ROOT | spdx.py --selftest
"""
import pathlib
import subprocess
import sys
import tempfile

SUFFIXES = {".h", ".cpp", ".cu", ".cuh", ".inc", ".cmake", ".py", ".sh"}


def source_files(root: pathlib.Path):
    listed = subprocess.run(["git", "-C", str(root), "ls-files"], capture_output=True, text=True, check=False)
    names = listed.stdout.splitlines() if listed.returncode == 0 else [
        p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()]
    for name in names:
        path = root / name
        if not path.is_file():
            continue
        script = not path.suffix and path.open("rb").read(2) == b"#!"
        if path.suffix in SUFFIXES or path.name == "CMakeLists.txt" or script:
            yield name, path


def complaints(root: pathlib.Path):
    for name, path in source_files(root):
        licence = "GPL-3.0-or-later" if name.startswith("gui/") else "Apache-2.0"
        head = path.read_text(encoding="utf-8", errors="replace").splitlines()[:2]
        if not any(f"SPDX-License-Identifier: {licence}" in line for line in head):
            yield f"{name}:1: no line 'SPDX-License-Identifier: {licence}'"


def selftest() -> int:
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / "gui").mkdir()
        (root / "good.cpp").write_text("// SPDX-License-Identifier: Apache-2.0\n")
        (root / "bad.cpp").write_text("int x;\n")
        (root / "gui" / "bad.cpp").write_text("// SPDX-License-Identifier: Apache-2.0\n")
        found = sorted(c.split(":")[0] for c in complaints(root))
    return 0 if found == ["bad.cpp", "gui/bad.cpp"] else 1


def main() -> int:
    if sys.argv[1:] == ["--selftest"]:
        return selftest()
    found = list(complaints(pathlib.Path(sys.argv[1])))
    print("\n".join(found) if found else "every file names its licence")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
