// SPDX-License-Identifier: Apache-2.0
#include "scenarios/request_stream.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <fstream>
#include <iterator>
#include <limits>
#include <utility>
#include <vector>

#include "scenarios/arrival_process.h"
#include "scenarios/error.h"
#include "scenarios/request_trace.h"
#include "scenarios/servegen_stream.h"

namespace lindos {
namespace {

constexpr std::uint64_t kNoEnd = std::numeric_limits<std::uint64_t>::max();

std::uint64_t count_of(const ServingWorkload& workload) {
  return workload.requests > 0 ? static_cast<std::uint64_t>(workload.requests) : kNoEnd;
}

// Whose a request is.
class TenantDraw {
 public:
  TenantDraw(const std::vector<Tenant>& tenants, std::uint64_t seed) : seed_(seed) {
    double sum = 0.0;
    for (const Tenant& tenant : tenants) until_.push_back(sum += tenant.share);
  }
  // 0 where nobody is drawn. Of shares that sum to 0 the trace knows better.
  [[nodiscard]] bool draws() const { return !until_.empty() && until_.back() > 0.0; }
  [[nodiscard]] std::uint32_t tenant_of(std::uint64_t request) const {
    const double at = unit_draw(draw_words(seed_, request, Draw::kTenant).first) * until_.back();
    const auto found = std::upper_bound(until_.begin(), until_.end(), at);
    // Rounding may leave nobody behind the last one.
    return static_cast<std::uint32_t>(std::min<std::ptrdiff_t>(found - until_.begin(), std::ssize(until_) - 1));
  }

 private:
  std::uint64_t seed_;
  std::vector<double> until_;  // [tenant], running sums of the shares
};

class GeneratedStream final : public RequestStream {
 public:
  GeneratedStream(const ServingWorkload& workload, std::uint64_t seed)
      : workload_(workload),
        seed_(seed),
        tenants_(workload.tenants, seed),
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
    LINDOS_ASSERT(workload.tenants.empty() || tenants_.draws(), "tenants of generated requests are drawn");
    add_beginnings(workload.shared_prefix, workload.prefix_groups);
    for (const Tenant& tenant : workload.tenants) add_beginnings(tenant.shared_prefix, tenant.prefix_groups);
  }

  std::optional<RequestSpec> next() override {
    if (id_ == count_) return std::nullopt;
    const std::int64_t arrival_us = arrivals_->arrival_us(id_);
    if (arrival_us >= end_us_) {
      count_ = id_;
      return std::nullopt;
    }
    const std::uint32_t tenant = tenants_.draws() ? tenants_.tenant_of(id_) : 0;
    const Tenant* asks = workload_.tenants.empty() ? nullptr : &workload_.tenants[tenant];
    const LengthRange& prompt = asks != nullptr && asks->prompt ? *asks->prompt : workload_.prompt;
    const LengthRange& output = asks != nullptr && asks->output ? *asks->output : workload_.output;
    const DrawnWords lengths = draw_words(seed_, id_, Draw::kLengths);
    const bool on_completion = workload_.arrival == Arrival::kClosedLoop &&
                               static_cast<std::int64_t>(id_) >= workload_.concurrency;
    RequestSpec request{id_, Seconds{static_cast<double>(arrival_us) / 1e6},
                        draw_length(prompt, lengths.first), draw_length(output, lengths.second), on_completion};
    request.tenant = tenant;
    request.priority = asks != nullptr ? asks->priority : 0;
    const std::size_t own = asks != nullptr && asks->shared_prefix > 0 ? tenant + 1 : 0;
    if (const Groups& groups = groups_[own]; groups.count > 0) {
      const std::uint64_t group = groups.first + draw_words(seed_, id_, Draw::kPrefixGroup).first % groups.count;
      request.prefix = group + 1;
      request.beginning = beginnings_[group];
    }
    ++id_;
    return request;
  }

 private:
  // Groups of prompts that begin alike: of the workload, then of each tenant; none where prompts share nothing.
  struct Groups {
    std::uint64_t first = 0, count = 0;
  };
  void add_beginnings(std::int64_t tokens, std::int64_t groups) {
    const std::uint64_t first = beginnings_.size();
    for (std::int64_t g = 0; tokens > 0 && g < groups; ++g) {
      const auto id = static_cast<std::uint64_t>(beginnings_.size());
      beginnings_.push_back(std::make_shared<const PromptBeginning>(PromptBeginning{tokens, {id}}));
    }
    groups_.push_back({first, beginnings_.size() - first});
  }

  const ServingWorkload workload_;
  const std::uint64_t seed_;
  const TenantDraw tenants_;
  const std::unique_ptr<ArrivalProcess> arrivals_;
  std::uint64_t count_;        // requests in all; all there can be while a duration decides
  const std::int64_t end_us_;  // arrivals lie before it
  std::vector<std::shared_ptr<const PromptBeginning>> beginnings_;  // [group]
  std::vector<Groups> groups_;                                      // [0: the workload, 1 + tenant]
  std::uint64_t id_ = 0;
};

class RecordedStream final : public RequestStream {
 public:
  explicit RecordedStream(const ServingWorkload& workload)
      : workload_(workload),
        in_(workload.trace.path, std::ios::binary),
        reader_(in_, workload.trace.format, workload.trace.path, recorded_names(workload.tenants)),
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
    request.tenant = row->tenant;
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

// Requests of a trace with what its tenants' table says of them.
class AssignedStream final : public RequestStream {
 public:
  AssignedStream(std::unique_ptr<RequestStream> requests, const std::vector<Tenant>& tenants, std::uint64_t seed)
      : requests_(std::move(requests)), tenants_(tenants), draw_(tenants, seed) {}

  std::optional<RequestSpec> next() override {
    std::optional<RequestSpec> request = requests_->next();
    if (!request) return request;
    if (draw_.draws()) request->tenant = draw_.tenant_of(request->id);
    request->priority = tenants_[request->tenant].priority;
    return request;
  }

 private:
  const std::unique_ptr<RequestStream> requests_;
  const std::vector<Tenant> tenants_;
  const TenantDraw draw_;
};

}  // namespace

std::unique_ptr<RequestStream> open_requests(const ServingWorkload& workload, std::uint64_t seed) {
  if (workload.arrival != Arrival::kRecorded) return std::make_unique<GeneratedStream>(workload, seed);
  std::unique_ptr<RequestStream> requests;
  if (workload.trace.format == TraceFormat::kServegen) {
    requests = open_clients(workload, seed);
  } else {
    requests = std::make_unique<RecordedStream>(workload);
  }
  if (workload.tenants.empty()) return requests;
  return std::make_unique<AssignedStream>(std::move(requests), workload.tenants, seed);
}

}  // namespace lindos
