// SPDX-License-Identifier: Apache-2.0
// A run as spans on lanes: what each pipeline stage and each request did when, and what it waited
// for. Written as trace-event JSON ("Trace Event Format", Google 2016), which ui.perfetto.dev and
// chrome://tracing open as it is; read back strictly, for the desktop. Bounded: what is left out is
// said in `cut`. docs/formats.md has the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/run_record.h"
#include "scenarios/units.h"

namespace lindos {

enum class SpanKind : std::uint8_t {
  // one training step, per stage
  kForward,
  kBackward,
  kBubble,
  kStepWait,
  kExchange,
  kOptimizer,
  kLinkSharing,
  // serving, per request
  kArrival,
  kQueued,
  kPrefill,
  kDecode,
  // serving, per stage
  kPrefillStep,
  kDecodeStep,
  kSend,
};
inline constexpr std::size_t kSpanKinds = 14;

struct SpanKindInfo {
  SpanKind kind;
  std::string_view name;  // in files
  std::string_view label;
  std::string_view sentence;  // what it is
};
[[nodiscard]] const std::vector<SpanKindInfo>& span_kinds();  // in the order of the enumeration
[[nodiscard]] const SpanKindInfo& info_of(SpanKind kind);

struct TimelineSpan {
  std::uint32_t lane = 0;  // position in RunTimeline::lanes
  SpanKind kind = SpanKind::kForward;
  Seconds start{0};     // since the run or the step began
  Seconds duration{0};  // 0: a moment, such as an arrival
  std::string name;     // "forward of micro-batch 3"
  std::string cause;    // why it starts when it does, or what it waits for; may be empty
  [[nodiscard]] Seconds end() const { return start + duration; }
  bool operator==(const TimelineSpan&) const = default;
};

// Lanes of one group stand together and in order.
struct TimelineLane {
  std::string group;  // "h100 replica 12: stages"
  std::string name;   // "stage 3"
  bool operator==(const TimelineLane&) const = default;
};

struct RunTimeline {
  RunSource source = RunSource::kPredicted;
  std::string scenario_name, scenario_digest, plan_name, plan_digest, profile_digest, fidelity;
  std::uint64_t seed = 0;
  std::string what;  // "one training step: draw 108 of 200, the one with the median time"
  std::string cut;   // what is left out and why; empty: nothing
  std::vector<TimelineLane> lanes;
  std::vector<TimelineSpan> spans;    // by lane, then by start
  [[nodiscard]] Seconds end() const;  // of the last span
  bool operator==(const RunTimeline&) const = default;
};

// So many spans a timeline holds at most; a file of them has some 6 MB.
inline constexpr std::size_t kMostSpans = 30'000;
// Sorts the spans, keeps those that start first, and says in `cut` what it left out.
void limit_spans(RunTimeline& timeline, std::size_t most = kMostSpans);

// REQUIRES: spans sorted as above, lanes of a group together.
[[nodiscard]] std::string to_json(const RunTimeline& timeline);
// Throws Error{kInput} with the place for anything that to_json would not have written: another
// format, unknown lanes or kinds, times that are negative or not finite, more than kMostSpans
// spans.
[[nodiscard]] RunTimeline run_timeline_from_json(std::string_view text, const std::string& where);

}  // namespace lindos
