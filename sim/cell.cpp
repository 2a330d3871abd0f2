// SPDX-License-Identifier: Apache-2.0
#include "sim/cell.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>
#include <optional>
#include <queue>
#include <unordered_map>
#include <utility>

#include "exec/scheduler/admission.h"
#include "exec/scheduler/router.h"
#include "sim/watched_replica.h"

namespace lindos::sim {

namespace {

constexpr Seconds kEnd{std::numeric_limits<double>::infinity()};

// Routes over the replicas of some groups.
class Pool {
 public:
  Pool(const Scenario& scenario, std::vector<std::size_t> groups, const std::vector<ServingGroup>& models,
       const Cell& cell, const std::vector<std::size_t>& first, std::vector<WatchedReplica>& replicas)
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
  std::vector<WatchedReplica>& replicas_;
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

class CellServing {
 public:
  CellServing(std::vector<ServingGroup>& groups, const Scenario& scenario, const Cell& cell,
              const std::vector<Draw>* draws, const std::function<bool()>& cancelled)
      : groups_(groups), cell_(cell), draws_(draws) {
    if (scenario.plan.admission.any())
      admission_.emplace(scenario.plan.admission, scenario.workload.serving.tenants, cell.share);
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
    const bool closed_loop = !cell_.requests.empty() && cell_.requests.back().on_completion;
    if (closed_loop && (admission_ || decode_)) {
      serve_clients();
    } else {
      serve_arrivals();
    }
    for (WatchedReplica& replica : replicas_) run_.replicas.push_back(replica.finish());
    return std::move(run_);
  }

 private:
  // Arrivals that wait for no ending, or for those of their own replica alone, which then counts them itself.
  void serve_arrivals() {
    std::vector<std::size_t> clients;  // of a closed loop: replica of each
    std::size_t answered = 0;
    for (const RequestSpec& request : cell_.requests) {
      if (request.on_completion) {
        replicas_[clients[answered++ % clients.size()]].add(request);
        continue;
      }
      hand_over(request.arrival);
      std::optional<std::size_t> chosen;
      const auto route = [&] { return *(chosen = entry_->route(request, request.arrival)); };
      if (!admits(request, request.arrival, route)) {
        replicas_[chosen.value_or(0)].turn_away(request);
        continue;
      }
      const std::size_t replica = chosen ? *chosen : route();
      clients.push_back(replica);
      send(request, replica);
    }
    hand_over(kEnd);
  }

  // A closed loop whose clients wait for more than the endings of their own replica: all replicas go on side by side, so
  // that endings are met in order of time. The one that is furthest behind runs as far as the next one has come: nothing
  // that is still to start can end before that.
  void serve_clients() {
    std::vector<std::size_t> clients;  // replica of each, which is the one of its prompts
    std::vector<std::size_t> refused;  // replicas of those who ask again at once
    std::size_t answered = 0;
    coming_.resize(replicas_.size());
    for (const RequestSpec& request : cell_.requests) {
      if (request.on_completion) {
        coming_[clients[answered++ % clients.size()]].push_back(request);
        continue;
      }
      clients.push_back(entry_->route(request, request.arrival));
      if (!ask(request, clients.back())) refused.push_back(clients.back());
    }
    for (const std::size_t replica : refused) ask_next(replica, Seconds(0), false);
    for (;;) {
      auto [behind, start, next] = furthest_behind();
      if (!ended_.empty() && ended_.top().at <= start) {
        const Ended ended = ended_.top();
        ended_.pop();
        end(ended);
        continue;
      }
      if (start == kEnd) return;
      if (!ended_.empty()) next = std::min(next, ended_.top().at);
      // Of two that have come equally far one starts a step.
      replicas_[behind].run_to_ending(std::max(next, Seconds(std::nextafter(start.count(), kEnd.count()))));
      for (const scheduler::ServingLoop::Ending& ending : replicas_[behind].take_endings())
        ended_.push({ending.at, behind, replicas_[behind].request(ending.request).id});
    }
  }

  struct Behind {
    std::size_t replica = 0;
    Seconds start{0};  // of its next step
    Seconds next{0};   // of the replica after it
  };
  [[nodiscard]] Behind furthest_behind() {
    Behind behind{0, kEnd, kEnd};
    for (std::size_t r = 0; r < replicas_.size(); ++r) {
      const Seconds start = replicas_[r].next_start();
      if (start < behind.start) {
        behind = {r, start, behind.start};
      } else {
        behind.next = std::min(behind.next, start);
      }
    }
    return behind;
  }

