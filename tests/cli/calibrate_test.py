# SPDX-License-Identifier: Apache-2.0
"""calibrate: stored pairs make a profile with wider intervals, from which medians stay as they were."""
import json

import lindos_cli
from import_samples import VLLM, write_json
from lindos_cli import ProbedTest, write_tiny


class Calibrate(ProbedTest):
    def pair(self, output, factor):
        """A prediction, and a measurement whose TTFT is `factor` times what was predicted."""
        scenario = write_tiny(self.folder, [("output = 8", f"output = {output}")])
        known = ("--db", "store.db", "--format", "json", "--progress", "none")
        predicted = self.succeed("predict", scenario, "--profile", self.profile, "--fidelity", "maxplus", *known).json()
        self.measure(output, predicted, factor)
        return predicted

    def measure(self, output, predicted, factor):
        ttft = predicted["metrics"]["ttft_s"]["p50"] * factor * 1e3
        file = write_json(self.folder / "run.json", {**VLLM, "total_output_tokens": 4 * output, "median_ttft_ms": ttft})
        self.succeed("import", "vllm", self.tiny_of(output), file, "--hardware", "this machine", "--db", "store.db")

    def calibrate(self, *options):
        return ("calibrate", self.profile, "--db", "store.db", "--out", "new.json", *options)

    def test_bands_reach_what_was_measured(self):
        for output in range(4, 12):
            before = self.pair(output, 100.0 if output % 2 else 0.01)
        report = self.succeed(*self.calibrate("--format", "json")).json()
        ttft = next(row for row in report["metrics"] if row["metric"] == "ttft_s")
        self.assertEqual((ttft["pairs"], ttft["coverage_before"]), (8, 0.0))
        self.assertGreater(ttft["factor"], 1.0)
        after = self.succeed("predict", self.tiny_of(11), "--profile", "new.json", "--fidelity", "maxplus", "--db", "store.db",
                             "--format", "json").json()["metrics"]["ttft_s"]
        self.assertEqual(after["p50"], before["metrics"]["ttft_s"]["p50"])
        # Its own measurement lies above; how far the band reaches down follows from other predictions of other widths.
        self.assertLess(after["p10"], after["p50"] / 50.0)
        self.assertGreaterEqual(after["p90"], after["p50"] * 100.0 * (1 - 1e-9))
        self.assertIn("calibrated on 8 pairs", json.loads((self.folder / "new.json").read_text())["source"])
        # Measured again, the calibrated prediction is the one of its pair; it must not calibrate again.
        self.measure(11, before, 100.0)
        self.assertIn("7 pairs", self.fail_with(1, ["8 are needed", "1 predicted"], *self.calibrate()).err)
        self.fail_with(1, ["calibrated already"], "calibrate", "new.json", "--db", "store.db", "--out", "again.json")

    def tiny_of(self, output):
        return write_tiny(self.folder, [("output = 8", f"output = {output}")])

    def test_too_few_pairs_and_other_hardware(self):
        self.pair(4, 1.0)
        self.fail_with(1, ["store.db", "1 pairs", "8 are needed", "lindos twin"], *self.calibrate())
        self.fail_with(1, ["0 pairs", "1 measured on other hardware"], *self.calibrate("--hardware", "another"))
        self.assertFalse((self.folder / "new.json").exists())

    def test_no_store(self):
        self.fail_with(1, ["store.db"], *self.calibrate())


if __name__ == "__main__":
    lindos_cli.main()
