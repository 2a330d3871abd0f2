# SPDX-License-Identifier: Apache-2.0
"""The real window under Xvfb, driven with the keyboard through both flows. Planner: open, predict, the map and back, a report
(drive_test.py has a change applied, compared and printed). Engineer: preflight, jobs as files, twin, parity, calibration with its preview.
And what goes wrong: a verb that is killed in the middle, a window that is killed with unsaved edits, a store that is locked.
What the store and the files hold decides. Skips, saying so, without Xvfb or xdotool.

Started as `python3 FILE BINARY-FOLDER`.
"""
import json
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "cli"))
import import_samples  # noqa: E402
import lindos_cli  # noqa: E402

BINARIES = pathlib.Path()
PATIENCE_S = 300  # only a hang reaches it
ANSWER_S = 10     # after which a key is pressed again
# Stands in the place of `lindos`: notes its words and becomes it, so that a verb is known of however short it is.
NOTING = """#!/bin/sh
{{ printf '%s\\037' "$@"; echo; }} >>'{notes}'
exec '{lindos}' "$@"
"""


class Desktop:
    """A display of its own with the window in it."""

    def __init__(self, folder, *arguments):
        self.folder = folder
        self.db = folder / "lindos.db"
        read, write = os.pipe()
        self.display = subprocess.Popen(
            ["Xvfb", "-displayfd", str(write), "-screen", "0", "1600x1000x24", "-nolisten", "tcp", "-fbdir", str(folder)],
            pass_fds=[write],
            stderr=subprocess.DEVNULL)
        os.close(write)
        with os.fdopen(read) as numbers:
            self.number = numbers.readline().strip()
        runtime = folder / "runtime"
        runtime.mkdir(mode=0o700, exist_ok=True)
        self.environment = dict(os.environ, DISPLAY=":" + self.number, QT_QPA_PLATFORM="xcb", LC_ALL="C.UTF-8",
                                XDG_CONFIG_HOME=str(folder / "config"), XDG_DATA_HOME=str(folder / "data"),
                                XDG_RUNTIME_DIR=str(runtime))
        self.notes = folder / "verbs"
        self.window = subprocess.Popen([self.binaries() / "lindos-gui", "--db", self.db, "--theme", "light", *arguments],
                                       env=self.environment, stderr=subprocess.DEVNULL)
        self.name = self.tool("search", "--sync", "--onlyvisible", "--name", "Lindos").split()[0]
        self.tool("windowfocus", "--sync", self.name)

    def binaries(self):
        """A folder with the window and, beside it, the noting `lindos`."""
        made = self.folder / "bin"
        if not made.exists():
            made.mkdir()
            shutil.copy(BINARIES / "lindos-gui", made)
            noting = made / "lindos"
            noting.write_text(NOTING.format(notes=self.notes, lindos=BINARIES / "lindos"))
            noting.chmod(0o755)
        return made

    def tool(self, *words):
        done = subprocess.run(["xdotool", *words], env=self.environment, check=True, capture_output=True, text=True,
                              timeout=PATIENCE_S)
        return done.stdout

    def keys(self, *keys):
        for key in keys:
            self.tool("key", "--clearmodifiers", key)
            time.sleep(0.05)  # xdotool may not outrun the server

    def wait(self, what, holds):
        if not self.comes(what, holds, PATIENCE_S):
            raise AssertionError(f"never: {what}")

    def comes(self, what, holds, seconds):
        """Whether it holds before so many seconds have passed."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.window.poll() is not None:
                raise AssertionError(f"the window ended with {self.window.returncode} before: {what}")
            if holds():
                return True
            time.sleep(0.05)
        return False

    def runs(self):
        if not self.db.exists():
            return 0
        try:
            with sqlite3.connect(f"file:{self.db}?mode=ro", uri=True) as connection:
                return connection.execute("SELECT count(*) FROM run").fetchone()[0]
        except sqlite3.OperationalError:
            return 0  # not made yet

    def ask(self, sql):
        with sqlite3.connect(f"file:{self.db}?mode=ro", uri=True) as connection:
            return connection.execute(sql).fetchall()

    def kill(self):
        """As a crash would end it."""
        self.window.kill()
        self.window.wait(30)

    def answer(self, act, name, text):
        """Opens the dialog of that name and types into it."""
        self.until(f"the dialog {name}", act, lambda: self.visible(name))
        self.type_into_dialog(name, str(text))

    def type_into_dialog(self, name, text):
        dialog = self.tool("search", "--sync", "--onlyvisible", "--name", name).split()[-1]
        self.tool("windowfocus", "--sync", dialog)
        self.tool("type", "--delay", "5", text)
        self.keys("Return")
        self.wait(f"{name} has closed", lambda: not self.visible(name))
        self.tool("windowfocus", "--sync", self.name)  # no window manager gives it back

    def visible(self, name):
        found = subprocess.run(["xdotool", "search", "--onlyvisible", "--name", name], env=self.environment, check=False,
                               capture_output=True, timeout=PATIENCE_S)
        return found.returncode == 0

    def shows(self, name):
        return name in self.tool("getwindowname", self.name)

    def screen(self):
        """The rows of the display, each as bytes of four: blue, green, red, unused."""
        dump = (self.folder / "Xvfb_screen0").read_bytes()
        header = struct.unpack(">25I", dump[:100])
        size, width, height, line, colours = header[0], header[4], header[5], header[12], header[19]
        start = size + 12 * colours
        return [dump[start + y * line:start + y * line + 4 * width] for y in range(height)]

    def find_colour(self, red, green, blue, wide):
        """The middle of the highest run of so many pixels of a colour, or None."""
        run = bytes((blue, green, red)) + b"."
        for y, row in enumerate(self.screen()):
            found = re.search(b"(?:" + re.escape(run[:3]) + b".){%d,}" % wide, row, re.DOTALL)
            if found and found.start() % 4 == 0:
                return (found.start() + found.end()) // 8, y
        return None

    def click(self, x, y):
        self.tool("mousemove", str(x), str(y), "click", "1")

    def until(self, what, act, holds):
        """Presses keys (or acts), and again where nothing came of it: the window may not have shown yet what they are for."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if callable(act):
                act()
            else:
                self.keys(*act)
            if self.comes(what, holds, ANSWER_S):
                return
        raise AssertionError(f"never: {what}")

    def started(self, *words):
        """How many verbs with these words among theirs the window has started so far."""
        if not self.notes.exists():
            return 0
        verbs = [line.split("\x1f") for line in self.notes.read_text().splitlines()]
        return sum(all(word in verb for word in words) for verb in verbs)

    def start(self, act, *words):
        """What leads to a verb with these words, until it does."""
        before = self.started(*words)
        self.until(f"{' '.join(words)} is started", act, lambda: self.started(*words) > before)

    def finish(self, act, *words):
        """The same, and waits for its end."""
        self.start(act, *words)
        self.quiet()

    def quiet(self):
        self.wait("the verb has ended", lambda: self.verb() is None)

    def verb(self):
        """Process id of the running verb, or None."""
        found = subprocess.run(["pgrep", "-P", str(self.window.pid)], capture_output=True, text=True, check=False)
        return int(found.stdout.split()[0]) if found.stdout else None

    def end(self):
        if self.window.poll() is None:
            self.window.terminate()
            self.window.wait(30)
        self.display.terminate()
        self.display.wait(30)


