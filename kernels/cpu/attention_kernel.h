// SPDX-License-Identifier: Apache-2.0
// One member's part of attention: the query rows (token, head) that share a KV head, against groups of 128
// keys. A group yields (m, l, o) per row: the largest score, the sum of e^(score - m) and the values weighted
// by it. Groups are merged in ascending order (Milakov and Gimelshein, "Online normalizer calculation for
// softmax", 2018), so it does not matter who computed them. Pages serve as panels of the microtile as they
// lie: K [head_dim][16 keys], V [16 keys][head_dim].
#pragma once

#include "kernels/attention.h"
#include "kernels/cpu/gemm_kernel.h"

namespace lindos::kernels::LINDOS_ISA {

inline constexpr std::int64_t kGroupPages = kKeyGroup / kPageTokens;

// State of one row over the groups merged so far.
struct RowState {
  float* maximum;
  float* sum;
  float* values;  // [head_dim]
};

// Factors of the old values and of the group's, once maximum and sum have been merged.
struct MergeFactors {
  float old_values, group;
};

// What a group of keys adds to a row. maximum == -infinity: the row sees none of the keys.
struct GroupSums {
  float maximum, sum;
  [[nodiscard]] bool empty() const { return maximum == -__builtin_inff(); }
};

// Merges the sums of `rows` <= 8 rows at once: one exponential serves them all.
LINDOS_INLINE void merge_sums(const RowState* state, const GroupSums* group, int rows, MergeFactors* factor) {
  float exponent[16] = {};  // [0, 8): old state, [8, 16): group
  for (int r = 0; r < rows; ++r) {
    if (group[r].empty()) continue;
    const float m = larger(group[r].maximum, *state[r].maximum);
    exponent[r] = *state[r].maximum - m;
    exponent[8 + r] = group[r].maximum - m;
    *state[r].maximum = m;
  }
  Sixteen e = load16(exponent);
#pragma GCC unroll 4
  for (int v = 0; v < kVecs; ++v) e.v[v] = exponential_nonpositive(e.v[v]);
  store16(exponent, e);
  for (int r = 0; r < rows; ++r) {
    factor[r] = {exponent[r], exponent[8 + r]};
    if (!group[r].empty()) *state[r].sum = *state[r].sum * factor[r].old_values + group[r].sum * factor[r].group;
  }
}

LINDOS_INLINE Vec merged(Vec old_values, Vec group_values, Vec old_factor, Vec group_factor) {
  return fma(group_values, group_factor, old_values * old_factor);
}

// Keys of the group that a row may see, relative to the group's start; empty if end <= begin.
struct KeyRange {
  std::int64_t begin, end;
};

// Scores of one row, in place -> e^(score - m). Pages [page_begin, page_end) of the group are present.
inline GroupSums softmax_row(float* score, std::int64_t page_begin, std::int64_t page_end, KeyRange keys,
                             float scale) {
  const float none = -__builtin_inff();
  Sixteen best = splat16(none);
  for (std::int64_t page = page_begin; page < page_end; ++page) {
    float* s = score + page * 16;
    Sixteen row = load16(s);
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; ++v) row.v[v] = row.v[v] * splat(scale);
    if (page * 16 < keys.begin || page * 16 + 16 > keys.end) {
      // Selected, not added: what lies behind the last key may be uninitialised.
      float lane[16];
      store16(lane, row);
      for (std::int64_t i = 0; i < 16; ++i) {
        if (page * 16 + i < keys.begin || page * 16 + i >= keys.end) lane[i] = none;
      }
      row = load16(lane);
    }
    store16(s, row);
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; ++v) best.v[v] = max(row.v[v], best.v[v]);
  }
  const float m = max16(best);
  Sixteen sum = splat16(0.0F);
  if (m == none) {  // no key of the group: weights 0, not e^(-inf + inf)
    for (std::int64_t page = page_begin; page < page_end; ++page) store16(score + page * 16, sum);
    return {m, 0.0F};
  }
  for (std::int64_t page = page_begin; page < page_end; ++page) {
    Sixteen e = load16(score + page * 16);
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; ++v) {
      e.v[v] = exponential_nonpositive(e.v[v] - splat(m));
      sum.v[v] += e.v[v];
    }
    store16(score + page * 16, e);
  }
  return {m, sum16(sum)};
}

