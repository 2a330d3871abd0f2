// SPDX-License-Identifier: GPL-3.0-or-later
// Reads the store and scenario files on a thread of its own, so that the window never waits for a disk or a lock. Each
// question opens a read-only connection; the answer comes as a signal on the UI thread. Of two questions of one kind
// only the later one is answered (generation numbers). Threading: owned and called by the UI thread.
#pragma once

#include <QObject>
#include <QString>
#include <QThread>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/store/store.h"
#include "gui/models/accuracy.h"
#include "gui/models/fleet_change.h"
#include "gui/models/plan_shape.h"
#include "gui/models/tables.h"
#include "scenarios/run_timeline.h"
#include "scenarios/site_power.h"

namespace lindos::gui {

enum class StoreState { kReady, kMissing, kRefused };

struct RunList {
  StoreState state = StoreState::kReady;
  QString message;              // why it was refused, with the remedy
  std::vector<ListedRun> runs;  // newest first
};

struct ShownRun {
  std::int64_t id = 0;
  RunRecord record;
  // Of a predicted run: the latest measured one of the same scenario and plan.
  std::optional<RunRecord> measured;
  std::int64_t measured_id = 0;
  std::shared_ptr<const Fleet> fleet;  // nullptr: the run says nothing about single devices
  // Of this run, or of the measured one that belongs to it; nullptr: neither has any.
  std::shared_ptr<const RunSamples> samples;
  std::shared_ptr<const RunSamples> predicted_samples;  // of a predicted run: what it says over time
  std::shared_ptr<const RunTimeline> measured_timeline;
  // Of a measured run: the last prediction of the same scenario and plan before it.
  std::optional<RunRecord> prediction;
};

struct RunPairShown {
  std::int64_t a_id = 0, b_id = 0;
  RunRecord a, b;
  FleetPair fleets;                                          // nullptr: says nothing about single devices
  std::shared_ptr<const RunTimeline> a_timeline, b_timeline; // of measured ones, from the store
};

struct OpenedScenario {
  QString path;
  QString name;
  QString description;
  QString summary;  // "220,000 devices · training"
  bool training = false;
  QStringList tenants;  // of a serving workload
  std::string scenario_digest;
  std::string plan_digest;
  std::shared_ptr<const Fleet> fleet;  // what is installed, nothing predicted
  Plan plan;
  std::vector<GroupBox> plan_boxes;
  SitePower power;
};

class StoreReader : public QObject {
  Q_OBJECT

 public:
  // The list holds the newest so many runs.
  static constexpr std::int64_t kListed = 500;

  explicit StoreReader(std::filesystem::path store, QObject* parent = nullptr);
  ~StoreReader() override;

  void list_runs();
  void show_run(std::int64_t id);
  // The newest predicted run of this scenario and plan, else the newest measured one; no_run() when there is neither.
  void show_latest(const std::string& scenario_digest, const std::string& plan_digest);
  void compare_runs(std::int64_t a, std::int64_t b);
  // Up to the newest kListed measured runs with their predictions.
  void list_pairs();
  void open_scenario(const QString& path);
  // The text of an editor, as if the file at `path` held it. Kept apart from open_scenario: neither answers for the
  // other. The plan of a scenario file that a search wrote.
  void read_plan(const QString& path, const QString& title);
  // A file that `lindos predict --timeline` wrote.
  void read_timeline(const QString& path);
  // The same, of the run that another one is compared with; neither answers for the other.
  void read_other_timeline(const QString& path);
  void check_scenario(const QString& text, const QString& path);
  // The newest profile behind a measured prediction that no calibration has touched, as a file in `folder`.
  void find_probed_profile(const QString& folder);

  [[nodiscard]] const std::filesystem::path& store_path() const { return path_; }
  void set_busy_timeout(std::chrono::milliseconds timeout) { busy_timeout_ = timeout; }

 signals:
  void runs_listed(const lindos::gui::RunList& list);
  void run_shown(const lindos::gui::ShownRun& run);
  void no_run();
  void pairs_listed(const std::vector<lindos::gui::RecordPair>& pairs);
  void runs_compared(const lindos::gui::RunPairShown& pair);
  // A question about the store that it could not answer.
  void store_failed(const QString& message);
  void scenario_opened(const lindos::gui::OpenedScenario& scenario);
  void scenario_refused(const QString& path, const QString& where, const QString& message);
  void timeline_read(const QString& path, const std::shared_ptr<const lindos::RunTimeline>& timeline);
  void timeline_refused(const QString& path, const QString& where, const QString& message);
  void other_timeline_read(const QString& path, const std::shared_ptr<const lindos::RunTimeline>& timeline);
  void other_timeline_refused(const QString& path, const QString& message);
  void plan_read(const std::vector<lindos::gui::GroupBox>& plan, const QString& title);
  void scenario_checked(const lindos::gui::OpenedScenario& scenario);
  void scenario_faulty(const QString& where, const QString& message);
  void profile_found(const QString& file);
  void no_profile();

 private:
  using Answer = std::function<void()>;  // runs on the UI thread
  // Runs `work` on the thread, then its answer here, unless `generation` was asked again meanwhile.
  void ask(int& generation, std::function<Answer()> work);
  [[nodiscard]] data::Store open_store() const;
  // False too where a folder above it may not be entered: opening it says so.
  [[nodiscard]] bool store_is_missing() const;

  std::filesystem::path path_;
  std::chrono::milliseconds busy_timeout_{2000};
  QThread thread_;
  QObject* worker_ = nullptr;  // lives on thread_
  int list_generation_ = 0;
  int show_generation_ = 0;
  int compare_generation_ = 0;
  int scenario_generation_ = 0;
  int check_generation_ = 0;
  int pairs_generation_ = 0;
  int plan_generation_ = 0;
  int timeline_generation_ = 0;
  int other_timeline_generation_ = 0;
  int profile_generation_ = 0;
  // Records never change: read once. Used on thread_ only.
  std::map<std::int64_t, std::optional<double>> useful_;
};

}  // namespace lindos::gui
