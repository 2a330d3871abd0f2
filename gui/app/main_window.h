// SPDX-License-Identifier: GPL-3.0-or-later
// The window: start page or the tabs Why, Compare, Runs; docks Problems and Log; one job at a time. It computes
// nothing: verbs run as child processes and write the store, the window reads it.
#pragma once

#include <QComboBox>
#include <QFileSystemWatcher>
#include <QLabel>
#include <QMainWindow>
#include <QPlainTextEdit>
#include <QProgressBar>
#include <QPushButton>
#include <QStackedWidget>
#include <QTabWidget>
#include <QTimer>
#include <functional>
#include <optional>

#include "gui/app/actions.h"
#include "gui/app/comparison_bar.h"
#include "gui/app/message_bar.h"
#include "gui/app/start_page.h"
#include "gui/docks/inspector.h"
#include "gui/docks/launch_panel.h"
#include "gui/docks/scenario_editor.h"
#include "gui/pages/accuracy_page.h"
#include "gui/pages/cluster_page.h"
#include "gui/pages/compare_page.h"
#include "gui/pages/live_page.h"
#include "gui/pages/plans_page.h"
#include "gui/pages/power_page.h"
#include "gui/pages/runs_page.h"
#include "gui/pages/timeline_page.h"
#include "gui/pages/why_page.h"
#include "gui/state/document.h"
#include "gui/state/selection.h"
#include "gui/work/job.h"
#include "gui/work/store_reader.h"

namespace lindos::gui {

struct WindowOptions {
  QString lindos;               // the program whose verbs are run
  std::filesystem::path store;  // need not exist yet
  QString fidelity = "simgrid";
  QString profile;                   // device profile for predictions; empty: as the verb chooses
  std::optional<ThemeChoice> theme;  // absent: the saved choice, at first the desktop's
};

enum class View {
  kStart,
  kCluster,
  kWhy,
  kPlans,
  kTimeline,
  kLive,
  kPower,
  kAccuracy,
  kCompare,
  kRuns
};  // in the order of the tabs
// What to do once a scenario is open.
enum class AfterOpen { kShowLatest, kPredict, kExplain, kTwin, kSearch, kLaunch };

class MainWindow : public QMainWindow {
  Q_OBJECT

 public:
  explicit MainWindow(const WindowOptions& options);

  void open_scenario(const QString& path, AfterOpen then = AfterOpen::kShowLatest);
  // Whatever a user may drop: a scenario, timeline, plan, profile, measurement or trace, told apart by what it holds.
  void open_file(const QString& path);
  void predict();
  void explain();
  // Predicts the scenario with one change of the explanation, then compares it with the run that was explained.
  void apply_change(std::int64_t mitigation);
  // Of the shown run, or of A and B when Compare is shown: as HTML or PDF.
  void write_report(const QString& file);
  void run_twin();
  // Runs the scenario here without predicting it again.
  void run_here();
  // Where the plan shall run, with what stands in the way of it here.
  void show_launch();
  void preflight();
  // As the launch panel says: here, or as files of jobs.
  void launch();
  // Gives jobs that were written for Slurm to its queue; from then on their state is asked for.
  void submit_jobs(const QStringList& scripts);
  void cancel_jobs();
  // Of the intervals, from the pairs of the store; used once it is accepted.
  void calibrate();
  void accept_calibration();
  // Of the shown run, by predicting it again.
  void make_timeline();
  // A file of `lindos predict --timeline`.
  void open_timeline(const QString& path);
  void search_plans();
  // Predicts the scenario with a found plan, then compares it with the shown run.
  void apply_plan(int plan);
  void stop();
  void show_view(View view);
  // Selects the devices that the shown step waits for, and shows them.
  void show_gate();
  void show_editor();
  // Of the store's list as it was last read; false: it has fewer than two.
  bool compare_newest();
  // The shown run becomes A, unless A is chosen; the view stays.
  void compare_with(std::int64_t b);
  void end_comparison();

