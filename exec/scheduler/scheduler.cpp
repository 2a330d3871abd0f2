// SPDX-License-Identifier: Apache-2.0
#include "exec/scheduler/scheduler.h"

#include <algorithm>
#include <deque>
#include <limits>
#include <optional>
#include <unordered_map>
#include <utility>

#include "exec/scheduler/block_pool.h"
#include "exec/scheduler/prefix_index.h"
#include "exec/scheduler/sequence.h"
#include "exec/scheduler/waiting_queue.h"
#include "scenarios/error.h"

namespace lindos::scheduler {

namespace {

constexpr std::int64_t kUnlimited = std::numeric_limits<std::int64_t>::max();

// REQUIRES: a >= 0, b > 0. Cannot overflow.
[[nodiscard]] std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return a / b + (a % b != 0 ? 1 : 0);
}

void require_between(std::int64_t low, std::int64_t value, std::int64_t high, const char* name) {
  if (low <= value && value <= high) return;
  throw Error(ErrorKind::kInput, std::string("engine limits: ") + name,
              "expected " + std::to_string(low) + " to " + std::to_string(high) + ", saw " +
                  std::to_string(value));
}

[[nodiscard]] const Limits& checked(const Limits& limits) {
  // 31 bits: block ids are that wide, and a product of two limits must fit into 64.
  constexpr std::int64_t kMost = std::numeric_limits<BlockId>::max();
  require_between(1, limits.max_batched_tokens, kMost, "max_batched_tokens");
  require_between(1, limits.max_sequences, kMost, "max_sequences");
  require_between(1, limits.prefill_chunk, kMost, "prefill_chunk");
  require_between(1, limits.block_tokens, kMost, "block_tokens");
  require_between(0, limits.kv_blocks, kMost, "kv_blocks");
  require_between(0, limits.watermark_blocks, kMost, "watermark_blocks");
  require_between(0, limits.max_waiting, kMost, "max_waiting");
  require_between(0, limits.lookahead, kMost, "lookahead");
  // Blocks of both are counted in one row.
  require_between(0, limits.host_blocks, limits.prefix_reuse ? kMost - limits.kv_blocks : 0, "host_blocks");
  return limits;
}

// A step while it is planned, with what may still join it.
struct Draft {
  Step step;
  std::int64_t tokens_left = 0;
  std::int64_t sequences_left = kUnlimited;
  std::int64_t prompt_share = kUnlimited;  // prompt tokens that keep the steps in flight alike
  std::int64_t prompt_tokens = 0;

  [[nodiscard]] bool open() const { return tokens_left > 0 && sequences_left > 0; }
  // True if the chunk brings the step's prompt work nearer to its share. The first prompt always
  // may: cutting it into parts would re-read the weights without filling any bubble, because one
  // request is in one step at a time.
  [[nodiscard]] bool welcomes_prompt(std::int64_t chunk) const {
    return prompt_tokens == 0 || chunk / 2 <= prompt_share - prompt_tokens;
  }
};

struct StepInFlight {
  std::uint64_t id = 0;
  std::vector<Sequence*> sequences;  // in slice order
};

}  // namespace

struct Scheduler::State {
  State(const Limits& given, Policy chosen)
      : limits(checked(given)), policy(chosen), pool(given.kv_blocks) {
    if (limits.prefix_reuse) prefix.emplace(limits.block_tokens, pool, limits.host_blocks);
  }

  const Limits limits;
  const Policy policy;
  BlockPool pool;
  std::optional<PrefixIndex> prefix;  // with prefix reuse
  std::unordered_map<RequestId, Sequence> sequences;  // all that have not ended; never iterated
  WaitingQueue waiting;
  std::vector<Sequence*> running;  // by rank; those that hold blocks
  std::deque<StepInFlight> in_flight;
  std::vector<Finished> finished;
  std::uint64_t arrivals = 0;
  std::uint64_t steps = 0;
  std::int64_t preemptions = 0;
  std::int64_t scheduled_tokens = 0;
  std::int64_t prefix_query_tokens = 0;
  std::int64_t prefix_hit_tokens = 0;
  std::int64_t host_hit_tokens = 0;
  std::vector<RequestId> plain_requests;  // of PlainDecodes
  std::vector<std::int64_t> plain_contexts;

