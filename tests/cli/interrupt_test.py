# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and kill -9 in the middle of every verb: nothing half-written, nobody left behind."""
import contextlib
import json
import os
import pathlib
import random
import signal
import sqlite3
import subprocess
import time

import lindos_cli
from lindos_cli import ProbedTest, write_tiny

# Enough requests that every phase is still busy when the signal comes.
LONG = [("requests = 4", "requests = 20000"), ("output = 8", "output = 40")]


def processes_of(session):
    """Processes of a session that are not zombies."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


class Interrupted(ProbedTest):
    def start(self, *arguments):
        process = subprocess.Popen([lindos_cli.BINARY, *map(str, arguments)], cwd=self.folder,
                                   env=lindos_cli.environment(self.folder), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
                                   start_new_session=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def until(self, process, phase):
        """Reads progress until a phase whose name begins so is under way."""
        for line in process.stderr:
            event = json.loads(line)
            if event["event"] == "progress" and event["phase"].startswith(phase):
                return
        self.fail(f"{phase}: never seen; exit {process.wait()}")

    def interrupt(self, phase, *arguments, sent=signal.SIGINT):
        process = self.start(*arguments, "--progress", "json")
        self.until(process, phase)
        # As a terminal does: to every process of the group.
        os.killpg(process.pid, sent)
        out, err = process.communicate(timeout=lindos_cli.TIMEOUT_S)
        self.assertEqual(process.returncode, 130, err)
        self.assertEqual(out, "")
        last = err.splitlines()[-1]
        self.assertRegex(last, "^lindos: .*cancelled")
        self.assertEqual(processes_of(process.pid), [])
        self.assertEqual([name for name in self.files() if ".part" in name], [])

    def store(self):
        """Source and completeness of every run; the store must be sound."""
        path = self.folder / "store.db"
        if not path.exists():
            return []
        with contextlib.closing(sqlite3.connect(path)) as store:
            self.assertEqual(store.execute("PRAGMA integrity_check").fetchone(), ("ok",))
            self.assertEqual(store.execute("PRAGMA foreign_key_check").fetchall(), [])
            if store.execute("PRAGMA user_version").fetchone() == (0,):
                return []  # killed before the first migration was committed
            return store.execute(
                "SELECT source, (SELECT count(*) FROM metric WHERE run = id), "
                "(SELECT abs(sum(share) - 1) < 1e-9 FROM ledger_entry WHERE run = id) FROM run ORDER BY id").fetchall()

    def test_probe(self):
        self.interrupt("probe", "probe", self.tiny, "--out", "profile.json")
        self.assertEqual(self.files(), ["config.json", "tiny.toml"])

    def test_probe_keeps_the_old_profile(self):
        (self.folder / "profile.json").write_text("the old one")
        self.interrupt("probe", "probe", self.tiny, "--out", "profile.json")
        self.assertEqual((self.folder / "profile.json").read_text(), "the old one")

    def test_predict(self):
        write_tiny(self.folder, LONG)
        for fidelity in ("maxplus", "simgrid"):
            with self.subTest(fidelity=fidelity):
                self.interrupt("predict", "predict", self.tiny, "--profile", self.profile, "--fidelity", fidelity,
                               "--seeds", "100000", "--db", "store.db")
        self.interrupt("probe", "predict", self.tiny, "--db", "store.db")
        self.assertEqual(self.store(), [])

    def test_training(self):
        # The event level of a million GPUs runs for seconds in a process of its own.
        self.interrupt("predict", "predict", lindos_cli.SCENARIOS / "million-gpus.toml", "--fidelity", "simgrid",
                       "--db", "store.db")
        self.interrupt("predict", "predict", lindos_cli.SCENARIOS / "colossus1-training.toml", "--fidelity", "maxplus",
                       "--seeds", "100000", "--explain", "--out", "plans", "--db", "store.db")
        self.assertFalse((self.folder / "plans").exists())
        self.assertEqual(self.store(), [])

    def test_run(self):
        write_tiny(self.folder, LONG)
        self.interrupt("run 1", "run", self.tiny, "--profile", self.profile, "--db", "store.db")
        self.assertEqual(self.store(), [])

    def test_run_of_several_ranks(self):
        write_tiny(self.folder, [*LONG, ('dtype = "f32"', 'dtype = "f32"\ntensor = 2\nstages = 2')])
        self.interrupt("run 1", "run", self.tiny, "--profile", self.profile, "--db", "store.db")
        self.assertEqual(self.store(), [])

    def test_run_of_processes(self):
        write_tiny(self.folder, [*LONG, ('dtype = "f32"', 'dtype = "f32"\ntensor = 2')])
        run = ("run", self.tiny, "--profile", self.profile, "--db", "store.db", "--ranks", "mpi")
        for sent in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(sent=sent.name):
                self.interrupt("run 1", *run, sent=sent)
                self.assertEqual(self.store(), [])
        # Before the ranks have found each other.
        moments = random.Random(7)
        for _ in range(5):
            process = self.start(*run)
            time.sleep(moments.uniform(0.05, 0.5))
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=lindos_cli.TIMEOUT_S)
            # On a busy machine the signal may come before the handler stands and end the process itself: 130 to a shell.
            self.assertIn(process.returncode, (130, -signal.SIGINT), err)
            self.assertEqual(out, "")
            self.assertEqual(processes_of(process.pid), [])
        self.assertEqual(self.store(), [])

    def test_launcher_killed(self):
        write_tiny(self.folder, [*LONG, ('dtype = "f32"', 'dtype = "f32"\ntensor = 2')])
        process = self.start("run", self.tiny, "--profile", self.profile, "--db", "store.db", "--ranks", "mpi",
                             "--progress", "json")
        self.until(process, "run 1")
        self.assertGreater(len(processes_of(process.pid)), 2)
        process.kill()
        process.communicate()
        # Nobody waits for the ranks any more; they have the time that mpirun takes to end them.
        patience = time.monotonic() + lindos_cli.TIMEOUT_S
        while processes_of(process.pid) and time.monotonic() < patience:
            time.sleep(0.05)
        self.assertEqual(processes_of(process.pid), [])
        self.assertEqual(self.store(), [])

    def test_twin(self):
        write_tiny(self.folder, LONG)
        self.interrupt("probe", "twin", self.tiny, "--db", "store.db")
        for phase in ("predict", "run 1"):
            with self.subTest(phase=phase):
                self.interrupt(phase, "twin", self.tiny, "--profile", self.profile, "--db", "store.db")
        self.assertEqual(self.store(), [])

    def test_terminate_is_as_gentle(self):
        write_tiny(self.folder, LONG)
        self.interrupt("run 1", "run", self.tiny, "--profile", self.profile, "--db", "store.db", sent=signal.SIGTERM)

    def test_an_older_run_stays(self):
        twin = ("twin", self.tiny, "--profile", self.profile, "--db", "store.db")
        self.succeed(*twin)
        before = self.store()
        self.assertEqual([source for source, *_ in before], ["predicted", "measured"])
        write_tiny(self.folder, LONG)
        self.interrupt("run 1", *twin)
        self.assertEqual(self.store(), before)

    def test_killed_at_any_moment(self):
        twin = ("twin", self.tiny, "--profile", self.profile, "--db", "store.db", "--repeats", "1")
        begun = time.monotonic()
        metrics = len(self.succeed(*twin, "--format", "json").json()["measured"]["metrics"])
        whole = time.monotonic() - begun
        seed = random.SystemRandom().randrange(1 << 32)
        print(f"moments from seed {seed}, within {whole:.2f} s")
        moments = random.Random(seed)
        for _ in range(10):
            process = self.start(*twin)
            time.sleep(moments.uniform(0, whole))
            process.kill()
            process.communicate()
            self.assertEqual(processes_of(process.pid), [])
            kept = self.store()
            self.assertEqual([source for source, *_ in kept], ["predicted", "measured"] * (len(kept) // 2))
            for source, values, ledger_is_whole in kept:
                # A prediction lacks what only a run can show, never the half of its metrics.
                self.assertGreater(values, metrics // 2, source)
                self.assertEqual(ledger_is_whole, 1, source)
        before = self.store()
        self.succeed(*twin)
        self.assertEqual(self.store()[:len(before)], before)
        self.assertEqual([source for source, *_ in self.store()[len(before):]], ["predicted", "measured"])
        self.assert_record(self.succeed("compare", "--db", "store.db", "--format", "json").json()["measured"])


if __name__ == "__main__":
    lindos_cli.main()
