#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads every #include line and fails on an arrow that the architecture forbids (docs/architecture.md).

    layering.py ROOT | layering.py --selftest
"""
import pathlib
import re
import sys
import tempfile

# Room → rooms it may include, and prefixes of third-party headers it may include (<…>). Rooms are matched by
# the longest prefix, so exec/scheduler is its own room.
STD = re.compile(r"^[a-z0-9_]+$|^[a-z0-9_]+\.h$|^(sys|arpa|netinet)/[a-z_]+\.h$")
ROOMS = {
    "scenarios": ({"scenarios"}, ["toml++/", "nlohmann/", "xxhash.h", "zlib.h"]),
    "data": ({"data", "scenarios"}, ["SQLiteCpp/", "sqlite3.h", "fmt/"]),
    "kernels": ({"kernels"}, ["immintrin.h", "cuda"]),
    "exec/scheduler": ({"exec/scheduler", "scenarios"}, []),
    "exec": ({"exec", "exec/scheduler", "kernels", "scenarios"},
             ["mpi.h", "cblas.h", "pcre2.h", "utf8proc.h", "nlohmann/", "fmt/", "cuda", "cublasLt.h", "nccl.h", "linux/"]),
    "sim": ({"sim", "exec/scheduler", "scenarios"}, ["simgrid/", "xbt/", "coin/", "cblas.h", "fmt/"]),
    "cli": ({"cli", "sim", "exec", "exec/scheduler", "data", "kernels", "scenarios"},
            ["CLI/", "fmt/", "nlohmann/", "simgrid/version.h", "xbt/base.h", "cblas.h", "sqlite3.h"]),
    "gui": ({"gui", "data", "scenarios"}, ["Q", "qcustomplot.h"]),
}
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')


def room_of(path: str) -> str | None:
    found = [room for room in ROOMS if path.startswith(room + "/")]
    return max(found, key=len) if found else None


def complaints(root: pathlib.Path):
    for file in sorted(root.rglob("*")):
        if file.suffix not in {".h", ".cpp", ".cu", ".cuh", ".inc"}:
            continue
        relative = file.relative_to(root).as_posix()
        room = room_of(relative)
        if room is None:
            continue
        rooms, third = ROOMS[room]
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            own, system = match.groups()
            where = f"{relative}:{number}"
            if own:
                target = room_of(own)
                if target is None:
                    yield f'{where}: "{own}" is not a path from the root'
                elif target not in rooms:
                    yield f"{where}: {room} may not know {target} ({own})"
            elif not STD.match(system) and not any(system.startswith(t) for t in third):
                yield f"{where}: {room} may not use <{system}>"
            elif any(system.startswith(t) for other, (_, ts) in ROOMS.items() for t in ts) and \
                    not any(system.startswith(t) for t in third):
                yield f"{where}: {room} may not use <{system}>"


def selftest() -> int:
    planted = {
        "sim/a.cpp": '#include "exec/runner/replica.h"\n',
        "scenarios/b.h": "#include <SQLiteCpp/Database.h>\n",
        "kernels/c.cpp": '#include "scenarios/units.h"\n',
        "exec/scheduler/d.cpp": '#include "kernels/gemm.h"\n',
        "data/e.cpp": "#include <simgrid/s4u.hpp>\n",
        "exec/f.cpp": '#include "replica.h"\n',
        "exec/scheduler/g.cpp": "#include <mpi.h>\n",
        "gui/h.cpp": '#include "sim/predict.h"\n',
        "gui/i.cpp": '#include "exec/runner/replica.h"\n',
        "cli/j.cpp": "#include <QProcess>\n",
    }
    sound = {
        "sim/ok.cpp": '#include "exec/scheduler/driver.h"\n#include <vector>\n#include <simgrid/s4u.hpp>\n',
        "exec/ok.cpp": '#include "kernels/gemm.h"\n#include <sys/mman.h>\n',
        "gui/ok.cpp": '#include "data/store/store.h"\n#include <QProcess>\n#include <qcustomplot.h>\n',
    }
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in {**planted, **sound}.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        found = {c.split(":")[0] for c in complaints(root)}
    if found != set(planted):
        print(f"selftest: expected complaints in {sorted(planted)}, got {sorted(found)}")
        return 1
    return 0


def main() -> int:
    if sys.argv[1:] == ["--selftest"]:
        return selftest()
    found = list(complaints(pathlib.Path(sys.argv[1])))
    print("\n".join(found) if found else "every include points the allowed way")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
