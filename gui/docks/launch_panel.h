// SPDX-License-Identifier: GPL-3.0-or-later
// Where the open plan shall run: here, after a preflight, or elsewhere, by files for Slurm, Kubernetes or the engine
// itself, and what becomes of the jobs that Slurm was given. It asks; the window starts the verbs.
#pragma once

#include <QComboBox>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>
#include <QWidget>
#include <optional>

#include "gui/models/preflight.h"
#include "gui/models/slurm_jobs.h"
#include "gui/pages/table_view.h"

namespace lindos::gui {

enum class LaunchPlace { kTwin, kRun, kSlurm, kKubernetes, kScripts };  // in the order of the choices

class LaunchPanel : public QWidget {
  Q_OBJECT

 public:
  explicit LaunchPanel(QWidget* parent = nullptr);

  // Of the scenario that is open; what was checked before no longer counts.
  void show_scenario(const QString& title, bool training);
  // Nothing can be started now: no scenario, a faulty one, or a verb that runs.
  void set_ready(bool ready);
  void show_preflight(const PreflightResult& result);
  // The preflight itself failed.
  void show_fault(const QString& message);
  // With what starts them, here or on a cluster.
  void show_files(const QStringList& files);
  // That were submitted from here.
  void show_jobs(const std::vector<SlurmJob>& jobs);

  [[nodiscard]] LaunchPlace place() const { return static_cast<LaunchPlace>(where_->currentIndex()); }
  [[nodiscard]] bool here() const { return place() == LaunchPlace::kTwin || place() == LaunchPlace::kRun; }
  [[nodiscard]] QString engine() const { return engine_->currentText(); }
  [[nodiscard]] QString folder() const { return folder_->text(); }
  // Checkpoint that the jobs load; empty: MODEL in their environment.
  [[nodiscard]] QString model() const { return model_->text().trimmed(); }
  [[nodiscard]] QLineEdit& model_field() { return *model_; }
  [[nodiscard]] QComboBox& where() { return *where_; }
  [[nodiscard]] QComboBox& engines() { return *engine_; }
  [[nodiscard]] QLineEdit& folder_field() { return *folder_; }
  [[nodiscard]] QPushButton& start() { return *start_; }
  [[nodiscard]] TableView& checks() { return *checks_; }
  [[nodiscard]] TableView& jobs() { return *jobs_; }
  [[nodiscard]] QPushButton& submit() { return *submit_; }
  [[nodiscard]] QString state() const { return state_->text(); }

 signals:
  void preflight_requested();
  void launch_requested();
  void submit_requested(const QStringList& scripts);
  void cancel_jobs_requested();

 private:
  void show_place();
  void say_unchecked();

  QLabel* title_;
  QComboBox* where_;
  QComboBox* engine_;
  QLineEdit* model_;
  QLineEdit* folder_;
  QPushButton* browse_;
  QWidget* files_;  // what only written files need
  QLabel* state_;
  TableView* checks_;
  QPushButton* check_;
  QPushButton* start_;
  QPushButton* submit_;
  QWidget* queue_;  // jobs and what can be done with them
  TableView* jobs_;
  QStringList scripts_;   // written for Slurm and not submitted yet
  bool any_jobs_ = false;
  QPushButton* had_focus_ = nullptr;   // when nothing could be started any more
  QWidget* handed_to_ = nullptr;       // and who got it; only compared
  bool training_ = false;
  std::optional<int> kept_place_;  // that a training scenario took away
  bool ready_ = false;
};

}  // namespace lindos::gui
