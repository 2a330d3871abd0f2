// SPDX-License-Identifier: Apache-2.0
// What is said about broken scenarios and devices: the exact message, so that a change of wording
// is deliberate.
#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "scenarios/error.h"
#include "tests/scenarios/scenario_fixture.h"

namespace lindos::testing {
namespace {

struct BadInput {
  const char* name;
  std::string from;  // in the fixture
  std::string to;
  const char* message;
};
void PrintTo(const BadInput& b, std::ostream* out) { *out << b.name; }

const std::vector<BadInput>& bad_scenarios() {
  static const std::vector<BadInput> cases{
      {"SyntaxError", "[workload]", "[workload",
       "s.toml:39:10: Error while parsing table header: expected ']', saw '\\n'"},
      {"DuplicateKey", "version = 1", "version = 1\nversion = 1",
       "s.toml:3:11: Error while parsing key-value pair: cannot redefine existing integer "
       "'version'"},
      {"WrongFormat", "lindos-scenario", "lindos-plan",
       "s.toml:1:10: format: expected \"lindos-scenario\", saw \"lindos-plan\""},
      {"NewerVersion", "version = 1", "version = 2",
       "s.toml:2:11: version: version 2 is newer than this lindos, which reads version 1; update "
       "lindos"},
      {"MissingName", "name = \"small\"\n", "", "s.toml:1:1: missing key \"name\""},
      {"EmptyName", "name = \"small\"", "name = \"\"",
       "s.toml:3:8: name: expected a text, saw an empty one"},
      {"UnknownTable", "[fabric]", "[fabrik]",
       "s.toml:16:2: fabrik: unknown key; did you mean \"fabric\"?"},
      {"UnknownKeyNearest", "nodes_per_rack", "node_per_rack",
       "s.toml:13:1: cluster.pool.node_per_rack: unknown key; did you mean \"nodes_per_rack\"?"},
      {"UnknownKeyStranger", "nodes_per_rack", "temperature",
       "s.toml:13:1: cluster.pool.temperature: unknown key; known: \"name\", \"device\", \"node\", "
       "\"devices_per_node\", \"nodes\", \"node_power_max\", \"node_power_idle\", "
       "\"nodes_per_rack\", \"racks_per_array\", \"racks_per_cooling_unit\", \"racks_per_hall\", \"device_price\", "
       "\"spares\", \"source\""},
      {"MissingKey", "nodes = 2\n", "", "s.toml:8:1: cluster.pool: missing key \"nodes\""},
      {"BareNumberForQuantity", "\"20 kW\"", "20000",
       "s.toml:23:12: power.site_cap: expected a quantity such as \"700 W\", saw 20000"},
      {"QuantityWithoutUnit", "\"20 kW\"", "\"20000\"",
       "s.toml:23:12: power.site_cap: expected a quantity such as \"700 W\", saw \"20000\" without "
       "a unit"},
      {"WrongCaseOfUnit", "\"20 kW\"", "\"20 KW\"",
       "s.toml:23:12: power.site_cap: unknown unit \"KW\" in \"20 KW\"; did you mean \"kW\"?"},
      {"UnknownUnit", "\"20 kW\"", "\"20 horses\"",
       "s.toml:23:12: power.site_cap: unknown unit \"horses\" in \"20 horses\"; known: W, kW, MW, "
       "GW"},
      {"NegativeQuantity", "\"20 kW\"", "\"-20 kW\"",
       "s.toml:23:12: power.site_cap: must not be negative, saw \"-20 kW\""},
      {"AbsurdQuantity", "\"20 kW\"", "\"20e30 kW\"",
       "s.toml:23:12: power.site_cap: \"20e30 kW\" is beyond any cluster (limit 1e+12 W)"},
      {"TextForInteger", "nodes = 2", "nodes = \"2\"",
       "s.toml:12:9: cluster.pool.nodes: expected an integer, saw \"2\""},
      {"FloatForInteger", "nodes = 2", "nodes = 2.5",
       "s.toml:12:9: cluster.pool.nodes: expected an integer, saw 2.5"},
      {"ZeroNodes", "nodes = 2", "nodes = 0",
       "s.toml:12:9: cluster.pool.nodes: expected an integer from 1 to 100000000, saw 0"},
      {"AbsurdNodes", "nodes = 2", "nodes = 2000000000",
       "s.toml:12:9: cluster.pool.nodes: expected an integer from 1 to 100000000, saw 2000000000"},
      {"NegativeDevices", "devices_per_node = 8", "devices_per_node = -8",
       "s.toml:11:20: cluster.pool.devices_per_node: expected an integer from 1 to 1024, saw -8"},
      {"UnknownDevice", "device = \"gpu-a\"", "device = \"gpu-aa\"",
       "s.toml:10:10: cluster.pool.device: unknown device \"gpu-aa\"; did you mean \"gpu-a\"?"},
      {"UnknownModel", "name = \"tiny\"", "name = \"tony\"",
       "s.toml:37:8: model.name: unknown model \"tony\"; did you mean \"tiny\"?"},
      {"NoPool",
       "[[cluster.pool]]\nname = \"a\"\ndevice = \"gpu-a\"\ndevices_per_node = 8\nnodes = "
       "2\nnodes_per_rack = 4\nsource = \"test\"\n",
       "", "s.toml:5:1: cluster: a cluster needs at least one [[cluster.pool]]"},
      {"DuplicatePool", "[fabric]",
       "[[cluster.pool]]\nname = \"a\"\ndevice = \"gpu-a\"\ndevices_per_node = 8\nnodes = "
       "1\nsource = \"x\"\n\n[fabric]",
       "s.toml:17:8: cluster.pool.name: second pool named \"a\""},
      {"FactWithoutSource", "nodes_per_rack = 4\nsource = \"test\"", "nodes_per_rack = 4",
       "s.toml:8:1: cluster.pool: missing key \"source\""},
      {"SourceWithBadDate", "nodes_per_rack = 4\nsource = \"test\"",
       "nodes_per_rack = 4\nsource = { text = \"x\", date = \"2026-08-01\" }",
       "s.toml:14:31: cluster.pool.source.date: expected a date such as 2026-08-01 (without "
       "quotes), saw \"2026-08-01\""},
      {"IdleAboveMax", "nodes_per_rack = 4",
       "node_power_max = \"5 kW\"\nnode_power_idle = \"6 kW\"",
       "s.toml:14:19: cluster.pool.node_power_idle: 6 kW idle is not below node_power_max 5 kW"},
      {"IdleWithoutMax", "nodes_per_rack = 4", "node_power_idle = \"6 kW\"",
       "s.toml:13:19: cluster.pool.node_power_idle: needs node_power_max beside it"},
      {"HallWithoutRack", "nodes_per_rack = 4", "racks_per_hall = 8",
       "s.toml:13:18: cluster.pool.racks_per_hall: halls of racks need nodes_per_rack"},
      {"ArrayWithoutRack", "nodes_per_rack = 4", "racks_per_array = 8",
       "s.toml:13:19: cluster.pool.racks_per_array: arrays of racks need nodes_per_rack"},
      {"TableForPool", "[[cluster.pool]]", "[cluster.pool]",
       "s.toml:8:1: cluster.pool: expected an array of tables ([[cluster.pool]]), saw a table"},
      {"UnknownFabric", "\"rail-fat-tree\"", "\"rail-fattree\"",
       "s.toml:17:8: fabric.kind: unknown choice \"rail-fattree\"; did you mean "
       "\"rail-fat-tree\"?"},
      {"FabricWithoutPorts", "switch_ports = 64\n", "",
       "s.toml:16:1: fabric: a rail-fat-tree needs switch_ports of 2 or more, such as 64"},
      {"OversubscriptionBelowOne", "switch_ports = 64",
       "switch_ports = 64\nleaf_oversubscription = 0.5",
       "s.toml:19:25: fabric.leaf_oversubscription: expected a number from 1 to 1000, saw 0.5"},
      {"NanNumber", "switch_ports = 64", "switch_ports = 64\nefficiency = nan",
       "s.toml:19:14: fabric.efficiency: expected a number from 0.01 to 1, saw nan"},
      {"NodesWithoutFabric", "kind = \"rail-fat-tree\"\nswitch_ports = 64", "kind = \"none\"",
       "s.toml:5:1: cluster: 2 nodes need a [fabric], such as kind = \"rail-fat-tree\" with "
       "switch_ports = 64"},
      {"PueBelowOne", "site_cap = \"20 kW\"", "site_cap = \"20 kW\"\npue = 0.9",
       "s.toml:24:7: power.pue: expected a number from 1 to 5, saw 0.9"},
      {"DuplicateFaultClass", "[model]",
       "[[faults.class]]\nname = \"gpu\"\nrate_per_device = \"1 /d\"\nrepair = \"1 h\"\nsource = "
       "\"x\"\n\n[model]",
       "s.toml:37:8: faults.class.name: second fault class named \"gpu\""},
      {"MoreSparesThanNodes", "nodes_per_rack = 4", "spares = 3",
       "s.toml:13:10: cluster.pool.spares: expected an integer from 0 to 2, saw 3"},
      {"SparesInThePlan", "nodes_per_rack = 4", "spares = 2",
       "s.toml:13:10: cluster.pool.spares: the plan takes 1 of the 2 nodes, so at most 1 can be "
       "spares, saw 2"},
      {"DeviceCapBelowIdle", "site_cap = \"20 kW\"", "device_cap = \"70 W\"",
       "s.toml:23:14: power.device_cap: 70 W is not above the idle power of gpu-a, 70 W; no "
       "slowdown keeps it"},
      {"RackCapBelowIdle", "site_cap = \"20 kW\"", "rack_cap = \"2 kW\"",
       "s.toml:23:12: power.rack_cap: 2 kW is not above the idle power of a rack of pool \"a\", "
       "2.24 kW; no slowdown keeps it"},
      {"SiteCapBelowIdle", "site_cap = \"20 kW\"", "site_cap = \"1 kW\"\npue = 1.5",
       "s.toml:23:12: power.site_cap: 1 kW is not above the idle power of the fleet at PUE 1.5, "
       "1.68 kW; no slowdown keeps it"},
      {"ZeroStorage", "[faults]",
       "[storage]\nwrite_bandwidth = \"0 B/s\"\nread_bandwidth = \"1 TB/s\"\nsource = "
       "\"x\"\n\n[faults]",
       "s.toml:27:19: storage.write_bandwidth: must be above zero"},
      {"RateMissingInClass", "rate_per_device = \"1e-5 /h\"\n", "",
       "s.toml:30:1: faults.class: missing rate such as rate_per_device = \"1e-5 /h\"; known: "
       "rate_per_device, rate_per_node, rate_per_rack, rate_per_cooling_unit, rate_per_leaf, "
       "rate_per_array, rate_per_hall"},
      {"TwoRatesOfOneClass", "rate_per_device = \"1e-5 /h\"",
       "rate_per_device = \"1e-5 /h\"\nrate_per_rack = \"1e-5 /h\"",
       "s.toml:33:17: faults.class.rate_per_rack: contradicts rate_per_device: a class has one "
       "rate; make it two classes"},
      {"RateOfHallsNobodyCounts", "rate_per_device = \"1e-5 /h\"", "rate_per_hall = \"1e-5 /h\"",
       "s.toml:32:17: faults.class.rate_per_hall: pool \"a\" has no racks_per_hall, so units "
       "cannot be counted; give it, or limit the class with device = \"…\""},
      {"FaultOfADeviceTheFleetLacks", "rate_per_device = \"1e-5 /h\"",
       "rate_per_device = \"1e-5 /h\"\ndevice = \"gpu-b\"",
       "s.toml:33:10: faults.class.device: unknown device of this fleet \"gpu-b\"; did you mean "
       "\"gpu-a\"?"},
      {"ClassForOneDeviceAndForAll", "[model]",
       "[[faults.class]]\nname = \"gpu\"\ndevice = \"gpu-a\"\nrate_per_device = \"1 /d\"\nrepair = "
       "\"1 h\"\nsource = \"x\"\n\n[model]",
       "s.toml:37:8: faults.class.name: class \"gpu\" gives gpu-a two rates: one of its own and "
       "one "
       "for every device; name a device in each"},
      {"MoreNodesOutThanThereAre", "\"1e-5 /h\"", "\"1 /h\"",
       "s.toml:30:1: faults.class: rates and repair times contradict: of the 2 nodes of pool "
       "\"a\", "
       "384 would be out of service on average"},
      {"EpisodeThatSlowsNothing", "[model]",
       "[[faults.episode]]\nname = \"slow\"\nrate_per_node = \"1 /d\"\nduration = \"1 h\"\nsource "
       "= "
       "\"x\"\n\n[model]",
       "s.toml:36:1: faults.episode: slows nothing; give compute_slowdown or network_slowdown "
       "above "
       "1, such as 1.1"},
      {"EpisodeThatSpeedsUp", "[model]",
       "[[faults.episode]]\nname = \"slow\"\nrate_per_node = \"1 /d\"\nduration = \"1 h\"\n"
       "compute_slowdown = 0.9\nsource = \"x\"\n\n[model]",
       "s.toml:40:20: faults.episode.compute_slowdown: expected a number from 1 to 1000, saw 0.9"},
      {"UnknownRecovery", "detect = \"60 s\"", "detect = \"60 s\"\nwithout_spare = \"shrik\"",
       "s.toml:28:17: faults.without_spare: unknown choice \"shrik\"; did you mean \"shrink\"?"},
      {"UnknownWorkload", "kind = \"serving\"", "kind = \"surfing\"",
       "s.toml:40:8: workload.kind: unknown choice \"surfing\"; did you mean \"serving\"?"},
      {"KeyOfTheOtherWorkload", "output = 32", "output = 32\nglobal_batch = 8",
       "s.toml:46:1: workload.global_batch: unknown key; known: \"kind\", \"requests\", "
       "\"arrival\", \"rate\", \"concurrency\", \"duration\", \"prompt\", \"output\", \"seed\", "
       "\"shared_prefix\", \"prefix_groups\", \"variation\", \"burst_rate\", \"burst_share\", "
       "\"burst_length\", \"swing\", \"period\", \"peak_at\", \"tenant\", \"expert_skew\""},
      {"TenantWithoutShare", "output = 32", "output = 32\ntenant = [{ name = \"a\" }]",
       "s.toml:46:11: workload.tenant: missing key \"share\""},
      {"TenantThatAsksNothing", "output = 32", "output = 32\ntenant = [{ name = \"a\", share = 0 }]",
       "s.toml:46:33: workload.tenant.share: must be above zero; leave out a tenant that asks nothing"},
      {"TenantTwice", "output = 32",
       "output = 32\ntenant = [{ name = \"a\", share = 1 }, { name = \"a\", share = 2 }]",
       "s.toml:46:47: workload.tenant.name: second tenant named \"a\""},
      {"TenantKeyNearest", "output = 32", "output = 32\ntenant = [{ name = \"a\", shares = 1 }]",
       "s.toml:46:25: workload.tenant.shares: unknown key; did you mean \"share\"?"},
      {"TenantPromptBelowThePrefix", "output = 32",
       "output = 32\nshared_prefix = 32\ntenant = [{ name = \"a\", share = 1, prompt = 32 }]",
       "s.toml:47:45: workload.tenant.prompt: its shortest of 32 tokens does not hold the workload's shared_prefix of 32; "
       "give the tenant its own"},
      {"TenantRequestsBeyondTheContext", "output = 32",
       "output = 32\ntenant = [{ name = \"a\", share = 1, output = 4096 }]",
       "s.toml:44:10: workload.prompt: prompt + output of up to 4224 tokens exceed the context of 4096 of model \"tiny\""},
      {"AdmissionOfNothing", "[plan]", "[plan]\nadmission = {}",
       "s.toml:51:13: plan.admission: limits nothing; give replica_unfinished, router_unfinished, [[priority]] or [[tenant]]"},
      {"AdmissionRateWithoutBurst", "[plan]", "[plan]\nadmission = { tenant = [{ tenant = \"a\", request_rate = \"1 /s\" }] }",
       "s.toml:51:25: plan.admission.tenant: missing key \"request_burst\""},
      {"AdmissionBareRate", "[plan]",
       "[plan]\nadmission = { tenant = [{ tenant = \"a\", token_rate = 5, token_burst = 9 }] }",
       "s.toml:51:54: plan.admission.tenant.token_rate: expected a quantity such as \"2 /s\", saw 5"},
      {"AdmissionOfNoTenant", "[plan]",
       "[plan]\nadmission = { tenant = [{ tenant = \"a\", token_rate = \"5 /s\", token_burst = 9 }] }",
       "s.toml:50:1: plan: /admission/tenants/0/tenant: the workload has no tenant \"a\""},
      {"AdmissionPrioritiesOutOfOrder", "[plan]",
       "[plan]\nadmission = { priority = [{ priority = 2, replica_unfinished = 4 }, { priority = 1, replica_unfinished = 2 }] }",
       "s.toml:50:1: plan: /admission/priorities/1/priority: priorities ascend, each stands once: the first that covers a "
       "request counts"},
      {"RequestsAndDuration", "rate = \"2 /s\"", "rate = \"2 /s\"\nduration = \"1 h\"",
       "s.toml:44:12: workload.duration: give either requests or the duration of the arrivals"},
      {"GammaWithoutVariation", "\"poisson\"", "\"gamma\"", "s.toml:39:1: workload: missing key \"variation\""},
      {"VariationOfPoisson", "rate = \"2 /s\"", "rate = \"2 /s\"\nvariation = 2.0",
       "s.toml:44:13: workload.variation: arrival = \"poisson\" does not use it; remove the key or say "
       "arrival = \"gamma\""},
      {"BurstsBeyondTheRate", "\"poisson\"", "\"bursty\"\nburst_rate = \"8 /s\"\nburst_share = 0.5",
       "s.toml:44:15: workload.burst_share: bursts alone would exceed the mean rate: burst_rate × burst_share is "
       "4.000000 /s"},
      {"LengthsInDisorder", "[64, 128]", "{ quantiles = [9, 4] }",
       "s.toml:44:24: workload.prompt.quantiles: expected two or more lengths in ascending order"},
      {"NoSuchTrace", "[64, 128]", "{ trace = \"none.csv\", format = \"azure\" }",
       "none.csv: cannot be opened as a trace"},
      {"RateMissing", "rate = \"2 /s\"\n", "", "s.toml:39:1: workload: missing key \"rate\""},
      {"RateWithoutArrivals", "\"poisson\"", "\"together\"",
       "s.toml:43:8: workload.rate: arrival = \"together\" has no rate; remove the key"},
      {"RateOfAClosedLoop", "\"poisson\"", "\"closed-loop\"",
       "s.toml:43:8: workload.rate: arrival = \"closed-loop\" has no rate; remove the key"},
      {"ClosedLoopWithoutClients", "\"poisson\"\nrate = \"2 /s\"", "\"closed-loop\"",
       "s.toml:39:1: workload: missing key \"concurrency\""},
      {"ClientsWithoutARequest", "\"poisson\"\nrate = \"2 /s\"", "\"closed-loop\"\nconcurrency = 5000",
       "s.toml:43:15: workload.concurrency: 5000 clients for 8 requests: each client sends at least one"},
      {"ClientsWithARate", "rate = \"2 /s\"", "rate = \"2 /s\"\nconcurrency = 4",
       "s.toml:44:15: workload.concurrency: arrival = \"poisson\" has no clients; remove the key or say "
       "arrival = \"closed-loop\""},
      {"ReversedRange", "[64, 128]", "[128, 64]",
       "s.toml:44:10: workload.prompt: expected a length such as 128 or a range [low, high] such "
       "as [64, 128]"},
      {"RangeOfThree", "[64, 128]", "[64, 128, 256]",
       "s.toml:44:10: workload.prompt: expected a length such as 128 or a range [low, high] such "
       "as [64, 128]"},
      {"ContextOverflow", "output = 32", "output = 4000",
       "s.toml:44:10: workload.prompt: prompt + output of up to 4128 tokens exceed the context of "
       "4096 of model \"tiny\""},
      {"PercentileAboveOne", "ttft = \"500 ms\"", "percentile = 99",
       "s.toml:48:14: slo.percentile: expected a number from 0.01 to 1, saw 99"},
      {"MissingTable", "[model]\nname = \"tiny\"\n", "", "s.toml:1:1: missing table [model]"},
      {"TooManyStages", "stages = 2", "stages = 5",
       "s.toml:52:10: plan.stages: expected an integer from 1 to 4, saw 5"},
      {"ZeroTensor", "tensor = 2", "tensor = 0",
       "s.toml:51:10: plan.tensor: expected an integer from 1 to 1024, saw 0"},
      {"WeightsDisagree", "tensor = 2", "tensor = 2\ntensor_weights = [2.0, 1.0, 1.0]",
       "s.toml:51:10: plan.tensor: does not agree with the 3 entries of tensor_weights"},
      {"WeightsAllZero", "tensor = 2", "tensor_weights = [0.0, 0.0]",
       "s.toml:51:18: plan.tensor_weights: expected relative speeds such as [2.0, 1.0], at least "
       "one above zero"},
      {"NegativeWeight", "tensor = 2", "tensor_weights = [2.0, -1.0]",
       "s.toml:51:18: plan.tensor_weights: expected numbers from 0 to 1e+09, saw -1"},
      {"UnknownPool", "tensor = 2", "tensor = 2\npool = \"b\"",
       "s.toml:52:8: plan.pool: unknown pool \"b\"; did you mean \"a\"?"},
      {"UnknownDtype", "tensor = 2", "tensor = 2\ndtype = \"bf61\"",
       "s.toml:52:9: plan.dtype: unknown dtype \"bf61\"; did you mean \"bf16\"?"},
      {"SharedPrefixOfAWholePrompt", "output = 32", "output = 32\nshared_prefix = 64",
       "s.toml:46:17: workload.shared_prefix: must be below the shortest prompt of 64 tokens, saw 64"},
      {"GroupsOfNothing", "output = 32", "output = 32\nprefix_groups = 4",
       "s.toml:46:17: workload.prefix_groups: groups of what? give shared_prefix, in tokens"},
      {"NoGroups", "output = 32", "output = 32\nshared_prefix = 32\nprefix_groups = 0",
       "s.toml:47:17: workload.prefix_groups: expected an integer from 1 to 1000000, saw 0"},
      {"PrefixReuseIsAnAnswerToYesOrNo", "tensor = 2", "tensor = 2\nprefix_reuse = \"on\"",
       "s.toml:52:16: plan.prefix_reuse: expected true or false, saw \"on\""},
      {"SkewOfADenseModel", "output = 32", "output = 32\nexpert_skew = 1.2",
       "s.toml:46:15: workload.expert_skew: model \"tiny\" has no experts to choose from"},
      {"ExpertsOfADenseModel", "tensor = 2", "tensor = 2\nexpert_parallel = 2",
       "s.toml:52:19: plan.expert_parallel: model \"tiny\" has no experts to deal out"},
      {"OffloadWithoutReuse", "tensor = 2", "tensor = 2\nkv_offload = \"64 GB\"",
       "s.toml:52:14: plan.kv_offload: host memory keeps what prompts that begin alike reuse; add prefix_reuse = true"},
      {"PowerLimitBelowIdle", "tensor = 2", "tensor = 2\npower_limit = \"60 W\"",
       "s.toml:52:15: plan.power_limit: no clock of device \"gpu-a\", which draws 70 W idle, keeps 60 W; at least 101.5 W"},
      {"PowerLimitAboveTheBoards", "tensor = 2", "tensor = 2\npower_limit = \"701 W\"",
       "s.toml:52:15: plan.power_limit: 701 W is above what device \"gpu-a\" draws at most, 700 W; leave it out"},
      {"PowerLimitOfBytes", "tensor = 2", "tensor = 2\npower_limit = \"400 GB\"",
       "s.toml:52:15: plan.power_limit: unknown unit \"GB\" in \"400 GB\"; did you mean \"GW\"?"},
      {"PriceWithoutTime", "nodes = 2", "nodes = 2\ndevice_price = \"2.5 $\"",
       "s.toml:13:16: cluster.pool.device_price: unknown unit \"$\" in \"2.5 $\"; known: $/h, $/s"},
      {"PriceOfEnergyPerHour", "site_cap = \"20 kW\"", "site_cap = \"20 kW\"\nenergy_price = \"0.08 $/kwh\"",
       "s.toml:24:16: power.energy_price: unknown unit \"$/kwh\" in \"0.08 $/kwh\"; did you mean \"$/kWh\"?"},
      {"OffloadOfSeconds", "tensor = 2", "tensor = 2\nprefix_reuse = true\nkv_offload = \"64 s\"",
       "s.toml:53:14: plan.kv_offload: unknown unit \"s\" in \"64 s\"; did you mean \"B\"?"},
      {"MoreDevicesThanThePool", "tensor = 2", "tensor = 2\nreplicas = 5",
       "s.toml:50:1: plan: the plan takes 20 devices of pool \"a\", which has 16; at most 4 "
       "replicas of 4 fit"},
      {"TrainingKeyInServing", "tensor = 2", "tensor = 2\nzero_stage = 1",
       "s.toml:52:14: plan.zero_stage: is for training; the workload is serving"},
      {"GlobalBatchOfNoWholeMicroBatches",
       "kind = \"serving\"\nrequests = 8\narrival = \"poisson\"\nrate = \"2 /s\"\nprompt = [64, 128]\noutput = 32",
       "kind = \"training\"\nsequence = 4096\nglobal_batch = 10\nmicro_batch = 4",
       "s.toml:42:16: workload.global_batch: 10 sequences are not a whole number of micro-batches of 4; 8 or 12 are"},
      {"UnknownRecompute",
       "kind = \"serving\"\nrequests = 8\narrival = \"poisson\"\nrate = \"2 /s\"\nprompt = [64, 128]\noutput = 32",
       "kind = \"training\"\nsequence = 4096\nglobal_batch = 8\nrecompute = \"ful\"",
       "s.toml:43:13: workload.recompute: unknown choice \"ful\"; did you mean \"full\"?"},
      {"RoleOfTheOtherWorkload", "tensor = 2", "tensor = 2\nrole = \"train\"",
       "s.toml:52:8: plan.role: the workload is serving"},
      {"UnknownRouting", "tensor = 2", "tensor = 2\nrouting = { policy = \"leest-outstanding\" }",
       "s.toml:52:22: plan.routing.policy: unknown choice \"leest-outstanding\"; did you mean \"least-outstanding\"?"},
      {"RoutersWithoutUse", "tensor = 2", "tensor = 2\nrouting = { policy = \"random\", replicas_per_router = 8 }",
       "s.toml:52:54: plan.routing.replicas_per_router: only a policy that looks at the replicas' load or admission limits need it"},
      {"NoReplicaToRouteTo", "tensor = 2", "tensor = 2\nrouting_weight = 0.0",
       "s.toml:50:1: plan: /groups: no group has a routing_weight above 0, so that no request could be served"},
      {"MaxContextBeyondModel", "tensor = 2", "tensor = 2\nmax_context = 8192",
       "s.toml:52:15: plan.max_context: the model's context is 4096, saw 8192"},
      {"MissingPlanFile", "tensor = 2\nstages = 2", "file = \"no-such-plan.json\"",
       "s.toml:51:8: plan.file: cannot read \"./no-such-plan.json\": no such file"},
      {"MissingConfig", "name = \"tiny\"", "config = \"no-such/config.json\"",
       "s.toml:37:10: model.config: cannot read \"./no-such/config.json\": no such file"},
      {"ConfigIsFolder", "name = \"tiny\"", "config = \".\"",
       "s.toml:37:10: model.config: cannot read \"./.\": not a regular file"},
      {"MissingBase", "version = 1", "version = 1\nextends = \"/no-such.toml\"",
       "s.toml:3:11: extends: cannot read \"/no-such.toml\": no such file"},
      {"ExtendsItself", "version = 1", "version = 1\nextends = \"s.toml\"",
       "s.toml:3:11: extends: cycle: s.toml → s.toml"},
      {"SourceOfNothing", "[slo]", "[sources]\n\"cluster.pool.b.nodes\" = \"x\"\n\n[slo]",
       "s.toml:48:26: sources.cluster.pool.b.nodes: names no fleet value of this scenario; "
       "expected a quoted path such as \"cluster.pool.h100.nodes\""},
      {"PlanNextToFile", "tensor = 2", "tensor = 2\nfile = \"plan.json\"",
       "s.toml:53:1: plan.stages: unknown key; known: \"file\""},
  };
  return cases;
}

const std::vector<BadInput>& bad_devices() {
  static const std::vector<BadInput> cases{
      {"WrongFormat", "lindos-device", "lindos-scenario",
       "d.toml:1:10: format: expected \"lindos-device\", saw \"lindos-scenario\""},
      {"UnknownKey", "memory_bandwidth = ", "memory_bandwith = ",
       "d.toml:7:1: memory_bandwith: unknown key; did you mean \"memory_bandwidth\"?"},
      {"FigureWithoutSource", "\"memory\", ", "", "d.toml:1:1: \"memory\" has no [[source]]"},
      {"SourceOfUnknownFigure", "\"memory\", ", "\"memory\", \"memroy\", ",
       "d.toml:16:10: source.fields: unknown figure \"memroy\"; did you mean \"memory\"?"},
      {"SecondSource", "fields = [\"scale_out_bandwidth\"",
       "fields = [\"memory\", \"scale_out_bandwidth\"",
       "d.toml:20:10: source.fields: \"memory\" has a second source"},
      {"SourceWithoutDate", "text = \"datasheet\"\ndate = 2026-08-01\n", "text = \"datasheet\"\n",
       "d.toml:15:1: source: expected the date of reading such as date = 2026-08-01 (no quotes)"},
      {"FlopsIsNoUnit", "\"989 TFLOP/s\"", "\"989 TFLOPS\"",
       "d.toml:14:8: peak.bf16: unknown unit \"TFLOPS\" in \"989 TFLOPS\"; did you mean "
       "\"TFLOP/s\"?"},
      {"UnknownDtype",
       "bf16 = ", "bf17 = ", "d.toml:14:1: peak.bf17: unknown key; did you mean \"bf16\"?"},
      {"NoPeak", "bf16 = \"989 TFLOP/s\"\n", "",
       "d.toml:13:1: peak: expected at least one dtype such as bf16 = \"989 TFLOP/s\""},
      {"IdleAboveMax", "power_idle = \"70 W\"", "power_idle = \"7 kW\"",
       "d.toml:12:14: power_idle: 7 kW idle is not below power_max 700 W"},
      {"ZeroMemory", "\"80 GiB\"", "\"0 GiB\"", "d.toml:6:10: memory: must be above zero"},
      {"ProbedWithFigures", "version = 1", "version = 1\nprobe = true",
       "d.toml:6:22: compute_capability: a device with probe = true takes its figures from the "
       "profile; remove the key"},
  };
  return cases;
}

template <class Parse>
void expect_message(const Parse& parse_text, const std::string& text, const std::string& message) {
  try {
    parse_text(text);
    FAIL() << "accepted";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kInput);
    EXPECT_EQ(std::string(e.what()), message);
  }
}

class BadScenario : public ::testing::TestWithParam<BadInput> {};
TEST_P(BadScenario, IsRefusedWithThisMessage) {
  const BadInput& c = GetParam();
  expect_message([](const std::string& t) { static_cast<void>(parse(t)); },
                 with(kScenarioText, c.from, c.to), c.message);
}
const auto name_of_case = [](const auto& info) { return std::string(info.param.name); };
INSTANTIATE_TEST_SUITE_P(Scenario, BadScenario, ::testing::ValuesIn(bad_scenarios()), name_of_case);

// Spares and repairs are in two tables: the fixture without any repair, with a spare.
TEST(BadScenario, SparesThatNothingEverNeedsAreRefused) {
  const std::string text = with(with(kScenarioText, "repair = \"1 d\"", "repair = \"0 s\""),
                                "nodes_per_rack = 4", "spares = 1");
  expect_message([](const std::string& t) { static_cast<void>(parse(t)); }, text,
                 "s.toml:30:1: faults.class: every repair is 0 s, so no node ever leaves, but pool "
                 "\"a\" holds 1 spares; give repair times or remove the spares");
}

const std::string kTraining =
    with(with(kScenarioText,
              "kind = \"serving\"\nrequests = 8\narrival = \"poisson\"\nrate = \"2 /s\"\n"
              "prompt = [64, 128]\noutput = 32\n",
              "kind = \"training\"\nsequence = 4096\nglobal_batch = 64\n[workload.checkpoint]\n"
              "asynchronous = true\nblocking = \"1 s\"\ninterval = \"5 min\"\nsource = \"x\"\n"),
         "[slo]\nttft = \"500 ms\"\n\n", "");

const std::vector<BadInput>& bad_checkpoints() {
  static const std::vector<BadInput> cases{
      {"BlockingLongerThanInterval", "\"1 s\"", "\"6 min\"",
       "s.toml:45:12: workload.checkpoint.blocking: 6 min is not below the interval of 5 min: the "
       "job would only save"},
      {"ZeroInterval", "\"5 min\"", "\"0 s\"",
       "s.toml:46:12: workload.checkpoint.interval: must be above zero; remove the key for the "
       "best "
       "interval"},
      {"BlockingOfASynchronousSave", "asynchronous = true\n", "",
       "s.toml:44:12: workload.checkpoint.blocking: a synchronous save blocks for as long as it "
       "writes; add asynchronous = true or remove the key"},
      {"CheckpointWithoutSource", "interval = \"5 min\"\nsource = \"x\"\n",
       "interval = \"5 min\"\n", "s.toml:43:1: workload.checkpoint: missing key \"source\""},
  };
  return cases;
}

class BadCheckpoint : public ::testing::TestWithParam<BadInput> {};
TEST_P(BadCheckpoint, IsRefusedWithThisMessage) {
  const BadInput& c = GetParam();
  expect_message([](const std::string& t) { static_cast<void>(parse(t)); },
                 with(kTraining, c.from, c.to), c.message);
}
INSTANTIATE_TEST_SUITE_P(Scenario, BadCheckpoint, ::testing::ValuesIn(bad_checkpoints()),
                         name_of_case);

class BadDevice : public ::testing::TestWithParam<BadInput> {};
TEST_P(BadDevice, IsRefusedWithThisMessage) {
  const BadInput& c = GetParam();
  expect_message([](const std::string& t) { static_cast<void>(parse_device(t, "d.toml")); },
                 with(kDeviceText, c.from, c.to), c.message);
}
INSTANTIATE_TEST_SUITE_P(Scenario, BadDevice, ::testing::ValuesIn(bad_devices()), name_of_case);

}  // namespace
}  // namespace lindos::testing
