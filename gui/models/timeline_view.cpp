// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/models/timeline_view.h"

#include <QObject>
#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "gui/models/cells.h"
#include "gui/models/format.h"

namespace lindos::gui {

TimelineView::TimelineView(std::shared_ptr<const RunTimeline> timeline)
    : timeline_(std::move(timeline)) {
  const std::vector<TimelineSpan>& spans = timeline_->spans;
  std::size_t next = 0;
  for (std::size_t lane = 0; lane < timeline_->lanes.size(); ++lane) {
    const TimelineLane& own = timeline_->lanes[lane];
    if (lane == 0 || own.group != timeline_->lanes[lane - 1].group)
      rows_.push_back({-1, QString::fromStdString(own.group)});
    row_of_lane_.push_back(static_cast<int>(rows_.size()));
    rows_.push_back({static_cast<int>(lane), QString::fromStdString(own.name)});
    begin_.push_back(next);
    while (next < spans.size() && spans[next].lane == lane) ++next;
  }
  begin_.push_back(next);
  end_ = timeline_->end().count();
}

QString TimelineView::group_of_row(std::size_t row) const {
  while (row > 0 && rows_[row].lane >= 0) --row;
  return rows_[row].text;
}

std::size_t TimelineView::first_after(std::size_t lane, double from) const {
  const auto first = timeline_->spans.begin() + static_cast<std::ptrdiff_t>(begin_[lane]);
  const auto last = timeline_->spans.begin() + static_cast<std::ptrdiff_t>(begin_[lane + 1]);
  // Spans of a lane follow each other, so that their ends are in order too.
  const auto found = std::partition_point(
      first, last, [&](const TimelineSpan& s) { return s.end().count() < from; });
  return static_cast<std::size_t>(found - timeline_->spans.begin());
}

std::vector<TimelineBar> TimelineView::bars(std::size_t lane, double from, double to,
                                            double pixel) const {
  std::vector<TimelineBar> out;
  std::array<double, kSpanKinds> filled{};
  double pixel_from = 0.0;
  std::size_t merged = 0;
  std::size_t last_merged = 0;
  const auto flush = [&] {
    if (merged == 0) return;
    const auto most = std::max_element(filled.begin(), filled.end());
    TimelineBar bar{pixel_from, pixel_from + pixel, static_cast<SpanKind>(most - filled.begin()),
                    std::nullopt};
    if (merged == 1) bar.span = last_merged;
    out.push_back(bar);
    filled.fill(0.0);
    merged = 0;
  };
  for (std::size_t i = first_after(lane, from); i < begin_[lane + 1]; ++i) {
    const TimelineSpan& span = timeline_->spans[i];
    const double start = span.start.count();
    if (start > to) break;
    if (span.kind == SpanKind::kArrival) continue;
    if (span.duration.count() >= pixel) {
      flush();
      out.push_back({start, span.end().count(), span.kind, i});
      continue;
    }
    const double own_pixel = from + std::floor((start - from) / pixel) * pixel;
    if (merged > 0 && own_pixel > pixel_from + pixel * 0.5) flush();
    pixel_from = own_pixel;
    filled[static_cast<std::size_t>(span.kind)] += std::max(span.duration.count(), 1e-15);
    ++merged;
    last_merged = i;
  }
  flush();
  return out;
}

std::vector<std::size_t> TimelineView::moments(std::size_t lane, double from, double to) const {
  std::vector<std::size_t> out;
  for (std::size_t i = first_after(lane, from); i < begin_[lane + 1]; ++i) {
    const TimelineSpan& span = timeline_->spans[i];
    if (span.start.count() > to) break;
    if (span.kind == SpanKind::kArrival) out.push_back(i);
  }
  return out;
}

std::optional<std::size_t> TimelineView::span_at(std::size_t lane, double time,
                                                 double reach) const {
  std::optional<std::size_t> nearest;
  double least = reach;
  for (std::size_t i = first_after(lane, time - reach); i < begin_[lane + 1]; ++i) {
    const TimelineSpan& span = timeline_->spans[i];
    const double start = span.start.count();
    const double end = span.end().count();
    if (start > time + reach) break;
    if (span.kind != SpanKind::kArrival && start <= time && time < end) return i;
    const double distance = std::min(std::abs(start - time), std::abs(end - time));
    if (distance > least) continue;
    least = distance;
    nearest = i;
  }
  return nearest;
}

std::optional<std::size_t> TimelineView::neighbour(std::size_t span, int by) const {
  const std::size_t lane = timeline_->spans[span].lane;
  if (by < 0) return span > begin_[lane] ? std::optional(span - 1) : std::nullopt;
  return span + 1 < begin_[lane + 1] ? std::optional(span + 1) : std::nullopt;
}

std::optional<std::size_t> TimelineView::across(std::size_t span, int by) const {
  const TimelineSpan& own = timeline_->spans[span];
  const double middle = (own.start + own.duration * 0.5).count();
  for (auto lane = static_cast<std::ptrdiff_t>(own.lane) + by;
       lane >= 0 && lane < static_cast<std::ptrdiff_t>(timeline_->lanes.size()); lane += by) {
    const auto l = static_cast<std::size_t>(lane);
    if (begin_[l] == begin_[l + 1]) continue;
    return std::min(first_after(l, middle), begin_[l + 1] - 1);
  }
  return std::nullopt;
}

std::optional<std::size_t> TimelineView::find(const QString& text,
                                              std::optional<std::size_t> after) const {
  const QString wanted = text.trimmed();
  const std::size_t all = timeline_->spans.size();
  for (std::size_t n = 0; n < all && !wanted.isEmpty(); ++n) {
    const std::size_t i = ((after ? *after + 1 : 0) + n) % all;
    const TimelineSpan& span = timeline_->spans[i];
    const TimelineLane& lane = timeline_->lanes[span.lane];
    const QString all_text = QString::fromStdString(lane.group + " " + lane.name + " " + span.name);
    if (all_text.contains(wanted, Qt::CaseInsensitive)) return i;
  }
  return std::nullopt;
}

std::size_t TimelineView::count(double from, double to) const {
  return static_cast<std::size_t>(std::count_if(
      timeline_->spans.begin(), timeline_->spans.end(), [&](const TimelineSpan& span) {
        return span.start.count() <= to && span.end().count() >= from;
      }));
}

Table TimelineView::table(double from, double to) const {
  Table table{{QObject::tr("Lane"), QObject::tr("Span"), QObject::tr("Kind"), QObject::tr("Start"),
               QObject::tr("Duration"), QObject::tr("Cause")},
              {}};
  for (std::size_t i = 0; i < timeline_->spans.size() && table.rows.size() < kMostRows; ++i) {
    const TimelineSpan& span = timeline_->spans[i];
    if (span.start.count() > to || span.end().count() < from) continue;
    const TimelineLane& lane = timeline_->lanes[span.lane];
    const SpanKindInfo& kind = info_of(span.kind);
    TableRow row;
    row.key = static_cast<std::int64_t>(i);
    row.cells = {word(QString::fromStdString(lane.group + " · " + lane.name)),
                 word(QString::fromStdString(span.name)),
                 word(to_qt(kind.label), to_qt(kind.sentence)),
                 number(span_time_text(span.start), span.start.count()),
                 number(span_time_text(span.duration), span.duration.count()),
                 word(QString::fromStdString(span.cause), QString::fromStdString(span.cause))};
    table.rows.push_back(std::move(row));
  }
  return table;
}

std::shared_ptr<const RunTimeline> joined(const std::shared_ptr<const RunTimeline>& first,
                                          const std::shared_ptr<const RunTimeline>& second, const QString& first_name,
                                          const QString& second_name) {
  if (!first || !second) return first ? first : second;
  const auto named = [](const QString& name, const std::string& group) { return name.toStdString() + " · " + group; };
  auto both = std::make_shared<RunTimeline>(*first);
  for (TimelineLane& lane : both->lanes) lane.group = named(first_name, lane.group);
  const auto lanes = static_cast<std::uint32_t>(both->lanes.size());
  for (const TimelineLane& lane : second->lanes) both->lanes.push_back({named(second_name, lane.group), lane.name});
  for (TimelineSpan span : second->spans) {
    span.lane += lanes;
    both->spans.push_back(std::move(span));
  }
  return both;
}

QString span_time_text(Seconds time) {
  const double s = time.count();
  if (s == 0.0) return "0 s";
  if (s < 1e-3) return QString::number(s * 1e6, 'g', 4) + " µs";
  if (s < 1.0) return QString::number(s * 1e3, 'g', 5) + " ms";
  return QString::number(s, 'g', 6) + " s";
}

}  // namespace lindos::gui
