// SPDX-License-Identifier: Apache-2.0
// Products by cuBLASLt; needs a GPU.
#include "exec/cuda/blas_lt.h"

#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "exec/cuda/device_info.h"
#include "kernels/bf16.h"

namespace lindos::exec::cuda {

namespace {

constexpr std::int64_t kRows = 64, kN = 256, kK = 512;

class BlasLtTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto found = devices();
    if (const auto* none = std::get_if<Unavailable>(&found)) GTEST_SKIP() << none->reason;
  }

  // Multiples of 1/8 below 1, exact in bf16.
  static DeviceBuffer operand(std::int64_t rows, int step) {
    std::vector<std::uint16_t> bits(static_cast<std::size_t>(rows * kK));
    for (std::size_t i = 0; i < bits.size(); ++i) bits[i] = kernels::to_bf16(static_cast<float>(static_cast<int>(i) * step % 15 - 7) / 8.0F);
    DeviceBuffer buffer(bits.size() * sizeof(std::uint16_t));
    check(cudaMemcpy(buffer.as<void>(), bits.data(), bits.size() * sizeof(std::uint16_t), cudaMemcpyHostToDevice), "copy");
    return buffer;
  }

  static std::vector<float> product(BlasLt& blas, bool tune) {
    const Stream stream;
    const DeviceBuffer w = operand(kN, 3);
    const DeviceBuffer x = operand(kRows, 7);
    const DeviceBuffer y(static_cast<std::size_t>(kRows * kN) * sizeof(float));
    const BlasGemm gemm{w.as<void>(), kN, kK, x.as<void>(), kRows, y.as<void>(), true};
    if (tune) blas.tune(gemm, stream.get());
    blas.gemm(gemm, stream.get());
    stream.synchronise("a product");
    std::vector<float> out(static_cast<std::size_t>(kRows * kN));
    check(cudaMemcpy(out.data(), y.as<void>(), out.size() * sizeof(float), cudaMemcpyDeviceToHost), "copy");
    return out;
  }
};

TEST_F(BlasLtTest, AShapeIsTimedOnceForAllStarts) {
  const auto memory = std::make_shared<TunedProducts>();
  BlasLt first(memory);
  const std::vector<float> untuned = product(first, false);
  EXPECT_TRUE(memory->take_found().empty());
  const std::vector<float> tuned = product(first, true);
  const std::vector<TunedProduct> found = memory->take_found();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found.front().shape, (ProductShape{kRows, kN, kK, true, false, false}));
  EXPECT_EQ(found.front().place.device, device_or_throw().name);

  const auto later = std::make_shared<TunedProducts>(found);
  BlasLt second(later);
  const std::vector<float> recalled = product(second, true);
  EXPECT_TRUE(later->take_found().empty());
  // The sums are exact in f32, whatever the order.
  EXPECT_EQ(recalled, tuned);
  EXPECT_EQ(recalled, untuned);
}

}  // namespace

}  // namespace lindos::exec::cuda
