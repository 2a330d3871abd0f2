// SPDX-License-Identifier: GPL-3.0-or-later
// A and B as a state of the window: chosen here, shown by every view that can, named by the bar above them.
#include <QFileInfo>

#include "gui/app/main_window.h"
#include "gui/work/kept_timelines.h"

namespace lindos::gui {

void MainWindow::connect_comparison() {
  connect(comparison_, &ComparisonBar::compare_requested, this, [this] { show_view(View::kCompare); });
  connect(comparison_, &ComparisonBar::swap_requested, swap_, &QAction::trigger);
  connect(comparison_, &ComparisonBar::ended, this, &MainWindow::end_comparison);
  connect(&cluster_->change(), &QComboBox::activated, this, &MainWindow::update_state);
  connect(cluster_, &ClusterPage::colour_chosen, this, &MainWindow::update_state);
  connect(&reader_, &StoreReader::runs_compared, this, [this](const RunPairShown& pair) {
    compared_ = pair;
    compare_->show_pair(pair);
    show_comparison();
    emit settled();
  });
  connect(&reader_, &StoreReader::other_timeline_read, this,
          [this](const QString&, const std::shared_ptr<const RunTimeline>& timeline) {
            const auto& run = why_->run();
            if (!compared_ || !run) return;
            const bool shows_a = run->id == compared_->a_id;
            const RunRecord& other = shows_a ? compared_->b : compared_->a;
            if (!is_of(*timeline, other)) {
              timeline_alone_ = tr("the kept timeline of run %1 was made with another device profile")
                                    .arg(shows_a ? compared_->b_id : compared_->a_id);
            } else {
              (shows_a ? compared_->b_timeline : compared_->a_timeline) = timeline;
              show_both_timelines();
            }
            update_state();
          });
  connect(&reader_, &StoreReader::other_timeline_refused, this, [this](const QString&, const QString& message) {
    timeline_alone_ = message;
    update_state();
  });
}

void MainWindow::choose_a(std::int64_t id) {
  a_ = id;
  compare_chosen();
}

void MainWindow::choose_b(std::int64_t id) {
  b_ = id;
  const auto& run = why_->run();
  if (!a_ && run && run->id != id) a_ = run->id;
  compare_chosen();
}

void MainWindow::compare_with(std::int64_t b) {
  const auto& run = why_->run();
  b_ = b;
  if (!a_ && run) a_ = run->id;
  update_comparison();
  if (a_) reader_.compare_runs(*a_, *b_);
}

void MainWindow::compare_chosen() {
  update_comparison();
  if (a_ && b_) {
    reader_.compare_runs(*a_, *b_);
    const auto& run = why_->run();
    if (run && run->id != *a_ && run->id != *b_) reader_.show_run(*a_);
    show_view(View::kCompare);
    return;
  }
  const QString chosen =
      a_ ? tr("A is run %1. Choose B (Ctrl+D).").arg(*a_) : tr("B is run %1. Choose A (Ctrl+Shift+A).").arg(*b_);
  compare_->show_empty(chosen);
  message_->show_message(MessageKind::kInfo, chosen);
}

void MainWindow::end_comparison() {
  a_.reset();
  b_.reset();
  compared_.reset();
  compare_->show_empty(tr("Choose two runs in Runs (Ctrl+8): “Use as A”, “Use as B”."));
  why_->end_comparison();
  cluster_->show_comparison({});
  inspector_->set_comparison({});
  if (why_->run()) find_timeline(*why_->run());
  update_comparison();
}

bool MainWindow::compare_newest() {
  if (listed_.size() < 2) {
    compare_->show_empty(tr("The store has fewer than two runs: predict (F5) something first."));
    show_view(View::kCompare);
    return false;
  }
  a_ = listed_[1].summary.id;
  b_ = listed_[0].summary.id;
  compare_chosen();
  return true;
}

void MainWindow::show_comparison() {
  map_alone_.clear();
  timeline_alone_.clear();
  const auto& run = why_->run();
  if (!compared_ || !run || (run->id != compared_->a_id && run->id != compared_->b_id)) return update_comparison();
  // One copy of the shown fleet is enough.
  (run->id == compared_->a_id ? compared_->fleets.a : compared_->fleets.b) = run->fleet;
  why_->show_comparison(*compared_);
  map_alone_ = why_not_comparable(compared_->fleets, tr("Run %1").arg(compared_->a_id), tr("Run %1").arg(compared_->b_id));
  const FleetPair shown = map_alone_.isEmpty() ? compared_->fleets : FleetPair{};
  cluster_->show_comparison(shown);
  inspector_->set_comparison(shown);
  show_both_timelines();
  update_comparison();
}

void MainWindow::show_both_timelines() {
  const auto& run = why_->run();
  if (!compared_ || !run || (run->id != compared_->a_id && run->id != compared_->b_id)) return;
  const bool shows_a = run->id == compared_->a_id;
  auto& own = shows_a ? compared_->a_timeline : compared_->b_timeline;
  const auto& other = shows_a ? compared_->b_timeline : compared_->a_timeline;
  const RunRecord& other_record = shows_a ? compared_->b : compared_->a;
  const std::int64_t other_id = shows_a ? compared_->b_id : compared_->a_id;
  if (run->record.source == RunSource::kPredicted) own = own_timeline_;
  timeline_alone_.clear();
  if (!own) {
    timeline_alone_ = tr("there is no timeline of run %1").arg(run->id);
  } else if (other) {
    timeline_->show_bands({compared_->a_timeline, "A"}, {compared_->b_timeline, "B"},
                          tr("A: run %1, below it B: run %2").arg(compared_->a_id).arg(compared_->b_id));
  } else if (const QString kept = kept_timeline_of(other_record); !kept.isEmpty() && QFileInfo::exists(kept)) {
    reader_.read_other_timeline(kept);
  } else {
    timeline_alone_ = tr("there is no timeline of run %1; predicting it here (F5) keeps one").arg(other_id);
  }
}

void MainWindow::update_comparison() {
  const auto letter = [](const char* name, const std::optional<std::int64_t>& run) {
    return run ? tr("%1: run %2").arg(name).arg(*run) : tr("%1: not chosen").arg(name);
  };
  const bool read = compared_ && a_ == compared_->a_id && b_ == compared_->b_id;
  if (a_ || b_) {
    comparison_->show_pair(letter("A", a_) + " · " + letter("B", b_),
                           read ? compared_headline(compared_->a, compared_->b) : QString(), a_ && b_);
  } else {
    comparison_->hide();
  }
  update_state();
}

// What the view in front makes of A and B.
QString MainWindow::comparison_note() const {
  const auto& run = why_->run();
  if (!a_ || !b_ || !run || stack_->currentIndex() != 1) return {};
  const bool shown = run->id == *a_ || run->id == *b_;
  switch (static_cast<View>(tabs_->currentIndex() + 1)) {
    case View::kCluster:
      if (!map_alone_.isEmpty()) return map_alone_;
      return cluster_->map().shows_change() ? tr("The map shows the change.")
                                            : tr("The map shows run %1 alone: colour it by what both have.").arg(run->id);
    case View::kWhy:
      return shown && !run->record.ledger.empty()
                 ? tr("Bars are of run %1, outlines of run %2.").arg(run->id).arg(run->id == *a_ ? *b_ : *a_)
                 : QString();
    case View::kTimeline:
      return timeline_alone_.isEmpty() ? tr("A above, B below.") : tr("Run %1 alone: %2.").arg(run->id).arg(timeline_alone_);
    case View::kPlans:
      return tr("Plans shows the open scenario alone.");
    case View::kLive:
      return tr("Live shows one run alone.");
    case View::kPower:
      return tr("Power shows one run alone.");
    case View::kAccuracy:
      return tr("Accuracy shows all measured runs.");
    case View::kCompare:
    case View::kRuns:
    case View::kStart:
      break;
  }
  return {};
}

}  // namespace lindos::gui
