// SPDX-License-Identifier: Apache-2.0
#include "sim/stragglers/straggler_trace.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <system_error>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "scenarios/error.h"

namespace lindos::sim {

namespace {

bool is_compute(OpType type) {
  return type == OpType::kForwardCompute || type == OpType::kBackwardCompute;
}

// The op that a row records, whichever rank and step it is of.
auto op_key(const TraceRow& row) { return std::tuple(row.stage, row.type, row.sequence); }
auto row_key(const TraceRow& row) {
  return std::tuple(row.stage, row.type, row.sequence, row.data_rank, row.step);
}

class Grid {
 public:
  Grid(std::vector<TraceRow> rows, const std::string& where, const TraceDegrees& degrees)
      : rows_(std::move(rows)), degrees_(degrees) {
    trace_.where = where;
  }

  StragglerTrace build() {
    std::sort(rows_.begin(), rows_.end(), [](const TraceRow& a, const TraceRow& b) {
      return std::pair(row_key(a), a.line) < std::pair(row_key(b), b.line);
    });
    refuse_doubled_rows();
    trace_.data = count_of("dp_rank", degrees_.data, [](const TraceRow& r) { return r.data_rank; });
    trace_.pipeline =
        count_of("stage", degrees_.pipeline, [](const TraceRow& r) { return r.stage; });
    find_steps();
    find_ranks();
    find_chunks();
    fill();
    check_sequences();
    check_micro_batches();
    return std::move(trace_);
  }

 private:
  [[noreturn]] void fail(const std::string& message) const {
    throw Error(ErrorKind::kInput, trace_.where, message);
  }
  [[noreturn]] void fail(std::int64_t line, const std::string& message) const {
    throw Error(ErrorKind::kInput, fmt::format("{}:{}", trace_.where, line), message);
  }
  static std::string label(const TraceRow& row) {
    return fmt::format("{} {} of stage {}", name_of(row.type), row.sequence, row.stage);
  }

  void refuse_doubled_rows() const {
    const auto doubled = std::adjacent_find(
        rows_.begin(), rows_.end(),
        [](const TraceRow& a, const TraceRow& b) { return row_key(a) == row_key(b); });
    if (doubled == rows_.end()) return;
    const TraceRow& again = *(doubled + 1);
    fail(again.line, fmt::format("{} of dp_rank {}, step {} stands twice; first in line {}",
                                 label(again), again.data_rank, again.step, doubled->line));
  }

  // Values of an index that must run from 0 without a gap to the stated count.
  template <class Index>
  int count_of(const char* column, std::optional<int> stated, const Index& index) const {
    std::set<int> seen;
    for (const TraceRow& row : rows_) seen.insert(index(row));
    const auto by = [&] { return fmt::format("{} says {}", degrees_.source, *stated); };
    int expected = 0;
    for (const int value : seen) {
      if (value != expected) break;
      ++expected;
    }
    if (static_cast<std::size_t>(expected) < seen.size()) {
      fail(fmt::format("{} {} is missing: the rows go up to {}", column, expected, *seen.rbegin()));
    }
    if (stated && expected < *stated) {
      fail(fmt::format("{} {} is missing: {}, the rows have {}", column, expected, by(), expected));
    }
    if (stated && expected > *stated) {
      const auto surplus = std::find_if(rows_.begin(), rows_.end(),
                                        [&](const TraceRow& row) { return index(row) >= *stated; });
      fail(surplus->line, fmt::format("{} {}: {}", column, index(*surplus), by()));
    }
    return expected;
  }

  void find_steps() {
    std::set<std::int64_t> steps;
    for (const TraceRow& row : rows_) steps.insert(row.step);
    trace_.steps.assign(steps.begin(), steps.end());
  }

  [[nodiscard]] std::size_t lane_of(const TraceRow& row) const {
    const auto step = std::lower_bound(trace_.steps.begin(), trace_.steps.end(), row.step);
    return static_cast<std::size_t>(row.data_rank) * trace_.steps.size() +
           static_cast<std::size_t>(step - trace_.steps.begin());
  }

