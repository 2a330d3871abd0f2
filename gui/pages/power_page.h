// SPDX-License-Identifier: GPL-3.0-or-later
// Power: the site and its pools against the cap, what is known of a run, and what a prediction says over time.
#pragma once

#include <QLabel>
#include <QPushButton>
#include <QStackedWidget>
#include <QWidget>
#include <functional>
#include <optional>

#include "gui/charts/power_chart.h"
#include "gui/charts/power_time_chart.h"
#include "gui/pages/table_view.h"

namespace lindos::gui {

class PowerPage : public QWidget {
  Q_OBJECT

 public:
  explicit PowerPage(QWidget* parent = nullptr);
  // `what`: which scenario and run; nothing over time: that part is not there.
  void show_power(const PowerView& view, const std::optional<PowerOverTime>& over_time, const QString& what);
  void show_empty(const QString& text);
  void set_theme(const Theme& theme);
  void export_chart();
  void export_over_time();
  [[nodiscard]] bool filled() const { return pages_->currentIndex() == 1; }
  [[nodiscard]] QString headline() const { return headline_->text(); }
  [[nodiscard]] PowerChart& chart() { return *chart_; }
  [[nodiscard]] TableView& table() { return *table_; }
  // Whether the shown run says something over time.
  [[nodiscard]] bool has_time() const { return time_->isVisibleTo(this); }
  [[nodiscard]] PowerTimeChart& time_chart() { return *time_chart_; }
  [[nodiscard]] TableView& time_table() { return *time_table_; }
  [[nodiscard]] QPushButton& as_table() { return *as_table_; }
  // Of power over time, where the run has it.
  void toggle_table();

 signals:
  void export_failed(const QString& message);

 private:
  void save(const QString& name, const std::function<QString(const QString&)>& write);

  QStackedWidget* pages_;
  QLabel* empty_;
  QLabel* headline_;
  QLabel* about_;
  PowerChart* chart_;
  TableView* table_;
  QWidget* time_;  // all of what is said over time
  QLabel* time_headline_;
  QStackedWidget* time_views_;  // chart, table
  PowerTimeChart* time_chart_;
  TableView* time_table_;
  QPushButton* as_table_;
};

}  // namespace lindos::gui
