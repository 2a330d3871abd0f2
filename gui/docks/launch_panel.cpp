// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/docks/launch_panel.h"

#include <QApplication>
#include <QDir>
#include <QFileInfo>
#include <QFileDialog>
#include <QGridLayout>
#include <QHBoxLayout>
#include <QStandardItemModel>
#include <QStandardPaths>
#include <QVBoxLayout>

namespace lindos::gui {

namespace {

// What `lindos export` takes as engine: what serves, and what trains.
const QStringList kServing = {"vllm", "sglang", "trtllm", "lindos"};
const QStringList kTraining = {"megatron", "deepspeed"};

}  // namespace

LaunchPanel::LaunchPanel(QWidget* parent)
    : QWidget(parent),
      title_(new QLabel),
      where_(new QComboBox),
      engine_(new QComboBox),
      model_(new QLineEdit),
      folder_(new QLineEdit),
      browse_(new QPushButton(tr("Choose…"))),
      files_(new QWidget),
      state_(new QLabel),
      checks_(new TableView(tr("Preflight checks"))),
      check_(new QPushButton(tr("Check again"))),
      start_(new QPushButton),
      submit_(new QPushButton(tr("Submit (sbatch)"))),
      queue_(new QWidget),
      jobs_(new TableView(tr("Jobs that were submitted"))) {
  title_->setObjectName("section");
  title_->setWordWrap(true);
  state_->setWordWrap(true);
  state_->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
  where_->addItems({tr("This machine: predict, then run"), tr("This machine: run only"), tr("Slurm: write the jobs"),
                    tr("Kubernetes: write the manifests"), tr("Elsewhere: write the start scripts")});
  where_->setAccessibleName(tr("Where the plan runs"));
  engine_->setAccessibleName(tr("Engine that the jobs start"));
  engine_->setToolTip(tr("What the written files start; a plan that it cannot express is refused with the reason."));
  model_->setAccessibleName(tr("Checkpoint that the jobs load"));
  model_->setPlaceholderText(tr("MODEL in their environment"));
  model_->setToolTip(tr("Path or name as the engine takes it. Kubernetes needs one: pods do not see a shell's MODEL."));
  folder_->setAccessibleName(tr("Folder of the written files"));
  folder_->setText(QStandardPaths::writableLocation(QStandardPaths::AppDataLocation) + "/jobs");
  browse_->setAccessibleName(tr("Choose the folder of the written files"));
  start_->setDefault(true);

  auto* files = new QGridLayout(files_);
  files->setContentsMargins(0, 0, 0, 0);
  int at = 0;
  const auto row = [&](const QString& text, QWidget* field, int columns) {
    auto* label = new QLabel(text);
    label->setBuddy(field);
    files->addWidget(label, at, 0);
    files->addWidget(field, at++, 1, 1, columns);
  };
  row(tr("Engine"), engine_, 2);
  row(tr("Checkpoint"), model_, 2);
  row(tr("Folder"), folder_, 1);
  files->addWidget(browse_, 2, 2);
  files->setColumnStretch(1, 1);
  auto* where = new QLabel(tr("Where"));
  where->setBuddy(where_);
  auto* places = new QHBoxLayout;
  places->addWidget(where);
  places->addWidget(where_, 1);
  checks_->wrap_text();
  checks_->setStyleSheet("QTableView::item { padding: 4px; }");
  auto* buttons = new QHBoxLayout;
  buttons->addWidget(start_);
  buttons->addWidget(check_);
  buttons->addWidget(submit_);
  buttons->addStretch();
  submit_->setToolTip(tr("Gives the written jobs to Slurm, in their folder"));
  auto* cancel = new QPushButton(tr("Cancel jobs (scancel)"));
  auto* queue = new QVBoxLayout(queue_);
  queue->setContentsMargins(0, 0, 0, 0);
  queue->addWidget(jobs_, 1);
  queue->addWidget(cancel, 0, Qt::AlignLeft);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(10, 8, 10, 8);
  column->addWidget(title_);
  column->addLayout(places);
  column->addWidget(files_);
  column->addLayout(buttons);
  column->addWidget(state_);
  column->addWidget(checks_, 1);
  column->addWidget(queue_, 1);
  column->addStretch();
  setMinimumWidth(300);

  connect(where_, &QComboBox::currentIndexChanged, this, [this] {
    say_unchecked();
  });
  connect(check_, &QPushButton::clicked, this, &LaunchPanel::preflight_requested);
  connect(start_, &QPushButton::clicked, this, &LaunchPanel::launch_requested);
  connect(submit_, &QPushButton::clicked, this, [this] { emit submit_requested(scripts_); });
  connect(cancel, &QPushButton::clicked, this, &LaunchPanel::cancel_jobs_requested);
  connect(browse_, &QPushButton::clicked, this, [this] {
    const QString chosen = QFileDialog::getExistingDirectory(this, tr("Folder of the jobs"), folder_->text());
    if (!chosen.isEmpty()) folder_->setText(chosen);
  });
  show_scenario(tr("No scenario open (Ctrl+O)."), false);
}

void LaunchPanel::show_scenario(const QString& title, bool training) {
  title_->setText(title);
  training_ = training;
  auto* places = qobject_cast<QStandardItemModel*>(where_->model());
  for (const LaunchPlace local : {LaunchPlace::kTwin, LaunchPlace::kRun}) {
    QStandardItem* item = places->item(static_cast<int>(local));
    item->setEnabled(!training);
    item->setToolTip(training ? tr("The engine here serves; a training job is written for a cluster.") : QString());
  }
  // The engine here serves; what was chosen here comes back with the next scenario that it can serve.
  if (training && here()) {
    kept_place_ = where_->currentIndex();
    where_->setCurrentIndex(static_cast<int>(LaunchPlace::kSlurm));
  } else if (!training && kept_place_) {
    if (place() == LaunchPlace::kSlurm) where_->setCurrentIndex(*kept_place_);
    kept_place_.reset();
  }
  const QString chosen = engine_->currentText();
  engine_->clear();
  engine_->addItems(training ? kTraining : kServing);
  if (const int again = engine_->findText(chosen); again >= 0) engine_->setCurrentIndex(again);
  say_unchecked();
}

void LaunchPanel::set_ready(bool ready) {
  // A button that is switched off hands the focus on; it comes back unless the user has moved it meanwhile.
  if (!ready && ready_) {
    had_focus_ = nullptr;
    for (QPushButton* button : {start_, check_, submit_}) {
      if (button->hasFocus()) had_focus_ = button;
    }
  }
  const bool back = ready && !ready_ && had_focus_ != nullptr && QApplication::focusWidget() == handed_to_;
  const bool left = !ready && ready_;
  ready_ = ready;
  show_place();
  if (left) handed_to_ = QApplication::focusWidget();
  if (back) had_focus_->setFocus();
}

void LaunchPanel::show_place() {
  files_->setVisible(!here());
  check_->setVisible(here());
  checks_->setVisible(here());
  check_->setEnabled(ready_);
  submit_->setVisible(place() == LaunchPlace::kSlurm && !scripts_.isEmpty());
  submit_->setEnabled(ready_);
  queue_->setVisible(place() == LaunchPlace::kSlurm && any_jobs_);
  start_->setEnabled(ready_ && !(training_ && here()));
  start_->setText(place() == LaunchPlace::kTwin  ? tr("Predict and run (F6)")
                  : place() == LaunchPlace::kRun ? tr("Run (Shift+F6)")
                                                 : tr("Write the files"));
}

void LaunchPanel::say_unchecked() {
  scripts_.clear();
  show_place();
  checks_->set_table({});
  state_->setText(here() ? tr("Not checked yet.") : QString());
  if (place() == LaunchPlace::kSlurm && QStandardPaths::findExecutable("sbatch").isEmpty())
    state_->setText(tr("sbatch is not in PATH: the jobs are written here and submitted on the cluster."));
  if (place() == LaunchPlace::kKubernetes && QStandardPaths::findExecutable("kubectl").isEmpty())
    state_->setText(tr("kubectl is not in PATH: the manifests are written here and applied from where it is."));
}

void LaunchPanel::show_preflight(const PreflightResult& result) {
  checks_->set_table(result.checks);
  state_->setText(!result.ready          ? tr("It cannot run here as it is. The checks that failed say what would help.")
                  : result.warnings == 0 ? tr("Ready.")
                  : result.warnings == 1 ? tr("Ready, with one warning.")
                                         : tr("Ready, with %1 warnings.").arg(result.warnings));
}

void LaunchPanel::show_fault(const QString& message) { state_->setText(message); }

void LaunchPanel::show_files(const QStringList& files) {
  QStringList lines;
  QStringList commands;
  for (const QString& file : files) {
    lines << QDir::toNativeSeparators(file);
    const QString name = QFileInfo(file).fileName();
    if (place() == LaunchPlace::kSlurm && name.endsWith(".sbatch")) commands << "sbatch " + name;
    if (place() == LaunchPlace::kKubernetes && name.endsWith(".yaml")) commands << "kubectl apply -f " + name;
    if (place() == LaunchPlace::kScripts && name.endsWith(".sh")) commands << "./" + name;
  }
  QString text = tr("Written:\n%1").arg(lines.join('\n'));
  scripts_.clear();
  if (place() == LaunchPlace::kSlurm && !QStandardPaths::findExecutable("sbatch").isEmpty()) {
    for (const QString& file : files) {
      if (file.endsWith(".sbatch")) scripts_ << file;
    }
  } else if (place() == LaunchPlace::kSlurm) {
    text += tr("\n\nsbatch is not in PATH here. On the cluster, in this folder:\n%1").arg(commands.join('\n'));
  } else {
    text += tr("\n\nTo start, in this folder:\n%1").arg(commands.join('\n'));
  }
  state_->setText(text);
  show_place();
  if (!scripts_.isEmpty() && start_->hasFocus()) submit_->setFocus();  // what comes next
}

void LaunchPanel::show_jobs(const std::vector<SlurmJob>& jobs) {
  any_jobs_ = !jobs.empty();
  jobs_->set_table(slurm_table(jobs));
  show_place();
}

}  // namespace lindos::gui
