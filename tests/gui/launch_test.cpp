// SPDX-License-Identifier: Apache-2.0
// The engineer's flow in the window with the real verbs: preflight, jobs as files, the way from a run to its parity point, and a
// calibration that is shown on held-out pairs before it is used; and whatever else a user may drop into the window.
#include <gtest/gtest.h>

#include <QApplication>
#include <QDir>
#include <QDragEnterEvent>
#include <QFile>
#include <QJsonDocument>
#include <QMimeData>
#include <QSignalSpy>
#include <QStandardItemModel>
#include <QStandardPaths>
#include <QTest>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "data/catalogue.h"
#include "gui/app/main_window.h"
#include "gui/models/dropped_file.h"
#include "scenarios/plan_json.h"
#include "scenarios/profile.h"
#include "scenarios/text_file.h"
#include "tests/gui/window_fixture.h"

namespace lindos::gui {
namespace {

const QString kMachine = LINDOS_SOURCE_DIR "/scenarios/this-machine.toml";
const QString kH200 = LINDOS_SOURCE_DIR "/scenarios/one-h200-llama8b.toml";
const QString kColossus = LINDOS_SOURCE_DIR "/scenarios/colossus1-training.toml";

class LaunchTest : public WindowFixture {
 protected:
  LaunchTest() { qputenv("XDG_DATA_HOME", QByteArray::fromStdString((folder_ / "share").string())); }
  ~LaunchTest() override {
    qunsetenv("XDG_DATA_HOME");
    qputenv("PATH", path_before_);
  }
  QByteArray path_before_ = qgetenv("PATH");
  QString path(const char* name) { return QString::fromStdString((folder_ / name).string()); }
};

TEST(Preflight, IsReadAsTheVerbWritesIt) {
  const auto result = preflight_from(QJsonDocument::fromJson(R"({"ready": false, "checks": [
    {"what": "device", "state": "ok", "found": "a CPU"}, {"what": "other work", "state": "warning", "found": "load 2"},
    {"what": "memory", "state": "failed", "found": "needs 9 GB"}]})").object());
  ASSERT_TRUE(result);
  EXPECT_FALSE(result->ready);
  EXPECT_EQ(result->warnings, 1);
  ASSERT_EQ(result->checks.rows.size(), 3u);
  EXPECT_FALSE(result->checks.rows[0].cells[1].emphasis);
  EXPECT_TRUE(result->checks.rows[2].cells[1].text.contains("failed"));
  EXPECT_EQ(result->checks.rows[2].cells[2].text, "needs 9 GB");
  EXPECT_FALSE(preflight_from(QJsonDocument::fromJson(R"({"source": "measured"})").object()));
}

// Also on the editor, which would insert the file's name.
TEST_F(LaunchTest, AFileMayBeDroppedAnywhere) {
  MainWindow window(window_options("closed"));
  window.show();
  const auto drop = [](QWidget* target, const QString& file) {
    QMimeData data;
    data.setUrls({QUrl::fromLocalFile(file)});
    data.setText(file);
    QDragEnterEvent enter(QPoint(5, 5), Qt::CopyAction, &data, Qt::LeftButton, Qt::NoModifier);
    QApplication::sendEvent(target, &enter);
    EXPECT_TRUE(enter.isAccepted());
    QDropEvent event(QPointF(5, 5), Qt::CopyAction, &data, Qt::LeftButton, Qt::NoModifier);
    QApplication::sendEvent(target, &event);
  };
  settle(window, [&] { drop(&window, kMachine); });
  EXPECT_EQ(window.document().path(), kMachine);
  window.show_editor();
  settle(window, [&] { drop(window.editor().edit().viewport(), kH200); });
  EXPECT_EQ(window.document().path(), kH200);
  EXPECT_FALSE(window.document().modified());
}

TEST_F(LaunchTest, PreflightSaysWhatStandsInTheWay) {
  MainWindow window(window_options("closed"));
  window.show();
  settle(window, [&] { window.open_scenario(kMachine); });
  LaunchPanel& panel = window.launch_panel();
  settle(window, [&] { window.show_launch(); });
  EXPECT_TRUE(panel.isVisible());
  EXPECT_TRUE(panel.state().startsWith("Ready")) << panel.state().toStdString();
  const QString checks = panel.checks().shown_tsv(false);
  for (const char* what : {"plan", "device", "memory", "cores", "other work", "store"}) EXPECT_TRUE(checks.contains(what)) << what;
  EXPECT_FALSE(checks.contains("failed")) << checks.toStdString();
  EXPECT_TRUE(panel.start().isEnabled());

  // This machine has no H200: said in the panel, with what was checked beside it, and without a box or a complaint.
  settle(window, [&] { window.open_scenario(kH200); });
  EXPECT_EQ(panel.checks().visible_rows(), 0);  // those of before do not count
  settle(window, [&] { window.preflight(); });
  if (panel.state().startsWith("Ready")) GTEST_SKIP() << "this machine runs " << kH200.toStdString();
  EXPECT_TRUE(panel.state().startsWith("It cannot run here")) << panel.state().toStdString();
  EXPECT_TRUE(panel.checks().shown_tsv(false).contains("needs NVIDIA H200")) << panel.checks().shown_tsv(false).toStdString();
  EXPECT_EQ(window.problems().visible_rows(), 0);

  // A profile of another device is one of the checks.
  settle(window, [&] { window.open_scenario(kMachine); });
  window.open_file(LINDOS_SOURCE_DIR "/data/measurements/2026-11-26-h200-profile.json");
  EXPECT_TRUE(window.profile().endsWith("h200-profile.json"));
  settle(window, [&] { window.preflight(); });
  EXPECT_TRUE(panel.checks().shown_tsv(false).contains("the scenario runs on this-machine")) << panel.checks().shown_tsv(false).toStdString();
}

TEST(SlurmJobs, AreReadAsTheVerbSays) {
  const auto object = [](const char* text) { return QJsonDocument::fromJson(text).object(); };
  auto jobs = submitted_from(object(R"({"submitted": [{"id": "101", "script": "/jobs/h100.sbatch"}, {"id": "102", "script": "b.sbatch"}]})"));
  ASSERT_TRUE(jobs);
  EXPECT_EQ(open_ids(*jobs), QStringList({"101", "102"}));
  EXPECT_EQ(sentence_of(jobs->front()), "Job 101 (h100.sbatch): submitted.");
  const auto ended = update_jobs(*jobs, object(R"({"jobs": [
    {"id": "101", "states": {"PENDING": 97, "RUNNING": 3}, "reason": "Resources", "nodes": "n1", "elapsed": "0:12", "ended": false},
    {"id": "102", "states": {"FAILED": 1}, "reason": "exit code 7", "nodes": "n2", "elapsed": "1:00", "ended": true},
    {"id": "7", "states": {}, "reason": "", "nodes": "", "elapsed": "", "ended": true}]})"));
  ASSERT_TRUE(ended);
  ASSERT_EQ(ended->size(), 1u);
  EXPECT_EQ(sentence_of(ended->front()), "Job 102 (b.sbatch): failed on n2 for 1:00; exit code 7.");
  EXPECT_EQ(jobs->front().state, "97 waiting, 3 running");
  EXPECT_EQ(open_ids(*jobs), QStringList({"101"}));
  const auto kept = from_settings(to_settings(*jobs));  // what has ended is not asked for again
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(kept[0].script, "/jobs/h100.sbatch");
  EXPECT_FALSE(update_jobs(*jobs, object(R"({"error": "x"})")));
  EXPECT_FALSE(submitted_from(object("{}")));
}