  // One recorded rank for each data rank and stage, in every step.
  void find_ranks() {
    std::set<std::pair<int, int>> places;
    std::set<std::tuple<int, int, std::int64_t>> in_steps;
    for (const TraceRow& row : rows_) {
      places.emplace(row.data_rank, row.stage);
      in_steps.emplace(row.data_rank, row.stage, row.step);
    }
    for (int data_rank = 0; data_rank < trace_.data; ++data_rank) {
      for (int stage = 0; stage < trace_.pipeline; ++stage) {
        if (!places.contains({data_rank, stage})) {
          fail(fmt::format("the rank of dp_rank {}, stage {} is missing", data_rank, stage));
        }
        for (const std::int64_t step : trace_.steps) {
          if (in_steps.contains({data_rank, stage, step})) continue;
          fail(fmt::format(
              "step {} lacks every op of dp_rank {}, stage {}; drop the step or add its rows", step,
              data_rank, stage));
        }
      }
    }
    trace_.ranks.assign(places.size(), -1);
    std::vector<std::int64_t> first_line(places.size());
    std::map<std::int64_t, std::size_t> place_of_rank;
    for (const TraceRow& row : rows_) {
      const auto place = static_cast<std::size_t>(row.data_rank * trace_.pipeline + row.stage);
      std::int64_t& rank = trace_.ranks[place];
      if (rank < 0) {
        rank = row.rank;
        first_line[place] = row.line;
        const auto [owner, fresh] = place_of_rank.emplace(rank, place);
        if (!fresh) {
          fail(row.line,
               fmt::format("rank {} is at dp_rank {}, stage {} here, elsewhere in line {}", rank,
                           row.data_rank, row.stage, first_line[owner->second]));
        }
      }
      if (rank == row.rank) continue;
      fail(row.line, fmt::format("rank {}: dp_rank {}, stage {} is rank {} in line {}", row.rank,
                                 row.data_rank, row.stage, rank, first_line[place]));
    }
  }

  void find_chunks() {
    std::set<int> chunks;
    for (const TraceRow& row : rows_) {
      if (!is_compute(row.type)) continue;
      if (row.chunk < 0)
        fail(row.line, fmt::format("mc: {} needs its model chunk, 0 or more", label(row)));
      chunks.insert(row.chunk);
    }
    if (chunks.empty()) fail("no forward-compute or backward-compute row");
    if (static_cast<std::size_t>(*chunks.rbegin()) != chunks.size() - 1) {
      fail(fmt::format("model chunks (mc) leave a gap: {} of them, the highest is {}",
                       chunks.size(), *chunks.rbegin()));
    }
    trace_.virtual_stages = *chunks.rbegin() + 1;
    if (degrees_.virtual_stages && *degrees_.virtual_stages != trace_.virtual_stages) {
      fail(fmt::format("the rows have {} model chunks (mc) per stage, {} says {}",
                       trace_.virtual_stages, degrees_.source, *degrees_.virtual_stages));
    }
  }

  // Each group of rows with one op_key must cover every lane.
  void fill() {
    const std::size_t lanes = trace_.lanes();
    trace_.start.reserve(rows_.size());
    trace_.duration.reserve(rows_.size());
    trace_.line.reserve(rows_.size());
    for (auto first = rows_.begin(); first != rows_.end();) {
      const auto last = std::find_if(
          first, rows_.end(), [&](const TraceRow& row) { return op_key(row) != op_key(*first); });
      // Sorted and without doubles, so rows and lanes walk together.
      std::size_t lane = 0;
      for (auto row = first; row != last && lane_of(*row) == lane; ++row) ++lane;
      if (lane != lanes) refuse_missing(first, last, lane);
      trace_.ops.push_back(
          {first->type, first->stage, first->sequence, first->chunk, first->global_chunk});
      for (auto row = first; row != last; ++row) {
        if (is_compute(row->type) &&
            (row->chunk != first->chunk || row->global_chunk != first->global_chunk)) {
          fail(row->line, fmt::format("{} works on another chunk (mc, gmc) than in line {}",
                                      label(*row), first->line));
        }
        trace_.start.push_back(row->start);
        trace_.duration.push_back(row->duration);
        trace_.line.push_back(row->line);
      }
      first = last;
    }
  }

  [[noreturn]] void refuse_missing(std::vector<TraceRow>::const_iterator first,
                                   std::vector<TraceRow>::const_iterator last,
                                   std::size_t lane) const {
    fail(first->line,
         fmt::format("{} is recorded for {} of {} ranks and steps; missing for {}", label(*first),
                     last - first, trace_.lanes(), trace_.lane_label(lane)));
  }

