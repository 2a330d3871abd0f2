// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/docks/plan_form.h"

#include <QGridLayout>
#include <QHBoxLayout>
#include <QSignalBlocker>
#include <algorithm>
#include <iterator>

#include "scenarios/quantity_text.h"

namespace lindos::gui {

namespace {

constexpr int kMostReplicas = 1'000'000;
constexpr int kMostRequests = 1'000'000'000;

}  // namespace

PlanForm::PlanForm(QWidget* parent)
    : QWidget(parent),
      policy_(new QComboBox),
      replicas_(new QSpinBox),
      bound_(new QDoubleSpinBox),
      reuse_(new QCheckBox(tr("Prompts that begin alike share KV blocks"))),
      offload_(new QLineEdit),
      replica_unfinished_(new QSpinBox),
      router_unfinished_(new QSpinBox),
      tenant_(new QComboBox),
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
  describe(offload_, tr("Host memory for KV blocks"),
           tr("Host memory of a replica for blocks that its devices need for others, with prefix reuse: \"64 GB\". Empty: none. Key "
              "kv_offload of every group."));
  describe(replica_unfinished_, tr("Unfinished requests of a replica"),
           tr("So many unfinished requests of a replica turn the next one away. Key replica_unfinished of [plan.admission]."));
  describe(router_unfinished_, tr("Unfinished requests of a router"),
           tr("So many unfinished requests of all replicas of a router turn the next one away. Key router_unfinished of "
              "[plan.admission]."));
  describe(tenant_, tr("Tenant"), tr("Whose rates the fields below limit. Entries of [[plan.admission.tenant]]."));
  offload_->setPlaceholderText(tr("none"));
  for (QSpinBox* bound : {replica_unfinished_, router_unfinished_}) {
    bound->setRange(0, kMostRequests);
    bound->setSpecialValueText(tr("no bound"));
    bound->setKeyboardTracking(false);
  }
  const auto limit = [&](const QString& what, const QString& key) {
    Limit own{new QDoubleSpinBox, new QSpinBox};
    describe(own.rate, tr("%1 per second of the tenant").arg(what),
             tr("More are turned away once the burst is used up. Key %1_rate.").arg(key));
    describe(own.burst, tr("Burst of %1").arg(what.toLower()), tr("So many at once after a pause. Key %1_burst.").arg(key));
    own.rate->setRange(0.0, 1e9);
    own.rate->setDecimals(3);
    own.rate->setSuffix(tr(" /s"));
    own.rate->setSpecialValueText(tr("no limit"));
    own.burst->setRange(1, kMostRequests);
    own.burst->setPrefix(tr("burst "));
    own.rate->setKeyboardTracking(false);
    own.burst->setKeyboardTracking(false);
    connect(own.rate, &QDoubleSpinBox::valueChanged, this, &PlanForm::tell_tenant);
    connect(own.burst, &QSpinBox::valueChanged, this, &PlanForm::tell_tenant);
    limits_.push_back(own);
  };
  limit(tr("Requests"), "request");
  limit(tr("Tokens"), "token");
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
    return label;
  };
  row(0, tr("Routing"), policy_);
  row(1, tr("Replicas per router"), replicas_);
  row(2, tr("Load bound"), bound_);
  grid->addWidget(reuse_, 3, 0, 1, 2);
  row(4, tr("KV blocks in host memory"), offload_);
  row(5, tr("Unfinished per replica"), replica_unfinished_);
  row(6, tr("Unfinished per router"), router_unfinished_);
  tenant_rows_ = {row(7, tr("Tenant"), tenant_), tenant_};
  const QString titles[] = {tr("Its requests"), tr("Its tokens")};
  for (int kind = 0; kind < 2; ++kind) {
    const Limit& own = limits_[static_cast<std::size_t>(kind)];
    auto* both = new QWidget;
    auto* line = new QHBoxLayout(both);
    line->setContentsMargins(0, 0, 0, 0);
    line->addWidget(own.rate, 1);
    line->addWidget(own.burst, 1);
    QLabel* label = row(8 + kind, titles[kind], both);
    label->setBuddy(own.rate);
    tenant_rows_.push_back(label);
    tenant_rows_.push_back(both);
  }
  grid->addWidget(why_not_, 10, 0, 1, 2);
  grid->setColumnStretch(1, 1);
  connect(policy_, &QComboBox::currentIndexChanged, this, &PlanForm::tell);
  connect(replicas_, &QSpinBox::valueChanged, this, &PlanForm::tell);
  connect(bound_, &QDoubleSpinBox::valueChanged, this, &PlanForm::tell);
  connect(reuse_, &QCheckBox::toggled, this, [this](bool on) {
    if (showing_) return;
    enable();
    emit prefix_reuse_changed(on);
  });
  connect(offload_, &QLineEdit::editingFinished, this, [this] {
    if (!showing_ && offload_->isModified()) emit kv_offload_changed(offload_->text());
    offload_->setModified(false);
  });
  connect(replica_unfinished_, &QSpinBox::valueChanged, this, &PlanForm::tell_unfinished);
  connect(router_unfinished_, &QSpinBox::valueChanged, this, &PlanForm::tell_unfinished);
  connect(tenant_, &QComboBox::currentIndexChanged, this, &PlanForm::show_tenant);
}

