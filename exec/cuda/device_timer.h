// SPDX-License-Identifier: Apache-2.0
// Device time per operator family of one rank. A step launched kernel by kernel is timed by events between families.
// A graph is timed as a whole and its time shared out as in the last step of its bucket that ran kernel by kernel:
// events inside a graph would cut the edges that let a kernel start under its predecessor's end.
#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <vector>

#include "exec/cuda/device_buffer.h"
#include "exec/telemetry/op_timer.h"

namespace lindos::exec::cuda {

class DeviceTimer {
 public:
  DeviceTimer(OpTimer& totals, const Stream& stream) : totals_(&totals), stream_(&stream) {}

  // A step by kernels: begin, then mark at the end of each family. `class_key` names steps alike.
  void begin();
  void mark(OpFamily family);
  // A step by graph: begin, launch, end.
  void end_graph();
  // After the stream has been synchronised: books the step.
  void book(std::int64_t class_key);
  // The same, but only to know how the time of such steps divides.
  void learn(std::int64_t class_key);

 private:
  static constexpr std::size_t kGraph = kOpFamilies;   // marks a graph's end
  using Families = std::array<double, kOpFamilies>;
  [[nodiscard]] double elapsed(std::size_t from, std::size_t to) const;
  [[nodiscard]] Families by_family() const;
  void record();

  OpTimer* totals_;
  const Stream* stream_;
  std::vector<Event> events_;              // grows to the longest step, reused
  std::vector<std::size_t> families_;      // [i]: what ended at events_[i + 1]
  std::size_t used_ = 0;
  std::map<std::int64_t, Families> shares_;   // by class, of a step by kernels
};

}  // namespace lindos::exec::cuda