// Slurm of shell scripts in PATH: the job waits, runs and ends as its file says; a later window finds it by its number.
TEST_F(LaunchTest, AJobInSlurmIsFollowed) {
  const auto program = [&](const char* name, const std::string& text) {
    const auto file = folder_ / "slurm" / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << "#!/bin/sh\n" << text;
    std::filesystem::permissions(file, std::filesystem::perms::owner_all);
  };
  const std::string said = (folder_ / "said").string();
  const auto queue_says = [&](const char* line) {
    std::ofstream(said + ".new") << line << "\n";
    std::filesystem::rename(said + ".new", said);
  };
  const auto state = [](MainWindow& window) { return window.slurm_jobs().empty() ? QString() : window.slurm_jobs().front().state; };
  {
    MainWindow window(window_options("closed"));
    window.show();
    settle(window, [&] { window.open_scenario(LINDOS_SOURCE_DIR "/scenarios/hgx-h100-llama70b.toml"); });
    LaunchPanel& panel = window.launch_panel();
    settle(window, [&] { window.show_launch(); });
    panel.where().setCurrentIndex(static_cast<int>(LaunchPlace::kSlurm));
    panel.folder_field().setText(path("jobs"));
    settle(window, [&] { window.launch(); });
    EXPECT_FALSE(panel.submit().isVisible());  // no Slurm: said what to run where there is one
    EXPECT_TRUE(panel.state().contains("On the cluster, in this folder:\nsbatch ")) << panel.state().toStdString();

    program("sbatch", "echo 101\n");
    program("squeue", "cat '" + said + "'\n");
    program("sacct", "echo '101|COMPLETED|0:0|0:31|n1'\n");
    queue_says("101|PENDING|Resources|0:00|");
    qputenv("PATH", (path("slurm") + ":").toUtf8() + qgetenv("PATH"));
    settle(window, [&] { window.launch(); });
    EXPECT_TRUE(panel.submit().isVisible());
    EXPECT_FALSE(panel.jobs().isVisible());
    window.activateWindow();
    ASSERT_TRUE(QTest::qWaitForWindowActive(&window, kPatience));
    panel.start().setFocus();
    settle(window, [&] { window.launch(); });
    EXPECT_TRUE(panel.submit().hasFocus());
    settle(window, [&] { QTest::keyClick(&panel.submit(), Qt::Key_Space); });
    EXPECT_TRUE(panel.jobs().isVisible());
    QTRY_COMPARE_WITH_TIMEOUT(state(window), QString("waiting"), kPatience);
    EXPECT_TRUE(panel.jobs().shown_tsv(false).contains("101\twaiting")) << panel.jobs().shown_tsv(false).toStdString();
    EXPECT_TRUE(window.live().empty_text().contains("Job 101 (")) << window.live().empty_text().toStdString();
    queue_says("101|RUNNING|None|0:12|n1");
    QTRY_COMPARE_WITH_TIMEOUT(state(window), QString("running"), kPatience);
  }
  MainWindow window(window_options("closed"));
  window.show();
  QTRY_COMPARE_WITH_TIMEOUT(state(window), QString("running"), kPatience);
  queue_says("");
  QTRY_COMPARE_WITH_TIMEOUT(state(window), QString("done"), kPatience);
  EXPECT_TRUE(window.message().text().contains("done on n1 for 0:31")) << window.message().text().toStdString();
}

