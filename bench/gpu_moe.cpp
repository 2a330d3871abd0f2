// SPDX-License-Identifier: Apache-2.0
#include "bench/gpu_moe.h"

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "exec/cuda/blas_lt.h"
#include "exec/cuda/launch_timing.h"
#include "kernels/cuda/moe.h"

namespace lindos::bench {
namespace {

using exec::cuda::DeviceBuffer;
using exec::cuda::random_numbers;
using exec::cuda::Stream;
using exec::cuda::Timed;
using Json = nlohmann::ordered_json;
using kernels::cuda::Number;

namespace kc = kernels::cuda;

struct Shape {
  const char* name;
  int experts, top_k, hidden, ffn;
};

template <class T>
DeviceBuffer array_of(std::int64_t elements) {
  return DeviceBuffer(static_cast<std::size_t>(elements) * sizeof(T));
}

template <class T>
std::vector<T> read(const DeviceBuffer& buffer) {
  std::vector<T> values(buffer.bytes() / sizeof(T));
  exec::cuda::check(cudaMemcpy(values.data(), buffer.as<void>(), buffer.bytes(), cudaMemcpyDeviceToHost), "copy");
  return values;
}

// Several sets of tokens take turns, since the experts that one set hits may lie in L2.
struct Tokens {
  Tokens(kc::Element element, const Shape& s, int tokens, std::uint64_t seed, const Stream& stream)
      : x(random_numbers(element, std::int64_t{1} * tokens * s.hidden, seed, stream)),
        normed(array_of<Number>(std::int64_t{1} * tokens * s.hidden)),
        logits(array_of<float>(std::int64_t{1} * tokens * s.experts)),
        hits(array_of<kc::MoeHits>(1)),
        ticket(array_of<unsigned>(1)) {
    const std::int64_t pairs = std::int64_t{1} * tokens * s.top_k;
    expert = array_of<std::uint16_t>((pairs + 7) / 8 * 8);
    weight = array_of<float>(pairs);
    slot = array_of<int>(pairs);
    offset = array_of<int>(s.experts + 1);
    token = array_of<int>(pairs);
    slot_weight = array_of<float>(pairs);
  }
  [[nodiscard]] kc::MoeGroups groups() const {
    return {expert.as<std::uint16_t>(), weight.as<float>(), slot.as<int>(), offset.as<int>(), token.as<int>(), slot_weight.as<float>()};
  }
  DeviceBuffer x, normed, logits, hits, ticket;
  DeviceBuffer expert, weight, slot, offset, token, slot_weight;
};

class Experts {
 public:
  Experts(kc::Element element, const Shape& shape, const Stream& stream, exec::cuda::BlasLt& blas, double bandwidth, double rate)
      : element_(element),
        s_(shape),
        stream_(stream),
        blas_(blas),
        bandwidth_(bandwidth),
        rate_(rate),
        gate_up_(random_numbers(element, std::int64_t{2} * s_.experts * s_.ffn * s_.hidden, 2, stream, 0.02F)),
        down_(random_numbers(element, std::int64_t{1} * s_.experts * s_.hidden * s_.ffn, 3, stream, 0.02F)),
        router_(random_numbers(element, std::int64_t{1} * s_.experts * s_.hidden, 4, stream, 0.02F)),
        norm_(random_numbers(element, s_.hidden, 5, stream)) {}

