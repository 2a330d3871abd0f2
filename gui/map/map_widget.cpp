// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/map/map_widget.h"

#include <QHelpEvent>
#include <QKeyEvent>
#include <QPaintEngine>
#include <QPainter>
#include <QPainterPath>
#include <QToolTip>
#include <QWheelEvent>
#include <algorithm>
#include <cmath>
#include <numeric>

#include "gui/models/format.h"

namespace lindos::gui {

namespace {

constexpr double kLegendWidth = 190.0;
constexpr double kMargin = 14.0;
constexpr double kLargestCell = 96.0;   // logical pixels
constexpr double kTextFrom = 44.0;      // cells carry their value
constexpr double kRackNamesFrom = 11.0; // pixels per cell
constexpr double kMinimapHeight = 92.0;
constexpr std::size_t kWorstKept = 1000;
constexpr double kRingBelow = 14.0;     // a target smaller than this gets a ring

}  // namespace

MapWidget::MapWidget(QWidget* parent) : QWidget(parent) {
  setFocusPolicy(Qt::StrongFocus);
  setMouseTracking(true);
  setAttribute(Qt::WA_OpaquePaintEvent);
  setMinimumSize(480, 320);
  setAccessibleName(tr("Map of the cluster"));
  setAccessibleDescription(tr("Every GPU is a cell. Arrows move, Enter drills in, N goes to the next of the worst."));
}

void MapWidget::set_fleet(std::shared_ptr<const Fleet> fleet) {
  const bool same_shape = fleet_ && fleet && fleet_->map().pools == fleet->map().pools;
  fleet_ = std::move(fleet);
  pair_ = {};
  selection_ = {};
  if (fleet_ && !by_kind() && fleet_->values(colour_by_) == nullptr) colour_by_ = kByDevice;
  if (fleet_ && colour_by_ == kByGroup && fleet_->groups().isEmpty()) colour_by_ = kByDevice;
  recolour();
  if (!same_shape) fit();
  update();
}

void MapWidget::set_colour_by(const std::string& name) {
  colour_by_ = name;
  recolour();
  update();
}

void MapWidget::set_comparison(FleetPair pair, ChangeMode mode) {
  pair_ = std::move(pair);
  mode_ = mode;
  recolour();
  update();
}

void MapWidget::set_theme(const Theme& theme) {
  theme_ = &theme;
  recolour();
  update();
}

const Metric* MapWidget::quantity() const { return by_kind() ? nullptr : find_device_quantity(colour_by_); }

QStringList MapWidget::kinds() const {
  QStringList names;
  if (colour_by_ == kByGroup) return fleet_->groups();
  for (const PoolShape& pool : fleet_->map().pools) {
    const QString label = QString::fromStdString(pool.label);
    if (!names.contains(label)) names << label;
  }
  return names;
}

void MapWidget::recolour() {
  worst_.clear();
  worst_at_ = -1;
  cells_stale_ = minimap_stale_ = true;
  levels_.clear();
  changes_.clear();
  if (!fleet_) return;
  scale_ = {};
  if (pair_ && !by_kind()) changes_ = changes_of(pair_, colour_by_, mode_);
  if (by_kind()) {
    const QStringList names = kinds();
    levels_.assign(static_cast<std::size_t>(fleet_->devices()), kWithoutValue);
    kind_counts_.assign(static_cast<std::size_t>(names.size()), 0);
    const auto fill = [&](const DeviceRange& range, qsizetype kind) {
      std::fill(levels_.begin() + range.begin, levels_.begin() + range.end, static_cast<Level>(kBest + kind));
      kind_counts_[static_cast<std::size_t>(kind)] += range.size();
    };
    if (colour_by_ == kByGroup) {
      for (qsizetype g = 0; g < names.size(); ++g) {
        for (const DeviceRange& range : fleet_->group(static_cast<std::size_t>(g)).devices) fill(range, g);
      }
    } else {
      for (std::size_t p = 0; p < fleet_->map().pools.size(); ++p) {
        const std::int64_t begin = fleet_->layout().pool_begin(static_cast<int>(p));
        const PoolShape& pool = fleet_->map().pools[p];
        fill({begin, begin + pool.devices()}, names.indexOf(QString::fromStdString(pool.label)));
      }
    }
    scale_.with_value = std::accumulate(kind_counts_.begin(), kind_counts_.end(), std::int64_t{0});
    scale_.without = fleet_->devices() - scale_.with_value;
  } else {
    const std::vector<float>& values = shown_values();
    scale_ = shows_change() ? signed_scale_of(values, no_change(mode_), quantity()->worst)
                            : scale_of(values, quantity()->worst);
    levels_of(values, scale_, levels_);
    if (shows_change()) rule_ = signed_rule_of(fleet_->layout(), levels_);
  }
  mark_selected();
}

void MapWidget::mark_selected() {
  for (Level& level : levels_) level &= static_cast<Level>(kSelected - 1);
  if (selection_.among_others) {
    for (const DeviceRange& range : selection_.devices) {
      for (std::int64_t d = range.begin; d < range.end; ++d) levels_[static_cast<std::size_t>(d)] |= kSelected;
    }
  }
  const bool some = selection_.among_others && !selection_.empty();
  const QColor without = without_colour(theme_->dark);
  colours_ = by_kind() ? kind_colours(fleet_ ? static_cast<std::size_t>(kinds().size()) : 0, theme_->base, without,
                                      theme_->dark, some)
                       : value_colours(colour_map(), scale_, theme_->base, without, theme_->dark, some);
  cells_stale_ = minimap_stale_ = true;
}

void MapWidget::show_selection(const Selection& selection) {
  const bool sets = selection_.among_others || selection.among_others;
  selection_ = selection;
  if (fleet_ && sets) mark_selected();
  if (fleet_ && !selection.empty()) {
    setAccessibleDescription(selection.size() == 1 ? text_of(selection.devices.front().begin)
                                                   : tr("%1: %2 GPUs").arg(selection.title).arg(selection.size()));
  }
  update();
}

QRectF MapWidget::map_area() const { return QRectF(0, 0, std::max(1.0, width() - kLegendWidth), height()); }

double MapWidget::fit_scale() const {
  if (!fleet_) return 1.0;
  const QRectF area = map_area().adjusted(kMargin, kMargin / 2, -kMargin, -kMargin);
  const double scale = std::min(area.width() / fleet_->layout().width(), area.height() / fleet_->layout().height());
  return std::min(scale, kLargestCell) * devicePixelRatioF();
}

double MapWidget::largest_scale() const { return kLargestCell * devicePixelRatioF(); }

void MapWidget::fit() {
  fitted_ = true;
  show_all();
  view_changed();
}

void MapWidget::show_all() {
  if (!fleet_) return;
  view_.scale = fit_scale();
  const QRectF area = map_area();
  const double dpr = devicePixelRatioF();
  view_.x = (fleet_->layout().width() - area.width() * dpr / view_.scale) / 2;
  view_.y = (fleet_->layout().height() - (area.height() - kMargin / 2) * dpr / view_.scale) / 2;
}

void MapWidget::clamp_view() {
  const double dpr = devicePixelRatioF();
  const auto clamped = [](double at, double shown, double all) {
    // Half of the view may lie beyond the site.
    return std::clamp(at, -shown / 2, std::max(-shown / 2, all - shown / 2));
  };
  view_.x = clamped(view_.x, map_area().width() * dpr / view_.scale, fleet_->layout().width());
  view_.y = clamped(view_.y, map_area().height() * dpr / view_.scale, fleet_->layout().height());
}

void MapWidget::view_changed() {
  cells_stale_ = true;
  update();
  emit moved();
}

void MapWidget::zoom(double factor, const QPointF& around) {
  if (!fleet_) return;
  const double dpr = devicePixelRatioF();
  const double wanted = std::clamp(view_.scale * factor, fit_scale(), largest_scale());
  if (wanted <= fit_scale()) return fit();
  const double x = view_.x + around.x() * dpr / view_.scale;
  const double y = view_.y + around.y() * dpr / view_.scale;
  view_.scale = wanted;
  view_.x = x - around.x() * dpr / wanted;
  view_.y = y - around.y() * dpr / wanted;
  fitted_ = false;
  clamp_view();
  view_changed();
}

void MapWidget::zoom_to(const std::vector<DeviceRange>& ranges) {
  if (!fleet_) return;
  const Box corner = fleet_->layout().cell(ranges.front().begin);
  double left = corner.x, top = corner.y, right = corner.x, bottom = corner.y;
  for (const DeviceRange& range : ranges) {
    for (const std::int64_t device : {range.begin, range.end - 1}) {
      const Box cell = fleet_->layout().cell(device);
      left = std::min(left, cell.x);
      top = std::min(top, cell.y);
      right = std::max(right, cell.x);
      bottom = std::max(bottom, cell.y);
    }
  }
  const double w = right + 1.0 - left, h = bottom + 1.0 - top;
  const double dpr = devicePixelRatioF();
  const QRectF area = map_area();
  constexpr double kAround = 14.0;  // cells beside the target, so that its surroundings stay in view
  const double scale = dpr * std::min(area.width() / (w + kAround), area.height() / (h + kAround));
  view_.scale = std::clamp(scale, fit_scale(), largest_scale());
  view_.x = left + w / 2 - area.width() * dpr / view_.scale / 2;
  view_.y = top + h / 2 - area.height() * dpr / view_.scale / 2;
  fitted_ = view_.scale <= fit_scale();
  if (fitted_) show_all();
  view_changed();
}

std::optional<std::int64_t> MapWidget::device_at(const QPointF& position) const {
  if (!fleet_ || !map_area().contains(position)) return std::nullopt;
  const double dpr = devicePixelRatioF();
  return fleet_->layout().device_at(view_.x + position.x() * dpr / view_.scale,
                                    view_.y + position.y() * dpr / view_.scale);
}

QRectF MapWidget::screen(const Box& box) const {
  const double scale = view_.scale / devicePixelRatioF();
  return {(box.x - view_.x) * scale, (box.y - view_.y) * scale, box.w * scale, box.h * scale};
}

QPointF MapWidget::centre_of(std::int64_t device) const { return screen(fleet_->layout().cell(device)).center(); }

QString MapWidget::text_of(std::int64_t device) const {
  QString text = fleet_->path_of(device);
  const Metric* q = quantity();
  if (q != nullptr && shows_change()) {
    const auto said = [&](const Fleet& fleet) {
      const auto value = fleet.value(colour_by_, device);
      return value ? quantity_text(*q, *value) : tr("none");
    };
    const float change = changes_[static_cast<std::size_t>(device)];
    text += tr("\n%1: A %2, B %3").arg(to_qt(q->label), said(*pair_.a), said(*pair_.b));
    if (!std::isnan(change)) text += QString(" (%1)").arg(shown_text(change));
  } else if (q != nullptr) {
    const auto value = fleet_->value(colour_by_, device);
    text += QString("\n%1: %2").arg(to_qt(q->label), value ? quantity_text(*q, *value) : without_text().toLower());
  }
  if (const auto job = fleet_->job_place(device)) {
    text += tr("\n%1, rank %2").arg(fleet_->stage_name(job->stage, job->replica)).arg(job->rank);
  }
  return text;
}

QString MapWidget::without_text() const {
  if (fleet_->map().stages.empty()) return shows_change() ? tr("Not measured in both") : tr("Not measured");
  return shows_change() ? tr("Not in both jobs") : tr("Not in the job");
}

const std::vector<float>& MapWidget::shown_values() const {
  return shows_change() ? changes_ : *fleet_->values(colour_by_);
}

QString MapWidget::shown_text(double value) const {
  return shows_change() ? change_text(*quantity(), value, mode_) : quantity_text(*quantity(), value);
}

QString MapWidget::rule_text() const {
  if (by_kind()) return tr("a pixel shows one of its GPUs");
  if (shows_change()) {
    const double far = rule_.reach * (scale_.high - scale_.low) / (kWorst - kBest);
    // A distance has no sign, of a ratio neither.
    const QString text = change_text(*quantity(), far, ChangeMode::kDifference).remove('+');
    return tr("a rack shows its median; dots: GPUs more than %1 from it")
        .arg(mode_ == ChangeMode::kRatio ? QString::number(far, 'f', 3) : text);
  }
  return scale_.high_is_worst ? tr("a pixel shows its highest GPU") : tr("a pixel shows its lowest GPU");
}

const std::vector<std::int64_t>& MapWidget::worst() {
  if (fleet_ && !by_kind() && worst_.empty()) {
    for (std::int64_t d = 0; d < fleet_->devices(); ++d) {
      if ((levels_[static_cast<std::size_t>(d)] & 0xFF) >= kBest) worst_.push_back(d);
    }
    const std::vector<float>& values = shown_values();
    const bool high = scale_.high_is_worst || shows_change();
    const auto none = static_cast<float>(no_change(mode_));
    const auto rank = [&](std::int64_t device) {
      const float value = values[static_cast<std::size_t>(device)];
      return shows_change() ? std::abs(value - none) : value;
    };
    const auto worse = [&](std::int64_t a, std::int64_t b) {
      const float va = rank(a), vb = rank(b);
      return va != vb ? (high ? va > vb : va < vb) : a < b;
    };
    const auto kept = std::min(kWorstKept, worst_.size());
    std::partial_sort(worst_.begin(), worst_.begin() + static_cast<std::ptrdiff_t>(kept), worst_.end(), worse);
    worst_.resize(kept);
  }
  return worst_;
}

void MapWidget::step_worst(int direction) {
  if (worst().empty()) return;
  worst_at_ = std::clamp<std::ptrdiff_t>(worst_at_ + direction, 0, static_cast<std::ptrdiff_t>(worst_.size()) - 1);
  emit selected(fleet_->device(worst_[static_cast<std::size_t>(worst_at_)]));
}

void MapWidget::paint_devices(QImage& image, const MapView& view) {
  const QRgb ground = theme_->base.rgb();
  if (shows_change()) {
    paint_changes(image, fleet_->layout(), levels_, rule_, colours_, ground, view, scratch_);
  } else {
    paint_cells(image, fleet_->layout(), levels_, colours_, ground, view, scratch_);
  }
}

void MapWidget::render_cells() {
  const double dpr = devicePixelRatioF();
  const QSize size = (map_area().size() * dpr).toSize();
  if (cells_.size() != size) cells_ = QImage(size, QImage::Format_RGB32);
  cells_.setDevicePixelRatio(1.0);
  if (fleet_) {
    paint_devices(cells_, view_);
  } else {
    cells_.fill(theme_->base);
  }
  cells_.setDevicePixelRatio(dpr);
  cells_stale_ = false;
}

// Into the window's own picture, where all of the map is asked for: at 4K the copy of 33 MB takes longer than the cells.
bool MapWidget::paint_cells_in_place(const QPainter& painter, const QRegion& asked) {
  auto* window = dynamic_cast<QImage*>(painter.paintEngine()->paintDevice());
  if (!fleet_ || window == nullptr || !window->isDetached() || asked != QRegion(rect())) return false;
  if (window->format() != QImage::Format_RGB32 && window->format() != QImage::Format_ARGB32_Premultiplied) return false;
  // An export may be larger than the screen.
  if (painter.deviceTransform().m11() != devicePixelRatioF()) return false;
  const QRect target(painter.deviceTransform().map(map_area().topLeft()).toPoint(),
                     (map_area().size() * devicePixelRatioF()).toSize());
  if (!window->rect().contains(target)) return false;
  QImage part(window->scanLine(target.y()) + 4 * static_cast<qsizetype>(target.x()), target.width(), target.height(),
              window->bytesPerLine(), QImage::Format_RGB32);
  paint_devices(part, view_);
  return true;
}

void MapWidget::paintEvent(QPaintEvent* event) {
  QPainter painter(this);
  const QRectF area = map_area();
  if (!paint_cells_in_place(painter, event->region())) {
    if (cells_stale_) render_cells();
    painter.drawImage(area.topLeft(), cells_);
  }
  painter.fillRect(QRectF(area.right(), 0, kLegendWidth, height()), theme_->window);
  if (!fleet_) return;
  painter.setClipRect(area);
  paint_names(painter);
  if (view_.scale / devicePixelRatioF() >= kTextFrom) paint_values(painter);
  paint_selection(painter);
  paint_place(painter);
  if (hasFocus()) {
    painter.setPen(QPen(theme_->accent, 2));
    painter.drawRect(area.adjusted(1, 1, -1, -1));
  }
  painter.setClipping(false);
  paint_legend(painter);
  paint_minimap(painter);
}

void MapWidget::paint_names(QPainter& painter) const {
  const FleetLayout& layout = fleet_->layout();
  const QRectF area = map_area();
  const double cell = view_.scale / devicePixelRatioF();
  QFont bold = font();
  bold.setBold(true);
  QFont small = font();
  small.setPointSizeF(small.pointSizeF() * 0.85);
  const QFontMetricsF bold_metrics(bold), metrics(font()), small_metrics(small);
  const bool arrays_named = cell >= 2.4;
  const bool racks_named = cell >= kRackNamesFrom;
  QString above;  // the hall whose title lies above the view, for the breadcrumb
  for (const HallBox& hall : layout.halls()) {
    const QRectF box = screen(hall.box);
    const double title = layout.title_height() * cell;
    if (!box.adjusted(0, -title, 0, 0).intersects(area)) continue;
    painter.setPen(QPen(theme_->border, 1));
    painter.drawRect(box);
    if (box.top() < bold_metrics.height()) above = fleet_->hall_name(hall);
    // Where halls are small only what fits is named.
    const QString name = fleet_->hall_name(hall);
    const QString count = tr("  %1 GPUs").arg(counted(hall.devices));
    const double base = box.top() - 4.0;
    const double room = std::max(box.width(), 30.0) + 4.0;
    const double name_width = bold_metrics.horizontalAdvance(name);
    if (title >= bold_metrics.height() * 0.8 && name_width > room && hall.hall >= 0) {
      painter.setFont(small);
      painter.setPen(theme_->muted);
      painter.drawText(QPointF(box.left(), base), QString::number(hall.hall));
      painter.setFont(font());
    }
    if (title >= bold_metrics.height() * 0.8 && name_width <= room) {
      painter.setFont(bold);
      painter.setPen(theme_->text);
      painter.drawText(QPointF(box.left(), base), name);
      painter.setFont(font());
      if (name_width + metrics.horizontalAdvance(count) <= room) {
        painter.setPen(theme_->muted);
        painter.drawText(QPointF(box.left() + name_width, base), count);
      }
    }
    if (!arrays_named) continue;
    for (std::size_t a = hall.first_array; a < hall.first_array + hall.arrays; ++a) {
      const ArrayBox& array = layout.arrays()[a];
      const QRectF array_box = screen(array.box);
      if (!array_box.adjusted(0, -4 * cell, 0, 0).intersects(area)) continue;
      const QString array_name = array.array >= 0 ? tr("array %1").arg(array.array) : QString();
      double lift = 3.0;
      if (racks_named) {
        painter.setFont(small);
        painter.setPen(theme_->muted);
        for (std::size_t r = array.first_rack; r < array.first_rack + array.racks; ++r) {
          const RackBox& rack = layout.racks()[r];
          if (rack.rack < 0) continue;
          const QRectF rack_box =
              screen({rack.x, rack.y, static_cast<double>(rack.columns), static_cast<double>(rack.rows)});
          const QString rack_name = cell >= 16.0 ? tr("rack %1").arg(rack.rack) : QString::number(rack.rack);
          if (rack_box.intersects(area.adjusted(0, -20, 0, 20)))
            painter.drawText(QPointF(rack_box.left(), rack_box.top() - 3.0), rack_name);
        }
        lift += small_metrics.height() + 1.0;
      }
      const double array_room = 4.0 * cell - lift;
      if (!array_name.isEmpty() && small_metrics.horizontalAdvance(array_name) <= array_box.width() &&
          array_room >= small_metrics.ascent() * 0.7) {
        painter.setFont(small);
        painter.setPen(theme_->text);
        painter.drawText(QPointF(array_box.left(), array_box.top() - lift), array_name);
      }
    }
  }
  painter.setFont(font());
}

// Where the middle of the view lies, over everything else.
void MapWidget::paint_place(QPainter& painter) const {
  if (fitted_) return;
  const QRectF area = map_area();
  const FleetLayout& layout = fleet_->layout();
  const double dpr = devicePixelRatioF();
  const double x = view_.x + area.width() * dpr / view_.scale / 2,
               y = view_.y + area.height() * dpr / view_.scale / 2;
  QString place = tr("Site");
  if (const HallBox* hall = layout.hall_at(x, y)) place += " › " + fleet_->hall_name(*hall);
  if (const ArrayBox* array = layout.array_at(x, y); array != nullptr && array->array >= 0)
    place += " › " + tr("array %1").arg(array->array);
  painter.setFont(font());
  const QFontMetricsF metrics(font());
  const QRectF plate(10, 10, metrics.horizontalAdvance(place) + 18, metrics.height() + 8);
  painter.setPen(QPen(theme_->border, 1));
  painter.setBrush(theme_->window);
  painter.drawRoundedRect(plate, 6, 6);
  painter.setPen(theme_->text);
  painter.drawText(plate, Qt::AlignCenter, place);
  painter.setBrush(Qt::NoBrush);
}

void MapWidget::paint_values(QPainter& painter) const {
  const QRectF area = map_area();
  const Metric* q = quantity();
  if (q == nullptr) return;
  QFont small = font();
  small.setPointSizeF(small.pointSizeF() * 0.85);
  painter.setFont(small);
  const FleetLayout& layout = fleet_->layout();
  const std::vector<float>& values = shown_values();
  for (const HallBox& hall : layout.halls()) {
    if (!screen(hall.box).intersects(area)) continue;
    for (std::size_t a = hall.first_array; a < hall.first_array + hall.arrays; ++a) {
      const ArrayBox& array = layout.arrays()[a];
      if (!screen(array.box).intersects(area)) continue;
      for (std::size_t r = array.first_rack; r < array.first_rack + array.racks; ++r) {
        const RackBox& rack = layout.racks()[r];
        if (!screen({rack.x, rack.y, static_cast<double>(rack.columns), static_cast<double>(rack.rows)})
                 .intersects(area))
          continue;
        for (std::int64_t i = 0; i < rack.devices; ++i) {
          const QRectF cell = screen({rack.x + static_cast<double>(i % rack.columns),
                                      rack.y + static_cast<double>(i / rack.columns), 1.0, 1.0});
          if (!cell.intersects(area)) continue;
          const auto device = static_cast<std::size_t>(rack.first + i);
          const float value = values[device];
          if (std::isnan(value)) continue;
          const QColor ground(colours_[levels_[device]]);
          painter.setPen(contrast(ground, Qt::white) > contrast(ground, Qt::black) ? Qt::white : Qt::black);
          painter.drawText(cell, Qt::AlignCenter, shown_text(value));
        }
      }
    }
  }
  painter.setFont(font());
}

void MapWidget::paint_selection(QPainter& painter) const {
  if (selection_.empty() || selection_.among_others) return;
  const FleetLayout& layout = fleet_->layout();
  painter.setRenderHint(QPainter::Antialiasing);
  QRectF all;
  // One outline a rack: the selection's cells there are neighbours.
  for (const DeviceRange& range : selection_.devices) {
    for (std::int64_t d = range.begin; d < range.end;) {
      const RackBox& rack = layout.rack_of(d);
      const std::int64_t end = std::min(range.end, rack.first + rack.devices);
      const Box a = layout.cell(d), b = layout.cell(end - 1);
      const bool rows = end - d > rack.columns || a.y != b.y;
      const Box box =
          rows ? Box{rack.x, a.y, static_cast<double>(rack.columns), b.y - a.y + 1} : Box{a.x, a.y, b.x - a.x + 1, 1};
      const QRectF outline = screen(box).adjusted(-1.5, -1.5, 0.5, 0.5);
      all |= outline;
      painter.setPen(QPen(theme_->base, 4));
      painter.drawRect(outline);
      painter.setPen(QPen(theme_->text, 2));
      painter.drawRect(outline);
      d = end;
    }
  }
  if (std::max(all.width(), all.height()) < kRingBelow) {
    painter.setPen(QPen(theme_->base, 5));
    painter.drawEllipse(all.center(), kRingBelow, kRingBelow);
    painter.setPen(QPen(theme_->text, 2));
    painter.drawEllipse(all.center(), kRingBelow, kRingBelow);
  }
  painter.setRenderHint(QPainter::Antialiasing, false);
}

void MapWidget::paint_legend(QPainter& painter) const {
  const double left = map_area().right();
  painter.setPen(QPen(theme_->border, 1));
  painter.drawLine(QPointF(left, 0), QPointF(left, height()));
  const QRectF area(left + 14, 14, kLegendWidth - 24, height() - 28);
  QFont bold = font();
  bold.setBold(true);
  painter.setFont(bold);
  painter.setPen(theme_->text);
  const Metric* q = quantity();
  const QString change = mode_ == ChangeMode::kRatio ? tr("%1\nB / A") : tr("%1\nB − A");
  const QString title = shows_change()           ? change.arg(to_qt(q->label))
                        : q != nullptr           ? to_qt(q->label)
                        : colour_by_ == kByGroup ? tr("Group of the job")
                                                 : tr("Kind of GPU");
  QRectF used;
  painter.drawText(area, Qt::AlignLeft | Qt::AlignTop | Qt::TextWordWrap, title, &used);
  painter.setFont(font());
  const QRectF below = area.adjusted(0, used.height() + 10, 0, 0);
  if (by_kind()) {
    paint_kinds(painter, below);
  } else {
    paint_scale(painter, below);
  }
}

void MapWidget::paint_kinds(QPainter& painter, const QRectF& area) const {
  const QFontMetricsF metrics(font());
  double y = area.top();
  const auto row = [&](const QColor& colour, const QString& name, std::int64_t count) {
    painter.setPen(QPen(theme_->axis, 1));
    painter.setBrush(colour);
    painter.drawRect(QRectF(area.left() + 0.5, y + 2.5, 12, 12));
    painter.setBrush(Qt::NoBrush);
    painter.setPen(theme_->text);
    QRectF used;
    const QRectF box(area.left() + 20, y, area.width() - 20, 200);
    painter.drawText(box, Qt::AlignLeft | Qt::AlignTop | Qt::TextWordWrap, name, &used);
    y += used.height() + 1;
    painter.setPen(theme_->muted);
    painter.drawText(QPointF(box.left(), y + metrics.ascent()), counted(count));
    y += metrics.height() + 8;
  };
  const QStringList names = kinds();
  for (qsizetype i = 0; i < names.size(); ++i) {
    row(QColor(colours_[static_cast<std::size_t>(kBest + i) | kSelected]), names[i],
        kind_counts_[static_cast<std::size_t>(i)]);
  }
  if (scale_.without > 0) row(QColor(colours_[kWithoutValue | kSelected]), tr("Not in the job"), scale_.without);
}

void MapWidget::paint_scale(QPainter& painter, const QRectF& area) const {
  const QFontMetricsF metrics(font());
  const double line = metrics.height();
  const double foot = kMinimapHeight + 40 + 4.4 * line;
  const double bar_height = std::max(60.0, std::min(300.0, area.height() - foot));
  const QRectF bar(area.left(), area.top() + line / 2, 14, bar_height);
  double y = bar.bottom() + line;
  if (scale_.with_value == 0) {
    y = area.top() + line;
  } else if (scale_.low == scale_.high) {
    painter.setPen(QPen(theme_->axis, 1));
    painter.setBrush(QColor(colours_[static_cast<std::size_t>((kBest + kWorst) / 2) | kSelected]));
    painter.drawRect(QRectF(area.left() + 0.5, area.top() + 2.5, 12, 12));
    painter.setBrush(Qt::NoBrush);
    painter.setPen(theme_->text);
    painter.drawText(QPointF(area.left() + 20, area.top() + metrics.ascent()),
                     shows_change() && scale_.low == no_change(mode_) ? tr("nothing changes")
                                                                      : tr("all %1").arg(shown_text(scale_.low)));
    y = area.top() + 2 * line;
  } else {
    const ColourMap map = colour_map();
    QLinearGradient gradient(bar.bottomLeft(), bar.topLeft());
    for (int i = 0; i <= 16; ++i) gradient.setColorAt(i / 16.0, colour_on(scale_, map, i / 16.0, theme_->dark));
    painter.fillRect(bar, gradient);
    // Square roots: one GPU must be seen beside 200,000.
    const double most =
        std::sqrt(static_cast<double>(*std::max_element(scale_.histogram.begin(), scale_.histogram.end())));
    const double bin = bar.height() / static_cast<double>(scale_.histogram.size());
    constexpr double kLongest = 46.0;
    for (std::size_t i = 0; i < scale_.histogram.size(); ++i) {
      if (scale_.histogram[i] == 0) continue;
      const double length = std::max(1.5, kLongest * std::sqrt(static_cast<double>(scale_.histogram[i])) / most);
      painter.fillRect(
          QRectF(bar.right() + 4, bar.bottom() - static_cast<double>(i + 1) * bin, length, std::max(1.0, bin - 0.5)),
          theme_->axis);
    }
    painter.setPen(theme_->muted);
    for (int i = 0; i <= 4; ++i) {
      const double at = bar.bottom() - bar.height() * i / 4.0;
      painter.drawText(QRectF(bar.right() + 4 + kLongest + 6, at - line / 2, area.width(), line),
                       Qt::AlignLeft | Qt::AlignVCenter,
                       shown_text(scale_.low + (scale_.high - scale_.low) * i / 4.0));
    }
  }
  const auto row = [&](const QColor& colour, const QString& name, std::int64_t count) {
    painter.setPen(QPen(theme_->axis, 1));
    painter.setBrush(colour);
    painter.drawRect(QRectF(area.left() + 0.5, y + 2.5, 12, 12));
    painter.setBrush(Qt::NoBrush);
    painter.setPen(theme_->text);
    painter.drawText(QPointF(area.left() + 20, y + metrics.ascent()), name);
    painter.setPen(theme_->muted);
    painter.drawText(QPointF(area.left() + 20, y + line + metrics.ascent()), tr("%1 GPUs").arg(counted(count)));
    y += 2 * line + 8;
  };
  if (scale_.without > 0) row(QColor(colours_[kWithoutValue | kSelected]), without_text(), scale_.without);
  QStringList said;
  if (shows_change() && quantity()->better != Better::kNeither) said << tr("brown: worse, teal: better");
  if (view_.scale < (shows_change() ? kRacksBelow : 1.0) && (!shows_change() || scale_.low < scale_.high)) said << rule_text();
  painter.setPen(theme_->muted);
  painter.drawText(QRectF(area.left(), y, area.width(), 6 * line), Qt::AlignLeft | Qt::TextWordWrap, said.join('\n'));
}

QRectF MapWidget::minimap_area() const {
  const double w = kLegendWidth - 28;
  return {map_area().right() + 14, height() - kMinimapHeight - 14, w, kMinimapHeight};
}

void MapWidget::paint_minimap(QPainter& painter) {
  if (fitted_ || !fleet_) return;
  const QRectF area = minimap_area();
  const double dpr = devicePixelRatioF();
  const FleetLayout& layout = fleet_->layout();
  const double scale = std::min(area.width() / layout.width(), area.height() / layout.height());
  if (minimap_stale_) {
    minimap_ = QImage((QSizeF(layout.width() * scale, layout.height() * scale) * dpr).toSize().expandedTo({1, 1}),
                      QImage::Format_RGB32);
    paint_devices(minimap_, {scale * dpr, 0.0, 0.0});
    minimap_.setDevicePixelRatio(dpr);
    minimap_stale_ = false;
  }
  const QPointF corner(area.left(), area.bottom() - layout.height() * scale);
  painter.drawImage(corner, minimap_);
  const QRectF frame(corner, QSizeF(layout.width() * scale, layout.height() * scale));
  painter.setPen(QPen(theme_->border, 1));
  painter.drawRect(frame);
  const double shown = scale * dpr / view_.scale;
  const QRectF window(corner.x() + view_.x * scale, corner.y() + view_.y * scale, map_area().width() * shown,
                      map_area().height() * shown);
  painter.setPen(QPen(theme_->text, 1.5));
  painter.drawRect(window & frame);
}

void MapWidget::resizeEvent(QResizeEvent* /*event*/) {
  if (fitted_) show_all();
  cells_stale_ = minimap_stale_ = true;
}

void MapWidget::wheelEvent(QWheelEvent* event) {
  if (!fleet_ || !map_area().contains(event->position())) return;
  zoom(std::pow(1.0015, event->angleDelta().y()), event->position());
  event->accept();
}

void MapWidget::mousePressEvent(QMouseEvent* event) {
  if (event->button() != Qt::LeftButton || !fleet_) return;
  dragged_from_ = event->position();
  dragging_ = false;
  dragging_minimap_ = !fitted_ && minimap_area().contains(event->position());
  if (dragging_minimap_) mouseMoveEvent(event);
}

void MapWidget::mouseMoveEvent(QMouseEvent* event) {
  if (!dragged_from_ || !(event->buttons() & Qt::LeftButton) || !fleet_) return;
  const double dpr = devicePixelRatioF();
  if (dragging_minimap_) {
    const FleetLayout& layout = fleet_->layout();
    const QRectF area = minimap_area();
    const double scale = std::min(area.width() / layout.width(), area.height() / layout.height());
    view_.x = (event->position().x() - area.left()) / scale - map_area().width() * dpr / view_.scale / 2;
    view_.y = (event->position().y() - (area.bottom() - layout.height() * scale)) / scale -
              map_area().height() * dpr / view_.scale / 2;
    clamp_view();
    view_changed();
    return;
  }
  const QPointF delta = event->position() - *dragged_from_;
  constexpr double kClick = 4.0;
  if (!dragging_ && delta.manhattanLength() < kClick) return;
  dragging_ = true;
  setCursor(Qt::ClosedHandCursor);
  view_.x -= delta.x() * dpr / view_.scale;
  view_.y -= delta.y() * dpr / view_.scale;
  dragged_from_ = event->position();
  fitted_ = false;
  clamp_view();
  view_changed();
}

void MapWidget::mouseReleaseEvent(QMouseEvent* event) {
  if (event->button() != Qt::LeftButton) return;
  if (dragged_from_ && !dragging_ && !dragging_minimap_ && fleet_) {
    if (const auto device = device_at(event->position())) {
      emit selected(event->modifiers() & Qt::ShiftModifier ? fleet_->node_of(*device) : fleet_->device(*device));
    } else if (map_area().contains(event->position())) {
      emit selected({});
    }
  }
  dragged_from_.reset();
  dragging_ = dragging_minimap_ = false;
  unsetCursor();
}

void MapWidget::mouseDoubleClickEvent(QMouseEvent* event) {
  if (fleet_ && map_area().contains(event->position())) zoom(3.0, event->position());
}

void MapWidget::move_selection(int dx, int dy) {
  if (!fleet_) return;
  if (selection_.empty() || selection_.among_others) {
    const std::int64_t first = selection_.empty() ? 0 : selection_.devices.front().begin;
    emit selected(fleet_->device(first));
    return;
  }
  const FleetLayout& layout = fleet_->layout();
  const Box from = layout.cell(selection_.devices.front().begin);
  // Across gaps and titles to the next cell in this direction.
  for (double step = 1.0; step < layout.width() + layout.height(); step += 0.5) {
    const double x = from.x + 0.5 + dx * step, y = from.y + 0.5 + dy * step;
    if (x < 0.0 || y < 0.0 || x > layout.width() || y > layout.height()) return;
    const auto device = layout.device_at(x, y);
    if (!device || *device == selection_.devices.front().begin) continue;
    emit selected(fleet_->device(*device));
    const QPointF at = centre_of(*device);
    if (!map_area().contains(at)) {
      view_.x += (at.x() - map_area().center().x()) * devicePixelRatioF() / view_.scale;
      view_.y += (at.y() - map_area().center().y()) * devicePixelRatioF() / view_.scale;
      view_changed();
    }
    return;
  }
}

void MapWidget::drill(bool in) {
  const bool one = !selection_.empty() && !selection_.among_others;
  const QPointF around = one ? centre_of(selection_.devices.front().begin) : map_area().center();
  constexpr double kStep = 3.0;
  zoom(in ? kStep : 1.0 / kStep, around);
  if (!one || !in) return;
  // What is drilled into comes to the middle.
  const QPointF at = centre_of(selection_.devices.front().begin);
  view_.x += (at.x() - map_area().center().x()) * devicePixelRatioF() / view_.scale;
  view_.y += (at.y() - map_area().center().y()) * devicePixelRatioF() / view_.scale;
  clamp_view();
  view_changed();
}

void MapWidget::keyPressEvent(QKeyEvent* event) {
  constexpr double kZoom = 1.4;
  switch (event->key()) {
    case Qt::Key_Left: return move_selection(-1, 0);
    case Qt::Key_Right: return move_selection(1, 0);
    case Qt::Key_Up: return move_selection(0, -1);
    case Qt::Key_Down: return move_selection(0, 1);
    case Qt::Key_Return:
    case Qt::Key_Enter: return drill(true);
    case Qt::Key_Escape: return drill(false);
    case Qt::Key_Plus:
    case Qt::Key_Equal: return zoom(kZoom, map_area().center());
    case Qt::Key_Minus: return zoom(1.0 / kZoom, map_area().center());
    case Qt::Key_0: return fit();
    case Qt::Key_N: return step_worst(1);
    case Qt::Key_P: return step_worst(-1);
    default: QWidget::keyPressEvent(event);
  }
}

bool MapWidget::event(QEvent* event) {
  if (event->type() == QEvent::ToolTip && fleet_) {
    const auto* help = static_cast<QHelpEvent*>(event);
    const auto device = device_at(help->pos());
    if (device) {
      QToolTip::showText(help->globalPos(), text_of(*device), this);
    } else {
      QToolTip::hideText();
    }
    return true;
  }
  if (event->type() == QEvent::FocusIn || event->type() == QEvent::FocusOut) update();
  return QWidget::event(event);
}

}  // namespace lindos::gui