template <class Load>
class GroupAttention {
 public:
  using Element = typename Load::Element;

  explicit GroupAttention(const AttentionPart& part)
      : part_(part),
        rows_(part.tokens * part.heads),
        tiles_((rows_ + kTileRows - 1) / kTileRows),
        query_(part.scratch),
        values_(query_ + tiles_ * kTileRows * part.head_dim),
        maximum_(values_ + rows_ * part.head_dim),
        sum_(maximum_ + rows_),
        score_(sum_ + rows_),
        tail_(score_ + kTileRows * kKeyGroup) {}

  void run() {
    pack_queries();
    if (part_.partial == nullptr) {
      for (std::int64_t i = 0; i < rows_ * part_.head_dim; ++i) values_[i] = 0.0F;
      for (std::int64_t row = 0; row < rows_; ++row) {
        maximum_[row] = -__builtin_inff();
        sum_[row] = 0.0F;
      }
    }
    for (std::int64_t group = part_.group_begin; group < part_.group_end; ++group) {
      for (std::int64_t tile = 0; tile < tiles_; ++tile) {
        const std::int64_t first = tile * kTileRows;
        with_rows(smaller(kTileRows, rows_ - first),
                  [&](auto count) { tile_group<decltype(count)::value>(group, first); });
      }
    }
    if (part_.partial == nullptr) {
      for (std::int64_t row = 0; row < rows_; ++row) write_row(part_, row, values_ + row * part_.head_dim, sum_[row]);
    }
  }

  static void write_row(const AttentionPart& part, std::int64_t row, const float* values, float sum) {
    float* out = part.out + row / part.heads * part.ldo + row % part.heads * part.head_dim;
    for (std::int64_t i = 0; i < part.head_dim; ++i) out[i] = values[i] / sum;
  }

 private:
  void pack_queries() {
    for (std::int64_t row = 0; row < rows_; ++row) {
      const float* q = part_.q + row / part_.heads * part_.ldq + row % part_.heads * part_.head_dim;
      float* to = query_ + row / kTileRows * kTileRows * part_.head_dim + row % kTileRows;
      for (std::int64_t i = 0; i < part_.head_dim; ++i) to[i * kTileRows] = q[i];
    }
  }

  [[nodiscard]] KeyRange keys_of(std::int64_t row, std::int64_t group) const {
    const std::int64_t position = part_.first_position + row / part_.heads;
    const std::int64_t oldest = part_.window > 0 ? position - part_.window + 1 : 0;
    const std::int64_t start = group * kKeyGroup;
    return {oldest > start ? oldest - start : 0, smaller(position + 1 - start, kKeyGroup)};
  }

  [[nodiscard]] const Element* page(const void* base, std::int64_t index) const {
    return static_cast<const Element*>(base) + part_.blocks[index] * part_.page_stride;
  }

  template <int kRows>
  [[gnu::noinline]] void tile_group(std::int64_t group, std::int64_t first) {
    // Rows ascend in position: the first has the oldest key, the last the newest.
    const KeyRange tile_keys{keys_of(first, group).begin, keys_of(first + kRows - 1, group).end};
    if (tile_keys.end <= tile_keys.begin) {
      if (part_.partial != nullptr) {
        for (int r = 0; r < kRows; ++r) *partial_state(group, first + r).maximum = -__builtin_inff();
      }
      return;
    }
    const std::int64_t page_begin = tile_keys.begin / 16;
    const std::int64_t page_end = (tile_keys.end + 15) / 16;
    scores<kRows>(group, first, page_begin, page_end);
    GroupSums sums[kRows];
    for (int r = 0; r < kRows; ++r) {
      sums[r] = softmax_row(score_ + r * kKeyGroup, page_begin, page_end, keys_of(first + r, group), part_.scale);
    }
    weigh<kRows>(group, first, page_begin, tile_keys.end, sums);
  }

