// SPDX-License-Identifier: Apache-2.0
#include "exec/telemetry/measured_timeline.h"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "scenarios/error.h"
#include "scenarios/text_layout.h"
#include "scenarios/timeline.h"

namespace lindos::exec {

namespace {

constexpr std::size_t kRequests = 200;

std::size_t median_of(const std::vector<EngineRun>& runs) {
  std::vector<std::size_t> order(runs.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return runs[a].wall < runs[b].wall; });
  return order[(order.size() - 1) / 2];
}

void add(RunTimeline& timeline, std::uint32_t lane, SpanKind kind, Seconds from, Seconds to, std::string name,
         std::string cause) {
  if (to < from) return;
  timeline.spans.push_back({lane, kind, from, to - from, std::move(name), std::move(cause)});
}

// With a pipeline as many steps are in flight as it has stages: each has a lane, or spans of a lane would overlap.
void add_steps(RunTimeline& timeline, const EngineRun& run, std::size_t stages) {
  for (std::size_t s = 0; s < stages; ++s)
    timeline.lanes.push_back({"steps", stages == 1 ? "steps" : fmt::format("in flight {}", s)});
  for (std::size_t i = 0; i < run.step_times.size(); ++i) {
    std::int64_t prompts = 0;
    std::int64_t prompt_tokens = 0;
    std::int64_t decodes = 0;
    for (const Slice& slice : run.steps[i]) {
      if (slice.is_decode()) {
        ++decodes;
      } else {
        ++prompts;
        prompt_tokens += slice.tokens;
      }
    }
    add(timeline, static_cast<std::uint32_t>(i % stages),
        prompts > 0 ? SpanKind::kPrefillStep : SpanKind::kDecodeStep, run.step_starts[i],
        run.step_starts[i] + run.step_times[i], fmt::format("step {}", i + 1),
        prompts == 0 ? plural(decodes, "decode")
                     : fmt::format("{} of {} and {}", plural(prompt_tokens, "token"), plural(prompts, "prompt"),
                                   plural(decodes, "decode")));
  }
}

void add_request(RunTimeline& timeline, const EngineRun& run, const RequestTimeline& request) {
  const auto lane = static_cast<std::uint32_t>(timeline.lanes.size());
  const std::string name = fmt::format("request {}", request.id);
  timeline.lanes.push_back({"requests", name});
  if (request.turned_away()) {
    timeline.spans.push_back({lane, SpanKind::kArrival, request.arrival, Seconds{0}, name,
                              fmt::format("{} in; turned away by the plan's admission limits",
                                          plural(request.prompt_tokens, "token"))});
    return;
  }
  const RequestTimes times = times_of(request);
  timeline.spans.push_back({lane, SpanKind::kArrival, request.arrival, Seconds{0}, name,
                            fmt::format("{} in, {} out", plural(request.prompt_tokens, "token"),
                                        plural(times.tokens, "token"))});
  const auto first = run.first_step.find(request.id);
  if (first == run.first_step.end()) return;
  const Seconds begin = run.step_starts[first->second];
  add(timeline, lane, SpanKind::kQueued, request.arrival, begin, name + " queued",
      fmt::format("until step {}", first->second + 1));
  add(timeline, lane, SpanKind::kPrefill, begin, times.first, name + " prefill",
      fmt::format("{} from step {} on", plural(request.prompt_tokens, "token"), first->second + 1));
  if (times.tokens < 2) return;
  add(timeline, lane, SpanKind::kDecode, times.first, times.last, name + " decode",
      fmt::format("{}, one in {} ms on average", plural(times.tokens, "token"),
                  number_text(times.tpot().count() * 1e3, 4)));
}

}  // namespace

RunTimeline measured_timeline(const std::vector<EngineRun>& runs, std::size_t stages) {
  LINDOS_ASSERT(!runs.empty() && stages > 0, "a measured run has repeats and stages");
  const std::size_t shown = median_of(runs);
  const EngineRun& run = runs[shown];
  RunTimeline timeline;
  timeline.source = RunSource::kMeasured;
  timeline.fidelity = "engine";
  timeline.what = runs.size() == 1 ? "the run, as its driver saw it"
                                   : fmt::format("repeat {} of {}, the one with the median time, as its driver saw it",
                                                 shown + 1, runs.size());
  add_steps(timeline, run, stages);
  const std::vector<RequestTimeline>& requests = run.outcome.timelines;
  for (std::size_t i = 0; i < std::min(requests.size(), kRequests); ++i) add_request(timeline, run, requests[i]);
  if (requests.size() > kRequests)
    timeline.cut = fmt::format("the first {} of {} requests", kRequests,
                               with_thousands(static_cast<std::int64_t>(requests.size())));
  limit_spans(timeline, kMostMeasuredSpans);
  return timeline;
}

}  // namespace lindos::exec
