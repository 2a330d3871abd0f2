// SPDX-License-Identifier: Apache-2.0
// Fields of the plan: they change their keys in the text and nothing else, what they write loads as meant, and undo takes it
// back.
#include <gtest/gtest.h>

#include <QSignalSpy>
#include <QTest>

#include "data/catalogue.h"
#include "gui/app/main_window.h"
#include "gui/models/plan_text.h"
#include "scenarios/text_file.h"
#include "tests/data/sample_run.h"

namespace lindos::gui {
namespace {

constexpr int kPatience = 240000;

TEST(PlanText, RoutingIsWrittenAsItIsRead) {
  const QString text = "name = \"x\"\n\n[plan]\nname = \"one\"  # mine\ntensor = 2\n\n[slo]\nttft = \"1 s\"\n";
  Routing routing;
  EXPECT_EQ(with_routing(text, routing), text);  // the default needs no words
  routing.policy = RoutingPolicy::kPrefixAffinity;
  routing.load_bound = 1.5;
  const QString bounded = with_routing(text, routing);
  EXPECT_EQ(bounded, text + "\n[plan.routing]\npolicy = \"prefix-affinity\"\nload_bound = 1.5\n");
  routing.policy = RoutingPolicy::kPowerOfTwo;
  routing.replicas_per_router = 8;
  // The bound is for prefix-affinity alone, and would be refused.
  const QString two = with_routing(bounded, routing);
  EXPECT_EQ(two, text + "\n[plan.routing]\npolicy = \"power-of-two\"\nreplicas_per_router = 8\n");
  EXPECT_EQ(with_routing(two, Routing{}), text);
}

TEST(PlanText, CommentsAndOtherTablesStay) {
  const QString text =
      "note = \"\"\"\n[plan.routing]\npolicy = no table\n\"\"\"\n[plan.routing] # how\npolicy = \"random\" # for now\n# more\n\n[slo]\n";
  Routing routing;
  routing.policy = RoutingPolicy::kLeastOutstanding;
  EXPECT_EQ(with_routing(text, routing), QString(text).replace("\"random\"", "\"least-outstanding\""));
  EXPECT_EQ(with_routing(text, Routing{}), QString(text).replace("\"random\" # for now", "\"weighted-round-robin\""));
}

TEST(PlanText, PrefixReuseIsOfEveryGroup) {
  EXPECT_EQ(with_prefix_reuse("[plan]\ntensor = 2\n\n[slo]\n", true), "[plan]\ntensor = 2\nprefix_reuse = true\n\n[slo]\n");
  EXPECT_EQ(with_prefix_reuse("[plan]\nprefix_reuse = true\n[slo]\n", false), "[plan]\n[slo]\n");
  const QString groups = "[plan]\nname = \"p\"\n[[plan.group]]\npool = \"a\"\n\n[[plan.group]]\nprefix_reuse = false\npool = \"b\"\n";
  EXPECT_EQ(with_prefix_reuse(groups, true),
            "[plan]\nname = \"p\"\n[[plan.group]]\npool = \"a\"\nprefix_reuse = true\n\n[[plan.group]]\nprefix_reuse = true\n"
            "pool = \"b\"\n");
}

TEST(PlanText, SaysWhyAPlanIsFixed) {
  EXPECT_EQ(why_plan_is_fixed("[plan]\ntensor = 2\n"), "");
  EXPECT_EQ(why_plan_is_fixed("[[plan.group]]\ntensor = 2\n"), "");
  EXPECT_TRUE(why_plan_is_fixed("[slo]\n").contains("no [plan]"));
  EXPECT_TRUE(why_plan_is_fixed("[plan]\nfile = \"p.json\"\n").contains("file of its own"));
  EXPECT_TRUE(why_plan_is_fixed("[plan]\njson = \"{}\"\n").contains("JSON"));
}

class PlanFormTest : public ::testing::Test {
 protected:
  data::ScratchFolder folder_;
};

// In the window: a field changes the text, the loader checks it, undo brings both back.
TEST_F(PlanFormTest, FieldsEditTheScenario) {
  const auto file = folder_ / "s.toml";
  std::filesystem::copy_file(LINDOS_SOURCE_DIR "/scenarios/this-machine.toml", file);
  WindowOptions options;
  options.lindos = "/nowhere/lindos";
  options.store = folder_ / "lindos.db";
  options.theme = ThemeChoice::kLight;
  MainWindow window(options);
  window.show();
  QSignalSpy settled(&window, &MainWindow::settled);
  window.open_scenario(QString::fromStdString(file.string()));
  ASSERT_TRUE(settled.wait(kPatience));
  window.show_editor();
  PlanForm& form = window.editor().plan_form();
  ASSERT_TRUE(form.isVisible());
  const QString before = window.editor().text();
  EXPECT_EQ(form.policy().currentText(), "weighted-round-robin");
  EXPECT_FALSE(form.replicas_per_router().isEnabled());

  form.policy().setCurrentText("prefix-affinity");
  EXPECT_TRUE(form.load_bound().isEnabled());
  form.load_bound().setValue(2.0);
  form.prefix_reuse().setChecked(true);
  const Catalogue catalogue = load_catalogue(default_catalogue_dir());
  const Scenario changed = parse_scenario(window.editor().text().toStdString(), "s.toml", folder_.path(), catalogue);
  EXPECT_EQ(changed.plan.routing.policy, RoutingPolicy::kPrefixAffinity);
  EXPECT_EQ(changed.plan.routing.load_bound, 2.0);
  EXPECT_TRUE(changed.plan.groups.front().limits.prefix_reuse);
  EXPECT_TRUE(window.document().modified());

  // Three steps back; the fields follow once the text is checked.
  for (int i = 0; i < 3; ++i) window.editor().edit().undo();
  EXPECT_EQ(window.editor().text(), before);
  QTRY_COMPARE_WITH_TIMEOUT(form.policy().currentText(), QString("weighted-round-robin"), kPatience);
  QTRY_VERIFY_WITH_TIMEOUT(!form.prefix_reuse().isChecked(), kPatience);

  // What is typed wrongly leaves the fields alone, and what is typed rightly they take.
  window.editor().replace(before + "\n[plan.routing]\npolicy = \"randon\"\n");
  QTRY_VERIFY_WITH_TIMEOUT(window.editor().state_text().contains("random"), kPatience);
  EXPECT_EQ(form.policy().currentText(), "weighted-round-robin");
  window.editor().replace(before + "\n[plan.routing]\npolicy = \"random\"\n");
  QTRY_COMPARE_WITH_TIMEOUT(form.policy().currentText(), QString("random"), kPatience);
}

}  // namespace
}  // namespace lindos::gui
