// SPDX-License-Identifier: Apache-2.0
#include "sim/training/mitigations.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

#include "scenarios/balance.h"
#include "scenarios/error.h"
#include "scenarios/quantity_text.h"
#include "scenarios/text_layout.h"
#include "scenarios/timeline.h"
#include "scenarios/training_plan.h"
#include "sim/reliability/failure_process.h"
#include "sim/training/closed_training.h"
#include "sim/training/make_training_job.h"
#include "sim/training/mixed_pipelines.h"

namespace lindos::sim {

namespace {

using Profiles = std::map<std::string, Profile>;

// A change that can be put on top of others. Returns why it does not apply, or nothing when it was made.
struct Change {
  std::string name;
  std::string what;
  std::function<std::optional<std::string>(Scenario&, std::string& cost)> make;
};

void set_batch(Scenario& scenario, const std::vector<std::int64_t>& micro_batches) {
  std::int64_t sequences = 0;
  for (std::size_t g = 0; g < micro_batches.size(); ++g) {
    GroupPlan& group = scenario.plan.groups[g];
    group.training.micro_batches = micro_batches[g];
    sequences += group.replicas * micro_batches[g] * scenario.workload.training.micro_batch;
  }
  scenario.workload.training.global_batch = sequences;
}

std::vector<std::int64_t> micro_batches_of(const Scenario& scenario) {
  std::vector<std::int64_t> counts;
  for (const GroupPlan& group : scenario.plan.groups)
    counts.push_back(lindos::micro_batches_of(scenario.plan, group, scenario.workload.training));
  return counts;
}

double tokens_of(const Scenario& scenario) {
  const TrainingWorkload& t = scenario.workload.training;
  return static_cast<double>(t.global_batch) * static_cast<double>(t.sequence);
}

std::string batch_text(const Scenario& before, const Scenario& after) {
  return number_text(tokens_of(after) / 1e6, 4) + " M tokens per step instead of " +
         number_text(tokens_of(before) / 1e6, 4) + " M";
}

// A feasible plan's closed-form rate in tokens per second; nothing when it does not fit.
std::optional<double> closed_rate(const Scenario& scenario, const Profiles& profiles, std::string* why = nullptr) {
  try {
    validate_training(scenario.plan, scenario.model, scenario.workload.training, scenario.name);
    static_cast<void>(fullest_training_rank(scenario));
    const TrainingJob job = make_training_job(scenario, profiles);
    return job.tokens_per_step / closed_step(job).step.count();
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::kInfeasible && e.kind() != ErrorKind::kInput) throw;
    if (why != nullptr) *why = e.what();
    return std::nullopt;
  }
}

// The group's replica cut otherwise: same devices, other tensor degree and number of stages.
GroupPlan recut(const Scenario& scenario, const GroupPlan& group, std::int64_t tensor, int stages) {
  const std::string& pool = group.stages.front().ranks.front().pool;
  Plan plan = make_plan(scenario.model, pool, stages, std::vector<double>(static_cast<std::size_t>(tensor), 1.0), {},
                        group.weight_dtype, group.limits, kGpuGranule);
  GroupPlan cut = std::move(plan.groups.front());
  cut.name = group.name;
  cut.role = group.role;
  cut.replicas = group.replicas;
  cut.training = group.training;
  cut.activation_dtype = group.activation_dtype;
  cut.kv_dtype = group.kv_dtype;
  return cut;
}

// Faster kinds take more of the batch, so that all replicas end together; the batch stays at least as large.
Change uneven_micro_batches(const Profiles& profiles) {
  return {"uneven-micro-batches", "faster kinds of device take more micro-batches, so that replicas end together",
          [&profiles](Scenario& scenario, std::string& cost) -> std::optional<std::string> {
            if (scenario.plan.groups.size() < 2) return "all replicas are of one kind";
            const Scenario before = scenario;
            const TrainingJob job = make_training_job(scenario, profiles);
            const std::vector<std::int64_t> given = micro_batches_of(scenario);
            // Closed-form end of a group with m micro-batches.
            const auto end_of = [&](std::size_t g, std::int64_t m) {
              TrainingJob alone;
              alone.groups = {job.groups[g]};
              alone.groups[0].micro_batches = m;
              return closed_nominal(alone).pipeline.front().count();
            };
            std::size_t slowest = 0;
            for (std::size_t g = 1; g < given.size(); ++g) {
              if (end_of(g, given[g]) > end_of(slowest, given[slowest])) slowest = g;
            }
            std::vector<std::int64_t> best = given;
            for (std::int64_t m = given[slowest]; m >= 1; --m) {
              const double limit = end_of(slowest, m);
              std::vector<std::int64_t> counts(given.size(), 1);
              double sequences = 0.0;
              for (std::size_t g = 0; g < counts.size(); ++g) {
                while (end_of(g, counts[g] + 1) <= limit * (1.0 + 1e-9)) ++counts[g];
                sequences += static_cast<double>(counts[g] * scenario.plan.groups[g].replicas);
              }
              if (sequences * static_cast<double>(scenario.workload.training.micro_batch) <
                  static_cast<double>(before.workload.training.global_batch))
                break;
              best = counts;
            }
            if (best == given) return "no whole number of micro-batches evens the kinds out";
            set_batch(scenario, best);
            cost = batch_text(before, scenario) + "; gradients are weighted by tokens";
            return std::nullopt;
          }};
}

Change mixed_pipelines(const Profiles& profiles) {
  return {"mixed-pipelines", "replicas mix the kinds: a stage on the fastest kind takes more layers",
          [&profiles](Scenario& scenario, std::string& cost) -> std::optional<std::string> {
            const Scenario before = scenario;
            // Layers per second of a stage in the middle, without embedding and head.
            const TrainingJob job = make_training_job(scenario, profiles);
            std::vector<double> rates;
            for (std::size_t g = 0; g < job.groups.size(); ++g) {
              const std::size_t middle = job.groups[g].stages.size() / 2;
              double seconds = 0.0;
              for (const ChunkWork& chunk : job.groups[g].stages[middle].chunks)
                seconds += chunk.forward.total().count() + chunk.backward.total().count();
              rates.push_back(static_cast<double>(scenario.plan.groups[g].stages[middle].layers.size()) / seconds);
            }
            if (auto why = mix_pipelines(scenario, rates)) return why;
            cost = batch_text(before, scenario) + "; kinds must be cabled as one fabric";
            return std::nullopt;
          }};
}

// Tensor groups wider than a server where the scale-up domain allows it, with fewer stages in turn.
Change wider_tensor(const Profiles& profiles) {
  return {"wider-tensor-groups", "replicas in a wide scale-up domain use more tensor ranks and fewer stages",
          [&profiles](Scenario& scenario, std::string& cost) -> std::optional<std::string> {
            bool any = false;
            std::string why;
            for (std::size_t g = 0; g < scenario.plan.groups.size(); ++g) {
              const GroupPlan group = scenario.plan.groups[g];
              const std::string& pool = group.stages.front().ranks.front().pool;
              const auto found = std::find_if(scenario.cluster.pools.begin(), scenario.cluster.pools.end(),
                                              [&](const Pool& p) { return p.name == pool; });
              const Device& device = scenario.devices.at(found->node.device);
              const auto tensor = static_cast<std::int64_t>(group.stages.front().ranks.size());
              const std::int64_t devices = group.ranks_per_replica();
              double best = closed_rate(scenario, profiles).value_or(0.0);
              for (std::int64_t wide = 2 * tensor; wide <= device.scale_up_domain; wide *= 2) {
                if (devices % wide != 0 || wide > scenario.model.q_heads) continue;
                Scenario candidate = scenario;
                candidate.plan.groups[g] = recut(scenario, group, wide, static_cast<int>(devices / wide));
                if (candidate.plan.groups[g].training.virtual_stages > 1 && devices == wide) continue;
                const auto rate = closed_rate(candidate, profiles, &why);
                // Alone it may only shorten the wait of a kind that is not the slowest; take it where the kind
                // itself gets faster.
                const auto own = [&](const Scenario& s) {
                  return closed_nominal(make_training_job(s, profiles)).pipeline[g].count();
                };
                if (!rate || *rate < best * (1.0 - 1e-9) || own(candidate) >= own(scenario)) continue;
                best = *rate;
                scenario = std::move(candidate);
                any = true;
                cost += (cost.empty() ? "" : "; ") + group.name + ": " + std::to_string(wide) + " tensor ranks × " +
                        std::to_string(devices / wide) + " stages";
              }
            }
            if (!any && !why.empty()) return why;
            if (!any) return "no pool has a scale-up domain in which a wider group would be faster";
            return std::nullopt;
          }};
}

// More micro-batches in flight need room: the given sharding, gradients sharded too, or layers recomputed,
// whichever is fastest of what fits.
Change larger_batch(int times, const Profiles& profiles) {
  return {"larger-batch", std::to_string(times) + " times as many micro-batches per step",
          [times, &profiles](Scenario& scenario, std::string& cost) -> std::optional<std::string> {
            const Scenario before = scenario;
            std::vector<std::int64_t> counts = micro_batches_of(scenario);
            for (std::int64_t& m : counts) m *= times;
            set_batch(scenario, counts);
            Scenario sharded = scenario;
            for (GroupPlan& group : sharded.plan.groups)
              group.training.zero_stage = std::max(group.training.zero_stage, 2);
            Scenario recomputed = scenario;
            recomputed.workload.training.recompute = Recompute::kFull;
            const std::pair<const Scenario*, const char*> ways[] = {
                {&scenario, ""}, {&sharded, "; ZeRO-2 to make room"}, {&recomputed, "; layers recomputed to make room"}};
            double best = 0.0;
            const std::pair<const Scenario*, const char*>* chosen = nullptr;
            std::string why;
            for (const auto& way : ways) {
              const auto rate = closed_rate(*way.first, profiles, &why);
              if (!rate || *rate <= best) continue;
              best = *rate;
              chosen = &way;
            }
            if (chosen == nullptr) return why;
            cost = batch_text(before, scenario) + chosen->second +
                   "; beyond a model's critical batch more tokens are needed for the same loss (arXiv 1812.06162)";
            scenario = Scenario(*chosen->first);
            return std::nullopt;
          }};
}

Change interleaving(const Profiles& profiles) {
  return {"interleaving", "each stage holds several model chunks, so that the pipeline fills sooner",
          [&profiles](Scenario& scenario, std::string& cost) -> std::optional<std::string> {
            const double given = closed_rate(scenario, profiles).value_or(0.0);
            double best = given * (1.0 + 1e-6);
            std::optional<Scenario> chosen;
            std::string why;
            for (int v = 2; v <= 16; ++v) {
              Scenario candidate = scenario;
              for (GroupPlan& group : candidate.plan.groups) group.training.virtual_stages = v;
              const auto rate = closed_rate(candidate, profiles, &why);
              if (!rate || *rate <= best) continue;
              best = *rate;
              chosen = std::move(candidate);
              cost = std::to_string(v) + " chunks per stage: " + std::to_string(v) +
                     " times the messages between stages, more activations in flight";
            }
            if (chosen) {
              scenario = std::move(*chosen);
              return std::nullopt;
            }
            if (!why.empty()) return why;
            return "fewer micro-batches per replica than stages: chunks would wait for each other as long";
          }};
}

Change hierarchical_exchange() {
  return {"hierarchical-exchange", "gradients are summed inside an array first, then between arrays",
          [](Scenario& scenario, std::string& cost) -> std::optional<std::string> {
            bool any = false;
            for (GroupPlan& group : scenario.plan.groups) {
              any = any || !group.training.hierarchical_exchange;
              group.training.hierarchical_exchange = true;
            }
            if (!any) return "the plan does it already";
            cost = "one more communicator per array";
            return std::nullopt;
          }};
}

Change evict_slowest() {
  constexpr double kShare = 0.01;
  return {"evict-slowest", "the slowest 1 % of the devices are taken out and replaced by the next of their kind",
          [](Scenario& scenario, std::string& cost) -> std::optional<std::string> {
            Faults& faults = scenario.cluster.faults;
            if (faults.evicted_share >= kShare) return "as many are out already";
            if (faults.speed_sigma == 0.0 && faults.slow_share == 0.0) return "no device is slower than its kind";
            faults.evicted_share = kShare;
            cost = "1 % of the devices stand by; a burn-in test that finds them";
            return std::nullopt;
          }};
}

Change faster_checkpoints() {
  // Blocking part of an asynchronous save, measured at 0.01 to 0.5 s (handbook §6.2): its upper end.
  static constexpr Seconds kBlocking{0.5};
  return {"faster-checkpoints", "state is written while training goes on, by software that works beside the write",
          [](Scenario& scenario, std::string& cost) -> std::optional<std::string> {
            CheckpointPolicy& policy = scenario.workload.training.checkpoint;
            const bool blocks = !policy.asynchronous || policy.blocking > kBlocking;
            if (!blocks && policy.save_overhead == Seconds{0}) return "saves are as short already";
            if (blocks) {
              policy.asynchronous = true;
              policy.blocking = kBlocking;
              cost = "host memory for one copy of the rank's state; ";
            }
            policy.save_overhead = Seconds{0};
            policy.interval = Seconds{0};
            cost += "a save counts as soon as storage has it: planning and metadata of a save overlap the one before";
            return std::nullopt;
          }};
}

Change hot_spares() {
  // Communicator start beyond 10,000 GPUs (handbook §6.2); processes on the spare run already.
  static constexpr Seconds kRejoin{30.0};
  return {"hot-spares", "spare nodes run the job's processes and take over without a new start of the job",
          [](Scenario& scenario, std::string& cost) -> std::optional<std::string> {
            Faults& faults = scenario.cluster.faults;
            if (faults.restart <= kRejoin) return "restarts are as short already";
            faults.restart = kRejoin;
            const FailureProcess process = make_failure_process(scenario);
            std::int64_t nodes = 0;
            for (std::size_t p = 0; p < process.pools.size(); ++p) {
              const auto pool = std::find_if(scenario.cluster.pools.begin(), scenario.cluster.pools.end(),
                                             [&](const Pool& candidate) { return candidate.name == process.pools[p].name; });
              // What the pool holds beyond the job may stand by; asking for more than that helps nobody.
              const std::int64_t spares = std::min(std::max(process.pools[p].spares, nodes_out_quantile(process, p, 0.99)),
                                                   pool->nodes - process.pools[p].job);
              pool->spares = spares;
              nodes += spares;
            }
            cost = with_thousands(nodes) + " nodes powered and idle";
            return std::nullopt;
          }};
}

// Long sequences over several devices instead of many stages: the pipeline has less to fill.
Change context_parallel(const Profiles& profiles) {
  return {"context-parallel", "each sequence is shared out over several devices, and the pipeline has as many fewer stages",
          [&profiles](Scenario& scenario, std::string& cost) -> std::optional<std::string> {
            const Scenario before = scenario;
            double best = closed_rate(scenario, profiles).value_or(0.0) * (1.0 + 1e-6);
            std::optional<Scenario> chosen;
            std::string why;
            for (std::int64_t ring = 2; ring <= 8; ring *= 2) {
              Scenario candidate = before;
              bool divides = true;
              for (GroupPlan& group : candidate.plan.groups) {
                const auto stages = static_cast<std::int64_t>(group.stages.size());
                divides = divides && stages % ring == 0;
                if (!divides) break;
                group = recut(before, group, static_cast<std::int64_t>(group.stages.front().ranks.size()),
                              static_cast<int>(stages / ring));
                group.training.context_parallel *= ring;
              }
              if (!divides) continue;
              const auto rate = closed_rate(candidate, profiles, &why);
              if (!rate || *rate <= best) continue;
              best = *rate;
              chosen = std::move(candidate);
              cost = "rings of " + std::to_string(ring) + " devices pass keys and values; a device holds " +
                     std::to_string(ring) + " times as many layers";
            }
            if (chosen) {
              scenario = std::move(*chosen);
              return std::nullopt;
            }
            if (!why.empty()) return why;
            return "no division of the stages into rings is faster";
          }};
}

double median_share(const TrainingDraws& drawn, Ledger TrainingDraw::*ledger) {
  std::vector<double> shares;
  for (const TrainingDraw& draw : drawn.draws) shares.push_back((draw.*ledger).share(Cause::kUseful));
  return quantile(shares, 0.5);
}

void fill(Mitigation& m, const TrainingDraws& drawn, const TrainingDraws& base) {
  m.gain = gain_of(drawn, base);
  m.steady_gain = gain_of(drawn, base, &TrainingDraw::steady);
  m.mfu = median_share(drawn, &TrainingDraw::whole);
  m.steady_mfu = median_share(drawn, &TrainingDraw::steady);
}

// Applies a change on top of others, or says why not.
std::optional<std::string> apply(Scenario& scenario, const Change& change, const Profiles& profiles, std::string& cost) {
  Scenario tried = scenario;
  try {
    if (auto why = change.make(tried, cost)) return why;
    tried.name += " + " + change.name;
    tried.plan.name += " + " + change.name;
    validate_training(tried.plan, tried.model, tried.workload.training, tried.name);
    static_cast<void>(make_training_run(tried, profiles));
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::kInfeasible && e.kind() != ErrorKind::kInput) throw;
    return std::string(e.what());
  }
  scenario = std::move(tried);
  return std::nullopt;
}