TEST_F(LaunchTest, JobsAreWrittenAndRefusalsAreSaid) {
  MainWindow window(window_options("closed"));
  window.show();
  settle(window, [&] { window.open_scenario(kColossus); });
  window.show_launch();
  LaunchPanel& panel = window.launch_panel();
  EXPECT_FALSE(window.job().running());  // nothing to check here
  // The engine here serves; the places for it cannot be chosen.
  EXPECT_EQ(panel.place(), LaunchPlace::kSlurm);
  auto* places = qobject_cast<QStandardItemModel*>(panel.where().model());
  EXPECT_FALSE(places->item(0)->isEnabled());
  EXPECT_FALSE(places->item(1)->isEnabled());
  EXPECT_EQ(panel.engines().itemText(0), "megatron");

  // The groups of this job differ, which Megatron-LM cannot express.
  panel.folder_field().setText(path("jobs"));
  settle(window, [&] { window.launch(); });
  EXPECT_FALSE(panel.state().isEmpty());
  EXPECT_EQ(window.message().text().contains("No plan fits"), false);
  EXPECT_EQ(window.problems().visible_rows(), 1);
  EXPECT_FALSE(QDir(path("jobs")).exists());

  settle(window, [&] { window.open_scenario(LINDOS_SOURCE_DIR "/scenarios/hgx-h100-llama70b.toml"); });
  EXPECT_TRUE(places->item(0)->isEnabled());
  panel.folder_field().setText(path("none"));
  panel.where().setCurrentIndex(static_cast<int>(LaunchPlace::kKubernetes));
  settle(window, [&] { window.launch(); });
  EXPECT_TRUE(panel.state().contains("--model")) << panel.state().toStdString();
  EXPECT_FALSE(QDir(path("none")).exists());
  panel.folder_field().setText(path("jobs"));
  for (const auto& [place, ending] : {std::pair{LaunchPlace::kSlurm, "*.sbatch"}, {LaunchPlace::kKubernetes, "*.yaml"},
                                      {LaunchPlace::kScripts, "*.vllm.sh"}}) {
    panel.where().setCurrentIndex(static_cast<int>(place));
    panel.engines().setCurrentText("vllm");
    panel.model_field().setText("meta-llama/Llama-3.1-70B");
    settle(window, [&] { QTest::mouseClick(&panel.start(), Qt::LeftButton); });
    const QStringList files = QDir(path("jobs")).entryList({ending});
    ASSERT_FALSE(files.isEmpty()) << ending << panel.state().toStdString();
    EXPECT_TRUE(panel.state().contains(files.first())) << panel.state().toStdString();
    EXPECT_TRUE(window.message().text().contains("jobs"));
  }
}

