// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "kernels/reference/attention.h"
#include "tests/kernels/fill.h"

namespace lindos::kernels {
namespace {

using test::Guarded;
using test::as_stored;
using test::normal_floats;

// A paged cache whose unwritten cells are NaN, and sequences whose blocks are scattered over it.
class Cache {
 public:
  Cache(WeightType type, std::int64_t kv_heads, std::int64_t head_dim, std::int64_t sequences, std::int64_t positions)
      : pages_((positions + kPageTokens - 1) / kPageTokens), sequences_(sequences) {
    const std::int64_t elements = pages_ * sequences * kv_heads * head_dim * kPageTokens;
    // 0xffff.. is a NaN in both types.
    const std::size_t bytes = static_cast<std::size_t>(elements * bytes_of(type));
    k_.assign(bytes, 0xff);
    v_.assign(bytes, 0xff);
    view_ = {k_.data(), v_.data(), type, kv_heads, head_dim};
    for (std::int64_t s = 0; s < sequences; ++s) {
      std::vector<std::int32_t> list;
      for (std::int64_t p = pages_; p-- > 0;) list.push_back(static_cast<std::int32_t>(p * sequences + s));
      blocks_.push_back(list);
    }
  }
  [[nodiscard]] const KvView& view() const { return view_; }
  [[nodiscard]] const std::int32_t* blocks(std::int64_t sequence) const {
    return blocks_[static_cast<std::size_t>(sequence)].data();
  }
  [[nodiscard]] std::vector<unsigned char>& k() { return k_; }

