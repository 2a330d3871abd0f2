// SPDX-License-Identifier: Apache-2.0
// A small catalogue and a small valid scenario that the scenario tests vary.
#pragma once

#include <string>

#include "scenarios/scenario.h"

namespace lindos::testing {

inline constexpr const char* kDeviceText = R"(format = "lindos-device"
version = 1
name = "gpu-a"
label = "GPU A"
compute_capability = 90
memory = "80 GiB"
memory_bandwidth = "3.35 TB/s"
scale_up_bandwidth = "450 GB/s"
scale_up_domain = 8
scale_out_bandwidth = "400 Gb/s"
power_max = "700 W"
power_idle = "70 W"
[peak]
bf16 = "989 TFLOP/s"
[[source]]
fields = ["compute_capability", "memory", "memory_bandwidth", "scale_up_bandwidth", "scale_up_domain"]
text = "datasheet"
date = 2026-08-01
[[source]]
fields = ["scale_out_bandwidth", "power_max", "power_idle", "peak.bf16"]
text = "assume: test"
date = 2026-08-02
)";

// Dense, 4 layers, 8 q heads / 4 KV heads.
inline Model tiny_model() {
  Model m;
  m.name = "tiny";
  m.architecture = "LlamaForCausalLM";
  m.hidden = 256;
  m.layers = 4;
  m.q_heads = 8;
  m.kv_heads = 4;
  m.head_dim = 32;
  m.ffn = 1024;
  m.vocab = 2048;
  m.max_positions = 4096;
  return m;
}

inline Catalogue tiny_catalogue() {
  Catalogue catalogue;
  catalogue.devices["gpu-a"] = parse_device(kDeviceText, "gpu-a.toml");
  Device cpu;
  cpu.name = "cpu";
  cpu.label = "cpu";
  catalogue.devices["cpu"] = cpu;
  catalogue.models["tiny"] = tiny_model();
  return catalogue;
}

inline constexpr const char* kScenarioText = R"(format = "lindos-scenario"
version = 1
name = "small"

[cluster]
name = "two nodes"

[[cluster.pool]]
name = "a"
device = "gpu-a"
devices_per_node = 8
nodes = 2
nodes_per_rack = 4
source = "test"

[fabric]
kind = "rail-fat-tree"
switch_ports = 64
hop_latency = "1 us"
source = "test"

[power]
site_cap = "20 kW"
source = "test"

[faults]
detect = "60 s"
source = "test"

[[faults.class]]
name = "gpu"
rate_per_device = "1e-5 /h"
repair = "1 d"
source = "test"

[model]
name = "tiny"

[workload]
kind = "serving"
requests = 8
arrival = "poisson"
rate = "2 /s"
prompt = [64, 128]
output = 32

[slo]
ttft = "500 ms"

[plan]
tensor = 2
stages = 2
)";

// `text` with the first occurrence of `from` replaced; an absent `from` yields a text that no test
// expects.
inline std::string with(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  if (at == std::string::npos) return "the fixture does not contain: " + from;
  return text.replace(at, from.size(), to);
}

inline Scenario parse(const std::string& text, const std::string& base = ".") {
  return parse_scenario(text, "s.toml", base, tiny_catalogue());
}

}  // namespace lindos::testing
