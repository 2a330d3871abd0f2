// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/top_candidates.h"

#include <algorithm>
#include <vector>

#include "kernels/sample.h"
#include "tests/kernels/cuda/device_fixture.h"

namespace lindos::kernels::cuda::test {

namespace {

class TopCandidatesTest : public CudaTest {
 protected:
  void expect_like_host(const std::vector<float>& logits, std::size_t rows, int count) {
    SCOPED_TRACE(::testing::Message() << rows << " rows of " << logits.size() / rows << ", " << count);
    const std::size_t n = logits.size() / rows;
    const Device<float> device(logits);
    const Device<Best> out(rows * static_cast<std::size_t>(count));
    top_candidates(device.get(), static_cast<std::int64_t>(rows), static_cast<std::int64_t>(n), 100, count, out.get(), {stream_, false});
    finish();
    const std::vector<Best> found = out.read();
    std::vector<Candidate> wanted;
    for (std::size_t r = 0; r < rows; ++r) {
      kernels::top_candidates(logits.data() + r * n, static_cast<std::int64_t>(n), 100, count, wanted);
      for (std::size_t i = 0; i < wanted.size(); ++i) {
        const Best& best = found[r * static_cast<std::size_t>(count) + i];
        ASSERT_EQ(best.id, wanted[i].id) << "row " << r << " place " << i;
        ASSERT_EQ(best.logit, wanted[i].logit) << "row " << r << " place " << i;
      }
    }
  }
};

TEST_F(TopCandidatesTest, EqualThoseOfTheHost) {
  for (const int count : {2, 40, 256, 1000, 1024}) {
    expect_like_host(random_values(Element::kBf16, 3 * 128256, static_cast<unsigned>(count)), 3, count);   // bf16 values: thousands of ties
  }
  expect_like_host(random_values(Element::kBf16, 5 * 1024, 9), 5, 1024);
}

TEST_F(TopCandidatesTest, SanitizeTiesGoToTheLowerId) {
  std::vector<float> logits(2 * 3000, -1.5F);   // all the same
  logits[2999] = 7.0F;
  logits[3000 + 17] = 0.0F;
  logits[3000 + 16] = -0.0F;
  for (const int count : {1, 5, 700}) expect_like_host(logits, 2, count);
  std::vector<float> steps;
  for (int i = 0; i < 2500; ++i) steps.push_back(static_cast<float>(i / 100 % 7) * 1e-38F);
  expect_like_host(steps, 1, 50);
}

}  // namespace

}  // namespace lindos::kernels::cuda::test
