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

namespace lindos::exec::cuda::test {

inline constexpr std::int64_t kWidth = 256;
inline constexpr Element kElements[] = {Element::kBf16, Element::kF16};

class TensorGroupTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto found = devices();
    if (const auto* none = std::get_if<Unavailable>(&found)) GTEST_SKIP() << none->reason;
  }
};

// Different for each rank, round and place; exact in bf16 and f16.
inline float value_of(int rank, int round, std::size_t i) { return static_cast<float>((static_cast<int>(i) * 7 + rank * 13 + round * 5) % 64 - 32) / 8.0F; }

inline std::vector<Number> numbers_of(Element element, int rank, int round, std::size_t n) {
  std::vector<Number> numbers(n);
  for (std::size_t i = 0; i < n; ++i) numbers[i] = to_number(element, value_of(rank, round, i));
  return numbers;
}

inline void upload(void* to, const std::vector<Number>& numbers, const Stream& stream) {
  check(cudaMemcpyAsync(to, numbers.data(), numbers.size() * sizeof(Number), cudaMemcpyHostToDevice, stream.get()), "copy");
  stream.synchronise("copy");
}

// `rounds` sums of one rank; the residual stream after each.
inline std::vector<std::vector<Number>> sums_of(Communicator& comm, Element element, AllReduce choice, int rounds, std::int64_t rows) {
  const Stream stream;
  const auto n = static_cast<std::size_t>(rows * kWidth);
  const std::unique_ptr<TensorGroup> group = make_tensor_group(comm, element, rows, kWidth, choice);
  group->meet();
  const DeviceBuffer bias(kWidth * sizeof(Number));
  upload(bias.as<void>(), numbers_of(element, 90, 0, kWidth), stream);
  std::vector<std::vector<Number>> results;
  for (int round = 0; round < rounds; ++round) {
    upload(group->residual(), numbers_of(element, 91, round, n), stream);
    upload(group->partial(), numbers_of(element, comm.rank(), round, n), stream);
    // Ranks come at different times, each in turn the last.
    if (round % comm.size() == comm.rank()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    // Two shots write into the others' residual streams: none may still be filled by its host.
    comm.barrier();
    group->add(round % 2 == 0 ? bias.as<Number>() : nullptr, {}, rows, {stream.get(), false});
    group->wait(stream, "a sum");
    results.emplace_back(n);
    check(cudaMemcpy(results.back().data(), group->residual(), n * sizeof(Number), cudaMemcpyDeviceToHost), "copy");
  }
  // Others may still read this rank's buffer.
  comm.barrier();
  return results;
}

inline std::vector<Number> expected(Element element, int ranks, int round, std::int64_t rows) {
  std::vector<Number> numbers(static_cast<std::size_t>(rows * kWidth));
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    float sum = value_of(91, round, i);
    for (int r = 0; r < ranks; ++r) sum += value_of(r, round, i);
    if (round % 2 == 0) sum += value_of(90, 0, i % kWidth);
    numbers[i] = to_number(element, sum);   // exact before: the sums have a few bits
  }
  return numbers;
}

}  // namespace lindos::exec::cuda::test
