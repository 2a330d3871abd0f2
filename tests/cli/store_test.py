# SPDX-License-Identifier: Apache-2.0
"""The store under a user's disk: read-only, full, newer, foreign. Work that could not be kept is refused before it is done."""
import contextlib
import os
import resource
import sqlite3
import stat
import subprocess

import lindos_cli
from lindos_cli import ProbedTest

NOBODY = 65534


@contextlib.contextmanager
def database(path):
    """Commits and closes: an open connection keeps its changes beside the file, in the log."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        yield connection


class Store(ProbedTest):
    def predict(self, db):
        return ("predict", self.tiny, "--profile", self.profile, "--fidelity", "closed", "--progress", "json", "--db", db)

    def refuse(self, code, parts, db, **options):
        """Every verb that records ends with `code` before it has begun to work."""
        for verb in ("predict", "run", "twin"):
            with self.subTest(verb=verb):
                done = self.fail_with(code, parts, verb, self.tiny, "--profile", self.profile, "--progress", "json",
                                      "--db", db, **options)
                self.assertNotIn('"event"', done.err, "the work was done before the store was looked at")

    def filled(self):
        path = self.folder / "store.db"
        self.succeed(*self.predict(path))
        return path

    def rows(self, path):
        with database(path) as store:
            self.assertEqual(store.execute("PRAGMA integrity_check").fetchone(), ("ok",))
            self.assertEqual(store.execute("PRAGMA foreign_key_check").fetchall(), [])
            return store.execute("SELECT count(*) FROM run").fetchone()[0]

    def unprivileged(self):
        """Options of a process that may not write everywhere; root may."""
        if os.getuid() != 0:
            return {}
        for folder in (self.folder, self.profile.parent):
            folder.chmod(0o755)
        options = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        if self.lindos("--version", **options).code != 0:
            self.skipTest("the binary cannot be started by an unprivileged user")
        return options

    def test_newer_schema(self):
        path = self.filled()
        with database(path) as store:
            store.execute("PRAGMA user_version = 999")
        before = path.read_bytes()
        parts = ["store.db", "schema version 999", "newer Lindos"]
        self.refuse(1, parts, path)
        self.fail_with(1, parts, "compare", "--db", path)
        self.assertEqual(path.read_bytes(), before)

    def test_not_a_store(self):
        text = self.folder / "notes.txt"
        text.write_text("these are notes, and they are precious\n" * 100)
        before = text.read_bytes()
        self.refuse(1, ["notes.txt", "not a Lindos store"], text)
        self.fail_with(1, ["notes.txt", "not a Lindos store"], "compare", "--db", text)
        self.assertEqual(text.read_bytes(), before)
        other = self.folder / "other.db"
        with database(other) as foreign:
            foreign.execute("CREATE TABLE theirs (x)")
        self.refuse(1, ["other.db", "another program"], other)
        with database(other) as foreign:
            self.assertEqual(foreign.execute("SELECT name FROM sqlite_schema").fetchall(), [("theirs",)])

    def test_folder_as_store(self):
        self.fail_with(4, ["--db"], *self.predict(self.folder))
        self.fail_with(4, str(self.folder), "compare", "--db", self.folder)

    def test_no_store(self):
        self.fail_with(1, ["none.db", "no store here"], "compare", "--db", "none.db")
        self.assertFalse((self.folder / "none.db").exists())

    def test_folder_of_the_store_is_made(self):
        self.succeed(*self.predict("a/b/store.db"))
        self.assertEqual(self.rows(self.folder / "a" / "b" / "store.db"), 1)

    def test_file_as_folder_of_the_store(self):
        self.refuse(4, ["tiny.toml", "cannot be made"], "tiny.toml/store.db")

    def test_read_only_store(self):
        path = self.filled()
        options = self.unprivileged()
        path.chmod(stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)
        self.refuse(4, ["store.db", "cannot be written", "--no-db"], path, **options)
        self.assertEqual(self.rows(path), 1)

    def test_read_only_folder(self):
        closed = self.folder / "closed"
        closed.mkdir()
        options = self.unprivileged()
        closed.chmod(0o555)
        self.refuse(4, ["store.db", "--no-db"], "closed/store.db", **options)
        self.assertEqual(self.files(closed), [])

    def test_reading_needs_no_right_to_write(self):
        path = self.filled()
        options = self.unprivileged()
        path.chmod(0o444)
        self.folder.chmod(0o555)
        self.addCleanup(self.folder.chmod, 0o755)
        self.assertIn("closed", self.succeed("compare", "--list", "--db", path, **options).out)

    def test_size_limit_of_the_process(self):
        """As a full disk, by ulimit -f: works everywhere. Each limit strikes at another moment of the writing."""
        path = self.filled()
        for limit in (0, 1 << 12, 1 << 14, 1 << 15, path.stat().st_size):
            with self.subTest(limit=limit):
                def restrict(limit=limit):
                    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

                done = self.lindos(*self.predict(path), preexec_fn=restrict)
                self.assertIn(done.code, (0, 4), done)
                if done.code == 4:
                    self.assertIn("store.db", done.err)
                rows = self.rows(path)
                self.succeed(*self.predict(path))
                self.assertEqual(self.rows(path), rows + 1)
        self.fail_with(4, "fresh.db", *self.predict("fresh.db"),
                       preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)))

    def test_size_limit_of_the_profile_file(self):
        self.fail_with(4, ["profile.json", "cannot be written"], "probe", self.tiny, "--out", "profile.json",
                       "--progress", "none",
                       preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512)))
        self.assertEqual(self.files(), ["config.json", "tiny.toml"])

    def test_full_disk(self):
        disk = self.folder / "disk"
        disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)],
                                 stderr=subprocess.PIPE, check=False) if os.getuid() == 0 else None
        if mounted is None or mounted.returncode != 0:
            self.skipTest("mounting a small tmpfs is not allowed here; ulimit -f stands in for it above")
        self.addCleanup(subprocess.run, ["umount", "-l", str(disk)], check=True)
        path = disk / "store.db"
        self.succeed(*self.predict(path))
        rows = self.rows(path)
        ballast = disk / "ballast"
        with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        self.fail_with(4, ["store.db", "--db"], *self.predict(path))
        ballast.unlink()
        self.assertEqual(self.rows(path), rows)
        self.succeed(*self.predict(path))
        self.assertEqual(self.rows(path), rows + 1)

    def test_two_writers(self):
        path = self.folder / "store.db"
        command = [lindos_cli.BINARY, *map(str, self.predict(path))]
        writers = [subprocess.Popen(command, cwd=self.folder, env=lindos_cli.environment(self.folder),
                                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(6)]
        for writer in writers:
            err = writer.communicate(timeout=lindos_cli.TIMEOUT_S)[1]
            self.assertEqual(writer.returncode, 0, err)
        self.assertEqual(self.rows(path), len(writers))


if __name__ == "__main__":
    lindos_cli.main()
