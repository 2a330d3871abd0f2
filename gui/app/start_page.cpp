// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/app/start_page.h"

#include <QDir>
#include <QFileInfo>
#include <QFrame>
#include <QGridLayout>
#include <QLabel>
#include <QPushButton>

namespace lindos::gui {

namespace {

const QString kScenarios = LINDOS_SCENARIO_DIR;
constexpr int kWidest = 860;
constexpr int kExamplesInARow = 4;

QFrame* card(const QString& title, const QString& text, QPushButton* action, QPushButton* second) {
  auto* frame = new QFrame;
  frame->setObjectName("card");
  auto* column = new QVBoxLayout(frame);
  column->setContentsMargins(16, 14, 16, 14);
  auto* head = new QLabel(title);
  head->setObjectName("section");
  auto* body = new QLabel(text);
  body->setWordWrap(true);
  body->setObjectName("muted");
  body->setAlignment(Qt::AlignTop | Qt::AlignLeft);
  column->addWidget(head);
  column->addWidget(body, 1);
  auto* row = new QHBoxLayout;
  row->addWidget(action);
  if (second != nullptr) row->addWidget(second);
  row->addStretch();
  column->addLayout(row);
  return frame;
}

}  // namespace

StartPage::StartPage(QWidget* parent) : QWidget(parent), recent_(new QVBoxLayout) {
  auto* title = new QLabel("Lindos");
  title->setObjectName("title");
  auto* what =
      new QLabel(tr("A digital twin for GPU clusters: what will a plan do, what did it do, why do the two differ?"));
  what->setObjectName("muted");
  what->setWordWrap(true);

  const QString machine = kScenarios + "/this-machine.toml";
  const QString colossus = kScenarios + "/colossus1-training.toml";
  auto* twin = new QPushButton(tr("Run the twin"));
  auto* predict = new QPushButton(tr("Predict"));
  auto* open_colossus = new QPushButton(tr("Open"));
  auto* open_machine = new QPushButton(tr("Open"));
  twin->setAccessibleName(tr("Run the twin of this machine"));
  predict->setAccessibleName(tr("Predict Colossus 1"));
  open_colossus->setAccessibleName(tr("Open Colossus 1"));
  open_machine->setAccessibleName(tr("Open this machine"));
  twin->setDefault(true);
  auto* cards = new QGridLayout;
  cards->setSpacing(14);
  cards->addWidget(card(tr("This machine"),
                        tr("A small language model on this machine's CPU: its kernels are timed, eight requests are "
                           "predicted and then really run. Takes about half a minute."),
                        twin, open_machine),
                   0, 0);
  cards->addWidget(
      card(tr("Colossus 1, training"),
           tr("220,000 GPUs of three kinds in one synchronous training job: how much of their peak does it use, "
              "and where does the rest go?"),
           predict, open_colossus),
      0, 1);
  cards->setColumnStretch(0, 1);
  cards->setColumnStretch(1, 1);

  auto* open = new QPushButton(tr("Open a scenario…"));
  auto* hint = new QLabel(tr("or drop a scenario, plan, profile, timeline or measurement anywhere in this window."));
  hint->setObjectName("muted");
  auto* row = new QHBoxLayout;
  row->addWidget(open);
  row->addWidget(hint, 1);
  auto* examples = new QWidget;
  auto* example_grid = new QGridLayout(examples);
  example_grid->setContentsMargins(0, 0, 0, 0);
  auto* examples_title = new QLabel(tr("More examples:"));
  examples_title->setObjectName("muted");
  example_grid->addWidget(examples_title, 0, 0);
  int shown = 0;
  for (const QString& name : QDir(kScenarios).entryList({"*.toml"}, QDir::Files, QDir::Name)) {
    const QString path = kScenarios + "/" + name;
    if (path == machine || path == colossus) continue;
    auto* example = new QPushButton(QFileInfo(name).completeBaseName());
    example->setFlat(true);
    example->setObjectName("link");
    example->setToolTip(path);
    example->setAccessibleName(tr("Open the example %1").arg(example->text()));
    connect(example, &QPushButton::clicked, this, [this, path] { emit scenario_chosen(path); });
    example_grid->addWidget(example, shown / kExamplesInARow, 1 + shown % kExamplesInARow, Qt::AlignLeft);
    ++shown;
  }
  example_grid->setColumnStretch(1 + kExamplesInARow, 1);
  auto* keys = new QLabel(tr("Ctrl+K finds every command by name, ? lists the keys."));
  keys->setObjectName("muted");
  auto* recent_title = new QLabel(tr("Recent scenarios"));
  recent_title->setObjectName("section");

  auto* inner = new QWidget;
  inner->setMaximumWidth(kWidest);
  auto* column = new QVBoxLayout(inner);
  column->setSpacing(12);
  column->addStretch(1);
  column->addWidget(title);
  column->addWidget(what);
  column->addSpacing(8);
  column->addLayout(cards);
  column->addLayout(row);
  column->addWidget(examples);
  column->addSpacing(8);
  column->addWidget(recent_title);
  column->addLayout(recent_);
  column->addSpacing(8);
  column->addWidget(keys);
  column->addStretch(2);
  auto* centre = new QHBoxLayout(this);
  centre->setContentsMargins(24, 24, 24, 24);
  centre->addStretch(1);
  centre->addWidget(inner, 8);
  centre->addStretch(1);

  connect(open, &QPushButton::clicked, this, &StartPage::open_requested);
  connect(twin, &QPushButton::clicked, this, [this, machine] { emit twin_requested(machine); });
  connect(predict, &QPushButton::clicked, this, [this, colossus] { emit predict_requested(colossus); });
  connect(open_machine, &QPushButton::clicked, this, [this, machine] { emit scenario_chosen(machine); });
  connect(open_colossus, &QPushButton::clicked, this, [this, colossus] { emit scenario_chosen(colossus); });
  show_recent({});
}

void StartPage::show_recent(const std::vector<RecentScenario>& recent) {
  while (QLayoutItem* item = recent_->takeAt(0)) {
    delete item->widget();
    delete item;
  }
  if (recent.empty()) {
    auto* none = new QLabel(tr("None yet."));
    none->setObjectName("muted");
    recent_->addWidget(none);
  }
  for (const RecentScenario& scenario : recent) {
    auto* row = new QWidget;
    auto* line = new QHBoxLayout(row);
    line->setContentsMargins(0, 0, 0, 0);
    auto* button = new QPushButton(QFileInfo(scenario.path).fileName());
    button->setToolTip(scenario.path);
    QString text = scenario.headline.isEmpty() ? tr("not predicted yet") : scenario.headline;
    if (!scenario.left.isEmpty()) text = tr("unsaved edits of %1 · ").arg(scenario.left) + text;
    auto* headline = new QLabel(text);
    headline->setObjectName("muted");
    line->addWidget(button);
    line->addWidget(headline, 1);
    connect(button, &QPushButton::clicked, this, [this, path = scenario.path] { emit scenario_chosen(path); });
    recent_->addWidget(row);
  }
}

}  // namespace lindos::gui
