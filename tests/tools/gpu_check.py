#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/gpu-check with programs, a GPU and a compute-sanitizer that are shell scripts.

    gpu_check.py ROOT
"""
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile

SMI = """case "$*" in
  -L) echo 'GPU 0: NVIDIA TEST (UUID: x)' ;;
  *--loop=1*) while :; do echo '1980, 3201, 350.5, 45, 0x0000000000000004'; sleep 1; done ;;
  --query-gpu=*,*\\ --format*) exit 2 ;;   # a driver that does not know one of the fields
  *--query-gpu=name*) echo 'NVIDIA TEST' ;;
  *--query-gpu=mig*) exit 2 ;;
  *) echo 42 ;;
esac"""
# A test binary: writes GoogleTest's JSON, knows one matching test.
TESTS = """for a in "$@"; do [[ $a == --gtest_output=json:* ]] && echo '{"tests": 3}' >"${a#*json:}"; done
[[ " $* " == *Sanitize* ]] && echo '[==========] 0 tests from 0 test suites ran.'; exit 0"""
PACKED = {
    "bin/gpu_kernels": """[[ $LD_LIBRARY_PATH == *gpu-check-unpacked/lib* ]] || exit 9
echo 'gemv "98 %" of \\ the ceiling'; echo '{}' >"$2"; sleep 2""",
    "bin/gpu_engine": "echo 'CUDA error' >&2; exit 3",
    "bin/gpu_twin": "sleep 600",
    "bin/lindos": """[[ $LD_LIBRARY_PATH == *gpu-check-unpacked/lib* ]] || exit 9
[[ $1 != twin ]] || { echo 'no such part' >&2; exit 3; }
echo "$*" """,
    "tests/kernels_cuda_test": TESTS,
}
# In place of bench/straggler: a Python program that runs lindos and writes what it said. The libraries carried for programs
# of ours stay out of its own environment.
STRAGGLER = """import os, subprocess, sys
said = dict(zip(sys.argv[1::2], sys.argv[2::2]))
assert "gpu-check-unpacked" not in os.environ.get("LD_LIBRARY_PATH", "")
done = subprocess.run([said["--lindos"], VERB, "on its parts"], text=True, capture_output=True)
if done.returncode != 0: sys.exit(f"lindos: {done.stderr}")
open(said["--out"], "w").write('{"parts": "%s", "said": "%s"}' % (said["--multiprocessors"], done.stdout.strip()))
"""
SANITIZER = "[[ $1 == --version ]] && exit; shift 4; \"$@\""
EXPECTED = {
    "environment": "ok", "tests/kernels_cuda_test": "ok", "tests/tensor_group_test": "skipped", "tests/exec_cuda_test": "skipped", "kernels": "ok",
    "engine": "failed", "peers": "skipped", "twin": "timed out", "straggler": "skipped",
    # The budget of the run is spent by then.
    "sanitizer/memcheck": "skipped", "sanitizer/racecheck": "skipped", "sanitizer/initcheck": "skipped",
    "sanitizer/synccheck": "skipped",
}


def script(path: pathlib.Path, text: str):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/usr/bin/env bash\n{text}\n", encoding="utf-8")
    path.chmod(0o755)


def run(folder: pathlib.Path, *options: str, gpu: bool = True):
    path = f"{folder / 'fake'}:{os.environ['PATH']}" if gpu else os.environ["PATH"]
    results = folder / "results"
    done = subprocess.run([folder / "tools" / "gpu-check", "--out", results, *options], text=True, timeout=120,
                          capture_output=True, check=False, env={**os.environ, "PATH": path})
    summary = json.loads((results / "summary.json").read_text(encoding="utf-8"))
    return done, summary, {entry["run"]: entry for entry in summary["runs"]}


def complaints(root: pathlib.Path, folder: pathlib.Path):
    (folder / "tools").mkdir()
    shutil.copy(root / "tools" / "gpu-check", folder / "tools" / "gpu-check")
    if not shutil.which("nvidia-smi"):
        done, summary, runs = run(folder, gpu=False)
        if done.returncode != 0 or "skipped: no NVIDIA GPU" not in done.stdout or len(runs) != 8:
            yield f"without a GPU: exit code {done.returncode}, {done.stdout}{done.stderr}"
    script(folder / "fake" / "nvidia-smi", SMI)
    script(folder / "fake" / "compute-sanitizer", SANITIZER)
    script(folder / "fake" / "no-torch", "exit 1")
    pack = folder / "build" / "gpu-check" / "pack.tar.xz"
    pack.parent.mkdir(parents=True)
    with tarfile.open(pack, "w:xz") as archive:
        for name, text in {**PACKED, "commit": None}.items():
            data = (f"#!/usr/bin/env bash\n{text}\n" if text else "abc123\n").encode()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o755
            archive.addfile(entry, io.BytesIO(data))

    no_torch = ("--python", str(folder / "fake" / "no-torch"))
    done, summary, runs = run(folder, *no_torch, "--budget", "8")
    found = {name: entry["status"] for name, entry in runs.items()}
    if done.returncode != 1 or found != EXPECTED:
        yield f"exit code {done.returncode}, {found}, {done.stdout}{done.stderr}"
    if summary["commit"] != "abc123" or summary["tests"] != {"kernels_cuda_test": {"tests": 3}}:
        yield f"commit {summary['commit']}, tests {summary['tests']}"
    gpu = summary["environment"]["gpus"][0]
    if gpu.get("name") != "NVIDIA TEST" or gpu.get("power_limit_w") != "42" or "mig" in gpu:
        yield f"fields of the GPU: {gpu}"
    if (runs["kernels"]["gpu"] or {}).get("power_w", {}).get("max") != 350.5:
        yield f"clocks while kernels ran: {runs['kernels']['gpu']}"
    log = (folder / "results" / "log.txt").read_text(encoding="utf-8")
    if runs["engine"]["exit_code"] != 3 or "CUDA error" not in log:
        yield f"the failed step: {runs['engine']}"

    done, _, runs = run(folder, *no_torch, "--only", "sanitizer,kernels", "--skip", "kernels")
    reasons = {name: entry["reason"] for name, entry in runs.items()}
    wanted = {"kernels": "--skip", "sanitizer/memcheck": "no test matched"}
    if not wanted.items() <= reasons.items() or "twin" in reasons:
        yield f"--only and --skip: {runs}"
    if summary["straggler"] is not None:
        yield f"the skipped step left {summary['straggler']}"

    (folder / "bench").mkdir()
    for verb, code, left in (("run", 0, {"parts": "40,80", "said": "run on its parts"}), ("twin", 1, None)):
        (folder / "bench" / "straggler").write_text(STRAGGLER.replace("VERB", repr(verb)), encoding="utf-8")
        done, summary, runs = run(folder, "--only", "straggler")
        status = "failed" if code else "ok"
        if done.returncode != code or runs["straggler"]["status"] != status or summary["straggler"] != left:
            yield f"straggler, lindos {verb}: {done.returncode}, {runs}, {summary['straggler']}, {done.stdout}{done.stderr}"
        if code and "lindos: no such part" not in (folder / "results" / "log.txt").read_text(encoding="utf-8"):
            yield "the log does not say why the straggler failed"


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        found = list(complaints(pathlib.Path(sys.argv[1]), pathlib.Path(folder)))
    print("\n".join(found) if found else "gpu-check runs, skips and reports as it should")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
