// SPDX-License-Identifier: Apache-2.0
// Attention samples as grids per head geometry: decode over (sequences, keys per sequence), prefill of one sequence over
// (new tokens, cached context). Several prompts in one step cost as many times one, or what a grid over (prompts, new
// tokens) says: few tiles do not fill a GPU. Between samples latency is blended linearly, on the prefill token axis in
// sqrt(latency) (modelling handbook §1.2, rule 2). Numbers of sequences are compared at equal keys of all together, which
// is where the stairs of decode kernels are; at equal keys per sequence where samples do not reach. Beyond the grid the
// utilisation of the edge is held. Another head geometry, dtype or context rescales by the ratio of speeds of light.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "scenarios/profile.h"
#include "sim/operator_cost.h"
#include "sim/roofline.h"

namespace lindos::sim {

// One query: `slices` equal slices of `tokens` new positions after `context` cached ones; real
// numbers, because a mixed batch is replaced by the equal slices that have its totals.
struct AttentionShape {
  double slices = 1;
  double tokens = 1;
  double context = 0;
  std::int64_t q_heads = 1, kv_heads = 1, head_dim = 1;
  [[nodiscard]] Work work(double kv_element_bytes) const;
};

struct AttentionTime {
  Seconds time{0};
  double spread = 0.0;
  Tier tier = Tier::kInterpolated;
};

class AttentionTable {
 public:
  explicit AttentionTable(const Profile& profile);
  // Whether decodes were timed with heads of this kind: latent attention is another kernel than any grouped-query one.
  [[nodiscard]] bool has_decode(std::int64_t kv_heads, std::int64_t head_dim) const;
  // The same of prompts, which have as many key heads as query heads once the latent is expanded.
  [[nodiscard]] bool has_prefill(std::int64_t head_dim) const;
  // Empty only without samples of the family. REQUIRES: everything but context > 0.
  [[nodiscard]] std::optional<AttentionTime> decode(const AttentionShape& shape, Dtype dtype,
                                                    ExecutionContext context) const;
  [[nodiscard]] std::optional<AttentionTime> prefill(const AttentionShape& shape, Dtype dtype,
                                                     ExecutionContext context) const;

 private:
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  struct Cell {
    double x = 0;  // decode: keys per sequence; prefill: new tokens
    double seconds = 0;
    double spread = 0;
  };
  struct Row {
    double y = 0;             // decode: sequences; prefill: cached context; prompts: how many
    std::vector<Cell> cells;  // ascending in x
  };
  enum class Kind { kDecode, kPrefill, kPrompts };
  struct Grid {
    Kind kind = Kind::kDecode;
    std::int64_t q_heads = 1, kv_heads = 1, head_dim = 1;
    Dtype dtype = Dtype::kF32;
    ExecutionContext context;
    Ceilings ceilings;
    std::vector<Row> rows;  // ascending in y
    std::size_t prompts = kNone;  // of prefill: the grid of several, among grids_
    [[nodiscard]] AttentionShape shape(double x, double y) const;
    [[nodiscard]] Seconds speed_of_light(double x, double y) const;
  };
  struct Along {
    AttentionTime time;
    double gap = 1;  // x of the sample above over that below; 1 on a sample and beyond the row
  };
  [[nodiscard]] static Along along_row(const Grid& grid, const Row& row, double x, double y);
  // Between two rows that follow each other.
  [[nodiscard]] static Along between_rows(const Grid& grid, const Row& below, const Row& above, double x, double y);
  [[nodiscard]] static AttentionTime on_grid(const Grid& grid, double x, double y);
  // Time of `slices` prompts of `tokens` in one step, in units of one alone.
  [[nodiscard]] double times_one(const Grid& grid, double tokens, double slices) const;
  void add(Kind kind, const Profile& profile, const AttentionSample& sample);
  [[nodiscard]] std::optional<AttentionTime> answer(Kind kind, const AttentionShape& shape,
                                                    double x, double y, double slices,
                                                    Dtype dtype, ExecutionContext context) const;

  Profile ceilings_;  // the profile without its samples
  std::vector<Grid> grids_;
};

}  // namespace lindos::sim
