// SPDX-License-Identifier: GPL-3.0-or-later
// A run as it happens, or as it was: its samples as lines, what was predicted behind them, how far off it is so far, and
// whether it has left what was predicted. No widgets.
#pragma once

#include <QString>
#include <QStringList>
#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gui/models/table_model.h"
#include "scenarios/run_record.h"
#include "scenarios/run_samples.h"

namespace lindos::gui {

// NaN breaks the line.
struct LiveLine {
  std::string subject;
  std::vector<double> t_s;
  std::vector<double> values;  // in the quantity's display unit
};

// The newest value of one subject, in the quantity's display unit; NaN: none.
struct LiveCell {
  std::string subject;
  double value = 0.0;
};

// A predicted figure in the quantity's display unit; the band is P10 – P90, but at least ±10 % of the median.
struct LiveBand {
  double low = 0.0, middle = 0.0, high = 0.0;
};

struct LiveNumber {
  QString label;
  QString value;  // "–": not known yet
  QString note;
};

class LiveView {
 public:
  // So many samples are kept, the newest: five minutes at two a second.
  static constexpr std::size_t kKept = kMostSamplePoints;
  // Samples of a window that is judged, and windows in a row that raise the alarm.
  static constexpr std::size_t kWindowSamples = 4;
  static constexpr int kWindows = 3;
  // A quantity of more subjects is shown as a map of all and the lines of the worst.
  static constexpr std::size_t kManySubjects = 16;
  static constexpr std::size_t kWorstShown = 8;

  void clear();
  void expect(const std::optional<RunRecord>& prediction) { prediction_ = prediction; }
  [[nodiscard]] const std::optional<RunRecord>& prediction() const { return prediction_; }
  void add(const RunSample& sample);
  // Of a run that has ended; replaces what was there.
  void load(const RunSamples& samples);

  [[nodiscard]] bool empty() const { return times_.empty(); }
  [[nodiscard]] double begin() const { return times_.empty() ? 0.0 : times_.front(); }
  [[nodiscard]] double end() const { return times_.empty() ? 0.0 : times_.back(); }
  [[nodiscard]] const std::vector<SamplePhase>& phases() const { return phases_; }
  // With at least one value, in order of the registry.
  [[nodiscard]] std::vector<const Metric*> quantities() const;
  [[nodiscard]] std::vector<LiveLine> lines(const Metric& quantity) const;
  // Of many subjects only the worst by their newest values, worst first, and `also` behind them.
  [[nodiscard]] std::vector<LiveLine> shown_lines(const Metric& quantity, const std::string& also = {}) const;
  // Subjects that have had a value.
  [[nodiscard]] std::size_t subjects(const Metric& quantity) const;
  // All of them, in order of appearance.
  [[nodiscard]] std::vector<LiveCell> cells(const Metric& quantity) const;
  [[nodiscard]] std::optional<LiveBand> band(const Metric& quantity) const;
  // The newest value, of several subjects the worst; in SI units.
  [[nodiscard]] std::optional<double> newest(std::string_view quantity) const;
  // "Power, SM clock: the run computes on the CPU".
  [[nodiscard]] QStringList absences() const;

  // Tokens a second, how busy the machine is, error so far; of an ended run over its last repeat and over all of it.
  [[nodiscard]] std::vector<LiveNumber> numbers(bool running) const;
  // Why the run is taken to be slower than predicted; empty: it is not.
  [[nodiscard]] QString alarm() const { return alarm_; }
  // One row a quantity and subject: newest, least, mean, most, predicted.
  [[nodiscard]] Table table() const;

 private:
  struct Column {
    std::string subject;
    const Metric* quantity;
    std::deque<double> values;  // SI, one per time; NaN: none
    std::string absent;
  };
  Column& column(const std::string& subject, const Metric& quantity);
  [[nodiscard]] const MetricValue* predicted(const Metric& quantity) const;
  void judge();
  // Over the newest samples; NaN when they have no value. Of several subjects the worst.
  [[nodiscard]] LiveLine line_of(const Column& own) const;
  [[nodiscard]] static double newest_of(const Column& own);  // NaN: it never had a value
  [[nodiscard]] double mean_of(std::string_view quantity, std::size_t samples) const;
  [[nodiscard]] double mean_of_window(std::string_view quantity) const { return mean_of(quantity, kWindowSamples); }
  [[nodiscard]] QString likely_cause() const;

  std::optional<RunRecord> prediction_;
  std::deque<double> times_;
  std::vector<Column> columns_;
  std::map<std::pair<const Metric*, std::string>, std::size_t> places_;  // in columns_
  std::vector<SamplePhase> phases_;
  std::size_t in_window_ = 0;
  int slow_rate_ = 0, slow_tokens_ = 0;  // windows in a row
  QString alarm_;
};

// "123 token/s" of a sampled quantity, in its display unit. `value` in SI units.
[[nodiscard]] QString sampled_text(const Metric& quantity, double value);

}  // namespace lindos::gui