// A run as the fixture of many: a prediction and a later measurement of each of `pairs` scenarios, of a probed profile.
void fill_with_pairs(const std::filesystem::path& file, int pairs) {
  data::Store store = data::Store::open(file, data::Store::Mode::kReadWrite);
  const std::string profile = data::sample_profile_json();
  for (int i = 0; i < pairs; ++i) {
    RunRecord predicted = data::sample_run(RunSource::kPredicted), measured = data::sample_run(RunSource::kMeasured);
    for (RunRecord* record : {&predicted, &measured}) {
      record->scenario_digest = "5ce" + std::to_string(100 + i);
      record->environment.profile_digest = digest(profile_from_json(profile, "sample"));
    }
    // Outside 0.9 … 1.2 every other time.
    MetricValue& ttft = measured.metrics.at("ttft_s");
    ttft.p10 = ttft.p50 = ttft.p90 = i % 2 == 0 ? 1.0 : 2.0;
    store.insert(predicted, "[scenario]", "{}", profile);
    store.insert(measured, "[scenario]", "{}", profile);
  }
}

TEST_F(LaunchTest, CalibrationIsShownBeforeItIsUsed) {
  fill_with_pairs(folder_ / "lindos.db", 10);
  MainWindow window(window_options("closed"));
  settle(window, [&] { window.show(); });
  QTRY_VERIFY_WITH_TIMEOUT(window.accuracy().filled(), kPatience);
  settle(window, [&] { window.calibrate(); });
  const QString preview = window.accuracy().calibration().shown_tsv(false);
  ASSERT_TRUE(preview.contains("Time to first token\t10\t50.0 %")) << preview.toStdString() << window.message().text().toStdString();
  EXPECT_TRUE(window.accuracy().calibration_text().contains("10 pairs measured on 2 × CPU"));
  EXPECT_TRUE(window.profile().isEmpty());  // not in use

  QTest::mouseClick(&window.accuracy().accept(), Qt::LeftButton);
  const QString used = window.profile();
  EXPECT_TRUE(used.contains("-calibrated-2")) << used.toStdString();
  const Profile profile = profile_from_json(read_text_file(used.toStdString(), "used"), "used");
  EXPECT_FALSE(profile.interval_factors.empty());
  EXPECT_TRUE(window.message().text().contains("now use"));

  // Again from the probed one, and beside what was accepted before.
  settle(window, [&] { window.calibrate(); });
  EXPECT_GT(window.accuracy().calibration().visible_rows(), 0) << window.message().text().toStdString();
  window.accept_calibration();
  EXPECT_NE(window.profile(), used);
  EXPECT_TRUE(QFile::exists(used));
}