  // Sequences count from 0, and in every lane an op starts no earlier than the one before it.
  void check_sequences() const {
    for (std::size_t op = 0; op < trace_.ops.size(); ++op) {
      const TracedOp& now = trace_.ops[op];
      const bool follows =
          op > 0 && trace_.ops[op - 1].type == now.type && trace_.ops[op - 1].stage == now.stage;
      const int expected = follows ? trace_.ops[op - 1].sequence + 1 : 0;
      if (now.sequence != expected) {
        trace_.fail(op, 0,
                    fmt::format("{} {} of stage {} is missing (seq_id), in every step",
                                name_of(now.type), expected, now.stage));
      }
      if (!follows) continue;
      for (std::size_t lane = 0; lane < trace_.lanes(); ++lane) {
        const std::size_t at = op * trace_.lanes() + lane;
        const std::size_t before = at - trace_.lanes();
        if (trace_.start[at] >= trace_.start[before]) continue;
        trace_.fail(op, lane,
                    fmt::format("time goes back: {} starts at {} s, but {} in line {} at {} s",
                                trace_.label(op), trace_.start[at].count(), trace_.label(op - 1),
                                trace_.line[before], trace_.start[before].count()));
      }
    }
  }

  // Every stage runs every micro-batch of every chunk forward once and backward once.
  void check_micro_batches() {
    using Pass = std::pair<int, int>;  // chunk, micro-batch
    std::vector<std::map<Pass, std::int64_t>> lines(2 * static_cast<std::size_t>(trace_.pipeline));
    std::map<Pass, std::int64_t> all;
    const std::int64_t model_chunks = std::int64_t{trace_.virtual_stages} * trace_.pipeline;
    for (const TraceRow& row : rows_) {
      if (!is_compute(row.type) || lane_of(row) != 0) continue;
      if (row.global_chunk < 0 || row.global_chunk >= model_chunks) {
        fail(row.line, fmt::format("gmc: {} needs its chunk of the model, from 0 to {}, saw {}",
                                   label(row), model_chunks - 1, row.global_chunk));
      }
      auto& seen =
          lines[2 * static_cast<std::size_t>(row.stage) + (row.type == OpType::kBackwardCompute)];
      // Where micro-batches have no number their order stands for it.
      const int order = row.micro_batch >= 0 ? row.micro_batch : static_cast<int>(seen.size());
      const auto [first, fresh] = seen.emplace(Pass(row.chunk, order), row.line);
      if (!fresh) {
        fail(row.line, fmt::format("{}: micro-batch {} of chunk {} a second time; first in line {}",
                                   label(row), row.micro_batch, row.chunk, first->second));
      }
      all.emplace(first->first, row.line);
    }
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const OpType type = i % 2 == 0 ? OpType::kForwardCompute : OpType::kBackwardCompute;
      for (const auto& [pass, line] : all) {
        if (lines[i].contains(pass)) continue;
        fail(line, fmt::format("micro-batch {} of chunk {} is missing: stage {} has no {} of it",
                               pass.second, pass.first, i / 2, name_of(type)));
      }
    }
    const auto chunks = static_cast<std::size_t>(trace_.virtual_stages);
    if (all.size() % chunks != 0) {
      fail(fmt::format(
          "micro-batches are missing: {} forward passes per stage do not divide into {} chunks",
          all.size(), chunks));
    }
    trace_.micro_batches = static_cast<std::int64_t>(all.size() / chunks);
  }

  std::vector<TraceRow> rows_;
  const TraceDegrees& degrees_;
  StragglerTrace trace_;
};

}  // namespace

std::string StragglerTrace::label(std::size_t op) const {
  return fmt::format("{} {} of stage {}", name_of(ops[op].type), ops[op].sequence, ops[op].stage);
}

std::string StragglerTrace::lane_label(std::size_t lane) const {
  return fmt::format("dp_rank {}, step {}", lane / steps.size(), steps[lane % steps.size()]);
}

void StragglerTrace::fail(std::size_t op, std::size_t lane, const std::string& message) const {
  throw Error(ErrorKind::kInput, fmt::format("{}:{}", where, line[op * lanes() + lane]),
              fmt::format("{}: {}", lane_label(lane), message));
}

StragglerTrace parse_straggler_trace(std::istream& in, const std::string& where,
                                     const TraceDegrees& degrees) {
  return Grid(read_trace_rows(in, where), where, degrees).build();
}

StragglerTrace read_straggler_trace(const std::filesystem::path& path,
                                    const TraceDegrees& degrees) {
  std::error_code ec;
  const auto status = std::filesystem::status(path, ec);
  if (!std::filesystem::exists(status))
    throw Error(ErrorKind::kInput, path.string(), "no such file");
  // Devices and pipes could block or never end.
  if (!std::filesystem::is_regular_file(status)) {
    throw Error(ErrorKind::kInput, path.string(), "not a regular file");
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Error(ErrorKind::kInput, path.string(), "permission denied or disk error");
  return parse_straggler_trace(in, path.string(), degrees);
}

}  // namespace lindos::sim
