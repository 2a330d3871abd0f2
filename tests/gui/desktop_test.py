# SPDX-License-Identifier: Apache-2.0
"""The real window under Xvfb, driven with the keyboard through the planner's flow: open, predict, the map and back, a
report; and a verb that is killed in the middle. What the store and the files hold decides. Skips, saying so, without
Xvfb or xdotool.

Started as `python3 FILE BINARY-FOLDER`.
"""
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARIES = pathlib.Path()
PATIENCE_S = 300  # only a hang reaches it


class Desktop:
    """A display of its own with the window in it."""

    def __init__(self, folder, *arguments):
        self.folder = folder
        self.db = folder / "lindos.db"
        read, write = os.pipe()
        self.display = subprocess.Popen(
            ["Xvfb", "-displayfd", str(write), "-screen", "0", "1600x1000x24", "-nolisten", "tcp"], pass_fds=[write],
            stderr=subprocess.DEVNULL)
        os.close(write)
        with os.fdopen(read) as numbers:
            self.number = numbers.readline().strip()
        runtime = folder / "runtime"
        runtime.mkdir(mode=0o700)
        self.environment = dict(os.environ, DISPLAY=":" + self.number, QT_QPA_PLATFORM="xcb", LC_ALL="C.UTF-8",
                                XDG_CONFIG_HOME=str(folder / "config"), XDG_DATA_HOME=str(folder / "data"),
                                XDG_RUNTIME_DIR=str(runtime))
        self.window = subprocess.Popen([BINARIES / "lindos-gui", "--db", self.db, "--theme", "light", *arguments],
                                       env=self.environment, stderr=subprocess.DEVNULL)
        self.name = self.tool("search", "--sync", "--onlyvisible", "--name", "Lindos").split()[0]
        self.tool("windowfocus", "--sync", self.name)

    def tool(self, *words):
        done = subprocess.run(["xdotool", *words], env=self.environment, check=True, capture_output=True, text=True,
                              timeout=PATIENCE_S)
        return done.stdout

    def keys(self, *keys):
        for key in keys:
            self.tool("key", "--clearmodifiers", key)
            time.sleep(0.05)  # xdotool may not outrun the server

    def wait(self, what, holds):
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if self.window.poll() is not None:
                raise AssertionError(f"the window ended with {self.window.returncode} before: {what}")
            if holds():
                return
            time.sleep(0.2)
        raise AssertionError(f"never: {what}")

    def runs(self):
        if not self.db.exists():
            return 0
        try:
            with sqlite3.connect(f"file:{self.db}?mode=ro", uri=True) as connection:
                return connection.execute("SELECT count(*) FROM run").fetchone()[0]
        except sqlite3.OperationalError:
            return 0  # not made yet

    def shows(self, name):
        return name in self.tool("getwindowname", self.name)

    def verb(self):
        """Process id of the running verb, or None."""
        found = subprocess.run(["pgrep", "-P", str(self.window.pid)], capture_output=True, text=True, check=False)
        return int(found.stdout.split()[0]) if found.stdout else None

    def end(self):
        self.window.terminate()
        self.window.wait(30)
        self.display.terminate()
        self.display.wait(30)


@unittest.skipUnless(shutil.which("Xvfb") and shutil.which("xdotool"),
                     "Xvfb and xdotool are not installed (tools/packages.txt)")
class PlannersFlow(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="lindos-desktop-")))

    def desktop(self, *arguments):
        desktop = Desktop(self.folder, *arguments)
        self.addCleanup(desktop.end)
        return desktop

    def test_open_predict_select_report(self):
        desktop = self.desktop("--fidelity", "maxplus", ROOT / "scenarios" / "colossus1-training.toml")
        desktop.wait("the scenario is open", lambda: desktop.shows("colossus1-training"))
        desktop.keys("F5")
        desktop.wait("a prediction in the store", lambda: desktop.runs() == 1)
        desktop.wait("the verb has ended", lambda: desktop.verb() is None)
        # From the waterfall to GPUs, on the map to the worst of them, and to what the step waits for.
        desktop.keys("ctrl+2", "ctrl+1", "ctrl+g", "n", "n", "p", "Return", "Escape", "0")
        report = self.folder / "report.html"
        desktop.keys("ctrl+shift+e")
        desktop.tool("search", "--sync", "--onlyvisible", "--name", "Report")
        desktop.tool("type", "--delay", "5", str(report))
        desktop.keys("Return")
        desktop.wait("the report is written", report.exists)
        text = report.read_text()
        with sqlite3.connect(desktop.db) as connection:
            useful, = connection.execute(
                "SELECT share FROM ledger_entry WHERE run = 1 AND cause = 'useful'").fetchone()
            fields, = connection.execute("SELECT count(*) FROM device_field WHERE run = 1").fetchone()
        self.assertIn(f"{useful * 100:.1f} % of peak", text)
        self.assertEqual(fields, 7)
        self.assertIsNone(desktop.window.poll())

    def test_a_killed_verb_leaves_window_and_store_sound(self):
        desktop = self.desktop("--fidelity", "simgrid", ROOT / "scenarios" / "colossus1-training.toml")
        desktop.wait("the scenario is open", lambda: desktop.shows("colossus1-training"))
        desktop.keys("F5")
        desktop.wait("the verb runs", lambda: desktop.verb() is not None)
        os.kill(desktop.verb(), signal.SIGKILL)
        desktop.wait("the verb is gone", lambda: desktop.verb() is None)
        self.assertEqual(desktop.runs(), 0)
        desktop.keys("F5")
        desktop.wait("it can be started again", lambda: desktop.verb() is not None)
        desktop.keys("shift+F5")
        desktop.wait("and stopped", lambda: desktop.verb() is None)
        self.assertEqual(desktop.runs(), 0)
        with sqlite3.connect(desktop.db) as connection:
            self.assertEqual(connection.execute("PRAGMA integrity_check").fetchone(), ("ok",))
        self.assertIsNone(desktop.window.poll())


if __name__ == "__main__":
    BINARIES = pathlib.Path(sys.argv[1]).resolve()
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
