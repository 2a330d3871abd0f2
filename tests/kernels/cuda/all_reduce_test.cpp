// SPDX-License-Identifier: Apache-2.0
// Sums over ranks with the norm that follows, against the same sums on the host; the meeting kernels with all ranks on one device,
// a stream each.
#include "kernels/cuda/all_reduce.h"

#include <cmath>
#include <memory>
#include <vector>

#include "tests/kernels/cuda/device_fixture.h"

namespace lindos::kernels::cuda::test {

namespace {

class AllReduceTest : public ElementTest {};
LINDOS_FOR_BOTH_ELEMENTS(AllReduceTest);

constexpr float kEps = 1e-5F;
constexpr std::uint64_t kPatience = 1'000'000'000;

std::vector<float> random_rows(Element element, std::int64_t rows, std::int64_t width, unsigned seed) {
  return random_values(element, static_cast<std::size_t>(rows * width), seed);
}

// f32 in rank order, one rounding: the same bits.
std::vector<float> summed(Element element, const std::vector<float>& residual, const std::vector<std::vector<float>>& partials, const std::vector<float>& bias) {
  std::vector<float> out(residual.size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    float sum = 0.0F;
    for (const std::vector<float>& partial : partials) sum += partial[i];
    if (!bias.empty()) sum += bias[i % bias.size()];
    out[i] = rounded(element, sum + residual[i]);
  }
  return out;
}

std::vector<double> normed(const std::vector<float>& x, const std::vector<float>& weight) {
  std::vector<double> out;
  const std::size_t width = weight.size();
  for (std::size_t begin = 0; begin < x.size(); begin += width) {
    double squares = 0.0;
    for (std::size_t i = 0; i < width; ++i) squares += std::pow(static_cast<double>(x[begin + i]), 2);
    const double scale = 1.0 / std::sqrt(squares / static_cast<double>(width) + static_cast<double>(kEps));
    for (std::size_t i = 0; i < width; ++i) out.push_back(static_cast<double>(x[begin + i]) * scale * static_cast<double>(weight[i]));
  }
  return out;
}

TEST_P(AllReduceTest, SanitizePartialsAreSummedInRankOrderThenNormed) {
  const Element element = GetParam();
  for (const std::int64_t width : {8, 320, 4096, 18432}) {   // the last beyond what threads keep
    SCOPED_TRACE(width);
    constexpr std::int64_t kRows = 4;
    const std::vector<float> start = random_rows(element, kRows, width, 1);
    const std::vector<std::vector<float>> partials = {random_rows(element, kRows, width, 2), random_rows(element, kRows, width, 3), random_rows(element, kRows, width, 4)};
    const std::vector<float> bias = random_values(element, static_cast<std::size_t>(width), 5);
    const std::vector<float> weight = random_values(element, static_cast<std::size_t>(width), 6);
    const DeviceNumbers residual(element, start), a(element, partials[0]), b(element, partials[1]), c(element, partials[2]);
    const DeviceNumbers device_bias(element, bias), device_weight(element, weight), out(element, start.size());
    PartialSum sum;
    sum.element = element;
    sum.residual = residual.get();
    sum.partial[0] = a.get();
    sum.partial[1] = b.get();
    sum.partial[2] = c.get();
    sum.ranks = 3;
    sum.rows = kRows;
    sum.width = width;
    sum.bias = device_bias.get();
    sum.norm = {device_weight.get(), kEps, out.get()};
    add_partials(sum, {stream_, false});
    finish();
    const std::vector<float> expected = summed(element, start, partials, bias);
    EXPECT_EQ(residual.read(), expected);
    EXPECT_LT(relative_error(out.read(), normed(expected, weight)), error_of(element));
  }
}

// Ranks of one device: memory of its own and a stream for each.
struct Ranks {
  Ranks(Element of, int count, std::int64_t most_rows, std::int64_t row_width) : element(of), width(row_width) {
    const auto n = static_cast<std::size_t>(most_rows * width);
    EXPECT_EQ(cudaMallocHost(reinterpret_cast<void**>(&fault), sizeof(PeerFault)), cudaSuccess);
    *fault = {};
    for (int r = 0; r < count; ++r) {
      residual.push_back(std::make_unique<DeviceNumbers>(element, n));
      normed.push_back(std::make_unique<DeviceNumbers>(element, n));
      for (auto& partial : partials) partial.push_back(std::make_unique<DeviceNumbers>(element, n));
      words.push_back(std::make_unique<Device<std::uint32_t>>(static_cast<std::size_t>(kPeerWords)));
      epochs.push_back(std::make_unique<Device<std::uint32_t>>(static_cast<std::size_t>(kMostPeerBlocks)));
      words.back()->zero();
      epochs.back()->zero();
      cudaStream_t stream = nullptr;
      EXPECT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
      streams.push_back(stream);
    }
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);   // clearing does not wait, and these streams do not wait for it
  }
  ~Ranks() {
    for (cudaStream_t stream : streams) (void)cudaStreamDestroy(stream);
    (void)cudaFreeHost(fault);
  }
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;

