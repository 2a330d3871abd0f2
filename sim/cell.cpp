// SPDX-License-Identifier: Apache-2.0
#include "sim/cell.h"

#include <algorithm>
#include <deque>
#include <limits>
#include <queue>
#include <unordered_map>
#include <utility>

#include "exec/scheduler/router.h"
#include "sim/maxplus.h"

namespace lindos::sim {

namespace {

constexpr Seconds kEnd{std::numeric_limits<double>::infinity()};

// A replica as the router sees it.
class Watched {
 public:
  Watched(std::size_t group, ServingGroup& model, const Draw& draw, const std::function<bool()>& cancelled)
      : group_(group), served_(model.replica, model.limits, draw, cancelled) {}

  void add(const RequestSpec& request) {
    served_.loop().add(request);
    ++unfinished_;
    requests_.push_back(request);
  }
  // Starts all that starts before `until`; what that ends, maybe later, is left to take_endings.
  void run(Seconds until) {
    served_.loop().run(until);
    for (const scheduler::ServingLoop::Ending& ending : served_.loop().take_endings()) {
      not_known_.push_back(ending.at);
      endings_.push_back(ending);
    }
  }
  [[nodiscard]] std::vector<scheduler::ServingLoop::Ending> take_endings() { return std::exchange(endings_, {}); }
  // As is known at `now`.
  [[nodiscard]] std::int64_t unfinished(Seconds now) {
    run(now);
    while (!not_known_.empty() && not_known_.front() <= now) {
      not_known_.pop_front();
      --unfinished_;
    }
    return unfinished_;
  }
  [[nodiscard]] const RequestSpec& request(std::size_t i) const { return requests_[i]; }
  [[nodiscard]] CellReplica finish() {
    CellReplica out;
    out.group = group_;
    if (!requests_.empty()) {
      run(kEnd);
      out.run = served_.close();
    }
    out.requests = std::move(requests_);
    return out;
  }

 private:
  std::size_t group_;
  MaxplusReplica served_;
  std::vector<scheduler::ServingLoop::Ending> endings_;
  std::deque<Seconds> not_known_;  // endings that the router does not know of yet
  std::int64_t unfinished_ = 0;
  std::vector<RequestSpec> requests_;
};

// Routes over the replicas of some groups.
class Pool {
 public:
  Pool(const Scenario& scenario, std::vector<std::size_t> groups, const std::vector<ServingGroup>& models,
       const Cell& cell, const std::vector<std::size_t>& first, std::vector<Watched>& replicas)
      : router_(scenario.plan.routing, classes(groups, models, cell), scenario.workload.seed), replicas_(replicas) {
    for (const std::size_t g : groups) first_.push_back(first[g]);
  }
  // The replica for a request at `now`.
  [[nodiscard]] std::size_t route(const RequestSpec& request, Seconds now) {
    return index(router_.route(
        request, [&](const scheduler::Target& t) { return replicas_[index(t)].unfinished(now); }));
  }

