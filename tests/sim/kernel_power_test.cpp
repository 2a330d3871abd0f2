// SPDX-License-Identifier: Apache-2.0
#include "sim/kernel_power.h"

#include <gtest/gtest.h>

#include "tests/sim/toy_profile.h"

namespace lindos::sim {
namespace {

GemmSample product(Dtype dtype, std::int64_t m, double watts) {
  GemmSample sample = toy::gemm(m, 1024, 1024, 1e-4);
  sample.dtype = dtype;
  sample.power = Watts{watts};
  return sample;
}

TEST(KernelPower, BetweenSamplesTheNearerWeighsMore) {
  Profile profile = toy::bare_profile();
  profile.gemm = {product(Dtype::kBf16, 1, 200), product(Dtype::kBf16, 8, 500)};
  const KernelPower power(profile);
  EXPECT_EQ(power.gemm(8, 1024, 1024, Dtype::kBf16), Watts{500});
  // One octave from the first, two from the second: weights 1 and 1/4.
  EXPECT_NEAR(power.gemm(2, 1024, 1024, Dtype::kBf16)->value(), (200.0 + 500.0 / 4.0) / 1.25, 1e-9);
  EXPECT_FALSE(power.decode({1, 1, 100, 4, 2, 16}, Dtype::kBf16).has_value());
}

TEST(KernelPower, OwnFormatAnswersAndElseTheFirst) {
  Profile profile = toy::bare_profile();
  profile.gemm = {product(Dtype::kBf16, 1, 200), product(Dtype::kFp8, 1, 300), product(Dtype::kFp8, 2, 0)};
  const KernelPower power(profile);
  EXPECT_NEAR(power.gemm(64, 64, 64, Dtype::kFp8)->value(), 300.0, 1e-9);
  EXPECT_NEAR(power.gemm(64, 64, 64, Dtype::kFp4)->value(), 200.0, 1e-9);
}

TEST(KernelPower, AttentionGoesByKeysOfASequenceWhoeverMadeThem) {
  Profile profile = toy::bare_profile();
  profile.attention = {{Dtype::kBf16, 2, 1, 1023, 32, 8, 128, 1, 1, Seconds{1e-4}, 0.0, Watts{400}},
                       {Dtype::kBf16, 1, 4096, 0, 32, 8, 128, 1, 1, Seconds{1e-3}, 0.0, Watts{600}}};
  const KernelPower power(profile);
  EXPECT_EQ(power.decode({2, 1, 1023, 32, 8, 128}, Dtype::kBf16), Watts{400});
  // A chunk after 2,048 cached positions sees as many keys.
  EXPECT_EQ(power.prefill({1, 2048, 2048, 32, 8, 128}, Dtype::kBf16), Watts{600});
}

}  // namespace
}  // namespace lindos::sim
