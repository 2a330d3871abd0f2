// SPDX-License-Identifier: GPL-3.0-or-later
// Fields for the keys of a serving plan that are often tried: routing, prefix reuse, host memory for KV blocks, and who is
// let in. They change the text of the
// scenario, which is checked and undone as what is typed.
#pragma once

#include <QCheckBox>
#include <QComboBox>
#include <QDoubleSpinBox>
#include <QLabel>
#include <QLineEdit>
#include <QSpinBox>
#include <QWidget>
#include <vector>

#include "scenarios/plan.h"

namespace lindos::gui {

class PlanForm : public QWidget {
  Q_OBJECT

 public:
  explicit PlanForm(QWidget* parent = nullptr);

  // `tenants`: of the workload. `why_not`: why the plan cannot be changed; the fields then only show it.
  void show_plan(const Plan& plan, const QStringList& tenants, const QString& why_not);
  [[nodiscard]] QComboBox& policy() { return *policy_; }
  [[nodiscard]] QSpinBox& replicas_per_router() { return *replicas_; }
  [[nodiscard]] QDoubleSpinBox& load_bound() { return *bound_; }
  [[nodiscard]] QCheckBox& prefix_reuse() { return *reuse_; }
  [[nodiscard]] QLineEdit& kv_offload() { return *offload_; }
  [[nodiscard]] QSpinBox& replica_unfinished() { return *replica_unfinished_; }
  [[nodiscard]] QSpinBox& router_unfinished() { return *router_unfinished_; }
  [[nodiscard]] QComboBox& tenant() { return *tenant_; }
  [[nodiscard]] QDoubleSpinBox& rate(std::size_t kind) { return *limits_[kind].rate; }   // 0: requests, 1: tokens
  [[nodiscard]] QSpinBox& burst(std::size_t kind) { return *limits_[kind].burst; }

 signals:
  void routing_changed(const lindos::Routing& routing);
  void prefix_reuse_changed(bool on);
  void kv_offload_changed(const QString& size);
  void unfinished_changed(const lindos::UnfinishedBounds& bounds);
  void tenant_changed(const lindos::TenantLimits& limits);

 private:
  struct Limit {
    QDoubleSpinBox* rate;
    QSpinBox* burst;
  };
  void tell();
  void tell_unfinished();
  void tell_tenant();
  void show_tenant();
  void enable();

  QComboBox* policy_;
  QSpinBox* replicas_;
  QDoubleSpinBox* bound_;
  QCheckBox* reuse_;
  QLineEdit* offload_;
  QSpinBox* replica_unfinished_;
  QSpinBox* router_unfinished_;
  QComboBox* tenant_;
  std::vector<Limit> limits_;  // of the chosen tenant: requests, tokens
  std::vector<QWidget*> tenant_rows_;
  QLabel* why_not_;
  Routing routing_;
  AdmissionLimits admission_;
  bool showing_ = false;
  bool fixed_ = false;
};

}  // namespace lindos::gui