  [[nodiscard]] std::int64_t blocks_for(std::int64_t positions) const {
    return ceil_div(positions, limits.block_tokens);
  }
  [[nodiscard]] std::int64_t chunk_of(const Sequence& s) const {
    return std::min(limits.prefill_chunk, s.pending());
  }
  // What it begins with: after the KV that is cached or comes along.
  [[nodiscard]] std::int64_t chunk_after(const PrefixMatch& match, const Sequence& s) const {
    const std::int64_t there = std::max(s.sent_tokens, std::ssize(match.blocks) * limits.block_tokens);
    return std::min(limits.prefill_chunk, s.length() - there);
  }
  [[nodiscard]] std::int64_t full_blocks(const Sequence& s) const { return s.computed / limits.block_tokens; }
  // Blocks that a request can get without anybody losing one.
  [[nodiscard]] std::int64_t available() const { return pool.free() + (prefix ? prefix->cached() : 0); }
  [[nodiscard]] PrefixMatch match(Sequence& s) const;
  void allocate(std::int64_t count, Sequence& s);
  void publish(Sequence& s);
  void release(Sequence& s);
  [[nodiscard]] std::int64_t promised_blocks() const;
  [[nodiscard]] std::int64_t needed_by(const Sequence& s, const PrefixMatch& match) const;
  [[nodiscard]] bool may_enter(std::int64_t needed, std::int64_t promised, std::int64_t entered) const;
  [[nodiscard]] Draft open_draft() const;
  void plan_decodes(Draft& draft);
  void plan_begun_prompts(Draft& draft);
  void plan_waiting(Draft& draft);
  [[nodiscard]] std::int64_t secure_blocks(std::size_t index, std::int64_t tokens,
                                           std::size_t& victims_end, Draft& draft);
  [[nodiscard]] bool preempt_after(std::size_t index, std::size_t& victims_end, Draft& draft);
  void enter(Sequence& s, const PrefixMatch& match);
  void add_slice(Sequence& s, std::int64_t tokens, Draft& draft);
  void advance(Sequence& s, const TokenId* sampled);
  void end(Sequence& s, FinishReason reason);
};

// What the index holds of a waiting request. Its last token is computed in any case: its logits are wanted.
PrefixMatch Scheduler::State::match(Sequence& s) const {
  if (!prefix || s.sent_tokens > 0) return {};
  return prefix->match(s.chain, s.tokens, static_cast<std::size_t>((s.length() - 1) / limits.block_tokens));
}

// REQUIRES: count <= available().
void Scheduler::State::allocate(std::int64_t count, Sequence& s) {
  if (prefix && count > pool.free()) prefix->evict(count - pool.free());
  const bool allocated = pool.allocate(count, s.blocks);
  LINDOS_ASSERT(allocated, "no more than the available blocks were asked for");
  static_cast<void>(allocated);
}

void Scheduler::State::publish(Sequence& s) {
  prefix->publish(s.chain, s.tokens, static_cast<std::size_t>(full_blocks(s)), s.blocks);
}

void Scheduler::State::release(Sequence& s) {
  if (!prefix) {
    pool.release(s.blocks);
    return;
  }
  publish(s);
  prefix->release(s.chain, s.blocks);
}

// Blocks that begun prompts still have to take. Waiting requests may not enter at their expense.
std::int64_t Scheduler::State::promised_blocks() const {
  std::int64_t promised = 0;
  for (const Sequence* s : running) {
    if (!s->decoding) promised += blocks_for(s->length()) - s->held_blocks();
  }
  return promised;
}

// Available blocks that the whole prompt of a waiting request takes. Those that others own cost none; those without an
// owner are available until it takes them, and what lies in host memory needs a block to come to.
std::int64_t Scheduler::State::needed_by(const Sequence& s, const PrefixMatch& match) const {
  return blocks_for(s.length()) - static_cast<std::int64_t>(match.owned);
}

// Whether a waiting request that needs so many blocks finds them and a slot when `entered` others
// enter before it. With nothing running the watermark does not bind, or a prompt nearly as large as
// the pool would wait for ever.
bool Scheduler::State::may_enter(std::int64_t needed, std::int64_t promised,
                                 std::int64_t entered) const {
  const std::int64_t active = static_cast<std::int64_t>(running.size()) + entered;
  const std::int64_t watermark = active == 0 ? 0 : limits.watermark_blocks;
  return active < limits.max_sequences &&
         needed <= available() - promised - watermark;
}

