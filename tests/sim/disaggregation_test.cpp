// SPDX-License-Identifier: Apache-2.0
// Prefill and decode on replicas of their own, KV on its way between them.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "scenarios/balance.h"
#include "scenarios/error.h"
#include "scenarios/ops.h"
#include "scenarios/request_stream.h"
#include "sim/cell.h"
#include "sim/datasheet.h"
#include "sim/fleet.h"
#include "sim/maxplus.h"
#include "sim/predict.h"
#include "tests/sim/toy_profile.h"

namespace lindos::sim {
namespace {

std::map<std::string, Profile> profiles() {
  Profile profile = datasheet_profile(toy::gpu_device());
  profile.matrix_rate = FlopPerSecond(10e12);
  profile.matrix_rates.clear();
  profile.step_overhead = Seconds(20e-6);
  return {{"toy-gpu", profile}};
}

// Replicas of two GPUs, a node each, with NICs of 10 GB/s.
Scenario apart(std::int64_t prefill, std::int64_t decode) {
  Scenario scenario;
  scenario.name = "apart";
  scenario.model = toy::model();
  scenario.devices["toy-gpu"] = toy::gpu_device();
  Pool pool;
  pool.name = "pool";
  pool.node.name = "node";
  pool.node.device = "toy-gpu";
  pool.node.devices = 2;
  pool.nodes = prefill + decode;
  scenario.cluster.name = "toy";
  scenario.cluster.pools = {pool};
  EngineLimits limits;
  limits.kv_blocks = 4096;
  scenario.plan = make_plan(scenario.model, "pool", 1, {1.0, 1.0}, {}, Dtype::kBf16, limits, kGpuGranule);
  GroupPlan& first = scenario.plan.groups.front();
  first.name = "prompts";
  first.role = Role::kPrefill;
  first.replicas = prefill;
  GroupPlan second = first;
  second.name = "answers";
  second.role = Role::kDecode;
  second.replicas = decode;
  scenario.plan.groups.push_back(second);
  ServingWorkload& workload = scenario.workload.serving;
  workload.arrival = Arrival::kPoisson;
  workload.rate = Hertz(3000.0 * static_cast<double>(decode));
  workload.duration = Seconds(0.05);
  workload.prompt = {64, 512};
  workload.output = {1, 24};
  scenario.slo.ttft = Seconds(2e-3);
  return scenario;
}

Cell cell_of(const Scenario& scenario, std::vector<RequestSpec> requests) {
  Cell cell;
  for (const GroupPlan& group : scenario.plan.groups) cell.replicas.push_back(group.replicas);
  cell.requests = std::move(requests);
  return cell;
}

// K and V of 2 layers and 2 heads of 16 in bf16: 256 bytes per token, by two NICs of 10 GB/s, start-up 10 us.
double transfer_time(double tokens) { return 10e-6 + tokens * 256.0 / 20e9; }

TEST(Disaggregation, OneRequestIsPrefillTransferAndDecode) {
  const Scenario scenario = apart(1, 1);
  Fleet fleet = make_fleet(scenario, profiles(), "");
  const RequestSpec request{7, Seconds(1e-3), 400, 12};
  CellRun run = serve_cell(fleet.groups, scenario, cell_of(scenario, {request}));
  join_handovers(run);
  ASSERT_EQ(run.handovers.size(), 1U);
  EXPECT_NEAR((run.handovers[0].kv.arrived - run.handovers[0].kv.ready).count(), transfer_time(400), 1e-12);
  EXPECT_TRUE(run.replicas[0].run.timelines.empty());
  ASSERT_EQ(run.replicas[1].run.timelines.size(), 1U);
  const RequestTimeline& apart_times = run.replicas[1].run.timelines[0];
  // A replica that does both has the same prefill and the same decode steps, without the transfer.
  const ServingRun both = serve_maxplus(fleet.groups[0].replica, fleet.groups[0].limits, {request}, {});
  const std::vector<Seconds>& together = both.timelines[0].token_times;
  EXPECT_EQ(apart_times.arrival, request.arrival);
  EXPECT_EQ(apart_times.prompt_tokens, 400);
  ASSERT_EQ(apart_times.token_times.size(), together.size());
  EXPECT_EQ(apart_times.token_times[0], together[0]);
  for (std::size_t i = 1; i < together.size(); ++i)
    EXPECT_NEAR((apart_times.token_times[i] - together[i]).count(), transfer_time(400), 1e-12) << i;
}

TEST(Disaggregation, EveryRequestIsAnsweredOnceInFull) {
  for (const RoutingPolicy policy : kRoutingPolicies) {
    Scenario scenario = apart(2, 3);
    scenario.plan.routing.policy = policy;
    Fleet fleet = make_fleet(scenario, profiles(), "");
    const std::vector<RequestSpec> requests = generate_requests(scenario.workload.serving, 3);
    CellRun run = serve_cell(fleet.groups, scenario, cell_of(scenario, requests));
    std::set<std::size_t> receivers;
    for (const CellRun::Handover& handover : run.handovers) {
      EXPECT_LT(handover.kv.from, 2U);
      receivers.insert(handover.kv.to);
      EXPECT_GE((handover.kv.arrived - handover.kv.ready).count(),
                transfer_time(static_cast<double>(handover.request.prompt_tokens)) - 1e-12);
    }
    EXPECT_EQ(receivers, (std::set<std::size_t>{2, 3, 4})) << name_of(policy);
    join_handovers(run);
    std::vector<int> answered(requests.size(), 0);
    for (std::size_t r = 0; r < run.replicas.size(); ++r) {
      for (const RequestTimeline& t : run.replicas[r].run.timelines) {
        ++answered[t.id];
        EXPECT_EQ(std::ssize(t.token_times), requests[t.id].output_tokens);
        EXPECT_EQ(t.arrival, requests[t.id].arrival);
        EXPECT_TRUE(std::is_sorted(t.token_times.begin(), t.token_times.end()));
        // What one token answers is done where the prompt was computed.
        EXPECT_EQ(r < 2, requests[t.id].output_tokens == 1);
      }
    }
    EXPECT_EQ(answered, std::vector<int>(requests.size(), 1));
  }
}

// Each request but the clients' first ones arrives at the end of another one, each end lets one in.
TEST(Disaggregation, AClosedLoopGoesOnWhenAnAnswerIsWhole) {
  Scenario scenario = apart(2, 3);
  ServingWorkload& workload = scenario.workload.serving;
  workload.arrival = Arrival::kClosedLoop;
  workload.rate = Hertz(0);
  workload.duration = Seconds(0);
  workload.requests = 150;
  workload.concurrency = 12;
  for (const RoutingPolicy policy : kRoutingPolicies) {
    scenario.plan.routing.policy = policy;
    Fleet fleet = make_fleet(scenario, profiles(), "");
    const std::vector<RequestSpec> requests = generate_requests(workload, 3);
    CellRun run = serve_cell(fleet.groups, scenario, cell_of(scenario, requests));
    join_handovers(run);
    std::vector<Seconds> arrivals;
    std::vector<Seconds> endings;
    for (const CellReplica& replica : run.replicas) {
      for (const RequestTimeline& t : replica.run.timelines) {
        EXPECT_EQ(std::ssize(t.token_times), requests[t.id].output_tokens);
        arrivals.push_back(t.arrival);
        endings.push_back(t.token_times.back());
      }
    }
    ASSERT_EQ(arrivals.size(), requests.size());
    std::multiset<Seconds> unused(endings.begin(), endings.end());
    std::sort(arrivals.begin(), arrivals.end());
    for (std::size_t i = 0; i < arrivals.size(); ++i) {
      if (i < 12) {
        EXPECT_EQ(arrivals[i], Seconds(0));
        continue;
      }
      const auto end = unused.find(arrivals[i]);
      ASSERT_NE(end, unused.end()) << name_of(policy) << ' ' << i;
      unused.erase(end);
    }
  }
}

TEST(Disaggregation, FlowsAgreeWithTheClosedFormWhereNobodyElseSends) {
  const Scenario scenario = apart(1, 2);
  Fleet fleet = make_fleet(scenario, profiles(), "");
  std::vector<RequestSpec> requests;
  for (int i = 0; i < 6; ++i)
    requests.push_back({static_cast<std::uint64_t>(i), Seconds(0.05 * i), 300 + 10 * i, 4});
  const CellRun maxplus = serve_cell(fleet.groups, scenario, cell_of(scenario, requests));
  CellRun flows = maxplus;
  time_cell(fleet.groups, scenario, flows, [](ServingGroup& group, const std::vector<RequestSpec>& dealt) {
    return serve_maxplus(group.replica, group.limits, dealt, {});
  });
  ASSERT_EQ(flows.handovers.size(), 6U);
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(flows.handovers[i].kv.ready, maxplus.handovers[i].kv.ready);
    // Flows carry whole bytes.
    EXPECT_NEAR(flows.handovers[i].kv.arrived.count(), maxplus.handovers[i].kv.arrived.count(), 1e-9);
  }
}

// Two senders, one receiver, at once. Max-plus lets one go first: 1 and 2 transfers. Flows share: both need 2.
TEST(Disaggregation, SendersToOneReceiverShareItsLink) {
  const Scenario scenario = apart(2, 1);
  Fleet fleet = make_fleet(scenario, profiles(), "");
  const CellRun maxplus =
      serve_cell(fleet.groups, scenario, cell_of(scenario, {{0, Seconds(0), 500, 2}, {1, Seconds(0), 500, 2}}));
  ASSERT_EQ(maxplus.handovers.size(), 2U);
  const double ready = maxplus.handovers[0].kv.ready.count();
  const double alone = transfer_time(500);
  EXPECT_NEAR(maxplus.handovers[0].kv.arrived.count(), ready + alone, 1e-12);
  EXPECT_NEAR(maxplus.handovers[1].kv.arrived.count(), ready + 2.0 * alone, 1e-12);
  std::vector<KvTransfer> transfers{maxplus.handovers[0].kv, maxplus.handovers[1].kv};
  time_transfers(fleet.groups, {0, 0, 1}, scenario.cluster.fabric, transfers, {});
  const double shared = ready + 10e-6 + 2.0 * (alone - 10e-6);
  EXPECT_NEAR(transfers[0].arrived.count(), shared, 1e-9);
  EXPECT_NEAR(transfers[1].arrived.count(), shared, 1e-9);
}

PredictOptions exact(Fidelity fidelity) {
  PredictOptions options;
  options.fidelity = fidelity;
  options.draws = 0;
  options.goodput_width = 0.0;
  return options;
}

TEST(Disaggregation, PredictCountsEachRequestOnce) {
  const Scenario scenario = apart(4, 8);
  const RunRecord record = predict(scenario, profiles(), exact(Fidelity::kMaxplus));
  std::int64_t tokens = 0;
  const std::vector<RequestSpec> requests =
      generate_requests(scenario.workload.serving, scenario.workload.seed);
  for (const RequestSpec& request : requests) tokens += request.output_tokens;
  const auto value = [&](const char* name) { return record.metrics.at(name).p50; };
  EXPECT_NEAR(value("output_tokens_per_s") / value("requests_per_s"),
              static_cast<double>(tokens) / static_cast<double>(requests.size()), 1e-9);
  EXPECT_GT(value("kv_transfer_s"), transfer_time(64));
  EXPECT_GT(value("goodput"), 0.5);
  double shares = 0.0;
  for (const LedgerEntry& entry : record.ledger) shares += entry.share;
  EXPECT_NEAR(shares, 1.0, 1e-9);
  const RunRecord flows = predict(scenario, profiles(), exact(Fidelity::kSimgrid));
  EXPECT_NEAR(flows.metrics.at("ttft_s").p50, value("ttft_s"), 1e-9);
  EXPECT_NEAR(flows.metrics.at("tpot_s").p50 / value("tpot_s"), 1.0, 0.1);
}

// The longest pause between tokens, that before the second left out, in which the KV is on its way.
double longest_pause(const Scenario& scenario) {
  // Slow products, so that a prompt takes several times as long as a step of decodes.
  std::map<std::string, Profile> slow = profiles();
  slow.at("toy-gpu").matrix_rate = FlopPerSecond(0.5e12);
  Fleet fleet = make_fleet(scenario, slow, "");
  CellRun run = serve_cell(fleet.groups, scenario, cell_of(scenario, generate_requests(scenario.workload.serving, 3)));
  join_handovers(run);
  double longest = 0.0;
  for (const CellReplica& replica : run.replicas) {
    for (const RequestTimeline& t : replica.run.timelines) {
      for (std::size_t i = 2; i < t.token_times.size(); ++i)
        longest = std::max(longest, (t.token_times[i] - t.token_times[i - 1]).count());
    }
  }
  return longest;
}

TEST(Disaggregation, DecodingIsNotHeldUpByPrompts) {
  Scenario scenario = apart(4, 4);
  scenario.workload.serving.prompt = {1024, 2048};
  scenario.workload.serving.rate = Hertz(1000.0);
  const double separate = longest_pause(scenario);
  for (GroupPlan& group : scenario.plan.groups) group.role = Role::kBoth;
  EXPECT_LT(separate, 0.8 * longest_pause(scenario));
}

std::string complaint(const Scenario& scenario, Fidelity fidelity = Fidelity::kMaxplus) {
  try {
    (void)predict(scenario, profiles(), exact(fidelity));
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    return error.what();
  }
  return "accepted";
}

TEST(Disaggregation, WhatCannotWorkIsRefused) {
  Scenario alone = apart(1, 1);
  alone.plan.groups.pop_back();
  EXPECT_EQ(complaint(alone),
            "plan: group \"prompts\" computes prompts, but no group of role \"decode\" goes on with them");
  Scenario formats = apart(1, 1);
  formats.plan.groups[1].kv_dtype = Dtype::kFp8;
  EXPECT_EQ(complaint(formats), "group \"prompts\": its KV is bf16 and that of group \"answers\" is fp8; KV is sent as "
                                "it is, so both need one format");
  Scenario weight = apart(1, 1);
  weight.plan.groups[1].routing_weight = 0.0;
  EXPECT_EQ(complaint(weight), "plan: prefill and decode each need a group with a routing_weight above 0");
  EXPECT_EQ(complaint(apart(1, 1), Fidelity::kClosed),
            "plan: the closed form has no queue between prefill and decode; fidelity maxplus or simgrid has");
}

}  // namespace
}  // namespace lindos::sim
