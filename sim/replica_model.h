// SPDX-License-Identifier: Apache-2.0
// One replica as the simulator sees it: where its ranks run, what shares what, and for any batch
// the priced work of each stage. Works are cached by batch, so that Monte Carlo draws price nothing
// twice. Not thread-safe: work() fills the cache.
#pragma once

#include <cstddef>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "exec/scheduler/request.h"
#include "scenarios/hardware.h"
#include "scenarios/model.h"
#include "scenarios/ops.h"
#include "scenarios/plan.h"
#include "scenarios/profile.h"
#include "sim/composition.h"
#include "sim/interconnect.h"
#include "sim/operator_cost.h"
#include "sim/power_model.h"
#include "sim/stage_work.h"
#include "sim/step_totals.h"

namespace lindos::sim {

// A device type with the profile that prices it.
struct ProfiledDevice {
  Device device;
  Profile profile;
  Watts cap{std::numeric_limits<double>::infinity()};  // what the cluster's caps leave one device
};

// Σ over the ranks of a replica; sigma is that of the least certain.
struct ReplicaPower {
  Watts idle{0};
  Watts limit{0};  // by the boards and the cluster's caps; infinite where one is not known
  double sigma = 0.0;
  bool sampled = true;  // every device has samples of its own (PowerModel::sampled)
};

class ReplicaModel {
 public:
  // `devices_by_pool`: one entry for each pool the group names. The replica's ranks take
  // consecutive devices from the start of a node, of each pool (stage_spans.h). `backend`: the collective samples to use, empty =
  // any. `expert_skew`: of the workload; nothing leaves grouped experts as they were sampled. REQUIRES: group valid for model (validate_plan). Throws Error{kInput} for a pool without
  // entry, Error{kInfeasible} when stages have no path to each other.
  ReplicaModel(const Model& model, const GroupPlan& group, const Fabric& fabric,
               const std::map<std::string, ProfiledDevice>& devices_by_pool,
               const std::string& backend = {}, std::optional<double> expert_skew = std::nullopt);

  [[nodiscard]] std::size_t stages() const { return stages_.size(); }
  // Distinct device types, in the order that Draw::devices follows.
  [[nodiscard]] const std::vector<std::string>& device_names() const { return device_names_; }
  [[nodiscard]] const std::vector<RankCeiling>& ranks(std::size_t stage) const {
    return stages_[stage].ceilings;
  }
  // The same where each device may draw no more than `limit` either.
  [[nodiscard]] std::vector<RankCeiling> ranks_under(std::size_t stage, Watts limit) const;
  // Where the first device of the stage sits along the nodes, counted from the first of the replica.
  [[nodiscard]] std::int64_t position(std::size_t stage) const { return stages_[stage].position; }
  // From the stage to the next; from the last one back to the first.
  [[nodiscard]] const Interconnect& path(std::size_t stage) const { return stages_[stage].path; }
  [[nodiscard]] FlopPerSecond peak() const;        // Σ over ranks
  [[nodiscard]] BytesPerSecond bandwidth() const;  // Σ over ranks
  [[nodiscard]] Seconds step_overhead() const { return step_overhead_; }
  // One KV block of the stage, all layers and ranks, from or to host memory; the slowest rank counts. REQUIRES: the group
  // has kv_offload.
  [[nodiscard]] Seconds block_copy(std::size_t stage) const { return stages_[stage].block_copy; }
  // Layers whose copies run beside those before them; 1 where nothing runs beside copies (hosts).
  [[nodiscard]] std::int64_t copied_layers(std::size_t stage) const { return stages_[stage].copied_layers; }
  // Nothing where one of its devices has neither power samples nor a catalogue's idle and maximum, and for hosts.
  [[nodiscard]] const std::optional<ReplicaPower>& power() const { return power_; }
  // Median spread of a family's samples on a device, for the draws; 0 where the spread of whole stages
  // stands in the works (StageWork::sigma) and holds that of their kernels.
  [[nodiscard]] double spread(std::size_t device, Family family) const;

