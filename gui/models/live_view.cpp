// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/models/live_view.h"

#include <QObject>
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "gui/models/cells.h"
#include "gui/models/format.h"
#include "scenarios/waterfall.h"

namespace lindos::gui {

namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr double kBand = 0.10;         // as in Accuracy
constexpr double kFewCores = 0.75;     // below: other work takes the cores
constexpr double kFull = 0.99;         // of the KV blocks
constexpr double kSlowClock = 0.95;    // of the median of all GPUs

// What is predicted of a sampled quantity, by name in the registry of metrics.
const char* metric_of(std::string_view quantity) {
  if (quantity == "output_tokens_per_s" || quantity == "mean_output_tokens_per_s") return "output_tokens_per_s";
  if (quantity == "ttft_s") return "ttft_s";
  if (quantity == "tpot_s") return "tpot_s";
  return nullptr;
}

QString signed_percent(double share) {
  const QString text = QString::number(std::abs(share) * 100.0, 'f', std::abs(share) < 0.0995 ? 1 : 0);
  return (share < 0.0 ? QString(QChar(0x2212)) : QString("+")) + text + " %";
}

}  // namespace

QString sampled_text(const Metric& quantity, double value) {
  return QString::fromStdString(format_value(quantity, value)).trimmed();
}

void LiveView::clear() { *this = {}; }

LiveView::Column& LiveView::column(const std::string& subject, const Metric& quantity) {
  const auto [place, is_new] = places_.try_emplace({&quantity, subject}, columns_.size());
  if (!is_new) return columns_[place->second];
  columns_.push_back({subject, &quantity, std::deque<double>(times_.size(), kNone), {}});
  return columns_.back();
}

void LiveView::add(const RunSample& sample) {
  // Time that goes back is another run's.
  if (!times_.empty() && sample.t_s < times_.back()) return;
  if (phases_.empty() || phases_.back().name != sample.phase) {
    phases_.push_back({end(), sample.phase});
    in_window_ = 0;
    slow_rate_ = slow_tokens_ = 0;
  }
  times_.push_back(sample.t_s);
  for (Column& own : columns_) own.values.push_back(kNone);
  for (const SampledSubject& subject : sample.subjects) {
    for (const auto& [name, value] : subject.values) {
      if (const Metric* quantity = find_sample_quantity(name)) column(subject.name, *quantity).values.back() = value;
    }
    for (const auto& [name, reason] : subject.absent) {
      if (const Metric* quantity = find_sample_quantity(name)) column(subject.name, *quantity).absent = reason;
    }
  }
  if (times_.size() > kKept) {
    times_.pop_front();
    for (Column& own : columns_) own.values.pop_front();
  }
  if (++in_window_ == kWindowSamples) {
    judge();
    in_window_ = 0;
  }
}

void LiveView::load(const RunSamples& samples) {
  const auto prediction = prediction_;
  clear();
  prediction_ = prediction;
  phases_ = samples.phases;
  // All series of a run share their times.
  for (const SampleSeries& series : samples.series) {
    if (!times_.empty() || series.points.empty()) continue;
    for (const SamplePoint& point : series.points) times_.push_back(static_cast<double>(point.t_s));
  }
  for (const SampleSeries& series : samples.series) {
    Column& own = column(series.subject, *find_sample_quantity(series.quantity));
    own.absent = series.absent;
    for (std::size_t i = 0; i < std::min(series.points.size(), own.values.size()); ++i)
      own.values[i] = static_cast<double>(series.points[i].value);
  }
}

std::vector<const Metric*> LiveView::quantities() const {
  std::vector<const Metric*> out;
  for (const Metric& quantity : sample_quantity_registry()) {
    const bool known = std::any_of(columns_.begin(), columns_.end(), [&](const Column& own) {
      return own.quantity == &quantity &&
             std::any_of(own.values.begin(), own.values.end(), [](double v) { return !std::isnan(v); });
    });
    if (known) out.push_back(&quantity);
  }
  return out;
}

double LiveView::newest_of(const Column& own) {
  const auto last = std::find_if(own.values.rbegin(), own.values.rend(), [](double v) { return !std::isnan(v); });
  return last == own.values.rend() ? kNone : *last;
}

