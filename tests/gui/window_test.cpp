// SPDX-License-Identifier: Apache-2.0
// The real window with the real verbs, without a display: open, predict, see why, compare; and what goes wrong.
#include <SQLiteCpp/Database.h>
#include <gtest/gtest.h>

#include <QApplication>
#include <QClipboard>
#include <QDockWidget>
#include <QFile>
#include <QKeyEvent>
#include <QKeySequence>
#include <QLineEdit>
#include <QRegularExpression>
#include <QSet>
#include <QSettings>
#include <QSignalSpy>
#include <QTest>
#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <utility>

#include "gui/app/command_palette.h"
#include "gui/app/main_window.h"
#include "gui/models/format.h"
#include "scenarios/text_file.h"
#include "tests/data/sample_run.h"
#include "tests/gui/window_fixture.h"

namespace lindos::gui {
namespace {

const QString kScenario = LINDOS_SOURCE_DIR "/scenarios/one-h200-llama8b.toml";
const QString kSmallTraining = LINDOS_SOURCE_DIR "/tests/cli/small-training.toml";
const QString kProfile = LINDOS_SOURCE_DIR "/data/measurements/2026-11-26-h200-profile.json";

class WindowTest : public WindowFixture {
 protected:
  WindowOptions options() {
    WindowOptions o = window_options("closed");
    o.profile = kProfile;
    return o;
  }
};

TEST_F(WindowTest, OpenPredictWhyCompare) {
  MainWindow window(options());
  window.show();
  settle(window, [&] { window.open_scenario(kScenario); });
  EXPECT_FALSE(window.why().run());  // nothing predicted yet
  settle(window, [&] { QTest::keyClick(&window, Qt::Key_F5); });
  ASSERT_TRUE(window.why().run());

  // What the window shows is what the store holds.
  const data::Store store = data::Store::open(folder_ / "lindos.db", data::Store::Mode::kReadOnly);
  const RunRecord record = store.load(1);
  EXPECT_EQ(window.why().run()->record, record);
  EXPECT_EQ(window.why().headline().toStdString(), headline_of(record));
  EXPECT_TRUE(window.why().headline().contains("of peak"));
  double useful = 0.0;
  for (const LedgerEntry& entry : record.ledger) useful += entry.cause == Cause::kUseful ? entry.share : 0.0;
  EXPECT_NEAR(window.why().chart().bars().back().top, useful * 100.0, 1e-9);
  EXPECT_TRUE(window.why().metrics().shown_tsv(false).contains(metric_text("tpot_s", record.metrics.at("tpot_s").p50)));

  settle(window, [&] { window.predict(); });
  QTRY_COMPARE_WITH_TIMEOUT(window.runs().table().visible_rows(), 2, kPatience);
  settle(window, [&] { window.compare_newest(); });
  EXPECT_EQ(window.compare().causes().shown_tsv(false).count('\n'), static_cast<int>(record.ledger.size()) + 1);
  // A and B are named in every view; B stands in A's waterfall until the comparison ends.
  EXPECT_EQ(window.comparison().names(), "A: run 1 · B: run 2");
  EXPECT_TRUE(window.comparison().isVisible());
  EXPECT_TRUE(window.comparison().headline().endsWith("0.0 points (less than 2 % apart)"));
  settle(window, [&] { emit window.runs().run_chosen(1); });
  EXPECT_TRUE(window.comparison().isVisible());
  const auto bars = window.why().chart().bars(), outlines = window.why().chart().outlines();
  ASSERT_EQ(outlines.size() + 1, bars.size());  // B has no bar of the peak
  EXPECT_NEAR(outlines.back().top, useful * 100.0, 1e-9);
  EXPECT_EQ(window.comparison().note(), "Bars are of run 1, outlines of run 2.");
  EXPECT_TRUE(window.why().chart().text_at(1.0).contains("B: run 2")) << window.why().chart().text_at(1.0).toStdString();
  window.compare().causes().setFocus();
  QTest::keyClick(&window.compare().causes(), Qt::Key_C, Qt::ControlModifier);
  EXPECT_EQ(QApplication::clipboard()->text(), window.compare().causes().shown_tsv(false));
  window.end_comparison();
  EXPECT_FALSE(window.comparison().isVisible());
  EXPECT_TRUE(window.why().chart().outlines().empty());
  EXPECT_FALSE(window.why().chart().text_at(1.0).contains("run 2"));
}

// From a percent of peak to a named GPU and back: predict a training job, click the waterfall, see who holds the step
// up.
TEST_F(WindowTest, FromTheWaterfallToAGpu) {
  WindowOptions o = options();
  o.fidelity = "maxplus";
  o.profile.clear();
  MainWindow window(o);
  window.show();
  settle(window, [&] { window.open_scenario(LINDOS_SOURCE_DIR "/scenarios/colossus1-training.toml"); });
  ASSERT_TRUE(window.cluster().map().fleet());  // what is installed, before any prediction
  EXPECT_EQ(window.cluster().map().fleet()->devices(), 220000);
  settle(window, [&] { window.predict(); });
  ASSERT_TRUE(window.why().run() && window.why().run()->fleet);
  const Fleet& fleet = *window.why().run()->fleet;

  // What the map shows is what the store holds.
  const data::Store store = data::Store::open(folder_ / "lindos.db", data::Store::Mode::kReadOnly);
  const auto map = store.load_device_map(1);
  ASSERT_TRUE(map);
  for (const DeviceField& field : map->fields) {
    const std::vector<float> stored = decode_field(field, map->devices());
    const std::vector<float>& shown = *fleet.values(field.quantity);
    ASSERT_EQ(stored.size(), shown.size());
    for (std::size_t i = 0; i < stored.size(); i += 997)
      EXPECT_TRUE(stored[i] == shown[i] || (std::isnan(stored[i]) && std::isnan(shown[i])));
  }

  const Waterfall waterfall = *waterfall_of(window.why().run()->record, nullptr);
  std::size_t jitter = waterfall.steps.size();
  for (std::size_t i = 0; i < waterfall.steps.size(); ++i) {
    if (waterfall.steps[i].causes == std::vector<Cause>{Cause::kStragglerJitter}) jitter = i;
  }
  ASSERT_LT(jitter, waterfall.steps.size());
  window.show_view(View::kWhy);
  QTRY_VERIFY_WITH_TIMEOUT(window.why().chart().middle_of(jitter).x() > 0, kPatience);
  QWidget* plot = window.why().chart().childAt(window.why().chart().middle_of(jitter).toPoint());
  ASSERT_NE(plot, nullptr);
  QTest::mouseClick(plot, Qt::LeftButton, {},
                    plot->mapFrom(&window.why().chart(), window.why().chart().middle_of(jitter)).toPoint());
  EXPECT_EQ(window.selection().current().devices, fleet.gate().devices);
  const DrawnStep& step = map->steps[static_cast<std::size_t>(map->shown)];
  const PlacedStage& stage = map->stages[static_cast<std::size_t>(step.stage)];
  EXPECT_TRUE(window.inspector().text().contains(QString("group %1, replica %2, stage %3")
                                                     .arg(QString::fromStdString(stage.group))
                                                     .arg(step.replica)
                                                     .arg(stage.stage)))
      << window.inspector().text().toStdString();
  // And the map lets the same GPUs be found by name.
  window.cluster().find(fleet.name_of(fleet.gate().devices.front().begin));
  EXPECT_EQ(window.selection().current().size(), 1);
  window.cluster().find("h100/99999");
  EXPECT_TRUE(window.cluster().find_error().contains("0 … 18749"));
}

// B is a state of the window: the map shows the change, the timeline B below A, and where a view shows one run alone the bar
// says so. What is predicted next takes A's place.
TEST_F(WindowTest, BStandsInEveryView) {
  WindowOptions o = options();
  o.fidelity = "maxplus";
  o.profile.clear();
  MainWindow window(o);
  window.show();
  const QString path = QString::fromStdString((folder_ / "mine.toml").string());
  ASSERT_TRUE(QFile::copy(LINDOS_SOURCE_DIR "/scenarios/colossus1-training.toml", path));
  settle(window, [&] { window.open_scenario(path, AfterOpen::kPredict); });
  const QString text = window.editor().text();
  const QString calmer = QString(text).replace(QRegularExpression("(?m)^slow_share = .*$"), "slow_share = 0.0");
  ASSERT_NE(calmer, text);
  window.editor().replace(calmer);
  QTRY_VERIFY_WITH_TIMEOUT(window.message().isVisible() && window.message().text().contains("before it was changed"),
                           kPatience);
  settle(window, [&] { window.predict(); });
  ASSERT_EQ(window.why().run()->id, 2);
  settle(window, [&] { window.compare_with(1); });
  EXPECT_EQ(window.comparison().names(), "A: run 2 · B: run 1");

  window.show_view(View::kCluster);
  ASSERT_TRUE(window.cluster().colour_by("node_slowdown"));
  EXPECT_TRUE(window.cluster().map().shows_change());
  EXPECT_EQ(window.comparison().note(), "The map shows the change.");
  const data::Store store = data::Store::open(folder_ / "lindos.db", data::Store::Mode::kReadOnly);
  const Fleet a(*store.load_device_map(2)), b(*store.load_device_map(1));
  const std::vector<float>& change = window.cluster().map().shown_values();
  for (std::size_t i = 0; i < change.size(); i += 997) {
    const float expected = (*b.values("node_slowdown"))[i] - (*a.values("node_slowdown"))[i];
    EXPECT_TRUE(change[i] == expected || (std::isnan(change[i]) && std::isnan(expected)));
  }
  window.cluster().find("h100/8011/5");
  EXPECT_TRUE(window.inspector().text().contains(" → "));

  window.show_view(View::kTimeline);
  QTRY_VERIFY_WITH_TIMEOUT(window.timeline().find("A · ") && window.timeline().find("B · "), kPatience);
  EXPECT_EQ(window.comparison().note(), "A above, B below.");
  window.show_view(View::kLive);
  EXPECT_EQ(window.comparison().note(), "Live shows one run alone.");
  window.show_view(View::kPlans);
  EXPECT_TRUE(window.comparison().note().contains("alone"));

  // A third run is compared with B, and the end of the comparison leaves it alone.
  settle(window, [&] { window.predict(); });
  QTRY_COMPARE_WITH_TIMEOUT(window.comparison().names(), QString("A: run 3 · B: run 1"), kPatience);
  QTRY_VERIFY_WITH_TIMEOUT(window.cluster().map().shows_change(), kPatience);
  window.end_comparison();
  EXPECT_FALSE(window.comparison().isVisible());
  EXPECT_FALSE(window.cluster().map().shows_change());
  QTRY_VERIFY_WITH_TIMEOUT(!window.timeline().find("B · "), kPatience);
}

// Open, edit with undo and live checks, predict what is edited, save; a crash or a close loses nothing.
TEST_F(WindowTest, EditCheckPredictSave) {
  const QString path = QString::fromStdString((folder_ / "mine.toml").string());
  ASSERT_TRUE(QFile::copy(kScenario, path));
  QFile(path).setPermissions(QFile::ReadOwner | QFile::WriteOwner);
  {
    MainWindow window(options());
    window.show();
    settle(window, [&] { window.open_scenario(path, AfterOpen::kPredict); });
    ASSERT_TRUE(window.why().run());
    const std::string before = window.why().run()->record.scenario_digest;
    QPlainTextEdit& edit = window.editor().edit();
    const QString text = edit.toPlainText();
    ASSERT_TRUE(text.contains("[slo]") || text.contains("[workload"));

    // A fault is shown at its line, and cannot be predicted.
    const QString faulty = QString(text).replace("version = 1", "version = 99");
    window.editor().replace(faulty);
    QTRY_VERIFY_WITH_TIMEOUT(window.editor().state_text().startsWith("Line "), kPatience);
    EXPECT_TRUE(window.editor().state_text().contains("99")) << window.editor().state_text().toStdString();
    window.predict();
    EXPECT_FALSE(window.job().running());
    edit.undo();
    EXPECT_EQ(edit.toPlainText(), text);
    QTRY_VERIFY_WITH_TIMEOUT(!window.editor().state_text().startsWith("Line "), kPatience);
    EXPECT_FALSE(window.document().modified());

    // An edit makes the results stale; F5 predicts the edit, not the file.
    const QString edited = QString(text).replace("seed = ", "seed = 7");
    ASSERT_NE(edited, text);
    window.editor().replace(edited);
    QTRY_VERIFY_WITH_TIMEOUT(
        window.message().isVisible() && window.message().text().contains("before it was changed"), kPatience);
    settle(window, [&] { window.predict(); });
    EXPECT_NE(window.why().run()->record.scenario_digest, before);
    EXPECT_FALSE(window.message().isVisible());

    window.close();
    EXPECT_TRUE(window.isVisible());  // asks once, inline
    EXPECT_TRUE(window.message().text().contains("not saved"));
    EXPECT_TRUE(window.close());
  }
  // Closed without a save: the edits are back, the file as it was.
  MainWindow again(options());
  again.show();
  settle(again, [&] { again.open_scenario(path); });
  EXPECT_TRUE(again.editor().text().contains("seed = 7"));
  EXPECT_TRUE(again.document().modified());
  EXPECT_TRUE(again.message().text().contains("not saved"));
  EXPECT_EQ(again.document().save(), "");
  EXPECT_FALSE(again.document().left());
}

TEST_F(WindowTest, AFileWithAnErrorIsShownAndMended) {
  const QString path = QString::fromStdString((folder_ / "bad.toml").string());
  QFile good(kScenario);
  ASSERT_TRUE(good.open(QIODevice::ReadOnly));
  const QString text = QString::fromUtf8(good.readAll());
  QFile bad(path);
  ASSERT_TRUE(bad.open(QIODevice::WriteOnly));
  bad.write(QString(text).replace("version = 1", "version = 99").toUtf8());
  bad.close();
  MainWindow window(options());
  window.show();
  settle(window, [&] { window.open_scenario(path); });
  EXPECT_TRUE(window.editor().isVisible());
  EXPECT_TRUE(window.editor().state_text().startsWith("Line "));
  settle(window, [&] { window.editor().replace(text); });  // valid again: shows what the store has of it
  settle(window, [&] { window.predict(); });
  EXPECT_TRUE(window.why().run());
}

// The planner's flow: explain, apply a change, compare, report as HTML and PDF.
TEST_F(WindowTest, ExplainApplyCompareReport) {
  WindowOptions o = options();
  o.profile.clear();
  MainWindow window(o);
  window.show();
  settle(window,
         [&] { window.open_scenario(kSmallTraining, AfterOpen::kExplain); });
  ASSERT_TRUE(window.why().run());
  ASSERT_GT(window.why().mitigations().visible_rows(), 0);
  const std::int64_t base = window.why().run()->id;
  settle(window, [&] { window.apply_change(0); });  // the best one
  EXPECT_FALSE(window.job().running());
  EXPECT_NE(window.why().run()->id, base);
  const QString causes = window.compare().causes().shown_tsv(false);
  EXPECT_TRUE(causes.contains("Useful FLOP")) << causes.toStdString();

  const QString html = QString::fromStdString((folder_ / "r.html").string()),
                pdf = QString::fromStdString((folder_ / "r.pdf").string());
  settle(window, [&] { window.write_report(html); });
  EXPECT_TRUE(window.message().text().contains("r.html")) << window.message().text().toStdString();
  settle(window, [&] { window.write_report(pdf); });
  QFile page(html), printed(pdf);
  ASSERT_TRUE(page.open(QIODevice::ReadOnly));
  ASSERT_TRUE(printed.open(QIODevice::ReadOnly)) << window.message().text().toStdString();
  const QString text = QString::fromUtf8(page.readAll());
  EXPECT_TRUE(text.contains(QString("Run %1").arg(base)));  // both of Compare
  EXPECT_TRUE(text.contains(QString("Run %1").arg(window.why().run()->id)));
  EXPECT_TRUE(printed.read(5) == "%PDF-");
  EXPECT_GT(printed.size(), 20000);
}

TEST_F(WindowTest, SearchPlansApplyTheBest) {
  WindowOptions o = options();
  o.profile.clear();
  MainWindow window(o);
  window.show();
  settle(window,
         [&] { window.open_scenario(kSmallTraining, AfterOpen::kPredict); });
  EXPECT_GT(window.plans().shares().visible_rows(), 0);  // of the scenario's own plan
  EXPECT_FALSE(window.plans().search());
  settle(window, [&] { window.search_plans(); });
  ASSERT_TRUE(window.plans().search()) << window.message().text().toStdString();
  ASSERT_FALSE(window.plans().search()->plans.empty());
  const std::int64_t base = window.why().run()->id;
  settle(window, [&] { window.apply_plan(0); });
  EXPECT_NE(window.why().run()->id, base) << window.message().text().toStdString();
  EXPECT_TRUE(window.compare().isVisible());
}

TEST_F(WindowTest, ThePaletteFindsAndRunsCommands) {
  MainWindow window(options());
  window.show();
  CommandPalette palette(window.actions_list(), nullptr);
  palette.setAttribute(Qt::WA_DeleteOnClose, false);
  palette.show();
  EXPECT_EQ(palette.list().count(), static_cast<int>(window.actions_list().entries().size()));
  QTest::keyClicks(&palette.input(), "runs");
  ASSERT_GT(palette.list().count(), 0);
  EXPECT_TRUE(palette.list().item(0)->text().startsWith("Runs"));
  QTest::keyClick(&palette.input(), Qt::Key_Return);
  QTRY_VERIFY_WITH_TIMEOUT(window.runs().isVisible(), kPatience);
  EXPECT_FALSE(palette.isVisible());
}

// Docks that a user moved and closed stay so in the next window, until the default is asked for.
TEST_F(WindowTest, TheLayoutLastsUntilTheDefaultIsRestored) {
  const auto docks = [](const MainWindow& window) {
    std::map<QString, std::pair<bool, Qt::DockWidgetArea>> out;
    for (auto* dock : window.findChildren<QDockWidget*>())
      out[dock->windowTitle()] = {!dock->isHidden(), window.dockWidgetArea(dock)};
    return out;
  };
  const struct Forget {
    ~Forget() { QSettings().remove("layout"); }  // which all tests share
  } after;
  std::map<QString, std::pair<bool, Qt::DockWidgetArea>> before;
  std::map<QString, std::pair<bool, Qt::DockWidgetArea>> moved;
  {
    MainWindow window(options());
    window.show();
    before = docks(window);
    ASSERT_GT(before.size(), 2U);
    for (auto* dock : window.findChildren<QDockWidget*>()) {
      window.addDockWidget(Qt::LeftDockWidgetArea, dock);
      dock->setVisible(dock->isHidden());
    }
    moved = docks(window);
    EXPECT_NE(moved, before);
    window.close();
  }
  MainWindow window(options());
  window.show();
  EXPECT_EQ(docks(window), moved);
  const auto& entries = window.actions_list().entries();
  const auto restore = std::find_if(entries.begin(), entries.end(), [](const Actions::Entry& entry) {
    return entry.action->text().remove('&') == "Restore default layout";
  });
  ASSERT_NE(restore, entries.end());
  restore->action->trigger();
  EXPECT_EQ(docks(window), before);
}

TEST_F(WindowTest, LastResultIsThereAtOnce) {
  {
    MainWindow window(options());
    settle(window, [&] { window.open_scenario(kScenario, AfterOpen::kPredict); });
  }
  MainWindow window(options());
  settle(window, [&] { window.open_scenario(kScenario); });
  ASSERT_TRUE(window.why().run());
  EXPECT_EQ(window.why().run()->id, 1);
}

TEST_F(WindowTest, ErrorsAreInlineWithTheirPlace) {
  const std::filesystem::path bad = folder_ / "bad.toml";
  std::ofstream(bad) << "format = \"lindos-scenario\"\nversion = 1\nname = 7\n";
  MainWindow window(options());
  window.show();
  settle(window, [&] { window.open_scenario(QString::fromStdString(bad.string())); });
  EXPECT_TRUE(window.message().isVisible());
  EXPECT_TRUE(window.message().text().contains("bad.toml:3"));
  EXPECT_TRUE(window.problems().shown_tsv(false).contains("bad.toml:3"));

  WindowOptions wrong = options();
  wrong.profile = QString::fromStdString(bad.string());
  MainWindow refused(wrong);
  refused.show();
  settle(refused, [&] { refused.open_scenario(kScenario, AfterOpen::kPredict); });
  EXPECT_TRUE(refused.message().text().contains("bad.toml")) << refused.message().text().toStdString();
  EXPECT_FALSE(refused.job().running());
}

// A store that a later version wrote, and a file that is none: said inline with the remedy, never changed; scenarios open all the
// same.
TEST_F(WindowTest, AStoreThatCannotBeReadIsSaidAndLeftAlone) {
  const std::filesystem::path file = folder_ / "lindos.db";
  {
    data::Store store = data::Store::open(file, data::Store::Mode::kReadWrite);
    data::insert_sample(store, RunSource::kPredicted);
  }
  SQLite::Database(file.string(), SQLite::OPEN_READWRITE).exec("PRAGMA user_version = 999");
  const auto refuses = [&](const char* said) {
    const auto before = read_text_file(file, "store");
    MainWindow window(options());
    settle(window, [&] { window.show(); });
    EXPECT_TRUE(window.message().isVisible());
    EXPECT_TRUE(window.message().text().contains(said)) << window.message().text().toStdString();
    settle(window, [&] { window.open_scenario(kScenario); });
    settle(window, [&] { window.predict(); });
    EXPECT_TRUE(window.message().text().contains("lindos.db")) << window.message().text().toStdString();
    EXPECT_GT(window.problems().visible_rows(), 0);
    EXPECT_EQ(read_text_file(file, "store"), before);
  };
  refuses("999");
  std::ofstream(file, std::ios::trunc) << "no database, but long enough to be taken for one at the first look: " << std::string(4096, 'x');
  refuses("lindos.db");
}

TEST_F(WindowTest, StopAndCloseWhileAJobRuns) {
  const std::filesystem::path slow = folder_ / "slow";
  std::ofstream(slow) << "#!/bin/sh\nexec sleep 60\n";
  std::filesystem::permissions(slow, std::filesystem::perms(0755));
  WindowOptions o = options();
  o.lindos = QString::fromStdString(slow.string());
  MainWindow window(o);
  window.show();
  settle(window, [&] { window.open_scenario(kScenario); });
  window.predict();
  QTRY_VERIFY_WITH_TIMEOUT(window.job().running(), kPatience);
  window.close();
  EXPECT_TRUE(window.isVisible());  // asks first, inline
  EXPECT_TRUE(window.message().isVisible());
  settle(window, [&] { window.stop(); });
  EXPECT_FALSE(window.job().running());
  EXPECT_TRUE(window.close());
}

// A laptop's window, with a panel beside the views.
TEST_F(WindowTest, EveryViewFitsASmallWindow) {
  MainWindow window(options());
  window.resize(1024, 700);
  window.show();
  settle(window, [&] { window.open_scenario(kScenario, AfterOpen::kLaunch); });
  settle(window, [&] { window.predict(); });
  settle(window, [&] { window.predict(); });
  settle(window, [&] { window.compare_with(1); });
  for (int view = static_cast<int>(View::kStart); view <= static_cast<int>(View::kRuns); ++view) {
    window.show_view(static_cast<View>(view));
    QTest::qWait(1);
    EXPECT_EQ(window.width(), 1024) << view;
    EXPECT_EQ(window.height(), 700) << view;
  }
  // What does not fit beside all panels scrolls.
  for (const char* panel : {"scenario", "launch", "inspector", "problems", "log"}) {
    auto* dock = window.findChild<QDockWidget*>(panel);
    ASSERT_NE(dock, nullptr) << panel;
    dock->show();
    dock->raise();
    QTest::qWait(1);
    EXPECT_EQ(window.width(), 1024) << panel;
    EXPECT_EQ(window.height(), 700) << panel;
  }
  for (QWidget* page : std::initializer_list<QWidget*>{&window.cluster(), &window.why(), &window.plans(), &window.timeline(),
                                                       &window.live(), &window.power(), &window.accuracy(),
                                                       &window.compare(), &window.runs()}) {
    EXPECT_LE(page->minimumSizeHint().width(), 680) << page->metaObject()->className();
    EXPECT_LE(page->minimumSizeHint().height(), 400) << page->metaObject()->className();
  }
}

// Under X11 a text field takes Ctrl+K as "delete the line" and Ctrl+E as "to its end".
TEST_F(WindowTest, KeysOfTheWindowWorkInATextField) {
  MainWindow window(options());
  window.show();
  settle(window, [&] { window.open_scenario(kScenario); });
  window.show_view(View::kCluster);
  window.cluster().focus_find();
  auto* field = qobject_cast<QLineEdit*>(window.focusWidget());
  ASSERT_NE(field, nullptr);
  field->setText("h100");
  for (const auto& [key, ours] : {std::pair{Qt::CTRL | Qt::Key_K, true}, {Qt::CTRL | Qt::Key_E, true}, {Qt::CTRL | Qt::Key_C, false}}) {
    QKeyEvent event(QEvent::ShortcutOverride, key.key(), key.keyboardModifiers());
    QApplication::sendEvent(field, &event);
    EXPECT_EQ(event.isAccepted(), !ours) << QKeySequence(key).toString().toStdString();
  }
}

TEST_F(WindowTest, NoTwoActionsShareAKeyAndTheSheetHasAll) {
  MainWindow window(options());
  QSet<QString> keys;
  for (const Actions::Entry& entry : window.actions_list().entries()) {
    const QString key = entry.action->shortcut().toString();
    if (key.isEmpty()) continue;
    EXPECT_FALSE(keys.contains(key)) << key.toStdString();
    keys.insert(key);
    EXPECT_TRUE(window.actions_list().sheet_html().contains(
        entry.action->shortcut().toString(QKeySequence::NativeText).toHtmlEscaped()));
  }
  EXPECT_GT(keys.size(), 12);
}

}  // namespace
}  // namespace lindos::gui