// Splits what is active evenly over the lookahead + 1 steps that fill a pipeline: sequences by
// count, prompts by tokens.
Draft Scheduler::State::open_draft() const {
  Draft draft;
  draft.tokens_left = limits.max_batched_tokens;
  if (limits.lookahead == 0) return draft;

  std::int64_t active = 0;
  std::int64_t prompt_work = 0;
  for (const Sequence* s : running) {
    ++active;
    if (!s->decoding) prompt_work += s->in_flight() ? s->in_flight_tokens : chunk_of(*s);
  }
  std::int64_t promised = promised_blocks();
  std::int64_t entered = 0;
  waiting.visit_in_order([&](Sequence& s) {
    const PrefixMatch found = match(s);
    const std::int64_t needed = needed_by(s, found);
    if (!may_enter(needed, promised, entered)) return false;
    promised += needed;
    prompt_work += chunk_after(found, s);
    ++entered;
    return true;
  });
  draft.sequences_left = ceil_div(active + entered, limits.lookahead + 1);
  draft.prompt_share = ceil_div(prompt_work, limits.lookahead + 1);
  return draft;
}

void Scheduler::State::plan_decodes(Draft& draft) {
  std::size_t victims_end = running.size();
  for (std::size_t i = 0; i < running.size() && draft.open(); ++i) {
    Sequence& s = *running[i];
    if (s.in_flight() || !s.decoding) continue;
    if (secure_blocks(i, 1, victims_end, draft) == 1) add_slice(s, 1, draft);
  }
}

void Scheduler::State::plan_begun_prompts(Draft& draft) {
  std::size_t victims_end = running.size();
  for (std::size_t i = 0; i < running.size() && draft.open(); ++i) {
    Sequence& s = *running[i];
    if (s.in_flight() || s.decoding) continue;
    const std::int64_t chunk = std::min(chunk_of(s), draft.tokens_left);
    if (!draft.welcomes_prompt(chunk)) break;
    const std::int64_t covered = secure_blocks(i, chunk, victims_end, draft);
    if (covered > 0) add_slice(s, covered, draft);
  }
}

// In rank order; the first that does not fit ends the round, so that nobody is overtaken for ever.
// A request preempted in this step does not come back in it. Without prefix reuse it could not: it needs at least the
// blocks it gave up, of which one is taken.
void Scheduler::State::plan_waiting(Draft& draft) {
  std::int64_t promised = promised_blocks();
  while (!waiting.empty() && draft.open()) {
    Sequence& s = waiting.front();
    if (std::ranges::find(draft.step.preempted, s.id) != draft.step.preempted.end()) return;
    const PrefixMatch found = match(s);
    const std::int64_t chunk = std::min(chunk_after(found, s), draft.tokens_left);
    if (!may_enter(needed_by(s, found), promised, 0) || !draft.welcomes_prompt(chunk)) return;
    waiting.pop_front();
    enter(s, found);
    allocate(blocks_for(s.computed + chunk) - s.held_blocks(), s);
    promised += blocks_for(s.length()) - s.held_blocks();
    running.insert(std::upper_bound(running.begin(), running.end(), &s, ranks_before), &s);
    add_slice(s, chunk, draft);
  }
}

// Begins after what is cached, or decodes at once where the prompt's KV comes along.
void Scheduler::State::enter(Sequence& s, const PrefixMatch& match) {
  if (s.sent_tokens > 0) {
    s.computed = std::exchange(s.sent_tokens, 0);
    s.decoding = true;
    return;
  }
  if (!prefix) return;
  prefix->take(s.chain, match, s.blocks);
  s.computed = s.held_blocks() * limits.block_tokens;
  // One that was preempted finds what it computed itself, which says nothing about how alike the prompts are.
  if (!std::exchange(s.entered, true)) {
    prefix_query_tokens += s.prompt_tokens;
    prefix_hit_tokens += s.computed;
    host_hit_tokens += static_cast<std::int64_t>(match.on_host) * limits.block_tokens;
  }
}

