// SPDX-License-Identifier: Apache-2.0
// Loading, inheritance, round trip and digest of scenarios.
#include "scenarios/scenario.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <unistd.h>

#include "scenarios/error.h"
#include "scenarios/fault_units.h"
#include "scenarios/plan_pools.h"
#include "tests/scenarios/scenario_fixture.h"

namespace lindos::testing {
namespace {

using ::testing::HasSubstr;

// A folder of its own, removed at the end of the test.
class Folder {
 public:
  explicit Folder(const std::string& name)
      : path_(std::filesystem::temp_directory_path() /
              ("lindos-" + name + "-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(path_);
  }
  ~Folder() {
    std::error_code ec;
    std::filesystem::remove_all(path_, ec);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::filesystem::path write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name) << text;
    return path_ / name;
  }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

std::string complaint_of(const std::filesystem::path& path) {
  try {
    static_cast<void>(load_scenario(path, tiny_catalogue()));
  } catch (const Error& e) {
    return e.what();
  }
  return "accepted";
}

TEST(Scenario, ReadsEveryTable) {
  const Scenario s = parse(kScenarioText);
  EXPECT_EQ(s.name, "small");
  ASSERT_EQ(s.cluster.pools.size(), 1U);
  const Pool& pool = s.cluster.pools[0];
  EXPECT_EQ(pool.devices(), 16);
  EXPECT_EQ(pool.node.name, "gpu-a");  // the device's name when the file gives none
  EXPECT_EQ(pool.source.text, "test");
  EXPECT_EQ(s.cluster.fabric.switch_ports, 64);
  EXPECT_EQ(s.cluster.fabric.hop_latency, Seconds(1e-6));
  EXPECT_EQ(s.cluster.power.site_cap, Watts(20e3));
  ASSERT_EQ(s.cluster.faults.classes.size(), 1U);
  EXPECT_EQ(s.cluster.faults.classes[0].rate, Hertz(1e-5 / 3600.0));
  EXPECT_EQ(s.cluster.faults.classes[0].repair, Seconds(86400.0));
  EXPECT_EQ(s.devices.at("gpu-a").scale_out_bandwidth, BytesPerSecond(50e9));
  EXPECT_EQ(s.devices.at("gpu-a").sources.at("peak.bf16").text, "assume: test");
  EXPECT_EQ(s.devices.at("gpu-a").sources.at("memory").date, "2026-08-01");
  EXPECT_EQ(s.model, tiny_model());
  EXPECT_EQ(s.workload.serving.prompt, (LengthRange{64, 128}));
  EXPECT_EQ(s.workload.serving.output, (LengthRange{32, 32}));
  EXPECT_EQ(s.slo.ttft, Seconds(0.5));
  EXPECT_TRUE(s.plan_given);
  ASSERT_EQ(s.plan.groups.size(), 1U);
  const GroupPlan& group = s.plan.groups[0];
  ASSERT_EQ(group.stages.size(), 2U);
  ASSERT_EQ(group.stages[1].ranks.size(), 2U);
  EXPECT_EQ(group.stages[1].layers, (Range{2, 4}));  // 4 layers over 2 stages
  EXPECT_EQ(group.stages[0].ranks[1].share.q_heads, (Range{4, 8}));
  EXPECT_EQ(group.stages[0].ranks[1].pool, "a");
}

TEST(Scenario, TheRateOfAFaultNamesItsScope) {
  const std::vector<std::pair<std::string, FaultScope>> keys{
      {"rate_per_device", FaultScope::kDevice},
      {"rate_per_node", FaultScope::kNode},
      {"rate_per_rack", FaultScope::kRack},
      {"rate_per_cooling_unit", FaultScope::kCoolingUnit},
      {"rate_per_leaf", FaultScope::kLeaf}};
  for (const auto& [key, scope] : keys) {
    const Scenario s = parse(with(kScenarioText, "rate_per_device", key));
    EXPECT_EQ(s.cluster.faults.classes[0].scope, scope) << key;
    EXPECT_EQ(s.cluster.faults.classes[0].rate, Hertz(1e-5 / 3600.0)) << key;
  }
}

// One name, a rate for each of two device types: not a contradiction.
TEST(Scenario, AFaultClassMayHaveOneRatePerDeviceType) {
  std::string text = with(kScenarioText, "[fabric]",
                          "[[cluster.pool]]\nname = \"b\"\ndevice = \"cpu\"\ndevices_per_node = 1\n"
                          "nodes = 1\nsource = \"x\"\n\n[fabric]");
  text = with(text, "rate_per_device", "device = \"gpu-a\"\nrate_per_device");
  text = with(text, "[model]",
              "[[faults.class]]\nname = \"gpu\"\ndevice = \"cpu\"\nrate_per_device = \"2e-5 /h\"\n"
              "repair = \"1 h\"\nsource = \"x\"\n\n[model]");
  text = with(text, "tensor = 2", "pool = \"a\"\ntensor = 2");
  const Scenario s = parse(text);
  ASSERT_EQ(s.cluster.faults.classes.size(), 2U);
  // 16 devices at 1e-5 /h and one at 2e-5 /h.
  EXPECT_NEAR(fleet_fault_rate(s.cluster).value() * 3600.0, 18e-5, 1e-12);
}

TEST(Scenario, ReadsHowATrainingJobSaves) {
  std::string text =
      with(kScenarioText,
           "kind = \"serving\"\nrequests = 8\narrival = \"poisson\"\nrate = \"2 /s\"\n"
           "prompt = [64, 128]\noutput = 32\n",
           "kind = \"training\"\nsequence = 4096\nglobal_batch = 64\n[workload.checkpoint]\n"
           "asynchronous = true\nblocking = \"1 s\"\nsave_overhead = \"2 min\"\n"
           "load_overhead = \"1 min\"\nsource = \"x\"\n");
  const Scenario s = parse(text);
  const CheckpointPolicy expected{Seconds{0},   true,        Seconds{1},
                                  Seconds{120}, Seconds{60}, {"x", ""}};
  EXPECT_EQ(s.workload.training.checkpoint, expected);
  EXPECT_EQ(parse(to_toml(s)), s);
}

TEST(Scenario, UnevenWeightsGiveUnevenShares) {
  const Scenario s = parse(with(kScenarioText, "tensor = 2", "tensor_weights = [3.0, 1.0]"));
  EXPECT_EQ(s.plan.groups[0].stages[0].ranks[0].share.q_heads, (Range{0, 6}));  // 8 heads, 3 : 1
}

std::string training_text() {
  return with(kScenarioText,
              "kind = \"serving\"\nrequests = 8\narrival = \"poisson\"\nrate = \"2 /s\"\n"
              "prompt = [64, 128]\noutput = 32",
              "kind = \"training\"\nsequence = 4096\nglobal_batch = 64\nrecompute = \"full\"\n"
              "dropout = true");
}

TEST(Scenario, ATrainingGroup) {
  const Scenario s = parse(with(training_text(), "tensor = 2",
                                "tensor = 2\nreplicas = 2\nzero_stage = 1\nvirtual_stages = 2\n"
                                "sequence_parallel = true\ncontext_parallel = 2\nmicro_batches = 32\n"
                                "gradient_dtype = \"bf16\"\noverlap_gradient_reduce = false\n"
                                "overlap_parameter_gather = false\noverlap_tensor = \"tiles\"\n"
                                "hierarchical_exchange = true"));
  EXPECT_EQ(s.workload.training.recompute, Recompute::kFull);
  EXPECT_TRUE(s.workload.training.dropout);
  const GroupPlan& group = s.plan.groups[0];
  EXPECT_EQ(group.role, Role::kTrain);
  EXPECT_EQ(group.replicas, 2);
  EXPECT_EQ(group.devices_per_replica(), 2 * 2 * 2);
  EXPECT_EQ(group.training, (TrainingPlan{.zero_stage = 1,
                                          .virtual_stages = 2,
                                          .sequence_parallel = true,
                                          .context_parallel = 2,
                                          .micro_batches = 32,
                                          .gradient_dtype = Dtype::kBf16,
                                          .overlap_gradient_reduce = false,
                                          .overlap_parameter_gather = false,
                                          .overlap_tensor = TensorOverlap::kTiles,
                                          .hierarchical_exchange = true}));
  EXPECT_EQ(parse(to_toml(s)), s);
}

// 16 devices; each of two stages has two ranks, each of them two context ranks.
TEST(Scenario, ContextRanksAreDevices) {
  const auto replicas = [](int n) {
    return parse(with(training_text(), "tensor = 2",
                      "tensor = 2\ncontext_parallel = 2\nreplicas = " + std::to_string(n)));
  };
  EXPECT_EQ(replicas(2).plan.groups[0].replicas, 2);
  try {
    static_cast<void>(replicas(4));
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("takes 32 devices of pool \"a\", which has 16; at most 2 replicas of 8 fit"));
  }
}

// More replicas than the batch feeds, and more than there are devices: the devices come first.
TEST(Scenario, DevicesLimitReplicasBeforeTheBatchDoes) {
  try {
    static_cast<void>(parse(with(training_text(), "tensor = 2", "tensor = 2\nreplicas = 100000")));
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("plan: the plan takes 400000 devices of pool \"a\", which has 16; at most 4 "
                                        "replicas of 4 fit"));
  }
}

// Two groups of one pool: what is left beside the smaller one.
TEST(Scenario, TooManyReplicasBesideAnotherGroupNameTheMostThatFit) {
  const std::string groups =
      "[[plan.group]]\nname = \"few\"\ntensor = 2\nstages = 2\nreplicas = 1\n\n"
      "[[plan.group]]\nname = \"many\"\ntensor = 2\nstages = 2\nreplicas = 100000\n";
  try {
    static_cast<void>(parse(with(training_text(), "[plan]\ntensor = 2\nstages = 2\n", groups)));
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("takes 400004 devices of pool \"a\", which has 16; at most 3 replicas of 4 "
                                        "fit in group \"many\" beside the others"));
  }
}

