// SPDX-License-Identifier: Apache-2.0
// Choice of experts and the order of (token, expert) pairs by expert.
#include "kernels/cuda/common.cuh"
#include "kernels/cuda/device_limits.h"
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/moe.h"
#include "kernels/cuda/reduce.cuh"
#include "kernels/cuda/shared_rows.cuh"

namespace lindos::kernels::cuda {

namespace {

constexpr int kWarps = 8;
constexpr int kThreads = kWarps * kWarp;
constexpr unsigned kAllLanes = 0xffffffffU;

// Never 0, which stands for no logit.
__device__ __forceinline__ unsigned key_of(float value) { return max(1U, ordered(value)); }

// What lane j < top_k knows after the choice: its expert, the expert's weight, its place when sorted by expert.
struct Choice {
  int expert = 0;
  float weight = 0.0F;
  int place = 0;
};

// One warp, one token. A NaN among the logits makes every weight NaN; the experts stay valid.
__device__ __forceinline__ Choice choose(const float* logits, const MoeGate& gate, int lane) {
  constexpr int kPerLane = kMostExperts / kWarp;
  float value[kPerLane];
  unsigned key[kPerLane];
  float top = -INFINITY;
#pragma unroll
  for (int i = 0; i < kPerLane; ++i) {
    const int expert = lane + i * kWarp;
    const bool inside = expert < gate.experts;
    value[i] = inside ? __ldcg(logits + expert) : -INFINITY;
    key[i] = inside ? key_of(value[i]) : 0;
    top = fmaxf(top, value[i]);
  }
  top = reduce_over_warp(top, [](float a, float b) { return fmaxf(a, b); });
  float all = 0.0F;
#pragma unroll
  for (int i = 0; i < kPerLane; ++i) all += lane + i * kWarp < gate.experts ? expf(value[i] - top) : 0.0F;
  all = sum_over_warp(all);

  Choice mine;
  float logit = -INFINITY;
  for (int j = 0; j < gate.top_k; ++j) {
    unsigned best = 0;
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) best = max(best, key[i]);
    best = __reduce_max_sync(kAllLanes, best);
    unsigned expert = kMostExperts;
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      if (key[i] == best) expert = min(expert, static_cast<unsigned>(lane + i * kWarp));
    }
    expert = __reduce_min_sync(kAllLanes, expert);
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      if (static_cast<unsigned>(lane + i * kWarp) == expert) key[i] = 0;
    }
    if (lane == j) {
      mine.expert = static_cast<int>(expert);
      logit = unordered(best);
    }
  }
  const bool chosen = lane < gate.top_k;
  const float share = chosen ? expf(logit - top) : 0.0F;
  const float of_chosen = sum_over_warp(share);
  // NaN in `all` must not get lost where the chosen are finite.
  mine.weight = gate.normalise ? share / of_chosen + 0.0F * all : share / all;
  for (int j = 0; j < gate.top_k; ++j) mine.place += __shfl_sync(kAllLanes, mine.expert, j) < mine.expert ? 1 : 0;
  return mine;
}

__device__ __forceinline__ bool is_padding(const MoeGate& gate, int token) {
  return gate.position != nullptr && gate.position[token] < 0;
}

// --- up to 8 tokens -----------------------------------------------------------------------------------------------

template <Element kElement>
__device__ __forceinline__ float dot(const uint4& a, const uint4& b, float sum) {
  const std::uint32_t x[4] = {a.x, a.y, a.z, a.w};
  const std::uint32_t y[4] = {b.x, b.y, b.z, b.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float2 f = unpack<kElement>(x[i]);
    const float2 g = unpack<kElement>(y[i]);
    sum = fmaf(f.x, g.x, fmaf(f.y, g.y, sum));
  }
  return sum;
}

// Table of the hit experts from the choices of the tokens. One block; expert e is looked after by thread e.
struct HitTable {
  unsigned tokens[kMostExperts];
  float weight[kMostExperts][kFewTokens];
  int hits_before[kWarps + 1];
};