  [[nodiscard]] ClusterPage& cluster() { return *cluster_; }
  [[nodiscard]] Inspector& inspector() { return *inspector_; }
  [[nodiscard]] ScenarioEditor& editor() { return *editor_; }
  [[nodiscard]] LaunchPanel& launch_panel() { return *launch_; }
  [[nodiscard]] const QString& profile() const { return options_.profile; }
  [[nodiscard]] Document& document() { return document_; }
  [[nodiscard]] SelectionState& selection() { return selection_; }
  [[nodiscard]] WhyPage& why() { return *why_; }
  [[nodiscard]] PlansPage& plans() { return *plans_; }
  [[nodiscard]] TimelinePage& timeline() { return *timeline_; }
  [[nodiscard]] LivePage& live() { return *live_; }
  [[nodiscard]] PowerPage& power() { return *power_; }
  [[nodiscard]] AccuracyPage& accuracy() { return *accuracy_; }
  [[nodiscard]] ComparePage& compare() { return *compare_; }
  [[nodiscard]] RunsPage& runs() { return *runs_; }
  [[nodiscard]] MessageBar& message() { return *message_; }
  [[nodiscard]] ComparisonBar& comparison() { return *comparison_; }
  [[nodiscard]] TableView& problems() { return *problems_; }
  [[nodiscard]] const Actions& actions_list() const { return actions_; }
  [[nodiscard]] Job& job() { return job_; }
  [[nodiscard]] const std::vector<SlurmJob>& slurm_jobs() const { return slurm_jobs_; }

 signals:
  // The window shows the answer to what was asked last: a run, an empty page, a pair, or a complaint.
  void settled();

 protected:
  void closeEvent(QCloseEvent* event) override;
  void dragEnterEvent(QDragEnterEvent* event) override;
  void dropEvent(QDropEvent* event) override;
  // Files that are dropped on a text field are the window's too: the field would insert their names. So are keys that a text
  // field under X11 takes for itself (Ctrl+E: end of line, Ctrl+K: delete it).
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  void make_actions();
  void make_docks();
  void make_status_bar();
  void connect_reader();
  void connect_job();
  void set_theme(ThemeChoice choice);
  void ask_for_scenario();
  void ask_for_profile();
  // True: it has shown the result.
  using Answer = std::function<bool(const JobResult&)>;
  // `stores`: the verb takes --db. `answer` comes before what is done with every verb. False: another one is running.
  bool start_verb(const QStringList& words, const QString& title, bool stores = true, Answer answer = {});
  void job_ended(const JobResult& result);
  void scenario_is_open(const OpenedScenario& scenario);
  void display(const ShownRun& run);
  void connect_selection();
  void connect_editor();
  void load_into_editor(const QString& path);
  void show_fault(const QString& where, const QString& message);
  void scenario_changed(const OpenedScenario& scenario);
  void save();
  void save_as();
  void say_stale();
  void say_not_predicted();
  void show_scope(const OpenedScenario& scenario);
  void say_measured(const ShownRun& run);
  // Of the submitted jobs, by a verb of its own beside any other; again while one of them has not ended.
  void ask_queue();
  void queue_answered(const JobResult& result);
  void show_jobs();
  // Live without samples, with the jobs that run elsewhere.
  [[nodiscard]] QString nothing_runs() const;
  void calibrate_from(const QString& profile);
  void import_measurement(const QString& tool, const QString& file);
  void use_profile(const QString& file);
  void say_error(const QString& message);
  // `run`: whose fleet it is; nullptr: what is installed, nothing predicted.
  void show_fleet(const std::shared_ptr<const Fleet>& fleet, const QString& what, const ShownRun* run = nullptr);
  void complain(const QString& where, const QString& message);
  void choose_a(std::int64_t id);
  void choose_b(std::int64_t id);
  void compare_chosen();
  // In the views that can, where A or B is shown; the bar says which cannot.
  void show_comparison();
  void show_both_timelines();
  void update_comparison();
  [[nodiscard]] QString comparison_note() const;
  void show_power();
  void show_samples(const ShownRun& run);
  // The live view of a verb that runs the scenario here.
  void watch(const QString& what);
  void find_timeline(const ShownRun& run);
  // A file of the kept ones, which are named by what was predicted and not by how it was priced.
  [[nodiscard]] static bool is_of(const RunTimeline& timeline, const RunRecord& predicted);
  void connect_comparison();
  void timeline_arrived(const QString& path, const std::shared_ptr<const RunTimeline>& timeline);
  [[nodiscard]] bool shows(View view) const;
  void ask_for_timeline();
  void toggle_panels();
  void restore_default_layout();
  void show_shortcuts();
  void show_palette();
  void ask_for_report();
  void show_about();
  void update_state();
  void remember(const QString& path, const QString& headline);
  [[nodiscard]] std::vector<RecentScenario> recent() const;
  [[nodiscard]] QString why_not_explained(const RunRecord& record) const;

