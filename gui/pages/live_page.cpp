// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/pages/live_page.h"
#include "gui/pages/empty_or_filled.h"

#include <QFileDialog>
#include <QFont>
#include <QHBoxLayout>
#include <QKeyEvent>
#include <QSaveFile>
#include <QScrollArea>
#include <QScrollBar>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>
#include <utility>

#include "gui/models/format.h"

namespace lindos::gui {

namespace {

constexpr int kTick = 200;          // ms: five pictures a second at most
constexpr double kFollowed = 300.0;  // seconds in sight at most while it follows
constexpr double kLeast = 15.0;      // and at least
constexpr std::size_t kMany = 10;    // charts from which on three stand side by side

QLabel* label_of(const char* name) {
  auto* label = new QLabel;
  label->setObjectName(name);
  label->setWordWrap(true);
  label->setTextInteractionFlags(Qt::TextSelectableByMouse);
  return label;
}

}  // namespace

LivePage::LivePage(QWidget* parent)
    : QWidget(parent),
      pages_(new QStackedWidget),
      empty_(new QLabel),
      what_(label_of("muted")),
      state_(label_of("muted")),
      alarm_(label_of("alarm")),
      back_(new QPushButton(tr("Back to now"))),
      as_table_(new QPushButton(tr("Show as table"))),
      picture_(new QStackedWidget),
      mapped_(new QWidget),
      map_of_(new QComboBox),
      map_(new LiveMap),
      board_(new QWidget),
      grid_(new QGridLayout(board_)),
      table_(new TableView(tr("Samples of the run"))),
      absences_(label_of("muted")) {
  setFocusPolicy(Qt::StrongFocus);
  auto* numbers = new QHBoxLayout;
  for (Number& number : numbers_) {
    number = {label_of("muted"), label_of("title"), label_of("muted")};
    auto* own = new QVBoxLayout;
    own->setSpacing(0);
    for (QLabel* label : {number.label, number.value, number.note}) own->addWidget(label);
    own->addStretch();
    numbers->addLayout(own, 1);
  }
  as_table_->setCheckable(true);
  auto* export_button = new QPushButton(tr("Export…"));
  auto* marker = new QPushButton(tr("Mark (M)"));
  marker->setToolTip(tr("Puts a numbered marker at the newest sample."));
  auto* buttons = new QHBoxLayout;
  buttons->addWidget(what_, 1);
  for (QPushButton* button : {back_, marker, as_table_, export_button}) buttons->addWidget(button);
  alarm_->setContentsMargins(10, 6, 10, 6);
  alarm_->hide();
  back_->hide();
  grid_->setContentsMargins(0, 0, 0, 0);
  grid_->setSpacing(6);
  auto* scroll = new QScrollArea;
  scroll->setWidget(board_);
  scroll->setWidgetResizable(true);
  scroll->setFrameShape(QFrame::NoFrame);
  scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  auto* map_label = new QLabel(tr("Map of"));
  map_label->setBuddy(map_of_);
  map_of_->setAccessibleName(tr("Quantity of the map"));
  auto* choice = new QHBoxLayout;
  choice->addWidget(map_label);
  choice->addWidget(map_of_);
  choice->addStretch();
  auto* map_column = new QVBoxLayout(mapped_);
  map_column->setContentsMargins(0, 0, 0, 0);
  map_column->addLayout(choice);
  map_column->addWidget(map_, 1);
  mapped_->hide();
  auto* drawn = new QWidget;
  auto* drawn_column = new QVBoxLayout(drawn);
  drawn_column->setContentsMargins(0, 0, 0, 0);
  drawn_column->addWidget(mapped_, 1);
  drawn_column->addWidget(scroll, 2);
  picture_->addWidget(drawn);
  const auto redraw = [this] {
    changed_ = true;
    refresh();
  };
  connect(map_of_, &QComboBox::activated, this, redraw);
  connect(map_, &LiveMap::cell_chosen, this, redraw);
  connect(scroll->verticalScrollBar(), &QScrollBar::valueChanged, this, [this] {
    changed_ = true;
    refresh();
  });
  picture_->addWidget(table_);
  auto* filled = new QWidget;
  auto* column = new QVBoxLayout(filled);
  column->setContentsMargins(14, 12, 14, 10);
  column->addLayout(buttons);
  column->addLayout(numbers);
  column->addWidget(state_);
  column->addWidget(alarm_);
  column->addWidget(picture_, 1);
  column->addWidget(absences_);
  show_empty_or_filled(*this, *pages_, *empty_, *filled);

  timer_.setInterval(kTick);
  connect(&timer_, &QTimer::timeout, this, &LivePage::refresh);
  connect(back_, &QPushButton::clicked, this, &LivePage::follow);
  connect(marker, &QPushButton::clicked, this, &LivePage::mark);
  connect(export_button, &QPushButton::clicked, this, &LivePage::export_chart);
  connect(as_table_, &QPushButton::toggled, this, [this](bool on) {
    picture_->setCurrentIndex(on ? 1 : 0);
    changed_ = true;
    refresh();
  });
}

void LivePage::start(const QString& what) {
  view_.clear();
  marks_.clear();
  what_->setText(what);
  ended_.clear();
  from_ = 0.0;
  to_ = kLeast;
  following_ = true;
  back_->hide();
  pages_->setCurrentIndex(1);
  changed_ = true;
}

void LivePage::begin(const QString& what, const std::optional<RunRecord>& prediction) {
  start(what);
  view_.expect(prediction);
  running_ = true;
  since_sample_.invalidate();
  timer_.start();
  refresh();
}

void LivePage::expect(const RunRecord& prediction) {
  view_.expect(prediction);
  changed_ = true;
}

void LivePage::add(const RunSample& sample) {
  if (!running_) return;
  view_.add(sample);
  since_sample_.start();
  changed_ = true;
}

void LivePage::end(const QString& how) {
  if (!running_) return;
  running_ = false;
  timer_.stop();
  ended_ = how;
  changed_ = true;
  refresh();
}

void LivePage::show_past(const QString& what, const RunSamples& samples, const std::optional<RunRecord>& prediction) {
  if (running_) return;  // what happens now goes first
  start(what);
  view_.expect(prediction);
  view_.load(samples);
  ended_ = tr("This run has ended; these are the samples that the store keeps of it.");
  following_ = false;
  set_range(0.0, std::max(view_.end(), 1.0));
}

void LivePage::show_empty(const QString& text) {
  if (running_) return;
  empty_->setText(text);
  pages_->setCurrentIndex(0);
}

void LivePage::set_theme(const Theme& theme) {
  theme_ = &theme;
  alarm_->setStyleSheet(QString("QLabel { background: %1; color: %2; border-radius: 4px; }")
                            .arg(theme.warning_ground.name(), theme.warning_text.name()));
  changed_ = true;
  refresh();
}

void LivePage::toggle_table() {
  if (filled()) as_table_->toggle();
}

void LivePage::mark() {
  if (view_.empty()) return;
  const auto own = std::count_if(marks_.begin(), marks_.end(), [](const LiveMark& m) { return m.own; });
  marks_.push_back({view_.end(), QString::number(own + 1), true});
  changed_ = true;
  refresh();
}

void LivePage::follow() {
  following_ = true;
  changed_ = true;
  refresh();
}

void LivePage::set_range(double from, double to) {
  from_ = from;
  to_ = to;
  changed_ = true;
  refresh();
}

// By a share of what is in sight; around its middle.
void LivePage::move_range(double by, double zoom) {
  const double wide = to_ - from_;
  const double middle = 0.5 * (from_ + to_) + by * wide;
  following_ = false;
  set_range(middle - 0.5 * wide * zoom, middle + 0.5 * wide * zoom);
}

void LivePage::place_charts() {
  const std::vector<const Metric*> quantities = view_.quantities();
  const bool same = quantities.size() == charts_.size() &&
                    std::equal(charts_.begin(), charts_.end(), quantities.begin(),
                               [](const LiveChart* chart, const Metric* q) { return &chart->quantity() == q; });
  if (same) return;
  for (LiveChart* chart : charts_) delete chart;
  charts_.clear();
  const std::size_t columns = quantities.size() > kMany ? 3 : 2;
  for (const Metric* quantity : quantities) {
    auto* chart = new LiveChart(*quantity);
    grid_->addWidget(chart, static_cast<int>(charts_.size() / columns), static_cast<int>(charts_.size() % columns));
    connect(chart, &LiveChart::range_moved, this, [this](double from, double to) {
      following_ = false;
      set_range(from, to);
    });
    charts_.push_back(chart);
  }
  // The lowest of each column.
  for (std::size_t i = 0; i < charts_.size(); ++i) charts_[i]->set_time_labels(i + columns >= charts_.size());
}

// Of the quantities with more subjects than lines can show.
void LivePage::show_map() {
  std::vector<const Metric*> mapped;
  for (const Metric* quantity : view_.quantities()) {
    if (view_.subjects(*quantity) > LiveView::kManySubjects) mapped.push_back(quantity);
  }
  mapped_->setVisible(!mapped.empty());
  if (mapped.empty()) return;
  if (map_of_->count() != static_cast<int>(mapped.size())) {
    const QString chosen = map_of_->currentData().toString();
    map_of_->clear();
    for (const Metric* quantity : mapped) {
      map_of_->addItem(to_qt(quantity->label), to_qt(quantity->name));
      map_of_->setItemData(map_of_->count() - 1, to_qt(quantity->sentence), Qt::ToolTipRole);
    }
    map_of_->setCurrentIndex(std::max(0, map_of_->findData(chosen)));
  }
  const Metric& quantity = *find_sample_quantity(map_of_->currentData().toString().toStdString());
  map_->set_theme(*theme_);
  map_->show_cells(quantity, view_.cells(quantity));
}

void LivePage::say_state() {
  if (!running_) return state_->setText(ended_);
  if (!since_sample_.isValid()) {
    return state_->setText(tr("No sample yet: the verb prepares (it probes, predicts, loads weights and warms up). The "
                              "status bar says what it is at."));
  }
  const qint64 age = since_sample_.elapsed();
  if (age >= patience_.count())
    return state_->setText(tr("No data for %1 s; the run is still alive.").arg(age / 1000));
  state_->setText(view_.phases().empty() ? QString()
                                         : tr("%1 · %2 s since the first began")
                                               .arg(QString::fromStdString(view_.phases().back().name))
                                               .arg(view_.end(), 0, 'f', 0));
}

void LivePage::refresh() {
  if (!isVisible() || !filled()) return;
  say_state();
  if (!changed_) return;
  changed_ = false;
  const std::vector<LiveNumber> numbers = view_.numbers(running_);
  for (std::size_t i = 0; i < numbers_.size(); ++i) {
    numbers_[i].label->setText(numbers[i].label);
    numbers_[i].value->setText(numbers[i].value);
    numbers_[i].note->setText(numbers[i].note);
  }
  alarm_->setText(view_.alarm());
  alarm_->setVisible(!view_.alarm().isEmpty());
  const QStringList absences = view_.absences();
  absences_->setText(absences.isEmpty() ? QString() : tr("Not there: %1.").arg(absences.join("; ")));
  absences_->setVisible(!absences.isEmpty());
  if (running_ && following_) {
    to_ = std::max(view_.end(), view_.begin() + kLeast);
    from_ = std::max(view_.begin(), to_ - kFollowed);
    if (view_.begin() < kLeast && from_ < kLeast) from_ = 0.0;
  }
  back_->setVisible(running_ && !following_);
  if (as_table_->isChecked()) return table_->set_table(view_.table());
  place_charts();
  show_map();
  std::vector<LiveMark> marks = marks_;
  if (view_.phases().size() > 1) {
    for (const SamplePhase& phase : view_.phases()) marks.push_back({phase.t_s, QString::fromStdString(phase.name), false});
  }
  // Names of the repeats stand in the first chart only.
  std::vector<LiveMark> bare = marks;
  for (LiveMark& mark : bare) mark.text = mark.own ? mark.text : QString();
  for (LiveChart* chart : charts_) {
    chart->set_theme(*theme_);
    chart->set_range(from_, to_);
    chart->set_marks(chart == charts_.front() ? marks : bare);
    chart->set_data(view_.shown_lines(chart->quantity(), map_->chosen()), view_.subjects(chart->quantity()),
                    view_.band(chart->quantity()));
    // Only what is in sight; scrolling draws what comes into it.
    if (chart->wants_drawing()) chart->redraw();
  }
}

void LivePage::showEvent(QShowEvent* event) {
  QWidget::showEvent(event);
  changed_ = true;
  refresh();
}

void LivePage::keyPressEvent(QKeyEvent* event) {
  if (!filled()) return QWidget::keyPressEvent(event);
  switch (event->key()) {
    case Qt::Key_M:
      return mark();
    case Qt::Key_A:
      return move_range(-0.2, 1.0);
    case Qt::Key_D:
      return move_range(0.2, 1.0);
    case Qt::Key_W:
      return move_range(0.0, 0.7);
    case Qt::Key_S:
      return move_range(0.0, 1.0 / 0.7);
    case Qt::Key_0:
      following_ = running_;
      return set_range(0.0, std::max(view_.end(), 1.0));
    case Qt::Key_End:
      return follow();
    default:
      QWidget::keyPressEvent(event);
  }
}

void LivePage::export_chart() {
  if (!filled()) return;
  const QString file =
      QFileDialog::getSaveFileName(this, tr("Export samples"), "samples.csv", tr("Samples (*.csv);;Pictures (*.png *.svg *.pdf)"));
  if (file.isEmpty()) return;
  if (const QString error = export_to(file); !error.isEmpty()) emit export_failed(error);
}

// In the light theme, below a line that says what it is.
QString LivePage::export_picture(const QString& file) {
  const Theme* shown = std::exchange(theme_, &light_theme());
  for (LiveChart* chart : charts_) chart->set_theme(*theme_);
  map_->set_theme(*theme_);
  const QString error = export_live(charts_, shows_map() ? map_ : nullptr, board_->size(), what_->text(), *theme_, file);
  theme_ = shown;
  changed_ = true;
  refresh();
  return error;
}

QString LivePage::export_to(const QString& file) {
  if (!file.endsWith(".csv", Qt::CaseInsensitive)) return export_picture(file);
  QSaveFile out(file);
  if (!out.open(QIODevice::WriteOnly)) return tr("%1 cannot be written: %2").arg(file, out.errorString());
  out.write("subject,quantity,definition,unit,t_s,value\n");
  for (const Metric* quantity : view_.quantities()) {
    for (const LiveLine& line : view_.lines(*quantity)) {
      for (std::size_t i = 0; i < line.values.size(); ++i) {
        if (std::isnan(line.values[i])) continue;
        const auto text = [](std::string_view word) { return QByteArray(word.data(), static_cast<qsizetype>(word.size())); };
        out.write(QByteArray::fromStdString(line.subject) + "," + text(quantity->name) + "," + text(quantity->definition) +
                  "," + text(quantity->unit) + "," + QByteArray::number(line.t_s[i], 'g', 7) + "," +
                  QByteArray::number(line.values[i] / quantity->display_scale, 'g', 7) + "\n");
      }
    }
  }
  return out.commit() ? QString() : tr("%1 cannot be written: %2").arg(file, out.errorString());
}

}  // namespace lindos::gui
