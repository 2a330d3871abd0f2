// SPDX-License-Identifier: GPL-3.0-or-later
// Fields for the keys of a serving plan that are often tried: routing and prefix reuse. They change the text of the
// scenario, which is checked and undone as what is typed.
#pragma once

#include <QCheckBox>
#include <QComboBox>
#include <QDoubleSpinBox>
#include <QLabel>
#include <QSpinBox>
#include <QWidget>

#include "scenarios/plan.h"

namespace lindos::gui {

class PlanForm : public QWidget {
  Q_OBJECT

 public:
  explicit PlanForm(QWidget* parent = nullptr);

  // `why_not`: why the plan cannot be changed; the fields then only show it.
  void show_plan(const Plan& plan, const QString& why_not);
  [[nodiscard]] QComboBox& policy() { return *policy_; }
  [[nodiscard]] QSpinBox& replicas_per_router() { return *replicas_; }
  [[nodiscard]] QDoubleSpinBox& load_bound() { return *bound_; }
  [[nodiscard]] QCheckBox& prefix_reuse() { return *reuse_; }

 signals:
  void routing_changed(const lindos::Routing& routing);
  void prefix_reuse_changed(bool on);

 private:
  void tell();
  void enable();

  QComboBox* policy_;
  QSpinBox* replicas_;
  QDoubleSpinBox* bound_;
  QCheckBox* reuse_;
  QLabel* why_not_;
  Routing routing_;
  bool showing_ = false;
  bool fixed_ = false;
};

}  // namespace lindos::gui
