// SPDX-License-Identifier: Apache-2.0
// Sums of one rank of a tensor group on the device, and what they have to be.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "exec/cuda/device_info.h"
#include "exec/cuda/tensor_group.h"
#include "kernels/bf16.h"

namespace lindos::exec::cuda::test {

inline constexpr std::int64_t kWidth = 256;

class TensorGroupTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto found = devices();
    if (const auto* none = std::get_if<Unavailable>(&found)) GTEST_SKIP() << none->reason;
  }
};

// Different for each rank, round and place; exact in bf16.
inline float value_of(int rank, int round, std::size_t i) { return static_cast<float>((static_cast<int>(i) * 7 + rank * 13 + round * 5) % 64 - 32) / 8.0F; }

inline std::vector<std::uint16_t> bits_of(int rank, int round, std::size_t n) {
  std::vector<std::uint16_t> bits(n);
  for (std::size_t i = 0; i < n; ++i) bits[i] = kernels::to_bf16(value_of(rank, round, i));
  return bits;
}

inline void upload(void* to, const std::vector<std::uint16_t>& bits, const Stream& stream) {
  check(cudaMemcpyAsync(to, bits.data(), bits.size() * sizeof(std::uint16_t), cudaMemcpyHostToDevice, stream.get()), "copy");
  stream.synchronise("copy");
}

// `rounds` sums of one rank; the residual stream after each.
inline std::vector<std::vector<std::uint16_t>> sums_of(Communicator& comm, AllReduce choice, int rounds, std::int64_t rows) {
  const Stream stream;
  const auto n = static_cast<std::size_t>(rows * kWidth);
  const std::unique_ptr<TensorGroup> group = make_tensor_group(comm, rows, kWidth, choice);
  group->meet();
  const DeviceBuffer bias(kWidth * sizeof(std::uint16_t));
  upload(bias.as<void>(), bits_of(90, 0, kWidth), stream);
  std::vector<std::vector<std::uint16_t>> results;
  for (int round = 0; round < rounds; ++round) {
    upload(group->residual(), bits_of(91, round, n), stream);
    upload(group->partial(), bits_of(comm.rank(), round, n), stream);
    // Ranks come at different times, each in turn the last.
    if (round % comm.size() == comm.rank()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    // Two shots write into the others' residual streams: none may still be filled by its host.
    comm.barrier();
    group->add(round % 2 == 0 ? bias.as<__nv_bfloat16>() : nullptr, {}, rows, {stream.get(), false});
    group->wait(stream, "a sum");
    results.emplace_back(n);
    check(cudaMemcpy(results.back().data(), group->residual(), n * sizeof(std::uint16_t), cudaMemcpyDeviceToHost), "copy");
  }
  // Others may still read this rank's buffer.
  comm.barrier();
  return results;
}

inline std::vector<std::uint16_t> expected(int ranks, int round, std::int64_t rows) {
  std::vector<std::uint16_t> bits(static_cast<std::size_t>(rows * kWidth));
  for (std::size_t i = 0; i < bits.size(); ++i) {
    float sum = value_of(91, round, i);
    for (int r = 0; r < ranks; ++r) sum += value_of(r, round, i);
    if (round % 2 == 0) sum += value_of(90, 0, i % kWidth);
    bits[i] = kernels::to_bf16(sum);   // exact before: the sums have a few bits
  }
  return bits;
}

}  // namespace lindos::exec::cuda::test
