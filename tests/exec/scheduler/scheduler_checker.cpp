// SPDX-License-Identifier: Apache-2.0
#include "tests/exec/scheduler/scheduler_checker.h"

#include <algorithm>
#include <optional>
#include <span>

#include <rapidcheck.h>

namespace lindos::scheduler::model {
namespace {

constexpr TokenId kStopToken = 3;

// What a "model" samples: depends on the request and the position only, so that preemption must not
// show.
TokenId sample(RequestId id, std::size_t position) {
  return static_cast<TokenId>((id * 7 + position * 5 + id * position) % 11);
}

// All that a block's KV depends on: the tokens from the beginning to its end; and whose it is.
using Beginning = std::pair<std::uint64_t, std::vector<TokenId>>;

struct Modelled {
  int priority = 0;
  std::uint64_t salt = 0;
  std::size_t prompt = 0;
  std::size_t max_new = 0;
  bool stops = false;
  bool cancelled = false;
  std::vector<TokenId> tokens;  // prompt and output
  std::size_t computed = 0;
  std::size_t in_flight = 0;
  bool decodes = false;         // the slice in flight
  bool entered = false;         // ever
  std::vector<BlockId> blocks;
  std::size_t indexed = 0;      // leading blocks that it owns in the index
  // ids are given in order of arrival
  [[nodiscard]] std::pair<int, RequestId> rank(RequestId id) const { return {-priority, id}; }
  [[nodiscard]] Beginning beginning(std::size_t length) const {
    return {salt, {tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(length)}};
  }
};

class Checker {
 public:
  explicit Checker(const Case& c)
      : limits_(c.limits),
        policy_(c.policy),
        block_tokens_(static_cast<std::size_t>(c.limits.block_tokens)),
        scheduler_(c.limits, c.policy) {}

  void submit(const Event& e) {
    const RequestId id = next_id_++;
    Request request;
    request.id = id;
    request.prompt = prompt_of(e, id);
    request.max_new_tokens = e.max_new;
    request.priority = e.priority;
    request.cache_salt = static_cast<std::uint64_t>(e.salt);
    if (e.stops) request.stop_tokens = {kStopToken};
    const Admission admission = scheduler_.submit(request);
    const std::int64_t positions = std::ssize(request.prompt) + e.max_new - 1;
    const std::int64_t needed = (positions + limits_.block_tokens - 1) / limits_.block_tokens;
    const bool fits = needed <= limits_.kv_blocks;
    RC_ASSERT(std::holds_alternative<Queued>(admission) == fits);
    if (!fits) {
      RC_ASSERT(std::get<Rejected>(admission).needed == needed);
      return;
    }
    Modelled& m = live_[id];
    m.priority = e.priority;
    m.salt = request.cache_salt;
    m.prompt = request.prompt.size();
    m.max_new = static_cast<std::size_t>(e.max_new);
    m.stops = e.stops;
    m.tokens = request.prompt;
    submitted_.insert(id);
    std::size_t ahead = 0;
    for (const auto& [other, o] : live_)
      ahead += o.blocks.empty() && o.rank(other) < m.rank(id) ? 1 : 0;
    RC_ASSERT(std::get<Queued>(admission).position == ahead);
  }

  void cancel(RequestId id) {
    scheduler_.cancel(id);
    const auto found = live_.find(id);
    if (found == live_.end()) return;
    if (found->second.in_flight > 0) {
      found->second.cancelled = true;
    } else {
      expect_end(id, FinishReason::kCancelled);
    }
  }