  // `steps` under way, this one included: on a host they share its memory bandwidth. The reference
  // holds until the next call. Throws Error{kInfeasible} naming the op that nothing prices.
  [[nodiscard]] const StageWork& work(const Batch& batch, std::size_t stage, int steps);
  // Whether the works of a stage follow from the totals of a step: its ranks are equal devices that do equal
  // attention, grouped-query and of few windows. All else may differ by rank: some hold more of the vocabulary.
  [[nodiscard]] bool uniform(std::size_t stage) const { return !stages_[stage].attention.empty(); }
  // REQUIRES: uniform(some stage).
  [[nodiscard]] const AttentionWindows& windows() const { return *windows_; }
  // All of such a step but its attention: the body by its tokens, and on the last stage the head by its rows of logits.
  // The work of a step is the sum of both: what they share, the last segment of the body, all ranks do alike.
  struct BodyOfStep {
    StageWork work;         // sigma is the whole step's
    double in_place = 1.0;  // factor on the time of attention (composition.h)
  };
  // REQUIRES: uniform(stage).
  [[nodiscard]] BodyOfStep body_of_step(std::int64_t tokens, bool decodes, std::size_t stage, int steps) const;
  [[nodiscard]] StageWork head_of_step(std::int64_t rows, std::size_t stage, int steps) const;
  // Its attention by window and kind, of each rank; in `into`, whose memory is used again.
  void attention_of_step(const StepTotals& totals, std::size_t stage, int steps, double in_place,
                         std::vector<PricedOp>& into) const;
  // Ops of one rank of such a step, and what their work adds to its energy at rest. REQUIRES: power().
  [[nodiscard]] PowerWork power_work(std::size_t stage, const std::vector<PricedOp>& ops) const {
    return power_work(*stages_[stage].ranks.front().power, ops);
  }
  [[nodiscard]] Joules added_energy(std::size_t stage, const PowerWork& work) const {
    return stages_[stage].ranks.front().power->added(work);
  }
  // What the stage sends for such a step: activations to the next one, from the last one ids to the
  // first.
  [[nodiscard]] Bytes sent_bytes(const Batch& batch, std::size_t stage) const;

 private:
  struct Rank {
    std::shared_ptr<const OperatorCost> cost;
    int threads = 1;
    bool is_host = false;
    bool samples_experts = false;
    std::shared_ptr<const PowerModel> power;  // null where it is not known
    Watts at_rest{0};                         // above which its caps leave something
  };
  // Steps of decodes alone and steps with prompts: on a GPU the ones are replayed graphs of overlapping kernels, the
  // others launched one by one.
  struct StepCompositions {
    Composition decodes;
    Composition prompts;
  };
  // Attention of all layers with one window over a batch of one query and one key; figures of a step are multiples.
  struct UnitAttention {
    std::size_t window = 0;  // index
    bool decodes = false;
    Op op;
  };
  struct Stage {
    std::vector<Rank> ranks;
    std::vector<RankCeiling> ceilings;
    Interconnect path;
    std::int64_t position = 0;
    bool alike = true;  // all ranks on one device type with equal threads
    // Ranks with the same work on the same device are priced once: each as one of the unlike ones.
    std::vector<std::size_t> unlike;     // ranks
    std::vector<std::size_t> priced_as;  // [rank], index into unlike
    std::vector<StepCompositions> compositions;  // [steps under way - 1]
    std::vector<UnitAttention> attention;        // of a uniform stage; empty for others
    Seconds block_copy{0};
    std::int64_t copied_layers = 1;
    Bytes received_per_token{0};                 // activations from the stage before
  };
  struct Key {
    std::size_t stage = 0;
    int steps = 1;
    Batch batch;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const;
  };

  // Which ops of a step: all, or those of the layers.
  enum class Part { kStep, kLayers };
  [[nodiscard]] StageWork price_stage(const Batch& batch, std::size_t stage, int steps,
                                      Part part) const;
  [[nodiscard]] Bytes received_per_token(std::size_t stage) const;
  [[nodiscard]] static PowerWork power_work(const PowerModel& power, const std::vector<PricedOp>& ops);
  static void cap_rank(RankCeiling& ceiling, const Rank& rank, Watts cap);
  void find_unlike(std::size_t stage);
  [[nodiscard]] StageWork price_part(const Batch& batch, std::size_t stage, int steps, std::optional<double> in_place) const;
  // From works of the unlike ranks to works of all.
  static void spread_over_ranks(const Stage& stage, StageWork& work);
  void find_uniform(std::size_t stage);
  [[nodiscard]] const Composition& composition_of(std::size_t stage, int steps, bool decodes) const;
  [[nodiscard]] ExecutionContext context_of(std::size_t stage, std::size_t rank, int steps) const;
  [[nodiscard]] StepCompositions compose(const Profile& profile, std::size_t stage, int steps) const;
  [[nodiscard]] Seconds block_copy_of(const StagePlan& plan, std::size_t stage, const Stage& priced,
                                      const std::map<std::string, ProfiledDevice>& devices_by_pool) const;
  [[nodiscard]] Op on_fullest_rank(const Op& op, const Rank& rank) const;
  [[nodiscard]] Priced price_or_throw(const Rank& rank, const Op& op,
                                      ExecutionContext context) const;

  Model model_;
  GroupPlan group_;
  std::optional<double> expert_skew_;
  std::vector<Stage> stages_;
  std::optional<AttentionWindows> windows_;
  std::vector<std::string> device_names_;
  std::vector<std::shared_ptr<const OperatorCost>> device_costs_;
  std::optional<ReplicaPower> power_;
  bool composed_ = false;  // every stage has a measured composition
  Seconds step_overhead_{0};
  std::unordered_map<Key, StageWork, KeyHash> cache_;
};

// The step as the op list sees it.
[[nodiscard]] Batch batch_of(const scheduler::Step& step);

}  // namespace lindos::sim