void PlanForm::show_plan(const Plan& plan, const QStringList& tenants, const QString& why_not) {
  showing_ = true;
  routing_ = plan.routing;
  policy_->setCurrentIndex(static_cast<int>(
      std::find(std::begin(kRoutingPolicies), std::end(kRoutingPolicies), plan.routing.policy) - std::begin(kRoutingPolicies)));
  replicas_->setValue(static_cast<int>(std::min<std::int64_t>(plan.routing.replicas_per_router, kMostReplicas)));
  bound_->setValue(plan.routing.load_bound);
  const bool all = std::all_of(plan.groups.begin(), plan.groups.end(), [](const GroupPlan& g) { return g.limits.prefix_reuse; });
  reuse_->setChecked(all && !plan.groups.empty());
  const Bytes offload = plan.groups.empty() ? Bytes{0} : plan.groups.front().limits.kv_offload;
  offload_->setText(offload.value() > 0.0 ? QString::fromStdString(format(offload)) : QString());
  admission_ = plan.admission;
  replica_unfinished_->setValue(static_cast<int>(std::min<std::int64_t>(admission_.unfinished.replica, kMostRequests)));
  router_unfinished_->setValue(static_cast<int>(std::min<std::int64_t>(admission_.unfinished.router, kMostRequests)));
  const QString chosen = tenant_->currentText();
  tenant_->clear();
  tenant_->addItems(tenants);
  tenant_->setCurrentIndex(std::max(0, tenant_->findText(chosen)));
  for (QWidget* widget : tenant_rows_) widget->setVisible(!tenants.isEmpty());
  fixed_ = !why_not.isEmpty();
  why_not_->setText(why_not);
  why_not_->setVisible(fixed_);
  showing_ = false;
  show_tenant();
  enable();
}

void PlanForm::show_tenant() {
  if (showing_) return;
  showing_ = true;
  const std::string name = tenant_->currentText().toStdString();
  const auto own = std::find_if(admission_.tenants.begin(), admission_.tenants.end(),
                                [&](const TenantLimits& limits) { return limits.tenant == name; });
  const TenantLimits limits = own == admission_.tenants.end() ? TenantLimits{} : *own;
  const RateLimit rates[] = {limits.requests, limits.tokens};
  for (std::size_t kind = 0; kind < 2; ++kind) {
    limits_[kind].rate->setValue(rates[kind].rate.value());
    limits_[kind].burst->setValue(static_cast<int>(std::clamp<std::int64_t>(rates[kind].burst, 1, kMostRequests)));
  }
  showing_ = false;
  enable();
}

void PlanForm::enable() {
  policy_->setEnabled(!fixed_);
  reuse_->setEnabled(!fixed_);
  replicas_->setEnabled(!fixed_ && looks_at_load(routing_.policy));
  bound_->setEnabled(!fixed_ && routing_.policy == RoutingPolicy::kPrefixAffinity);
  // The loader refuses it without reuse.
  offload_->setEnabled(!fixed_ && (reuse_->isChecked() || !offload_->text().isEmpty()));
  for (QWidget* field : std::initializer_list<QWidget*>{replica_unfinished_, router_unfinished_, tenant_}) field->setEnabled(!fixed_);
  for (const Limit& own : limits_) {
    own.rate->setEnabled(!fixed_);
    own.burst->setEnabled(!fixed_ && own.rate->value() > 0.0);
  }
}

void PlanForm::tell() {
  if (showing_) return;
  routing_.policy = kRoutingPolicies[policy_->currentIndex()];
  routing_.replicas_per_router = replicas_->value();
  routing_.load_bound = bound_->value();
  enable();
  emit routing_changed(routing_);
}

void PlanForm::tell_unfinished() {
  if (showing_) return;
  admission_.unfinished = {replica_unfinished_->value(), router_unfinished_->value()};
  emit unfinished_changed(admission_.unfinished);
}

void PlanForm::tell_tenant() {
  if (showing_) return;
  TenantLimits limits;
  limits.tenant = tenant_->currentText().toStdString();
  const auto rate_of = [](const Limit& own) {
    return own.rate->value() > 0.0 ? RateLimit{Hertz{own.rate->value()}, own.burst->value()} : RateLimit{};
  };
  limits.requests = rate_of(limits_[0]);
  limits.tokens = rate_of(limits_[1]);
  auto own = std::find_if(admission_.tenants.begin(), admission_.tenants.end(),
                          [&](const TenantLimits& other) { return other.tenant == limits.tenant; });
  if (own == admission_.tenants.end()) own = admission_.tenants.insert(own, limits);
  *own = limits;
  enable();
  emit tenant_changed(limits);
}

}  // namespace lindos::gui
