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

TEST(PlanText, HostMemoryIsASizeInEveryGroup) {
  EXPECT_EQ(with_kv_offload("[plan]\ntensor = 2\n", " 64 GB "), "[plan]\ntensor = 2\nkv_offload = \"64 GB\"\n");
  EXPECT_EQ(with_kv_offload("[plan]\nkv_offload = \"64 GB\"\ntensor = 2\n", ""), "[plan]\ntensor = 2\n");
  EXPECT_EQ(with_kv_offload("[[plan.group]]\na = 1\n[[plan.group]]\nkv_offload = \"1 GB\" # small\n", "2 GB"),
            "[[plan.group]]\na = 1\nkv_offload = \"2 GB\"\n[[plan.group]]\nkv_offload = \"2 GB\" # small\n");
}

TEST(PlanText, BoundsOfWhatIsUnfinished) {
  const QString text = "[plan]\ntensor = 2\n\n[slo]\n";
  const QString bounded = with_unfinished_bounds(text, {8, 0});
  EXPECT_EQ(bounded, text + "\n[plan.admission]\nreplica_unfinished = 8\n");
  EXPECT_EQ(with_unfinished_bounds(bounded, {8, 100}), text + "\n[plan.admission]\nreplica_unfinished = 8\nrouter_unfinished = 100\n");
  EXPECT_EQ(with_unfinished_bounds(text, {}), text);
  // The table goes with its last key, and comes above what belongs to it.
  EXPECT_EQ(with_unfinished_bounds("[plan]\n[plan.admission]\nreplica_unfinished = 8\n[slo]\n", {}), "[plan]\n[slo]\n");
  EXPECT_EQ(with_unfinished_bounds("[plan]\n[[plan.admission.priority]]\npriority = 0\n", {0, 9}),
            "[plan]\n[plan.admission]\nrouter_unfinished = 9\n\n[[plan.admission.priority]]\npriority = 0\n");
}

TEST(PlanText, LimitsOfATenant) {
  const QString text = "[plan]\ntensor = 2\n";
  TenantLimits limits{"batch \"x\"", {Hertz{2.5}, 10}, {}};
  const QString limited = with_tenant_limits(text, limits);
  EXPECT_EQ(limited, text + "\n[[plan.admission.tenant]]\ntenant = \"batch \\\"x\\\"\"\nrequest_rate = \"2.5 /s\"\nrequest_burst = 10\n");
  limits.tokens = {Hertz{4000}, 16000};
  const QString both = with_tenant_limits(limited, limits);
  EXPECT_TRUE(both.contains("request_burst = 10\ntoken_rate = \"4000 /s\"\ntoken_burst = 16000\n")) << both.toStdString();
  // Another tenant's entry stays; the last limit takes its entry along.
  const QString other = with_tenant_limits(both, {"b", {}, {Hertz{1}, 1}});
  EXPECT_EQ(with_tenant_limits(other, {"b", {}, {}}).trimmed(), both.trimmed());
  EXPECT_EQ(with_tenant_limits(both, {limits.tenant, {}, {}}).trimmed(), text.trimmed());
}

TEST(PlanText, APlanFileTakesThePlaceOfThePlan) {
  EXPECT_EQ(with_plan_file("a = 1\n[plan]\ntensor = 2\n[[plan.group]]\nb = 1\n[slo]\nttft = \"1 s\"\n[plan.routing]\npolicy = \"random\"\n",
                           "/x/p.json"),
            "a = 1\n[slo]\nttft = \"1 s\"\n\n[plan]\nfile = \"/x/p.json\"\n");
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

  // Host memory needs reuse, and is checked as it would be in the text.
  EXPECT_FALSE(form.kv_offload().isEnabled());
  form.prefix_reuse().setChecked(true);
  ASSERT_TRUE(form.kv_offload().isEnabled());
  form.kv_offload().setFocus();
  QTest::keyClicks(&form.kv_offload(), "1 GB");
  QTest::keyClick(&form.kv_offload(), Qt::Key_Return);
  form.replica_unfinished().setValue(12);
  const Scenario more = parse_scenario(window.editor().text().toStdString(), "s.toml", folder_.path(), catalogue);
  EXPECT_EQ(more.plan.groups.front().limits.kv_offload, Bytes{1e9});
  EXPECT_EQ(more.plan.admission.unfinished.replica, 12);
  EXPECT_FALSE(form.tenant().isVisible());  // this workload has none
  // A tenant of the workload can be limited.
  window.editor().replace(QString(before).replace("[plan]", "[[workload.tenant]]\nname = \"a\"\nshare = 1\n\n"
                                                            "[[workload.tenant]]\nname = \"b\"\nshare = 1\n\n[plan]"));
  QTRY_COMPARE_WITH_TIMEOUT(form.tenant().count(), 2, kPatience);
  EXPECT_TRUE(form.tenant().isVisible());
  form.tenant().setCurrentText("b");
  form.rate(1).setValue(4000);
  form.burst(1).setValue(16000);
  const Scenario limited = parse_scenario(window.editor().text().toStdString(), "s.toml", folder_.path(), catalogue);
  ASSERT_EQ(limited.plan.admission.tenants.size(), 1u);
  EXPECT_EQ(limited.plan.admission.tenants.front(), (TenantLimits{"b", {}, {Hertz{4000}, 16000}}));
  form.rate(1).setValue(0);
  EXPECT_FALSE(window.editor().text().contains("admission"));
  window.editor().replace(before);
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
