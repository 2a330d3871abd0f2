// SPDX-License-Identifier: GPL-3.0-or-later
// A timeline as it is looked at: rows (titles of groups and lanes), the span under a place, what is
// drawn of a lane at a zoom, and the spans in view as a table. No widgets. Times in seconds.
#pragma once

#include <QString>
#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "gui/models/table_model.h"
#include "scenarios/run_timeline.h"

namespace lindos::gui {

struct TimelineRow {
  int lane = -1;  // −1: the title of a group
  QString text;
};

// A bar to be drawn: one span, or so many shorter than a pixel, in the kind that fills most of that
// pixel.
struct TimelineBar {
  double from = 0.0, to = 0.0;
  SpanKind kind = SpanKind::kForward;
  std::optional<std::size_t> span;  // position in RunTimeline::spans; none: several
};

class TimelineView {
 public:
  // REQUIRES: spans by lane and start.
  explicit TimelineView(std::shared_ptr<const RunTimeline> timeline);

  [[nodiscard]] const RunTimeline& timeline() const { return *timeline_; }
  [[nodiscard]] const std::vector<TimelineRow>& rows() const { return rows_; }
  [[nodiscard]] double end() const { return end_; }
  // The title above a row; of a title itself.
  [[nodiscard]] QString group_of_row(std::size_t row) const;
  [[nodiscard]] int row_of_lane(std::size_t lane) const { return row_of_lane_[lane]; }

  // Of a lane, what lies in [from, to] when a pixel is `pixel` long, in order. Moments are not
  // among it.
  [[nodiscard]] std::vector<TimelineBar> bars(std::size_t lane, double from, double to,
                                              double pixel) const;
  // Moments of a lane, such as arrivals.
  [[nodiscard]] std::vector<std::size_t> moments(std::size_t lane, double from, double to) const;
  // The span of the lane at `time`, or the nearest whose edge is within `reach`.
  [[nodiscard]] std::optional<std::size_t> span_at(std::size_t lane, double time,
                                                   double reach) const;
  // The span `by` further in its lane, if there is one.
  [[nodiscard]] std::optional<std::size_t> neighbour(std::size_t span, int by) const;
  // The span of the next lane (by = ±1) at about the same time.
  [[nodiscard]] std::optional<std::size_t> across(std::size_t span, int by) const;

  // The next span after `after` whose name, lane or group has the text, round to the first.
  [[nodiscard]] std::optional<std::size_t> find(const QString& text,
                                                std::optional<std::size_t> after) const;

  // Spans that touch [from, to]; at most so many rows. Keys are positions in RunTimeline::spans.
  static constexpr std::size_t kMostRows = 2000;
  [[nodiscard]] Table table(double from, double to) const;
  // Spans that touch [from, to].
  [[nodiscard]] std::size_t count(double from, double to) const;

 private:
  // First span of the lane that ends after `from`.
  [[nodiscard]] std::size_t first_after(std::size_t lane, double from) const;

  std::shared_ptr<const RunTimeline> timeline_;
  std::vector<TimelineRow> rows_;
  std::vector<int> row_of_lane_;
  std::vector<std::size_t> begin_;  // of each lane in spans, and the end
  double end_ = 0.0;
};

// The spans of `second` below those of `first`, on one axis of time, each group behind the name of its own; one of them alone
// as it is. REQUIRES: not both null.
[[nodiscard]] std::shared_ptr<const RunTimeline> joined(const std::shared_ptr<const RunTimeline>& first,
                                                        const std::shared_ptr<const RunTimeline>& second,
                                                        const QString& first_name, const QString& second_name);

// "1.234 s", "12.34 ms", "56.7 µs".
[[nodiscard]] QString span_time_text(Seconds time);

}  // namespace lindos::gui
