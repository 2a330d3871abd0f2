// SPDX-License-Identifier: Apache-2.0
#include "sim/serving/serving_timeline.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "scenarios/text_layout.h"
#include "scenarios/timeline.h"
#include "sim/maxplus.h"

namespace lindos::sim {

namespace {

// Requests shown of a replica, and groups whose replica is shown.
constexpr std::size_t kRequests = 200;
constexpr std::size_t kMostGroups = 4;

std::string counted(std::int64_t n, const char* noun) {
  return with_thousands(n) + " " + noun + (n == 1 ? "" : "s");
}

struct WatchedStep {
  std::uint64_t id = 0;
  Seconds start{0};
  std::int64_t prompts = 0, prompt_tokens = 0, decodes = 0;
  struct OnStage {
    Seconds begin{0}, computed{0}, sent{0};
  };
  std::vector<OnStage> stages;
};

// What the steps were, and which of them computed the prompt of each request watched.
class StepLog final : public ServingWatch {
 public:
  struct Prompt {
    std::size_t first = 0;  // position in steps()
    std::int64_t chunks = 0;
    std::int64_t preemptions = 0;
  };
  explicit StepLog(const std::vector<RequestSpec>& requests) {
    for (std::size_t i = 0; i < std::min(requests.size(), kRequests); ++i)
      watched_.emplace(requests[i].id, Prompt{});
  }

  void step_started(const scheduler::Step& step, Seconds at) override {
    WatchedStep seen;
    seen.id = step.id;
    seen.start = at;
    for (const scheduler::StepSlice& slice : step.slices) {
      if (slice.is_decode) {
        ++seen.decodes;
        continue;
      }
      ++seen.prompts;
      seen.prompt_tokens += static_cast<std::int64_t>(slice.tokens.size());
      const auto found = watched_.find(slice.request);
      if (found == watched_.end()) continue;
      Prompt& prompt = found->second;
      if (prompt.chunks++ == 0) prompt.first = steps_.size();
    }
    for (const scheduler::RequestId id : step.preempted) {
      if (const auto found = watched_.find(id); found != watched_.end())
        ++found->second.preemptions;
    }
    steps_.push_back(std::move(seen));
  }
  void stage_done(std::size_t /*stage*/, Seconds begin, Seconds computed, Seconds sent) override {
    steps_.back().stages.push_back({begin, computed, sent});
  }

  [[nodiscard]] const std::vector<WatchedStep>& steps() const { return steps_; }
  [[nodiscard]] const Prompt& prompt_of(std::uint64_t request) const {
    return watched_.at(request);
  }

 private:
  std::unordered_map<std::uint64_t, Prompt> watched_;
  std::vector<WatchedStep> steps_;
};

class Lanes {
 public:
  Lanes(RunTimeline& timeline, const StepLog& log) : timeline_(timeline), log_(log) {}

  void add_stages(const std::string& group, std::size_t stages, Seconds until) {
    const std::uint32_t first = lane_count();
    for (std::size_t s = 0; s < stages; ++s)
      timeline_.lanes.push_back({group + ": stages", fmt::format("stage {}", s)});
    for (const WatchedStep& step : log_.steps()) {
      if (step.start >= until) break;
      const std::string name = fmt::format("step {}", step.id);
      const std::string holds =
          step.prompts == 0
              ? counted(step.decodes, "decode")
              : fmt::format("{} of {} and {}", counted(step.prompt_tokens, "token"),
                            counted(step.prompts, "prompt"), counted(step.decodes, "decode"));
      for (std::size_t s = 0; s < step.stages.size(); ++s) {
        const WatchedStep::OnStage& on = step.stages[s];
        const std::uint32_t lane = first + static_cast<std::uint32_t>(s);
        add(lane, step.prompts > 0 ? SpanKind::kPrefillStep : SpanKind::kDecodeStep, on.begin,
            on.computed, name, holds);
        add(lane, SpanKind::kSend, on.computed, on.sent, fmt::format("{} sends", name),
            s + 1 < step.stages.size() ? fmt::format("activations to stage {}", s + 1)
                                       : std::string("sampled tokens to stage 0"));
      }
    }
  }