TEST(Scenario, AJobAcrossNodesNeedsAScaleOutLink) {
  // A device of the scenario hides the catalogue's of the same name.
  std::string device = with(with(kDeviceText, "format = \"lindos-device\"\nversion = 1\n", "\n[[device]]\n"),
                            "\"400 Gb/s\"", "\"0 Gb/s\"");
  device = with(with(with(device, "[peak]", "[device.peak]"), "[[source]]", "[[device.source]]"),
                "\n[[source]]", "\n[[device.source]]");

  const auto parse_with = [&](int replicas, const Catalogue& catalogue) {
    const std::string text =
        with(training_text(), "tensor = 2", "tensor = 2\nreplicas = " + std::to_string(replicas)) + device;
    return parse_scenario(text, "s.toml", ".", catalogue);
  };
  EXPECT_EQ(parse_with(2, tiny_catalogue()).plan.groups[0].replicas, 2);  // 8 devices, one domain
  const auto said = [&](const Catalogue& catalogue) -> std::string {
    try {
      static_cast<void>(parse_with(4, catalogue));
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_THAT(said(tiny_catalogue()),
              HasSubstr("cluster.pool.device: the job takes 16 devices of this pool, and 8 reach each other without a "
                        "network, but device \"gpu-a\" has scale_out_bandwidth = 0; set it, such as to \"50 GB/s\", "
                        "the catalogue's for gpu-a"));
  // A catalogue whose own entry has no link: another device's.
  Catalogue other = tiny_catalogue();
  other.devices["gpu-b"] = other.devices.at("gpu-a");
  other.devices["gpu-b"].name = "gpu-b";
  other.devices["gpu-a"].scale_out_bandwidth = BytesPerSecond{0};
  EXPECT_THAT(said(other), HasSubstr("\"50 GB/s\", the catalogue's for gpu-b"));
}

TEST(Scenario, ShowsTheTrainingPlanAndItsMemory) {
  const std::string text = show(parse(
      with(training_text(), "tensor = 2",
           "tensor = 2\nreplicas = 4\nzero_stage = 1\nsequence_parallel = true")));
  EXPECT_THAT(text, HasSubstr("micro-batch 1, recompute full, dropout"));
  EXPECT_THAT(text, HasSubstr("TP 2 with sequence parallelism × PP 2 × DP 4, ZeRO-1"));
  EXPECT_THAT(text, HasSubstr("16 micro-batches"));
  EXPECT_THAT(text, HasSubstr("fullest rank (stage 1): "));
  EXPECT_THAT(text, HasSubstr(" of 80 GiB: weights 0.0"));
}

TEST(Scenario, TheDefaultTrainingPlanIsValid) {
  for (const int batch : {1, 7, 12, 64}) {
    std::string text = training_text();
    text.resize(text.find("[plan]"));
    const Scenario s = parse(with(text, "global_batch = 64", "global_batch = " + std::to_string(batch)));
    EXPECT_NO_THROW(check_plan(s.plan, s, "default"));
    EXPECT_EQ(s.plan.groups[0].devices_per_replica(), 8);  // one node's domain
    EXPECT_EQ(s.plan.groups[0].replicas, batch % 2 == 0 ? 2 : 1);
  }
}

TEST(Scenario, RanksOfACpuShareTheMachine) {
  const std::string text =
      with(with(kScenarioText, "device = \"gpu-a\"", "device = \"cpu\""),
           "devices_per_node = 8\nnodes = 2", "devices_per_node = 1\nnodes = 1");
  EXPECT_EQ(parse(text).plan.groups[0].ranks_per_replica(), 4);
}

TEST(Scenario, SourcesNameSingleFacts) {
  const Scenario s =
      parse(with(kScenarioText, "[slo]",
                 "[sources]\n\"cluster.pool.a.nodes\" = { text = \"count\", date = 2026-08-01 }\n"
                 "\"fabric.switch_ports\" = \"datasheet\"\n\n[slo]"));
  EXPECT_EQ(s.sources.at("cluster.pool.a.nodes"), (Source{"count", "2026-08-01"}));
  EXPECT_EQ(s.sources.at("fabric.switch_ports"), (Source{"datasheet", ""}));
}

TEST(Scenario, ADeviceOfTheScenarioHidesTheCatalogue) {
  std::string device =
      with(with(kDeviceText, "format = \"lindos-device\"\nversion = 1\n", "[[device]]\n"),
           "\"80 GiB\"", "\"94 GiB\"");
  device = with(with(with(device, "[peak]", "[device.peak]"), "[[source]]", "[[device.source]]"),
                "\n[[source]]", "\n[[device.source]]");
  const Scenario s = parse(kScenarioText + ("\n" + device));
  EXPECT_EQ(s.devices.at("gpu-a").memory, Bytes(94.0 * kGiB));
}

TEST(ScenarioExtends, TablesNotGivenComeFromTheOtherFile) {
  const Folder folder("extends");
  const auto base = folder.write("base.toml", kScenarioText);
  const auto path =
      folder.write("child.toml",
                   "format = \"lindos-scenario\"\nversion = 1\nname = \"child\"\n"
                   "extends = \"base.toml\"\n[power]\nsite_cap = \"1 MW\"\nsource = \"x\"\n");
  const Scenario child = load_scenario(path, tiny_catalogue());
  Scenario expected = load_scenario(base, tiny_catalogue());
  expected.name = "child";
  expected.cluster.power = {};
  expected.cluster.power.site_cap = Watts(1e6);
  expected.cluster.power.source.text = "x";
  EXPECT_EQ(child, expected);
}

TEST(ScenarioExtends, AComplaintNamesTheFileThatGaveTheTable) {
  const Folder folder("extends-broken");
  folder.write("base.toml", with(kScenarioText, "nodes = 2", "nodes = 0"));
  const auto path = folder.write(
      "child.toml",
      "format = \"lindos-scenario\"\nversion = 1\nname = \"child\"\nextends = \"base.toml\"\n");
  EXPECT_THAT(complaint_of(path), HasSubstr("base.toml:12:9: cluster.pool.nodes:"));
}

TEST(ScenarioExtends, ACycleIsNamed) {
  const Folder folder("extends-cycle");
  const auto link = [](const std::string& to) {
    return "format = \"lindos-scenario\"\nversion = 1\nextends = \"" + to + "\"\n";
  };
  const auto path = folder.write("a.toml", link("b.toml"));
  folder.write("b.toml", link("c.toml"));
  folder.write("c.toml", link("a.toml"));
  EXPECT_THAT(complaint_of(path),
              HasSubstr("c.toml:3:11: extends: cycle: a.toml → b.toml → c.toml → a.toml"));
}

TEST(Scenario, PlanFileIsRelativeToTheScenario) {
  const Folder folder("plan-file");
  const Scenario inline_plan = parse(kScenarioText);
  // The canonical form carries the plan as JSON; the same text in a file is the same plan.
  const std::string canonical = to_toml(inline_plan);
  const auto path = folder.write("s.toml", canonical);
  EXPECT_EQ(load_scenario(path, tiny_catalogue()).plan, inline_plan.plan);
}

TEST(Scenario, MissingFileIsNamed) {
  EXPECT_EQ(complaint_of("/no/such/scenario.toml"),
            "cannot read \"/no/such/scenario.toml\": no such file");
}

TEST(ScenarioDigest, IgnoresOrderSpaceCommentsAndUnitSpelling) {
  const std::string original = digest(parse(kScenarioText));
  const std::vector<std::pair<std::string, std::string>> same{
      {"\"20 kW\"", "\"20000 W\""},
      {"\"20 kW\"", "\"0.02 MW\""},
      {"\"1 us\"", "\"1000 ns\""},
      {"\"1 d\"", "\"24 h\""},
      {"\"500 ms\"", "\"0.5 s\""},
      {"version = 1", "version =   1   # a comment"},
      {"devices_per_node = 8\nnodes = 2", "nodes = 2\ndevices_per_node = 8"},
      {"output = 32", "output = [32, 32]"},
      {"tensor = 2", "tensor_weights = [1.0, 1.0]"},
      {"[slo]\nttft = \"500 ms\"\n", "slo = { ttft = \"500 ms\" }\n"}};
  for (const auto& [from, to] : same) {
    // An inline table must precede the first header, so it goes to the front of the file.
    const bool is_top = to.starts_with("slo =");
    std::string text = with(kScenarioText, from, is_top ? "" : to);
    if (is_top) text = to + text;
    EXPECT_EQ(digest(parse(text)), original) << to;
  }
}

TEST(ScenarioDigest, SeesEveryValue) {
  const std::string original = digest(parse(kScenarioText));
  const std::vector<std::pair<std::string, std::string>> different{
      {"\"20 kW\"", "\"20.000001 kW\""},
      {"nodes = 2", "nodes = 3"},
      {"source = \"test\"", "source = \"b\""},
      {"output = 32", "output = 33"},
      {"tensor = 2", "tensor = 1"},
      {"name = \"small\"", "name = \"s\""},
      {"\"1e-5 /h\"", "\"1.1e-5 /h\""},
      {"rate = \"2 /s\"", "rate = \"2 /s\"\nseed = 2"}};
  for (const auto& [from, to] : different) {
    EXPECT_NE(digest(parse(with(kScenarioText, from, to))), original) << to;
  }
}

TEST(ScenarioDigest, IsThirtyTwoHexDigits) {
  const std::string d = digest(parse(kScenarioText));
  EXPECT_EQ(d.size(), 32U);
  EXPECT_EQ(d.find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_NE(digest(parse(kScenarioText).plan), d);
}

// Scenarios over the fields that the writer must keep: any double, any text, any count within the
// limits.
rc::Gen<double> number(double low, double high) {
  return rc::gen::map(rc::gen::inRange(0, 1'000'000'007), [low, high](int i) {
    return low + (high - low) * (static_cast<double>(i) / 1'000'000'007.0);
  });
}

std::string any_text() {
  // Printable and awkward characters; never empty.
  static const std::string kAlphabet = "abcXYZ 019_-.\"'\\\n\t#[]=é→";
  const auto at = *rc::gen::nonEmpty(rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 25)));
  std::string text = "n";
  for (const int i : at) text += kAlphabet[static_cast<std::size_t>(i % 22)];
  return text + "é→";
}

Source any_source() {
  return {any_text(), *rc::gen::element(std::string(), std::string("2026-08-01"))};
}

Faults any_faults(const Cluster& cluster) {
  Faults f;
  f.rate_sigma = *number(0.0, 1.0);
  f.speed_sigma = *number(0.0, 1.0);
  f.slow_share = *number(0.0, 1.0);
  f.thermal_share = *number(0.0, 1.0);
  f.thermal_factor = *number(0.1, 1.0);
  f.detect = Seconds(*number(0.0, 1e3));
  f.warm_up = Seconds(*number(0.0, 1e3));
  f.without_spare = *rc::gen::element(WithoutSpare::kWait, WithoutSpare::kShrink);
  f.repair_slots = *rc::gen::inRange<std::int64_t>(0, 100);
  f.source = any_source();
  for (const FaultScope scope : kFaultScopes) {
    if (nodes_per_unit(scope, cluster.pools[0], cluster.fabric) == 0) continue;
    FaultClass fault;
    fault.name = std::string(name_of(scope)) + any_text();
    fault.device = *rc::gen::element(std::string(), std::string("gpu-a"));
    fault.scope = scope;
    // Repaired far sooner than it fails, at seven scopes and eight devices per node.
    fault.rate = Hertz(*number(0.0, 1e-6));
    fault.repair = Seconds(*number(1.0, 1e3));
    fault.source = any_source();
    f.classes.push_back(fault);
  }
  if (*rc::gen::arbitrary<bool>()) {
    f.episodes.push_back({any_text(), Hertz(*number(0.0, 1e-3)), Seconds(*number(1.0, 1e5)),
                          *number(0.0, 5.0), *number(1.001, 10.0), *number(1.0, 10.0),
                          any_source()});
  }
  return f;
}

Scenario any_scenario() {
  Scenario s = parse(kScenarioText);
  s.name = any_text();
  s.description = *rc::gen::element(std::string(), any_text());
  s.cluster.name = any_text();
  Pool& pool = s.cluster.pools[0];
  pool.node.name = any_text();
  pool.nodes = *rc::gen::inRange<std::int64_t>(2, 1'000'000);
  pool.nodes_per_rack = *rc::gen::inRange(1, 100);
  pool.racks_per_array = *rc::gen::inRange(0, 100);
  pool.racks_per_cooling_unit = *rc::gen::inRange(1, 10);
  pool.racks_per_hall = *rc::gen::inRange(0, 1000);
  if (*rc::gen::arbitrary<bool>()) pool.device_price = DollarsPerSecond{*rc::gen::inRange(1, 1000) / 7e5};
  if (*rc::gen::arbitrary<bool>()) pool.spares = *rc::gen::inRange<std::int64_t>(0, pool.nodes);
  pool.node.power_max = Watts(*number(1.0, 1e5));
  pool.node.power_idle = pool.node.power_max * 0.37;
  pool.source = any_source();
  s.cluster.fabric.efficiency = *number(0.01, 1.0);
  s.cluster.fabric.leaf_oversubscription = *number(1.0, 8.0);
  s.cluster.fabric.hop_latency = Seconds(*number(0.0, 1e-3));
  s.cluster.power.pue = *number(1.0, 2.0);
  // Above what the idle nodes draw.
  s.cluster.power.site_cap = pool.node.power_idle * static_cast<double>(pool.nodes) *
                             s.cluster.power.pue * *number(1.001, 10.0);
  s.cluster.storage = {BytesPerSecond(*number(1.0, 1e15)), BytesPerSecond(*number(1.0, 1e15)),
                       BytesPerSecond(*number(0.0, 1e12)), any_source()};
  s.cluster.faults = any_faults(s.cluster);
  Device& device = s.devices.at("gpu-a");
  device.memory = Bytes(*number(1.0, 1e12));
  device.peak[Dtype::kBf16] = FlopPerSecond(*number(1.0, 1e16));
  device.sources.at("memory") = {any_text(), "2025-12-31"};
  s.model.rope_theta = *number(1.0, 1e7);
  s.model.rope.kind = *rc::gen::element(RopeKind::kDefault, RopeKind::kYarn, RopeKind::kLlama3);
  s.model.rope.factor = *number(1.0, 64.0);
  s.model.rope.original_max_positions = *rc::gen::inRange<std::int64_t>(1, 1 << 20);
  s.model.tied_embeddings = *rc::gen::arbitrary<bool>();
  s.model.gated_ffn = *rc::gen::arbitrary<bool>();
  s.model.learned_positions = *rc::gen::arbitrary<bool>();
  s.model.eos_tokens =
      *rc::gen::container<std::vector<std::int64_t>>(rc::gen::inRange<std::int64_t>(0, 2048));
  if (*rc::gen::arbitrary<bool>()) s.model.sliding_window = {128, 0, 128, 0};
  if (*rc::gen::arbitrary<bool>()) {
    s.workload.serving.rate = Hertz(*number(1e-3, 1e6));
  } else {
    s.workload.serving.arrival = Arrival::kClosedLoop;
    s.workload.serving.rate = Hertz{0};
    s.workload.serving.concurrency = *rc::gen::inRange<std::int64_t>(1, s.workload.serving.requests + 1);
  }
  ServingWorkload& traffic = s.workload.serving;
  if (traffic.arrival == Arrival::kPoisson && *rc::gen::arbitrary<bool>()) {
    traffic.arrival = Arrival::kBursty;
    traffic.shape.burst_rate = traffic.rate * 2.0;
    traffic.shape.burst_share = 0.25;
    traffic.shape.burst_length = Seconds(10);
    traffic.prompt = {1, 64, 12.5, 0.75, {}};
    traffic.output = {2, 90, 0.0, 0.0, {2, 30, 90}};
  }
  if (traffic.prompt.low > 1 && *rc::gen::arbitrary<bool>()) {
    traffic.shared_prefix = traffic.prompt.low - 1;
    traffic.prefix_groups = *rc::gen::inRange<std::int64_t>(1, 1000);
  }
  if (*rc::gen::arbitrary<bool>()) {
    traffic.tenants = {{"a", *number(0.1, 10.0)}, {"b \"c\"", 1.0, *rc::gen::inRange(-5, 5)}};
    traffic.tenants[0].prompt = LengthRange{100, 200};
    traffic.tenants[0].shared_prefix = *rc::gen::inRange<std::int64_t>(0, 100);
    if (traffic.tenants[0].shared_prefix == 0) traffic.tenants[0].shared_prefix = 1;
    traffic.tenants[0].prefix_groups = 3;
    traffic.tenants[1].output = LengthRange{1, 90, 12.5, 0.75, {}};
    traffic.tenants[1].ttft = Seconds(*number(0.0, 1.0));
    s.plan.admission.unfinished = {*rc::gen::inRange<std::int64_t>(0, 9), 100};
    s.plan.admission.priorities = {{-1, {4, 0}}, {3, {0, 7}}};
    s.plan.admission.tenants = {{"b \"c\"", {Hertz(*number(1e-3, 1e3)), 7}, {}}, {"a", {}, {Hertz(12.5), 900}}};
  }
  s.workload.seed = *rc::gen::inRange<std::uint64_t>(0, 1'000'000'000);
  s.slo.tpot = Seconds(*number(0.0, 1.0));
  s.slo.percentile = *number(0.01, 1.0);
  s.sources["cluster.pool.a.nodes"] = any_source();
  s.plan.name = any_text();
  return s;
}

RC_GTEST_PROP(Scenario, LoadOfSaveIsIdentity, ()) {
  const Scenario s = any_scenario();
  const std::string text = to_toml(s);
  const Scenario back = parse(text);
  RC_ASSERT(back == s);
  RC_ASSERT(to_toml(back) == text);
  RC_ASSERT(digest(back) == digest(s));
}

}  // namespace
}  // namespace lindos::testing
