// SPDX-License-Identifier: Apache-2.0
// Products by cuBLASLt; needs a GPU.
#include "exec/cuda/blas_lt.h"

#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "exec/cuda/device_info.h"

namespace lindos::exec::cuda {

namespace {

using kernels::cuda::Element;
using kernels::cuda::Number;

constexpr std::int64_t kRows = 64, kN = 256, kK = 512;

class BlasLtTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto found = devices();
    if (const auto* none = std::get_if<Unavailable>(&found)) GTEST_SKIP() << none->reason;
  }

  // Multiples of 1/8 below 1, exact in either format.
  static DeviceBuffer operand(Element element, std::int64_t rows, int step) {
    std::vector<Number> numbers(static_cast<std::size_t>(rows * kK));
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      numbers[i] = to_number(element, static_cast<float>(static_cast<int>(i) * step % 15 - 7) / 8.0F);
    }
    DeviceBuffer buffer(numbers.size() * sizeof(Number));
    check(cudaMemcpy(buffer.as<void>(), numbers.data(), numbers.size() * sizeof(Number), cudaMemcpyHostToDevice), "copy");
    return buffer;
  }

  static std::vector<float> product(BlasLt& blas, Element element, bool tune) {
    const Stream stream;
    const DeviceBuffer w = operand(element, kN, 3);
    const DeviceBuffer x = operand(element, kRows, 7);
    const DeviceBuffer y(static_cast<std::size_t>(kRows * kN) * sizeof(float));
    const BlasGemm gemm{element, w.as<void>(), kN, kK, x.as<void>(), kRows, y.as<void>(), true};
    if (tune) blas.tune(gemm, stream.get());
    blas.gemm(gemm, stream.get());
    stream.synchronise("a product");
    std::vector<float> out(static_cast<std::size_t>(kRows * kN));
    check(cudaMemcpy(out.data(), y.as<void>(), out.size() * sizeof(float), cudaMemcpyDeviceToHost), "copy");
    return out;
  }
};

// The sums are exact in f32, whatever the order: both formats give the same.
TEST_F(BlasLtTest, AShapeIsTimedOnceForAllStarts) {
  std::vector<float> of_bf16;
  for (const Element element : {Element::kBf16, Element::kF16}) {
    const auto memory = std::make_shared<TunedProducts>();
    BlasLt first(memory);
    const std::vector<float> untuned = product(first, element, false);
    EXPECT_TRUE(memory->take_found().empty());
    const std::vector<float> tuned = product(first, element, true);
    const std::vector<TunedProduct> found = memory->take_found();
    ASSERT_EQ(found.size(), 1U);
    const Dtype dtype = element == Element::kF16 ? Dtype::kF16 : Dtype::kBf16;
    EXPECT_EQ(found.front().shape, (ProductShape{kRows, kN, kK, true, false, dtype}));
    EXPECT_EQ(found.front().place.device, device_or_throw().name);

    const auto later = std::make_shared<TunedProducts>(found);
    BlasLt second(later);
    const std::vector<float> recalled = product(second, element, true);
    EXPECT_TRUE(later->take_found().empty());
    EXPECT_EQ(recalled, tuned);
    EXPECT_EQ(recalled, untuned);
    if (of_bf16.empty()) of_bf16 = tuned;
    EXPECT_EQ(tuned, of_bf16);
  }
}

}  // namespace

}  // namespace lindos::exec::cuda