  [[nodiscard]] int count() const { return static_cast<int>(streams.size()); }
  void launch(int rank, PeerShots shots, int blocks, std::int64_t rows, std::size_t parity, const FollowingNorm& norm, std::uint64_t patience) {
    PeerSum sum;
    sum.plan = {shots, blocks, count(), rank, rows};
    const auto self = static_cast<std::size_t>(rank);
    for (std::size_t r = 0; r < streams.size(); ++r) {
      sum.sum.partial[r] = partials[parity][r]->get();
      sum.residual[r] = residual[r]->get();
      sum.words[r] = words[r]->get();
    }
    sum.sum.element = element;
    sum.sum.residual = residual[self]->get();
    sum.sum.ranks = count();
    sum.sum.rows = rows;
    sum.sum.width = width;
    sum.sum.norm = norm;
    sum.epochs = epochs[self]->get();
    sum.fault = fault;
    sum.patience_ns = patience;
    all_reduce_peer(sum, {streams[self], true});
  }
  void finish() const {
    EXPECT_EQ(cudaGetLastError(), cudaSuccess);
    for (cudaStream_t stream : streams) EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  }

  Element element;
  std::int64_t width;
  std::vector<std::unique_ptr<DeviceNumbers>> residual, normed, partials[2];
  std::vector<std::unique_ptr<Device<std::uint32_t>>> words, epochs;
  std::vector<cudaStream_t> streams;
  PeerFault* fault = nullptr;
};

void upload(Element element, const DeviceNumbers& to, const std::vector<float>& values) {
  std::vector<Number> numbers;
  for (const float v : values) numbers.push_back(to_number(element, v));
  EXPECT_EQ(cudaMemcpy(to.get(), numbers.data(), numbers.size() * sizeof(Number), cudaMemcpyHostToDevice), cudaSuccess);
}

// One after the other without the host between them, shots in turn: every rank ends with the bits of the host.
void expect_sums_of_ranks(Element element, int count, std::int64_t width) {
  SCOPED_TRACE(::testing::Message() << count << " ranks, width " << width);
  constexpr std::int64_t kRows = 9;
  Ranks ranks(element, count, kRows, width);
  const std::vector<float> start = random_rows(element, kRows, width, 1);
  const std::vector<float> weight = random_values(element, static_cast<std::size_t>(width), 6);
  const DeviceNumbers device_weight(element, weight);
  std::vector<std::vector<float>> partials[2];
  for (int r = 0; r < count; ++r) {
    upload(element, *ranks.residual[static_cast<std::size_t>(r)], start);
    for (std::size_t parity = 0; parity < 2; ++parity) {
      partials[parity].push_back(random_rows(element, kRows, width, static_cast<unsigned>(10 + 2 * r) + static_cast<unsigned>(parity)));
      upload(element, *ranks.partials[parity][static_cast<std::size_t>(r)], partials[parity].back());
    }
  }
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);   // copies of pageable memory neither
  std::vector<float> expected = start;
  constexpr int kRounds = 6;
  for (int round = 0; round < kRounds; ++round) {
    const auto parity = static_cast<std::size_t>(round % 2);
    for (int r = 0; r < count; ++r) {
      const FollowingNorm norm{device_weight.get(), kEps, ranks.normed[static_cast<std::size_t>(r)]->get()};
      ranks.launch(r, round % 3 == 0 ? PeerShots::kOne : PeerShots::kTwo, 2, kRows, parity, round + 1 == kRounds ? norm : FollowingNorm{},
                   kPatience);
    }
    expected = summed(element, expected, partials[parity], {});
  }
  ranks.finish();
  EXPECT_EQ(ranks.fault->missing, 0U);
  const std::vector<float> first = ranks.normed.front()->read();
  EXPECT_LT(relative_error(first, normed(expected, weight)), error_of(element));
  for (int r = 0; r < count; ++r) {
    EXPECT_EQ(ranks.residual[static_cast<std::size_t>(r)]->read(), expected) << "rank " << r;
    EXPECT_EQ(ranks.normed[static_cast<std::size_t>(r)]->read(), first) << "rank " << r;
  }
}

TEST_P(AllReduceTest, RanksThatMeetAllHoldTheSum) {
  for (const int count : {2, 3, 4}) {
    for (const std::int64_t width : {64, 4096}) expect_sums_of_ranks(GetParam(), count, width);
  }
}

// For the sanitizers, which may let one kernel run at a time: it meets itself, adds, spreads and norms.
TEST_P(AllReduceTest, SanitizeOneRankMeetsItself) {
  for (const std::int64_t width : {64, 4096}) expect_sums_of_ranks(GetParam(), 1, width);
}

TEST_P(AllReduceTest, ARankThatDoesNotComeIsNamedAndTheOthersLeave) {
  Ranks ranks(GetParam(), 3, 1, 64);
  constexpr std::uint64_t kSoon = 20'000'000;
  for (const int r : {0, 1}) ranks.launch(r, PeerShots::kOne, 1, 1, 0, {}, kSoon);
  ranks.finish();
  EXPECT_EQ(ranks.fault->missing, 3U);
}

TEST_P(AllReduceTest, TheHostLetsWaitingRanksLeave) {
  Ranks ranks(GetParam(), 2, 1, 64);
  ranks.launch(0, PeerShots::kOne, 1, 1, 0, {}, 60 * kPatience);
  *static_cast<volatile std::uint32_t*>(&ranks.fault->leave) = 1;
  ranks.finish();
  EXPECT_EQ(ranks.fault->missing, 2U);
}

}  // namespace

}  // namespace lindos::kernels::cuda::test
