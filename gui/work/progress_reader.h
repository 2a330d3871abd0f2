// SPDX-License-Identifier: GPL-3.0-or-later
// Bytes of a verb's standard error → events. With --progress json a verb writes one JSON object a line; everything
// else, errors among it ("lindos: file:line:col: message"), is plain text. Lines arrive in pieces of any size.
#pragma once

#include <QByteArray>
#include <QString>
#include <optional>
#include <variant>
#include <vector>

#include "scenarios/run_record.h"
#include "scenarios/run_samples.h"

namespace lindos::gui {

struct ProgressEvent {
  QString phase;
  double fraction = 0.0;              // 0 … 1 of the phase
  std::optional<double> remaining_s;  // absent: too early to say
};
struct PhaseEvent {
  QString text;  // what the ended phase found
};
struct TextLine {
  QString text;  // also JSON of an event that this version does not know
};
struct SampleEvent {
  RunSample sample;  // `absent` is said once by a verb and holds from then on
};
struct PartialEvent {
  RunRecord record;  // what a verb has before its end: the prediction within a twin
};
using VerbEvent = std::variant<ProgressEvent, PhaseEvent, TextLine, SampleEvent, PartialEvent>;

class ProgressReader {
 public:
  // Longer lines are cut here: a child that never ends its line must not fill the memory.
  static constexpr qsizetype kMaxLine = 1 << 20;

  // The events of all lines that `bytes` completes.
  [[nodiscard]] std::vector<VerbEvent> feed(const QByteArray& bytes);
  // What is left when the child has ended, without a final line break.
  [[nodiscard]] std::vector<VerbEvent> finish();

 private:
  QByteArray pending_;
  bool skipping_ = false;  // the rest of a line that was cut
};

}  // namespace lindos::gui
