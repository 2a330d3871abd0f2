// SPDX-License-Identifier: GPL-3.0-or-later
// Plans: how the shown plan shares the work out, and, after a search, the plans that were found, with what was left
// out and why.
#pragma once

#include <QLabel>
#include <QPushButton>
#include <QStackedWidget>
#include <QWidget>
#include <optional>

#include "gui/charts/front_chart.h"
#include "gui/charts/sharding_diagram.h"
#include "gui/models/found_plans.h"
#include "gui/pages/table_view.h"

namespace lindos::gui {

class PlansPage : public QWidget {
  Q_OBJECT

 public:
  explicit PlansPage(QWidget* parent = nullptr);
  // Of the scenario that is open, or of a found plan.
  void show_plan(const std::vector<GroupBox>& plan, const QString& title);
  void show_search(const PlanSearch& search, const QString& scenario);
  void show_no_search(const QString& text);
  void set_theme(const Theme& theme);
  void set_can_search(bool can);
  // The plans that were found, or the shares of the shown one.
  void export_chart();
  void export_shares();
  // The found plans, from the best on; Enter predicts one and compares.
  void focus_plans();
  // As the button: the selected plan, or that of the open scenario.
  void launch() { launch_->click(); }
  [[nodiscard]] QString title() const { return plan_title_->text(); }
  [[nodiscard]] FrontChart& front() { return *chart_; }

  [[nodiscard]] TableView& table() { return *table_; }
  [[nodiscard]] TableView& shares() { return *shares_; }
  [[nodiscard]] ShardingDiagram& diagram() { return *diagram_; }
  [[nodiscard]] const std::optional<PlanSearch>& search() const { return found_; }

 signals:
  void search_requested();
  void plan_selected(int plan);   // shall be shown
  void plan_chosen(int plan);     // shall be predicted and compared
  void launch_requested(int plan);  // shall be run; −1: that of the open scenario
  void export_failed(const QString& message);

 private:
  std::optional<PlanSearch> found_;
  QStackedWidget* results_;
  QLabel* no_search_;
  QPushButton* search_;
  QPushButton* apply_;
  QPushButton* launch_;
  QLabel* said_;
  TableView* table_;
  TableView* pruned_;
  FrontChart* chart_;
  QLabel* plan_title_;
  ShardingDiagram* diagram_;
  TableView* shares_;
};

}  // namespace lindos::gui
