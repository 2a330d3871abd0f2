# SPDX-License-Identifier: Apache-2.0
"""A Slurm of four shell scripts: a submitted job waits until the test says what becomes of it."""
import os

SCRIPTS = {
    "sbatch": """[ "$1" = --parsable ] && [ -f "$2" ] || { echo "sbatch: error: Unable to open file $2" >&2; exit 1; }
number=$(( $(cat {0}/last 2>/dev/null || echo 100) + 1 ))
echo $number >{0}/last
echo "$number|PENDING|Resources|0:00|" >{0}/$number.queue
echo "$number;toy"
""",
    "squeue": """for word; do case $word in --jobs=*) ids=${word#--jobs=};; esac; done
found=
for id in $(echo $ids | tr , ' '); do [ -f {0}/$id.queue ] && cat {0}/$id.queue && found=1; done
[ -n "$found" ] || { echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1; }
""",
    "sacct": """for word; do case $word in --jobs=*) ids=${word#--jobs=};; esac; done
for id in $(echo $ids | tr , ' '); do [ -f {0}/$id.account ] && cat {0}/$id.account; done
exit 0
""",
    "scancel": """for id; do rm -f {0}/$id.queue; echo "$id|CANCELLED by 0|0:0|0:03|" >{0}/$id.account; done
""",
}


class FakeSlurm:
    def __init__(self, folder):
        self.folder = folder / "slurm"
        self.programs = folder / "slurm-bin"
        for made in (self.folder, self.programs):
            made.mkdir()
        for name, text in SCRIPTS.items():
            path = self.programs / name
            path.write_text("#!/bin/sh\n" + text.replace("{0}", str(self.folder)))
            path.chmod(0o755)

    @property
    def path(self):
        """PATH with these programs first."""
        return f"{self.programs}:{os.environ['PATH']}"

    def runs(self, job, elements=("",)):
        lines = [f"{job}{element}|RUNNING|None|0:1{i}|node{i}\n" for i, element in enumerate(elements)]
        self.replace(f"{job}.queue", "".join(lines))

    def ends(self, job, state="COMPLETED", code=0):
        self.replace(f"{job}.account", f"{job}|{state}|{code}:0|1:02:03|node0\n")
        (self.folder / f"{job}.queue").unlink()

    def replace(self, name, text):
        """As a whole: a reader sees the old text or the new one."""
        path = self.folder / (name + ".new")
        path.write_text(text)
        path.rename(self.folder / name)