  WindowOptions options_;
  const Theme* theme_ = &light_theme();
  bool desktop_dark_ = false;
  Actions actions_;
  SelectionState selection_;
  Document document_;
  bool faulty_ = false;  // the edited text is no scenario
  StoreReader reader_;
  Job job_;
  Job queue_job_;  // asks for the state of submitted jobs
  QTimer queue_timer_;
  std::vector<SlurmJob> slurm_jobs_;
  QFileSystemWatcher watcher_;

  std::optional<OpenedScenario> scenario_;
  AfterOpen after_open_ = AfterOpen::kShowLatest;
  bool opening_ = false;    // a scenario was asked for and has not come
  bool reloading_ = false;  // the file changed on disk
  std::vector<ListedRun> listed_;
  std::optional<ExplanationResult> explanation_;
  std::int64_t explained_run_ = 0;
  bool explanation_is_new_ = false;  // belongs to the run that is displayed next
  QString plans_folder_;  // of the last search
  QString what_ifs_;     // folder of the explanation's scenarios
  std::optional<std::int64_t> compare_with_;  // the next run that is shown is compared with this one
  std::optional<std::int64_t> a_, b_;
  std::optional<RunPairShown> compared_;  // A and B as they were last read
  QString map_alone_, timeline_alone_;    // why these show no comparison
  std::shared_ptr<const RunTimeline> own_timeline_;  // kept, of the shown run's prediction
  Answer answer_;  // of the running verb
  bool measuring_ = false;         // the running verb measures here
  bool just_measured_ = false;     // the next run that is shown came of it
  QString calibrated_;             // a calibrated profile that waits to be accepted
  QString accepted_;               // and one that was
  QString making_timeline_;    // the file that the running job writes and nothing else is asked of
  bool reading_timeline_ = false;  // of the shown run; it settles when that is read
  bool closing_anyway_ = false;
  bool leaving_edits_ = false;  // asked once
  bool stale_said_ = false;
  Table problem_rows_;
  QByteArray default_state_;

  QStackedWidget* stack_;
  StartPage* start_;
  QTabWidget* tabs_;
  ClusterPage* cluster_;
  WhyPage* why_;
  PlansPage* plans_;
  TimelinePage* timeline_;
  LivePage* live_;
  PowerPage* power_;
  AccuracyPage* accuracy_;
  ComparePage* compare_;
  RunsPage* runs_;
  MessageBar* message_;
  TableView* problems_;
  QPlainTextEdit* log_;
  QDockWidget* problems_dock_ = nullptr;
  QDockWidget* log_dock_ = nullptr;
  Inspector* inspector_ = nullptr;
  ScenarioEditor* editor_ = nullptr;
  QDockWidget* editor_dock_ = nullptr;
  QDockWidget* inspector_dock_ = nullptr;
  LaunchPanel* launch_ = nullptr;
  QDockWidget* launch_dock_ = nullptr;
  QToolBar* toolbar_ = nullptr;
  QComboBox* fidelity_;
  QLabel* status_;
  ComparisonBar* comparison_;
  QLabel* job_text_;
  QProgressBar* job_bar_;
  QPushButton* job_cancel_;
  QPushButton* show_panels_;
  QAction* edit_ = nullptr;
  QAction* save_ = nullptr;
  QAction* save_as_ = nullptr;
  QAction* predict_ = nullptr;
  QAction* explain_ = nullptr;
  QAction* twin_ = nullptr;
  QAction* run_here_ = nullptr;
  QAction* search_ = nullptr;
  QAction* launching_ = nullptr;
  QAction* calibrating_ = nullptr;
  QAction* stop_ = nullptr;
  QAction* swap_ = nullptr;
  QAction* end_comparing_ = nullptr;
  QAction* copy_command_ = nullptr;
  QAction* export_ = nullptr;
  QAction* report_ = nullptr;
  QAction* table_ = nullptr;
};

}  // namespace lindos::gui