  void time(int tokens, Json& list) {
    const bool few = tokens <= kc::kFewTokens;
    const int sets = few ? 8 : tokens <= 256 ? 2 : 1;
    const int launches = few ? 24 : tokens <= 256 ? 8 : 3;
    const int replays = few ? 12 : 6;
    const std::int64_t rows = few ? std::int64_t{kc::kFewTokens} * std::min(s_.experts, kc::kFewTokens * s_.top_k) : std::int64_t{tokens} * s_.top_k;
    const DeviceBuffer activated = array_of<Number>(rows * s_.ffn);
    const DeviceBuffer products = array_of<Number>(std::int64_t{tokens} * s_.top_k * s_.hidden);
    const DeviceBuffer y = array_of<Number>(std::int64_t{tokens} * s_.hidden);
    std::vector<Tokens> inputs;
    for (int i = 0; i < sets; ++i) inputs.emplace_back(element_, s_, tokens, 10 + static_cast<std::uint64_t>(i), stream_);

    const kc::MoeGate gate{tokens, s_.experts, s_.top_k, true, 0, s_.experts, nullptr};
    const kc::MoeExperts experts{gate_up_.as<Number>(), down_.as<Number>(), s_.hidden, s_.ffn};
    const auto set = [&](int i) -> const Tokens& { return inputs[static_cast<std::size_t>(i % sets)]; };
    const auto few_of = [&](int i) {
      return kc::MoeFew{element_, gate, experts, set(i).hits.as<kc::MoeHits>(), set(i).normed.as<Number>(), activated.as<Number>(), y.as<Number>(), true};
    };
    const auto tiles_of = [&](int i) {
      kc::MoeTiles tiles;
      tiles.element = element_;
      tiles.gate = gate;
      tiles.experts = experts;
      tiles.groups = set(i).groups();
      tiles.x = set(i).x.as<Number>();
      tiles.activated = activated.as<Number>();
      tiles.products = products.as<Number>();
      tiles.y = y.as<Number>();
      tiles.accumulate = true;
      return tiles;
    };
    const kc::Launch launch{stream_.get(), few};
    const auto route = [&](int i) {
      const Tokens& t = set(i);
      if (few) {
        kc::moe_route_few({element_, gate, t.x.as<Number>(), norm_.as<Number>(), 1e-5F, s_.hidden, router_.as<Number>(), t.normed.as<Number>(),
                           t.logits.as<float>(), t.ticket.as<unsigned>(), t.hits.as<kc::MoeHits>()},
                          launch);
        return;
      }
      blas_.gemm({element_, router_.as<void>(), s_.experts, s_.hidden, t.x.as<void>(), tokens, t.logits.as<void>(), true, false}, stream_.get());
      kc::moe_choose(gate, t.logits.as<float>(), t.groups(), launch);
      kc::moe_group(gate, t.groups(), launch);
    };
    const auto gate_up = [&](int i) { few ? kc::moe_few_gate_up(few_of(i), launch) : kc::moe_tiles_gate_up(tiles_of(i), launch); };
    const auto down = [&](int i) { few ? kc::moe_few_down(few_of(i), launch) : kc::moe_tiles_down(tiles_of(i), launch); };
    const auto combine = [&](int i) {
      if (!few) kc::moe_combine(tiles_of(i), launch);
    };
    for (int i = 0; i < sets; ++i) route(i);
    exec::cuda::check_launch("routing");
    stream_.synchronise("routing");
    double hit = 0.0;
    for (const Tokens& t : inputs) {
      if (few) {
        hit += read<kc::MoeHits>(t.hits).front().count;
      } else {
        const std::vector<int> offset = read<int>(t.offset);
        for (std::size_t e = 0; e + 1 < offset.size(); ++e) hit += offset[e + 1] > offset[e] ? 1 : 0;
      }
    }
    hit /= sets;

    const double pairs = static_cast<double>(tokens) * s_.top_k;
    const double matrix = static_cast<double>(s_.hidden) * s_.ffn;
    const double h = s_.hidden;
    const double f = s_.ffn;
    const auto row = [&](const char* kernel, double bytes, double flop, const std::function<void(int)>& run) {
      const Timed t = exec::cuda::time_launches(stream_, launches, run, replays);
      const double floor = std::max(bytes / bandwidth_, flop / rate_);
      fmt::print("experts {:>14} m {:>4} {:>7}: {:9.2f} us, floor {:9.2f} us, {:5.1f} % ({:.2f} TB/s, {:.0f} TFLOP/s; {:.1f} experts)\n", s_.name, tokens,
                 kernel, t.median_s * 1e6, floor * 1e6, floor / t.median_s * 100, bytes / t.median_s / 1e12, flop / t.median_s / 1e12, hit);
      list.push_back({{"name", s_.name}, {"m", tokens}, {"kernel", kernel}, {"median_s", t.median_s}, {"best_s", t.best_s}, {"worst_s", t.worst_s},
                      {"bytes", bytes}, {"flop", flop}, {"experts_hit", hit}, {"roofline_share", floor / t.median_s}});
    };
    const double router_bytes = 2.0 * s_.experts * h;
    const double up_bytes = 2.0 * (hit * 2.0 * matrix + tokens * h + pairs * f);
    const double down_bytes = 2.0 * (hit * matrix + pairs * f + (few ? 2.0 * tokens : pairs) * h);
    const double sum_bytes = few ? 0.0 : 2.0 * (pairs + 2.0 * tokens) * h;
    row("route", router_bytes, 2.0 * tokens * s_.experts * h, route);
    row("gate_up", up_bytes, pairs * 4.0 * matrix, gate_up);
    row("down", down_bytes, pairs * 2.0 * matrix, down);
    if (!few) row("combine", sum_bytes, 0.0, combine);
    row("all", router_bytes + up_bytes + down_bytes + sum_bytes, pairs * 6.0 * matrix, [&](int i) {
      route(i);
      gate_up(i);
      down(i);
      combine(i);
    });
  }

 private:
  kc::Element element_;
  Shape s_;
  const Stream& stream_;
  exec::cuda::BlasLt& blas_;
  double bandwidth_;
  double rate_;
  DeviceBuffer gate_up_, down_, router_, norm_;
};

}  // namespace

Json time_experts(const Stream& stream, kc::Element element, double read_bandwidth, double matrix_rate) {
  exec::cuda::BlasLt blas;
  Json list = Json::array();
  for (const Shape& shape : {Shape{"mixtral-8x7b", 8, 2, 4096, 14336}, Shape{"qwen3-30b-a3b", 128, 8, 2048, 768}}) {
    Experts experts(element, shape, stream, blas, read_bandwidth, matrix_rate);
    for (const int tokens : {1, 2, 4, 8, 16, 64, 256, 1024, 4096}) experts.time(tokens, list);
  }
  return list;
}

}  // namespace lindos::bench