@unittest.skipUnless(shutil.which("Xvfb") and shutil.which("xdotool"),
                     "Xvfb and xdotool are not installed (tools/packages.txt)")
class DesktopTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="lindos-desktop-")))

    def desktop(self, *arguments):
        desktop = Desktop(self.folder, *arguments)
        self.addCleanup(desktop.end)
        return desktop

    def make_pairs(self, database):
        """Eight predictions of tiny scenarios by one probed profile, each with what another tool measured here; the profile."""
        lindos_cli.BINARY = BINARIES / "lindos"
        (self.folder / "config.json").write_text(json.dumps(lindos_cli.CONFIG))
        profile = lindos_cli.tiny_profile(self.folder)
        for output in range(4, 12):
            scenario = lindos_cli.write_tiny(self.folder, [("output = 8", f"output = {output}")])
            predicted = self.lindos("predict", scenario, "--profile", profile, "--fidelity", "maxplus", "--db", database,
                                    "--format", "json", "--progress", "none").json()
            ttft = predicted["metrics"]["ttft_s"]["p50"] * (2.0 if output % 2 else 1.0) * 1e3
            run = import_samples.write_json(self.folder / "run.json", {**import_samples.VLLM, "total_output_tokens": 4 * output,
                                                                       "median_ttft_ms": ttft})
            self.lindos("import", "vllm", scenario, run, "--hardware", predicted["environment"]["hardware"], "--db",
                        database)
        return profile

    def lindos(self, *arguments):
        done = lindos_cli.lindos(*arguments, folder=self.folder)
        self.assertEqual(done.code, 0, done)
        return done