  // Returns false when nothing was planned.
  bool plan() {
    const bool nothing_in_flight = steps_.empty();
    const auto active = static_cast<std::int64_t>(live_.size());
    const Step step = scheduler_.plan();
    check_preempted(step);
    RC_ASSERT(step.tokens() <= limits_.max_batched_tokens);
    RC_ASSERT(!(nothing_in_flight && active > 0 && step.empty()));
    if (limits_.lookahead > 0) {
      const std::int64_t steps = limits_.lookahead + 1;
      RC_ASSERT(static_cast<std::int64_t>(step.slices.size()) <= (active + steps - 1) / steps);
    }
    if (step.empty()) {
      give_blocks(step);
      RC_ASSERT(step.copies.empty());
      // Without reuse a preemption frees blocks for somebody.
      RC_ASSERT(step.preempted.empty() || limits_.prefix_reuse);
      return false;
    }
    RC_ASSERT(step.id == ++last_step_);
    std::vector<std::pair<int, RequestId>> entered;
    for (const StepSlice& slice : step.slices) {
      RC_ASSERT(live_.contains(slice.request));
      RC_ASSERT(std::count(step.preempted.begin(), step.preempted.end(), slice.request) == 0);
      if (live_.at(slice.request).blocks.empty()) {
        entered.push_back(live_.at(slice.request).rank(slice.request));
      }
    }
    give_blocks(step);
    copy_kv(step.copies);
    transcript_ << "step " << step.id << ':';
    StepResult result{step.id, {}};
    std::vector<RequestId> requests;
    bool decodes_over = false;
    for (const StepSlice& slice : step.slices) {
      RC_ASSERT(!(decodes_over && slice.is_decode));
      decodes_over = !slice.is_decode;
      check_slice(slice);
      requests.push_back(slice.request);
      if (slice.wants_logits) {
        result.sampled.push_back(sample(slice.request, live_.at(slice.request).tokens.size()));
      }
    }
    transcript_ << '\n';
    check_no_overtaking(entered, step.preempted);
    steps_.push_back({std::move(result), std::move(requests)});
    return true;
  }

  void complete() {
    if (steps_.empty()) return;
    auto [result, requests] = std::move(steps_.front());
    steps_.pop_front();
    scheduler_.complete(result);
    std::size_t next = 0;
    for (const RequestId id : requests) {
      Modelled& m = live_.at(id);
      write_kv(m, m.computed, m.computed + m.in_flight);
      m.computed += m.in_flight;
      m.in_flight = 0;
      const bool sampled = m.computed == m.tokens.size();
      const TokenId token = sampled ? result.sampled.at(next++) : 0;
      if (m.cancelled) {
        expect_end(id, FinishReason::kCancelled);
        continue;
      }
      if (!m.decodes) publish(m);
      if (!sampled) continue;
      m.tokens.push_back(token);
      if (m.stops && token == kStopToken) {
        expect_end(id, FinishReason::kStop);
      } else if (m.tokens.size() == m.prompt + m.max_new) {
        expect_end(id, FinishReason::kLength);
      }
    }
  }

  void check_state() {
    const Snapshot s = scheduler_.snapshot();
    std::int64_t running = 0;
    std::map<BlockId, std::size_t> owned;  // place in the tables
    for (const auto& [id, m] : live_) {
      running += m.blocks.empty() ? 0 : 1;
      for (std::size_t at = 0; at < m.blocks.size(); ++at) {
        const BlockId block = m.blocks[at];
        RC_ASSERT(block >= 0 && block < limits_.kv_blocks);
        const auto [place, first] = owned.emplace(block, at);
        // Full, shared, and at the same place of each of its owners; without reuse never.
        if (!first) RC_ASSERT(at < m.indexed && place->second == at);
      }
    }
    for (const BlockId block : cached_) RC_ASSERT(!owned.contains(block));
    RC_ASSERT(s.blocks_used == std::ssize(owned));
    RC_ASSERT(s.blocks_cached == std::ssize(cached_));
    RC_ASSERT(s.blocks_used + s.blocks_cached + s.blocks_free == s.blocks_total);
    RC_ASSERT(s.blocks_total == limits_.kv_blocks);
    RC_ASSERT(s.prefix_query_tokens == query_tokens_);
    RC_ASSERT(s.prefix_hit_tokens == hit_tokens_);
    RC_ASSERT(s.host_hit_tokens == host_hit_tokens_);
    RC_ASSERT(s.blocks_on_host == std::ssize(host_));
    RC_ASSERT(s.blocks_on_host <= limits_.host_blocks);
    RC_ASSERT(s.running == running);
    RC_ASSERT(s.running <= limits_.max_sequences);
    RC_ASSERT(s.waiting == static_cast<std::int64_t>(live_.size()) - running);
    RC_ASSERT(s.in_flight_steps == static_cast<std::int64_t>(steps_.size()));
    RC_ASSERT(scheduler_.idle() == (live_.empty() && steps_.empty()));
    for (const Finished& done : scheduler_.take_finished()) {
      RC_ASSERT(!expected_.empty());
      RC_ASSERT(done.request == expected_.front().request);
      RC_ASSERT(done.reason == expected_.front().reason);
      RC_ASSERT(done.output == expected_.front().output);
      RC_ASSERT(submitted_.erase(done.request) == 1u);  // ends once
      transcript_ << "end " << done.request << '\n';
      expected_.pop_front();
    }
    RC_ASSERT(expected_.empty());
  }