// Every group its own job with its own share of the batch: nobody waits for another kind.
Mitigation one_job_per_kind(const Scenario& scenario, const Profiles& profiles, const TrainingDraws& base,
                            const DrawOptions& options) {
  Mitigation m;
  m.name = "one-job-per-kind";
  m.what = "each kind of device trains a job of its own";
  if (scenario.plan.groups.size() < 2) {
    m.refused = "all replicas are of one kind";
    return m;
  }
  TrainingDraws sum;
  const std::vector<std::int64_t> counts = micro_batches_of(scenario);
  for (std::size_t g = 0; g < scenario.plan.groups.size(); ++g) {
    Scenario alone = scenario;
    alone.plan.groups = {scenario.plan.groups[g]};
    alone.plan.name = scenario.plan.name + ", " + scenario.plan.groups[g].name + " alone";
    set_batch(alone, {counts[g]});
    TrainingRun run = make_training_run(alone, profiles);
    // Devices of the other jobs are theirs; what no job takes is booked once.
    const TrainingRun together = make_training_run(scenario, profiles);
    run.spare_peak = g == 0 ? together.spare_peak : FlopPerSecond{0};
    run.idle_peak = g == 0 ? together.idle_peak : FlopPerSecond{0};
    add_over_same_time(sum, draw_training(run, alone, options));
    alone.name = scenario.name + ", " + scenario.plan.groups[g].name + " alone";
    m.scenarios.push_back(alone);
    m.cost += (m.cost.empty() ? "" : ", ") + scenario.plan.groups[g].name + " with " +
              number_text(tokens_of(alone) / 1e6, 3) + " M tokens per step";
  }
  m.cost = std::to_string(m.scenarios.size()) + " models instead of one: " + m.cost;
  fill(m, sum, base);
  return m;
}

}  // namespace