 private:
  static std::vector<scheduler::ReplicaClass> classes(const std::vector<std::size_t>& groups,
                                                      const std::vector<ServingGroup>& models, const Cell& cell) {
    std::vector<scheduler::ReplicaClass> out;
    for (const std::size_t g : groups) out.push_back({models[g].plan.routing_weight, cell.replicas[g]});
    return out;
  }
  [[nodiscard]] std::size_t index(const scheduler::Target& t) const {
    return first_[t.group] + static_cast<std::size_t>(t.replica);
  }
  scheduler::Router router_;
  std::vector<std::size_t> first_;  // [class], index of its first replica
  std::vector<Watched>& replicas_;
};

// A prompt whose KV is ready to go, and not routed on yet.
struct Ready {
  Seconds at{0};
  std::size_t from = 0;
  RequestSpec request;  // as it was asked
  bool operator>(const Ready& other) const {
    return at > other.at || (at == other.at && request.id > other.request.id);
  }
};

// What the decoding replica is asked: the prompt and its first token, whose KV but the last comes along.
RequestSpec rest_of(const RequestSpec& asked, Seconds kv_arrival) {
  RequestSpec rest = asked;
  rest.arrival = kv_arrival;
  rest.prompt_tokens = asked.prompt_tokens + 1;
  rest.output_tokens = asked.output_tokens - 1;
  rest.kv_tokens = asked.prompt_tokens;
  return rest;
}

class CellServing {
 public:
  CellServing(std::vector<ServingGroup>& groups, const Scenario& scenario, const Cell& cell,
              const std::vector<Draw>* draws, const std::function<bool()>& cancelled)
      : groups_(groups), cell_(cell), draws_(draws) {
    std::vector<std::size_t> first;  // [group]
    std::vector<std::size_t> entry;
    std::vector<std::size_t> decode;
    for (std::size_t g = 0; g < groups.size(); ++g) {
      first.push_back(group_of_.size());
      group_of_.insert(group_of_.end(), static_cast<std::size_t>(cell.replicas[g]), g);
      (groups[g].plan.role == Role::kDecode ? decode : entry).push_back(g);
    }
    for (const std::size_t g : group_of_)
      replicas_.emplace_back(g, groups[g], draws == nullptr ? centre_ : (*draws)[g], cancelled);
    entry_.emplace(scenario, std::move(entry), groups, cell, first, replicas_);
    if (!decode.empty()) decode_.emplace(scenario, std::move(decode), groups, cell, first, replicas_);
    sender_free_.assign(replicas_.size(), Seconds(0));
    receiver_free_.assign(replicas_.size(), Seconds(0));
  }

  CellRun run() {
    std::vector<std::size_t> clients;  // of a closed loop: replica of each
    std::size_t answered = 0;
    for (const RequestSpec& request : cell_.requests) {
      if (request.on_completion) {
        replicas_[clients[answered++ % clients.size()]].add(request);
        continue;
      }
      hand_over(request.arrival);
      const std::size_t replica = entry_->route(request, request.arrival);
      clients.push_back(replica);
      RequestSpec part = request;
      if (prefills(replica)) {
        part.output_tokens = 1;
        if (request.output_tokens > 1) asked_.emplace(request.id, request);
      }
      replicas_[replica].add(part);
    }
    hand_over(kEnd);
    for (Watched& replica : replicas_) run_.replicas.push_back(replica.finish());
    return std::move(run_);
  }

 private:
  [[nodiscard]] bool prefills(std::size_t replica) const {
    return groups_[group_of_[replica]].plan.role == Role::kPrefill;
  }

  // A draw that finds messages slower than the centre finds so of these as well; between two groups, of the slower one.
  [[nodiscard]] Seconds transfer_time(std::size_t from, std::size_t to, std::int64_t tokens) const {
    const Seconds centre = kv_path(groups_[from], groups_[to]).time(tokens);
    if (draws_ == nullptr) return centre;
    const auto factor = [&](std::size_t g) {
      return (*draws_)[g].factor(groups_[g].replica.ranks(0).front().device, Family::kCollective);
    };
    return centre * std::max(factor(from), factor(to));
  }

  // Routes on, in order of time, every prompt that is ready at `now`.
  void hand_over(Seconds now) {
    if (!decode_) return;
    for (std::size_t r = 0; r < replicas_.size(); ++r) {
      if (!prefills(r)) continue;
      replicas_[r].run(now);
      for (const scheduler::ServingLoop::Ending& ending : replicas_[r].take_endings()) {
        const auto asked = asked_.find(replicas_[r].request(ending.request).id);
        if (asked == asked_.end()) continue;  // of one token: done
        ready_.push({ending.at, r, asked->second});
        asked_.erase(asked);
      }
    }
    while (!ready_.empty() && ready_.top().at <= now) {
      const Ready ready = ready_.top();
      ready_.pop();
      const std::size_t to = decode_->route(ready.request, ready.at);
      // One prompt at a time leaves a sender and reaches a receiver.
      const Seconds begin = std::max({ready.at, sender_free_[ready.from], receiver_free_[to]});
      const Seconds arrived = begin + transfer_time(group_of_[ready.from], group_of_[to], ready.request.prompt_tokens);
      sender_free_[ready.from] = arrived;
      receiver_free_[to] = arrived;
      replicas_[to].add(rest_of(ready.request, arrived));
      run_.handovers.push_back(
          {ready.request, {ready.from, to, ready.request.prompt_tokens, ready.at, arrived}});
    }
  }

