// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/app/main_window.h"

#include <QActionGroup>
#include <QApplication>
#include <QClipboard>
#include <QCloseEvent>
#include <QDesktopServices>
#include <QDialog>
#include <QDir>
#include <QDockWidget>
#include <QDragEnterEvent>
#include <QFileDialog>
#include <QFileInfo>
#include <QKeyEvent>
#include <QMenuBar>
#include <QMimeData>
#include <QScreen>
#include <QScrollArea>
#include <QSettings>
#include <QStandardPaths>
#include <QStatusBar>
#include <QToolBar>
#include <QVBoxLayout>
#include <algorithm>
#include <chrono>

#include "gui/app/command_palette.h"
#include "gui/models/dropped_file.h"
#include "gui/models/format.h"
#include "gui/models/missing_fields.h"
#include "gui/models/plan_text.h"
#include "gui/work/kept_timelines.h"

namespace lindos::gui {

namespace {

// Layouts saved by a window with other docks are not restored.
constexpr int kLayoutVersion = 5;
constexpr int kLaunchWidth = 380;
constexpr QSize kLeastCentre{360, 240};
constexpr int kLogLines = 10000;
constexpr int kRecent = 6;
constexpr std::chrono::seconds kAskQueue{5};        // schedulers do not like to be asked more often
constexpr std::chrono::seconds kAskQueueAgain{30};  // after it did not answer
constexpr const char* kSlurmJobs = "slurm/jobs";
constexpr std::uint64_t kVerbsSeed = 1;  // of the draws, where the verb is not told another
const QString kClosed = "closed";

const QString kNothingRuns = QObject::tr(
    "Nothing is running.\n\nOpen a serving scenario and run it here: F6 predicts it first, Shift+F6 only runs it. Its tokens, "
    "latencies, memory and devices are shown as it goes, with what was predicted behind them.");

const std::array<std::pair<const char*, const char*>, 3> kFidelities = {{
    {"closed", QT_TRANSLATE_NOOP("lindos::gui::MainWindow", "closed: a formula, in well under a second")},
    {"maxplus", QT_TRANSLATE_NOOP("lindos::gui::MainWindow", "maxplus: every step of every rank")},
    {"simgrid", QT_TRANSLATE_NOOP("lindos::gui::MainWindow", "simgrid: every message")},
}};

QString profile_folder() { return QStandardPaths::writableLocation(QStandardPaths::AppDataLocation) + "/profiles"; }

}  // namespace

MainWindow::MainWindow(const WindowOptions& options)
    : options_(options),
      actions_(this),
      reader_(options.store),
      stack_(new QStackedWidget),
      start_(new StartPage),
      tabs_(new QTabWidget),
      cluster_(new ClusterPage),
      why_(new WhyPage),
      plans_(new PlansPage),
      timeline_(new TimelinePage),
      live_(new LivePage),
      power_(new PowerPage),
      accuracy_(new AccuracyPage),
      compare_(new ComparePage),
      runs_(new RunsPage),
      message_(new MessageBar),
      problems_(new TableView(tr("Problems"))),
      log_(new QPlainTextEdit),
      fidelity_(new QComboBox),
      status_(new QLabel),
      comparison_(new ComparisonBar),
      job_text_(new QLabel),
      job_bar_(new QProgressBar),
      job_cancel_(new QPushButton(tr("Cancel"))),
      show_panels_(new QPushButton(tr("Show panels (F11)"))) {
  setWindowTitle("Lindos[*]");
  setAcceptDrops(true);
  qApp->installEventFilter(this);
  resize(1280, 860);
  tabs_->setDocumentMode(true);
  tabs_->tabBar()->setDrawBase(false);
  tabs_->addTab(cluster_, tr("Cluster"));
  tabs_->addTab(why_, tr("Why"));
  tabs_->addTab(plans_, tr("Plans"));
  tabs_->addTab(timeline_, tr("Timeline"));
  tabs_->addTab(live_, tr("Live"));
  tabs_->addTab(power_, tr("Power"));
  tabs_->addTab(accuracy_, tr("Accuracy"));
  tabs_->addTab(compare_, tr("Compare"));
  tabs_->addTab(runs_, tr("Runs"));
  // Where panels leave less than a view needs it scrolls; the window does not outgrow its screen.
  for (QWidget* content : std::initializer_list<QWidget*>{start_, tabs_}) {
    auto* scroll = new QScrollArea;
    scroll->setWidget(content);
    scroll->setWidgetResizable(true);
    scroll->setFrameShape(QFrame::NoFrame);
    scroll->setFocusPolicy(Qt::NoFocus);
    scroll->setMinimumSize(kLeastCentre);
    stack_->addWidget(scroll);
  }
  auto* centre = new QWidget;
  centre->setMinimumSize(kLeastCentre);
  auto* column = new QVBoxLayout(centre);
  column->setContentsMargins(0, 0, 0, 0);
  column->setSpacing(0);
  column->addWidget(message_);
  column->addWidget(comparison_);
  column->addWidget(stack_, 1);
  setCentralWidget(centre);

  make_docks();
  make_status_bar();
  make_actions();
  connect_reader();
  connect_job();
  connect_selection();
  connect_editor();
  connect_comparison();
  connect(start_, &StartPage::open_requested, this, &MainWindow::ask_for_scenario);
  connect(start_, &StartPage::scenario_chosen, this, [this](const QString& path) { open_scenario(path); });
  connect(start_, &StartPage::predict_requested, this,
          [this](const QString& path) { open_scenario(path, AfterOpen::kPredict); });
  connect(start_, &StartPage::twin_requested, this,
          [this](const QString& path) { open_scenario(path, AfterOpen::kTwin); });
  connect(why_, &WhyPage::predict_requested, this, &MainWindow::predict);
  connect(why_, &WhyPage::explain_requested, this, &MainWindow::explain);
  connect(why_, &WhyPage::change_chosen, this, &MainWindow::apply_change);
  connect(why_, &WhyPage::export_failed, this, [this](const QString& text) { complain({}, text); });
  connect(runs_, &RunsPage::run_chosen, this, [this](std::int64_t id) {
    reader_.show_run(id);
    show_view(View::kWhy);
  });
  connect(runs_, &RunsPage::a_chosen, this, &MainWindow::choose_a);
  connect(runs_, &RunsPage::b_chosen, this, &MainWindow::choose_b);
  connect(plans_, &PlansPage::search_requested, this, &MainWindow::search_plans);
  connect(plans_, &PlansPage::plan_chosen, this, &MainWindow::apply_plan);
  connect(cluster_, &ClusterPage::export_failed, this, &MainWindow::say_error);
  connect(plans_, &PlansPage::launch_requested, this, [this](int plan) {
    if (plan < 0) return show_launch();
    open_scenario(plans_folder_ + "/" + plans_->search()->plans[static_cast<std::size_t>(plan)].scenario_file,
                  AfterOpen::kLaunch);
  });
  connect(plans_, &PlansPage::export_failed, this, &MainWindow::say_error);
  connect(plans_, &PlansPage::plan_selected, this, [this](int plan) {
    const FoundPlan& found = plans_->search()->plans[static_cast<std::size_t>(plan)];
    reader_.read_plan(plans_folder_ + "/" + found.scenario_file, tr("Plan %1: %2").arg(plan + 1).arg(found.name));
  });
  connect(&reader_, &StoreReader::plan_read, plans_, &PlansPage::show_plan);
  connect(timeline_, &TimelinePage::timeline_requested, this, &MainWindow::make_timeline);
  connect(power_, &PowerPage::export_failed, this, &MainWindow::say_error);
  connect(live_, &LivePage::export_failed, this, &MainWindow::say_error);
  connect(timeline_, &TimelinePage::export_failed, this, &MainWindow::say_error);
  connect(&reader_, &StoreReader::timeline_read, this, &MainWindow::timeline_arrived);
  connect(&reader_, &StoreReader::timeline_refused, this,
          [this](const QString& path, const QString& where, const QString& message) {
            timeline_->show_empty(tr("%1 cannot be shown.\n\nFiles that this version's lindos "
                                     "predict --timeline wrote can; F5 writes one too.")
                                      .arg(path),
                                  false);
            complain(where.isEmpty() ? path : where, message);
            reading_timeline_ = false;
            emit settled();
          });
  connect(accuracy_, &AccuracyPage::run_chosen, runs_, &RunsPage::run_chosen);
  connect(accuracy_, &AccuracyPage::calibration_requested, this, &MainWindow::calibrate);
  connect(accuracy_, &AccuracyPage::calibration_accepted, this, &MainWindow::accept_calibration);
  connect(accuracy_, &AccuracyPage::calibration_dropped, this, [this] {
    QFile::remove(std::exchange(calibrated_, QString()));
    accuracy_->drop_calibration();
  });
  connect(&reader_, &StoreReader::profile_found, this, &MainWindow::calibrate_from);
  connect(&reader_, &StoreReader::no_profile, this, [this] {
    message_->show_message(MessageKind::kInfo,
                           tr("Nothing to calibrate from: the store has no measured run that was predicted before. Twins (F6) "
                              "make such pairs."));
    emit settled();
  });
  connect(accuracy_, &AccuracyPage::export_failed, this, &MainWindow::say_error);
  connect(tabs_, &QTabWidget::currentChanged, this, &MainWindow::update_state);
  connect(&watcher_, &QFileSystemWatcher::fileChanged, this, [this](const QString& path) {
    reloading_ = true;
    reader_.open_scenario(path);
  });

  desktop_dark_ = desktop_is_dark();
  set_theme(options.theme.value_or(static_cast<ThemeChoice>(QSettings().value("theme", 0).toInt())));
  why_->show_empty(tr("Open a scenario (Ctrl+O), or choose a run in Runs (Ctrl+8)."));
  cluster_->show_empty(tr("Open a scenario (Ctrl+O), or choose a run in Runs (Ctrl+8)."));
  plans_->show_no_search(tr("Open a scenario (Ctrl+O), then search its plans (F7)."));
  timeline_->show_empty(tr("Predict a training or serving scenario (Ctrl+O, F5), or open a "
                           "timeline that lindos predict "
                           "--timeline wrote (File)."),
                        false);
  live_->show_empty(kNothingRuns);
  power_->show_empty(tr("Open a scenario (Ctrl+O): its nodes, its cooling and the cap of its site."));
  accuracy_->show_empty(
      tr("Nothing was measured yet.\n\nOpen a serving scenario and run its twin (F6): it is "
         "predicted, then run on this "
         "machine. The start page (Alt+Home) has one that needs half a minute."));
  compare_->show_empty(tr("Choose two runs in Runs (Ctrl+8): “Use as A”, “Use as B”.\n\n"
                           "The menu Compare also takes the two newest at once."));
  start_->show_recent(recent());
  default_state_ = saveState(kLayoutVersion);
  const QSettings settings;
  restoreGeometry(settings.value("layout/geometry").toByteArray());
  restoreState(settings.value("layout/state").toByteArray(), kLayoutVersion);
  update_state();
  reader_.list_runs();
  slurm_jobs_ = from_settings(settings.value(kSlurmJobs).toStringList());
  show_jobs();
  ask_queue();
}

void MainWindow::make_docks() {
  problem_rows_.columns = {tr("Where"), tr("What")};
  problems_->set_table(problem_rows_);
  log_->setReadOnly(true);
  log_->setMaximumBlockCount(kLogLines);
  log_->setAccessibleName(tr("Log of the verbs"));
  QFont fixed("monospace");
  fixed.setStyleHint(QFont::Monospace);
  log_->setFont(fixed);
  log_->setPlaceholderText(tr("What the verbs print."));
  const auto dock = [this](const QString& title, const QString& name, QWidget* content) {
    auto* made = new QDockWidget(title, this);
    made->setObjectName(name);
    made->setWidget(content);
    addDockWidget(Qt::BottomDockWidgetArea, made);
    made->hide();
    return made;
  };
  problems_dock_ = dock(tr("Problems"), "problems", problems_);
  log_dock_ = dock(tr("Log"), "log", log_);
  tabifyDockWidget(problems_dock_, log_dock_);
  editor_ = new ScenarioEditor;
  editor_dock_ = new QDockWidget(tr("Scenario"), this);
  editor_dock_->setObjectName("scenario");
  editor_dock_->setWidget(editor_);
  addDockWidget(Qt::LeftDockWidgetArea, editor_dock_);
  editor_dock_->hide();
  resizeDocks({editor_dock_}, {430}, Qt::Horizontal);
  inspector_ = new Inspector;
  inspector_dock_ = new QDockWidget(tr("Inspector"), this);
  inspector_dock_->setObjectName("inspector");
  inspector_dock_->setWidget(inspector_);
  addDockWidget(Qt::RightDockWidgetArea, inspector_dock_);
  inspector_dock_->hide();
  resizeDocks({inspector_dock_}, {290}, Qt::Horizontal);
  launch_ = new LaunchPanel;
  launch_dock_ = new QDockWidget(tr("Run plan"), this);
  launch_dock_->setObjectName("launch");
  launch_dock_->setWidget(launch_);
  addDockWidget(Qt::RightDockWidgetArea, launch_dock_);
  launch_dock_->hide();
  tabifyDockWidget(inspector_dock_, launch_dock_);
  connect(launch_, &LaunchPanel::preflight_requested, this, &MainWindow::preflight);
  connect(launch_, &LaunchPanel::launch_requested, this, &MainWindow::launch);
  connect(launch_, &LaunchPanel::submit_requested, this, &MainWindow::submit_jobs);
  connect(launch_, &LaunchPanel::cancel_jobs_requested, this, &MainWindow::cancel_jobs);
  resizeDocks({problems_dock_}, {150}, Qt::Vertical);
}

void MainWindow::make_status_bar() {
  status_->setContentsMargins(10, 0, 0, 0);
  job_bar_->setRange(0, 1000);
  job_bar_->setFixedWidth(180);
  job_bar_->setTextVisible(false);
  job_bar_->setAccessibleName(tr("Progress of the running verb"));
  statusBar()->addWidget(status_, 1);
  for (QWidget* widget : std::initializer_list<QWidget*>{job_text_, job_bar_, job_cancel_, show_panels_}) {
    statusBar()->addPermanentWidget(widget);
    widget->hide();
  }
  connect(job_cancel_, &QPushButton::clicked, this, &MainWindow::stop);
  connect(show_panels_, &QPushButton::clicked, this, &MainWindow::toggle_panels);
}

void MainWindow::make_actions() {
  const QString file = tr("&File"), view = tr("&View"), run = tr("&Run"), comparing = tr("&Compare"),
                help = tr("&Help");
  QAction* open = actions_.add(file, tr("&Open…"), QKeySequence::Open, [this] { ask_for_scenario(); });
  save_ = actions_.add(file, tr("&Save"), QKeySequence::Save, [this] { save(); });
  save_as_ = actions_.add(file, tr("Save &as…"), QKeySequence("Ctrl+Shift+S"), [this] { save_as(); });
  actions_.add(file, tr("Open &timeline…"), {}, [this] { ask_for_timeline(); });
  actions_.add(file, tr("Start page"), QKeySequence("Alt+Home"), [this] { show_view(View::kStart); });
  export_ = actions_.add(file, tr("&Export chart…"), QKeySequence("Ctrl+E"), [this] {
    if (tabs_->currentWidget() == accuracy_) return accuracy_->export_chart();
    if (tabs_->currentWidget() == timeline_) return timeline_->export_chart();
    if (tabs_->currentWidget() == power_) return power_->export_chart();
    if (tabs_->currentWidget() == live_) return live_->export_chart();
    if (tabs_->currentWidget() == cluster_) return cluster_->export_chart();
    if (tabs_->currentWidget() == plans_) return plans_->export_chart();
    why_->export_chart();
  });
  report_ = actions_.add(file, tr("&Report…"), QKeySequence("Ctrl+Shift+E"), [this] { ask_for_report(); });
  actions_.add(file, tr("&Quit"), QKeySequence("Ctrl+Q"), [this] { close(); });

  actions_.add(view, tr("Cluster"), QKeySequence("Ctrl+1"), [this] { show_view(View::kCluster); });
  actions_.add(view, tr("Why"), QKeySequence("Ctrl+2"), [this] { show_view(View::kWhy); });
  actions_.add(view, tr("Plans"), QKeySequence("Ctrl+3"), [this] { show_view(View::kPlans); });
  actions_.add(view, tr("Timeline"), QKeySequence("Ctrl+4"), [this] { show_view(View::kTimeline); });
  actions_.add(view, tr("Live"), QKeySequence("Ctrl+5"), [this] { show_view(View::kLive); });
  actions_.add(view, tr("Power"), QKeySequence("Ctrl+9"), [this] { show_view(View::kPower); });
  actions_.add(view, tr("Accuracy"), QKeySequence("Ctrl+6"), [this] { show_view(View::kAccuracy); });
  actions_.add(view, tr("Compare"), QKeySequence("Ctrl+7"), [this] { show_view(View::kCompare); });
  actions_.add(view, tr("Runs"), QKeySequence("Ctrl+8"), [this] { show_view(View::kRuns); });
  actions_.add(view, tr("Find a GPU, rack or replica, or a span"), QKeySequence::Find, [this] {
    if (shows(View::kTimeline) && timeline_->filled()) return timeline_->focus_find();
    show_view(View::kCluster);
    cluster_->focus_find();
  });
  actions_.add(view, tr("What the step waits for"), QKeySequence("Ctrl+G"), [this] {
    show_gate();
  });
  actions_.add(view, tr("Changes that regain losses"), QKeySequence("Ctrl+M"), [this] {
    show_view(View::kWhy);
    why_->focus_changes();
  });
  actions_.add(view, tr("Plans that were found"), QKeySequence("Ctrl+Shift+F"), [this] {
    show_view(View::kPlans);
    plans_->focus_plans();
  });
  edit_ = actions_.add(view, tr("Edit scenario"), QKeySequence("F4"), [this] {
    if (editor_dock_->isVisible()) return editor_dock_->hide();
    show_editor();
  });
  actions_.add(view, tr("Inspector"), QKeySequence("Ctrl+I"),
               [this] { inspector_dock_->setVisible(!inspector_dock_->isVisible()); });
  actions_.add(view, tr("Copy what the Inspector says"), QKeySequence("Ctrl+Shift+C"), [this] { inspector_->copy(); });
  table_ = actions_.add(view, tr("Chart or table"), QKeySequence("Ctrl+T"), [this] {
    if (shows(View::kTimeline)) return timeline_->toggle_table();
    if (shows(View::kLive)) return live_->toggle_table();
    if (shows(View::kCluster)) return cluster_->toggle_table();
    if (shows(View::kPower)) return power_->toggle_table();
    why_->toggle_table();
  });
  actions_.add(view, tr("Problems"), QKeySequence("Ctrl+Shift+M"), [this] {
    problems_dock_->setVisible(!problems_dock_->isVisible());
    problems_dock_->raise();
  });
  actions_.add(view, tr("Log"), QKeySequence("Ctrl+Shift+L"), [this] {
    log_dock_->setVisible(!log_dock_->isVisible());
    log_dock_->raise();
  });
  actions_.add(view, tr("Hide or show panels"), QKeySequence("F11"), [this] { toggle_panels(); });
  actions_.add(view, tr("Restore default layout"), {}, [this] { restore_default_layout(); });

  predict_ = actions_.add(run, tr("&Predict"), QKeySequence("F5"), [this] { predict(); });
  explain_ = actions_.add(run, tr("&Explain"), QKeySequence("F9"), [this] { explain(); });
  twin_ = actions_.add(run, tr("&Twin: predict and run here"), QKeySequence("F6"), [this] { run_twin(); });
  run_here_ = actions_.add(run, tr("Run &here, without predicting"), QKeySequence("Shift+F6"), [this] { run_here(); });
  launching_ = actions_.add(run, tr("Run &plan: preflight, here or as a job…"), QKeySequence("Ctrl+F6"),
                            [this] {
                              if (shows(View::kPlans)) return plans_->launch();
                              show_launch();
                            });
  calibrating_ = actions_.add(run, tr("&Calibrate intervals…"), QKeySequence("F8"), [this] { calibrate(); });
  search_ = actions_.add(run, tr("Search p&lans"), QKeySequence("F7"), [this] { search_plans(); });
  stop_ = actions_.add(run, tr("&Stop"), QKeySequence("Shift+F5"), [this] { stop(); });
  for (const auto& fidelity : kFidelities) {
    actions_.add(run, tr("Predict with fidelity %1").arg(fidelity.first), {},
                 [this, name = QString(fidelity.first)] { fidelity_->setCurrentText(name); });
  }
  actions_.add(run, tr("Use a device profile…"), {}, [this] { ask_for_profile(); });
  actions_.add(run, tr("Without a device profile"), {}, [this] {
    options_.profile.clear();
    update_state();
  });
  copy_command_ = actions_.add(run, tr("Copy last job as command"), {},
                               [this] { QApplication::clipboard()->setText(job_.command_line()); });

  actions_.add(comparing, tr("Use selected run as A"), QKeySequence("Ctrl+Shift+A"), [this] {
    if (const auto key = runs_->table().current_key()) choose_a(*key);
  });
  actions_.add(comparing, tr("Use selected run as B"), QKeySequence("Ctrl+D"), [this] {
    if (const auto key = runs_->table().current_key()) choose_b(*key);
  });
  swap_ = actions_.add(comparing, tr("Swap A and B"), QKeySequence("Ctrl+Shift+D"), [this] {
    std::swap(a_, b_);
    compare_chosen();
  });
  actions_.add(comparing, tr("Compare the two newest runs"), {}, [this] { compare_newest(); });
  end_comparing_ = actions_.add(comparing, tr("End the comparison"), {}, [this] { end_comparison(); });

  actions_.add(help, tr("Command palette"), QKeySequence("Ctrl+K"), [this] { show_palette(); });
  actions_.add(help, tr("Keyboard shortcuts"), QKeySequence("?"), [this] { show_shortcuts(); });
  actions_.add(help, tr("About Lindos"), {}, [this] { show_about(); });

  QMenu* menu = nullptr;
  for (const Actions::Entry& entry : actions_.entries()) {
    if (menu == nullptr || menu->title() != entry.group) menu = menuBar()->addMenu(entry.group);
    menu->addAction(entry.action);
    if (entry.group != view || entry.action->text() != tr("Restore default layout")) continue;
    QMenu* themes = menu->addMenu(tr("Theme"));
    auto* group = new QActionGroup(this);
    const std::array<QString, 3> names = {tr("As the desktop"), tr("Light"), tr("Dark")};
    for (int i = 0; i < 3; ++i) {
      QAction* choice = themes->addAction(names[static_cast<std::size_t>(i)]);
      choice->setCheckable(true);
      choice->setChecked(i == QSettings().value("theme", 0).toInt());
      group->addAction(choice);
      connect(choice, &QAction::triggered, this, [this, i] {
        QSettings().setValue("theme", i);
        set_theme(static_cast<ThemeChoice>(i));
      });
    }
  }

  toolbar_ = addToolBar(tr("Commands"));
  toolbar_->setObjectName("commands");
  toolbar_->setMovable(false);
  toolbar_->toggleViewAction()->setVisible(false);  // F11 and Restore default layout bring it back
  toolbar_->setContextMenuPolicy(Qt::PreventContextMenu);
  toolbar_->addAction(open);
  toolbar_->addAction(edit_);
  toolbar_->addAction(save_);
  toolbar_->addSeparator();
  for (QAction* action : {predict_, explain_, twin_, search_, stop_}) toolbar_->addAction(action);
  toolbar_->addSeparator();
  auto* label = new QLabel(tr("Fidelity "));
  label->setBuddy(fidelity_);
  for (const auto& [name, text] : kFidelities) {
    fidelity_->addItem(name);
    fidelity_->setItemData(fidelity_->count() - 1, tr(text), Qt::ToolTipRole);
  }
  fidelity_->setCurrentText(options_.fidelity);
  fidelity_->setAccessibleName(tr("Fidelity of predictions"));
  toolbar_->addWidget(label);
  toolbar_->addWidget(fidelity_);
  for (const Actions::Entry& entry : actions_.entries()) {
    const QString key = entry.action->shortcut().toString(QKeySequence::NativeText);
    if (!key.isEmpty()) entry.action->setToolTip(QString(entry.action->text()).remove('&') + " (" + key + ")");
  }
}

void MainWindow::connect_reader() {
  connect(&reader_, &StoreReader::runs_listed, this, [this](const RunList& list) {
    listed_ = list.runs;
    runs_->show_list(list, QString::fromStdString(reader_.store_path().string()));
    if (list.state == StoreState::kRefused) complain({}, list.message);
    if (list.state == StoreState::kReady) reader_.list_pairs();
    if (!job_.running() && !scenario_ && !opening_ && !reading_timeline_) emit settled();
  });
  connect(&reader_, &StoreReader::run_shown, this, &MainWindow::display);
  connect(&reader_, &StoreReader::no_run, this, [this] {
    why_->show_empty(scenario_ ? tr("%1\n%2\n\n%3\n\nNot predicted yet.")
                                     .arg(scenario_->name, scenario_->summary, scenario_->description)
                               : tr("No run yet."));
    if (scenario_) show_fleet(scenario_->fleet, tr("%1, not predicted yet (F5)").arg(scenario_->name));
    update_state();
    emit settled();
  });
  connect(&reader_, &StoreReader::pairs_listed, this, [this](const std::vector<RecordPair>& pairs) {
    accuracy_->show_pairs(pairs);
    update_state();
  });
  connect(&reader_, &StoreReader::store_failed, this, [this](const QString& message) {
    complain({}, message);
    emit settled();
  });
  connect(&reader_, &StoreReader::scenario_opened, this, &MainWindow::scenario_is_open);
  connect(&reader_, &StoreReader::scenario_refused, this,
          [this](const QString& path, const QString& where, const QString& message) {
            reloading_ = false;
            opening_ = false;
            complain(where.isEmpty() ? path : where, message);
            // It can be mended where it is shown.
            if (QFileInfo::exists(path)) {
              load_into_editor(path);
              if (document_.is_open()) {
                scenario_.reset();
                faulty_ = true;
                show_fault(where, message);
                editor_dock_->show();
                show_view(View::kWhy);
                why_->show_empty(
                    tr("%1 is no scenario yet: its editor shows the first error.").arg(QFileInfo(path).fileName()));
                show_fleet(nullptr, tr("%1 is no scenario yet.").arg(QFileInfo(path).fileName()));
                update_state();
              }
            }
            message_->show_message(MessageKind::kError, (where.isEmpty() ? path : where) + ": " + message,
                                   tr("Try again"), [this, path] { open_scenario(path, after_open_); });
            emit settled();
          });
}

void MainWindow::connect_job() {
  connect(&job_, &Job::line_logged, log_, &QPlainTextEdit::appendPlainText);
  connect(&job_, &Job::progressed, this, [this](const ProgressEvent& progress) {
    job_bar_->setRange(0, 1000);
    job_bar_->setValue(static_cast<int>(progress.fraction * 1000.0));
    QString text = job_.request().title;
    if (!progress.phase.isEmpty() && progress.phase != job_.request().arguments.value(0)) text += ": " + progress.phase;
    if (progress.remaining_s) text += tr(", about %1 left").arg(duration_text(*progress.remaining_s));
    job_text_->setText(text);
  });
  connect(&job_, &Job::sampled, live_, &LivePage::add);
  connect(&job_, &Job::partly_done, this, [this](const RunRecord& record) {
    if (record.source == RunSource::kPredicted) live_->expect(record);
  });
  connect(&job_, &Job::finished, this, &MainWindow::job_ended);
  queue_timer_.setSingleShot(true);
  connect(&queue_timer_, &QTimer::timeout, this, &MainWindow::ask_queue);
  connect(&queue_job_, &Job::finished, this, &MainWindow::queue_answered);
}

void MainWindow::connect_selection() {
  connect(&selection_, &SelectionState::changed, this, [this](const Selection& selection) {
    cluster_->show_selection(selection);
    inspector_->show_selection(selection);
    if (!selection.empty()) inspector_dock_->show();
  });
  connect(cluster_, &ClusterPage::selected, &selection_, &SelectionState::select);
  connect(inspector_, &Inspector::selected, &selection_, &SelectionState::select);
  connect(inspector_, &Inspector::map_requested, this, [this] {
    show_view(View::kCluster);
    const Selection& selection = selection_.current();
    if (!selection.empty() && !selection.among_others) cluster_->map().zoom_to(selection.devices);
    cluster_->map().setFocus();
  });
  connect(why_, &WhyPage::step_chosen, this, [this](const WaterfallStep& step) {
    const auto& run = why_->run();
    if (!run) return;
    if (run->fleet && run->fleet->predicted())
      return selection_.select(run->fleet->of_causes(step.causes, QString::fromStdString(step.label)));
    message_->show_message(MessageKind::kInfo,
                           tr("Run %1 does not say which GPUs a loss comes from; predictions of training jobs do.").arg(run->id));
  });
}

void MainWindow::show_editor() {
  editor_dock_->show();
  editor_->edit().setFocus();
}

void MainWindow::show_gate() {
  const auto& fleet = cluster_->map().fleet();
  if (!fleet || !fleet->predicted()) return;
  show_view(View::kCluster);
  selection_.select(fleet->gate());
  cluster_->map().zoom_to(fleet->gate().devices);
}

void MainWindow::show_fleet(const std::shared_ptr<const Fleet>& fleet, const QString& what, const ShownRun* run) {
  selection_.clear();
  std::vector<MissingField> missing;
  // Samples beside a prediction are those of the run that measured it.
  const bool sampled = run != nullptr && run->record.source == RunSource::kMeasured;
  if (fleet) missing = missing_fields(*fleet, run != nullptr ? &run->record : nullptr, sampled ? run->samples.get() : nullptr);
  inspector_->set_fleet(fleet, missing);
  if (fleet) {
    cluster_->show_fleet(fleet, what, std::move(missing));
  } else {
    cluster_->show_empty(what);
  }
}

void MainWindow::set_theme(ThemeChoice choice) {
  const bool dark = choice == ThemeChoice::kDark || (choice == ThemeChoice::kSystem && desktop_dark_);
  theme_ = dark ? &dark_theme() : &light_theme();
  apply_theme(*theme_);
  message_->set_theme(*theme_);
  comparison_->set_theme(*theme_);
  cluster_->set_theme(*theme_);
  why_->set_theme(*theme_);
  plans_->set_theme(*theme_);
  timeline_->set_theme(*theme_);
  live_->set_theme(*theme_);
  power_->set_theme(*theme_);
  accuracy_->set_theme(*theme_);
  editor_->set_theme(*theme_);
}

void MainWindow::ask_for_scenario() {
  const QString folder = scenario_ ? QFileInfo(scenario_->path).path() : QString(LINDOS_SCENARIO_DIR);
  const QString path = QFileDialog::getOpenFileName(this, tr("Open scenario"), folder, tr("Scenarios (*.toml)"));
  if (!path.isEmpty()) open_scenario(path);
}

void MainWindow::ask_for_profile() {
  const QString path =
      QFileDialog::getOpenFileName(this, tr("Device profile"), profile_folder(), tr("Profiles of lindos probe (*.json)"));
  if (!path.isEmpty()) use_profile(path);
}

void MainWindow::use_profile(const QString& file) {
  const QString before = std::exchange(options_.profile, file);
  update_state();
  message_->show_message(MessageKind::kInfo,
                         tr("Predictions now use %1; results shown so far were made without it. Predict (F5) to renew them.")
                             .arg(QFileInfo(file).fileName()),
                         tr("Undo"), [this, before] {
                           options_.profile = before;
                           update_state();
                         });
}

void MainWindow::open_scenario(const QString& path, AfterOpen then) {
  after_open_ = then;
  reloading_ = false;
  opening_ = true;
  reader_.open_scenario(QFileInfo(path).absoluteFilePath());
}

void MainWindow::connect_editor() {
  connect(editor_, &ScenarioEditor::edited, this, [this](const QString& text) {
    leaving_edits_ = false;
    document_.set_text(text);
  });
  connect(editor_, &ScenarioEditor::check_requested, this,
          [this](const QString& text) { reader_.check_scenario(text, document_.path()); });
  connect(editor_, &ScenarioEditor::save_requested, this, &MainWindow::save);
  connect(editor_, &ScenarioEditor::revert_requested, this, [this] { editor_->replace(document_.saved_text()); });
  connect(&document_, &Document::modified_changed, this, [this](bool modified) {
    editor_->set_modified(modified);
    setWindowModified(modified);
    update_state();
  });
  connect(&document_, &Document::failed, this, &MainWindow::say_error);
  connect(&reader_, &StoreReader::scenario_checked, this, &MainWindow::scenario_changed);
  connect(&reader_, &StoreReader::scenario_faulty, this, [this](const QString& where, const QString& message) {
    faulty_ = true;
    show_fault(where, message);
    update_state();
  });
}

void MainWindow::show_fault(const QString& where, const QString& message) {
  // A fault of a file that the scenario refers to has no line here.
  const bool here = where.startsWith(document_.path() + ":");
  editor_->show_error(here ? place_in(where) : std::nullopt, here || where.isEmpty() ? message : where + ": " + message);
}

void MainWindow::load_into_editor(const QString& path) {
  if (document_.is_open() && document_.path() == path && document_.modified()) return;
  if (document_.modified()) {
    message_->show_message(MessageKind::kInfo, tr("Your edits of %1 are kept; open it again to go on with them.")
                                                   .arg(QFileInfo(document_.path()).fileName()));
  }
  if (const QString error = document_.open(path); !error.isEmpty()) return say_error(error);
  editor_->load(document_.text(), QFileInfo(path).fileName());
  const auto left = document_.left();
  if (!left) return;
  // Taken up by themselves: what is typed next would otherwise replace them.
  if (const QString error = document_.take_left(); !error.isEmpty()) return say_error(error);
  editor_->replace(document_.text());
  editor_dock_->show();
  message_->show_message(MessageKind::kWarning,
                         tr("%1 has edits of %2 that were not saved. They are in the editor.")
                             .arg(QFileInfo(path).fileName(), QLocale().toString(left->when, QLocale::ShortFormat)),
                         tr("Drop them"), [this] { editor_->replace(document_.saved_text()); });
}

void MainWindow::scenario_changed(const OpenedScenario& scenario) {
  if (scenario.path != document_.path()) return;  // another file was opened meanwhile
  faulty_ = false;
  const bool was_open = scenario_.has_value();
  scenario_ = scenario;
  show_power();
  editor_->show_valid(scenario.summary);
  editor_->show_plan(scenario.plan, scenario.tenants, scenario.training);
  show_scope(scenario);
  plans_->show_plan(scenario.plan_boxes, tr("%1, plan %2").arg(scenario.name, QString::fromStdString(scenario.plan.name)));
  setWindowTitle(scenario.name + "[*] — Lindos");
  update_state();
  if (!was_open) {
    message_->hide();
    reader_.show_latest(scenario.scenario_digest, scenario.plan_digest);
    return;
  }
  say_stale();
}

void MainWindow::say_stale() {
  const auto& run = why_->run();
  if (!run || !scenario_) return;
  if (run->record.scenario_digest == scenario_->scenario_digest) {
    if (stale_said_) message_->hide();
    stale_said_ = false;
    return;
  }
  stale_said_ = true;
  message_->show_message(MessageKind::kWarning, tr("Results belong to the scenario before it was changed."),
                         tr("Predict (F5)"), [this] { predict(); });
}

void MainWindow::say_error(const QString& message) { complain({}, message); }

void MainWindow::save() {
  if (!document_.is_open()) return;
  if (const QString error = document_.save(); !error.isEmpty()) {
    message_->show_message(MessageKind::kError, error + tr("\nYour edits are kept."), tr("Save as…"),
                           [this] { save_as(); });
  }
}

void MainWindow::save_as() {
  if (!document_.is_open()) return;
  const QString path =
      QFileDialog::getSaveFileName(this, tr("Save scenario"), document_.path(), tr("Scenarios (*.toml)"));
  if (path.isEmpty()) return;
  if (const QString error = document_.save_as(path); !error.isEmpty()) return say_error(error);
  open_scenario(path);
}

void MainWindow::scenario_is_open(const OpenedScenario& scenario) {
  const bool reloaded = reloading_ && scenario_ && scenario_->path == scenario.path;
  reloading_ = false;
  opening_ = false;
  if (reloaded && document_.modified()) {
    message_->show_message(
        MessageKind::kWarning,
        tr("%1 changed on disk while you edit it. Saving replaces it.").arg(QFileInfo(scenario.path).fileName()),
        tr("Take the file, drop my edits"), [this] {
          if (const QString error = document_.discard(); !error.isEmpty()) return say_error(error);
          editor_->replace(document_.text());
        });
    return;
  }
  faulty_ = false;
  if (!scenario_ || scenario_->path != scenario.path) {
    // A found plan belongs to the scenario that was searched, and its list stays to go on from.
    if (!scenario.path.startsWith(plans_folder_) || plans_folder_.isEmpty())
      plans_->show_no_search(tr(
          "No plans yet.\n\nSearch (F7) tries ways to share this model out over these GPUs, leaves "
          "out what does "
          "not fit or breaks a promise, and ranks the rest. Where they are many it takes minutes; "
          "the status bar says how long, and Stop (Shift+F5) ends it."));
  }
  plans_->show_plan(scenario.plan_boxes, tr("%1, plan %2").arg(scenario.name, QString::fromStdString(scenario.plan.name)));
  scenario_ = scenario;
  show_scope(scenario);
  show_power();
  if (!watcher_.files().isEmpty()) watcher_.removePaths(watcher_.files());
  watcher_.addPath(scenario.path);
  setWindowTitle(scenario.name + "[*] — Lindos");
  if (reloaded) {
    load_into_editor(scenario.path);
    editor_->show_valid(scenario.summary);
    editor_->show_plan(scenario.plan, scenario.tenants, scenario.training);
    update_state();
    say_stale();
    return;
  }
  message_->hide();
  editor_->show_valid(scenario.summary);
  load_into_editor(scenario.path);
  editor_->show_plan(scenario.plan, scenario.tenants, scenario.training);
  update_state();
  remember(scenario.path, {});
  show_view(View::kWhy);
  switch (after_open_) {
    case AfterOpen::kShowLatest:
      reader_.show_latest(scenario.scenario_digest, scenario.plan_digest);
      break;
    case AfterOpen::kPredict:
      predict();
      break;
    case AfterOpen::kExplain:
      explain();
      break;
    case AfterOpen::kTwin:
      run_twin();
      break;
    case AfterOpen::kSearch:
      search_plans();
      break;
    case AfterOpen::kLaunch:
      show_launch();
      if (!job_.running()) emit settled();
      break;
  }
}

// To the views that speak of what is open.
void MainWindow::show_scope(const OpenedScenario& scenario) {
  launch_->show_scenario(tr("%1, plan %2").arg(scenario.name, QString::fromStdString(scenario.plan.name)), scenario.training);
  OpenScope scope{scenario.name, scenario.scenario_digest, {}, scenario.fleet->devices()};
  for (const PoolShape& pool : scenario.fleet->map().pools) scope.devices << QString::fromStdString(pool.label);
  accuracy_->show_scope(scope);
}

bool MainWindow::start_verb(const QStringList& words, const QString& title, bool stores, Answer answer) {
  if (job_.running()) {
    message_->show_message(MessageKind::kInfo, tr("%1 is running; one job at a time.").arg(job_.request().title),
                           tr("Stop it"), [this] { stop(); });
    return false;
  }
  message_->hide();
  if (!why_->run() && scenario_)
    why_->show_empty(tr("%1\n%2\n\nRunning: %3").arg(scenario_->name, scenario_->summary, title));
  job_text_->setText(title);
  job_bar_->setRange(0, 0);  // moves until the first progress
  JobRequest request;
  request.program = options_.lindos;
  request.arguments = words;
  request.arguments << "--format" << "json" << "--progress" << "json";
  if (stores) request.arguments << "--db" << QString::fromStdString(options_.store.string());
  request.title = title;
  answer_ = std::move(answer);
  job_.start(request);
  update_state();
  return true;
}

void MainWindow::predict() {
  if (!scenario_ || faulty_) return;
  const QString path = document_.path_for_verbs();
  if (path.isEmpty()) return;
  QStringList words{"predict", path, "--fidelity", fidelity_->currentText()};
  if (!options_.profile.isEmpty()) words << "--profile" << options_.profile;
  if (fidelity_->currentText() != kClosed) {
    words << "--timeline"
          << kept_timeline(scenario_->scenario_digest, scenario_->plan_digest, fidelity_->currentText(), kVerbsSeed);
  }
  start_verb(words, tr("predict %1").arg(scenario_->name));
}

void MainWindow::explain() {
  if (!scenario_ || faulty_) return;
  const QString path = document_.path_for_verbs();
  if (path.isEmpty()) return;
  what_ifs_ = QStandardPaths::writableLocation(QStandardPaths::AppDataLocation) + "/what-if/" + scenario_->name;
  QStringList words{"predict", path, "--explain", "--out", what_ifs_, "--fidelity", fidelity_->currentText()};
  if (!options_.profile.isEmpty()) words << "--profile" << options_.profile;
  start_verb(words, tr("explain %1").arg(scenario_->name));
}

void MainWindow::apply_change(std::int64_t mitigation) {
  if (!explanation_ || job_.running()) return;
  const MitigationRow& change = explanation_->mitigations[static_cast<std::size_t>(mitigation)];
  if (change.file.isEmpty()) {
    message_->show_message(MessageKind::kInfo, change.refused.isEmpty()
                                                   ? tr("%1 has no scenario of its own.").arg(change.name)
                                                   : tr("%1 does not apply: %2").arg(change.name, change.refused));
    return;
  }
  compare_with_ = explained_run_;
  open_scenario(what_ifs_ + "/" + change.file, AfterOpen::kPredict);
}

void MainWindow::search_plans() {
  if (!scenario_ || faulty_) return;
  const QString path = document_.path_for_verbs();
  if (path.isEmpty()) return;
  plans_folder_ = QStandardPaths::writableLocation(QStandardPaths::AppDataLocation) + "/plans/" + scenario_->name;
  // What an earlier search left there would pass for this one's.
  QDir(plans_folder_).removeRecursively();
  QStringList words{"plan", path, "--top", "10", "--out", plans_folder_};
  if (!options_.profile.isEmpty()) words << "--profile" << options_.profile;
  start_verb(words, tr("plan %1").arg(scenario_->name), false);
}

void MainWindow::apply_plan(int plan) {
  if (!plans_->search() || plan < 0 || job_.running()) return;
  const FoundPlan& found = plans_->search()->plans[static_cast<std::size_t>(plan)];
  if (found.scenario_file.isEmpty()) return;
  if (why_->run()) compare_with_ = why_->run()->id;
  open_scenario(plans_folder_ + "/" + found.scenario_file, AfterOpen::kPredict);
}

void MainWindow::ask_for_report() {
  const QString name = why_->run() ? QString::fromStdString(why_->run()->record.scenario_name) : QString("report");
  const QString file = QFileDialog::getSaveFileName(this, tr("Report"), name + ".html", tr("Reports (*.html *.pdf)"));
  if (!file.isEmpty()) write_report(file);
}

void MainWindow::write_report(const QString& file) {
  QStringList words{"report"};
  if (tabs_->currentWidget() == compare_ && a_ && b_) {
    words << QString::number(*a_) << QString::number(*b_);
  } else if (why_->run()) {
    words << QString::number(why_->run()->id);
  } else {
    return;
  }
  words << "--out" << file;
  start_verb(words, tr("report"));
}

void MainWindow::run_twin() {
  if (!scenario_ || faulty_) return;
  const QString path = document_.path_for_verbs();
  if (path.isEmpty()) return;
  QStringList words{"twin", path, "--timeline",
                    kept_timeline(scenario_->scenario_digest, scenario_->plan_digest, "simgrid", kVerbsSeed)};
  if (!options_.profile.isEmpty()) words << "--profile" << options_.profile;
  if (start_verb(words, tr("twin %1").arg(scenario_->name))) watch(tr("%1: predicted, then run here").arg(scenario_->name));
}

void MainWindow::run_here() {
  if (!scenario_ || faulty_) return;
  const QString path = document_.path_for_verbs();
  if (path.isEmpty()) return;
  QStringList words{"run", path};
  if (!options_.profile.isEmpty()) words << "--profile" << options_.profile;
  if (start_verb(words, tr("run %1").arg(scenario_->name))) watch(tr("%1, run here").arg(scenario_->name));
}

void MainWindow::show_launch() {
  if (!scenario_ || faulty_) return;
  launch_dock_->show();
  launch_dock_->raise();
  if (launch_dock_->width() < kLaunchWidth) resizeDocks({launch_dock_}, {kLaunchWidth}, Qt::Horizontal);
  launch_->where().setFocus();
  if (launch_->here() && !job_.running()) preflight();
}

void MainWindow::preflight() {
  if (!scenario_ || faulty_) return;
  const QString path = document_.path_for_verbs();
  if (path.isEmpty()) return;
  QStringList words{"run", path, "--preflight"};
  if (!options_.profile.isEmpty()) words << "--profile" << options_.profile;
  start_verb(words, tr("preflight %1").arg(scenario_->name), true, [this](const JobResult& result) {
    const auto checks = preflight_from(result.object);
    if (checks) {
      launch_->show_preflight(*checks);
    } else {
      launch_->show_fault(result.message);
    }
    return checks.has_value();
  });
}

void MainWindow::launch() {
  switch (launch_->place()) {
    case LaunchPlace::kTwin:
      return run_twin();
    case LaunchPlace::kRun:
      return run_here();
    case LaunchPlace::kSlurm:
    case LaunchPlace::kKubernetes:
    case LaunchPlace::kScripts:
      break;
  }
  if (!scenario_ || faulty_) return;
  const QString path = document_.path_for_verbs();
  if (path.isEmpty()) return;
  QStringList words{"export", path, "--out", launch_->folder()};
  if (!launch_->model().isEmpty()) words << "--model" << launch_->model();
  if (launch_->place() == LaunchPlace::kScripts) {
    words << "--to" << launch_->engine();
  } else {
    words << "--to" << (launch_->place() == LaunchPlace::kSlurm ? "slurm" : "kubernetes") << "--engine" << launch_->engine();
  }
  start_verb(words, tr("export %1").arg(scenario_->name), false, [this](const JobResult& result) {
    if (result.end != JobEnd::kDone) {
      launch_->show_fault(result.message);
      // A plan that the tool cannot express fits all the same.
      if (result.end == JobEnd::kInfeasible) complain(result.where, result.message);
      return result.end == JobEnd::kInfeasible;
    }
    launch_->show_files(result.object.value("files").toVariant().toStringList());
    message_->show_message(MessageKind::kInfo, tr("Jobs written to %1").arg(launch_->folder()), tr("Open the folder"),
                           [folder = launch_->folder()] { QDesktopServices::openUrl(QUrl::fromLocalFile(folder)); });
    return true;
  });
}

void MainWindow::submit_jobs(const QStringList& scripts) {
  QStringList words{"slurm", "submit"};
  words << scripts;
  start_verb(words, tr("submit %1").arg(QFileInfo(scripts.value(0)).fileName()), false, [this](const JobResult& result) {
    const auto submitted = submitted_from(result.object);
    if (!submitted) {
      launch_->show_fault(result.message);
      return false;
    }
    slurm_jobs_.erase(std::remove_if(slurm_jobs_.begin(), slurm_jobs_.end(), [](const SlurmJob& job) { return job.ended; }),
                      slurm_jobs_.end());
    slurm_jobs_.insert(slurm_jobs_.end(), submitted->begin(), submitted->end());
    show_jobs();
    ask_queue();
    message_->show_message(MessageKind::kInfo, tr("Submitted. Run plan shows what becomes of it, also after a restart of this window."));
    return true;
  });
}

void MainWindow::cancel_jobs() {
  const QStringList ids = open_ids(slurm_jobs_);
  if (ids.isEmpty()) return;
  start_verb(QStringList{"slurm", "cancel"} + ids, tr("cancel jobs"), false, [this](const JobResult& result) {
    if (!update_jobs(slurm_jobs_, result.object)) {
      launch_->show_fault(result.message);
      return false;
    }
    show_jobs();
    return true;
  });
}

void MainWindow::ask_queue() {
  const QStringList ids = open_ids(slurm_jobs_);
  if (ids.isEmpty() || queue_job_.running()) return;
  JobRequest request;
  request.program = options_.lindos;
  request.arguments = QStringList{"slurm", "state"} + ids + QStringList{"--format", "json"};
  request.title = tr("state of jobs");
  queue_job_.start(request);
}

void MainWindow::queue_answered(const JobResult& result) {
  const auto ended = update_jobs(slurm_jobs_, result.object);
  queue_timer_.start(ended ? kAskQueue : kAskQueueAgain);
  if (!ended) return launch_->show_fault(tr("The queue does not answer: %1").arg(result.message));
  for (const SlurmJob& job : *ended) message_->show_message(MessageKind::kInfo, sentence_of(job));
  show_jobs();
}

void MainWindow::show_jobs() {
  QSettings().setValue(kSlurmJobs, to_settings(slurm_jobs_));
  launch_->show_jobs(slurm_jobs_);
  if (!live_->filled() && !slurm_jobs_.empty()) live_->show_empty(nothing_runs());
}

QString MainWindow::nothing_runs() const {
  QString text = kNothingRuns;
  for (const SlurmJob& job : slurm_jobs_) text += (text == kNothingRuns ? "\n\n" : "\n") + sentence_of(job);
  return text;
}

void MainWindow::calibrate() {
  if (job_.running()) return;
  show_view(View::kAccuracy);
  // Only a profile as it was probed can be calibrated.
  if (!options_.profile.isEmpty() && options_.profile != accepted_) return calibrate_from(options_.profile);
  reader_.find_probed_profile(profile_folder());
}

void MainWindow::calibrate_from(const QString& profile) {
  QDir().mkpath(profile_folder());
  calibrated_ = profile_folder() + "/" + QFileInfo(profile).completeBaseName() + "-calibrated-" +
                QDate::currentDate().toString(Qt::ISODate) + ".json.preview";
  start_verb({"calibrate", profile, "--out", calibrated_}, tr("calibrate %1").arg(QFileInfo(profile).fileName()), true,
             [this](const JobResult& result) {
               const auto preview = calibration_from(result.object);
               if (preview) accuracy_->show_calibration(*preview);
               return preview.has_value();
             });
}

// A dated profile of its own: none is replaced.
void MainWindow::accept_calibration() {
  if (calibrated_.isEmpty()) return;
  const QString base = QString(calibrated_).remove(".json.preview");
  QString file = base + ".json";
  for (int i = 2; QFileInfo::exists(file); ++i) file = QString("%1-%2.json").arg(base).arg(i);
  if (!QFile::rename(calibrated_, file)) return say_error(tr("%1 cannot be written.").arg(file));
  calibrated_.clear();
  accepted_ = file;
  accuracy_->drop_calibration();
  use_profile(file);
}

void MainWindow::import_measurement(const QString& tool, const QString& file) {
  if (!scenario_ || faulty_)
    return complain(
        file, tr("is a measurement by %1: open the scenario that it measured first (Ctrl+O), then drop it again").arg(tool));
  const QString path = document_.path_for_verbs();
  if (path.isEmpty()) return;
  if (start_verb({"import", tool, path, file}, tr("import %1").arg(QFileInfo(file).fileName()))) measuring_ = true;
}

void MainWindow::open_file(const QString& path) {
  switch (kind_of_file(path)) {
    case FileKind::kScenario:
      return open_scenario(path);
    case FileKind::kPlan:
      if (!scenario_) return complain(path, tr("is a plan: open the scenario that it is for first (Ctrl+O), then drop it again"));
      show_editor();
      return editor_->replace(with_plan_file(editor_->text(), QFileInfo(path).absoluteFilePath()));
    case FileKind::kProfile:
      return use_profile(path);
    case FileKind::kVllm:
      return import_measurement("vllm", path);
    case FileKind::kLlamaBench:
      return import_measurement("llama-bench", path);
    case FileKind::kTrace:
      return complain(path, tr("is a trace: a scenario names it in its [workload], as trace = \"%1\"").arg(path));
    case FileKind::kTimeline:
      return open_timeline(path);
    case FileKind::kUnknown:
      return complain(path, tr("is no scenario (.toml), plan, profile, timeline or measurement (.json), result of llama-bench -o "
                               "sql (.sql) or trace (.csv, .jsonl)"));
  }
}

void MainWindow::watch(const QString& what) {
  measuring_ = true;
  const auto& run = why_->run();
  const bool own = run && run->record.source == RunSource::kPredicted &&
                   run->record.scenario_digest == scenario_->scenario_digest &&
                   run->record.plan_digest == scenario_->plan_digest;
  live_->begin(what, own ? std::optional(run->record) : std::nullopt);
  show_view(View::kLive);
}

void MainWindow::show_samples(const ShownRun& run) {
  const bool measured = run.record.source == RunSource::kMeasured;
  if (!run.samples) {
    return live_->show_empty(measured ? tr("Run %1 has no samples: it was imported, or measured by an older version.").arg(run.id)
                                      : nothing_runs());
  }
  const RunRecord& own = measured ? run.record : *run.measured;
  live_->show_past(tr("%1 · run %2 · %3")
                       .arg(QString::fromStdString(own.scenario_name))
                       .arg(measured ? run.id : run.measured_id)
                       .arg(provenance_text(own)),
                   *run.samples, measured ? run.prediction : std::optional(run.record));
}

void MainWindow::make_timeline() {
  const auto& run = why_->run();
  if (!run || !scenario_ || faulty_ || job_.running()) return;
  const QString path = document_.path_for_verbs();
  if (path.isEmpty()) return;
  const RunRecord& record = run->record;
  const QString fidelity = QString::fromStdString(record.fidelity);
  const QString file = kept_timeline_of(record);
  QStringList words{"predict", path, "--fidelity", fidelity, "--seed", QString::number(record.seed), "--seeds",
                    QString::number(record.repeats), "--no-db", "--timeline", file};
  if (!options_.profile.isEmpty()) words << "--profile" << options_.profile;
  making_timeline_ = file;
  start_verb(words, tr("timeline %1").arg(scenario_->name), false);
}

void MainWindow::ask_for_timeline() {
  const QString path = QFileDialog::getOpenFileName(this, tr("Open timeline"), {}, tr("Timelines (*.json)"));
  if (!path.isEmpty()) open_timeline(path);
}

void MainWindow::open_timeline(const QString& path) {
  reading_timeline_ = true;
  reader_.read_timeline(QFileInfo(path).absoluteFilePath());
  show_view(View::kTimeline);
}

// Of the open scenario, and what the run shown in Why knows if it is of it.
void MainWindow::show_power() {
  if (!scenario_)
    return power_->show_empty(
        tr("Open a scenario (Ctrl+O): its nodes, its cooling and the cap of its site."));
  const auto& run = why_->run();
  const bool own = run && run->record.scenario_digest == scenario_->scenario_digest;
  const PowerView view =
      power_view(scenario_->power, own ? &run->record : nullptr, own && run->fleet ? run->fleet.get() : nullptr);
  const auto over_time = own && run->predicted_samples ? power_over_time(*run->predicted_samples, run->record, scenario_->power)
                                                       : std::nullopt;
  power_->show_power(view, over_time, own ? tr("%1 · run %2 · %3")
                                     .arg(scenario_->name)
                                     .arg(run->id)
                                     .arg(provenance_text(run->record))
                               : tr("%1 · nothing predicted yet").arg(scenario_->name));
}

// What the run shown in Why has, or why it has none.
void MainWindow::find_timeline(const ShownRun& run) {
  // Of a measured run the prediction before it stands above.
  const bool measured = run.record.source == RunSource::kMeasured;
  const RunRecord* predicted = !measured ? &run.record : run.prediction ? &*run.prediction : nullptr;
  own_timeline_ = nullptr;
  const QString kept = predicted != nullptr ? kept_timeline_of(*predicted) : QString();
  if (!kept.isEmpty() && QFileInfo::exists(kept)) {
    reading_timeline_ = true;
    reader_.read_timeline(kept);
    return;
  }
  if (run.measured_timeline) {
    return timeline_->show_timeline(nullptr, tr("Run %1").arg(measured ? run.id : run.measured_id), run.measured_timeline);
  }
  if (measured) {
    return timeline_->show_empty(
        tr("Run %1 has no timeline: it was imported, or measured by an older version.").arg(run.id), false);
  }
  const RunRecord& record = run.record;
  if (record.fidelity == kClosed.toStdString()) {
    return timeline_->show_empty(tr("Run %1 was predicted by the closed rung, which prices a run as a whole and has no "
                                    "timeline.\n\nChoose maxplus or simgrid as fidelity and predict again (F5).")
                                     .arg(run.id),
                                 false);
  }
  const bool open = scenario_ && scenario_->scenario_digest == record.scenario_digest &&
                    scenario_->plan_digest == record.plan_digest;
  timeline_->show_empty(
      open ? tr("The timeline of run %1 is not kept. Predicting it again makes it: one training "
                "step, or "
                "the first requests of a replica.")
                 .arg(run.id)
           : tr("The timeline of run %1 is not kept. Open its scenario to make it.").arg(run.id),
      open);
}

bool MainWindow::is_of(const RunTimeline& timeline, const RunRecord& predicted) {
  return timeline.profile_digest == predicted.environment.profile_digest;
}

void MainWindow::timeline_arrived(const QString& path, const std::shared_ptr<const RunTimeline>& timeline) {
  const auto& run = why_->run();
  own_timeline_ = nullptr;
  if (run && path.startsWith(kept_timelines_folder())) {
    if (is_of(*timeline, run->prediction ? *run->prediction : run->record)) {
      own_timeline_ = timeline;
      const bool below = run->measured_timeline && run->measured_id != 0;
      timeline_->show_timeline(timeline,
                               below ? tr("Run %1, below it run %2").arg(run->id).arg(run->measured_id)
                                     : tr("Run %1").arg(run->id),
                               run->measured_timeline);
    } else if (run->measured_timeline) {
      timeline_->show_timeline(nullptr, tr("Run %1").arg(run->measured_id != 0 ? run->measured_id : run->id),
                               run->measured_timeline);
    } else {
      timeline_->show_empty(
          tr("The timeline that is kept was made with another device profile than run %1.")
              .arg(run->id),
          true);
    }
    show_both_timelines();
  } else {
    timeline_->show_timeline(timeline, QFileInfo(path).fileName());
  }
  reading_timeline_ = false;
  update_state();
  emit settled();
}

bool MainWindow::shows(View view) const {
  return view == View::kStart ? stack_->currentIndex() == 0
                              : stack_->currentIndex() == 1 && tabs_->currentIndex() == static_cast<int>(view) - 1;
}

void MainWindow::stop() {
  if (!job_.running()) return;
  job_text_->setText(tr("stopping %1 …").arg(job_.request().title));
  job_.cancel();
}

void MainWindow::job_ended(const JobResult& result) {
  update_state();
  if (closing_anyway_) {
    close();
    return;
  }
  const QString timeline = std::exchange(making_timeline_, QString());
  just_measured_ = std::exchange(measuring_, false) && result.end == JobEnd::kDone;
  if (const Answer answer = std::exchange(answer_, nullptr); answer && answer(result)) {
    if (!why_->run()) say_not_predicted();
    emit settled();
    return;
  }
  live_->end(result.end == JobEnd::kDone ? tr("The run has ended; it is in the store.")
                                         : tr("The run ended early: %1").arg(result.message));
  if (result.end != JobEnd::kDone) {
    if (!why_->run()) say_not_predicted();
    if (result.end == JobEnd::kCancelled) {
      message_->show_message(MessageKind::kInfo, result.message);
    } else {
      complain(result.where,
               result.end == JobEnd::kInfeasible ? tr("No plan fits: %1").arg(result.message) : result.message);
    }
    emit settled();
    return;
  }
  if (!timeline.isEmpty()) {
    reading_timeline_ = true;
    reader_.read_timeline(timeline);
    return;
  }
  if (result.object.contains("file")) {
    const QString file = result.object.value("file").toString();
    message_->show_message(MessageKind::kInfo, tr("Report written: %1").arg(file), tr("Open it"),
                           [file] { QDesktopServices::openUrl(QUrl::fromLocalFile(file)); });
    emit settled();
    return;
  }
  if (const auto search = plan_search_from(result.object)) {
    plans_->show_search(*search, scenario_ ? scenario_->name : QString());
    show_view(View::kPlans);
    emit settled();
    return;
  }
  if (auto explanation = explanation_from(result.object)) {
    explanation_ = std::move(explanation);
    explanation_is_new_ = true;
  }
  const bool twin = result.object.contains("predicted");
  const QJsonObject record = twin ? result.object.value("predicted").toObject() : result.object;
  reader_.show_latest(record.value("scenario_digest").toString().toStdString(),
                      record.value("plan_digest").toString().toStdString());
  reader_.list_runs();
}

void MainWindow::say_not_predicted() {
  if (scenario_) why_->show_empty(tr("%1\n%2\n\nNot predicted yet.").arg(scenario_->name, scenario_->summary));
}

// How far off the prediction a run was that has just been measured, and the way to its pair.
void MainWindow::say_measured(const ShownRun& run) {
  const bool measured = run.record.source == RunSource::kMeasured;
  const RunRecord* own = measured ? &run.record : run.measured ? &*run.measured : nullptr;
  const RunRecord* before = !measured ? &run.record : run.prediction ? &*run.prediction : nullptr;
  if (own == nullptr) return;
  const std::int64_t id = measured ? run.id : run.measured_id;
  const auto found = own->metrics.find("output_tokens_per_s");
  if (before == nullptr || found == own->metrics.end() || before->metrics.count("output_tokens_per_s") == 0)
    return message_->show_message(MessageKind::kInfo, tr("Run %1 is in the store; nothing was predicted before it.").arg(id));
  const double value = found->second.p50, foreseen = before->metrics.at("output_tokens_per_s").p50;
  message_->show_message(MessageKind::kInfo,
                         tr("Run %1 is in the store: %2 measured, %3 predicted.")
                             .arg(id)
                             .arg(metric_text("output_tokens_per_s", value), metric_text("output_tokens_per_s", foreseen)),
                         tr("Show parity"), [this, id] {
                           show_view(View::kAccuracy);
                           accuracy_->select_run(id);
                         });
}

void MainWindow::display(const ShownRun& run) {
  if (explanation_is_new_) explained_run_ = run.id;
  explanation_is_new_ = false;
  why_->show_run(run);
  reading_timeline_ = false;
  find_timeline(run);
  show_samples(run);
  show_power();
  if (run.fleet) {
    show_fleet(run.fleet, tr("run %1 · %2").arg(run.id).arg(provenance_text(run.record)), &run);
  } else if (scenario_ && scenario_->scenario_digest == run.record.scenario_digest) {
    show_fleet(scenario_->fleet, tr("run %1 says nothing about single GPUs; what is installed").arg(run.id), &run);
  } else {
    show_fleet(nullptr,
               tr("Run %1 says nothing about single GPUs. Predictions on GPUs do (lindos predict), and runs measured on them.")
                   .arg(run.id));
  }
  why_->show_explanation(run.id == explained_run_ ? explanation_ : std::nullopt, why_not_explained(run.record));
  if (scenario_ && run.record.scenario_digest == scenario_->scenario_digest) {
    remember(scenario_->path,
             tr("%1  (%2)")
                 .arg(QString::fromStdString(headline_of(run.record)), time_text(run.record.started_utc).left(10)));
  }
  update_state();
  if (std::exchange(just_measured_, false)) say_measured(run);
  if (compare_with_ && *compare_with_ != run.id) {
    a_ = std::exchange(compare_with_, std::nullopt);
    b_ = run.id;
    compare_chosen();  // settles when the pair is shown
    return;
  }
  if (a_ && b_ && run.id != *a_ && run.id != *b_) {
    a_ = run.id;
    update_comparison();
    reader_.compare_runs(*a_, *b_);  // settles as well
    return;
  }
  show_comparison();
  if (!reading_timeline_) emit settled();
}

QString MainWindow::why_not_explained(const RunRecord& record) const {
  const bool open = scenario_ && scenario_->scenario_digest == record.scenario_digest;
  return open ? QString() : tr("Open this run's scenario to explain it.");
}

void MainWindow::complain(const QString& where, const QString& message) {
  TableRow row;
  row.cells.resize(2);
  row.cells[0].text = where;
  row.cells[1].text = message;
  row.cells[1].tooltip = message;
  row.key = static_cast<std::int64_t>(problem_rows_.rows.size());
  problem_rows_.rows.insert(problem_rows_.rows.begin(), row);
  problems_->set_table(problem_rows_);
  problems_dock_->show();
  problems_dock_->raise();
  message_->show_message(MessageKind::kError, where.isEmpty() ? message : where + ": " + message);
}

void MainWindow::show_view(View view) {
  if (view == View::kStart) {
    start_->show_recent(recent());
    stack_->setCurrentIndex(0);
  } else {
    stack_->setCurrentIndex(1);
    tabs_->setCurrentIndex(static_cast<int>(view) - 1);
  }
  update_state();
}

void MainWindow::toggle_panels() {
  const bool hide = toolbar_->isVisible();
  toolbar_->setVisible(!hide);
  if (hide) {
    problems_dock_->hide();
    log_dock_->hide();
    inspector_dock_->hide();
    launch_dock_->hide();
    editor_dock_->hide();
  }
  show_panels_->setVisible(hide);
}

void MainWindow::restore_default_layout() {
  restoreState(default_state_, kLayoutVersion);
  toolbar_->show();
  show_panels_->hide();
}

void MainWindow::show_shortcuts() {
  auto* sheet = new QDialog(this);
  sheet->setAttribute(Qt::WA_DeleteOnClose);
  sheet->setWindowTitle(tr("Keyboard shortcuts"));
  auto* text = new QLabel(actions_.sheet_html());
  text->setAccessibleName(tr("All shortcuts"));
  auto* column = new QVBoxLayout(sheet);
  auto* scroll = new QScrollArea;
  scroll->setWidget(text);
  scroll->setFrameShape(QFrame::NoFrame);
  scroll->setMinimumSize((text->sizeHint() + QSize(8, 8)).boundedTo(screen()->availableSize() * 0.9));
  column->addWidget(scroll);
  sheet->show();
}

void MainWindow::show_palette() { (new CommandPalette(actions_, this))->show(); }

void MainWindow::show_about() {
  message_->show_message(
      MessageKind::kInfo,
      tr("Lindos, a digital twin for GPU clusters. This window is under GPL-3.0-or-later (QCustomPlot, Qt); "
         "the engines are programs of their own under Apache-2.0.\nVerbs: %1\nStore: %2")
          .arg(options_.lindos, QString::fromStdString(options_.store.string())));
}

void MainWindow::update_state() {
  const bool running = job_.running();
  const bool ready = scenario_.has_value() && !faulty_ && !running;
  predict_->setEnabled(ready);
  explain_->setEnabled(ready && scenario_->training);
  search_->setEnabled(ready);
  launching_->setEnabled(ready);
  calibrating_->setEnabled(!running);
  launch_->set_ready(ready);
  plans_->set_can_search(ready);
  why_->set_can_predict(ready);
  for (QAction* action : {twin_, run_here_}) action->setEnabled(ready && !scenario_->training);
  stop_->setEnabled(running);
  edit_->setEnabled(document_.is_open());
  save_->setEnabled(document_.modified());
  save_as_->setEnabled(document_.is_open());
  swap_->setEnabled(a_ && b_);
  end_comparing_->setEnabled(a_ || b_);
  comparison_->set_note(comparison_note());
  copy_command_->setEnabled(!job_.request().program.isEmpty());
  const bool why = why_->run().has_value() && shows(View::kWhy);
  const bool timeline = timeline_->filled() && shows(View::kTimeline);
  const bool live = live_->filled() && shows(View::kLive);
  const bool cluster = cluster_->filled() && shows(View::kCluster);
  export_->setEnabled(why || timeline || live || cluster || (accuracy_->filled() && shows(View::kAccuracy)) ||
                      (power_->filled() && shows(View::kPower)) || (scenario_ && shows(View::kPlans)));
  report_->setEnabled(why_->run().has_value() && !running);
  table_->setEnabled(why || timeline || live || cluster || (power_->filled() && shows(View::kPower)));
  for (QWidget* widget : std::initializer_list<QWidget*>{job_text_, job_bar_, job_cancel_}) widget->setVisible(running);
  QString text = scenario_ ? scenario_->name + " · " + scenario_->summary : tr("No scenario open");
  if (!options_.profile.isEmpty()) text += tr(" · profile %1").arg(QFileInfo(options_.profile).fileName());
  status_->setText(text);
}

void MainWindow::remember(const QString& path, const QString& headline) {
  QSettings settings;
  QStringList paths = settings.value("recent").toStringList();
  paths.removeAll(path);
  paths.prepend(path);
  while (paths.size() > kRecent) settings.remove("headline/" + QString(QUrl::toPercentEncoding(paths.takeLast())));
  settings.setValue("recent", paths);
  if (!headline.isEmpty()) settings.setValue("headline/" + QString(QUrl::toPercentEncoding(path)), headline);
}

std::vector<RecentScenario> MainWindow::recent() const {
  const QSettings settings;
  std::vector<RecentScenario> out;
  for (const QString& path : settings.value("recent").toStringList()) {
    if (QFileInfo::exists(path)) {
      QString left;
      for (const LeftEdits& edits : Document::all_left()) {
        if (edits.path == path) left = QLocale().toString(edits.when, QLocale::ShortFormat);
      }
      out.push_back({path, settings.value("headline/" + QString(QUrl::toPercentEncoding(path))).toString(), left});
    }
  }
  return out;
}

void MainWindow::closeEvent(QCloseEvent* event) {
  if (job_.running() && !closing_anyway_) {
    event->ignore();
    message_->show_message(MessageKind::kWarning, tr("%1 is running.").arg(job_.request().title),
                           tr("Stop it and close"), [this] {
                             closing_anyway_ = true;
                             stop();
                           });
    return;
  }
  if (document_.modified() && !leaving_edits_) {
    event->ignore();
    static_cast<void>(document_.path_for_verbs());  // written now
    leaving_edits_ = true;
    message_->show_message(
        MessageKind::kWarning,
        tr("%1 has edits that are not saved. Close again to leave them; they come back when it is opened.")
            .arg(QFileInfo(document_.path()).fileName()),
        tr("Save and close"), [this] {
          if (const QString error = document_.save(); !error.isEmpty()) return say_error(error);
          close();
        });
    return;
  }
  QSettings settings;
  settings.setValue("layout/geometry", saveGeometry());
  settings.setValue("layout/state", saveState(kLayoutVersion));
  QMainWindow::closeEvent(event);
}

void MainWindow::dragEnterEvent(QDragEnterEvent* event) {
  if (event->mimeData()->hasUrls()) event->acceptProposedAction();
}

bool MainWindow::eventFilter(QObject* watched, QEvent* event) {
  if (event->type() == QEvent::ShortcutOverride) {
    const auto* key = static_cast<QKeyEvent*>(event);
    const auto* field = qobject_cast<QWidget*>(watched);
    const QKeySequence pressed(key->keyCombination());
    const bool ours = field != nullptr && field->window() == this && key->modifiers().testFlag(Qt::ControlModifier) &&
                      std::any_of(actions_.entries().begin(), actions_.entries().end(), [&](const Actions::Entry& entry) {
                        return entry.action->shortcut() == pressed;
                      });
    if (!ours) return QMainWindow::eventFilter(watched, event);
    event->ignore();  // so that the action takes it
    return true;
  }
  const bool drags = event->type() == QEvent::DragEnter || event->type() == QEvent::DragMove;
  if (!drags && event->type() != QEvent::Drop) return QMainWindow::eventFilter(watched, event);
  const auto* field = qobject_cast<QWidget*>(watched);
  auto* drop = static_cast<QDropEvent*>(event);
  if (field == nullptr || field == this || field->window() != this || !drop->mimeData()->hasUrls())
    return QMainWindow::eventFilter(watched, event);
  drop->acceptProposedAction();
  if (!drags) dropEvent(drop);
  return true;
}

void MainWindow::dropEvent(QDropEvent* event) {
  const QList<QUrl> urls = event->mimeData()->urls();
  const QString path = urls.isEmpty() ? QString() : urls.first().toLocalFile();
  if (!path.isEmpty()) open_file(path);
}

}  // namespace lindos::gui