  void add_request(const std::string& group, const RequestTimeline& request) {
    const std::uint32_t lane = lane_count();
    timeline_.lanes.push_back({group + ": requests", fmt::format("request {}", request.id)});
    const std::string name = fmt::format("request {}", request.id);
    const StepLog::Prompt& prompt = log_.prompt_of(request.id);
    const WatchedStep& first = log_.steps()[prompt.first];
    const RequestTimes times = times_of(request);
    timeline_.spans.push_back({lane, SpanKind::kArrival, request.arrival, Seconds(0), name,
                               fmt::format("{} in, {} out", counted(request.prompt_tokens, "token"),
                                           counted(times.tokens, "token"))});
    add(lane, SpanKind::kQueued, request.arrival, first.start, fmt::format("{} queued", name),
        why_queued(request.arrival, prompt));
    add(lane, SpanKind::kPrefill, first.start, times.first, fmt::format("{} prefill", name),
        fmt::format("{} in {} from step {} on; with {} in the first of them{}",
                    counted(request.prompt_tokens, "token"), counted(prompt.chunks, "step"),
                    first.id, counted(first.decodes, "decode"),
                    prompt.preemptions > 0
                        ? fmt::format("; preempted {}, its prompt was computed again",
                                      counted(prompt.preemptions, "time"))
                        : std::string()));
    if (times.tokens < 2) return;
    add(lane, SpanKind::kDecode, times.first, times.last, fmt::format("{} decode", name),
        fmt::format("{}, one in {} ms on average", counted(times.tokens, "token"),
                    number_text(times.tpot().count() * 1e3, 4)));
  }

 private:
  [[nodiscard]] std::uint32_t lane_count() const {
    return static_cast<std::uint32_t>(timeline_.lanes.size());
  }

  // Whether steps went by without it: then the batch or its memory was full.
  [[nodiscard]] std::string why_queued(Seconds arrival, const StepLog::Prompt& prompt) const {
    const auto& steps = log_.steps();
    const auto next =
        std::lower_bound(steps.begin(), steps.end(), arrival,
                         [](const WatchedStep& step, Seconds t) { return step.start < t; });
    const auto missed = static_cast<std::int64_t>(prompt.first) - (next - steps.begin());
    if (missed <= 0) return fmt::format("until step {}, the next to start", steps[prompt.first].id);
    return fmt::format(
        "until step {}: {} started without it, for want of places, tokens of a step or KV blocks",
        steps[prompt.first].id, counted(missed, "step"));
  }

  void add(std::uint32_t lane, SpanKind kind, Seconds from, Seconds to, std::string name,
           std::string cause) {
    if (to <= from) return;
    timeline_.spans.push_back({lane, kind, from, to - from, std::move(name), std::move(cause)});
  }

  RunTimeline& timeline_;
  const StepLog& log_;
};

}  // namespace

RunTimeline serving_timeline(Fleet& fleet, const Scenario& scenario,
                             const std::vector<std::vector<RequestSpec>>& requests,
                             const PredictOptions& options) {
  RunTimeline timeline;
  timeline.scenario_name = scenario.name;
  timeline.scenario_digest = digest(scenario);
  timeline.plan_name = scenario.plan.name;
  timeline.plan_digest = digest(scenario.plan);
  timeline.fidelity = name_of(options.fidelity);
  timeline.seed = options.seed;
  timeline.what =
      "the first requests of one replica of each group; max-plus times, without sharing of links";
  std::size_t shown = 0;
  for (std::size_t g = 0; g < fleet.groups.size() && shown < kMostGroups; ++g) {
    const std::vector<RequestSpec>& own = requests[g];
    if (own.empty()) continue;
    ++shown;
    ServingGroup& group = fleet.groups[g];
    StepLog log(own);
    const ServingRun run =
        serve_maxplus(group.replica, group.limits, own, Draw{}, options.cancelled, &log);
    const std::size_t watched = std::min(own.size(), kRequests);
    Seconds until{std::numeric_limits<double>::infinity()};
    if (watched < own.size()) {
      until = Seconds(0);
      for (std::size_t i = 0; i < watched; ++i)
        until = std::max(until, run.timelines[i].token_times.back());
    }
    const std::string name = group.plan.name + ", one replica";
    Lanes lanes(timeline, log);
    lanes.add_stages(name, group.replica.stages(), until);
    for (std::size_t i = 0; i < watched; ++i) lanes.add_request(name, run.timelines[i]);
    const auto all = static_cast<std::int64_t>(own.size());
    const auto replicas = static_cast<std::int64_t>(replicas_of(group.plan));
    std::string cut;
    if (static_cast<std::int64_t>(watched) < all)
      cut = fmt::format("the first {} of {} requests", watched, with_thousands(all));
    if (replicas > 1)
      cut +=
          fmt::format("{}one of {} replicas", cut.empty() ? "" : " of ", with_thousands(replicas));
    if (!cut.empty())
      timeline.cut +=
          fmt::format("{}{}: {}", timeline.cut.empty() ? "" : "; ", group.plan.name, cut);
  }
  limit_spans(timeline);
  return timeline;
}

}  // namespace lindos::sim