  // The end of a prompt that is decoded elsewhere, or of a request.
  struct Ended {
    Seconds at{0};
    std::size_t replica = 0;
    std::uint64_t request = 0;
    bool operator>(const Ended& other) const {
      return at > other.at || (at == other.at && request > other.request);
    }
  };
  void end(const Ended& ended) {
    const auto asked = asked_.find(ended.request);
    if (asked != asked_.end() && prefills(ended.replica)) {
      const Ready ready{ended.at, ended.replica, asked->second};
      asked_.erase(asked);
      hand_on(ready);
      return;
    }
    const auto home = home_.find(ended.request);
    const std::size_t replica = home->second;
    home_.erase(home);
    ask_next(replica, ended.at, !decode_);
  }

  // The next request of a client whose last one was answered at `now`; one that is turned away is followed by the next.
  // `waited`: for an ending of its replica, as a finer rung will let it.
  void ask_next(std::size_t replica, Seconds now, bool waited) {
    while (!coming_[replica].empty()) {
      RequestSpec request = std::move(coming_[replica].front());
      coming_[replica].pop_front();
      request.arrival = now;
      request.on_completion = waited;
      if (ask(request, replica)) return;
    }
  }

  // False for a request that is turned away.
  bool ask(const RequestSpec& request, std::size_t replica) {
    if (!admits(request, request.arrival, [&] { return replica; })) {
      replicas_[replica].turn_away(request);
      return false;
    }
    home_.emplace(request.id, replica);
    send(request, replica);
    return true;
  }

  // `replica`: the one that the request goes to, asked for when a bound depends on it.
  [[nodiscard]] bool admits(const RequestSpec& request, Seconds now, const std::function<std::size_t()>& replica) {
    return !admission_ || admission_->admits(request, now, [&] {
      scheduler::AdmissionControl::Unfinished unfinished;
      unfinished.replica = replicas_[replica()].unfinished(now);
      for (WatchedReplica& each : replicas_) unfinished.router += each.unfinished(now);
      return unfinished;
    });
  }

  void send(const RequestSpec& request, std::size_t replica) {
    RequestSpec part = request;
    if (prefills(replica)) {
      part.output_tokens = 1;
      if (request.output_tokens > 1) asked_.emplace(request.id, request);
    }
    replicas_[replica].add_arrived(part);
  }

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
      hand_on(ready);
    }
  }

  void hand_on(const Ready& ready) {
    const std::size_t to = decode_->route(ready.request, ready.at);
    // One prompt at a time leaves a sender and reaches a receiver.
    const Seconds begin = std::max({ready.at, sender_free_[ready.from], receiver_free_[to]});
    const Seconds arrived = begin + transfer_time(group_of_[ready.from], group_of_[to], ready.request.prompt_tokens);
    sender_free_[ready.from] = arrived;
    receiver_free_[to] = arrived;
    replicas_[to].add(rest_of(ready.request, arrived));
    run_.handovers.push_back({ready.request, {ready.from, to, ready.request.prompt_tokens, ready.at, arrived}});
  }

  std::vector<ServingGroup>& groups_;
  const Cell& cell_;
  const std::vector<Draw>* draws_;
  const Draw centre_;
  std::vector<std::size_t> group_of_;  // [replica]
  std::vector<WatchedReplica> replicas_;
  std::optional<Pool> entry_;
  std::optional<Pool> decode_;
  std::unordered_map<std::uint64_t, RequestSpec> asked_;  // of the prompts under way
  std::priority_queue<Ready, std::vector<Ready>, std::greater<>> ready_;
  std::vector<Seconds> sender_free_, receiver_free_;  // [replica]
  std::optional<scheduler::AdmissionControl> admission_;
  // Of a closed loop whose clients are served side by side:
  std::vector<std::deque<RequestSpec>> coming_;            // [replica], of its clients
  std::unordered_map<std::uint64_t, std::size_t> home_;    // of unfinished requests: the replica of the client
  std::priority_queue<Ended, std::vector<Ended>, std::greater<>> ended_;
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
      join(t, found->second->request, found->second->kv.ready);
    }
  }
}

}  // namespace lindos::sim
