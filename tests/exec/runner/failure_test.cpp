// SPDX-License-Identifier: Apache-2.0
// What goes wrong must be said, and must leave no thread that waits. A hang shows as the test's time-out.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "exec/runner/step_codec.h"
#include "scenarios/error.h"
#include "tests/exec/engine_harness.h"

namespace lindos::exec {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using harness::Layout;

const Layout kTensor2{"", {1, 1}, {1}, KvSplit::kReplicate};
const Layout kTensor2Pipeline3{"", {1, 1}, {1, 1, 1}, KvSplit::kReplicate};

template <class Action>
void expect_error(ErrorKind kind, const ::testing::Matcher<const char*>& message, Action action) {
  try {
    action();
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind);
    EXPECT_THAT(error.what(), message);
  }
}

// Fails at the n-th read, counted over all ranks.
class FailingCheckpoint final : public Checkpoint {
 public:
  FailingCheckpoint(std::shared_ptr<const Checkpoint> source, int reads) : source_(std::move(source)), left_(reads) {}
  [[nodiscard]] const TensorInfo* find(std::string_view name) const override { return source_->find(name); }
  [[nodiscard]] std::vector<TensorInfo> tensors() const override { return source_->tensors(); }
  void read(std::string_view name, std::int64_t row_begin, std::int64_t row_end, std::int64_t col_begin,
            std::int64_t col_end, std::span<float> out) const override {
    if (left_.fetch_sub(1) == 0) throw Error(ErrorKind::kEnvironment, std::string(name), "the disk is gone");
    source_->read(name, row_begin, row_end, col_begin, col_end, out);
  }
  [[nodiscard]] std::string description() const override { return source_->description(); }
  [[nodiscard]] int left() const { return left_; }

 private:
  std::shared_ptr<const Checkpoint> source_;
  mutable std::atomic<int> left_;
};

// All weights of the last norm are `weight`.
class LoudCheckpoint final : public Checkpoint {
 public:
  LoudCheckpoint(std::shared_ptr<const Checkpoint> source, float weight) : source_(std::move(source)), weight_(weight) {}
  [[nodiscard]] const TensorInfo* find(std::string_view name) const override { return source_->find(name); }
  [[nodiscard]] std::vector<TensorInfo> tensors() const override { return source_->tensors(); }
  void read(std::string_view name, std::int64_t row_begin, std::int64_t row_end, std::int64_t col_begin,
            std::int64_t col_end, std::span<float> out) const override {
    source_->read(name, row_begin, row_end, col_begin, col_end, out);
    if (name == "model.norm.weight") std::fill(out.begin(), out.end(), weight_);
  }
  [[nodiscard]] std::string description() const override { return source_->description(); }

 private:
  std::shared_ptr<const Checkpoint> source_;
  float weight_;
};

// Throws in its n-th sum instead of taking part.
class FailingCommunicator final : public Communicator {
 public:
  FailingCommunicator(std::unique_ptr<Communicator> inner, int sums) : inner_(std::move(inner)), left_(sums) {}
  [[nodiscard]] int rank() const override { return inner_->rank(); }
  [[nodiscard]] int size() const override { return inner_->size(); }
  [[nodiscard]] const char* backend() const override { return inner_->backend(); }
  void all_reduce_sum(std::span<float> data) override {
    if (left_-- == 0) throw std::runtime_error("the link is gone");
    inner_->all_reduce_sum(data);
  }
  void all_gather_v(std::span<const float> local, std::span<float> all, std::span<const std::int64_t> counts) override {
    inner_->all_gather_v(local, all, counts);
  }
  void broadcast(std::span<std::byte> data, int root) override { inner_->broadcast(data, root); }
  void send(std::span<const std::byte> data, int peer) override { inner_->send(data, peer); }
  void recv(std::span<std::byte> data, int peer) override { inner_->recv(data, peer); }
  void barrier() override { inner_->barrier(); }
  void throw_if_aborted() override { inner_->throw_if_aborted(); }
  void abort(const std::string& reason) override { inner_->abort(reason); }

 private:
  std::unique_ptr<Communicator> inner_;
  int left_;
};

TEST(Failure, OfAnyReadWhileWeightsAreLoadedReachesTheCaller) {
  EngineConfig config = harness::tiny_config(kTensor2);
  const auto whole = config.checkpoint;
  const auto counting = std::make_shared<FailingCheckpoint>(whole, 1 << 20);
  config.checkpoint = counting;
  (void)Replica::in_process(config);
  const int reads = (1 << 20) - counting->left();
  ASSERT_GT(reads, 40);
  // The first rank's first read, its last one, the second rank's first and last.
  for (const int read : {0, reads / 2 - 1, reads / 2, reads - 1}) {
    SCOPED_TRACE("read " + std::to_string(read) + " of " + std::to_string(reads));
    config.checkpoint = std::make_shared<FailingCheckpoint>(whole, read);
    expect_error(ErrorKind::kEnvironment, HasSubstr("the disk is gone"), [&] { (void)Replica::in_process(config); });
  }
}

