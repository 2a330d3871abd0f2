// SPDX-License-Identifier: Apache-2.0
// Profiles and models small enough to price by hand.
#pragma once

#include <cstdint>

#include "scenarios/hardware.h"
#include "scenarios/model.h"
#include "scenarios/plan.h"
#include "scenarios/profile.h"

namespace lindos::sim::toy {

// 1 TFLOP/s and 100 GB/s on two cores, which share both evenly; no samples.
inline Profile bare_profile() {
  Profile profile;
  profile.device = "toy";
  profile.label = "toy CPU";
  profile.source = "by hand";
  profile.date = "2026-01-01";
  profile.cores = 2;
  profile.memory = Bytes(4e9);
  profile.matrix_rate = FlopPerSecond(1e12);
  profile.read_bandwidth = BytesPerSecond(100e9);
  profile.read_bandwidth_by_threads = {BytesPerSecond(60e9), BytesPerSecond(100e9)};
  return profile;
}

inline GemmSample gemm(std::int64_t m, std::int64_t n, std::int64_t k, double seconds,
                       int threads = 2, int active_ranks = 1) {
  GemmSample sample;
  sample.m = m;
  sample.n = n;
  sample.k = k;
  sample.threads = threads;
  sample.active_ranks = active_ranks;
  sample.time = Seconds(seconds);
  sample.spread = 0.02;
  return sample;
}

// A host of one device, two cores.
inline Device host_device() {
  Device device;
  device.name = "toy";
  device.label = "toy CPU";
  device.memory = Bytes(4e9);
  return device;
}

// A GPU without samples: 100 TFLOP/s, 1 TB/s, NVLink 100 GB/s in pairs, NIC 10 GB/s.
inline Device gpu_device() {
  Device device;
  device.name = "toy-gpu";
  device.label = "toy GPU";
  device.peak[Dtype::kBf16] = FlopPerSecond(100e12);
  device.memory = Bytes(16e9);
  device.memory_bandwidth = BytesPerSecond(1e12);
  device.scale_up_bandwidth = BytesPerSecond(100e9);
  device.scale_up_domain = 2;
  device.scale_out_bandwidth = BytesPerSecond(10e9);
  device.compute_capability = 90;
  return device;
}

// Two layers, four heads over two KV heads of 16, FFN 128, vocabulary 256.
inline Model model() {
  Model model;
  model.name = "toy";
  model.architecture = "LlamaForCausalLM";
  model.hidden = 64;
  model.layers = 2;
  model.q_heads = 4;
  model.kv_heads = 2;
  model.head_dim = 16;
  model.ffn = 128;
  model.vocab = 256;
  model.max_positions = 4096;
  model.dtype = Dtype::kF32;
  return model;
}

}  // namespace lindos::sim::toy
