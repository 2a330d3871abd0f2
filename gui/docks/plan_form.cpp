// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/docks/plan_form.h"

#include <QGridLayout>
#include <QSignalBlocker>
#include <algorithm>
#include <iterator>

namespace lindos::gui {

namespace {

constexpr int kMostReplicas = 1'000'000;

}  // namespace

PlanForm::PlanForm(QWidget* parent)
    : QWidget(parent),
      policy_(new QComboBox),
      replicas_(new QSpinBox),
      bound_(new QDoubleSpinBox),
      reuse_(new QCheckBox(tr("Prompts that begin alike share KV blocks"))),
      why_not_(new QLabel) {
  for (const RoutingPolicy policy : kRoutingPolicies) policy_->addItem(name_of(policy));
  const auto describe = [](QWidget* field, const QString& name, const QString& sentence) {
    field->setAccessibleName(name);
    field->setAccessibleDescription(sentence);
    field->setToolTip(sentence);
  };
  describe(policy_, tr("Routing policy"),
           tr("How the replica of a request is chosen: in turn or drawn by weight, by the least load, by the less loaded of two, or "
              "the same one for prompts that begin alike. Key policy of [plan.routing]."));
  describe(replicas_, tr("Replicas per router"),
           tr("How many replicas one router sees, where the policy looks at load. Key replicas_per_router."));
  describe(bound_, tr("Load bound"),
           tr("How many times the mean load a replica may have before prefix-affinity passes it over. Key load_bound."));
  describe(reuse_, tr("Prefix reuse"),
           tr("Full KV blocks of prompts that begin alike are computed once. Key prefix_reuse of every group."));
  replicas_->setRange(1, kMostReplicas);
  bound_->setRange(1.0, 1000.0);
  bound_->setSingleStep(0.05);
  bound_->setDecimals(2);
  // A number counts when it is typed out, not digit by digit.
  replicas_->setKeyboardTracking(false);
  bound_->setKeyboardTracking(false);
  why_not_->setObjectName("muted");
  why_not_->setWordWrap(true);
  auto* grid = new QGridLayout(this);
  grid->setContentsMargins(0, 0, 0, 0);
  const auto row = [&](int at, const QString& text, QWidget* field) {
    auto* label = new QLabel(text);
    label->setBuddy(field);
    grid->addWidget(label, at, 0);
    grid->addWidget(field, at, 1);
  };
  row(0, tr("Routing"), policy_);
  row(1, tr("Replicas per router"), replicas_);
  row(2, tr("Load bound"), bound_);
  grid->addWidget(reuse_, 3, 0, 1, 2);
  grid->addWidget(why_not_, 4, 0, 1, 2);
  grid->setColumnStretch(1, 1);
  connect(policy_, &QComboBox::currentIndexChanged, this, &PlanForm::tell);
  connect(replicas_, &QSpinBox::valueChanged, this, &PlanForm::tell);
  connect(bound_, &QDoubleSpinBox::valueChanged, this, &PlanForm::tell);
  connect(reuse_, &QCheckBox::toggled, this, [this](bool on) {
    if (!showing_) emit prefix_reuse_changed(on);
  });
}

void PlanForm::show_plan(const Plan& plan, const QString& why_not) {
  showing_ = true;
  routing_ = plan.routing;
  policy_->setCurrentIndex(static_cast<int>(
      std::find(std::begin(kRoutingPolicies), std::end(kRoutingPolicies), plan.routing.policy) - std::begin(kRoutingPolicies)));
  replicas_->setValue(static_cast<int>(std::min<std::int64_t>(plan.routing.replicas_per_router, kMostReplicas)));
  bound_->setValue(plan.routing.load_bound);
  const bool all = std::all_of(plan.groups.begin(), plan.groups.end(), [](const GroupPlan& g) { return g.limits.prefix_reuse; });
  reuse_->setChecked(all && !plan.groups.empty());
  fixed_ = !why_not.isEmpty();
  why_not_->setText(why_not);
  why_not_->setVisible(fixed_);
  showing_ = false;
  enable();
}

void PlanForm::enable() {
  policy_->setEnabled(!fixed_);
  reuse_->setEnabled(!fixed_);
  replicas_->setEnabled(!fixed_ && looks_at_load(routing_.policy));
  bound_->setEnabled(!fixed_ && routing_.policy == RoutingPolicy::kPrefixAffinity);
}

void PlanForm::tell() {
  if (showing_) return;
  routing_.policy = kRoutingPolicies[policy_->currentIndex()];
  routing_.replicas_per_router = replicas_->value();
  routing_.load_bound = bound_->value();
  enable();
  emit routing_changed(routing_);
}

}  // namespace lindos::gui