__device__ __forceinline__ void list_hits(const MoeRouteFew& r, HitTable& table) {
  static_assert(kThreads == kMostExperts, "one thread per expert");
  const int warp = threadIdx.x / kWarp;
  const int lane = threadIdx.x % kWarp;
  const int e = threadIdx.x;
  table.tokens[e] = 0;
#pragma unroll
  for (int t = 0; t < kFewTokens; ++t) table.weight[e][t] = 0.0F;
  __syncthreads();
  if (warp < r.gate.tokens && !is_padding(r.gate, warp)) {
    const Choice choice = choose(r.logits + warp * r.gate.experts, r.gate, lane);
    const int local = choice.expert - r.gate.first;
    if (lane < r.gate.top_k && local >= 0 && local < r.gate.held) {
      atomicOr(&table.tokens[local], 1U << static_cast<unsigned>(warp));
      table.weight[local][warp] = choice.weight;
    }
  }
  __syncthreads();
  const bool hit = table.tokens[e] != 0;
  const unsigned of_warp = __ballot_sync(kAllLanes, hit);
  if (lane == 0) table.hits_before[warp + 1] = __popc(of_warp);
  __syncthreads();
  if (e == 0) {
    table.hits_before[0] = 0;
    for (int w = 0; w < kWarps; ++w) table.hits_before[w + 1] += table.hits_before[w];
    r.hits->count = table.hits_before[kWarps];
  }
  __syncthreads();
  if (hit) {
    MoeHit& out = r.hits->of[table.hits_before[warp] + __popc(of_warp & ((1U << static_cast<unsigned>(lane)) - 1U))];
    out.expert = e;
    out.tokens = table.tokens[e];
#pragma unroll
    for (int t = 0; t < kFewTokens; ++t) out.weight[t] = table.weight[e][t];
  }
}

// A warp per expert of the layer computes its logits of all tokens; the last block chooses.
template <Element kElement>
__global__ void __launch_bounds__(kThreads) route_few_kernel(const MoeRouteFew r) {
  extern __shared__ __align__(128) unsigned char shared[];
  __shared__ float sums[kWarps];
  __shared__ bool is_last;
  __shared__ HitTable table;
  const int warp = threadIdx.x / kWarp;
  const int lane = threadIdx.x % kWarp;
  const int vectors = r.hidden / 8;
  const int tokens = r.gate.tokens;
  const int expert = static_cast<int>(blockIdx.x) * kWarps + warp;
  const auto* weights = reinterpret_cast<const uint4*>(r.router + static_cast<std::int64_t>(expert) * r.hidden);
  // The first of the expert's row come while the predecessor still runs: 2,048 columns.
  constexpr int kEarly = 8;
  uint4 early[kEarly];
#pragma unroll
  for (int j = 0; j < kEarly; ++j) {
    const int i = lane + j * kWarp;
    early[j] = expert < r.gate.experts && i < vectors ? __ldg(weights + i) : uint4{0, 0, 0, 0};
  }
  release_dependents();
  wait_for_predecessor();
  const SharedRows x{shared, r.hidden * static_cast<int>(sizeof(Number)), tokens, vectors};
  fetch_rows<kThreads>(x, r.x, r.hidden);
  wait_for_copies<0>();
  __syncthreads();
  normalise_rows<kElement, kWarps>(x, r.norm, r.eps, 1.0F, sums, [](const uint4& v) { return v; });
  for (int t = static_cast<int>(blockIdx.x); t < tokens; t += static_cast<int>(gridDim.x)) {
    auto* out = reinterpret_cast<uint4*>(r.normed + static_cast<std::int64_t>(t) * r.hidden);
    for (int i = threadIdx.x; i < vectors; i += kThreads) out[i] = x.row(t)[i];
  }
  if (expert < r.gate.experts) {
    float logit[kFewTokens] = {};
#pragma unroll
    for (int j = 0; j < kEarly; ++j) {
      const int i = lane + j * kWarp;
      if (i < vectors) {
#pragma unroll
        for (int t = 0; t < kFewTokens; ++t) {
          if (t < tokens) logit[t] = dot<kElement>(early[j], x.row(t)[i], logit[t]);
        }
      }
    }
#pragma unroll 4
    for (int i = lane + kEarly * kWarp; i < vectors; i += kWarp) {
      const uint4 w = __ldg(weights + i);
#pragma unroll
      for (int t = 0; t < kFewTokens; ++t) {
        if (t < tokens) logit[t] = dot<kElement>(w, x.row(t)[i], logit[t]);
      }
    }
#pragma unroll
    for (int t = 0; t < kFewTokens; ++t) {
      if (t >= tokens) continue;
      const float sum = sum_over_warp(logit[t]);
      if (lane == 0) r.logits[t * r.gate.experts + expert] = sum;
    }
    // Before the ticket says so, other blocks must be able to see them.
    __threadfence();
  }
  __syncthreads();
  if (threadIdx.x == 0) is_last = atomicAdd(r.ticket, 1U) == gridDim.x - 1;
  __syncthreads();
  if (!is_last) return;
  __threadfence();
  list_hits(r, table);
  if (threadIdx.x == 0) *r.ticket = 0;
}