 private:
  std::int64_t pages_, sequences_;
  std::vector<unsigned char> k_, v_;
  KvView view_;
  std::vector<std::vector<std::int32_t>> blocks_;
};

struct Case {
  std::int64_t q_heads, group, offset, kv_heads, head_dim, positions, window;
};

// Rows [positions, heads * head_dim] of one sequence.
struct Rows {
  std::vector<float> q, k, v;
  Rows(const Case& c, std::uint32_t seed)
      : q(normal_floats(c.positions * c.q_heads * c.head_dim, seed)),
        k(normal_floats(c.positions * c.kv_heads * c.head_dim, seed + 1)),
        v(normal_floats(c.positions * c.kv_heads * c.head_dim, seed + 2)) {}
};

AttentionShape shape_of(const Case& c) {
  return {c.q_heads, c.group, c.offset, 1.0 / std::sqrt(static_cast<double>(c.head_dim)), c.window};
}

// Feeds the positions in chunks (write, then attend), as the engine does, and returns all output rows.
Guarded run_chunks(const Case& c, const Rows& rows, WeightType type, int threads, std::int64_t chunk) {
  CpuPool pool(threads);
  Cache cache(type, c.kv_heads, c.head_dim, 1, c.positions);
  Guarded out(c.positions, c.q_heads * c.head_dim);
  const std::int64_t q_width = c.q_heads * c.head_dim;
  const std::int64_t kv_width = c.kv_heads * c.head_dim;
  for (std::int64_t first = 0; first < c.positions; first += chunk) {
    const AttentionSlice slice{first, std::min(chunk, c.positions - first), 0, cache.blocks(0)};
    kv_write(pool, cache.view(), &slice, 1, rows.k.data() + first * kv_width, kv_width,
             rows.v.data() + first * kv_width, kv_width);
    attention(pool, cache.view(), shape_of(c), &slice, 1, rows.q.data() + first * q_width, q_width,
              out.data() + first * out.stride(), out.stride());
  }
  return out;
}

constexpr std::array kTypes{WeightType::kF32, WeightType::kBf16, WeightType::kF16};

class AttentionCases : public testing::TestWithParam<Case> {};

TEST_P(AttentionCases, AgreesWithTheReferenceForAnyChunking) {
  const Case c = GetParam();
  const Rows rows(c, 11);
  for (const WeightType type : kTypes) {
    std::vector<double> expected(rows.q.size());
    reference::attention(shape_of(c), c.kv_heads, c.head_dim, 0, c.positions, rows.q.data(),
                         as_stored(type, rows.k).data(), as_stored(type, rows.v).data(), expected.data());
    Guarded whole = run_chunks(c, rows, type, 1, c.positions);
    EXPECT_TRUE(whole.intact());
    EXPECT_LT(whole.distance(expected), 1e-5);
    const auto bits = whole.bits();
    for (const std::int64_t chunk : {std::int64_t{1}, std::int64_t{7}, std::int64_t{100}}) {
      if (chunk == 1 && c.positions > 300) continue;
      EXPECT_EQ(run_chunks(c, rows, type, 3, chunk).bits(), bits) << "chunk " << chunk;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, AttentionCases,
    testing::Values(Case{1, 1, 0, 1, 8, 1, 0}, Case{9, 3, 0, 3, 64, 161, 0}, Case{4, 3, 0, 2, 64, 33, 0},
                    Case{5, 3, 1, 2, 64, 150, 0}, Case{14, 7, 0, 2, 24, 140, 0}, Case{2, 1, 0, 2, 40, 271, 0},
                    Case{8, 8, 0, 1, 16, 257, 0}, Case{3, 3, 2, 2, 32, 300, 17}, Case{6, 2, 0, 3, 72, 290, 128},
                    Case{9, 3, 0, 3, 64, 700, 0}, Case{3, 3, 0, 1, 128, 517, 130}));

TEST(Attention, ARowDoesNotDependOnItsNeighboursInTheBatch) {
  const Case c{9, 3, 0, 3, 64, 300, 0};
  const std::int64_t q_width = c.q_heads * c.head_dim;
  const std::int64_t kv_width = c.kv_heads * c.head_dim;
  constexpr std::int64_t kSequences = 5;
  for (const WeightType type : kTypes) {
    Cache cache(type, c.kv_heads, c.head_dim, kSequences, c.positions);
    CpuPool pool(2);
    std::vector<AttentionSlice> slices;
    const auto q = normal_floats(kSequences * 4 * q_width, 21);
    std::int64_t row = 0;
    for (std::int64_t s = 0; s < kSequences; ++s) {
      const Rows rows(c, static_cast<std::uint32_t>(100 + s));
      const AttentionSlice all{0, 60 * (s + 1), 0, cache.blocks(s)};
      kv_write(pool, cache.view(), &all, 1, rows.k.data(), kv_width, rows.v.data(), kv_width);
      const std::int64_t tokens = s % 2 == 0 ? 1 : 4;  // decode and prefill in one step
      slices.push_back({all.tokens - tokens, tokens, row, cache.blocks(s)});
      row += tokens;
    }
    Guarded together(row, q_width);
    Guarded alone(row, q_width);
    attention(pool, cache.view(), shape_of(c), slices.data(), kSequences, q.data(), q_width, together.data(),
              together.stride());
    for (const AttentionSlice& slice : slices) {
      attention(pool, cache.view(), shape_of(c), &slice, 1, q.data(), q_width, alone.data(), alone.stride());
    }
    EXPECT_TRUE(together.intact());
    EXPECT_EQ(together.bits(), alone.bits());
  }
}

// Two ranks with the KV head in the middle on both compute the rows of one rank, bit by bit.
TEST(Attention, UnevenHeadShardsGiveTheBitsOfTheWhole) {
  const Case c{9, 3, 0, 3, 64, 200, 0};
  const Rows rows(c, 31);
  Guarded whole = run_chunks(c, rows, WeightType::kF32, 2, c.positions);
  struct Shard {
    std::int64_t q_begin, q_end, kv_begin, kv_end;
  };
  for (const Shard s : {Shard{0, 5, 0, 2}, Shard{5, 9, 1, 3}}) {
    Case local = c;
    local.q_heads = s.q_end - s.q_begin;
    local.kv_heads = s.kv_end - s.kv_begin;
    local.offset = s.q_begin - s.kv_begin * c.group;
    Rows cut = rows;
    const auto columns = [&](const std::vector<float>& from, std::int64_t heads, std::int64_t begin, std::int64_t end) {
      std::vector<float> to;
      for (std::int64_t p = 0; p < c.positions; ++p) {
        to.insert(to.end(), from.begin() + (p * heads + begin) * 64, from.begin() + (p * heads + end) * 64);
      }
      return to;
    };
    cut.q = columns(rows.q, 9, s.q_begin, s.q_end);
    cut.k = columns(rows.k, 3, s.kv_begin, s.kv_end);
    cut.v = columns(rows.v, 3, s.kv_begin, s.kv_end);
    Guarded part = run_chunks(local, cut, WeightType::kF32, 2, 64);
    for (std::int64_t p = 0; p < c.positions; ++p) {
      ASSERT_EQ(std::memcmp(&part.at(p, 0), &whole.at(p, s.q_begin * 64),
                            static_cast<std::size_t>(local.q_heads) * 64 * sizeof(float)),
                0);
    }
  }
}

TEST(Attention, LargeScoresDoNotOverflow) {
  const Case c{1, 1, 0, 1, 8, 140, 0};
  Rows rows(c, 41);
  for (float& x : rows.q) x *= 300.0F;
  std::vector<double> expected(rows.q.size());
  reference::attention(shape_of(c), 1, 8, 0, c.positions, rows.q.data(), rows.k.data(), rows.v.data(),
                       expected.data());
  Guarded out = run_chunks(c, rows, WeightType::kF32, 1, c.positions);
  EXPECT_TRUE(out.intact());
  EXPECT_LT(out.distance(expected), 1e-3);  // scores near 1000 carry an absolute rounding error of 3e-5
}

TEST(Attention, NothingToDo) {
  const Case c{3, 3, 0, 1, 16, 16, 0};
  Cache cache(WeightType::kF32, 1, 16, 1, 16);
  CpuPool pool(2);
  const AttentionSlice empty{4, 0, 0, cache.blocks(0)};
  float out = 1.0F;
  kv_write(pool, cache.view(), &empty, 1, nullptr, 16, nullptr, 16);
  attention(pool, cache.view(), shape_of(c), &empty, 1, nullptr, 48, &out, 48);
  attention(pool, cache.view(), shape_of(c), nullptr, 0, nullptr, 48, &out, 48);
  EXPECT_EQ(out, 1.0F);
}

RC_GTEST_PROP(Attention, BitsAreIndependentOfChunksAndThreads, ()) {
  Case c{};
  c.group = *rc::gen::inRange<std::int64_t>(1, 5);
  c.kv_heads = *rc::gen::inRange<std::int64_t>(1, 4);
  c.offset = *rc::gen::inRange<std::int64_t>(0, c.group);
  c.q_heads = *rc::gen::inRange<std::int64_t>(1, c.group * c.kv_heads - c.offset + 1);
  c.head_dim = 8 * *rc::gen::inRange<std::int64_t>(1, 6);
  c.positions = *rc::gen::inRange<std::int64_t>(1, 280);
  c.window = *rc::gen::element<std::int64_t>(0, 0, 1, 20, 150);
  const auto type = *rc::gen::elementOf(kTypes);
  const auto chunk = *rc::gen::inRange<std::int64_t>(5, 300);
  const int threads = *rc::gen::inRange(1, 5);
  const Rows rows(c, 51);
  Guarded whole = run_chunks(c, rows, type, 1, c.positions);
  RC_ASSERT(whole.intact());
  RC_ASSERT(run_chunks(c, rows, type, threads, chunk).bits() == whole.bits());
}

}  // namespace
}  // namespace lindos::kernels
