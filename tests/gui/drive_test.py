# SPDX-License-Identifier: Apache-2.0
"""One drive of the real window under Xvfb through both flows, by mouse and keys, without closing it in between. Planner: open
Colossus 1, predict, a bar of the waterfall, the GPUs that it leads to, a change applied, compared in map and report, PDF.
Engineer: plans searched for a small model on this machine, one of them chosen, its preflight, run here with Live in front, parity, calibration with
its preview. What the store, the files and the clipboard hold decides. Skips, saying so, without Xvfb or xdotool.

Started as `python3 FILE BINARY-FOLDER`.
"""
import json
import pathlib
import shutil
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import desktop_test  # noqa: E402
from desktop_test import ROOT, lindos_cli  # noqa: E402

WAITING = (0xb4, 0x53, 0x09)  # of the light theme's waterfall
BAR = 30                      # pixels; the squares of a legend are narrower
ANSWER_S = 5                  # after which a key is pressed again


class Drive(desktop_test.DesktopTest):
    def test_both_flows(self):
        self.profile = self.make_pairs(self.folder / "lindos.db")
        self.make_served()
        self.desk = self.desktop("--fidelity", "maxplus")
        self.plan()
        self.engineer()
        self.assertIsNone(self.desk.window.poll())
        self.assertEqual(self.desk.ask("PRAGMA integrity_check"), [("ok",)])

    def plan(self):
        desk = self.desk
        self.open(self.scenario("colossus1-training"))
        before = desk.runs()
        desk.keys("F5")
        desk.wait("a prediction in the store", lambda: desk.runs() == before + 1)
        self.quiet()
        base = self.newest()

        # The bar of jitter leads to the stage that the shown step waits for, by name.
        desk.keys("ctrl+2")
        said = ""
        for steps in range(8):
            desk.wait("a bar of the waterfall is seen", lambda: desk.find_colour(*WAITING, BAR))
            desk.click(*desk.find_colour(*WAITING, BAR))
            desk.keys(*["Right"] * steps, "Return")
            said = self.inspector()
            if said.startswith("Straggler wait (jitter"):
                break
        (group, stage, replica), = desk.ask(
            "SELECT group_name, stage, gate_replica FROM drawn_step JOIN placed_stage ON placed_stage.run = drawn_step.run "
            f"AND placed_stage.position = gate_stage WHERE shown = 1 AND drawn_step.run = {base}")
        self.assertIn(f"The shown step waits for group {group}, replica {replica}, stage {stage}.", said)

        # The ranked changes, by the formula, and the best of them applied and compared.
        self.command("predict with fidelity closed")
        self.until("it is being explained", ("F9",), lambda: desk.verb() is not None or desk.runs() == before + 2)
        desk.wait("the explained prediction is in the store", lambda: desk.runs() == before + 2)
        self.quiet()
        explained = self.newest()
        self.until("the change is being predicted", ("ctrl+2", "ctrl+m", "Return"),
                   lambda: desk.verb() is not None or desk.runs() == before + 3)
        desk.wait("the changed scenario is in the store", lambda: desk.runs() == before + 3)
        self.quiet()
        changed = self.newest()
        (first,), (second,) = desk.ask(f"SELECT scenario_digest FROM run WHERE id IN ({explained}, {changed})")
        self.assertNotEqual(first, second)
        page = self.folder / "both.html"
        self.until("the report of A and B", lambda: self.report(page),
                   lambda: page.exists() and f"Run {explained}" in page.read_text() and f"Run {changed}" in page.read_text())
        # The map shows what changes, as its export says.
        picture = self.folder / "map.svg"
        desk.keys("ctrl+1")
        self.export("Export map", picture)
        desk.wait("the map is written", lambda: picture.exists() and "</svg>" in picture.read_text())
        self.assertIn("B − A", picture.read_text())
        printed = self.folder / "both.pdf"
        self.report(printed)
        desk.wait("the report is printed", lambda: printed.exists() and printed.read_bytes()[:5] == b"%PDF-")
        self.quiet()

    def engineer(self):
        desk = self.desk
        self.open(self.served)
        before = desk.runs()
        self.use_profile(self.probed)
        plans = self.data / "plans" / "served"
        desk.keys("F7")
        desk.wait("plans were found", lambda: list(plans.glob("*.toml")))
        self.quiet()
        # The first of them is opened and predicted.
        self.until("the found plan is being predicted", ("ctrl+shift+f", "Return"),
                   lambda: "predict" in desk.verb_words() or desk.runs() == before + 1)
        desk.wait("the found plan is in the store", lambda: desk.runs() == before + 1)
        self.quiet()
        self.opened = plans / "plan-1.toml"
        found = self.plan_of(self.newest())
        # Its preflight, on this machine: the training job before it left the panel at Slurm. Then the table of checks, by way of
        # the buttons above it.
        self.until("the preflight runs", ("ctrl+F6", "Home", "ctrl+F6"), lambda: "--preflight" in desk.verb_words())
        self.quiet()
        desk.keys("Tab", "Tab", "Tab", "ctrl+c")
        checks = self.pasted()
        self.assertIn("memory\t✓ ok", checks)
        self.assertNotIn("✕", checks)
        # Predicted and run here, with Live in front meanwhile.
        self.until("the plan is run here", ("F6",), lambda: "twin" in desk.verb_words())
        samples = self.folder / "samples.csv"
        self.until("samples of the run", lambda: self.export("Export samples", samples),
                   lambda: samples.exists() and len(samples.read_text().splitlines()) > 1)
        desk.wait("predicted and measured", lambda: desk.runs() == before + 3)
        self.quiet()
        measured = self.newest()
        self.assertEqual(desk.ask(f"SELECT source FROM run WHERE id = {measured}"), [("measured",)])
        self.assertEqual(self.plan_of(measured), found)
        sampled, = desk.ask(f"SELECT count(*) FROM sample_series WHERE run = {measured} AND length(points) > 0")[0]
        self.assertGreater(sampled, 0)
        parity = self.folder / "parity.svg"
        desk.keys("ctrl+6")
        self.until("the parity of nine pairs", lambda: self.export("Export chart", parity),
                   lambda: parity.exists() and "9 pairs" in parity.read_text())

        # Calibrated from the profile of the pairs, used once it is accepted.
        self.use_profile(self.profile)
        profiles = self.data / "profiles"
        self.until("a preview", ("F8",), lambda: list(profiles.glob("*.preview")))
        self.quiet()
        self.assertEqual(list(profiles.glob("*-calibrated-*.json")), [])
        self.until("the dated profile", ("space",), lambda: list(profiles.glob("*-calibrated-*.json")))
        self.assertEqual(list(profiles.glob("*.preview")), [])
        self.assertIn("interval_factors", next(profiles.glob("*-calibrated-*.json")).read_text())

    def use_profile(self, path):
        self.command("use a device profile")
        self.desk.type_into_dialog("Device profile", str(path))

    def make_served(self):
        """A small model that this machine serves for seconds, and what a probe says of it."""
        lindos_cli.BINARY = desktop_test.BINARIES / "lindos"
        folder = self.folder / "served"
        folder.mkdir()
        config = {**lindos_cli.CONFIG, "hidden_size": 256, "num_hidden_layers": 8, "intermediate_size": 768, "vocab_size": 2048}
        (folder / "config.json").write_text(json.dumps(config))
        self.served = folder / "served.toml"
        self.served.write_text(lindos_cli.SCENARIO.replace('"tiny"', '"served"').replace("requests = 4", "requests = 60")
                               .replace("output = 8", "output = 40"))
        self.probed = lindos_cli.profile_of(self.served, folder)

    @property
    def data(self):
        return self.folder / "data" / "lindos" / "lindos-gui"

    def scenario(self, name):
        """A copy that may be written beside."""
        folder = self.folder / "scenarios"
        folder.mkdir(exist_ok=True)
        return pathlib.Path(shutil.copy(ROOT / "scenarios" / f"{name}.toml", folder))

    def open(self, path):
        self.desk.keys("ctrl+o")
        self.desk.type_into_dialog("Open scenario", str(path))
        self.desk.wait(f"{path.stem} is open", lambda: self.desk.shows(path.stem))
        self.opened = path

    def newest(self):
        return self.desk.ask("SELECT max(id) FROM run")[0][0]

    def plan_of(self, run):
        return self.desk.ask(f"SELECT plan_digest FROM run WHERE id = {run}")

    def quiet(self):
        self.desk.wait("the verb has ended", lambda: self.desk.verb() is None)

    def command(self, name):
        self.desk.keys("ctrl+k")
        self.desk.type_into_dialog("Commands", name)

    def report(self, path):
        self.quiet()
        path.unlink(missing_ok=True)  # else the dialog asks whether to replace it
        self.desk.keys("ctrl+7", "ctrl+shift+e")
        self.desk.type_into_dialog("Report", str(path))

    def export(self, title, path):
        path.unlink(missing_ok=True)
        self.until(f"the dialog {title}", ("ctrl+e",), lambda: self.desk.visible(title))
        self.desk.type_into_dialog(title, str(path))

    def until(self, what, act, holds):
        """Acts again where nothing came of it: the window may not have shown yet what the keys are for."""
        end = time.monotonic() + desktop_test.PATIENCE_S
        while time.monotonic() < end:
            if callable(act):
                act()
            else:
                self.desk.keys(*act)
            again = time.monotonic() + ANSWER_S
            while time.monotonic() < again:
                if holds():
                    return
                time.sleep(0.02)  # a preflight is short
        raise AssertionError(f"never: {what}")

    def inspector(self):
        self.desk.keys("ctrl+shift+c")
        return self.pasted()

    def pasted(self):
        """What the clipboard holds, by way of the copy that the editor keeps."""
        copy = self.opened.parent / f".{self.opened.name}.edited"
        saved = self.opened.read_text()
        self.desk.keys("F4", "ctrl+End", "ctrl+v")
        self.desk.wait("it is pasted", lambda: copy.exists() and len(copy.read_text()) > len(saved))
        said = copy.read_text()[len(saved):]
        self.desk.keys("ctrl+z")
        self.desk.wait("and undone", lambda: not copy.exists())
        self.desk.keys("F4")
        return said


if __name__ == "__main__":
    desktop_test.BINARIES = pathlib.Path(sys.argv[1]).resolve()
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