// Grows the page table of running[index] to `tokens` more positions, preempting later ranked
// requests where the pool is short. Returns how many of the positions are covered then.
std::int64_t Scheduler::State::secure_blocks(std::size_t index, std::int64_t tokens,
                                             std::size_t& victims_end, Draft& draft) {
  Sequence& s = *running[index];
  const std::int64_t needed = blocks_for(s.computed + tokens) - s.held_blocks();
  if (needed > 0) {
    while (available() < needed && preempt_after(index, victims_end, draft)) continue;
    allocate(std::min(needed, available()), s);
  }
  return std::min(tokens, s.held_blocks() * limits.block_tokens - s.computed);
}

// Preempts the last ranked request after running[index] that is not in flight; false if there is
// none. `victims_end` remembers that all from there on are in flight, which keeps a step linear in
// `running`.
bool Scheduler::State::preempt_after(std::size_t index, std::size_t& victims_end, Draft& draft) {
  while (victims_end > index + 1) {
    --victims_end;
    Sequence& victim = *running[victims_end];
    if (victim.in_flight()) continue;
    running.erase(running.begin() + static_cast<std::ptrdiff_t>(victims_end));
    release(victim);
    victim.computed = 0;
    victim.decoding = false;
    waiting.insert(victim);
    ++preemptions;
    draft.step.preempted.push_back(victim.id);
    return true;
  }
  return false;
}

void Scheduler::State::add_slice(Sequence& s, std::int64_t tokens, Draft& draft) {
  StepSlice slice;
  slice.request = s.id;
  slice.first_position = s.computed;
  slice.tokens = std::span(s.tokens).subspan(static_cast<std::size_t>(s.computed),
                                             static_cast<std::size_t>(tokens));
  slice.wants_logits = tokens == s.pending();
  slice.is_decode = s.decoding;
  slice.blocks = s.blocks;
  draft.step.slices.push_back(slice);
  draft.tokens_left -= tokens;
  --draft.sequences_left;
  if (!s.decoding) draft.prompt_tokens += tokens;
  s.in_flight_tokens = tokens;
}

// Books the completed slice of `s`; `sampled` is null where the slice wanted no logits.
void Scheduler::State::advance(Sequence& s, const TokenId* sampled) {
  s.computed += s.in_flight_tokens;
  s.in_flight_tokens = 0;
  if (s.cancelled) {
    end(s, FinishReason::kCancelled);
    return;
  }
  if (prefix && !s.decoding) publish(s);
  if (sampled == nullptr) return;
  s.decoding = true;
  s.tokens.push_back(*sampled);
  if (std::find(s.stop_tokens.begin(), s.stop_tokens.end(), *sampled) != s.stop_tokens.end()) {
    end(s, FinishReason::kStop);
  } else if (static_cast<std::int64_t>(s.output().size()) == s.max_new_tokens) {
    end(s, FinishReason::kLength);
  }
}

// The caller takes `s` off its list and out of `sequences`.
void Scheduler::State::end(Sequence& s, FinishReason reason) {
  release(s);
  s.ended = true;
  const auto output = s.output();
  finished.push_back({s.id, reason, {output.begin(), output.end()}});
}

Scheduler::Scheduler(const Limits& limits, Policy policy)
    : state_(std::make_unique<State>(limits, policy)) {}

Scheduler::~Scheduler() = default;

Admission Scheduler::submit(const Request& request) {
  State& state = *state_;
  const auto prompt = static_cast<std::int64_t>(request.prompt.size());
  if (prompt == 0) return Rejected{"the prompt is empty", 1, 0};
  if (request.max_new_tokens < 1) {
    return Rejected{
        "max_new_tokens is " + std::to_string(request.max_new_tokens) + ", at least 1 is needed", 1,
        request.max_new_tokens};
  }
  if (state.sequences.contains(request.id)) {
    return Rejected{"request " + std::to_string(request.id) + " has not ended yet", 1, 0};
  }
  if (request.kv_tokens != 0 && request.kv_tokens != prompt - 1) {
    return Rejected{"KV of " + std::to_string(request.kv_tokens) +
                        " tokens comes along, of all but the last it would be " + std::to_string(prompt - 1),
                    prompt - 1, request.kv_tokens};
  }
  // The last token is sampled but never fed back, so its KV needs no room.
  const std::int64_t positions = prompt + std::min(request.max_new_tokens - 1, kUnlimited - prompt);
  const std::int64_t needed = state.blocks_for(positions);
  if (needed > state.pool.total()) {
    return Rejected{"needs " + std::to_string(needed) + " KV blocks, the pool has " +
                        std::to_string(state.pool.total()),
                    needed, state.pool.total()};
  }
  const auto queued = static_cast<std::int64_t>(state.waiting.size());
  if (queued >= state.limits.max_waiting) {
    return Rejected{"the queue is full: " + std::to_string(queued) + " requests wait", queued + 1,
                    state.limits.max_waiting};
  }

  Sequence& s = state.sequences[request.id];
  s.id = request.id;
  s.priority = request.priority;
  s.chain.salt = request.cache_salt;
  s.arrival = state.arrivals++;
  s.tokens = request.prompt;
  s.prompt_tokens = prompt;
  s.max_new_tokens = request.max_new_tokens;
  s.stop_tokens = request.stop_tokens;
  s.sent_tokens = request.kv_tokens;
  const Queued answer{state.waiting.ahead_of_newcomer(s.priority)};
  state.waiting.insert(s);
  return answer;
}