std::size_t LiveView::subjects(const Metric& quantity) const { return cells(quantity).size(); }

std::vector<LiveCell> LiveView::cells(const Metric& quantity) const {
  std::vector<LiveCell> out;
  for (const Column& own : columns_) {
    if (own.quantity != &quantity) continue;
    const double value = newest_of(own);
    if (!std::isnan(value)) out.push_back({own.subject, value * quantity.display_scale});
  }
  return out;
}

LiveLine LiveView::line_of(const Column& own) const {
  LiveLine line{own.subject, {times_.begin(), times_.end()}, {}};
  for (const double value : own.values) line.values.push_back(value * own.quantity->display_scale);
  return line;
}

std::vector<LiveLine> LiveView::lines(const Metric& quantity) const {
  std::vector<LiveLine> out;
  for (const Column& own : columns_) {
    if (own.quantity == &quantity) out.push_back(line_of(own));
  }
  return out;
}

std::vector<LiveLine> LiveView::shown_lines(const Metric& quantity, const std::string& also) const {
  if (subjects(quantity) <= kManySubjects) return lines(quantity);
  std::vector<const Column*> all;
  for (const Column& own : columns_) {
    if (own.quantity == &quantity && !std::isnan(newest_of(own))) all.push_back(&own);
  }
  const auto chosen = std::find_if(all.begin(), all.end(), [&](const Column* own) { return own->subject == also; });
  const Column* extra = chosen == all.end() ? nullptr : *chosen;
  const bool least = quantity.worst == Worst::kMin;
  std::stable_sort(all.begin(), all.end(), [&](const Column* a, const Column* b) {
    return least ? newest_of(*a) < newest_of(*b) : newest_of(*a) > newest_of(*b);
  });
  all.resize(kWorstShown);
  if (extra != nullptr && std::find(all.begin(), all.end(), extra) == all.end()) all.push_back(extra);
  std::vector<LiveLine> out;
  for (const Column* own : all) out.push_back(line_of(*own));
  return out;
}

const MetricValue* LiveView::predicted(const Metric& quantity) const {
  const char* name = metric_of(quantity.name);
  if (!prediction_ || name == nullptr) return nullptr;
  const auto found = prediction_->metrics.find(name);
  return found == prediction_->metrics.end() || found->second.p50 <= 0.0 ? nullptr : &found->second;
}

std::optional<LiveBand> LiveView::band(const Metric& quantity) const {
  const MetricValue* value = predicted(quantity);
  if (value == nullptr) return std::nullopt;
  const double scale = quantity.display_scale;
  return LiveBand{std::min(value->p10, value->p50 * (1.0 - kBand)) * scale, value->p50 * scale,
                  std::max(value->p90, value->p50 * (1.0 + kBand)) * scale};
}

std::optional<double> LiveView::newest(std::string_view quantity) const {
  std::optional<double> out;
  for (const Column& own : columns_) {
    if (own.quantity->name != quantity) continue;
    const double last = newest_of(own);
    if (std::isnan(last)) continue;
    const bool least = own.quantity->worst == Worst::kMin;
    out = !out ? last : least ? std::min(*out, last) : std::max(*out, last);
  }
  return out;
}

QStringList LiveView::absences() const {
  // By reason, so that a machine without GPUs says it once.
  std::vector<std::pair<std::string, QStringList>> by_reason;
  for (const Column& own : columns_) {
    if (own.absent.empty()) continue;
    const bool known = std::any_of(own.values.begin(), own.values.end(), [](double v) { return !std::isnan(v); });
    if (known) continue;
    auto found = std::find_if(by_reason.begin(), by_reason.end(), [&](const auto& r) { return r.first == own.absent; });
    if (found == by_reason.end()) found = by_reason.insert(found, {own.absent, {}});
    QString name = to_qt(own.quantity->label);
    // "gpu" stands for all that a run without GPUs lacks.
    if (own.subject.find_first_of("0123456789") != std::string::npos)
      name += " (" + QString::fromStdString(own.subject) + ")";
    if (!found->second.contains(name)) found->second << name;
  }
  QStringList out;
  for (const auto& [reason, names] : by_reason) out << names.join(", ") + ": " + QString::fromStdString(reason);
  return out;
}

