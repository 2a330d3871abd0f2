// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "scenarios/error.h"
#include "scenarios/json_reader.h"
#include "scenarios/run_timeline.h"

namespace lindos {

namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "lindos-timeline";
constexpr int kVersion = 1;
constexpr std::size_t kMostLanes = 10'000;
constexpr double kLongest = 1e12;  // µs, 11 days; whole nanoseconds below it are exact in a double

// Microseconds, to the nanosecond: the unit of trace events.
double microseconds(Seconds t) { return std::round(t.count() * 1e9) / 1e3; }
Seconds seconds(double us) { return Seconds(std::round(us * 1e3) / 1e9); }

Json metadata(const char* what, std::size_t pid, std::size_t tid, const std::string& name) {
  return {{"ph", "M"}, {"name", what}, {"pid", pid}, {"tid", tid}, {"args", {{"name", name}}}};
}

class Reader {
 public:
  explicit Reader(RunTimeline& timeline) : timeline_(timeline) {}

  void event(JsonObject& event) {
    const std::string phase = event.text("ph");
    if (phase == "M") return metadata(event);
    if (phase != "X" && phase != "i") event.fail("ph", "expected M, X or i, saw \"" + phase + "\"");
    TimelineSpan span;
    span.lane = lane(event);
    span.kind = kind(event);
    const bool moment = span.kind == SpanKind::kArrival;
    if (moment != (phase == "i")) event.fail("ph", "arrivals are moments (i), and nothing else is");
    span.name = event.text("name");
    span.start = seconds(event.number("ts", 0.0, kLongest));
    if (moment) {
      static_cast<void>(event.text("s"));  // how far the mark reaches, for the viewers
    } else {
      span.duration = seconds(event.number("dur", 0.0, kLongest));
    }
    JsonObject args = event.object("args");
    span.cause = args.text("cause");
    args.finish();
    if (timeline_.spans.size() == kMostSpans)
      event.fail("", "more than " + std::to_string(kMostSpans) + " spans: more than Lindos writes");
    timeline_.spans.push_back(std::move(span));
  }

 private:
  void metadata(JsonObject& event) {
    const std::string what = event.text("name");
    const auto pid = static_cast<std::size_t>(event.integer("pid", 1));
    const auto tid = static_cast<std::size_t>(event.integer("tid", 1));
    JsonObject args = event.object("args");
    const std::string name = args.text("name");
    args.finish();
    if (what == "process_name") {
      if (pid != groups_ + 1)
        event.fail("pid", "expected " + std::to_string(groups_ + 1) + ": groups count from 1");
      ++groups_;
      group_ = name;
      return;
    }
    if (what != "thread_name")
      event.fail("name", "expected process_name or thread_name, saw \"" + what + "\"");
    if (groups_ == 0 || pid != groups_)
      event.fail("pid", "the lane belongs to the group that was named last");
    if (tid != timeline_.lanes.size() + 1)
      event.fail("tid",
                 "expected " + std::to_string(timeline_.lanes.size() + 1) + ": lanes count from 1");
    if (timeline_.lanes.size() == kMostLanes)
      event.fail("", "more than " + std::to_string(kMostLanes) + " lanes");
    timeline_.lanes.push_back({group_, name});
    groups_of_lanes_.push_back(groups_);
  }

  std::uint32_t lane(JsonObject& event) {
    const auto pid = static_cast<std::size_t>(event.integer("pid", 1));
    const auto tid = static_cast<std::size_t>(event.integer("tid", 1));
    if (tid > timeline_.lanes.size() || groups_of_lanes_[tid - 1] != pid)
      event.fail("tid", "no lane of this number was named");
    return static_cast<std::uint32_t>(tid - 1);
  }

  static SpanKind kind(JsonObject& event) {
    const std::string name = event.text("cat");
    std::vector<std::string> known;
    for (const SpanKindInfo& info : span_kinds()) {
      if (info.name == name) return info.kind;
      known.emplace_back(info.name);
    }
    event.fail("cat", "unknown kind of span \"" + name + "\"" + did_you_mean(name, known));
  }

