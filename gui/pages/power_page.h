// SPDX-License-Identifier: GPL-3.0-or-later
// Power: the site and its pools against the cap, and what is known of a run.
#pragma once

#include <QLabel>
#include <QStackedWidget>
#include <QWidget>

#include "gui/charts/power_chart.h"
#include "gui/pages/table_view.h"

namespace lindos::gui {

class PowerPage : public QWidget {
  Q_OBJECT

 public:
  explicit PowerPage(QWidget* parent = nullptr);
  // `what`: which scenario and run.
  void show_power(const PowerView& view, const QString& what);
  void show_empty(const QString& text);
  void set_theme(const Theme& theme);
  void export_chart();
  [[nodiscard]] bool filled() const { return pages_->currentIndex() == 1; }
  [[nodiscard]] QString headline() const { return headline_->text(); }
  [[nodiscard]] PowerChart& chart() { return *chart_; }
  [[nodiscard]] TableView& table() { return *table_; }

 signals:
  void export_failed(const QString& message);

 private:
  QStackedWidget* pages_;
  QLabel* empty_;
  QLabel* headline_;
  QLabel* about_;
  PowerChart* chart_;
  TableView* table_;
};

}  // namespace lindos::gui
