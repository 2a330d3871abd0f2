// SPDX-License-Identifier: Apache-2.0
#include "scenarios/waterfall.h"

#include <algorithm>
#include <cctype>
#include <cstdio>

namespace lindos {

namespace {

const LedgerEntry* find_entry(const RunRecord& record, Cause cause) {
  for (const LedgerEntry& entry : record.ledger) {
    if (entry.cause == cause) return &entry;
  }
  return nullptr;
}

double share_in(const RunRecord& record, Cause cause) {
  const LedgerEntry* entry = find_entry(record, cause);
  return entry != nullptr ? entry->share : 0.0;
}

std::string one_decimal(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

std::string capitalised(std::string_view text) {
  std::string out(text);
  if (!out.empty()) out[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(out[0])));
  return out;
}

WaterfallStep step_of(Cause cause, const RunRecord& record, const RunRecord* measured) {
  WaterfallStep step;
  step.label = capitalised(label_of(cause));
  step.sentence = sentence_of(cause);
  step.group = group_of(cause);
  step.causes = {cause};
  const LedgerEntry* entry = find_entry(record, cause);
  step.share = entry != nullptr ? entry->share : 0.0;
  step.p10 = entry != nullptr ? entry->p10 : 0.0;
  step.p90 = entry != nullptr ? entry->p90 : 0.0;
  if (measured != nullptr) step.measured = share_in(*measured, cause);
  return step;
}

// Several small causes as one step; one stays itself.
std::optional<WaterfallStep> folded(const std::vector<WaterfallStep>& small) {
  if (small.empty()) return std::nullopt;
  if (small.size() == 1) return small.front();
  WaterfallStep other;
  other.label = "Other (" + std::to_string(small.size()) + ")";
  other.group = LossGroup::kOnDevice;
  for (const WaterfallStep& step : small) {
    other.sentence += (other.sentence.empty() ? "" : ", ") + step.label + " " + percent_text(step.share);
    other.causes.push_back(step.causes.front());
    other.share += step.share;
    if (step.measured) other.measured = other.measured.value_or(0.0) + *step.measured;
  }
  return other;
}

}  // namespace

std::string percent_text(double share) { return one_decimal(share * 100.0) + " %"; }

std::string percent_interval_text(double p10, double p90) {
  return one_decimal(p10 * 100.0) + " – " + one_decimal(p90 * 100.0);
}

LossGroup group_of(Cause cause) {
  switch (cause) {
    case Cause::kNotAllocated:
    case Cause::kSpare:
    case Cause::kNoWork:
    case Cause::kRestart:
    case Cause::kLostWork:
    case Cause::kCheckpointIo:
      return LossGroup::kAvailability;
    case Cause::kPipelineBubble:
    case Cause::kStragglerMix:
    case Cause::kStragglerJitter:
    case Cause::kHostOverhead:
      return LossGroup::kWaiting;
    case Cause::kExposedTensor:
    case Cause::kExposedPipeline:
    case Cause::kExposedExpert:
    case Cause::kExposedContext:
    case Cause::kExposedData:
    case Cause::kTransfer:
      return LossGroup::kCommunication;
    case Cause::kUseful:
    case Cause::kMemoryBound:
    case Cause::kKernelInefficiency:
    case Cause::kRecompute:
    case Cause::kPadding:
    case Cause::kPowerCap:
    case Cause::kThermal:
      return LossGroup::kOnDevice;
  }
  return LossGroup::kOnDevice;
}

std::string_view label_of(LossGroup group) {
  switch (group) {
    case LossGroup::kAvailability:
      return "Availability";
    case LossGroup::kWaiting:
      return "Waiting";
    case LossGroup::kCommunication:
      return "Communication";
    case LossGroup::kOnDevice:
      return "On the device";
  }
  return "";
}

std::optional<Waterfall> waterfall_of(const RunRecord& record, const RunRecord* measured) {
  if (record.ledger.empty()) return std::nullopt;
  if (measured != nullptr && measured->ledger.empty()) measured = nullptr;
  Waterfall waterfall;
  if (const LedgerEntry* useful = find_entry(record, Cause::kUseful)) waterfall.useful = *useful;
  if (measured != nullptr) waterfall.measured_useful = share_in(*measured, Cause::kUseful);

  std::vector<WaterfallStep> small;
  for (std::size_t i = 0; i < kCauseCount; ++i) {
    const auto cause = static_cast<Cause>(i);
    if (cause == Cause::kUseful) continue;
    const WaterfallStep step = step_of(cause, record, measured);
    const double largest = std::max(step.share, step.measured.value_or(0.0));
    if (largest <= 0.0) continue;
    (largest < kFoldBelow ? small : waterfall.steps).push_back(step);
  }
  std::stable_sort(waterfall.steps.begin(), waterfall.steps.end(), [](const WaterfallStep& a, const WaterfallStep& b) {
    return a.group != b.group ? a.group < b.group : a.share > b.share;
  });
  if (const auto other = folded(small)) waterfall.steps.push_back(*other);
  double level = 1.0;
  for (WaterfallStep& step : waterfall.steps) {
    step.before = level;
    level -= step.share;
    step.after = level;
  }
  return waterfall;
}

std::string headline_of(const RunRecord& record) {
  if (record.ledger.empty()) return "This run has no ledger.";
  const LedgerEntry* largest = nullptr;
  for (const LedgerEntry& entry : record.ledger) {
    if (entry.cause != Cause::kUseful && (largest == nullptr || entry.share > largest->share)) largest = &entry;
  }
  std::string text = percent_text(share_in(record, Cause::kUseful)) + " of peak";
  if (const LedgerEntry* useful = find_entry(record, Cause::kUseful); useful != nullptr && useful->p10 != useful->p90) {
    text += " (P10–P90 " + percent_interval_text(useful->p10, useful->p90) + ")";
  }
  if (const auto steady = record.metrics.find("steady_mfu"); steady != record.metrics.end()) {
    const MetricValue& value = steady->second;
    text += ", " + percent_text(value.p50) + " while steps run (" + percent_interval_text(value.p10, value.p90) + ")";
  }
  if (largest == nullptr) return text + ".";
  return text + ". Largest loss: " + std::string(label_of(largest->cause)) + ", " +
         one_decimal(largest->share * 100.0) + " points.";
}

}  // namespace lindos