  template <int kRows>
  LINDOS_INLINE void scores(std::int64_t group, std::int64_t first, std::int64_t page_begin,
                            std::int64_t page_end) {
    constexpr int kPanels = panels_for(kRows);
    const PackedRows<float> q{query_ + first * part_.head_dim};
    std::int64_t p = page_begin;
    for (; p + kPanels <= page_end; p += kPanels) score_pages<kRows, kPanels>(q, group, p);
    for (; p < page_end; ++p) score_pages<kRows, 1>(q, group, p);
  }

  template <int kRows, int kPanels>
  LINDOS_INLINE void score_pages(PackedRows<float> q, std::int64_t group, std::int64_t first_page) {
    const Element* k[kPanels];
    for (int p = 0; p < kPanels; ++p) k[p] = page(part_.k, group * kGroupPages + first_page + p);
    Tile<kRows, kPanels> tile;
    tile.clear();
    multiply<Load>(q, k, 16, part_.head_dim, tile);
#pragma GCC unroll 6
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int p = 0; p < kPanels; ++p) store16(score_ + r * kKeyGroup + (first_page + p) * 16, tile.acc[r][p]);
    }
  }

  [[nodiscard]] RowState partial_state(std::int64_t group, std::int64_t row) const {
    float* state = part_.partial + ((group - part_.group_begin) * rows_ + row) * (part_.head_dim + 2);
    return {state, state + 1, state + 2};
  }

  // Weighted values of the group, merged into the rows' states (or stored as partial states).
  template <int kRows>
  LINDOS_INLINE void weigh(std::int64_t group, std::int64_t first, std::int64_t page_begin, std::int64_t key_end,
                           const GroupSums* sums) {
    RowState state[kRows];
    MergeFactors factor[kRows] = {};
    for (int r = 0; r < kRows; ++r) {
      const std::int64_t row = first + r;
      if (part_.partial != nullptr) {
        state[r] = partial_state(group, row);
        *state[r].maximum = sums[r].maximum;
        *state[r].sum = sums[r].sum;
      } else {
        state[r] = {maximum_ + row, sum_ + row, values_ + row * part_.head_dim};
      }
    }
    if (part_.partial == nullptr) merge_sums(state, sums, kRows, factor);
    constexpr int kPanels = panels_for(kRows);
    const std::int64_t whole = part_.head_dim / 16;
    const PagedValues values{group, page_begin, key_end};
    std::int64_t chunk = 0;
    for (; chunk + kPanels <= whole; chunk += kPanels) {
      weigh_columns<kRows, kPanels>(values, chunk * 16, 16, state, factor, sums);
    }
    for (; chunk < whole; ++chunk) weigh_columns<kRows, 1>(values, chunk * 16, 16, state, factor, sums);
    if (part_.head_dim % 16 != 0) {
      weigh_columns<kRows, 1>(values, whole * 16, part_.head_dim % 16, state, factor, sums);
    }
  }

  struct PagedValues {  // keys [16 page_begin, key_end) of the group
    std::int64_t group, page_begin, key_end;
  };

  template <int kRows, int kPanels>
  [[gnu::noinline]] void weigh_columns(const PagedValues& values, std::int64_t column, std::int64_t columns,
                                       const RowState* state, const MergeFactors* factor, const GroupSums* sums) {
    Tile<kRows, kPanels> tile;
    tile.clear();
    for (std::int64_t p = values.page_begin; p * 16 < values.key_end; ++p) {
      const Element* v = page(part_.v, values.group * kGroupPages + p) + column;
      const StridedRows<float> weights{score_ + p * 16, kKeyGroup};
      const std::int64_t keys = smaller(16, values.key_end - p * 16);
      if (columns == 16) {
        const Element* b[kPanels];
        for (int i = 0; i < kPanels; ++i) b[i] = v + i * 16;
        multiply<Load>(weights, b, part_.head_dim, keys, tile);
      } else if constexpr (kPanels == 1) {
        const float* tail[1] = {copy_tail(v, keys, columns)};
        multiply<LoadF32>(weights, tail, 16, keys, tile);
      }
    }
    for (int r = 0; r < kRows; ++r) {
      if (sums[r].empty()) continue;
      for (int i = 0; i < kPanels; ++i) {
        merge_columns(tile.acc[r][i], factor[r], state[r].values + column + i * 16, columns);
      }
    }
  }

  LINDOS_INLINE void merge_columns(const Sixteen& group, MergeFactors factor, float* values, std::int64_t columns) {
    if (part_.partial != nullptr) {
      store_columns(group, values, columns);
      return;
    }
    Sixteen old = columns == 16 ? load16(values) : load_columns(values, columns);
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; ++v) {
      old.v[v] = merged(old.v[v], group.v[v], splat(factor.old_values), splat(factor.group));
    }
    store_columns(old, values, columns);
  }

  LINDOS_INLINE static Sixteen load_columns(const float* p, std::int64_t columns) {
    float lane[16] = {};
    for (std::int64_t i = 0; i < columns; ++i) lane[i] = p[i];
    return load16(lane);
  }

  LINDOS_INLINE static void store_columns(const Sixteen& s, float* p, std::int64_t columns) {
    if (columns == 16) {
      store16(p, s);
      return;
    }
    float lane[16];
    store16(lane, s);
    for (std::int64_t i = 0; i < columns; ++i) p[i] = lane[i];
  }

  // The last columns of a head_dim that is no multiple of 16, padded with zeros to a panel.
  const float* copy_tail(const Element* v, std::int64_t keys, std::int64_t columns) {
    for (std::int64_t key = 0; key < keys; ++key) {
      for (std::int64_t i = 0; i < 16; ++i) {
        tail_[key * 16 + i] = i < columns ? Load::one(v[key * part_.head_dim + i]) : 0.0F;
      }
    }
    return tail_;
  }

  const AttentionPart& part_;
  std::int64_t rows_, tiles_;
  float* query_;    // [tile][head_dim][kTileRows]
  float* values_;   // [rows][head_dim]
  float* maximum_;  // [rows]
  float* sum_;      // [rows]
  float* score_;    // [kTileRows][kKeyGroup]
  float* tail_;     // [16][16]
};

