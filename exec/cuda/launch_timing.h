// SPDX-License-Identifier: Apache-2.0
// Timing on the device: launches captured into a graph, replayed, the median over the replays.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "exec/cuda/device_buffer.h"
#include "kernels/cuda/elementwise.h"

namespace lindos::exec::cuda {

struct Timed {
  double median_s = 0.0;  // of one launch
  double best_s = 0.0;
  double worst_s = 0.0;
  double spread = 0.0;  // standard deviation of log(time) between the replays, by their quartiles
};

// `launch(i)` for i in [0, launches) is captured once and replayed. The first also runs before: what a library loads or
// sets up at a first call may not happen during a capture.
inline Timed time_launches(const Stream& stream, int launches, const std::function<void(int)>& launch,
                           int replays = 12) {
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  launch(0);
  stream.synchronise("a first launch");
  check(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeThreadLocal), "capture");
  for (int i = 0; i < launches; ++i) launch(i);
  check(cudaStreamEndCapture(stream.get(), &graph), "capture");
  check(cudaGraphInstantiate(&executable, graph, 0), "instantiation");
  std::vector<Event> events;
  for (int i = 0; i <= replays; ++i) events.emplace_back(true);
  for (int i = 0; i < 2; ++i) check(cudaGraphLaunch(executable, stream.get()), "warm-up");
  events[0].record(stream);
  for (int i = 0; i < replays; ++i) {
    check(cudaGraphLaunch(executable, stream.get()), "replay");
    events[static_cast<std::size_t>(i) + 1].record(stream);
  }
  stream.synchronise("replays");
  std::vector<double> seconds;
  for (int i = 0; i < replays; ++i) {
    float ms = 0.0F;
    const auto at = static_cast<std::size_t>(i);
    check(cudaEventElapsedTime(&ms, events[at].get(), events[at + 1].get()), "timing");
    seconds.push_back(static_cast<double>(ms) * 1e-3 / launches);
  }
  (void)cudaGraphExecDestroy(executable);
  (void)cudaGraphDestroy(graph);
  std::sort(seconds.begin(), seconds.end());
  constexpr double kQuartilesOfNormal = 1.349;  // distance of the quartiles in standard deviations
  const std::size_t n = seconds.size();
  return {seconds[n / 2], seconds.front(), seconds.back(),
          std::log(seconds[n - 1 - n / 4] / seconds[n / 4]) / kQuartilesOfNormal};
}

// Random numbers (deviation about 1): on zeros the arithmetic units draw less power and run faster.
inline DeviceBuffer random_numbers(kernels::cuda::Element element, std::int64_t elements, std::uint64_t seed, const Stream& stream,
                                   float deviation = 1.0F) {
  DeviceBuffer buffer(static_cast<std::size_t>(elements) * sizeof(kernels::cuda::Number));
  // Deviation of the sum of four 16-bit uniforms: sqrt(4 · 65536² / 12) = 37,837.
  kernels::cuda::fill_synthetic(element, buffer.as<kernels::cuda::Number>(), seed, deviation / 37837.0F, 0, 1, elements, 0, elements,
                                {stream.get(), false});
  stream.synchronise("random data");
  return buffer;
}

}  // namespace lindos::exec::cuda