  std::vector<ServingGroup>& groups_;
  const Cell& cell_;
  const std::vector<Draw>* draws_;
  const Draw centre_;
  std::vector<std::size_t> group_of_;  // [replica]
  std::vector<Watched> replicas_;
  std::optional<Pool> entry_;
  std::optional<Pool> decode_;
  std::unordered_map<std::uint64_t, RequestSpec> asked_;  // of the prompts under way
  std::priority_queue<Ready, std::vector<Ready>, std::greater<>> ready_;
  std::vector<Seconds> sender_free_, receiver_free_;  // [replica]
  CellRun run_;
};

}  // namespace

CellRun serve_cell(std::vector<ServingGroup>& groups, const Scenario& scenario, const Cell& cell,
                   const std::vector<Draw>* draws, const std::function<bool()>& cancelled) {
  return CellServing(groups, scenario, cell, draws, cancelled).run();
}

void time_cell(std::vector<ServingGroup>& groups, const Scenario& scenario, CellRun& run,
               const std::function<ServingRun(ServingGroup&, const std::vector<RequestSpec>&)>& serve,
               const std::function<bool()>& cancelled) {
  const auto decodes = [&](const CellReplica& replica) {
    return groups[replica.group].plan.role == Role::kDecode;
  };
  const auto time = [&](CellReplica& replica) { replica.run = serve(groups[replica.group], replica.requests); };
  std::vector<std::size_t> group_of;
  for (CellReplica& replica : run.replicas) {
    group_of.push_back(replica.group);
    if (!decodes(replica)) time(replica);
  }
  if (run.handovers.empty()) return;
  std::unordered_map<std::uint64_t, Seconds> first_token;
  for (const CellReplica& replica : run.replicas) {
    if (decodes(replica)) continue;
    for (const RequestTimeline& t : replica.run.timelines) first_token[t.id] = t.token_times.front();
  }
  std::vector<KvTransfer> transfers;
  for (const CellRun::Handover& handover : run.handovers) {
    transfers.push_back(handover.kv);
    transfers.back().ready = first_token.at(handover.request.id);
  }
  time_transfers(groups, group_of, scenario.cluster.fabric, transfers, cancelled);
  for (CellReplica& replica : run.replicas) {
    if (decodes(replica)) replica.requests.clear();
  }
  for (std::size_t h = 0; h < transfers.size(); ++h) {
    run.handovers[h].kv = transfers[h];
    run.replicas[transfers[h].to].requests.push_back(rest_of(run.handovers[h].request, transfers[h].arrived));
  }
  for (CellReplica& replica : run.replicas) {
    if (!decodes(replica)) continue;
    std::sort(replica.requests.begin(), replica.requests.end(), [](const RequestSpec& a, const RequestSpec& b) {
      return a.arrival < b.arrival || (a.arrival == b.arrival && a.id < b.id);
    });
    time(replica);
  }
}

void join_handovers(CellRun& run) {
  std::unordered_map<std::uint64_t, const CellRun::Handover*> by_id;
  for (const CellRun::Handover& handover : run.handovers) by_id.emplace(handover.request.id, &handover);
  for (std::size_t r = 0; r < run.replicas.size(); ++r) {
    std::vector<RequestTimeline>& timelines = run.replicas[r].run.timelines;
    std::erase_if(timelines, [&](const RequestTimeline& t) {
      const auto found = by_id.find(t.id);
      return found != by_id.end() && found->second->kv.from == r;
    });
    for (RequestTimeline& t : timelines) {
      const auto found = by_id.find(t.id);
      if (found == by_id.end()) continue;
      t.arrival = found->second->request.arrival;
      t.prompt_tokens = found->second->request.prompt_tokens;
      t.token_times.insert(t.token_times.begin(), found->second->kv.ready);
    }
  }
}

}  // namespace lindos::sim
