// SPDX-License-Identifier: Apache-2.0
#include "scenarios/run_samples.h"

#include <cmath>
#include <limits>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <rapidcheck/gtest.h>

#include "scenarios/error.h"

namespace lindos {
namespace {

RunSample sample(double t, std::map<std::string, double> values, const std::string& phase = "run 1 of 1") {
  return {t, phase, {{"run", std::move(values), {}}}};
}

const SampleSeries& series_of(const RunSamples& samples, const std::string& quantity) {
  for (const SampleSeries& series : samples.series) {
    if (series.quantity == quantity) return series;
  }
  throw std::runtime_error("no series " + quantity);
}

TEST(SampleQuantities, AreComplete) {
  std::set<std::string_view> names, definitions;
  for (const Metric& quantity : sample_quantity_registry()) {
    EXPECT_TRUE(names.insert(quantity.name).second) << quantity.name;
    EXPECT_TRUE(definitions.insert(quantity.definition).second) << quantity.definition;
    for (const std::string_view text : {quantity.label, quantity.unit, quantity.formula, quantity.sentence})
      EXPECT_FALSE(text.empty()) << quantity.name;
    // A metric of the registry by the same name has its unit, but is another figure.
    if (const Metric* metric = find_metric(quantity.name)) {
      EXPECT_EQ(metric->unit, quantity.unit);
      EXPECT_NE(metric->definition, quantity.definition);
    }
  }
}

TEST(SampleLog, KeepsWhatIsAbsentWithItsReason) {
  SampleLog log;
  RunSample first = sample(0.5, {{"output_tokens_per_s", 10.0}});
  first.subjects.push_back({"gpu", {}, {{"power_w", "the run computes on the CPU"}}});
  log.add(first);
  log.add(sample(1.0, {{"output_tokens_per_s", 20.0}, {"ttft_s", 0.25}}, "run 2 of 2"));
  const RunSamples samples = log.samples();
  EXPECT_NO_THROW(validate_run_samples(samples, "log"));
  EXPECT_EQ(samples.phases, (std::vector<SamplePhase>{{0.0, "run 1 of 1"}, {0.5, "run 2 of 2"}}));
  ASSERT_EQ(samples.series.size(), 3u);
  // By subject as they appeared, then as registered.
  EXPECT_EQ(samples.series[0].quantity, "output_tokens_per_s");
  EXPECT_EQ(samples.series[1].quantity, "ttft_s");
  EXPECT_EQ(samples.series[2].absent, "the run computes on the CPU");
  EXPECT_TRUE(samples.series[2].points.empty());
  const auto& ttft = samples.series[1].points;
  ASSERT_EQ(ttft.size(), 2u);
  EXPECT_TRUE(std::isnan(ttft[0].value));
  EXPECT_FLOAT_EQ(ttft[1].value, 0.25F);

  const auto json = nlohmann::json::parse(to_json(samples));
  EXPECT_EQ(json["series"][1]["points"][0][1], nullptr);
  EXPECT_EQ(json["series"][1]["unit"], "s");
  EXPECT_EQ(json["series"][1]["definition"], "sampled_ttft_s/1");
  EXPECT_EQ(json["series"][2]["absent"], "the run computes on the CPU");
}

// However long a run is, its series stay bounded, in order, and keep their mean: a value is worth its windows. (Float
// values and times, so to 1e-3.)
RC_GTEST_PROP(SampleLog, StaysBoundedAndKeepsTheMean, ()) {
  const auto count = *rc::gen::inRange(1, 5000);
  SampleLog log;
  double sum = 0.0;
  for (int i = 0; i < count; ++i) {
    const double value = *rc::gen::inRange(1, 1000);
    sum += value;
    log.add(sample(0.5 * (i + 1), {{"output_tokens_per_s", value}}));
  }
  const RunSamples samples = log.samples();
  validate_run_samples(samples, "log");
  const auto& points = series_of(samples, "output_tokens_per_s").points;
  RC_ASSERT(points.size() <= kMostSamplePoints);
  // All points but the last stand for equally many samples, a power of two.
  std::size_t each = 1;
  while (points.size() * each < static_cast<std::size_t>(count)) each *= 2;
  const std::size_t last = static_cast<std::size_t>(count) - (points.size() - 1) * each;
  RC_ASSERT(last >= 1 && last <= each);
  double kept = 0.0;
  for (std::size_t i = 0; i < points.size(); ++i)
    kept += static_cast<double>(points[i].value) * static_cast<double>(i + 1 < points.size() ? each : last);
  RC_ASSERT(std::abs(kept - sum) <= 1e-3 * sum);
}

TEST(RunSamples, RefusesWhatNoLogWouldHold) {
  const auto complaint = [](const RunSamples& samples) -> std::string {
    try {
      validate_run_samples(samples, "run");
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  using ::testing::HasSubstr;
  const SampleSeries good{"run", "ttft_s", "", {{0.5F, 1.0F}, {1.0F, std::numeric_limits<float>::quiet_NaN()}}};
  EXPECT_EQ(complaint({{good}, {{0.0, "run"}}}), "");
  SampleSeries bad = good;
  bad.quantity = "ttfs_s";
  EXPECT_THAT(complaint({{good, bad}, {}}), HasSubstr("/samples/series/1/quantity: \"ttfs_s\""));
  bad = good;
  bad.absent = "why";
  EXPECT_THAT(complaint({{bad}, {}}), HasSubstr("expected points, or the reason"));
  bad = good;
  bad.points.clear();
  EXPECT_THAT(complaint({{bad}, {}}), HasSubstr("expected points, or the reason"));
  bad = good;
  bad.points[1].t_s = 0.25F;
  EXPECT_THAT(complaint({{bad}, {}}), HasSubstr("times go back"));
  bad = good;
  bad.points[0].value = std::numeric_limits<float>::infinity();
  EXPECT_THAT(complaint({{bad}, {}}), HasSubstr("not finite"));
  bad = good;
  bad.points.assign(kMostSamplePoints + 1, {0.5F, 1.0F});
  EXPECT_THAT(complaint({{bad}, {}}), HasSubstr("at most 600, saw 601"));
  EXPECT_THAT(complaint({{good}, {{-1.0, "run"}}}), HasSubstr("a time from 0 on"));
}

}  // namespace
}  // namespace lindos
