// SPDX-License-Identifier: Apache-2.0
#include "scenarios/metrics.h"

#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scenarios/error.h"

namespace lindos {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Metrics, TheNamesOfTheDesignInOrder) {
  std::vector<std::string_view> names;
  for (const Metric& metric : metric_registry()) names.push_back(metric.name);
  EXPECT_THAT(names, ElementsAre("mfu", "steady_mfu", "mbu", "roofline_utilisation",
                                 "output_tokens_per_s", "trained_tokens_per_s", "requests_per_s",
                                 "ttft_s", "tpot_s", "e2e_latency_s", "kv_transfer_s", "step_time_s", "goodput", "rejected_share",
                                 "goodput_sampling_error", "simulated_replicas",
                                 "interruption_interval_s", "checkpoint_interval_s",
                                 "young_interval_s", "daly_interval_s",
                                 "memory_peak_bytes", "kv_blocks", "prefix_hit_rate", "host_hit_rate", "power_w",
                                 "site_power_w", "site_power_peak_w", "energy_per_token_j",
                                 "dollars_per_million_tokens"));
}

TEST(Metrics, EachIsComplete) {
  std::set<std::string_view> definitions;
  for (const Metric& metric : metric_registry()) {
    SCOPED_TRACE(metric.name);
    EXPECT_EQ(metric.definition.substr(0, metric.definition.find('/')), metric.name);
    EXPECT_TRUE(definitions.insert(metric.definition).second);
    EXPECT_FALSE(metric.label.empty());
    EXPECT_FALSE(metric.unit.empty());
    EXPECT_FALSE(metric.display.empty());
    EXPECT_FALSE(metric.formula.empty());
    EXPECT_TRUE(metric.sentence.ends_with('.'));
    EXPECT_GT(metric.display_scale, 0.0);
    EXPECT_GE(metric.digits, 1);
    EXPECT_EQ(find_metric(metric.name), &metric);
  }
}

TEST(Metrics, AnUnknownNameIsAnsweredWithTheNearest) {
  EXPECT_EQ(find_metric("tpot"), nullptr);
  try {
    static_cast<void>(metric_or_throw("tpot_ss"));
    FAIL() << "not a metric";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_THAT(error.what(), HasSubstr("did you mean \"tpot_s\"?"));
  }
}

TEST(Metrics, ValuesAreShownInTheirDisplayUnit) {
  const auto shown = [](std::string_view name, double value) {
    return format_value(metric_or_throw(name), value);
  };
  EXPECT_EQ(shown("tpot_s", 0.00421234), "4.21 ms");
  EXPECT_EQ(shown("tpot_s", 0.0000042), "0.00420 ms");
  EXPECT_EQ(shown("mfu", 0.11), "11.0 %");
  EXPECT_EQ(shown("mfu", 0.0), "0 %");
  EXPECT_EQ(shown("memory_peak_bytes", 1073741824.0 * 1.5), "1.50 GiB");
  // Digits before the point are never rounded away.
  EXPECT_EQ(shown("output_tokens_per_s", 1234567.8), "1,234,568 token/s");
  EXPECT_EQ(shown("output_tokens_per_s", 123.456), "123.5 token/s");
  EXPECT_EQ(shown("kv_blocks", 1048576), "1,048,576 blocks");
  // Rounding up gains a digit before the point and loses one behind it.
  EXPECT_EQ(shown("ttft_s", 0.0099996), "10.0 ms");
  EXPECT_EQ(shown("power_w", -1234.5), "-1,234 W");
  EXPECT_EQ(shown("power_w", -123.4), "-123.4 W");
  EXPECT_EQ(shown("dollars_per_million_tokens", 0.08214), "0.0821 $/Mtoken");
}

// On a difference the right page is left in the temporary folder, with the command that takes it
// over.
TEST(Metrics, TheReferencePageIsCurrent) {
  const std::string path = std::string(LINDOS_SOURCE_DIR) + "/docs/metrics.md";
  std::ifstream in(path);
  const std::string page((std::istreambuf_iterator<char>(in)), {});
  if (page == metrics_markdown()) return;
  const std::string current = ::testing::TempDir() + "metrics.md";
  std::ofstream(current) << metrics_markdown();
  FAIL() << "the registry has changed: cp " << current << " " << path;
}

}  // namespace
}  // namespace lindos
