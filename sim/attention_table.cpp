// SPDX-License-Identifier: Apache-2.0
#include "sim/attention_table.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/gemm_table.h"

namespace lindos::sim {

namespace {

constexpr double kSame = 1e-9;
// In octaves of a head count: heads of another width are another kernel.
constexpr double kKernel = 10.0;

// Of latent attention, expanded and absorbed (docs/operators.md): no model with heads of its own has these kernels.
bool is_latent_width(std::int64_t head_dim) { return head_dim == 192 || head_dim == 576; }

double octaves(std::int64_t a, std::int64_t b) {
  return a == b ? 0.0 : std::abs(std::log2(static_cast<double>(a) / static_cast<double>(b)));
}

}  // namespace

Work AttentionShape::work(double kv_element_bytes) const {
  const double pairs = slices * (tokens * context + tokens * (tokens + 1.0) / 2.0);
  return attention_work(pairs, slices * (context + tokens), slices * tokens, q_heads, kv_heads,
                        head_dim, kv_element_bytes);
}

AttentionShape AttentionTable::Grid::shape(double x, double y) const {
  switch (kind) {
    case Kind::kDecode:
      return {y, 1.0, x - 1.0, q_heads, kv_heads, head_dim};
    case Kind::kPrefill:
      return {1.0, x, y, q_heads, kv_heads, head_dim};
    case Kind::kPrompts:
      return {y, x, 0.0, q_heads, kv_heads, head_dim};
  }
  return {};
}

Seconds AttentionTable::Grid::speed_of_light(double x, double y) const {
  const Work work = shape(x, y).work(bytes_of(dtype));
  return roofline(work.flop, work.bytes, ceilings);
}

AttentionTable::AttentionTable(const Profile& profile) : ceilings_(profile) {
  ceilings_.gemm.clear();
  ceilings_.attention.clear();
  ceilings_.stream.clear();
  ceilings_.collectives.clear();
  bool several = false;
  for (const AttentionSample& s : profile.attention) several = several || (s.context == 0 && s.sequences > 1);
  for (const AttentionSample& s : profile.attention) {
    if (s.sequences <= 0 || s.tokens <= 0 || s.q_heads <= 0 || s.kv_heads <= 0 || s.head_dim <= 0 ||
        s.time.count() <= 0.0) {
      continue;
    }
    if (s.tokens == 1 && s.context > 0) {
      add(Kind::kDecode, profile, s);
      continue;
    }
    if (s.sequences == 1) add(Kind::kPrefill, profile, s);
    if (several && s.context == 0) add(Kind::kPrompts, profile, s);
  }
  for (Grid& grid : grids_) {
    std::sort(grid.rows.begin(), grid.rows.end(),
              [](const Row& a, const Row& b) { return a.y < b.y; });
    for (Row& row : grid.rows) {
      std::sort(row.cells.begin(), row.cells.end(),
                [](const Cell& a, const Cell& b) { return a.x < b.x; });
    }
    if (grid.kind != Kind::kPrefill) continue;
    for (std::size_t i = 0; i < grids_.size(); ++i) {
      const Grid& g = grids_[i];
      if (g.kind == Kind::kPrompts && g.q_heads == grid.q_heads && g.kv_heads == grid.kv_heads &&
          g.head_dim == grid.head_dim && g.dtype == grid.dtype && g.context == grid.context) {
        grid.prompts = i;
      }
    }
  }
}

void AttentionTable::add(Kind kind, const Profile& profile, const AttentionSample& s) {
  const ExecutionContext context{s.threads, s.active_ranks};
  auto grid = std::find_if(grids_.begin(), grids_.end(), [&](const Grid& g) {
    return g.kind == kind && g.q_heads == s.q_heads && g.kv_heads == s.kv_heads && g.head_dim == s.head_dim &&
           g.dtype == s.dtype && g.context == context;
  });
  if (grid == grids_.end()) {
    grid = grids_.insert(grids_.end(), {kind, s.q_heads, s.kv_heads, s.head_dim, s.dtype, context,
                                        ceilings(profile, s.threads, s.active_ranks), {}, kNone});
  }
  const auto x = static_cast<double>(kind == Kind::kDecode ? s.context + 1 : s.tokens);
  const auto y = static_cast<double>(kind == Kind::kPrefill ? s.context : s.sequences);
  auto row = std::find_if(grid->rows.begin(), grid->rows.end(), [&](const Row& r) { return r.y == y; });
  if (row == grid->rows.end()) row = grid->rows.insert(grid->rows.end(), {y, {}});
  row->cells.push_back({x, s.time.count(), s.spread});
}

double AttentionTable::times_one(const Grid& grid, double tokens, double slices) const {
  if (grid.prompts == kNone || slices <= 1.0) return slices;
  const Grid& prompts = grids_[grid.prompts];
  return on_grid(prompts, tokens, slices).time / on_grid(prompts, tokens, 1.0).time;
}

AttentionTable::Along AttentionTable::along_row(const Grid& grid, const Row& row, double x, double y) {
  const std::vector<Cell>& cells = row.cells;
  // Time at (x, y) by the utilisation of a cell of this row, whose own y may be the row's or the
  // query's.
  const auto held = [&](const Cell& cell) {
    const double ratio = grid.speed_of_light(x, y) / grid.speed_of_light(cell.x, row.y);
    return Along{{Seconds(cell.seconds * ratio), cell.spread, Tier::kEdge}, 1.0};
  };
  const auto above = std::lower_bound(cells.begin(), cells.end(), x - kSame,
                                      [](const Cell& c, double value) { return c.x < value; });
  const bool on_row = std::abs(y - row.y) < kSame;
  if (above == cells.end()) return held(cells.back());
  if (above->x > x + kSame && above == cells.begin()) return held(cells.front());
  Along result;
  if (above->x <= x + kSame) {
    result.time = {Seconds(above->seconds), above->spread, Tier::kMeasured};
  } else {
    const Cell& low = *(above - 1);
    const double share = (x - low.x) / (above->x - low.x);
    const double seconds = grid.kind == Kind::kDecode
                               ? low.seconds + share * (above->seconds - low.seconds)
                               : std::pow(std::sqrt(low.seconds) +
                                              share * (std::sqrt(above->seconds) - std::sqrt(low.seconds)),
                                          2.0);
    result = {{Seconds(seconds), std::max(low.spread, above->spread), Tier::kInterpolated}, above->x / low.x};
  }
  if (!on_row) {
    result.time.time *= grid.speed_of_light(x, y) / grid.speed_of_light(x, row.y);
    result.time.tier = Tier::kEdge;
  }
  return result;
}

AttentionTable::Along AttentionTable::between_rows(const Grid& grid, const Row& below, const Row& above, double x,
                                                   double y) {
  const double share = (y - below.y) / (above.y - below.y);
  const auto blend = [&](const Along& low, const Along& high) {
    const bool edge = low.time.tier == Tier::kEdge || high.time.tier == Tier::kEdge;
    return Along{{low.time.time + share * (high.time.time - low.time.time), std::max(low.time.spread, high.time.spread),
                  edge ? Tier::kEdge : Tier::kInterpolated},
                 std::max(low.gap, high.gap)};
  };
  if (grid.kind == Kind::kDecode) {
    const Along at_equal_keys =
        blend(along_row(grid, below, x * y / below.y, below.y), along_row(grid, above, x * y / above.y, above.y));
    if (at_equal_keys.time.tier != Tier::kEdge) return at_equal_keys;
  }
  return blend(along_row(grid, below, x, below.y), along_row(grid, above, x, above.y));
}

AttentionTime AttentionTable::on_grid(const Grid& grid, double x, double y) {
  const std::vector<Row>& rows = grid.rows;
  const auto at = std::lower_bound(rows.begin(), rows.end(), y - kSame,
                                   [](const Row& r, double value) { return r.y < value; });
  if (at == rows.end()) return along_row(grid, rows.back(), x, y).time;
  const bool on_row = at->y <= y + kSame;
  if (at == rows.begin() || (on_row && at + 1 == rows.end())) return along_row(grid, *at, x, y).time;
  if (!on_row) return between_rows(grid, *(at - 1), *at, x, y).time;
  const Along own = along_row(grid, *at, x, y);
  if (own.gap == 1.0) return own.time;
  // A hole of this row that the rows beside it do not have: both count.
  const Along beside = between_rows(grid, *(at - 1), *(at + 1), x, y);
  if (beside.time.tier == Tier::kEdge || beside.gap >= own.gap) return own.time;
  return {0.5 * (own.time.time + beside.time.time), std::max(own.time.spread, beside.time.spread), Tier::kInterpolated};
}

std::optional<AttentionTime> AttentionTable::answer(Kind kind, const AttentionShape& shape,
                                                    double x, double y, double slices,
                                                    Dtype dtype, ExecutionContext context) const {
  const Grid* best = nullptr;
  double best_distance = std::numeric_limits<double>::infinity();
  for (const Grid& g : grids_) {
    if (g.kind != kind || (g.head_dim != shape.head_dim && is_latent_width(g.head_dim))) continue;
    // The context decides about bandwidth per rank, dtype and width about the kernel; head counts
    // scale well.
    const double d = 100.0 * distance(g.context, context) + (g.dtype == dtype ? 0.0 : 1e6) +
                     octaves(g.q_heads, shape.q_heads) + octaves(g.kv_heads, shape.kv_heads) +
                     kKernel * octaves(g.head_dim, shape.head_dim);
    if (d < best_distance) {
      best_distance = d;
      best = &g;
    }
    if (d == 0.0) break;
  }
  if (best == nullptr) return std::nullopt;
  AttentionTime result = on_grid(*best, x, y);
  if (kind == Kind::kPrefill) result.time *= times_one(*best, x, slices);
  if (best_distance > 0.0) {
    const Work work = shape.work(bytes_of(dtype));
    const Seconds here =
        roofline(work.flop, work.bytes, ceilings(ceilings_, context.threads, context.active_ranks));
    const AttentionShape sampled = best->shape(x, y);
    const Work sampled_work = sampled.work(bytes_of(best->dtype));
    result.time *= here / roofline(sampled_work.flop, sampled_work.bytes, best->ceilings);
    result.tier = Tier::kNeighbour;
  }
  return result;
}

bool AttentionTable::has_decode(std::int64_t kv_heads, std::int64_t head_dim) const {
  return std::any_of(grids_.begin(), grids_.end(), [&](const Grid& g) {
    return g.kind == Kind::kDecode && g.kv_heads == kv_heads && g.head_dim == head_dim;
  });
}

bool AttentionTable::has_prefill(std::int64_t head_dim) const {
  return std::any_of(grids_.begin(), grids_.end(),
                     [&](const Grid& g) { return g.kind == Kind::kPrefill && g.head_dim == head_dim; });
}

std::optional<AttentionTime> AttentionTable::decode(const AttentionShape& shape, Dtype dtype,
                                                    ExecutionContext context) const {
  return answer(Kind::kDecode, shape, shape.context + 1.0, shape.slices, 1.0, dtype, context);
}

std::optional<AttentionTime> AttentionTable::prefill(const AttentionShape& shape, Dtype dtype,
                                                     ExecutionContext context) const {
  AttentionShape one = shape;
  one.slices = 1.0;
  return answer(Kind::kPrefill, one, shape.tokens, shape.context, shape.slices, dtype, context);
}

}  // namespace lindos::sim