  [[nodiscard]] std::size_t room() const {
    return static_cast<std::size_t>(limits_.lookahead) + 1 - steps_.size();
  }
  [[nodiscard]] bool idle() const { return live_.empty() && steps_.empty(); }
  [[nodiscard]] RequestId submitted_so_far() const { return next_id_; }
  void expect_all_ended() const { RC_ASSERT(submitted_.empty()); }
  [[nodiscard]] std::string transcript() const { return transcript_.str(); }
  [[nodiscard]] Snapshot snapshot() const { return scheduler_.snapshot(); }

 private:
  struct InFlight {
    StepResult result;
    std::vector<RequestId> requests;
  };

  [[nodiscard]] std::vector<TokenId> prompt_of(const Event& e, RequestId id) const {
    std::vector<TokenId> prompt;
    if (e.goes_on && !ended_.empty()) prompt = ended_[static_cast<std::size_t>(e.group) % ended_.size()];
    for (int i = 0; i < e.prompt; ++i) {
      prompt.push_back(i < e.shared && !e.goes_on ? 1000 * e.group + 100 + i
                                                  : static_cast<TokenId>(10'000 + 100 * id) + i);
    }
    return prompt;
  }

  void check_preempted(const Step& step) {
    std::pair<int, RequestId> first{1, 0};  // of those that hold blocks; {1, …} is after all
    for (const auto& [id, m] : live_) {
      if (!m.blocks.empty()) first = std::min(first, m.rank(id));
    }
    for (const RequestId id : step.preempted) {
      const Modelled& m = live_.at(id);
      RC_ASSERT(!m.blocks.empty());
      RC_ASSERT(m.in_flight == 0u);
      RC_ASSERT(first < m.rank(id));
      transcript_ << "preempt " << id << '\n';
    }
  }

  // Follows the pool through the step: prompts may be planned before decodes, but stand after them.
  void give_blocks(const Step& step) {
    std::vector<const StepSlice*> slices;
    for (const StepSlice& slice : step.slices) slices.push_back(&slice);
    if (policy_ == Policy::kPrefillFirst) {
      std::stable_partition(slices.begin(), slices.end(), [](const StepSlice* slice) { return !slice->is_decode; });
    }
    std::deque<RequestId> victims(step.preempted.begin(), step.preempted.end());
    const auto preempt = [&] {
      Modelled& victim = live_.at(victims.front());
      victims.pop_front();
      give_up(victim);
    };
    for (const StepSlice* slice : slices) {
      Modelled& m = live_.at(slice->request);
      if (m.blocks.empty()) enter(m, slice->blocks, preempt, victims);
      const auto taken = std::ssize(slice->blocks) - std::ssize(m.blocks);
      RC_ASSERT(taken >= 0);
      while (free() + std::ssize(cached_) < taken && !victims.empty()) preempt();
      while (free() < taken) evict();
      for (std::size_t at = m.blocks.size(); at < slice->blocks.size(); ++at) give_free(m, slice->blocks[at]);
      RC_ASSERT(std::equal(m.blocks.begin(), m.blocks.end(), slice->blocks.begin(), slice->blocks.end()));
    }
    while (!victims.empty()) preempt();
  }

  [[nodiscard]] std::int64_t free() const {
    std::set<BlockId> taken(cached_.begin(), cached_.end());
    for (const auto& [id, m] : live_) taken.insert(m.blocks.begin(), m.blocks.end());
    return limits_.kv_blocks - std::ssize(taken);
  }

  void give_free(Modelled& m, BlockId block) {
    for (const auto& [other, o] : live_) RC_ASSERT(std::count(o.blocks.begin(), o.blocks.end(), block) == 0);
    RC_ASSERT(std::count(cached_.begin(), cached_.end(), block) == 0);
    m.blocks.push_back(block);
  }

  // Takes the longest beginning in the index, but never the last token: first what is on the device, then what is in host
  // memory, which comes to blocks of the table that were free.
  template <class Preempt>
  void enter(Modelled& m, std::span<const BlockId> table, const Preempt& preempt, const std::deque<RequestId>& victims) {
    if (!limits_.prefix_reuse) return;
    const auto next = [&] { return m.beginning((m.indexed + 1) * block_tokens_); };
    const auto may_be_taken = [&] { return (m.indexed + 1) * block_tokens_ < m.tokens.size(); };
    while (may_be_taken()) {
      const auto found = index_.find(next());
      if (found == index_.end()) break;
      m.blocks.push_back(found->second);
      std::erase(cached_, found->second);
      ++m.indexed;
    }
    std::vector<Beginning> coming;
    while (may_be_taken() && std::erase(host_, next()) > 0) {
      coming.push_back(next());
      ++m.indexed;
    }
    const auto needed = std::ssize(coming);
    while (free() + std::ssize(cached_) < needed && !victims.empty()) preempt();
    while (free() < needed) evict(needed);
    for (const Beginning& beginning : coming) {
      give_free(m, table[m.blocks.size()]);
      RC_ASSERT(index_.emplace(beginning, m.blocks.back()).second);
    }
    m.computed = m.indexed * block_tokens_;
    if (m.entered) return;
    m.entered = true;
    query_tokens_ += std::ssize(m.tokens);
    hit_tokens_ += static_cast<std::int64_t>(m.computed);
    host_hit_tokens_ += needed * limits_.block_tokens;
  }

  void publish(Modelled& m) {
    if (!limits_.prefix_reuse) return;
    for (; (m.indexed + 1) * block_tokens_ <= m.computed; ++m.indexed) {
      BlockId& block = m.blocks[m.indexed];
      std::erase(host_, m.beginning((m.indexed + 1) * block_tokens_));  // computed again: not needed there any more
      const auto [entry, is_new] = index_.emplace(m.beginning((m.indexed + 1) * block_tokens_), block);
      if (is_new) continue;
      block = entry->second;
      std::erase(cached_, block);
    }
  }

  void give_up(Modelled& m) {
    publish(m);
    std::vector<BlockId> blocks;
    blocks.swap(m.blocks);
    for (std::size_t at = m.indexed; at-- > 0;) {
      const bool owned = std::any_of(live_.begin(), live_.end(), [&](const auto& entry) {
        const std::vector<BlockId>& table = entry.second.blocks;
        return std::count(table.begin(), table.end(), blocks[at]) > 0;
      });
      if (!owned) cached_.push_back(blocks[at]);
    }
    m.indexed = 0;
    m.computed = 0;
  }

  // The block that is longest without an owner; nothing that goes on from it may be left on the device. It goes to host
  // memory, of which `coming` blocks are still held by what is on its way to the device.
  void evict(std::int64_t coming = 0) {
    RC_ASSERT(!cached_.empty());
    const BlockId block = cached_.front();
    cached_.pop_front();
    const auto entry = std::find_if(index_.begin(), index_.end(), [&](const auto& e) { return e.second == block; });
    RC_ASSERT(entry != index_.end());
    const Beginning gone = entry->first;
    index_.erase(entry);
    for (const auto& [beginning, other] : index_) RC_ASSERT(!goes_on(gone, beginning));
    const std::int64_t room = limits_.host_blocks - coming;
    if (std::ssize(host_) >= room) {
      if (host_.empty()) return;
      const Beginning oldest = host_.front();
      host_.pop_front();
      for (const Beginning& beginning : host_) RC_ASSERT(!goes_on(oldest, beginning));
    }
    host_.push_back(gone);
  }

  static bool goes_on(const Beginning& first, const Beginning& longer) {
    return longer.first == first.first && longer.second.size() > first.second.size() &&
           std::equal(first.second.begin(), first.second.end(), longer.second.begin());
  }

  void copy_kv(const std::vector<KvCopy>& copies) {
    for (const KvCopy& copy : copies) {
      RC_ASSERT(copy.device >= 0 && copy.device < limits_.kv_blocks);
      RC_ASSERT(copy.host >= 0 && copy.host < limits_.host_blocks);
      for (std::size_t at = 0; at < block_tokens_; ++at) {
        const std::size_t device = static_cast<std::size_t>(copy.device) * block_tokens_ + at;
        const std::size_t host = static_cast<std::size_t>(copy.host) * block_tokens_ + at;
        if (copy.to == KvCopy::To::kHost) {
          host_kv_[host] = kv_.at(device);
        } else {
          kv_[device] = host_kv_.at(host);
        }
      }
    }
  }

  void write_kv(const Modelled& m, std::size_t from, std::size_t to) {
    for (std::size_t at = from; at < to; ++at) kv_[place_of(m, at)] = m.beginning(at + 1);
  }
  [[nodiscard]] std::size_t place_of(const Modelled& m, std::size_t position) const {
    return static_cast<std::size_t>(m.blocks.at(position / block_tokens_)) * block_tokens_ + position % block_tokens_;
  }

  void check_slice(const StepSlice& slice) {
    Modelled& m = live_.at(slice.request);
    RC_ASSERT(m.in_flight == 0u);  // steps in flight are disjoint
    RC_ASSERT(!m.cancelled);
    RC_ASSERT(slice.first_position == static_cast<std::int64_t>(m.computed));
    RC_ASSERT(!slice.tokens.empty());
    RC_ASSERT(static_cast<std::int64_t>(slice.tokens.size()) <= limits_.prefill_chunk);
    const std::size_t end = m.computed + slice.tokens.size();
    RC_ASSERT(end <= m.tokens.size());
    RC_ASSERT(std::equal(slice.tokens.begin(), slice.tokens.end(),
                         m.tokens.begin() + static_cast<std::ptrdiff_t>(m.computed)));
    RC_ASSERT(slice.wants_logits == (end == m.tokens.size()));
    if (slice.is_decode) RC_ASSERT(slice.tokens.size() == 1u && end > m.prompt);
    const auto positions = static_cast<std::int64_t>(end);
    RC_ASSERT(static_cast<std::int64_t>(slice.blocks.size()) ==
              (positions + limits_.block_tokens - 1) / limits_.block_tokens);
    // What it attends to is what its own tokens make.
    for (std::size_t at = 0; at < m.computed; ++at) {
      const auto written = kv_.find(place_of(m, at));
      RC_ASSERT(written != kv_.end());
      RC_ASSERT(written->second == m.beginning(at + 1));
    }
    m.in_flight = slice.tokens.size();
    m.decodes = slice.is_decode;
    transcript_ << ' ' << slice.request << '@' << slice.first_position << '+'
                << slice.tokens.size();
    for (const BlockId block : slice.blocks) transcript_ << ',' << block;
  }

  // Nobody who waited before the step and still waits ranks before one who entered.
  void check_no_overtaking(const std::vector<std::pair<int, RequestId>>& entered,
                           const std::vector<RequestId>& preempted) {
    for (const auto& [id, m] : live_) {
      if (!m.blocks.empty() || std::count(preempted.begin(), preempted.end(), id) > 0) continue;
      for (const auto& rank : entered) RC_ASSERT(rank < m.rank(id));
    }
  }

  void expect_end(RequestId id, FinishReason reason) {
    const auto found = live_.find(id);
    give_up(found->second);
    const auto& tokens = found->second.tokens;
    expected_.push_back(
        {id,
         reason,
         {tokens.begin() + static_cast<std::ptrdiff_t>(found->second.prompt), tokens.end()}});
    ended_.push_back(tokens);
    live_.erase(found);
  }

  Limits limits_;
  Policy policy_;
  std::size_t block_tokens_;
  Scheduler scheduler_;
  RequestId next_id_ = 0;
  std::uint64_t last_step_ = 0;
  std::map<RequestId, Modelled> live_;
  std::set<RequestId> submitted_;  // and not ended
  std::deque<InFlight> steps_;
  std::deque<Finished> expected_;
  std::vector<std::vector<TokenId>> ended_;  // prompts and outputs
  std::map<Beginning, BlockId> index_;
  std::deque<BlockId> cached_;  // longest without an owner first
  std::deque<Beginning> host_;  // blocks in host memory, longest there first
  std::map<std::size_t, Beginning> kv_;  // by place: what was written last
  std::map<std::size_t, Beginning> host_kv_;
  std::int64_t query_tokens_ = 0;
  std::int64_t hit_tokens_ = 0;
  std::int64_t host_hit_tokens_ = 0;
  std::ostringstream transcript_;
};

}  // namespace

Outcome play(const Case& c) {
  Checker checker(c);
  for (const Event& e : c.events) {
    if (e.kind <= 1) checker.submit(e);
    if (e.kind == 2)
      checker.cancel(static_cast<RequestId>(e.prompt) % (checker.submitted_so_far() + 1));
    if ((e.kind == 3 || e.kind == 4) && checker.room() > 0) checker.plan();
    if (e.kind >= 5) checker.complete();
    checker.check_state();
  }
  // Each submitted request needs at most (prompt + output)² tokens even if it is recomputed before
  // each token.
  const std::size_t limit = 64 * 64 * (c.events.size() + 1);
  for (std::size_t i = 0; !checker.idle(); ++i) {
    RC_ASSERT(i < limit);
    while (checker.room() > 0 && checker.plan()) checker.check_state();
    checker.complete();
    checker.check_state();
  }
  checker.expect_all_ended();
  return {checker.transcript(), checker.snapshot()};
}

}  // namespace lindos::scheduler::model
