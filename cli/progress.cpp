// SPDX-License-Identifier: Apache-2.0
#include "cli/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace lindos::cli {

using Clock = std::chrono::steady_clock;

Progress::Progress(ProgressStyle style, std::string verb)
    : style_(style), verb_(std::move(verb)), phase_start_(Clock::now()) {
  // Without a terminal "auto" keeps only the lines that end a phase.
  if (style_ == ProgressStyle::kAuto && ::isatty(STDERR_FILENO) == 1) style_ = ProgressStyle::kBar;
}

Progress::~Progress() { clear_bar(); }

void Progress::clear_bar() {
  if (!bar_drawn_) return;
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
  bar_drawn_ = false;
}

void Progress::update(const std::string& phase, double fraction) {
  const std::lock_guard lock(mutex_);
  const Clock::time_point now = Clock::now();
  if (phase != phase_) {
    phase_ = phase;
    phase_start_ = now;
    last_drawn_ = {};
  }
  if (style_ == ProgressStyle::kNone || style_ == ProgressStyle::kAuto) return;
  if (now - last_drawn_ < std::chrono::milliseconds(100)) return;
  last_drawn_ = now;
  fraction = std::clamp(fraction, 0.0, 1.0);
  const double elapsed = std::chrono::duration<double>(now - phase_start_).count();
  // An estimate from less than a second or a twentieth of the work would only jump about.
  const bool estimable = elapsed > 1.0 && fraction > 0.05;
  const double left = estimable ? elapsed / fraction * (1.0 - fraction) : 0.0;
  if (style_ == ProgressStyle::kJson) {
    nlohmann::ordered_json line{{"event", "progress"}, {"verb", verb_}, {"phase", phase}, {"fraction", fraction}};
    if (estimable) line["remaining_s"] = left;
    fmt::print(stderr, "{}\n", line.dump());
    return;
  }
  constexpr int kWidth = 28;
  const int filled = static_cast<int>(fraction * kWidth);
  fmt::print(stderr, "\r\033[K{:<22} [{:#<{}}{:.<{}}] {:3.0f} %{}", phase, "", filled, "", kWidth - filled,
             fraction * 100.0, estimable ? fmt::format("  {:.0f} s left", left) : std::string());
  std::fflush(stderr);
  bar_drawn_ = true;
}

void Progress::warn(const std::string& text) {
  const std::lock_guard lock(mutex_);
  clear_bar();
  if (style_ == ProgressStyle::kJson) {
    fmt::print(stderr, "{}\n", nlohmann::ordered_json{{"event", "warning"}, {"verb", verb_}, {"text", text}}.dump());
  } else {
    fmt::print(stderr, "lindos: warning: {}\n", text);
  }
  std::fflush(stderr);
}

void Progress::sample(const RunSample& sample) {
  if (style_ != ProgressStyle::kJson) return;
  const std::lock_guard lock(mutex_);
  nlohmann::ordered_json subjects = nlohmann::ordered_json::object();
  for (const SampledSubject& subject : sample.subjects) {
    nlohmann::ordered_json own{{"values", subject.values}};
    // Said once: it stays so.
    auto& said = said_absent_[subject.name];
    if (said != subject.absent) own["absent"] = subject.absent;
    said = subject.absent;
    subjects[subject.name] = std::move(own);
  }
  const nlohmann::ordered_json line{{"event", "telemetry"}, {"verb", verb_},          {"t_s", sample.t_s},
                                    {"phase", sample.phase}, {"subjects", std::move(subjects)}};
  fmt::print(stderr, "{}\n", line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

void Progress::partial(const RunRecord& record) {
  if (style_ != ProgressStyle::kJson) return;
  const std::lock_guard lock(mutex_);
  const nlohmann::ordered_json line{
      {"event", "partial"}, {"verb", verb_}, {"record", nlohmann::ordered_json::parse(to_json(record, -1))}};
  fmt::print(stderr, "{}\n", line.dump());
}

void Progress::finish_phase(const std::string& summary) {
  const std::lock_guard lock(mutex_);
  clear_bar();
  if (style_ == ProgressStyle::kNone) return;
  if (style_ == ProgressStyle::kJson) {
    fmt::print(stderr, "{}\n", nlohmann::ordered_json{{"event", "phase"}, {"verb", verb_}, {"text", summary}}.dump());
    return;
  }
  fmt::print(stderr, "{}\n", summary);
  std::fflush(stderr);
}

}  // namespace lindos::cli
