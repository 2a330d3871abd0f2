// SPDX-License-Identifier: GPL-3.0-or-later
// Power as horizontal bars, stacked by pool, with the cap of the site as a line and whiskers where
// an interval is known.
#pragma once

#include <QWidget>

#include "gui/app/theme.h"
#include "gui/models/power_view.h"

class QCustomPlot;

namespace lindos::gui {

class PowerChart : public QWidget {
  Q_OBJECT

 public:
  explicit PowerChart(QWidget* parent = nullptr);
  // `subtitle` is written into exported pictures.
  void show_power(const PowerView& view, const QString& subtitle);
  void set_theme(const Theme& theme);
  // Ends of the bars as drawn, in watts: [bar].
  [[nodiscard]] std::vector<double> drawn() const;
  // As WaterfallChart::export_to.
  [[nodiscard]] QString export_to(const QString& file);

 protected:
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  void draw();
  [[nodiscard]] QString text_at(const QPointF& position) const;

  QCustomPlot* plot_;
  PowerView view_;
  QString subtitle_;
  double unit_ = 1.0;  // watts
  const Theme* theme_ = &light_theme();
};

}  // namespace lindos::gui