std::vector<LiveNumber> LiveView::numbers(bool running) const {
  const auto said = [](const char* quantity, std::optional<double> value) {
    return value && !std::isnan(*value) ? sampled_text(*find_sample_quantity(quantity), *value) : QString("–");
  };
  std::vector<LiveNumber> out(3);
  const QString repeat = said("mean_output_tokens_per_s", newest("mean_output_tokens_per_s"));
  out[0] = running ? LiveNumber{QObject::tr("Output now"), said("output_tokens_per_s", newest("output_tokens_per_s")),
                                QObject::tr("%1 over this repeat").arg(repeat)}
                   : LiveNumber{QObject::tr("Output"), repeat, QObject::tr("over the last repeat")};
  const char* busy = newest("gpu_busy") ? "gpu_busy" : "cpu_busy";
  out[1] = {to_qt(find_sample_quantity(busy)->label),
            said(busy, running ? newest(busy) : mean_of(busy, times_.size())),
            busy == std::string_view("gpu_busy") ? QObject::tr("share of the time with a kernel, not of peak")
                                                 : QObject::tr("share of the usable cores")};
  if (!running) out[1].note += QObject::tr(", mean of the samples");
  out[2].label = running ? QObject::tr("Off the prediction so far") : QObject::tr("Off the prediction");
  out[2].value = "–";
  const Metric& mean = *find_sample_quantity("mean_output_tokens_per_s");
  const MetricValue* value = predicted(mean);
  const auto now = newest(mean.name);
  if (value == nullptr) {
    out[2].note = QObject::tr("nothing is predicted for this scenario and plan");
  } else {
    out[2].note = QObject::tr("predicted %1").arg(metric_text("output_tokens_per_s", value->p50));
    if (value->p10 < value->p90)
      out[2].note += QObject::tr(" (P10 – P90 %1)").arg(metric_interval("output_tokens_per_s", *value));
    if (now) out[2].value = signed_percent(*now / value->p50 - 1.0);
  }
  return out;
}

double LiveView::mean_of(std::string_view quantity, std::size_t samples) const {
  double worst = kNone;
  for (const Column& own : columns_) {
    if (own.quantity->name != quantity) continue;
    double sum = 0.0;
    int count = 0;
    for (std::size_t i = own.values.size() - std::min(own.values.size(), samples); i < own.values.size(); ++i) {
      if (std::isnan(own.values[i])) continue;
      sum += own.values[i];
      ++count;
    }
    if (count == 0) continue;
    const double mean = sum / count;
    const bool least = own.quantity->worst == Worst::kMin;
    worst = std::isnan(worst) ? mean : least ? std::min(worst, mean) : std::max(worst, mean);
  }
  return worst;
}

// Slower than the band counts, faster does not: a mean over a run lies below its decode and above its prompts.
void LiveView::judge() {
  const auto slow = [&](const char* name, bool above, int& in_a_row) {
    const Metric& quantity = *find_sample_quantity(name);
    const auto own = band(quantity);
    const double value = mean_of_window(name) * quantity.display_scale;
    // A window without a value, such as one of prompts alone, says nothing.
    if (!own || std::isnan(value) || value <= 0.0) return in_a_row >= kWindows;
    in_a_row = (above ? value > own->high : value < own->low) ? in_a_row + 1 : 0;
    return in_a_row >= kWindows;
  };
  const bool tokens = slow("tpot_s", true, slow_tokens_);
  const bool rate = slow("output_tokens_per_s", false, slow_rate_);
  if (!tokens && !rate) {
    alarm_.clear();
    return;
  }
  const Metric& quantity = *find_sample_quantity(tokens ? "tpot_s" : "output_tokens_per_s");
  alarm_ = QObject::tr("%1 has been outside the predicted band for %2 windows of %3 samples (%4, predicted %5). %6")
               .arg(to_qt(quantity.label))
               .arg(tokens ? slow_tokens_ : slow_rate_)
               .arg(kWindowSamples)
               .arg(sampled_text(quantity, mean_of_window(quantity.name)),
                    sampled_text(quantity, predicted(quantity)->p50), likely_cause());
}

