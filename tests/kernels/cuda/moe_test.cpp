// SPDX-License-Identifier: Apache-2.0
// Each kernel by itself against sums in double, then the two whole paths. A fault shows in the first test that fails:
// choice, order, products, weighted sum.
#include "kernels/cuda/moe.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "kernels/cuda/device_limits.h"
#include "kernels/cuda/quantise.h"
#include "kernels/reference/moe.h"
#include "tests/kernels/cuda/device_fixture.h"

namespace lindos::kernels::cuda::test {

namespace {

std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

struct Shape {
  int tokens, experts, top_k, hidden, ffn;
  int first = 0, held = -1;      // −1: all
  bool normalise = true;
  [[nodiscard]] int local() const { return held < 0 ? experts : held; }
};

// A token's experts; none for padding.
using Chosen = std::vector<reference::Choice>;

// Positions with every third token padding, or none.
std::vector<int> positions(int tokens, bool with_padding) {
  std::vector<int> position(at(tokens));
  for (int t = 0; t < tokens; ++t) position[at(t)] = with_padding && t % 3 == 2 ? -1 : t;
  return position;
}

std::vector<Chosen> choose_all(const std::vector<float>& logits, const Shape& s, const std::vector<int>& position) {
  std::vector<Chosen> chosen;
  for (int t = 0; t < s.tokens; ++t) {
    chosen.push_back(position[at(t)] < 0 ? Chosen{} : reference::route(logits.data() + t * s.experts, s.experts, s.top_k, s.normalise));
  }
  return chosen;
}

double dot(const float* a, const float* b, int n) {
  double sum = 0.0;
  for (int i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

// One matrix of all experts: what its numbers stand for, and on the device 16-bit numbers or E4M3 with a scale per row.
class Matrix {
 public:
  Matrix(Element element, int rows, int k, unsigned seed)
      : values(random_values(element, at(std::int64_t{1} * rows * k), seed, 1.0F / std::sqrt(static_cast<float>(k)))),
        numbers_(std::in_place, element, values) {}
  explicit Matrix(const Fp8Matrix& fp8) : values(fp8.values), codes_(std::in_place, fp8.codes), scales_(std::in_place, fp8.scales) {}
  [[nodiscard]] const void* data() const { return numbers_ ? static_cast<const void*>(numbers_->get()) : codes_->get(); }
  [[nodiscard]] const float* scales() const { return scales_ ? scales_->get() : nullptr; }
  const std::vector<float> values;

 private:
  std::optional<DeviceNumbers> numbers_;
  std::optional<Device<std::uint8_t>> codes_;
  std::optional<Device<float>> scales_;
};

struct Weights {
  Weights(Element of, const Shape& s, unsigned seed)
      : element(of), gate_up(of, 2 * s.local() * s.ffn, s.hidden, seed), down(of, s.local() * s.hidden, s.ffn, seed + 1) {}
  // FP8 beside bf16.
  Weights(const Shape& s, unsigned seed)
      : element(Element::kBf16),
        gate_up(random_fp8(at(2 * s.local() * s.ffn), at(s.hidden), seed)),
        down(random_fp8(at(s.local() * s.hidden), at(s.ffn), seed + 1)) {}
  Element element;
  Matrix gate_up, down;
};

// silu(gate) · up of one expert for a row of x, rounded as the kernels round it.
std::vector<float> activate(const Weights& w, const Shape& s, int expert, const float* x) {
  std::vector<float> row(at(s.ffn));
  const float* gate = w.gate_up.values.data() + std::int64_t{2} * expert * s.ffn * s.hidden;
  for (int j = 0; j < s.ffn; ++j) {
    const double a = dot(gate + j * s.hidden, x, s.hidden);
    const double b = dot(gate + (s.ffn + j) * s.hidden, x, s.hidden);
    row[at(j)] = static_cast<float>(a / (1.0 + std::exp(-a)) * b);
  }
  return rounded(w.element, row);
}

std::vector<double> project(const Weights& w, const Shape& s, int expert, const float* activated) {
  std::vector<double> row(at(s.hidden));
  const float* down = w.down.values.data() + std::int64_t{1} * expert * s.hidden * s.ffn;
  for (int j = 0; j < s.hidden; ++j) row[at(j)] = dot(down + j * s.ffn, activated, s.ffn);
  return row;
}

// The whole layer's FFN: start (if any) + Σ weight · expert(x).
std::vector<double> layer(const Weights& w, const Shape& s, const std::vector<Chosen>& chosen, const std::vector<float>& x,
                          const std::vector<float>* start) {
  std::vector<double> y(at(s.tokens * s.hidden), 0.0);
  for (int t = 0; t < s.tokens; ++t) {
    for (int j = 0; j < s.hidden; ++j) {
      if (start != nullptr) y[at(t * s.hidden + j)] = static_cast<double>((*start)[at(t * s.hidden + j)]);
    }
    for (const reference::Choice& choice : chosen[at(t)]) {
      const int local = choice.expert - s.first;
      if (local < 0 || local >= s.local()) continue;
      const std::vector<double> row = project(w, s, local, activate(w, s, local, x.data() + t * s.hidden).data());
      for (int j = 0; j < s.hidden; ++j) y[at(t * s.hidden + j)] += choice.weight * row[at(j)];
    }
  }
  return y;
}

MoeGate gate_of(const Shape& s, const Device<int>& position) {
  return {s.tokens, s.experts, s.top_k, s.normalise, s.first, s.local(), position.get()};
}

MoeExperts experts_of(const Shape& s, const Weights& w) {
  return {w.gate_up.data(), w.down.data(), s.hidden, s.ffn, w.gate_up.scales(), w.down.scales()};
}

// Everything that the path for any number of tokens writes, poisoned.
struct Groups {
  explicit Groups(const Shape& s)
      : pairs(at(s.tokens * s.top_k)), expert((pairs + 7) / 8 * 8), weight(pairs), slot(pairs), offset(at(s.local() + 1)), token(pairs),
        slot_weight(pairs) {}
  [[nodiscard]] MoeGroups get() const { return {expert.get(), weight.get(), slot.get(), offset.get(), token.get(), slot_weight.get()}; }
  std::size_t pairs;
  Device<std::uint16_t> expert;
  Device<float> weight;
  Device<int> slot, offset, token;
  Device<float> slot_weight;
};

// Which experts, and their order: of logits in f32.
class MoeChoiceTest : public CudaTest {
 protected:
  void check_choice(const Shape& s, const std::vector<float>& logits, bool with_padding) {
    SCOPED_TRACE(::testing::Message() << s.tokens << " tokens, " << s.top_k << " of " << s.experts << ", held " << s.first << "+" << s.local());
    const std::vector<int> position = positions(s.tokens, with_padding);
    const Device<int> device_position(position);
    const Device<float> device_logits(logits);
    const Groups groups(s);
    const MoeGate gate = gate_of(s, device_position);
    moe_choose(gate, device_logits.get(), groups.get(), {stream_, false});
    finish();
    const std::vector<Chosen> chosen = choose_all(logits, s, position);
    const std::vector<std::uint16_t> expert = groups.expert.read();
    const std::vector<float> weight = groups.weight.read();
    for (int t = 0; t < s.tokens; ++t) {
      for (int j = 0; j < s.top_k; ++j) {
        const std::size_t pair = at(t * s.top_k + j);
        const bool padding = chosen[at(t)].empty();
        const int local = padding ? -1 : chosen[at(t)][at(j)].expert - s.first;
        const bool held = local >= 0 && local < s.local();
        ASSERT_EQ(expert[pair], held ? local : kNotHeld) << "token " << t << " choice " << j;
        ASSERT_NEAR(weight[pair], padding ? 0.0 : chosen[at(t)][at(j)].weight, 1e-5) << "token " << t << " choice " << j;
      }
    }
    moe_group(gate, groups.get(), {stream_, true});
    finish();
    const std::vector<int> offset = groups.offset.read();
    const std::vector<int> slot = groups.slot.read();
    const std::vector<int> token = groups.token.read();
    const std::vector<float> slot_weight = groups.slot_weight.read();
    int next = 0;
    for (int e = 0; e < s.local(); ++e) {
      ASSERT_EQ(offset[at(e)], next) << "expert " << e;
      for (std::size_t pair = 0; pair < groups.pairs; ++pair) {
        if (expert[pair] != e) continue;
        ASSERT_EQ(slot[pair], next) << "pair " << pair;
        ASSERT_EQ(token[at(next)], static_cast<int>(pair) / s.top_k);
        ASSERT_EQ(slot_weight[at(next)], weight[pair]);
        ++next;
      }
    }
    ASSERT_EQ(offset[at(s.local())], next);
    for (std::size_t pair = 0; pair < groups.pairs; ++pair) {
      if (expert[pair] == kNotHeld) ASSERT_EQ(slot[pair], -1) << "pair " << pair;
    }
  }
};

class MoeTest : public ElementTest {
 protected:
  // Kernel after kernel on random rows; the choice is taken from the device, since MoeChoiceTest holds it.
  void check_tiles(const Shape& s, bool with_padding = false) {
    for (const bool portable : {true, false}) check_tiles(s, with_padding, portable);
  }
  // FP8 experts: x and activations are quantised, so each kernel is held against what it read.
  void check_fp8_tiles(const Shape& s, bool portable) {
    SCOPED_TRACE(::testing::Message() << (portable ? "portable, " : "") << s.tokens << " tokens, " << s.top_k << " of " << s.experts << ", hidden "
                                      << s.hidden << ", ffn " << s.ffn << ", held " << s.first << "+" << s.local());
    constexpr Element kElement = Element::kBf16;
    const std::vector<float> logits = random_values(kElement, at(s.tokens * s.experts), 11);
    const Fp8Matrix x = random_fp8(at(s.tokens), at(s.hidden), 12);
    const Weights w(s, 14);
    const std::vector<int> position = positions(s.tokens, false);
    const std::vector<Chosen> chosen = choose_all(logits, s, position);
    const Device<int> device_position(position);
    const Device<float> device_logits(logits);
    const Device<std::uint8_t> device_x(x.codes);
    const Device<float> x_scales(x.scales);
    const Groups groups(s);
    const DeviceNumbers activated(kElement, groups.pairs * at(s.ffn)), products(kElement, groups.pairs * at(s.hidden)),
        y(kElement, at(s.tokens * s.hidden));
    const Device<std::uint8_t> quantised(groups.pairs * at(s.ffn));
    const Device<float> scales(groups.pairs);
    MoeTiles tiles;
    tiles.gate = gate_of(s, device_position);
    tiles.experts = experts_of(s, w);
    tiles.groups = groups.get();
    tiles.x = device_x.get();
    tiles.x_scales = x_scales.get();
    tiles.activated = activated.get();
    tiles.quantised = quantised.get();
    tiles.quantised_scales = scales.get();
    tiles.products = products.get();
    tiles.y = y.get();
    tiles.portable = portable;
    const Launch launch{stream_, false};
    moe_choose(tiles.gate, device_logits.get(), tiles.groups, launch);
    moe_group(tiles.gate, tiles.groups, launch);
    moe_tiles_gate_up(tiles, launch);
    QuantiseRows q;
    q.x = activated.get();
    q.rows = static_cast<std::int64_t>(groups.pairs);
    q.k = s.ffn;
    q.y = quantised.get();
    q.scales = scales.get();
    q.count = tiles.groups.offset + s.local();
    quantise_rows(q, launch);
    moe_tiles_down(tiles, launch);
    moe_combine(tiles, {stream_, true});
    finish();
    const std::vector<int> offset = groups.offset.read();
    const std::vector<int> token = groups.token.read();
    const int slots = offset.back();
    std::vector<double> expected_rows;
    for (int e = 0; e < s.local(); ++e) {
      for (int i = offset[at(e)]; i < offset[at(e + 1)]; ++i) {
        for (const float v : activate(w, s, e, x.values.data() + token[at(i)] * s.hidden)) expected_rows.push_back(static_cast<double>(v));
      }
    }
    const std::vector<float> rows = activated.read();
    EXPECT_LT(relative_error({rows.begin(), rows.begin() + std::int64_t{slots} * s.ffn}, expected_rows), error_of(kElement)) << "gate and up";
    // Rows without a pair are not touched.
    const std::vector<std::uint8_t> codes = quantised.read();
    const std::vector<float> factors = scales.read();
    for (std::size_t i = at(std::int64_t{slots} * s.ffn); i < codes.size(); ++i) ASSERT_EQ(codes[i], 0xff) << i;
    const std::vector<int> slot = groups.slot.read();
    std::vector<double> expected(at(s.tokens * s.hidden), 0.0);
    for (int t = 0; t < s.tokens; ++t) {
      for (int c = 0; c < s.top_k; ++c) {
        const int at_slot = slot[at(t * s.top_k + c)];
        if (at_slot < 0) continue;
        const reference::Choice& choice = chosen[at(t)][at(c)];
        std::vector<float> row(at(s.ffn));
        for (int j = 0; j < s.ffn; ++j) row[at(j)] = from_e4m3(codes[at(std::int64_t{at_slot} * s.ffn + j)]) * factors[at(at_slot)];
        const std::vector<double> product = project(w, s, choice.expert - s.first, row.data());
        for (int j = 0; j < s.hidden; ++j) expected[at(t * s.hidden + j)] += choice.weight * product[at(j)];
      }
    }
    EXPECT_LT(relative_error(y.read(), expected), 2 * error_of(kElement)) << "sum";
  }

  void check_tiles(const Shape& s, bool with_padding, bool portable) {
    const Element element = GetParam();
    SCOPED_TRACE(::testing::Message() << (portable ? "portable, " : "") << s.tokens << " tokens, " << s.top_k << " of " << s.experts << ", hidden " << s.hidden << ", ffn " << s.ffn
                                      << ", held " << s.first << "+" << s.local());
    const std::vector<float> logits = random_values(element, at(s.tokens * s.experts), 11);
    const std::vector<float> x = random_values(element, at(s.tokens * s.hidden), 12);
    const std::vector<float> start = random_values(element, at(s.tokens * s.hidden), 13);
    const Weights w(element, s, 14);
    const std::vector<int> position = positions(s.tokens, with_padding);
    const std::vector<Chosen> chosen = choose_all(logits, s, position);
    const Device<int> device_position(position);
    const Device<float> device_logits(logits);
    const DeviceNumbers device_x(element, x);
    const Groups groups(s);
    const DeviceNumbers activated(element, groups.pairs * at(s.ffn)), products(element, groups.pairs * at(s.hidden)), y(element, at(s.tokens * s.hidden));
    const DeviceNumbers added(element, start);
    MoeTiles tiles;
    tiles.element = element;
    tiles.gate = gate_of(s, device_position);
    tiles.experts = experts_of(s, w);
    tiles.groups = groups.get();
    tiles.x = device_x.get();
    tiles.activated = activated.get();
    tiles.products = products.get();
    tiles.y = y.get();
    tiles.portable = portable;
    const Launch launch{stream_, false};
    moe_choose(tiles.gate, device_logits.get(), tiles.groups, launch);
    moe_group(tiles.gate, tiles.groups, launch);
    moe_tiles_gate_up(tiles, launch);
    finish();
    const std::vector<int> offset = groups.offset.read();
    const std::vector<int> token = groups.token.read();
    const int slots = offset.back();
    const std::vector<float> rows = activated.read();
    std::vector<double> expected_rows;
    for (int e = 0; e < s.local(); ++e) {
      for (int i = offset[at(e)]; i < offset[at(e + 1)]; ++i) {
        for (const float v : activate(w, s, e, x.data() + token[at(i)] * s.hidden)) expected_rows.push_back(static_cast<double>(v));
      }
    }
    if (slots > 0) {
      EXPECT_LT(relative_error({rows.begin(), rows.begin() + std::int64_t{slots} * s.ffn}, expected_rows), error_of(element)) << "gate and up";
    }
    moe_tiles_down(tiles, launch);
    moe_combine(tiles, launch);
    tiles.y = added.get();
    tiles.accumulate = true;
    moe_combine(tiles, {stream_, true});
    finish();
    // Rows, terms and the sum are each rounded.
    EXPECT_LT(relative_error(added.read(), layer(w, s, chosen, x, &start)), 2 * error_of(element)) << "sum added";
    const std::vector<double> alone = layer(w, s, chosen, x, nullptr);
    if (slots > 0) {
      EXPECT_LT(relative_error(y.read(), alone), 2 * error_of(element)) << "sum";
    } else {
      EXPECT_EQ(y.read(), std::vector<float>(alone.begin(), alone.end()));
    }
  }

  void check_few(const Shape& s, bool with_padding = false) { check_few(s, with_padding, Weights(GetParam(), s, 25)); }
  void check_few(const Shape& s, bool with_padding, const Weights& w) {
    const Element element = w.element;
    const bool fp8 = w.gate_up.scales() != nullptr;
    SCOPED_TRACE(::testing::Message() << s.tokens << " tokens, " << s.top_k << " of " << s.experts << ", hidden " << s.hidden << ", ffn " << s.ffn
                                      << ", held " << s.first << "+" << s.local());
    ASSERT_TRUE(moe_few_fits(s.tokens, s.hidden));
    const std::vector<float> raw = random_values(element, at(s.tokens * s.hidden), 21, 3.0F);
    const std::vector<float> norm = random_values(element, at(s.hidden), 22);
    const std::vector<float> router = random_values(element, at(s.experts * s.hidden), 23, 1.0F / std::sqrt(static_cast<float>(s.hidden)));
    const std::vector<float> start = random_values(element, at(s.tokens * s.hidden), 24);
    const std::vector<int> position = positions(s.tokens, with_padding);
    const Device<int> device_position(position);
    const DeviceNumbers device_raw(element, raw), device_norm(element, norm), device_router(element, router);
    const DeviceNumbers normed(element, at(s.tokens * s.hidden)), y(element, at(s.tokens * s.hidden)), added(element, start);
    const DeviceNumbers activated(element, at(kFewTokens * kMostTopK) * kFewTokens * at(s.ffn));
    const Device<float> logits(at(s.tokens * s.experts));
    Device<unsigned> ticket(1);
    ticket.zero();
    const Device<MoeHits> hits(1);
    MoeRouteFew route{element, gate_of(s, device_position), device_raw.get(), device_norm.get(), 1e-5F, s.hidden, device_router.get(), normed.get(),
                      logits.get(), ticket.get(), hits.get()};
    MoeFew few{element, route.gate, experts_of(s, w), hits.get(), normed.get(), activated.get(), y.get(), false};
    for (const bool dependent : {false, true}) {
      const Launch launch{stream_, dependent};
      moe_route_few(route, launch);
      moe_few_gate_up(few, launch);
      few.y = y.get();
      few.accumulate = false;
      moe_few_down(few, launch);
      if (!dependent) {
        few.y = added.get();
        few.accumulate = true;
        moe_few_down(few, launch);
      }
      finish();
      EXPECT_EQ(ticket.read().front(), 0U);
    }
    // Norm.
    std::vector<double> expected(at(s.tokens * s.hidden));
    for (int t = 0; t < s.tokens; ++t) {
      const float* row = raw.data() + t * s.hidden;
      const double scale = 1.0 / std::sqrt(dot(row, row, s.hidden) / s.hidden + 1e-5);
      for (int i = 0; i < s.hidden; ++i) expected[at(t * s.hidden + i)] = static_cast<double>(row[i]) * scale * static_cast<double>(norm[at(i)]);
    }
    const std::vector<float> x = normed.read();
    EXPECT_LT(relative_error(x, expected), error_of(element)) << "norm";
    // Router, on the device's own rows.
    std::vector<double> scores;
    for (int t = 0; t < s.tokens; ++t) {
      for (int e = 0; e < s.experts; ++e) scores.push_back(dot(x.data() + t * s.hidden, router.data() + e * s.hidden, s.hidden));
    }
    const std::vector<float> device_logits = logits.read();
    EXPECT_LT(relative_error(device_logits, scores), kF32Error) << "router";
    // Hits, on the device's own logits.
    const std::vector<Chosen> chosen = choose_all(device_logits, s, position);
    const MoeHits found = hits.read().front();
    int next = 0;
    for (int e = 0; e < s.local(); ++e) {
      MoeHit hit{e, 0, {}};
      for (int t = 0; t < s.tokens; ++t) {
        for (const reference::Choice& choice : chosen[at(t)]) {
          if (choice.expert != e + s.first) continue;
          hit.tokens |= 1U << static_cast<unsigned>(t);
          hit.weight[t] = static_cast<float>(choice.weight);
        }
      }
      if (hit.tokens == 0) continue;
      ASSERT_LT(next, found.count);
      ASSERT_EQ(found.of[next].expert, e);
      ASSERT_EQ(found.of[next].tokens, hit.tokens) << "expert " << e;
      for (int t = 0; t < kFewTokens; ++t) ASSERT_NEAR(found.of[next].weight[t], hit.weight[t], 1e-5) << "expert " << e << " token " << t;
      ++next;
    }
    ASSERT_EQ(found.count, next);
    // Activations, then sums.
    const std::vector<float> rows = activated.read();
    std::vector<float> computed;
    std::vector<double> reference;
    for (int h = 0; h < found.count; ++h) {
      for (int t = 0; t < s.tokens; ++t) {
        if ((found.of[h].tokens >> static_cast<unsigned>(t) & 1U) == 0) continue;
        const float* row = rows.data() + (h * kFewTokens + t) * s.ffn;
        for (int j = 0; j < s.ffn; ++j) {
          // Beside FP8 experts columns (0, 1, 2, 3) lie as (0, 2, 1, 3), times 2^100.
          constexpr int kPlace[] = {0, 2, 1, 3};
          computed.push_back(fp8 ? row[j / 4 * 4 + kPlace[j % 4]] * 0x1p-100F : row[j]);
        }
        for (const float v : activate(w, s, found.of[h].expert, x.data() + t * s.hidden)) reference.push_back(static_cast<double>(v));
      }
    }
    if (found.count > 0) EXPECT_LT(relative_error(computed, reference), error_of(element)) << "gate and up";
    EXPECT_LT(relative_error(added.read(), layer(w, s, chosen, x, &start)), 2 * error_of(element)) << "sum added";
    const std::vector<double> alone = layer(w, s, chosen, x, nullptr);
    if (found.count > 0) {
      EXPECT_LT(relative_error(y.read(), alone), 2 * error_of(element)) << "sum";
    } else {
      EXPECT_EQ(y.read(), std::vector<float>(alone.begin(), alone.end()));
    }
  }
};

TEST_F(MoeChoiceTest, ChoiceAndOrderEqualTheReference) {
  for (const Shape& s : {Shape{1, 8, 2, 0, 0}, Shape{5, 8, 8, 0, 0}, Shape{67, 128, 8, 0, 0}, Shape{300, 64, 6, 0, 0, 16, 23, false},
                         Shape{1025, 256, 16, 0, 0}, Shape{129, 60, 4, 0, 0, 0, 31}, Shape{9, 16, 3, 0, 0, 15, 1}}) {
    check_choice(s, random_values(Element::kBf16, at(s.tokens * s.experts), 5), false);
    check_choice(s, random_values(Element::kBf16, at(s.tokens * s.experts), 6, 20.0F), true);
  }
}

// Whole rows equal, equal neighbours, infinities.
TEST_F(MoeChoiceTest, TiesGoToTheLowerExpert) {
  const Shape s{40, 72, 5, 0, 0};
  std::vector<float> logits(at(s.tokens * s.experts));
  for (int t = 0; t < s.tokens; ++t) {
    for (int e = 0; e < s.experts; ++e) logits[at(t * s.experts + e)] = t == 0 ? 0.0F : static_cast<float>((e * 7 + t) % (t + 1)) - 3.0F;
  }
  for (int e = 3; e < s.experts; ++e) logits[at(7 * s.experts + e)] = -INFINITY;
  // Both zeros are one.
  for (int e = 0; e < s.experts; ++e) logits[at(s.experts + e)] = e % 2 == 0 ? -0.0F : 0.0F;
  check_choice(s, logits, false);
}

// Every expert chosen by all, by none; a NaN reaches the weights and leaves the experts valid.
TEST_F(MoeChoiceTest, OneExpertForAllAndLogitsThatAreNotFinite) {
  const Shape s{200, 16, 2, 0, 0};
  std::vector<float> logits(at(s.tokens * s.experts), 0.0F);
  for (int t = 0; t < s.tokens; ++t) logits[at(t * s.experts + 9)] = 50.0F;
  check_choice(s, logits, false);
  logits[at(3 * s.experts + 4)] = NAN;
  const Device<float> device_logits(logits);
  const Device<int> position(positions(s.tokens, false));
  const Groups groups(s);
  moe_choose(gate_of(s, position), device_logits.get(), groups.get(), {stream_, false});
  finish();
  const std::vector<float> weight = groups.weight.read();
  const std::vector<std::uint16_t> expert = groups.expert.read();
  EXPECT_TRUE(std::isnan(weight[6]) && std::isnan(weight[7]));
  EXPECT_FALSE(std::isnan(weight[5]) || std::isnan(weight[8]));
  EXPECT_LT(expert[6], expert[7]);
  EXPECT_LT(expert[7], 16);
}

LINDOS_FOR_BOTH_ELEMENTS(MoeTest);

TEST_P(MoeTest, FewTokensEqualTheReference) {
  for (const Shape& s : {Shape{1, 8, 2, 64, 16}, Shape{2, 16, 4, 576, 136}, Shape{8, 128, 8, 256, 96}, Shape{8, 8, 2, 520, 264},
                         Shape{5, 256, 16, 128, 40}, Shape{3, 24, 3, 2056, 64, 5, 9, false}, Shape{1, 16, 4, 2048, 256},
                         Shape{7, 8, 2, 1024, 1792, 6, 2}}) {
    check_few(s);
  }
}

TEST_P(MoeTest, FewTokensWithPaddingAndWithoutHits) {
  check_few({8, 16, 2, 128, 64}, true);
  check_few({2, 64, 1, 128, 64, 63, 1});
}

// Small, medium and large tiles; broken rows, columns and chunks; experts without rows, with several tiles.
TEST_P(MoeTest, TilesEqualTheReference) {
  for (const Shape& s : {Shape{9, 8, 2, 64, 16}, Shape{40, 16, 2, 136, 72}, Shape{64, 128, 8, 256, 96}, Shape{100, 8, 2, 200, 136},
                         Shape{70, 4, 3, 264, 80, 1, 2}, Shape{150, 4, 2, 192, 272}, Shape{300, 2, 1, 328, 136}, Shape{257, 4, 4, 128, 64, 0, 4, false}}) {
    check_tiles(s);
  }
}

TEST_P(MoeTest, TilesWithPaddingAndWithoutRows) {
  check_tiles({50, 16, 4, 128, 64}, true);
  check_tiles({600, 4, 1, 64, 64, 2, 2}, true);
  check_tiles({2, 64, 1, 128, 64, 63, 1});
}

// Beside FP8 experts activations are bf16: not a matter of the parameter.
class MoeFp8Test : public MoeTest {
 protected:
  void SetUp() override {
    MoeTest::SetUp();
    if (!IsSkipped() && compute_capability() != 90) GTEST_SKIP() << "FP8 experts run on compute capability 9.0";
  }
};
INSTANTIATE_TEST_SUITE_P(Fp8, MoeFp8Test, ::testing::Values(Element::kBf16));

TEST_P(MoeFp8Test, FewTokensEqualTheReference) {
  for (const Shape& s : {Shape{1, 8, 2, 64, 16}, Shape{2, 16, 4, 576, 144}, Shape{8, 128, 8, 256, 96}, Shape{8, 8, 2, 528, 272},
                         Shape{3, 24, 3, 2064, 64, 5, 9, false}, Shape{7, 8, 2, 1024, 1792, 6, 2}}) {
    check_few(s, false, Weights(s, 25));
  }
  const Shape padded{8, 16, 2, 128, 64};
  check_few(padded, true, Weights(padded, 25));
}

// Small, medium and large tiles; broken rows, columns and chunks.
TEST_P(MoeFp8Test, TilesEqualTheReference) {
  for (const Shape& s : {Shape{9, 8, 2, 64, 16}, Shape{40, 16, 2, 144, 80}, Shape{64, 128, 8, 256, 96}, Shape{100, 8, 2, 208, 144},
                         Shape{70, 4, 3, 272, 80, 1, 2}, Shape{150, 4, 2, 192, 272}, Shape{300, 2, 1, 336, 144}}) {
    for (const bool portable : {true, false}) check_fp8_tiles(s, portable);
  }
}

TEST_P(MoeFp8Test, SanitizeSmall) {
  const Shape few{3, 16, 3, 272, 80};
  check_few(few, false, Weights(few, 25));
  check_fp8_tiles({20, 8, 2, 144, 80}, false);
  check_fp8_tiles({300, 3, 1, 80, 48}, false);
}

TEST_P(MoeTest, SanitizeSmall) {
  check_few({3, 16, 3, 264, 72});
  check_tiles({20, 8, 2, 136, 72}, true);
  check_tiles({90, 4, 2, 72, 40});
  check_tiles({300, 3, 1, 72, 40});
}

// Many tiles per block, more chunks than stages: every phase of the rings, again and again.
TEST_P(MoeTest, RepeatsBitForBit) {
  const Element element = GetParam();
  for (const Shape& s : {Shape{8, 32, 4, 512, 512}, Shape{64, 32, 4, 512, 512}, Shape{200, 32, 4, 512, 512}, Shape{700, 8, 2, 512, 512}}) {
    SCOPED_TRACE(s.tokens);
    const bool few_tokens = s.tokens <= kFewTokens;
    const Weights w(element, s, 31);
    const DeviceNumbers x(element, random_values(element, at(s.tokens * s.hidden), 32)), norm(element, random_values(element, at(s.hidden), 33));
    const DeviceNumbers router(element, random_values(element, at(s.experts * s.hidden), 34, 0.03F));
    const Device<float> logits(random_values(element, at(s.tokens * s.experts), 35));
    const Device<int> position(positions(s.tokens, false));
    const Groups groups(s);
    const std::size_t rows = few_tokens ? at(kFewTokens * kMostTopK * kFewTokens) : groups.pairs;
    const DeviceNumbers normed(element, at(s.tokens * s.hidden)), activated(element, rows * at(s.ffn)), products(element, groups.pairs * at(s.hidden));
    Device<unsigned> ticket(1);
    ticket.zero();
    const Device<MoeHits> hits(1);
    std::vector<float> first;
    for (int i = 0; i < 20; ++i) {
      const DeviceNumbers y(element, at(s.tokens * s.hidden));
      const Launch launch{stream_, true};
      for (int j = 0; j < 3; ++j) {
        if (few_tokens) {
          moe_route_few({element, gate_of(s, position), x.get(), norm.get(), 1e-5F, s.hidden, router.get(), normed.get(), logits.get(), ticket.get(),
                         hits.get()},
                        launch);
          const MoeFew few{element, gate_of(s, position), experts_of(s, w), hits.get(), normed.get(), activated.get(), y.get(), false};
          moe_few_gate_up(few, launch);
          moe_few_down(few, launch);
        } else {
          MoeTiles tiles;
          tiles.element = element;
          tiles.gate = gate_of(s, position);
          tiles.experts = experts_of(s, w);
          tiles.groups = groups.get();
          tiles.x = x.get();
          tiles.activated = activated.get();
          tiles.products = products.get();
          tiles.y = y.get();
          moe_choose(tiles.gate, logits.get(), tiles.groups, launch);
          moe_group(tiles.gate, tiles.groups, launch);
          moe_tiles_gate_up(tiles, launch);
          moe_tiles_down(tiles, launch);
          moe_combine(tiles, launch);
        }
      }
      finish();
      if (i == 0) first = y.read();
      ASSERT_EQ(y.read(), first);
      ASSERT_FALSE(std::any_of(first.begin(), first.end(), [](float v) { return std::isnan(v); }));
    }
  }
}

}  // namespace

}  // namespace lindos::kernels::cuda::test
