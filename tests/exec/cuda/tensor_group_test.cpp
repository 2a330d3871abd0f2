// SPDX-License-Identifier: Apache-2.0
// The sum over ranks on the device, against a sum on the host; needs a GPU.
#include "exec/cuda/tensor_group.h"

#include <chrono>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "exec/cuda/device_info.h"
#include "exec/cuda/nccl.h"
#include "kernels/bf16.h"
#include "scenarios/error.h"

namespace lindos::exec::cuda {

namespace {

constexpr std::int64_t kWidth = 256;

class TensorGroupTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto found = devices();
    if (const auto* none = std::get_if<Unavailable>(&found)) GTEST_SKIP() << none->reason;
  }
};

// Different for each rank, round and place; exact in bf16.
float value_of(int rank, int round, std::size_t i) { return static_cast<float>((static_cast<int>(i) * 7 + rank * 13 + round * 5) % 64 - 32) / 8.0F; }

std::vector<std::uint16_t> bits_of(int rank, int round, std::size_t n) {
  std::vector<std::uint16_t> bits(n);
  for (std::size_t i = 0; i < n; ++i) bits[i] = kernels::to_bf16(value_of(rank, round, i));
  return bits;
}

void upload(void* to, const std::vector<std::uint16_t>& bits, const Stream& stream) {
  check(cudaMemcpyAsync(to, bits.data(), bits.size() * sizeof(std::uint16_t), cudaMemcpyHostToDevice, stream.get()), "copy");
  stream.synchronise("copy");
}

// `rounds` sums of one rank; the residual stream after each.
std::vector<std::vector<std::uint16_t>> sums_of(Communicator& comm, int rounds, std::int64_t rows) {
  const Stream stream;
  const auto n = static_cast<std::size_t>(rows * kWidth);
  const std::unique_ptr<TensorGroup> group = make_tensor_group(comm, rows, kWidth);
  const DeviceBuffer residual(n * sizeof(std::uint16_t));
  const DeviceBuffer bias(kWidth * sizeof(std::uint16_t));
  upload(bias.as<void>(), bits_of(90, 0, kWidth), stream);
  std::vector<std::vector<std::uint16_t>> results;
  for (int round = 0; round < rounds; ++round) {
    upload(residual.as<void>(), bits_of(91, round, n), stream);
    upload(group->partial(), bits_of(comm.rank(), round, n), stream);
    // Ranks come at different times, each in turn the last.
    if (round % comm.size() == comm.rank()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    group->add_to(residual.as<__nv_bfloat16>(), round % 2 == 0 ? bias.as<__nv_bfloat16>() : nullptr, rows, stream);
    group->wait(stream, "a sum");
    results.emplace_back(n);
    check(cudaMemcpy(results.back().data(), residual.as<void>(), n * sizeof(std::uint16_t), cudaMemcpyDeviceToHost), "copy");
  }
  // Others may still read this rank's buffer.
  comm.barrier();
  return results;
}

std::vector<std::uint16_t> expected(int ranks, int round, std::int64_t rows) {
  std::vector<std::uint16_t> bits(static_cast<std::size_t>(rows * kWidth));
  for (std::size_t i = 0; i < bits.size(); ++i) {
    float sum = value_of(91, round, i);
    for (int r = 0; r < ranks; ++r) sum += value_of(r, round, i);
    if (round % 2 == 0) sum += value_of(90, 0, i % kWidth);
    bits[i] = kernels::to_bf16(sum);   // exact before: the sums have a few bits
  }
  return bits;
}

TEST_F(TensorGroupTest, RanksThatShareTheDeviceAllGetTheSum) {
  constexpr int kRounds = 24;
  for (const int ranks : {2, 3, 8}) {
    SCOPED_TRACE(ranks);
    auto comms = make_thread_communicators(ranks);
    std::vector<std::vector<std::vector<std::uint16_t>>> results(static_cast<std::size_t>(ranks));
    std::vector<std::thread> threads;
    for (int r = 0; r < ranks; ++r) {
      threads.emplace_back([&, r] { results[static_cast<std::size_t>(r)] = sums_of(*comms[static_cast<std::size_t>(r)], kRounds, 5); });
    }
    for (std::thread& t : threads) t.join();
    for (int round = 0; round < kRounds; ++round) {
      for (const auto& of_rank : results) EXPECT_EQ(of_rank[static_cast<std::size_t>(round)], expected(ranks, round, 5));
    }
  }
}

// One rank: NCCL starts, meets and reduces; what several ranks need beyond that is a GPU each.
TEST_F(TensorGroupTest, NcclOfOneRankLeavesTheSumAsItIs) {
  if (!nccl_version()) GTEST_SKIP() << "no NCCL on this machine";
  const auto comm = make_single_communicator();
  const auto results = sums_of(*comm, 3, 5);
  for (int round = 0; round < 3; ++round) EXPECT_EQ(results[static_cast<std::size_t>(round)], expected(1, round, 5));
}

TEST_F(TensorGroupTest, MoreRanksThanADeviceServesAreRefused) {
  auto comms = make_thread_communicators(9);
  try {
    (void)make_tensor_group(*comms.front(), 1, kWidth);
    FAIL() << "nine ranks were taken";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("at most 8"), std::string::npos) << e.what();
  }
}

}  // namespace

}  // namespace lindos::exec::cuda