void Scheduler::cancel(RequestId id) {
  State& state = *state_;
  const auto found = state.sequences.find(id);
  if (found == state.sequences.end()) return;
  Sequence& s = found->second;
  if (s.in_flight()) {
    s.cancelled = true;
    return;
  }
  const auto place = std::lower_bound(state.running.begin(), state.running.end(), &s, ranks_before);
  if (place != state.running.end() && *place == &s) {
    state.running.erase(place);
  } else {
    state.waiting.erase(s);
  }
  state.end(s, FinishReason::kCancelled);
  state.sequences.erase(found);
}

Step Scheduler::plan() {
  State& state = *state_;
  Draft draft = state.open_draft();
  if (state.policy == Policy::kDecodeFirst) {
    state.plan_decodes(draft);
    state.plan_begun_prompts(draft);
    state.plan_waiting(draft);
  } else {
    state.plan_begun_prompts(draft);
    state.plan_waiting(draft);
    state.plan_decodes(draft);
    // The runner makes one decode and one prefill attention call; it wants the decodes in front.
    std::stable_partition(draft.step.slices.begin(), draft.step.slices.end(),
                          [](const StepSlice& slice) { return slice.is_decode; });
  }

  Step step = std::move(draft.step);
  // Blocks that a victim shared with a request in flight stay used.
  LINDOS_ASSERT(step.preempted.empty() || !step.empty() || (state.prefix && !state.in_flight.empty()),
                "a preemption frees blocks for somebody");
  if (step.empty()) return step;
  if (state.prefix) step.copies = state.prefix->take_copies();
  step.id = ++state.steps;
  state.scheduled_tokens += step.tokens();
  StepInFlight& entry = state.in_flight.emplace_back();
  entry.id = step.id;
  entry.sequences.reserve(step.slices.size());
  for (const StepSlice& slice : step.slices)
    entry.sequences.push_back(&state.sequences.at(slice.request));
  return step;
}

void Scheduler::complete(const StepResult& result) {
  State& state = *state_;
  const auto reject = [&result](const std::string& expectation) {
    throw Error(ErrorKind::kEnvironment, "result of step " + std::to_string(result.step),
                expectation);
  };
  if (state.in_flight.empty()) reject("no step is in flight");
  const StepInFlight& step = state.in_flight.front();
  if (step.id != result.step)
    reject("expected step " + std::to_string(step.id) + ", the oldest in flight");
  const auto wanting =
      std::count_if(step.sequences.begin(), step.sequences.end(),
                    [](const Sequence* s) { return s->in_flight_tokens == s->pending(); });
  if (static_cast<std::size_t>(wanting) != result.sampled.size()) {
    reject("expected " + std::to_string(wanting) + " sampled tokens, saw " +
           std::to_string(result.sampled.size()));
  }

  const TokenId* sampled = result.sampled.data();
  bool any_ended = false;
  for (Sequence* s : step.sequences) {
    const bool wants_logits = s->in_flight_tokens == s->pending();
    state.advance(*s, wants_logits ? sampled++ : nullptr);
    any_ended = any_ended || s->ended;
  }
  if (any_ended) {
    std::erase_if(state.running, [](const Sequence* s) { return s->ended; });
    for (const Sequence* s : step.sequences) {
      if (s->ended) state.sequences.erase(RequestId{s->id});
    }
  }
  state.in_flight.pop_front();
}

