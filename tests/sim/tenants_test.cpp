// SPDX-License-Identifier: Apache-2.0
// Tenants and admission limits in cells and fleets.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "exec/scheduler/admission.h"
#include "scenarios/error.h"
#include "scenarios/request_stream.h"
#include "sim/cell.h"
#include "sim/fleet.h"
#include "sim/predict.h"
#include "tests/sim/toy_profile.h"
#include "tests/sim/toy_serving_fleet.h"

namespace lindos::sim {
namespace {

Fleet fleet_of(const Scenario& scenario) { return make_fleet(scenario, {{"toy", toy::slow_steps_profile()}}, ""); }

Cell whole(const Scenario& scenario) {
  Cell cell;
  for (const GroupPlan& group : scenario.plan.groups) cell.replicas.push_back(group.replicas);
  cell.requests = generate_requests(scenario.workload.serving, scenario.workload.seed);
  return cell;
}

// Two tenants of a busy fleet; the second one asks for more, is promised more and goes first.
Scenario two_tenants(std::uint64_t seed, std::int64_t replicas) {
  Scenario scenario = toy::fleet_scenario(seed, replicas);
  Tenant batch{"batch", 3.0};
  Tenant chat{"chat", 1.0};
  chat.priority = 5;
  chat.output = LengthRange{8, 16};
  chat.ttft = Seconds(60e-6);
  scenario.workload.serving.tenants = {batch, chat};
  return scenario;
}

// The batch tenant may ask a third of what it does, 10 at once.
AdmissionLimits batch_limits(const Scenario& scenario) {
  AdmissionLimits limits;
  limits.tenants = {{"batch", {Hertz(scenario.workload.serving.rate.value() * 0.25), 10}, {}}};
  return limits;
}

Scenario closed_loop(Scenario scenario, std::int64_t clients, std::int64_t requests) {
  ServingWorkload& workload = scenario.workload.serving;
  workload.arrival = Arrival::kClosedLoop;
  workload.rate = Hertz(0);
  workload.duration = Seconds(0);
  workload.requests = requests;
  workload.concurrency = clients;
  return scenario;
}

struct Asked {
  Seconds at{0};
  std::uint64_t id = 0;
  std::size_t replica = 0;
  bool answered = false;
  Seconds end{0};
};

// Every request of the run, in the order of asking.
std::vector<Asked> asked_in_order(const CellRun& run) {
  std::vector<Asked> out;
  for (std::size_t r = 0; r < run.replicas.size(); ++r) {
    for (const RequestTimeline& t : run.replicas[r].run.timelines)
      out.push_back({t.arrival, t.id, r, true, t.token_times.back()});
    for (const RequestSpec& spec : run.replicas[r].turned_away) out.push_back({spec.arrival, spec.id, r, false, {}});
  }
  std::sort(out.begin(), out.end(), [](const Asked& a, const Asked& b) {
    return a.at < b.at || (a.at == b.at && a.id < b.id);
  });
  return out;
}

// Asks the limits again, with what was unfinished by the finished timelines. How many were turned away.
std::size_t audit(const Scenario& scenario, const Cell& cell, const CellRun& run) {
  const std::vector<Asked> asked = asked_in_order(run);
  EXPECT_EQ(asked.size(), cell.requests.size());
  std::vector<int> seen(cell.requests.size(), 0);
  for (const Asked& a : asked) ++seen[a.id];
  EXPECT_EQ(seen, std::vector<int>(cell.requests.size(), 1)) << "each is answered or turned away, once";
  scheduler::AdmissionControl control(scenario.plan.admission, scenario.workload.serving.tenants, cell.share);
  std::size_t refused = 0;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const Asked& own = asked[i];
    scheduler::AdmissionControl::Unfinished unfinished;
    for (std::size_t j = 0; j < i; ++j) {
      if (!asked[j].answered || asked[j].end <= own.at) continue;
      ++unfinished.router;
      if (asked[j].replica == own.replica) ++unfinished.replica;
    }
    EXPECT_EQ(control.admits(cell.requests[own.id], own.at, [&] { return unfinished; }), own.answered) << own.id;
    if (!own.answered) ++refused;
  }
  return refused;
}

TEST(Tenants, ACellTurnsAwayWhatTheLimitsSay) {
  for (const RoutingPolicy policy : kRoutingPolicies) {
    Scenario scenario = two_tenants(1, 4);
    scenario.plan.routing.policy = policy;
    scenario.plan.admission = batch_limits(scenario);
    scenario.plan.admission.unfinished = {6, 12};
    scenario.plan.admission.priorities = {{0, {2, 0}}};
    Fleet fleet = fleet_of(scenario);
    const Cell cell = whole(scenario);
    const CellRun run = serve_cell(fleet.groups, scenario, cell);
    const std::size_t refused = audit(scenario, cell, run);
    EXPECT_GT(refused, cell.requests.size() / 10) << name_of(policy);
    EXPECT_LT(refused, cell.requests.size() * 9 / 10) << name_of(policy);
  }
}

TEST(Tenants, AClosedLoopAsksOnAfterBeingTurnedAway) {
  Scenario scenario = closed_loop(two_tenants(2, 2), 6, 200);
  scenario.plan.groups = {scenario.plan.groups.front()};
  scenario.plan.groups.front().replicas = 1;
  scenario.plan.admission = batch_limits(scenario);
  scenario.plan.admission.tenants[0].requests = {Hertz(8'000.0), 4};
  Fleet fleet = fleet_of(scenario);
  const Cell cell = whole(scenario);
  const CellRun run = serve_cell(fleet.groups, scenario, cell);
  const std::size_t refused = audit(scenario, cell, run);
  EXPECT_GT(refused, 10U);
  EXPECT_LT(refused, 190U);
}

// Limits that nobody meets: replicas side by side do what they do one by one.
TEST(Tenants, LimitsThatNeverBindChangeNothing) {
  for (const bool loop : {false, true}) {
    Scenario scenario = two_tenants(3, 4);
    if (loop) scenario = closed_loop(scenario, 20, 400);
    Fleet fleet = fleet_of(scenario);
    const Cell cell = whole(scenario);
    const CellRun free = serve_cell(fleet.groups, scenario, cell);
    scenario.plan.admission.unfinished = {1000, 1000};
    scenario.plan.admission.tenants = {{"chat", {Hertz(1e9), 1'000'000}, {Hertz(1e12), 1'000'000'000}}};
    const CellRun limited = serve_cell(fleet.groups, scenario, cell);
    ASSERT_EQ(free.replicas.size(), limited.replicas.size());
    for (std::size_t r = 0; r < free.replicas.size(); ++r) {
      EXPECT_TRUE(limited.replicas[r].turned_away.empty());
      EXPECT_EQ(limited.replicas[r].run.timelines, free.replicas[r].run.timelines) << (loop ? "loop" : "arrivals");
      EXPECT_EQ(limited.replicas[r].run.end, free.replicas[r].run.end);
    }
  }
}

RunRecord predicted(const Scenario& scenario, double width, std::uint64_t seed = 1,
                    Fidelity fidelity = Fidelity::kMaxplus) {
  PredictOptions options;
  options.fidelity = fidelity;
  options.draws = 0;
  options.goodput_width = width;
  options.seed = seed;
  return predict(scenario, {{"toy", toy::slow_steps_profile()}}, options);
}

double centre(const RunRecord& record, const char* metric) { return record.metrics.at(metric).p50; }
double of_tenant(const RunRecord& record, const char* tenant, const char* metric) {
  return record.tenants.at(tenant).at(metric).p50;
}

// 24 routers that see 6 replicas each and share the tenant's rate.
Scenario routed_fleet(std::uint64_t seed) {
  Scenario scenario = two_tenants(seed, 96);
  scenario.plan.routing.replicas_per_router = 6;
  scenario.plan.admission = batch_limits(scenario);
  return scenario;
}

// What tenants add up to is what all have; a tenant's rejections are its own.
TEST(Tenants, FiguresOfTenantsAddUp) {
  const Scenario scenario = routed_fleet(1);
  const RunRecord record = predicted(scenario, 0.0);
  ASSERT_EQ(record.tenants.size(), 2U);
  for (const char* metric : {"output_tokens_per_s", "requests_per_s"}) {
    EXPECT_NEAR(of_tenant(record, "batch", metric) + of_tenant(record, "chat", metric), centre(record, metric),
                1e-9 * centre(record, metric))
        << metric;
  }
  EXPECT_EQ(of_tenant(record, "chat", "rejected_share"), 0.0);
  EXPECT_GT(of_tenant(record, "batch", "rejected_share"), 0.3);
  // Three of four requests are the batch tenant's, up to chance.
  EXPECT_NEAR(centre(record, "rejected_share"), 0.75 * of_tenant(record, "batch", "rejected_share"), 0.02);
  EXPECT_NEAR(centre(record, "goodput"),
              0.75 * of_tenant(record, "batch", "goodput") + 0.25 * of_tenant(record, "chat", "goodput"), 0.02);
  EXPECT_LE(of_tenant(record, "batch", "goodput"), 1.0 - of_tenant(record, "batch", "rejected_share"));
}

// As in fleet_sample_test: 4 of 24 cells, and of 60 intervals at least 51 hold, of all requests and of each tenant's.
TEST(Tenants, SampledIntervalsCoverTheFleetThatIsSimulatedWhole) {
  int covered = 0;
  std::map<std::string, int> of_tenants;
  for (std::uint64_t fleet = 1; fleet <= 10; ++fleet) {
    const Scenario scenario = routed_fleet(fleet);
    const RunRecord exact = predicted(scenario, 0.0);
    EXPECT_FALSE(exact.metrics.contains("simulated_replicas"));
    for (std::uint64_t seed = 1; seed <= 6; ++seed) {
      const RunRecord sampled = predicted(scenario, 1.0, seed);
      EXPECT_EQ(centre(sampled, "simulated_replicas"), 24.0);
      const double half = centre(sampled, "goodput_sampling_error");
      if (std::abs(centre(sampled, "goodput") - centre(exact, "goodput")) <= half) ++covered;
      EXPECT_NEAR(centre(sampled, "rejected_share"), centre(exact, "rejected_share"), 0.1);
      for (const char* tenant : {"batch", "chat"}) {
        // p10 to p90 of the normal behind the 95 % interval.
        const MetricValue& goodput = sampled.tenants.at(tenant).at("goodput");
        const double own_half = (goodput.p90 - goodput.p50) * 1.959963984540054 / 1.2815515655446004;
        const bool whole = goodput.p90 == 1.0;  // an interval that ends at 1 says less than it is wide
        if (whole || std::abs(goodput.p50 - of_tenant(exact, tenant, "goodput")) <= own_half) ++of_tenants[tenant];
      }
    }
  }
  EXPECT_GE(covered, 51);
  EXPECT_GE(of_tenants["batch"], 51);
  EXPECT_GE(of_tenants["chat"], 51);
}

TEST(Tenants, EqualSeedsGiveEqualRecordsAndRungsAgree) {
  const Scenario scenario = routed_fleet(4);
  const RunRecord record = predicted(scenario, 1.0, 3);
  EXPECT_EQ(record, predicted(scenario, 1.0, 3));
  // One stage: the same on both event rungs.
  const RunRecord simgrid = predicted(scenario, 1.0, 3, Fidelity::kSimgrid);
  EXPECT_EQ(simgrid.metrics, record.metrics);
  EXPECT_EQ(simgrid.tenants, record.tenants);
  // Who is let in is decided on the max-plus rung whatever the fidelity.
  const RunRecord closed = predicted(scenario, 1.0, 3, Fidelity::kClosed);
  EXPECT_EQ(centre(closed, "rejected_share"), centre(record, "rejected_share"));
}

// Of the same requests, by replicas that serve one at a time.
TEST(Tenants, PriorityShortensTheWait) {
  Scenario scenario = two_tenants(5, 64);
  scenario.workload.serving.tenants[1].output.reset();
  scenario.workload.serving.rate = Hertz(scenario.workload.serving.rate.value() * 0.28);
  scenario.plan.groups.erase(scenario.plan.groups.begin());
  const RunRecord first = predicted(scenario, 0.0);
  scenario.workload.serving.tenants[1].priority = 0;
  const RunRecord equal = predicted(scenario, 0.0);
  EXPECT_LT(of_tenant(first, "chat", "ttft_s"), 0.9 * of_tenant(equal, "chat", "ttft_s"));
}

TEST(Tenants, APlanThatLetsNobodyInIsInfeasible) {
  Scenario scenario = two_tenants(6, 4);
  scenario.plan.admission.tenants = {{"batch", {}, {Hertz(1.0), 1}}, {"chat", {}, {Hertz(1.0), 1}}};
  try {
    (void)predicted(scenario, 0.0);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInfeasible);
    EXPECT_STREQ(error.what(), "toy fleet: the plan's admission limits turn every request away");
  }
}

}  // namespace
}  // namespace lindos::sim
