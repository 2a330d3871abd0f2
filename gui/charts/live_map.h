// SPDX-License-Identifier: GPL-3.0-or-later
// The newest value of one sampled quantity, every subject a cell: where a run has more GPUs than lines can show. Colours as on
// the map of the cluster; the worst have a frame. A click or the arrow keys choose one, whose line the page then shows.
#pragma once

#include <QWidget>
#include <string>
#include <vector>

#include "gui/app/theme.h"
#include "gui/models/live_view.h"

namespace lindos::gui {

class LiveMap : public QWidget {
  Q_OBJECT

 public:
  explicit LiveMap(QWidget* parent = nullptr);

  void show_cells(const Metric& quantity, std::vector<LiveCell> cells);
  void set_theme(const Theme& theme);
  [[nodiscard]] const std::vector<LiveCell>& cells() const { return cells_; }
  // Of the worst, in order.
  [[nodiscard]] const std::vector<std::size_t>& worst() const { return worst_; }
  [[nodiscard]] QRectF cell_box(std::size_t cell) const;
  [[nodiscard]] QColor colour_of(std::size_t cell) const;
  [[nodiscard]] std::string chosen() const;
  [[nodiscard]] QSize sizeHint() const override { return {400, 110}; }

 signals:
  void cell_chosen();

 protected:
  void paintEvent(QPaintEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;
  bool event(QEvent* event) override;

 private:
  [[nodiscard]] int columns() const;
  [[nodiscard]] int cell_at(const QPointF& position) const;
  [[nodiscard]] QString text_of(std::size_t cell) const;
  void choose(int cell);

  const Metric* quantity_ = nullptr;
  std::vector<LiveCell> cells_;
  std::vector<std::size_t> worst_;
  double low_ = 0.0, high_ = 1.0;
  std::string chosen_;
  const Theme* theme_ = &light_theme();
};

}  // namespace lindos::gui
