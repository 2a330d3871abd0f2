// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/charts/live_map.h"

#include <QHelpEvent>
#include <QKeyEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QToolTip>
#include <algorithm>
#include <cmath>
#include <numeric>

#include "gui/map/map_colours.h"
#include "gui/models/format.h"

namespace lindos::gui {

namespace {

constexpr double kTop = 22.0;      // the legend
constexpr double kSide = 8.0;
constexpr double kLargest = 26.0;  // pixels of a cell
constexpr double kGapFrom = 4.0;

}  // namespace

LiveMap::LiveMap(QWidget* parent) : QWidget(parent) {
  setFocusPolicy(Qt::StrongFocus);
  setMinimumHeight(96);
  setAccessibleName(tr("Map of the devices that run"));
  setAccessibleDescription(
      tr("Every device is a cell, by its newest value. Arrows choose one. The table of this page has the numbers."));
}

void LiveMap::show_cells(const Metric& quantity, std::vector<LiveCell> cells) {
  quantity_ = &quantity;
  cells_ = std::move(cells);
  low_ = HUGE_VAL;
  high_ = -HUGE_VAL;
  for (const LiveCell& cell : cells_) {
    low_ = std::min(low_, cell.value);
    high_ = std::max(high_, cell.value);
  }
  worst_.resize(cells_.size());
  std::iota(worst_.begin(), worst_.end(), std::size_t{0});
  const bool least = quantity.worst == Worst::kMin;
  std::stable_sort(worst_.begin(), worst_.end(), [&](std::size_t a, std::size_t b) {
    return least ? cells_[a].value < cells_[b].value : cells_[a].value > cells_[b].value;
  });
  worst_.resize(std::min(worst_.size(), LiveView::kWorstShown));
  update();
}

void LiveMap::set_theme(const Theme& theme) {
  theme_ = &theme;
  update();
}

std::string LiveMap::chosen() const { return chosen_; }

// As few rows as let cells be as large as they may.
int LiveMap::columns() const {
  const double wide = width() - 2 * kSide, high = std::max(1.0, height() - kTop - kSide);
  const auto count = static_cast<double>(std::max<std::size_t>(1, cells_.size()));
  const double side = std::min(kLargest, std::sqrt(wide * high / count));
  int columns = std::max(1, static_cast<int>(wide / std::max(side, 1.0)));
  // Rounding may want one row more than there is room for.
  while (std::ceil(count / columns) * (wide / columns) > high && columns < static_cast<int>(count)) ++columns;
  return columns;
}

QRectF LiveMap::cell_box(std::size_t cell) const {
  const int own_columns = columns();
  const double side = std::min(kLargest, (width() - 2 * kSide) / own_columns);
  const auto row = static_cast<double>(cell / static_cast<std::size_t>(own_columns));
  const auto column = static_cast<double>(cell % static_cast<std::size_t>(own_columns));
  return {kSide + column * side, kTop + row * side, side, side};
}

QColor LiveMap::colour_of(std::size_t cell) const {
  const bool least = quantity_->worst == Worst::kMin;
  const double t = high_ > low_ ? (cells_[cell].value - low_) / (high_ - low_) : 0.5;
  return colour_at(colour_map_of("slowdown"), least ? 1.0 - t : t, theme_->dark);
}

void LiveMap::paintEvent(QPaintEvent* /*event*/) {
  QPainter painter(this);
  painter.fillRect(rect(), theme_->base);
  if (quantity_ == nullptr || cells_.empty()) return;
  painter.setPen(theme_->text);
  const auto value = [&](double shown) { return sampled_text(*quantity_, shown / quantity_->display_scale); };
  QString legend = tr("%1, newest of %2: %3 – %4 · framed: the %5 worst")
                       .arg(to_qt(quantity_->label), counted(static_cast<std::int64_t>(cells_.size())), value(low_), value(high_))
                       .arg(worst_.size());
  painter.drawText(QRectF(kSide, 2, width() - 2 * kSide, kTop - 2), Qt::AlignLeft | Qt::AlignTop,
                   painter.fontMetrics().elidedText(legend, Qt::ElideRight, static_cast<int>(width() - 2 * kSide)));
  for (std::size_t i = 0; i < cells_.size(); ++i) {
    const QRectF box = cell_box(i);
    const double gap = box.width() >= kGapFrom ? 1.0 : 0.0;
    painter.fillRect(box.adjusted(0, 0, -gap, -gap), colour_of(i));
  }
  painter.setBrush(Qt::NoBrush);
  // Dark and light, so that it stands out from any colour.
  for (const std::size_t i : worst_) {
    painter.setPen(QPen(theme_->text, 1.5));
    painter.drawRect(cell_box(i).adjusted(0.5, 0.5, -1.5, -1.5));
    painter.setPen(QPen(theme_->base, 1.5));
    painter.drawRect(cell_box(i).adjusted(2, 2, -3, -3));
  }
  for (std::size_t i = 0; i < cells_.size(); ++i) {
    if (cells_[i].subject != chosen_) continue;
    painter.setPen(QPen(theme_->accent, 2.5));
    painter.drawRect(cell_box(i).adjusted(-1, -1, 0, 0));
  }
  if (!hasFocus()) return;
  painter.setPen(QPen(theme_->accent, 1));
  painter.drawRect(rect().adjusted(0, 0, -1, -1));
}

int LiveMap::cell_at(const QPointF& position) const {
  for (std::size_t i = 0; i < cells_.size(); ++i) {
    if (cell_box(i).contains(position)) return static_cast<int>(i);
  }
  return -1;
}

QString LiveMap::text_of(std::size_t cell) const {
  const LiveCell& own = cells_[cell];
  return tr("%1: %2\n%3").arg(QString::fromStdString(own.subject), sampled_text(*quantity_, own.value / quantity_->display_scale),
                              to_qt(quantity_->sentence));
}

void LiveMap::choose(int cell) {
  if (cell < 0 || cell >= static_cast<int>(cells_.size())) return;
  chosen_ = cells_[static_cast<std::size_t>(cell)].subject;
  setAccessibleDescription(text_of(static_cast<std::size_t>(cell)));
  update();
  emit cell_chosen();
}

void LiveMap::mousePressEvent(QMouseEvent* event) { choose(cell_at(event->position())); }

void LiveMap::keyPressEvent(QKeyEvent* event) {
  const auto now = std::find_if(cells_.begin(), cells_.end(), [this](const LiveCell& cell) { return cell.subject == chosen_; });
  const int at = now == cells_.end() ? -1 : static_cast<int>(now - cells_.begin());
  switch (event->key()) {
    case Qt::Key_Right:
      return choose(at + 1);
    case Qt::Key_Left:
      return choose(at - 1);
    case Qt::Key_Down:
      return choose(at < 0 ? 0 : at + columns());
    case Qt::Key_Up:
      return choose(at - columns());
    default:
      QWidget::keyPressEvent(event);
  }
}

bool LiveMap::event(QEvent* event) {
  if (event->type() == QEvent::ToolTip && quantity_ != nullptr) {
    const auto* help = static_cast<QHelpEvent*>(event);
    const int cell = cell_at(help->pos());
    QToolTip::showText(help->globalPos(), cell < 0 ? QString() : text_of(static_cast<std::size_t>(cell)), this);
    return true;
  }
  return QWidget::event(event);
}

}  // namespace lindos::gui
