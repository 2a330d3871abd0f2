// SPDX-License-Identifier: Apache-2.0
#include "sim/attention_table.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/gemm_table.h"

namespace lindos::sim {

namespace {

constexpr double kSame = 1e-9;

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
  if (is_decode) return {y, 1.0, x - 1.0, q_heads, kv_heads, head_dim};
  return {1.0, x, y, q_heads, kv_heads, head_dim};
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
  for (const AttentionSample& s : profile.attention) {
    if (s.sequences <= 0 || s.tokens <= 0 || s.q_heads <= 0 || s.kv_heads <= 0 || s.head_dim <= 0 ||
        s.time.count() <= 0.0) {
      continue;
    }
    const bool is_decode = s.tokens == 1 && s.context > 0;
    if (!is_decode && s.sequences != 1) continue;  // collect_together
    const ExecutionContext context{s.threads, s.active_ranks};
    auto grid = std::find_if(grids_.begin(), grids_.end(), [&](const Grid& g) {
      return g.is_decode == is_decode && g.q_heads == s.q_heads && g.kv_heads == s.kv_heads &&
             g.head_dim == s.head_dim && g.dtype == s.dtype && g.context == context;
    });
    if (grid == grids_.end()) {
      grid = grids_.insert(grids_.end(), {is_decode,
                                          s.q_heads,
                                          s.kv_heads,
                                          s.head_dim,
                                          s.dtype,
                                          context,
                                          ceilings(profile, s.threads, s.active_ranks),
                                          {},
                                          {}});
    }
    const double x = static_cast<double>(is_decode ? s.context + 1 : s.tokens);
    const double y = static_cast<double>(is_decode ? s.sequences : s.context);
    auto row =
        std::find_if(grid->rows.begin(), grid->rows.end(), [&](const Row& r) { return r.y == y; });
    if (row == grid->rows.end()) row = grid->rows.insert(grid->rows.end(), {y, {}});
    row->cells.push_back({x, s.time.count(), s.spread});
  }
  for (Grid& grid : grids_) {
    std::sort(grid.rows.begin(), grid.rows.end(),
              [](const Row& a, const Row& b) { return a.y < b.y; });
    for (Row& row : grid.rows) {
      std::sort(row.cells.begin(), row.cells.end(),
                [](const Cell& a, const Cell& b) { return a.x < b.x; });
    }
  }
  collect_together(profile);
}

void AttentionTable::collect_together(const Profile& profile) {
  for (const AttentionSample& s : profile.attention) {
    if (s.sequences < 2 || s.tokens < 2 || s.context != 0 || s.time.count() <= 0.0) continue;
    const ExecutionContext context{s.threads, s.active_ranks};
    const auto grid = std::find_if(grids_.begin(), grids_.end(), [&](const Grid& g) {
      return !g.is_decode && g.q_heads == s.q_heads && g.kv_heads == s.kv_heads &&
             g.head_dim == s.head_dim && g.dtype == s.dtype && g.context == context;
    });
    if (grid == grids_.end()) continue;
    const auto tokens = static_cast<double>(s.tokens);
    const auto slices = static_cast<double>(s.sequences);
    const double alone = on_grid(*grid, tokens, 0.0).time.count();
    const double log_tokens = std::log2(tokens);
    auto row = std::find_if(grid->together.begin(), grid->together.end(),
                            [&](const Together& t) { return t.log_tokens == log_tokens; });
    if (row == grid->together.end()) {
      row = grid->together.insert(grid->together.end(), {log_tokens, {{0.0, 0.0}}});
    }
    row->curve.emplace_back(std::log2(slices), std::log(s.time.count() / (slices * alone)));
  }
  for (Grid& grid : grids_) {
    std::sort(grid.together.begin(), grid.together.end(),
              [](const Together& a, const Together& b) { return a.log_tokens < b.log_tokens; });
    for (Together& row : grid.together) std::sort(row.curve.begin(), row.curve.end());
  }
}

double AttentionTable::times_one(const Grid& grid, double tokens, double slices) {
  if (grid.together.empty() || slices <= 1.0) return slices;
  const double log_slices = std::log2(slices);
  const auto along = [&](const Together& row) {
    const auto above = std::lower_bound(row.curve.begin(), row.curve.end(), log_slices,
                                        [](const auto& p, double x) { return p.first < x; });
    if (above == row.curve.end()) return row.curve.back().second;
    if (above == row.curve.begin()) return above->second;
    const auto low = above - 1;
    const double share = (log_slices - low->first) / (above->first - low->first);
    return low->second + share * (above->second - low->second);
  };
  const double log_tokens = std::log2(tokens);
  const auto above =
      std::lower_bound(grid.together.begin(), grid.together.end(), log_tokens,
                       [](const Together& row, double x) { return row.log_tokens < x; });
  double log_ratio = 0.0;
  if (above == grid.together.end()) {
    log_ratio = along(grid.together.back());
  } else if (above == grid.together.begin()) {
    log_ratio = along(*above);
  } else {
    const Together& low = *(above - 1);
    const double share = (log_tokens - low.log_tokens) / (above->log_tokens - low.log_tokens);
    log_ratio = (1.0 - share) * along(low) + share * along(*above);
  }
  return slices * std::exp(log_ratio);
}

AttentionTime AttentionTable::along_row(const Grid& grid, const Row& row, double x, double y) {
  const std::vector<Cell>& cells = row.cells;
  // Time at (x, y) by the utilisation of a cell of this row, whose own y may be the row's or the
  // query's.
  const auto held = [&](const Cell& cell) {
    const double ratio = grid.speed_of_light(x, y) / grid.speed_of_light(cell.x, row.y);
    return AttentionTime{Seconds(cell.seconds * ratio), cell.spread, Tier::kEdge};
  };
  const auto above = std::lower_bound(cells.begin(), cells.end(), x - kSame,
                                      [](const Cell& c, double value) { return c.x < value; });
  const bool on_row = std::abs(y - row.y) < kSame;
  if (above == cells.end()) return held(cells.back());
  if (above->x > x + kSame && above == cells.begin()) return held(cells.front());
  AttentionTime result;
  if (above->x <= x + kSame) {
    result = {Seconds(above->seconds), above->spread, Tier::kMeasured};
  } else {
    const Cell& low = *(above - 1);
    const double share = (x - low.x) / (above->x - low.x);
    const double seconds =
        grid.is_decode ? low.seconds + share * (above->seconds - low.seconds)
                       : std::pow(std::sqrt(low.seconds) +
                                      share * (std::sqrt(above->seconds) - std::sqrt(low.seconds)),
                                  2.0);
    result = {Seconds(seconds), std::max(low.spread, above->spread), Tier::kInterpolated};
  }
  if (!on_row) {
    result.time *= grid.speed_of_light(x, y) / grid.speed_of_light(x, row.y);
    result.tier = Tier::kEdge;
  }
  return result;
}

AttentionTime AttentionTable::on_grid(const Grid& grid, double x, double y) {
  const std::vector<Row>& rows = grid.rows;
  const auto above = std::lower_bound(rows.begin(), rows.end(), y - kSame,
                                      [](const Row& r, double value) { return r.y < value; });
  if (above == rows.end()) return along_row(grid, rows.back(), x, y);
  if (above == rows.begin() || above->y <= y + kSame) return along_row(grid, *above, x, y);
  const Row& below = *(above - 1);
  const AttentionTime low = along_row(grid, below, x, below.y);
  const AttentionTime high = along_row(grid, *above, x, above->y);
  const double share = (y - below.y) / (above->y - below.y);
  return {low.time + share * (high.time - low.time), std::max(low.spread, high.spread),
          low.tier == Tier::kEdge || high.tier == Tier::kEdge ? Tier::kEdge : Tier::kInterpolated};
}

std::optional<AttentionTime> AttentionTable::answer(bool is_decode, const AttentionShape& shape,
                                                    double x, double y, double slices,
                                                    Dtype dtype, ExecutionContext context) const {
  const Grid* best = nullptr;
  double best_distance = std::numeric_limits<double>::infinity();
  for (const Grid& g : grids_) {
    if (g.is_decode != is_decode) continue;
    // The context decides about bandwidth per rank, the dtype about the kernel; head counts scale
    // well.
    const double d = 100.0 * distance(g.context, context) + (g.dtype == dtype ? 0.0 : 1e6) +
                     octaves(g.q_heads, shape.q_heads) + octaves(g.kv_heads, shape.kv_heads) +
                     octaves(g.head_dim, shape.head_dim);
    if (d < best_distance) {
      best_distance = d;
      best = &g;
    }
    if (d == 0.0) break;
  }
  if (best == nullptr) return std::nullopt;
  AttentionTime result = on_grid(*best, x, y);
  if (!is_decode) result.time *= times_one(*best, x, slices);
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
    return g.is_decode && g.kv_heads == kv_heads && g.head_dim == head_dim;
  });
}

std::optional<AttentionTime> AttentionTable::decode(const AttentionShape& shape, Dtype dtype,
                                                    ExecutionContext context) const {
  return answer(true, shape, shape.context + 1.0, shape.slices, 1.0, dtype, context);
}

std::optional<AttentionTime> AttentionTable::prefill(const AttentionShape& shape, Dtype dtype,
                                                     ExecutionContext context) const {
  AttentionShape one = shape;
  one.slices = 1.0;
  return answer(false, one, shape.tokens, shape.context, shape.slices, dtype, context);
}

}  // namespace lindos::sim
