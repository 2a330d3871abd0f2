// SPDX-License-Identifier: Apache-2.0
// Rows on a GPU without samples, priced by hand or against each other.
#include "sim/serving/measured_prediction.h"

#include <gtest/gtest.h>

#include "scenarios/error.h"
#include "sim/datasheet.h"
#include "sim/serving/measured_scenario.h"
#include "tests/sim/toy_profile.h"

namespace lindos::sim {
namespace {

Catalogue toy_catalogue() {
  Catalogue catalogue;
  catalogue.devices.emplace("toy-gpu", toy::gpu_device());
  Model model = toy::model();
  model.dtype = Dtype::kBf16;
  catalogue.models.emplace("toy", model);
  return catalogue;
}

MeasuredRow row_of(std::int64_t clients, std::int64_t prompt, std::int64_t output) {
  MeasuredRow row;
  row.where = "m.csv:2";
  row.engine = "vllm";
  row.model = "toy";
  row.system = "toy-gpu";
  row.prompt = prompt;
  row.output = output;
  row.concurrency = clients;
  row.aggregated = MeasuredWorkers{};
  return row;
}

PredictedPoint predicted(const MeasuredRow& row) {
  const auto described = measured_scenario(row, toy_catalogue());
  const Profile profile = kernels_only(datasheet_profile(toy::gpu_device()));
  return predict_point(std::get<MeasuredScenario>(described), {{"toy-gpu", profile}});
}

TEST(PredictPoint, MoreClientsAndLongerPromptsAreSlower) {
  const PredictedPoint alone = predicted(row_of(1, 256, 32));
  const PredictedPoint many = predicted(row_of(64, 256, 32));
  const PredictedPoint longer = predicted(row_of(1, 2048, 32));
  EXPECT_GT(alone.ttft, Seconds(0));
  EXPECT_GT(alone.tpot, Seconds(0));
  EXPECT_GT(many.ttft, alone.ttft);
  EXPECT_GT(many.tpot, alone.tpot);
  EXPECT_GT(longer.ttft, alone.ttft);
}

TEST(PredictPoint, HalfTheClientsOnTwiceTheWorkersIsOneWorkerWithItsShare) {
  MeasuredRow two = row_of(16, 256, 32);
  two.aggregated->workers = 2;
  const PredictedPoint shared = predicted(two);
  const PredictedPoint one = predicted(row_of(8, 256, 32));
  EXPECT_EQ(shared.ttft, one.ttft);
  EXPECT_EQ(shared.tpot, one.tpot);
}

// Prompts that are computed elsewhere delay no decode, so that tokens come at least as fast.
TEST(PredictPoint, ADecodeReplicaIsNotInterruptedByPrompts) {
  const MeasuredRow together = row_of(32, 1024, 64);
  MeasuredRow apart = together;
  apart.aggregated.reset();
  apart.prefill = MeasuredWorkers{};
  apart.decode = MeasuredWorkers{};
  EXPECT_LT(predicted(apart).tpot, predicted(together).tpot);
  // Four prefill replicas shorten the queue that one makes.
  MeasuredRow more = apart;
  more.prefill->workers = 4;
  EXPECT_LT(predicted(more).ttft, predicted(apart).ttft);
}

TEST(PredictPoint, AModelThatDoesNotFitIsInfeasible) {
  Catalogue catalogue = toy_catalogue();
  catalogue.devices.at("toy-gpu").memory = Bytes(1e5);
  const auto described = measured_scenario(row_of(1, 256, 32), catalogue);
  try {
    static_cast<void>(predict_point(std::get<MeasuredScenario>(described), {}));
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInfeasible);
  }
}

}  // namespace
}  // namespace lindos::sim
