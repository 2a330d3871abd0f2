// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/pages/timeline_page.h"

#include <QFileDialog>
#include <QHBoxLayout>
#include <QVBoxLayout>
#include <algorithm>
#include <utility>

#include "gui/models/format.h"

namespace lindos::gui {

namespace {

constexpr int kDetailLines = 4;

QString provenance_of(const RunTimeline& t) {
  QString text =
      QObject::tr("%1 · plan %2 · %3 · %4 · seed %5")
          .arg(QString::fromStdString(t.scenario_name), QString::fromStdString(t.plan_name),
               to_qt(name_of(t.source)), QString::fromStdString(t.fidelity))
          .arg(t.seed);
  if (!t.profile_digest.empty())
    text += QObject::tr(" · profile %1").arg(QString::fromStdString(t.profile_digest.substr(0, 8)));
  if (!t.cut.empty()) text += QObject::tr("\nShows %1.").arg(QString::fromStdString(t.cut));
  return text;
}

}  // namespace

TimelinePage::TimelinePage(QWidget* parent)
    : QWidget(parent),
      pages_(new QStackedWidget),
      empty_(new QLabel),
      make_(new QPushButton(tr("Make the timeline"))),
      title_(new QLabel),
      about_(new QLabel),
      find_(new QLineEdit),
      as_table_(new QPushButton(tr("Show as table"))),
      picture_(new QStackedWidget),
      chart_(new TimelineChart),
      listing_(new QWidget),
      listed_(new QLabel),
      table_(new TableView(tr("Spans in view"))),
      details_(new QLabel) {
  title_->setObjectName("section");
  title_->setWordWrap(true);
  title_->setTextInteractionFlags(Qt::TextSelectableByMouse);
  about_->setObjectName("muted");
  about_->setWordWrap(true);
  about_->setTextInteractionFlags(Qt::TextSelectableByMouse);
  as_table_->setCheckable(true);
  auto* fit = new QPushButton(tr("Fit (0)"));
  auto* export_button = new QPushButton(tr("Export chart…"));
  auto* texts = new QVBoxLayout;
  texts->setSpacing(2);
  texts->addWidget(title_);
  texts->addWidget(about_);
  auto* top = new QHBoxLayout;
  find_->setPlaceholderText(tr("Find: micro-batch 3"));
  find_->setToolTip(tr("Span, lane or group; Enter goes to the next one."));
  find_->setAccessibleName(tr("Find a span, lane or group"));
  find_->setClearButtonEnabled(true);
  find_->setMinimumWidth(170);
  top->addLayout(texts, 1);
  top->addWidget(find_, 0, Qt::AlignTop);
  for (QPushButton* button : {fit, as_table_, export_button})
    top->addWidget(button, 0, Qt::AlignTop);

  auto* listing_column = new QVBoxLayout(listing_);
  listing_column->setContentsMargins(0, 0, 0, 0);
  listed_->setObjectName("muted");
  listing_column->addWidget(listed_);
  listing_column->addWidget(table_, 1);
  picture_->addWidget(chart_);
  picture_->addWidget(listing_);

  details_->setTextFormat(Qt::RichText);
  details_->setWordWrap(true);
  details_->setAlignment(Qt::AlignTop | Qt::AlignLeft);
  details_->setTextInteractionFlags(Qt::TextSelectableByMouse);
  details_->setAccessibleName(tr("The span that is looked at"));
  details_->setMinimumHeight(fontMetrics().lineSpacing() * kDetailLines + 6);

  auto* filled = new QWidget;
  auto* column = new QVBoxLayout(filled);
  column->setContentsMargins(14, 12, 14, 8);
  column->addLayout(top);
  column->addWidget(picture_, 1);
  column->addWidget(details_);

  empty_->setAlignment(Qt::AlignCenter);
  empty_->setWordWrap(true);
  auto* nothing = new QWidget;
  auto* nothing_column = new QVBoxLayout(nothing);
  nothing_column->addStretch();
  nothing_column->addWidget(empty_);
  nothing_column->addWidget(make_, 0, Qt::AlignHCenter);
  nothing_column->addStretch();
  pages_->addWidget(nothing);
  pages_->addWidget(filled);
  auto* all = new QVBoxLayout(this);
  all->setContentsMargins(0, 0, 0, 0);
  all->addWidget(pages_);

  connect(make_, &QPushButton::clicked, this, &TimelinePage::timeline_requested);
  connect(find_, &QLineEdit::returnPressed, this, [this] { find(find_->text()); });
  connect(fit, &QPushButton::clicked, chart_, &TimelineChart::fit);
  connect(export_button, &QPushButton::clicked, this, &TimelinePage::export_chart);
  connect(chart_, &TimelineChart::looked_at, this, &TimelinePage::show_details);
  connect(as_table_, &QPushButton::toggled, this, [this](bool on) {
    if (on) fill_table();
    picture_->setCurrentIndex(on ? 1 : 0);
  });
  connect(table_, &TableView::chosen, this, [this](std::int64_t key) {
    as_table_->setChecked(false);
    chart_->select(static_cast<std::size_t>(key));
    chart_->zoom_to(static_cast<std::size_t>(key));
    chart_->setFocus();
  });
}

void TimelinePage::show_timeline(const std::shared_ptr<const RunTimeline>& timeline, const QString& whose,
                                 const std::shared_ptr<const RunTimeline>& measured) {
  const RunTimeline& t = timeline ? *timeline : *measured;
  title_->setText(tr("%1: %2").arg(whose, QString::fromStdString(t.what)));
  about_->setText(provenance_of(t));
  if (timeline && measured) {
    about_->setText(about_->text() +
                    tr("\nBelow it what was measured: %1.").arg(QString::fromStdString(measured->what)) +
                    (measured->cut.empty() ? QString() : tr(" Shows %1.").arg(QString::fromStdString(measured->cut))));
  }
  show_joined(joined(timeline, measured, tr("predicted"), tr("measured")));
}

void TimelinePage::show_bands(const TimelineBand& above, const TimelineBand& below, const QString& title) {
  title_->setText(title);
  about_->setText(tr("%1: %2\n%3: %4")
                      .arg(above.name, provenance_of(*above.timeline), below.name, provenance_of(*below.timeline)));
  show_joined(joined(above.timeline, below.timeline, above.name, below.name));
}

void TimelinePage::show_joined(std::shared_ptr<const RunTimeline> timeline) {
  view_ = std::make_shared<const TimelineView>(std::move(timeline));
  as_table_->setChecked(false);
  pages_->setCurrentIndex(1);
  chart_->show_timeline(view_, title_->text() + "\n" + about_->text());
  show_details(-1);
}

void TimelinePage::show_empty(const QString& text, bool can_make) {
  view_ = nullptr;
  chart_->show_timeline(nullptr, {});
  empty_->setText(text);
  make_->setVisible(can_make);
  pages_->setCurrentIndex(0);
}

void TimelinePage::set_theme(const Theme& theme) { chart_->set_theme(theme); }

void TimelinePage::toggle_table() {
  if (view_) as_table_->toggle();
}

void TimelinePage::focus_find() {
  find_->setFocus();
  find_->selectAll();
}

bool TimelinePage::find(const QString& text) {
  if (!view_) return false;
  const auto found = view_->find(text, chart_->selected());
  if (!found) {
    details_->setText(tr("Nothing here is called “%1”.").arg(text.toHtmlEscaped()));
    return false;
  }
  as_table_->setChecked(false);
  chart_->select(found);
  chart_->zoom_to(*found);
  return true;
}

void TimelinePage::show_details(qlonglong span) {
  if (!view_) return;
  if (span < 0 || span >= static_cast<qlonglong>(view_->timeline().spans.size())) {
    details_->setText(
        tr("Point at a span or walk with the arrow keys. Wheel: zoom at the pointer; Shift and "
           "wheel: lanes; "
           "drag: move; Enter: zoom to the span; 0: all."));
    return;
  }
  const TimelineSpan& s = view_->timeline().spans[static_cast<std::size_t>(span)];
  const TimelineLane& lane = view_->timeline().lanes[s.lane];
  const SpanKindInfo& kind = info_of(s.kind);
  const auto escaped = [](const std::string& text) {
    return QString::fromStdString(text).toHtmlEscaped();
  };
  QString text =
      tr("<b>%1</b> on %2 · %3").arg(escaped(s.name), escaped(lane.name), escaped(lane.group));
  text += s.kind == SpanKind::kArrival ? tr("<br>at %1").arg(span_time_text(s.start))
                                       : tr("<br>from %1 to %2, for <b>%3</b>")
                                             .arg(span_time_text(s.start), span_time_text(s.end()),
                                                  span_time_text(s.duration));
  if (!s.cause.empty()) text += tr(" · %1").arg(escaped(s.cause));
  text += tr("<br>%1: %2").arg(to_qt(kind.label), to_qt(kind.sentence).toHtmlEscaped());
  details_->setText(text);
}

void TimelinePage::fill_table() {
  if (!view_) return;
  const std::size_t all = view_->count(chart_->from(), chart_->to());
  const QString range = tr("from %1 to %2")
                            .arg(span_time_text(Seconds(std::max(0.0, chart_->from()))),
                                 span_time_text(Seconds(std::min(view_->end(), chart_->to()))));
  listed_->setText(all > TimelineView::kMostRows
                       ? tr("The first %1 of %2 spans %3; zoom in for the others. Enter shows a "
                            "span in the chart.")
                             .arg(counted(static_cast<std::int64_t>(TimelineView::kMostRows)),
                                  counted(static_cast<std::int64_t>(all)), range)
                       : tr("%1 spans %2. Enter shows a span in the chart.")
                             .arg(counted(static_cast<std::int64_t>(all)), range));
  table_->set_table(view_->table(chart_->from(), chart_->to()));
}

void TimelinePage::export_chart() {
  if (!view_) return;
  const QString name = QString::fromStdString(view_->timeline().scenario_name) + "-timeline.png";
  const QString file = QFileDialog::getSaveFileName(this, tr("Export chart"), name,
                                                    tr("Pictures (*.png *.svg *.pdf)"));
  if (file.isEmpty()) return;
  const QString error = chart_->export_to(file);
  if (!error.isEmpty()) emit export_failed(error);
}

}  // namespace lindos::gui