std::vector<Mitigation> price_mitigations(const Scenario& scenario, const Profiles& profiles,
                                          const TrainingDraws& base, const DrawOptions& options) {
  const std::vector<Change> changes = {uneven_micro_batches(profiles),
                                       mixed_pipelines(profiles),
                                       wider_tensor(profiles),
                                       larger_batch(4, profiles),
                                       interleaving(profiles),
                                       context_parallel(profiles),
                                       hierarchical_exchange(),
                                       evict_slowest(),
                                       faster_checkpoints(),
                                       hot_spares()};
  std::vector<Mitigation> results;
  const auto try_on = [&](Scenario from, const Change& change, Mitigation& m) {
    m.name = change.name;
    m.what = change.what;
    if (const auto why = apply(from, change, profiles, m.cost)) {
      m.refused = *why;
      return from;
    }
    fill(m, draw_training(make_training_run(from, profiles), from, options), base);
    m.scenarios = {from};
    return from;
  };
  results.push_back(one_job_per_kind(scenario, profiles, base, options));
  for (const Change& change : changes) try_on(scenario, change, results.emplace_back());
  std::stable_sort(results.begin(), results.end(), [](const Mitigation& a, const Mitigation& b) {
    if (a.refused.empty() != b.refused.empty()) return a.refused.empty();
    return a.gain.p50 > b.gain.p50;
  });

  // Changes on top of each other, as long as each still helps; what was refused alone is tried again: interleaving needs
  // the larger batch. Two orders, since early changes close ways to later ones: the most useful first, and those that cut
  // the model before those that fill it.
  std::vector<const Change*> order;
  for (const Mitigation& m : results) {
    const auto found =
        std::find_if(changes.begin(), changes.end(), [&](const Change& c) { return c.name == m.name; });
    if (found != changes.end()) order.push_back(&*found);
  }
  const auto stack = [&](const std::vector<const Change*>& in_order) {
    Scenario together = scenario;
    Mitigation all;
    all.name = "together";
    for (const Change* change : in_order) {
      Mitigation step;
      const Scenario tried = try_on(together, *change, step);
      if (!step.refused.empty() || step.mfu <= all.mfu * (1.0 + 1e-6)) continue;
      together = tried;
      all.what += (all.what.empty() ? "" : " + ") + change->name;
      all.gain = step.gain;
      all.steady_gain = step.steady_gain;
      all.mfu = step.mfu;
      all.steady_mfu = step.steady_mfu;
    }
    all.cost = "as of each; " + batch_text(scenario, together);
    together.plan.name = scenario.plan.name + " + " + all.what;
    all.scenarios = {together};
    return all;
  };
  Mitigation all = stack(order);
  std::stable_partition(order.begin(), order.end(), [](const Change* c) {
    return c->name == "context-parallel" || c->name == "interleaving";
  });
  if (Mitigation other = stack(order); other.mfu > all.mfu) all = std::move(other);
  results.insert(results.begin(), std::move(all));
  return results;
}

}  // namespace lindos::sim