  RunTimeline& timeline_;
  std::size_t groups_ = 0;
  std::string group_;
  std::vector<std::size_t> groups_of_lanes_;
};

}  // namespace

std::string to_json(const RunTimeline& timeline) {
  const Json head = {{"format", kFormat},
                     {"version", kVersion},
                     {"source", name_of(timeline.source)},
                     {"scenario_name", timeline.scenario_name},
                     {"scenario_digest", timeline.scenario_digest},
                     {"plan_name", timeline.plan_name},
                     {"plan_digest", timeline.plan_digest},
                     {"profile_digest", timeline.profile_digest},
                     {"fidelity", timeline.fidelity},
                     {"seed", timeline.seed},
                     {"what", timeline.what},
                     {"cut", timeline.cut},
                     {"displayTimeUnit", "ms"}};
  std::string out = head.dump(2);
  out.erase(out.size() - 2);  // "\n}": the events follow
  out += ",\n  \"traceEvents\": [";
  bool first = true;
  const auto add = [&](const Json& event) {
    out += first ? "\n" : ",\n";
    first = false;
    out += event.dump();
  };
  std::vector<std::size_t> group_of;  // of each lane
  for (std::size_t i = 0; i < timeline.lanes.size(); ++i) {
    const bool same = i > 0 && timeline.lanes[i].group == timeline.lanes[i - 1].group;
    const std::size_t group = (group_of.empty() ? 0 : group_of.back()) + (same ? 0 : 1);
    if (!same) add(metadata("process_name", group, i + 1, timeline.lanes[i].group));
    group_of.push_back(group);
    add(metadata("thread_name", group, i + 1, timeline.lanes[i].name));
  }
  for (const TimelineSpan& span : timeline.spans) {
    Json event = {{"ph", span.kind == SpanKind::kArrival ? "i" : "X"},
                  {"pid", group_of[span.lane]},
                  {"tid", span.lane + 1},
                  {"ts", microseconds(span.start)}};
    if (span.kind == SpanKind::kArrival) {
      event["s"] = "t";
    } else {
      event["dur"] = microseconds(span.duration);
    }
    event["cat"] = info_of(span.kind).name;
    event["name"] = span.name;
    event["args"] = {{"cause", span.cause}};
    add(event);
  }
  return out + "\n  ]\n}\n";
}

RunTimeline run_timeline_from_json(std::string_view text, const std::string& where) {
  const nlohmann::json document = parse_json(text, where);
  JsonObject root(document, "", where);
  root.format(kFormat, kVersion, kVersion);
  RunTimeline timeline;
  const std::string source = root.text("source");
  const std::optional<RunSource> known = find_run_source(source);
  if (!known) root.fail("source", "expected predicted or measured, saw \"" + source + "\"");
  timeline.source = *known;
  timeline.scenario_name = root.text("scenario_name");
  timeline.scenario_digest = root.text("scenario_digest");
  timeline.plan_name = root.text("plan_name");
  timeline.plan_digest = root.text("plan_digest");
  timeline.profile_digest = root.text("profile_digest");
  timeline.fidelity = root.text("fidelity");
  timeline.seed = root.unsigned_integer("seed");
  timeline.what = root.text("what");
  timeline.cut = root.text("cut");
  static_cast<void>(root.text("displayTimeUnit"));
  Reader reader(timeline);
  for (JsonObject& event : root.objects("traceEvents")) {
    reader.event(event);
    event.finish();
  }
  root.finish();
  std::stable_sort(timeline.spans.begin(), timeline.spans.end(),
                   [](const TimelineSpan& a, const TimelineSpan& b) {
                     return a.lane != b.lane ? a.lane < b.lane : a.start < b.start;
                   });
  return timeline;
}

}  // namespace lindos