// Rank 1 of two fails within a step; the driver, which waits for it in a sum, gets the reason.
TEST(Failure, OfAWorkerWithinAStepReachesTheDriver) {
  const EngineConfig config = harness::tiny_config(kTensor2);
  for (const int sums : {0, 3}) {
    auto world = make_thread_communicators(2);
    auto tensor = make_thread_communicators(2);
    RankWorker driver(config, {0, 0}, std::move(world[0]), std::move(tensor[0]));
    RankWorker worker(config, {0, 1}, std::move(world[1]),
                      std::make_unique<FailingCommunicator>(std::move(tensor[1]), sums));
    std::thread thread([&] {
      try {
        worker.loop();
        ADD_FAILURE() << "the worker did not fail";
      } catch (const std::exception& error) {
        worker.abort(error.what());
      }
    });
    const harness::Tokens ids = harness::make_prompt(4, 1, 200);
    const std::vector<scheduler::BlockId> blocks = {0};
    scheduler::Step step;
    step.slices.push_back({0, 0, ids, true, false, blocks});
    expect_error(ErrorKind::kEnvironment, HasSubstr("the link is gone"), [&] {
      driver.start(make_step_input(step));
      (void)driver.wait();
    });
    thread.join();
  }
}

TEST(Failure, OfThePromptSourceEndsAllRanks) {
  for (const Layout& layout : {Layout{}, kTensor2, kTensor2Pipeline3}) {
    harness::Engine engine(harness::tiny_config(layout));
    RunOptions options;
    options.prompt = [](const RequestSpec& request) {
      if (request.id == 1) throw std::runtime_error("no such text");
      return harness::make_prompt(request.prompt_tokens, 1, 200);
    };
    // The second request arrives while the first one runs.
    EXPECT_THROW((void)engine.replica().run({{0, Seconds{0}, 8, 100}, {1, Seconds{1e-3}, 8, 100}}, options),
                 std::runtime_error);
  }
}

TEST(Cancellation, EndsARunBetweenSteps) {
  for (const Layout& layout : {Layout{}, kTensor2, kTensor2Pipeline3}) {
    for (const int polls : {0, 1, 7}) {
      harness::Engine engine(harness::tiny_config(layout));
      RunOptions options;
      options.prompt = [](const RequestSpec& request) { return harness::make_prompt(request.prompt_tokens, request.id, 200); };
      int left = polls;
      options.cancelled = [&] { return left-- == 0; };
      expect_error(ErrorKind::kCancelled, HasSubstr("cancelled"), [&] {
        (void)engine.replica().run({{0, Seconds{0}, 8, 100}, {1, Seconds{0}, 30, 100}}, options);
      });
    }
  }
}

TEST(Context, IsRefusedBeforeAnythingRuns) {
  EngineConfig config = harness::tiny_config(kTensor2);
  config.group.limits.max_context = 40;
  harness::Engine engine(config);
  const harness::Tokens prompt = harness::make_prompt(30, 1, 200);
  expect_error(ErrorKind::kInput, AllOf(HasSubstr("request 0"), HasSubstr("41 tokens"), HasSubstr("holds 40")),
               [&] { (void)engine.generate(prompt, 11); });
  // Nothing ran, so the replica still serves, to the last position.
  EXPECT_EQ(engine.generate(prompt, 10).size(), 10U);
}

TEST(Context, OfTheModelHoldsWithoutALimitInThePlan) {
  harness::Engine engine(harness::tiny_config());
  expect_error(ErrorKind::kInput, HasSubstr("holds 256"), [&] { (void)engine.generate(harness::make_prompt(250, 1, 200), 7); });
  EXPECT_EQ(engine.generate(harness::make_prompt(250, 1, 200), 6).size(), 6U);
}

// What the last norm gives is beyond f16 and becomes infinite there; bf16 and f32 hold it.
TEST(Logits, ThatAreNotFiniteEndTheRunWithTheReason) {
  const auto config_of = [](Dtype dtype, float weight) {
    EngineConfig config = harness::tiny_config(kTensor2);
    config.group.weight_dtype = dtype;
    config.checkpoint = std::make_shared<LoudCheckpoint>(config.checkpoint, weight);
    return config;
  };
  const auto prompt = harness::make_prompt(5, 1, 200);
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
    EXPECT_EQ(harness::Engine(config_of(dtype, 1e6F)).generate(prompt, 2).size(), 2U);
  }
  expect_error(ErrorKind::kEnvironment,
               AllOf(HasSubstr("request 0: its logits are not finite at position 4"), HasSubstr("beyond 65504"), HasSubstr("bf16")),
               [&] { (void)harness::Engine(config_of(Dtype::kF16, 1e6F)).generate(prompt, 2); });
  expect_error(ErrorKind::kEnvironment, AllOf(HasSubstr("not finite"), HasSubstr("broken weights"), Not(HasSubstr("65504"))),
               [&] { (void)harness::Engine(config_of(Dtype::kF32, std::nanf(""))).generate(prompt, 2); });
}

TEST(Cache, TooSmallForARequestIsAnAnswerWithNumbers) {
  EngineConfig config = harness::tiny_config(kTensor2);
  config.kv_blocks = 2;
  harness::Engine engine(config);
  expect_error(ErrorKind::kInfeasible, HasSubstr("request 0"),
               [&] { (void)engine.generate(harness::make_prompt(30, 1, 200), 30); });
}

TEST(Cache, OfAnotherLayoutIsRefused) {
  EngineConfig config = harness::tiny_config();
  config.group.limits.block_tokens = 32;
  expect_error(ErrorKind::kInput, HasSubstr("block_tokens 32"), [&] { (void)Replica::in_process(config); });
  config = harness::tiny_config();
  config.group.kv_dtype = Dtype::kFp8;
  expect_error(ErrorKind::kInput, HasSubstr("KV dtype fp8"), [&] { (void)Replica::in_process(config); });
}

}  // namespace
}  // namespace lindos::exec
