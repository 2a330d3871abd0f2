// SPDX-License-Identifier: Apache-2.0
#include "scenarios/servegen_stream.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include "scenarios/arrival_process.h"
#include "scenarios/error.h"
#include "scenarios/servegen.h"

namespace lindos {

namespace {

std::int64_t drawn_length(const LengthHistogram& histogram, double unit) {
  const auto found = std::upper_bound(histogram.until.begin(), histogram.until.end(), unit);
  return histogram.tokens[static_cast<std::size_t>(found - histogram.until.begin())];
}

// The requests of one client, in order of time.
class ClientProcess {
 public:
  ClientProcess(const ServegenClient& client, std::uint32_t number, std::uint64_t seed)
      : client_(client), seed_(seed), drawn_(std::uint64_t{number} << 32U), now_s_(client.windows.front().begin_s) {
    advance();
  }

  [[nodiscard]] bool ended() const { return window_ == client_.windows.size(); }
  // Of the next request, in whole microseconds: sums of gaps are rounded once. REQUIRES: not ended.
  [[nodiscard]] std::int64_t arrival_us() const { return std::llround(now_s_ * 1e6); }

  // Fills in lengths and goes on to the next request.
  void take(RequestSpec& request) {
    const ClientLengths& lengths = client_.lengths_at(client_.windows[window_].begin_s);
    const DrawnWords words = draw_words(seed_, drawn_ - 1, Draw::kClientLengths);
    request.prompt_tokens = drawn_length(lengths.prompt, unit_draw(words.first));
    request.output_tokens = drawn_length(lengths.output, unit_draw(words.second));
    advance();
  }

 private:
  void advance() {
    double gap = -1.0;  // drawn where the first request can arrive
    for (; !ended(); ++window_) {
      const ClientWindow& window = client_.windows[window_];
      now_s_ = std::max(now_s_, window.begin_s);
      if (window.rate == 0.0) continue;
      if (gap < 0.0) gap = next_gap(window);
      const double left = (window.end_s - now_s_) * window.rate;
      if (gap < left) {
        now_s_ += gap / window.rate;
        return;
      }
      gap -= left;
    }
  }

  // Client and request make one number: 2^32 requests of a client are more than any trace has.
  [[nodiscard]] double next_gap(const ClientWindow& window) {
    const std::uint64_t request = drawn_++;
    return window.kind == GapKind::kGamma ? gamma_gap(window.shape, seed_, request, Draw::kClientGap)
                                          : weibull_gap(window.shape, seed_, request, Draw::kClientGap);
  }

  const ServegenClient& client_;
  std::uint64_t seed_;
  std::uint64_t drawn_;  // gaps so far, the client in the upper half
  std::size_t window_ = 0;
  double now_s_;
};

class ClientsStream final : public RequestStream {
 public:
  ClientsStream(const ServingWorkload& workload, std::uint64_t seed)
      : workload_(workload),
        folder_(read_servegen(workload.trace.path, 0)),
        left_(workload.requests > 0 ? workload.requests : std::numeric_limits<std::int64_t>::max()) {
    if (folder_.digest != workload.trace.digest)
      throw Error(ErrorKind::kInput, workload.trace.path, "the trace has changed since the scenario was loaded");
    const std::vector<std::string> names = recorded_names(workload.tenants);
    for (std::size_t c = 0; c < folder_.clients.size(); ++c) {
      const ServegenClient& client = folder_.clients[c];
      const auto found = std::find(names.begin(), names.end(), client.name);
      tenants_.push_back(names.empty() ? 0U : static_cast<std::uint32_t>(found - names.begin()));
      processes_.emplace_back(client, static_cast<std::uint32_t>(c), seed);
      push(c);
    }
  }

  std::optional<RequestSpec> next() override {
    if (left_ == 0 || next_.empty()) return std::nullopt;
    const auto [arrival_us, client] = next_.top();
    const Seconds arrival{static_cast<double>(arrival_us) / 1e6 / workload_.trace.speed};
    if (workload_.duration > Seconds{0} && arrival >= workload_.duration) {
      left_ = 0;
      return std::nullopt;
    }
    next_.pop();
    RequestSpec request{id_++, arrival};
    request.tenant = tenants_[client];
    processes_[client].take(request);
    push(client);
    --left_;
    return request;
  }

 private:
  void push(std::size_t client) {
    if (!processes_[client].ended()) next_.push({processes_[client].arrival_us(), client});
  }

  const ServingWorkload workload_;
  const ServegenFolder folder_;
  std::int64_t left_;
  std::vector<std::uint32_t> tenants_;  // [client]
  std::vector<ClientProcess> processes_;
  using Arriving = std::pair<std::int64_t, std::size_t>;  // when, and the client; the first of equals goes first
  std::priority_queue<Arriving, std::vector<Arriving>, std::greater<>> next_;
  std::uint64_t id_ = 0;
};

}  // namespace

std::unique_ptr<RequestStream> open_clients(const ServingWorkload& workload, std::uint64_t seed) {
  return std::make_unique<ClientsStream>(workload, seed);
}

}  // namespace lindos
