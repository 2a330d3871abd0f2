// SPDX-License-Identifier: Apache-2.0
#include "scenarios/request_stream.h"

#include <cmath>
#include <fstream>
#include <limits>
#include <utility>
#include <vector>

#include "scenarios/arrival_process.h"
#include "scenarios/error.h"
#include "scenarios/request_trace.h"

namespace lindos {
namespace {

constexpr std::uint64_t kNoEnd = std::numeric_limits<std::uint64_t>::max();

std::uint64_t count_of(const ServingWorkload& workload) {
  return workload.requests > 0 ? static_cast<std::uint64_t>(workload.requests) : kNoEnd;
}

class GeneratedStream final : public RequestStream {
 public:
  GeneratedStream(const ServingWorkload& workload, std::uint64_t seed)
      : workload_(workload),
        seed_(seed),
        arrivals_(arrival_process(workload, seed)),
        count_(count_of(workload)),
        end_us_(workload.duration > Seconds{0} ? std::llround(workload.duration.count() * 1e6)
                                               : std::numeric_limits<std::int64_t>::max()) {
    const bool closed_loop = workload.arrival == Arrival::kClosedLoop;
    LINDOS_ASSERT((workload.requests > 0) != (workload.duration > Seconds{0}), "a count or a duration");
    LINDOS_ASSERT(workload.prompt.low <= workload.prompt.high, "an ordered range of prompt lengths");
    LINDOS_ASSERT(workload.output.low <= workload.output.high, "an ordered range of output lengths");
    LINDOS_ASSERT(!has_rate(workload.arrival) || workload.rate.value() > 0.0, "spaced arrivals need a rate");
    LINDOS_ASSERT(!closed_loop || workload.concurrency > 0, "a closed loop needs clients");
    LINDOS_ASSERT(workload.requests > 0 || has_rate(workload.arrival), "only spaced arrivals fill a duration");
    LINDOS_ASSERT(workload.prefix_groups > 0, "prompts that begin alike have a group");
    for (std::int64_t g = 0; workload.shared_prefix > 0 && g < workload.prefix_groups; ++g) {
      beginnings_.push_back(std::make_shared<const PromptBeginning>(
          PromptBeginning{workload.shared_prefix, {static_cast<std::uint64_t>(g)}}));
    }
  }

  std::optional<RequestSpec> next() override {
    if (id_ == count_) return std::nullopt;
    const std::int64_t arrival_us = arrivals_->arrival_us(id_);
    if (arrival_us >= end_us_) {
      count_ = id_;
      return std::nullopt;
    }
    const DrawnWords lengths = draw_words(seed_, id_, Draw::kLengths);
    const bool on_completion = workload_.arrival == Arrival::kClosedLoop &&
                               static_cast<std::int64_t>(id_) >= workload_.concurrency;
    RequestSpec request{id_, Seconds{static_cast<double>(arrival_us) / 1e6},
                        draw_length(workload_.prompt, lengths.first),
                        draw_length(workload_.output, lengths.second), on_completion};
    if (!beginnings_.empty()) {
      const std::uint64_t group = draw_words(seed_, id_, Draw::kPrefixGroup).first % beginnings_.size();
      request.prefix = group + 1;
      request.beginning = beginnings_[group];
    }
    ++id_;
    return request;
  }

 private:
  const ServingWorkload workload_;
  const std::uint64_t seed_;
  const std::unique_ptr<ArrivalProcess> arrivals_;
  std::uint64_t count_;        // requests in all; all there can be while a duration decides
  const std::int64_t end_us_;  // arrivals lie before it
  std::vector<std::shared_ptr<const PromptBeginning>> beginnings_;  // [group]; none where prompts share nothing
  std::uint64_t id_ = 0;
};

class RecordedStream final : public RequestStream {
 public:
  explicit RecordedStream(const ServingWorkload& workload)
      : workload_(workload),
        in_(workload.trace.path, std::ios::binary),
        reader_(in_, workload.trace.format, workload.trace.path),
        count_(count_of(workload)) {
    if (!in_.is_open()) throw Error(ErrorKind::kInput, workload.trace.path, "cannot be opened as a trace");
  }

  std::optional<RequestSpec> next() override {
    if (id_ == count_) return std::nullopt;
    std::optional<TraceRow> row = reader_.next();
    if (!row) {
      if (reader_.digest() != workload_.trace.digest)
        throw Error(ErrorKind::kInput, workload_.trace.path, "the trace has changed since the scenario was loaded");
      count_ = id_;
      return std::nullopt;
    }
    const Seconds arrival{static_cast<double>(row->arrival_ns) / 1e9 / workload_.trace.speed};
    if (workload_.duration > Seconds{0} && arrival >= workload_.duration) {
      count_ = id_;
      return std::nullopt;
    }
    RequestSpec request{id_++, arrival, row->prompt_tokens, row->output_tokens};
    if (!row->blocks.empty()) {
      request.prefix = row->blocks.front() + 1;  // ids count from 0, which stands for none
      request.beginning =
          std::make_shared<const PromptBeginning>(PromptBeginning{kTraceBlockTokens, std::move(row->blocks)});
    }
    return request;
  }

 private:
  const ServingWorkload workload_;
  std::ifstream in_;
  TraceReader reader_;
  std::uint64_t count_;
  std::uint64_t id_ = 0;
};

}  // namespace

std::unique_ptr<RequestStream> open_requests(const ServingWorkload& workload, std::uint64_t seed) {
  if (workload.arrival == Arrival::kRecorded) return std::make_unique<RecordedStream>(workload);
  return std::make_unique<GeneratedStream>(workload, seed);
}

}  // namespace lindos