// --- any number of tokens -----------------------------------------------------------------------------------------

__global__ void __launch_bounds__(kThreads) choose_kernel(const MoeGate gate, const float* logits, const MoeGroups groups) {
  wait_for_predecessor();
  const int lane = threadIdx.x % kWarp;
  const int token = static_cast<int>(blockIdx.x) * kWarps + static_cast<int>(threadIdx.x) / kWarp;
  if (token < gate.tokens) {
    const std::int64_t first = static_cast<std::int64_t>(token) * gate.top_k;
    if (is_padding(gate, token)) {
      if (lane < gate.top_k) {
        groups.expert[first + lane] = kNotHeld;
        groups.weight[first + lane] = 0.0F;
        groups.slot[first + lane] = -1;
      }
    } else {
      const Choice choice = choose(logits + static_cast<std::int64_t>(token) * gate.experts, gate, lane);
      if (lane < gate.top_k) {
        const int local = choice.expert - gate.first;
        const bool held = local >= 0 && local < gate.held;
        groups.expert[first + choice.place] = held ? static_cast<std::uint16_t>(local) : kNotHeld;
        groups.weight[first + choice.place] = choice.weight;
        // moe_group writes those of held experts.
        groups.slot[first + choice.place] = -1;
      }
    }
  }
  release_dependents();
}

constexpr int kGroupWarps = 16;
constexpr int kGroupThreads = kGroupWarps * kWarp;
constexpr int kPerLoad = 8;   // experts in 16 bytes

__device__ __forceinline__ unsigned expert_at(const uint4& v, int j) {
  const unsigned word = j < 2 ? v.x : j < 4 ? v.y : j < 6 ? v.z : v.w;
  return (j % 2 == 0 ? word : word >> 16U) & 0xffffU;
}