inline void attention_part(const AttentionPart& part) {
  switch (part.type) {
    case WeightType::kF32: GroupAttention<LoadF32>(part).run(); break;
    case WeightType::kBf16: GroupAttention<LoadBf16>(part).run(); break;
    case WeightType::kF16: GroupAttention<LoadF16>(part).run(); break;
  }
}

inline void attention_merge_part(const AttentionPart& part) {
  const std::int64_t rows = part.tokens * part.heads;
  for (std::int64_t row = 0; row < rows; ++row) {
    float maximum = -__builtin_inff();
    float sum = 0.0F;
    const RowState total{&maximum, &sum, part.scratch};
    for (std::int64_t i = 0; i < part.head_dim; ++i) total.values[i] = 0.0F;
    for (std::int64_t group = 0; group < part.group_end - part.group_begin; ++group) {
      const float* state = part.partial + (group * rows + row) * (part.head_dim + 2);
      if (state[0] == -__builtin_inff()) continue;
      const GroupSums sums{state[0], state[1]};
      MergeFactors f;
      merge_sums(&total, &sums, 1, &f);
      for (std::int64_t i = 0; i < part.head_dim; i += kLanes) {
        if (i + kLanes <= part.head_dim) {
          const Vec v = merged(load(total.values + i), load(state + 2 + i), splat(f.old_values), splat(f.group));
          store(total.values + i, v);
        } else {
          float old_lane[kLanes] = {};
          float group_lane[kLanes] = {};
          for (std::int64_t j = i; j < part.head_dim; ++j) {
            old_lane[j - i] = total.values[j];
            group_lane[j - i] = state[2 + j];
          }
          store(old_lane, merged(load(old_lane), load(group_lane), splat(f.old_values), splat(f.group)));
          for (std::int64_t j = i; j < part.head_dim; ++j) total.values[j] = old_lane[j - i];
        }
      }
    }
    GroupAttention<LoadF32>::write_row(part, row, total.values, sum);
  }
}

}  // namespace lindos::kernels::LINDOS_ISA
