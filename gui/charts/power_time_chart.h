// SPDX-License-Identifier: GPL-3.0-or-later
// Power over the run: the site as a line with what its highest slices draw above it, the pools as lines, the cap dashed.
#pragma once

#include <QWidget>

#include "gui/app/theme.h"
#include "gui/models/power_view.h"

class QCustomPlot;

namespace lindos::gui {

class PowerTimeChart : public QWidget {
  Q_OBJECT

 public:
  explicit PowerTimeChart(QWidget* parent = nullptr);
  // `subtitle` is written into exported pictures.
  void show_power(const PowerOverTime& power, const QString& subtitle);
  void set_theme(const Theme& theme);
  // Mean values as drawn, in watts: [line][point].
  [[nodiscard]] std::vector<std::vector<double>> drawn() const;
  // What is said of the window at `t_s`.
  [[nodiscard]] QString text_at(double t_s) const;
  // As WaterfallChart::export_to.
  [[nodiscard]] QString export_to(const QString& file);

 protected:
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  void draw();

  QCustomPlot* plot_;
  PowerOverTime power_;
  QString subtitle_;
  double unit_ = 1.0;  // watts
  const Theme* theme_ = &light_theme();
};

}  // namespace lindos::gui
