// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/pages/plans_page.h"

#include <QFileDialog>
#include <QHBoxLayout>
#include <QItemSelectionModel>
#include <QScrollArea>
#include <QSplitter>
#include <QTabWidget>
#include <QVBoxLayout>

namespace lindos::gui {

PlansPage::PlansPage(QWidget* parent)
    : QWidget(parent),
      results_(new QStackedWidget),
      no_search_(new QLabel),
      search_(new QPushButton(tr("Search plans (F7)"))),
      apply_(new QPushButton(tr("Predict and compare"))),
      launch_(new QPushButton(tr("Run… (Ctrl+F6)"))),
      said_(new QLabel),
      table_(new TableView(tr("Plans that were found"))),
      pruned_(new TableView(tr("What was left out"))),
      chart_(new FrontChart),
      plan_title_(new QLabel),
      diagram_(new ShardingDiagram),
      shares_(new TableView(tr("Shares of the ranks"))) {
  no_search_->setAlignment(Qt::AlignCenter);
  no_search_->setWordWrap(true);
  said_->setObjectName("muted");
  said_->setWordWrap(true);
  plan_title_->setObjectName("section");
  plan_title_->setWordWrap(true);
  launch_->setToolTip(tr("Preflight, then here or as a job: the selected plan, or that of the open scenario"));
  apply_->setEnabled(false);
  apply_->setToolTip(tr("Predicts the scenario with this plan and compares it with the shown run"));

  auto* tables = new QTabWidget;
  tables->addTab(table_, tr("Found"));
  tables->addTab(pruned_, tr("Left out"));
  auto* beside = new QSplitter(Qt::Horizontal);
  beside->addWidget(chart_);
  beside->addWidget(tables);
  beside->setChildrenCollapsible(false);
  beside->setHandleWidth(14);
  beside->setStretchFactor(0, 2);
  beside->setStretchFactor(1, 3);
  results_->addWidget(no_search_);
  results_->addWidget(beside);
  auto* row = new QHBoxLayout;
  row->addWidget(search_);
  row->addWidget(apply_);
  row->addWidget(launch_);
  row->addSpacing(8);
  row->addWidget(said_, 1);
  auto* top = new QWidget;
  auto* top_column = new QVBoxLayout(top);
  top_column->setContentsMargins(0, 0, 0, 0);
  top_column->addLayout(row);
  top_column->addWidget(results_, 1);

  auto* scroll = new QScrollArea;
  scroll->setWidget(diagram_);
  scroll->setWidgetResizable(true);
  scroll->setFrameShape(QFrame::NoFrame);
  auto* shown = new QTabWidget;
  shown->addTab(scroll, tr("Shares to scale"));
  shown->addTab(shares_, tr("As a table"));
  auto* bottom = new QWidget;
  auto* bottom_column = new QVBoxLayout(bottom);
  bottom_column->setContentsMargins(0, 6, 0, 0);
  auto* heading = new QHBoxLayout;
  auto* export_button = new QPushButton(tr("Export shares…"));
  heading->addWidget(plan_title_, 1);
  heading->addWidget(export_button);
  bottom_column->addLayout(heading);
  connect(export_button, &QPushButton::clicked, this, &PlansPage::export_shares);
  bottom_column->addWidget(shown, 1);
  auto* both = new QSplitter(Qt::Vertical);
  both->addWidget(top);
  both->addWidget(bottom);
  both->setChildrenCollapsible(false);
  both->setStretchFactor(0, 1);
  both->setStretchFactor(1, 1);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(14, 12, 14, 12);
  column->addWidget(both);

  const auto current = [this] { return static_cast<int>(table_->current_key().value_or(-1)); };
  connect(search_, &QPushButton::clicked, this, &PlansPage::search_requested);
  connect(table_->selectionModel(), &QItemSelectionModel::selectionChanged, this, [this, current] {
    const int plan = current();
    chart_->mark(plan);
    const bool has_file = found_ && plan >= 0 && !found_->plans[static_cast<std::size_t>(plan)].scenario_file.isEmpty();
    apply_->setEnabled(has_file);
    if (has_file) emit plan_selected(plan);
  });
  connect(chart_, &FrontChart::plan_chosen, this, [this](int plan) { table_->select_key(plan); });
  connect(apply_, &QPushButton::clicked, this, [this, current] { emit plan_chosen(current()); });
  connect(launch_, &QPushButton::clicked, this, [this, current] { emit launch_requested(apply_->isEnabled() ? current() : -1); });
  connect(table_, &TableView::chosen, this, [this](std::int64_t plan) { emit plan_chosen(static_cast<int>(plan)); });
}

void PlansPage::show_plan(const std::vector<GroupBox>& plan, const QString& title) {
  plan_title_->setText(title);
  diagram_->show_plan(plan);
  shares_->set_table(shares_table(plan));
}

void PlansPage::show_search(const PlanSearch& search, const QString& scenario) {
  found_ = search;
  said_->setText(tr("%1: searched %2").arg(scenario, search.searched));
  table_->set_table(plans_table(search));
  pruned_->set_table(search.pruned);
  chart_->show_search(search);
  results_->setCurrentIndex(1);
  apply_->setEnabled(false);
}

void PlansPage::show_no_search(const QString& text) {
  found_.reset();
  said_->clear();
  no_search_->setText(text);
  results_->setCurrentIndex(0);
  apply_->setEnabled(false);
}

void PlansPage::set_can_search(bool can) {
  search_->setEnabled(can);
  launch_->setEnabled(can);
}

void PlansPage::set_theme(const Theme& theme) {
  chart_->set_theme(theme);
  diagram_->set_theme(theme);
}

void PlansPage::focus_plans() {
  if (table_->visible_rows() == 0) return search_->setFocus();
  // A table that got the focus has a current row, but none that is selected.
  if (!table_->selectionModel()->hasSelection()) table_->selectRow(0);
  table_->setFocus();
}

void PlansPage::export_chart() {
  if (!found_) return export_shares();
  const QString file =
      QFileDialog::getSaveFileName(this, tr("Export chart"), "plans.png", tr("Pictures (*.png *.svg *.pdf)"));
  if (file.isEmpty()) return;
  const QString error = chart_->export_to(file);
  if (!error.isEmpty()) emit export_failed(error);
}

void PlansPage::export_shares() {
  const QString file =
      QFileDialog::getSaveFileName(this, tr("Export shares"), "shares.png", tr("Pictures (*.png *.svg *.pdf)"));
  if (file.isEmpty()) return;
  const QString error = diagram_->export_to(file);
  if (!error.isEmpty()) emit export_failed(error);
}

}  // namespace lindos::gui
