# SPDX-License-Identifier: Apache-2.0
"""`lindos report`: one page that needs nothing outside itself and says what the store says; wrong wishes are told."""
import html
import html.parser

import lindos_cli
from lindos_cli import SCENARIOS, CliTest

COLOSSUS = SCENARIOS / "colossus1-training.toml"
VOID = {"meta", "br", "img", "hr", "link", "path", "rect", "line"}


class Page(html.parser.HTMLParser):
    """Fails on tags that are not closed; collects text and everything that would be loaded."""

    def __init__(self, text):
        super().__init__()
        self.open, self.words, self.loaded = [], [], []
        self.feed(text)
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.loaded += [value for name, value in attributes if name in ("src", "href", "data")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


class Report(CliTest):
    def setUp(self):
        super().setUp()
        self.db = self.folder / "lindos.db"
        self.record = self.succeed("predict", COLOSSUS, "--fidelity", "maxplus", "--seeds", "4", "--format", "json",
                                   "--progress", "none", "--db", self.db).json()

    def test_page_says_what_the_store_says(self):
        out = self.folder / "report.html"
        done = self.succeed("report", "1", "--db", self.db, "--out", out, "--format", "json").json()
        self.assertEqual(done, {"file": str(out), "runs": [1]})
        text = out.read_text()
        page = Page(text)
        self.assertEqual(page.loaded, [], "a page that loads something is not self-contained")
        useful = next(e for e in self.record["ledger"] if e["cause"] == "useful")["share"]
        self.assertIn(f"{useful * 100:.1f} % of peak", page.text)
        for entry in self.record["ledger"]:
            if entry["share"] >= 0.005:
                self.assertIn(f"{entry['share'] * 100:.1f}", page.text, entry["cause"])
        for part in ("Time between interruptions", "What holds the step up", "NVIDIA H100",
                     "predicted, fidelity maxplus, 4 draws, seed 1",
                     "lindos predict SCENARIO.toml --fidelity maxplus --seeds 4 --seed 1", "[[cluster.pool]]",
                     self.record["scenario_digest"]):
            self.assertIn(part, page.text)
        self.assertEqual(text.count("<svg"), 1)

    def test_scenario_stands_for_its_newest_run(self):
        out = self.folder / "report.html"
        done = self.succeed("report", COLOSSUS, "--db", self.db, "--out", out, "--format", "json")
        self.assertEqual(done.json()["runs"], [1])
        self.fail_with(1, ["no run of this scenario", "lindos predict"], "report", SCENARIOS / "one-h200-llama8b.toml",
                       "--db", self.db, "--out", out)

    def test_several_runs_stand_beside_each_other(self):
        self.succeed("predict", COLOSSUS, "--fidelity", "closed", "--seeds", "4", "--progress", "none", "--db",
                     self.db)
        out = self.folder / "report.html"
        self.succeed("report", "1", "2", "--db", self.db, "--out", out)
        page = Page(out.read_text())
        self.assertIn("Run 1: predicted", page.text)
        self.assertIn("Run 2: predicted", page.text)

    def test_scenario_made_from_the_page_is_the_scenario(self):
        out = self.folder / "report.html"
        self.succeed("report", "1", "--db", self.db, "--out", out)
        text = out.read_text().split("<h2>Scenario file</h2>\n<pre>")[1].split("</pre>")[0]
        again = self.folder / "again.toml"
        again.write_text(html.unescape(text))
        shown = self.succeed("show", again, "--format", "json").json()
        self.assertEqual(shown["scenario_digest"], self.record["scenario_digest"])

    def test_wrong_wishes_are_told(self):
        out = self.folder / "report.html"
        self.fail_with(1, ["no run 77"], "report", "77", "--db", self.db, "--out", out)
        self.fail_with(2, [".html or .pdf"], "report", "1", "--db", self.db, "--out", self.folder / "report.txt")
        self.fail_with(4, ["/nowhere"], "report", "1", "--db", self.db, "--out", "/nowhere/report.html")
        self.fail_with(1, ["no store here"], "report", "1", "--db", self.folder / "none.db", "--out", out)
        self.assertFalse(out.exists())


if __name__ == "__main__":
    lindos_cli.main()