PlainDecodes Scheduler::plain_decodes() {
  State& state = *state_;
  const auto active = static_cast<std::int64_t>(state.running.size());
  if (!state.in_flight.empty() || state.limits.lookahead > 0 || active == 0 ||
      active > state.limits.max_batched_tokens) {
    return {};
  }
  std::int64_t steps = kUnlimited;
  state.plain_requests.clear();
  state.plain_contexts.clear();
  for (const Sequence* s : state.running) {
    if (!s->decoding || !s->stop_tokens.empty()) return {};
    steps = std::min(steps, s->max_new_tokens - static_cast<std::int64_t>(s->output().size()));
    state.plain_requests.push_back(s->id);
    state.plain_contexts.push_back(s->computed);
  }
  // Decodes only take blocks and make none shareable, so that who may not enter now may not until somebody ends. Prompts that come first find
  // the whole budget.
  const bool has_budget = state.policy == Policy::kPrefillFirst || active < state.limits.max_batched_tokens;
  if (!state.waiting.empty() && has_budget) {
    Sequence& first = state.waiting.front();
    if (state.may_enter(state.needed_by(first, state.match(first)), 0, 0)) return {};
  }
  // Each takes at most one block per block_tokens steps, and one for the step at hand. Where evicting is a copy, that
  // belongs to the step that needs the block.
  const std::int64_t there = state.limits.host_blocks > 0 ? state.pool.free() : state.available();
  const std::int64_t blocks_each = there / active;
  steps = std::min(steps, (blocks_each - 1) * state.limits.block_tokens);
  if (steps < 1) return {};
  return {steps, state.plain_requests, state.plain_contexts};
}

void Scheduler::advance(std::int64_t steps) {
  State& state = *state_;
  // All blocks are taken before the first request ends: what it gives up comes too late to spare a cached one.
  for (Sequence* s : state.running) {
    const std::int64_t needed = state.blocks_for(s->computed + steps) - s->held_blocks();
    if (needed > 0) state.allocate(needed, *s);
  }
  bool any_ended = false;
  for (Sequence* s : state.running) {
    s->computed += steps;
    s->tokens.insert(s->tokens.end(), static_cast<std::size_t>(steps), TokenId{0});
    if (static_cast<std::int64_t>(s->output().size()) == s->max_new_tokens) state.end(*s, FinishReason::kLength);
    any_ended = any_ended || s->ended;
  }
  state.steps += static_cast<std::uint64_t>(steps);
  state.scheduled_tokens += steps * static_cast<std::int64_t>(state.running.size());
  if (!any_ended) return;
  std::vector<RequestId> ended;
  for (const Sequence* s : state.running) {
    if (s->ended) ended.push_back(s->id);
  }
  std::erase_if(state.running, [](const Sequence* s) { return s->ended; });
  for (const RequestId id : ended) state.sequences.erase(id);
}

std::vector<Finished> Scheduler::take_finished() { return std::exchange(state_->finished, {}); }

Snapshot Scheduler::snapshot() const {
  const State& state = *state_;
  Snapshot snapshot;
  snapshot.running = static_cast<std::int64_t>(state.running.size());
  snapshot.waiting = static_cast<std::int64_t>(state.waiting.size());
  snapshot.in_flight_steps = static_cast<std::int64_t>(state.in_flight.size());
  snapshot.blocks_cached = state.prefix ? state.prefix->cached() : 0;
  snapshot.blocks_used = state.pool.used() - snapshot.blocks_cached;
  snapshot.blocks_on_host = state.prefix ? state.prefix->on_host() : 0;
  snapshot.blocks_free = state.pool.free();
  snapshot.blocks_total = state.pool.total();
  snapshot.preemptions = state.preemptions;
  snapshot.scheduled_tokens = state.scheduled_tokens;
  snapshot.prefix_query_tokens = state.prefix_query_tokens;
  snapshot.prefix_hit_tokens = state.prefix_hit_tokens;
  snapshot.host_hit_tokens = state.host_hit_tokens;
  return snapshot;
}

bool Scheduler::idle() const { return state_->sequences.empty() && state_->in_flight.empty(); }

}  // namespace lindos::scheduler
