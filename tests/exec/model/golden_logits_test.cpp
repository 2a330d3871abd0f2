// SPDX-License-Identifier: Apache-2.0
// Logits and greedy tokens against Hugging Face transformers, for each golden model under each layout.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>

#include <gtest/gtest.h>

#include "exec/model/rank_weights.h"
#include "scenarios/hf_config.h"
#include "tests/exec/engine_harness.h"
#include "tests/exec/golden_reader.h"

namespace lindos::exec {
namespace {

using golden::ModelCase;
using golden::ModelGolden;
using harness::Layout;

// Engine handbook, section 6: sums in another order. Of max |logit|.
constexpr float kF32Tolerance = 2e-5F;
constexpr float kBf16Tolerance = 2e-2F;
// Weights rounded to 8 bits are another model: how near it must stay to the f32 reference (2.6e-2 seen).
constexpr float kRoundedWeights = 5e-2F;
// f16 keeps 11 bits: an eighth of bf16's.
constexpr float kOfF16 = 1.0F / 8.0F;
// The reference's gaps have four digits.
constexpr float kGapDigits = 5e-4F;

Model model_of(const ModelGolden& golden) {
  const std::filesystem::path file = golden.folder / "config.json";
  std::ifstream in(file);
  const std::string text(std::istreambuf_iterator<char>(in), {});
  return parse_hf_config(text, file.string()).model;
}

const std::vector<ModelGolden>& goldens() {
  static const std::vector<ModelGolden> all = golden::read_model_goldens();
  return all;
}

EngineConfig config_of(const ModelGolden& golden, const Layout& layout, Dtype dtype = Dtype::kF32) {
  return harness::make_config(model_of(golden), open_safetensors(golden.folder), layout, dtype);
}

float largest(const std::vector<float>& logits) {
  float most = 0.0F;
  for (const float x : logits) most = std::max(most, std::abs(x));
  return most;
}

float largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  float most = 0.0F;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) most = std::max(most, std::abs(a[i] - b[i]));
  return most;
}

float top2_gap(std::vector<float> logits) {
  std::partial_sort(logits.begin(), logits.begin() + 2, logits.end(), std::greater<>());
  return logits[0] - logits[1];
}

TEST(GoldenModels, AllRun) {
  for (const ModelGolden& golden : golden::read_model_goldens()) {
    std::string reason;
    EXPECT_TRUE(executable(model_of(golden), reason)) << golden.name << ": " << reason;
  }
}

struct Parameter {
  std::size_t golden;
  Layout layout;
};

void PrintTo(const Parameter& parameter, std::ostream* out) {
  *out << goldens()[parameter.golden].name << ' ' << parameter.layout.name;
}

std::vector<Parameter> parameters() {
  std::vector<Parameter> all;
  for (std::size_t g = 0; g < goldens().size(); ++g) {
    for (const Layout& layout : harness::all_layouts()) all.push_back({g, layout});
  }
  return all;
}

std::string name_of_parameter(const ::testing::TestParamInfo<Parameter>& info) {
  std::string name = goldens()[info.param.golden].name + "_" + info.param.layout.name;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

class GoldenModel : public ::testing::TestWithParam<Parameter> {};

TEST_P(GoldenModel, GivesTheReferenceLogitsAndTokens) {
  const ModelGolden& golden = goldens()[GetParam().golden];
  harness::Engine engine(config_of(golden, GetParam().layout));
  for (const ModelCase& one : golden.cases) {
    SCOPED_TRACE("prompt of " + std::to_string(one.prompt.size()));
    (void)engine.generate(one.prompt, 1);
    const auto rows = engine.last_logits();
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_LE(largest_difference(rows.front(), one.last_logits), kF32Tolerance * largest(one.last_logits));
    EXPECT_EQ(engine.generate(one.prompt, static_cast<std::int64_t>(one.greedy.size())), one.greedy);
  }
}

INSTANTIATE_TEST_SUITE_P(All, GoldenModel, ::testing::ValuesIn(parameters()), name_of_parameter);

class GoldenPositions : public ::testing::TestWithParam<std::size_t> {};

// Every prefix of the prompt, where the reference has its logits, and every step of the continuation.
TEST_P(GoldenPositions, AreRightOneByOne) {
  const ModelGolden& golden = goldens()[GetParam()];
  harness::Engine engine(config_of(golden, {}));
  for (const ModelCase& one : golden.cases) {
    for (std::size_t i = 0; i < one.all_logits.size(); ++i) {
      SCOPED_TRACE("position " + std::to_string(i));
      (void)engine.generate({one.prompt.begin(), one.prompt.begin() + static_cast<std::ptrdiff_t>(i) + 1}, 1);
      EXPECT_LE(largest_difference(engine.last_logits().front(), one.all_logits[i]),
                kF32Tolerance * largest(one.all_logits[i]));
    }
    for (std::size_t step = 0; step < one.greedy.size(); ++step) {
      SCOPED_TRACE("step " + std::to_string(step));
      (void)engine.generate(one.prompt, static_cast<std::int64_t>(step) + 1);
      const std::vector<float> logits = engine.last_logits().front();
      // A gap is the difference of two logits.
      EXPECT_NEAR(top2_gap(logits), one.top2_gaps[step],
                  2 * kF32Tolerance * largest(logits) + kGapDigits * one.top2_gaps[step]);
    }
  }
}

TEST_P(GoldenPositions, StayNearWithSixteenBitWeightsAndKv) {
  const ModelGolden& golden = goldens()[GetParam()];
  for (const Dtype dtype : {Dtype::kBf16, Dtype::kF16}) {
    const float share = dtype == Dtype::kF16 ? kOfF16 : 1.0F;
    harness::Engine single(config_of(golden, {}, dtype));
    harness::Engine pair(config_of(golden, {"", {2, 1}, {1}, KvSplit::kReplicate}, dtype));
    for (const ModelCase& one : golden.cases) {
      SCOPED_TRACE(std::string(name_of(dtype)) + ", prompt of " + std::to_string(one.prompt.size()));
      (void)single.generate(one.prompt, 1);
      (void)pair.generate(one.prompt, 1);
      const std::vector<float> logits = single.last_logits().front();
      EXPECT_LE(largest_difference(logits, one.last_logits), share * kRoundedWeights * largest(one.last_logits));
      EXPECT_LE(largest_difference(pair.last_logits().front(), logits), share * kBf16Tolerance * largest(logits));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, GoldenPositions, ::testing::Range<std::size_t>(0, goldens().size()),
                         [](const ::testing::TestParamInfo<std::size_t>& test) {
                           std::string name = goldens()[test.param].name;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace lindos::exec