class PlannersFlow(DesktopTest):
    def test_open_predict_select_report(self):
        desktop = self.desktop("--fidelity", "maxplus", ROOT / "scenarios" / "colossus1-training.toml")
        desktop.wait("the scenario is open", lambda: desktop.shows("colossus1-training"))
        desktop.finish(("F5",), "predict")
        self.assertEqual(desktop.runs(), 1)
        # From the waterfall to GPUs, on the map to the worst of them, and to what the step waits for.
        desktop.keys("ctrl+2", "ctrl+1", "ctrl+g", "n", "n", "p", "Return", "Escape", "0")
        report = self.folder / "report.html"
        desktop.answer(("ctrl+shift+e",), "Report", report)
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
        desktop.start(("F5",), "predict")
        os.kill(desktop.verb(), signal.SIGKILL)  # it computes for longer than this takes
        desktop.quiet()
        self.assertEqual(desktop.runs(), 0)
        desktop.start(("F5",), "predict")
        desktop.until("it is stopped", ("shift+F5",), lambda: desktop.verb() is None)
        self.assertEqual(desktop.runs(), 0)
        with sqlite3.connect(desktop.db) as connection:
            self.assertEqual(connection.execute("PRAGMA integrity_check").fetchone(), ("ok",))
        self.assertIsNone(desktop.window.poll())

    def test_unsaved_edits_outlive_a_crash(self):
        scenario = self.folder / "mine.toml"
        shutil.copy(ROOT / "scenarios" / "this-machine.toml", scenario)
        saved = scenario.read_text()
        desktop = self.desktop("--fidelity", "closed", scenario)
        desktop.wait("the scenario is open", lambda: desktop.shows("this-machine"))
        desktop.keys("F4", "ctrl+Home")
        desktop.tool("type", "--delay", "5", "# my note")
        copy = self.folder / ".mine.toml.edited"
        desktop.wait("the edits are kept beside the file", lambda: copy.exists() and "# my note" in copy.read_text())
        desktop.kill()
        self.assertEqual(scenario.read_text(), saved)
        again = self.desktop("--fidelity", "closed", scenario)
        again.wait("the edits are back, and not saved", lambda: again.shows("this-machine*"))
        again.keys("ctrl+s")
        again.wait("saved", lambda: scenario.read_text() == "# my note" + saved)
        again.wait("the copy is gone", lambda: not copy.exists())

    def test_a_locked_store_is_waited_for_and_said(self):
        desktop = self.desktop("--fidelity", "closed", ROOT / "scenarios" / "one-h200-llama8b.toml")
        desktop.wait("the scenario is open", lambda: desktop.shows("one-h200-llama8b"))
        desktop.finish(("F5",), "predict")
        self.assertEqual(desktop.runs(), 1)
        with sqlite3.connect(desktop.db, isolation_level=None) as other:
            other.execute("BEGIN EXCLUSIVE")
            desktop.finish(("F5",), "predict")  # it gives up
            other.execute("ROLLBACK")
        self.assertEqual(desktop.runs(), 1)
        desktop.finish(("F5",), "predict")
        self.assertEqual(desktop.runs(), 2)


class EngineersFlow(DesktopTest):
    def test_preflight_jobs_twin_parity(self):
        desktop = self.desktop("--fidelity", "closed", ROOT / "scenarios" / "this-machine.toml")
        desktop.wait("the scenario is open", lambda: desktop.shows("this-machine"))
        # Opens the panel, which checks; then Slurm by the choice that has the focus, the engine, the folder.
        desktop.finish(("ctrl+F6",), "run", "--preflight")
        jobs = self.folder / "jobs"
        desktop.keys("Down", "Down", "Tab", "End", "Tab", "Tab", "ctrl+a")
        desktop.tool("type", "--delay", "5", str(jobs))
        desktop.keys("Tab", "Tab")
        desktop.finish(("space",), "export", "slurm")
        self.assertTrue(list(jobs.glob("*.sbatch")))
        self.assertTrue(list(jobs.glob("*.lindos.sh")))
        self.assertEqual(desktop.runs(), 0)
        desktop.finish(("F6",), "twin")
        self.assertEqual(desktop.runs(), 2)
        self.assertEqual(desktop.ask("SELECT source FROM run ORDER BY id"), [("predicted",), ("measured",)])
        self.assertGreater(desktop.ask("SELECT count(*) FROM sample_series")[0][0], 0)
        # Parity and its picture; one pair is too few to calibrate, and the store stays as it is.
        picture = self.folder / "parity.svg"
        desktop.answer(("ctrl+6", "ctrl+e"), "Export chart", picture)
        desktop.wait("the parity chart is written", lambda: picture.exists() and "</svg>" in picture.read_text())
        desktop.finish(("F8",), "calibrate")  # refused
        self.assertEqual(desktop.runs(), 2)
        self.assertIsNone(desktop.window.poll())

    def test_calibrate_with_a_preview(self):
        database = self.folder / "lindos.db"
        self.make_pairs(database)
        desktop = self.desktop("--fidelity", "closed")
        profiles = self.folder / "data" / "lindos" / "lindos-gui" / "profiles"
        desktop.finish(("F8",), "calibrate")
        self.assertTrue(list(profiles.glob("*.preview")))
        self.assertEqual(list(profiles.glob("*-calibrated-*.json")), [])  # not in use before it is accepted
        desktop.until("the dated profile", ("space",), lambda: list(profiles.glob("*-calibrated-*.json")))
        self.assertEqual(list(profiles.glob("*.preview")), [])
        self.assertIn("interval_factors", next(profiles.glob("*-calibrated-*.json")).read_text())


if __name__ == "__main__":
    BINARIES = pathlib.Path(sys.argv[1]).resolve()
    lindos_cli.take_profile()
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