QString LiveView::likely_cause() const {
  std::vector<std::pair<std::string, double>> clocks;
  for (const Column& own : columns_) {
    const double last = own.values.empty() ? kNone : own.values.back();
    if (std::isnan(last)) continue;
    const QString subject = QString::fromStdString(own.subject);
    if (own.quantity->name == "heat_limited" && last > 0.0)
      return QObject::tr("Likely cause: heat holds the clocks of %1 down.").arg(subject);
    if (own.quantity->name == "power_limited" && last > 0.0)
      return QObject::tr("Likely cause: a power limit holds the clocks of %1 down.").arg(subject);
    if (own.quantity->name == "sm_clock_hz") clocks.emplace_back(own.subject, last);
  }
  if (clocks.size() > 1) {
    std::sort(clocks.begin(), clocks.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    const double median = clocks[clocks.size() / 2].second;
    if (clocks.front().second < median * kSlowClock)
      return QObject::tr("Likely cause: %1 is a straggler, at %2 MHz where the median runs at %3 MHz.")
          .arg(QString::fromStdString(clocks.front().first))
          .arg(clocks.front().second / 1e6, 0, 'f', 0)
          .arg(median / 1e6, 0, 'f', 0);
  }
  const double cores = mean_of_window("cpu_busy");
  if (!newest("gpu_busy") && cores < kFewCores)
    return QObject::tr("Likely cause: the run got only %1 of the cores; look for other work on this machine.")
        .arg(percent(cores));
  if (mean_of_window("kv_used") >= kFull && mean_of_window("waiting_requests") >= 1.0)
    return QObject::tr("Likely cause: all KV blocks are in use and %1 requests wait.")
        .arg(mean_of_window("waiting_requests"), 0, 'f', 0);
  if (mean_of_window("running_requests") < 1.0) return QObject::tr("Likely cause: no work is queued.");
  if (!std::isnan(mean_of_window("ttft_s")))
    return QObject::tr("Likely cause: prompts were computed beside the decodes; it may pass.");
  const auto losses = prediction_ ? waterfall_of(*prediction_, nullptr) : std::nullopt;
  if (!losses || losses->steps.empty()) return QObject::tr("Nothing sampled tells why.");
  const auto most = std::max_element(losses->steps.begin(), losses->steps.end(),
                                     [](const auto& a, const auto& b) { return a.share < b.share; });
  return QObject::tr("Nothing sampled tells why; the largest predicted loss is %1 (%2): look there first, in Why.")
      .arg(QString::fromStdString(most->label).toLower(), points(most->share));
}

Table LiveView::table() const {
  Table table{{QObject::tr("Quantity"), QObject::tr("Of"), QObject::tr("Newest"), QObject::tr("Least"),
               QObject::tr("Mean"), QObject::tr("Most"), QObject::tr("Predicted")},
              {}};
  for (const Metric& quantity : sample_quantity_registry()) {
    for (const Column& own : columns_) {
      if (own.quantity != &quantity) continue;
      std::vector<double> known;
      std::copy_if(own.values.begin(), own.values.end(), std::back_inserter(known),
                   [](double v) { return !std::isnan(v); });
      TableRow row;
      row.key = static_cast<std::int64_t>(table.rows.size());
      row.cells = {word(to_qt(quantity.label), to_qt(quantity.sentence)), word(QString::fromStdString(own.subject))};
      if (known.empty()) {
        const QString why = QString::fromStdString(own.absent);
        for (int i = 0; i < 4; ++i) row.cells.push_back(absent(why));
      } else {
        double sum = 0.0;
        for (const double value : known) sum += value;
        const auto [least, most] = std::minmax_element(known.begin(), known.end());
        for (const double value : {known.back(), *least, sum / static_cast<double>(known.size()), *most})
          row.cells.push_back(number(sampled_text(quantity, value), value));
      }
      const MetricValue* value = predicted(quantity);
      row.cells.push_back(value == nullptr ? absent(QObject::tr("not predicted"))
                                           : number(metric_text(metric_of(quantity.name), value->p50), value->p50));
      table.rows.push_back(std::move(row));
    }
  }
  return table;
}

}  // namespace lindos::gui