// One block per held expert. It reads all choices twice: how many pairs belong to experts before it and to itself, warp
// by warp; then each warp places its own behind those of the warps before it. No block needs another's result.
__global__ void __launch_bounds__(kGroupThreads) group_kernel(const MoeGate gate, const MoeGroups groups) {
  __shared__ int before[kGroupWarps];
  __shared__ int equal[kGroupWarps];
  wait_for_predecessor();
  const unsigned mine = blockIdx.x;
  const int warp = threadIdx.x / kWarp;
  const int lane = threadIdx.x % kWarp;
  const int pairs = gate.tokens * gate.top_k;
  const int loads = (pairs + kPerLoad - 1) / kPerLoad;
  const int per_warp = (loads + kGroupWarps * kWarp - 1) / (kGroupWarps * kWarp) * kWarp;
  const int begin = warp * per_warp;
  const int end = min(loads, begin + per_warp);
  const auto* experts = reinterpret_cast<const uint4*>(groups.expert);
  int n_before = 0;
  int n_equal = 0;
#pragma unroll 2
  for (int i = begin + lane; i < end; i += kWarp) {
    const uint4 v = experts[i];
#pragma unroll
    for (int j = 0; j < kPerLoad; ++j) {
      const unsigned expert = i * kPerLoad + j < pairs ? expert_at(v, j) : kNotHeld;
      n_before += expert < mine ? 1 : 0;
      n_equal += expert == mine ? 1 : 0;
    }
  }
  n_before = __reduce_add_sync(kAllLanes, n_before);
  n_equal = __reduce_add_sync(kAllLanes, n_equal);
  if (lane == 0) {
    before[warp] = n_before;
    equal[warp] = n_equal;
  }
  __syncthreads();
  int slot = 0;
  int all = 0;
#pragma unroll
  for (int w = 0; w < kGroupWarps; ++w) {
    slot += before[w] + (w < warp ? equal[w] : 0);
    all += before[w] + equal[w];
  }
  if (threadIdx.x == 0) {
    groups.offset[mine] = slot;   // of warp 0: nothing of this expert lies before
    if (mine + 1 == gridDim.x) groups.offset[mine + 1] = all;
  }
  for (int i0 = begin; i0 < end; i0 += kWarp) {
    const int i = i0 + lane;
    uint4 v{};
    unsigned here = 0;   // bit j: pair j of this lane's eight
    if (i < end) {
      v = experts[i];
#pragma unroll
      for (int j = 0; j < kPerLoad; ++j) {
        if (i * kPerLoad + j < pairs && expert_at(v, j) == mine) here |= 1U << static_cast<unsigned>(j);
      }
    }
    if (__ballot_sync(kAllLanes, here != 0) == 0) continue;
    const int count = __popc(here);
    const int upto = running_sum_over_warp(count);
    int at = slot + upto - count;
    while (here != 0) {
      const int pair = i * kPerLoad + __ffs(static_cast<int>(here)) - 1;
      here &= here - 1;
      groups.slot[pair] = at;
      groups.token[at] = pair / gate.top_k;
      groups.slot_weight[at] = groups.weight[pair];
      ++at;
    }
    slot += __shfl_sync(kAllLanes, upto, kWarp - 1);
  }
  release_dependents();
}

}  // namespace

void moe_route_few(const MoeRouteFew& route, const Launch& launch) {
  const int bytes = route.gate.tokens * route.hidden * static_cast<int>(sizeof(Number));
  const int blocks = (route.gate.experts + kWarps - 1) / kWarps;
  with_element(route.element, [&](auto element) {
    constexpr auto* kKernel = route_few_kernel<decltype(element)::value>;
    static const bool raised = [] {
      // Beside what the kernel has for its tables.
      (void)cudaFuncSetAttribute(route_few_kernel<decltype(element)::value>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 shared_memory() - 16 * 1024);
      return true;
    }();
    (void)raised;
    launch_kernel(launch, kKernel, dim3(static_cast<unsigned>(blocks)), dim3(kThreads), static_cast<std::size_t>(bytes), route);
  });
}

void moe_choose(const MoeGate& gate, const float* logits, const MoeGroups& groups, const Launch& launch) {
  const int blocks = (gate.tokens + kWarps - 1) / kWarps;
  launch_kernel(launch, choose_kernel, dim3(static_cast<unsigned>(blocks)), dim3(kThreads), 0, gate, logits, groups);
}

void moe_group(const MoeGate& gate, const MoeGroups& groups, const Launch& launch) {
  if (gate.held == 0) return;
  launch_kernel(launch, group_kernel, dim3(static_cast<unsigned>(gate.held)), dim3(kGroupThreads), 0, gate, groups);
}

}  // namespace lindos::kernels::cuda
