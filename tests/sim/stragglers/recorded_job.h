// SPDX-License-Identifier: Apache-2.0
// Small recorded jobs as trace text: rows by hand, or a whole pipeline from its passes.
#pragma once

#include <cstdint>
#include <map>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include "sim/stragglers/straggler_trace.h"

namespace lindos::sim::recorded {

inline constexpr const char* kHeader =
    "dp_rank,stage,rank,step,optype,start_ts,duration,seq_id,mc,mb_id,gmc\n";

// Rows of one job; sequence numbers follow the order of adding.
class Job {
 public:
  explicit Job(int stages) : stages_(stages) {}

  void op(int data_rank, int stage, const std::string& type, double start, double duration,
          int chunk = -1, int micro_batch = -1, int global_chunk = -1) {
    const int sequence = next_[{data_rank, stage, step_, type}]++;
    std::ostringstream row;
    row.precision(17);
    row << data_rank << ',' << stage << ',' << data_rank * stages_ + stage << ',' << step_ << ','
        << type << ',' << start << ',' << duration << ',' << sequence << ',' << chunk << ','
        << micro_batch << ',' << global_chunk << '\n';
    text_ += row.str();
  }
  void pass(int data_rank, int stage, bool backward, int chunk, int micro_batch, double start,
            double duration) {
    op(data_rank, stage, backward ? "backward-compute" : "forward-compute", start, duration, chunk,
       micro_batch, chunk * stages_ + stage);
  }
  void step(std::int64_t number) { step_ = number; }
  [[nodiscard]] std::string csv() const { return kHeader + text_; }

 private:
  int stages_;
  std::int64_t step_ = 1;
  std::map<std::tuple<int, int, std::int64_t, std::string>, int> next_;
  std::string text_;
};

inline StragglerTrace parse(const std::string& csv, const TraceDegrees& degrees = {}) {
  std::istringstream in(csv);
  return parse_straggler_trace(in, "trace.csv", degrees);
}

}  // namespace lindos::sim::recorded