TEST_F(LaunchTest, CalibrationNeedsPairs) {
  MainWindow window(window_options("closed"));
  settle(window, [&] { window.show(); });
  settle(window, [&] { window.calibrate(); });
  EXPECT_TRUE(window.message().text().startsWith("Nothing to calibrate from")) << window.message().text().toStdString();
  fill_with_pairs(folder_ / "lindos.db", 3);
  settle(window, [&] { window.calibrate(); });
  EXPECT_TRUE(window.message().text().contains("8 are needed")) << window.message().text().toStdString();
  EXPECT_TRUE(window.profile().isEmpty());
}

TEST_F(LaunchTest, FilesAreToldApartByWhatTheyHold) {
  const auto write = [&](const char* name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
    return path(name);
  };
  EXPECT_EQ(kind_of_file(write("a.toml", "")), FileKind::kScenario);
  EXPECT_EQ(kind_of_file(write("a.sql", "")), FileKind::kLlamaBench);
  EXPECT_EQ(kind_of_file(write("a.CSV", "")), FileKind::kTrace);
  EXPECT_EQ(kind_of_file(write("a.json", R"({"format": "lindos-plan"})")), FileKind::kPlan);
  EXPECT_EQ(kind_of_file(write("b.json", R"({"format": "lindos-profile"})")), FileKind::kProfile);
  EXPECT_EQ(kind_of_file(write("c.json", R"({"tokenizer_id": "m", "num_prompts": 4})")), FileKind::kVllm);
  EXPECT_EQ(kind_of_file(write("d.json", "{}")), FileKind::kTimeline);
  EXPECT_EQ(kind_of_file(write("a.exe", "")), FileKind::kUnknown);
}

TEST_F(LaunchTest, WhateverIsDroppedFindsItsPlaceOrIsRefused) {
  MainWindow window(window_options("closed"));
  window.show();
  // Without a scenario a measurement and a plan have nowhere to go.
  std::ofstream(folder_ / "run.json") << R"({"tokenizer_id": "m", "num_prompts": 4})";
  window.open_file(path("run.json"));
  EXPECT_TRUE(window.message().text().contains("open the scenario that it measured first"));
  std::ofstream(folder_ / "x.exe") << "MZ";
  window.open_file(path("x.exe"));
  EXPECT_TRUE(window.message().text().contains("is no scenario"));

  const QString scenario = path("mine.toml");
  ASSERT_TRUE(QFile::copy(kMachine, scenario));
  QFile(scenario).setPermissions(QFile::ReadOwner | QFile::WriteOwner);
  settle(window, [&] { window.open_scenario(scenario); });
  const Catalogue catalogue = load_catalogue(default_catalogue_dir());
  Plan plan = load_scenario(kMachine.toStdString(), catalogue).plan;
  plan.name = "dropped";
  std::ofstream(folder_ / "plan.json") << to_json(plan);
  window.open_file(path("plan.json"));
  QTRY_VERIFY_WITH_TIMEOUT(window.plans().title().contains("dropped"), kPatience);
  EXPECT_TRUE(window.document().modified());
  window.editor().edit().undo();  // one step
  EXPECT_FALSE(window.document().modified());

  window.open_file(path("mine.csv"));
  EXPECT_TRUE(window.message().text().contains("[workload]")) << window.message().text().toStdString();
  // A measurement of something else is refused with what the scenario would need.
  settle(window, [&] { window.open_file(path("run.json")); });
  EXPECT_TRUE(window.message().text().contains("run.json")) << window.message().text().toStdString();
  EXPECT_EQ(window.runs().table().visible_rows(), 0);
}

}  // namespace
}  // namespace lindos::gui
