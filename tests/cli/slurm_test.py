# SPDX-License-Identifier: Apache-2.0
"""`lindos slurm`: a job on its way through a queue of shell scripts, and a machine without Slurm."""
import os
import unittest.mock

import lindos_cli
from fake_slurm import FakeSlurm
from lindos_cli import CliTest


class Slurm(CliTest):
    def setUp(self):
        super().setUp()
        self.slurm = FakeSlurm(self.folder)
        (self.folder / "jobs").mkdir()
        (self.folder / "jobs" / "a.sbatch").write_text("#!/bin/sh\n")
        self.enterContext(unittest.mock.patch.dict(os.environ, PATH=self.slurm.path))

    def submit(self):
        submitted, = self.succeed("slurm", "submit", "jobs/a.sbatch", "--format", "json").json()["submitted"]
        self.assertEqual(submitted["script"], "jobs/a.sbatch")
        return submitted["id"]

    def state(self, *jobs, verb="state"):
        return self.succeed("slurm", verb, *jobs, "--format", "json").json()["jobs"]

    def test_a_job_waits_runs_and_ends(self):
        job = self.submit()
        waiting, = self.state(job)
        self.assertEqual(waiting, {"id": job, "states": {"PENDING": 1}, "reason": "Resources", "nodes": "", "elapsed": "0:00",
                                   "ended": False})
        # Three elements of an array run; the one that has run longest is named.
        self.slurm.runs(job, ("_0", "_1", "_2"))
        running, = self.state(job)
        self.assertEqual((running["states"], running["nodes"], running["ended"]), ({"RUNNING": 3}, "node2", False))
        self.slurm.ends(job, "FAILED", 7)
        ended, = self.state(job)
        self.assertEqual((ended["states"], ended["reason"], ended["elapsed"], ended["ended"]),
                         ({"FAILED": 1}, "exit code 7", "1:02:03", True))
        self.assertIn("FAILED", self.succeed("slurm", "state", job).out)

    def test_a_job_is_cancelled_and_another_one_is_not(self):
        first, second = self.submit(), self.submit()
        cancelled, = self.state(first, verb="cancel")
        self.assertEqual(cancelled["states"], {"CANCELLED": 1})
        self.assertEqual([job["ended"] for job in self.state(first, second)], [True, False])

    def test_a_job_that_nobody_knows_has_ended_without_a_state(self):
        job, = self.state("7")
        self.assertEqual((job["states"], job["ended"]), ({}, True))
        self.assertIn("left the queue", self.succeed("slurm", "state", "7").out)

    def test_refusals_are_slurms_own_words(self):
        self.fail_with(1, ["none.sbatch", "lindos export"], "slurm", "submit", "none.sbatch")
        (self.slurm.programs / "sbatch").write_text("#!/bin/sh\necho 'sbatch: error: invalid partition' >&2\nexit 1\n")
        self.fail_with(4, ["invalid partition"], "slurm", "submit", "jobs/a.sbatch")
        self.fail_with(2, ["12_3"], "slurm", "state", "12_3")
        (self.slurm.programs / "squeue").write_text("#!/bin/sh\necho 'Unable to contact slurm controller' >&2\nexit 1\n")
        self.fail_with(4, ["Unable to contact"], "slurm", "state", "7")

    def test_without_slurm(self):
        for program in ("sbatch", "squeue"):
            (self.slurm.programs / program).unlink()
        with unittest.mock.patch.dict(os.environ, PATH="/nowhere"):
            self.fail_with(4, ["sbatch", "not in PATH"], "slurm", "submit", "jobs/a.sbatch")
            self.fail_with(4, ["squeue", "not in PATH"], "slurm", "state", "7")


if __name__ == "__main__":
    lindos_cli.main()
