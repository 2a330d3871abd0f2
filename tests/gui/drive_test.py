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
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import desktop_test  # noqa: E402
from desktop_test import ROOT, lindos_cli  # noqa: E402

WAITING = (0xb4, 0x53, 0x09)  # of the light theme's waterfall
BAR = 30                      # pixels; the squares of a legend are narrower


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
        desk.finish(("F5",), "predict")
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
        desk.finish(("F9",), "predict", "--explain", "closed")
        explained = self.newest()
        desk.finish(("ctrl+2", "ctrl+m", "Return"), "predict")
        changed = self.newest()
        self.assertEqual([base, explained, changed], list(range(before + 1, before + 4)))
        (first,), (second,) = desk.ask(f"SELECT scenario_digest FROM run WHERE id IN ({explained}, {changed})")
        self.assertNotEqual(first, second)
        page = self.folder / "both.html"
        desk.until("the report of A and B", lambda: self.report(page),
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
        desk.quiet()

    def engineer(self):
        desk = self.desk
        self.open(self.served)
        before = desk.runs()
        self.use_profile(self.profile)
        plans = self.data / "plans" / "served"
        desk.finish(("F7",), "plan")
        self.assertTrue(list(plans.glob("*.toml")))
        # The first of them is opened and predicted.
        desk.finish(("ctrl+shift+f", "Return"), "predict")
        self.assertEqual(desk.runs(), before + 1)
        self.opened = plans / "plan-1.toml"
        found = self.plan_of(self.newest())
        # Its preflight. Then the table of checks, by way of the buttons above it.
        desk.finish(("ctrl+F6",), "run", "--preflight")
        desk.keys("Tab", "Tab", "Tab", "ctrl+c")
        checks = self.pasted()
        self.assertIn("memory\t✓ ok", checks)
        self.assertNotIn("✕", checks)
        # Predicted and run here, with Live in front meanwhile.
        desk.start(("F6",), "twin")
        samples = self.folder / "samples.csv"
        desk.until("samples of the run", lambda: self.export("Export samples", samples),
                   lambda: samples.exists() and len(samples.read_text().splitlines()) > 1)
        desk.quiet()
        self.assertEqual(desk.runs(), before + 3)
        measured = self.newest()
        self.assertEqual(desk.ask(f"SELECT source FROM run WHERE id = {measured}"), [("measured",)])
        self.assertEqual(self.plan_of(measured), found)
        sampled, = desk.ask(f"SELECT count(*) FROM sample_series WHERE run = {measured} AND length(points) > 0")[0]
        self.assertGreater(sampled, 0)
        parity = self.folder / "parity.svg"
        desk.keys("ctrl+6")
        desk.until("the parity of nine pairs", lambda: self.export("Export chart", parity),
                   lambda: parity.exists() and "9 pairs" in parity.read_text())

        # Calibrated, and used once it is accepted.
        profiles = self.data / "profiles"
        desk.finish(("F8",), "calibrate")
        self.assertTrue(list(profiles.glob("*.preview")))
        self.assertEqual(list(profiles.glob("*-calibrated-*.json")), [])
        desk.until("the dated profile", ("space",), lambda: list(profiles.glob("*-calibrated-*.json")))
        self.assertEqual(list(profiles.glob("*.preview")), [])
        self.assertIn("interval_factors", next(profiles.glob("*-calibrated-*.json")).read_text())

    def use_profile(self, path):
        self.command("use a device profile")
        self.desk.type_into_dialog("Device profile", str(path))

    def make_served(self):
        """A small model that this machine serves for seconds. The probe for the pairs prices it too."""
        folder = self.folder / "served"
        folder.mkdir()
        config = {**lindos_cli.CONFIG, "hidden_size": 256, "num_hidden_layers": 8, "intermediate_size": 768, "vocab_size": 2048}
        (folder / "config.json").write_text(json.dumps(config))
        self.served = folder / "served.toml"
        self.served.write_text(lindos_cli.SCENARIO.replace('"tiny"', '"served"').replace("requests = 4", "requests = 60")
                               .replace("output = 8", "output = 40"))

    @property
    def data(self):
        return self.folder / "data" / "lindos" / "lindos-gui"

    def scenario(self, name):
        """A copy that may be written beside."""
        folder = self.folder / "scenarios"
        folder.mkdir(exist_ok=True)
        return pathlib.Path(shutil.copy(ROOT / "scenarios" / f"{name}.toml", folder))

    def open(self, path):
        self.desk.answer(("ctrl+o",), "Open scenario", path)
        self.desk.wait(f"{path.stem} is open", lambda: self.desk.shows(path.stem))
        self.opened = path

    def newest(self):
        return self.desk.ask("SELECT max(id) FROM run")[0][0]

    def plan_of(self, run):
        return self.desk.ask(f"SELECT plan_digest FROM run WHERE id = {run}")

    def command(self, name):
        self.desk.answer(("ctrl+k",), "Commands", name)

    def report(self, path):
        self.desk.quiet()
        path.unlink(missing_ok=True)  # else the dialog asks whether to replace it
        self.desk.answer(("ctrl+7", "ctrl+shift+e"), "Report", path)

    def export(self, title, path):
        path.unlink(missing_ok=True)
        self.desk.answer(("ctrl+e",), title, path)

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
    lindos_cli.take_profile()
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
