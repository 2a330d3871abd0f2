// SPDX-License-Identifier: Apache-2.0
// The CUDA kernels against two ceilings measured in the same run: read bandwidth and matrix rate.
//   gpu_kernels [--out FILE.json] [--only PART] [--dtype bf16|f16]      FP8 weights beside bf16
// Shapes are those of Llama-3.1-8B and 70B (engine handbook, section 9.2), and of the layers with experts in gpu_moe.h.
#include <cstdio>
#include <fstream>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "bench/gpu_all_reduce.h"
#include "bench/gpu_moe.h"
#include "exec/cuda/blas_lt.h"
#include "exec/cuda/device_info.h"
#include "exec/cuda/launch_timing.h"
#include "exec/cuda/products.h"
#include "kernels/cuda/attention.h"
#include "kernels/cuda/device_limits.h"
#include "kernels/cuda/skinny_gemm.h"
#include "kernels/cuda/top_candidates.h"
#include "scenarios/error.h"

namespace lindos::bench {
namespace {

using exec::cuda::time_launches;
using exec::cuda::Timed;

namespace kc = kernels::cuda;
using exec::cuda::DeviceBuffer;
using kernels::cuda::Element;
using kernels::cuda::Number;
using exec::cuda::Stream;
using Json = nlohmann::ordered_json;

constexpr double kBeyondL2 = 400e6;   // bytes that rotation passes through before data comes back

Json times(const Timed& t) { return {{"median_s", t.median_s}, {"best_s", t.best_s}, {"worst_s", t.worst_s}}; }

class Bench {
 public:
  Bench(std::string only, Dtype dtype)
      : only_(std::move(only)), dtype_(dtype), element_(dtype == Dtype::kF16 ? Element::kF16 : Element::kBf16) {}

  Json run() {
    Json result;
    result["ceilings"] = ceilings();
    const bool hopper = kc::compute_capability() == 90;
    if (wanted("skinny")) result["skinny_gemm"] = skinny(false);
    if (wanted("blas")) result["blas"] = blas(false);
    if (wanted("attention")) {
      result["decode_attention"] = decode();
      result["prefill_attention"] = prefill();
    }
    if (hopper && dtype_ == Dtype::kBf16 && wanted("fp8")) {
      result["skinny_gemm_fp8"] = skinny(true);
      result["blas_fp8"] = blas(true);
    }
    if (wanted("choice")) result["choice_of_tokens"] = choice();
    if (wanted("experts")) result["experts"] = time_experts(stream_, element_, bandwidth_, matrix_rate_);
    if (wanted("meetings")) result["all_reduce_meetings"] = time_meetings();
    return result;
  }

 private:
  [[nodiscard]] bool wanted(const char* part) const { return only_.empty() || only_ == part; }

  // From logits to what the host draws from: the largest, and the 256 largest.
  Json choice() {
    Json list = Json::array();
    constexpr std::int64_t kVocabulary = 128256;
    for (const std::int64_t rows : {1, 8, 64}) {
      const DeviceBuffer wide = exec::cuda::random_numbers(element_, 2 * rows * kVocabulary, 7, stream_);   // any bits are floats
      const DeviceBuffer out(static_cast<std::size_t>(rows * kc::kMostCandidates) * sizeof(kc::Best));
      for (const int count : {40, 256}) {
        const Timed t = time_launches(stream_, 12, [&](int) {
          kc::top_candidates(wide.as<float>(), rows, kVocabulary, 0, count, out.as<kc::Best>(), {stream_.get(), false});
        });
        fmt::print("choice of {:>3} from {} logits, {:>2} rows: {:7.2f} us\n", count, kVocabulary, rows, t.median_s * 1e6);
        list.push_back({{"rows", rows}, {"n", kVocabulary}, {"count", count}, {"time", times(t)}});
      }
    }
    return list;
  }

  Json ceilings() {
    constexpr std::int64_t kElements = std::int64_t{2} << 30;
    const DeviceBuffer data = exec::cuda::random_numbers(element_, kElements, 1, stream_);
    const DeviceBuffer sink(16);
    const Timed read = time_launches(stream_, 1, [&](int) {
      kc::stream_read(data.as<void>(), data.bytes(), sink.as<std::uint32_t>(), {stream_.get(), false});
    });
    bandwidth_ = static_cast<double>(data.bytes()) / read.best_s;
    const Timed copy = time_launches(stream_, 1, [&](int) {
      (void)cudaMemcpyAsync(data.as<char>() + data.bytes() / 2, data.as<char>(), data.bytes() / 2, cudaMemcpyDeviceToDevice, stream_.get());
    });
    constexpr std::int64_t kSize = 8192;
    const DeviceBuffer y(kSize * kSize * sizeof(Number));
    const auto* a = data.as<Number>();
    exec::cuda::BlasLt blas;
    const exec::cuda::BlasGemm gemm{element_, a, kSize, kSize, a + kSize * kSize, kSize, y.as<void>(), false, false};
    blas.tune(gemm, stream_.get());
    const Timed matrix = time_launches(stream_, 4, [&](int) { blas.gemm(gemm, stream_.get()); });
    matrix_rate_ = 2.0 * kSize * kSize * kSize / matrix.median_s;
    fmt::print("read {:.3f} TB/s, copy {:.3f} TB/s (read + write), 8192^3 {} {:.0f} TFLOP/s\n", bandwidth_ / 1e12,
               static_cast<double>(data.bytes()) / copy.best_s / 1e12, name_of(dtype_), matrix_rate_ / 1e12);
    return {{"dtype", name_of(dtype_)},
            {"read_bytes_per_s", bandwidth_},
            {"read", times(read)},
            {"copy_bytes_per_s", static_cast<double>(data.bytes()) / copy.best_s},
            {"matrix_flop_per_s", matrix_rate_},
            {"matrix", times(matrix)}};
  }

  // Matrices [n, k] one after the other, more than L2 holds; FP8 ones with a scale per row (all share them).
  struct Matrices {
    Element element;
    DeviceBuffer data, scales;
    std::int64_t n, k, copies;
    bool fp8;
    [[nodiscard]] double bytes() const { return static_cast<double>(n * k) * (fp8 ? 1.0 : 2.0); }
    [[nodiscard]] exec::cuda::DeviceMatrix at(std::int64_t visit) const {
      const std::int64_t begin = visit % copies * n * k * (fp8 ? 1 : 2);
      return {element, data.as<std::uint8_t>() + begin, n, k, fp8 ? scales.as<float>() : nullptr};
    }
  };
  Matrices matrices(std::int64_t n, std::int64_t k, bool fp8) {
    const auto copies = static_cast<std::int64_t>(kBeyondL2 / (static_cast<double>(n * k) * (fp8 ? 1.0 : 2.0))) + 1;
    Matrices m{fp8 ? Element::kBf16 : element_, {}, {}, n, k, copies, fp8};
    m.data = exec::cuda::random_numbers(m.element, m.copies * n * k, 2, stream_, 0.02F);
    if (!fp8) return m;
    const DeviceBuffer wide = std::move(m.data);
    m.data = DeviceBuffer(static_cast<std::size_t>(m.copies * n * k));
    m.scales = DeviceBuffer(static_cast<std::size_t>(m.copies * n) * sizeof(float));
    kc::QuantiseRows q;
    q.x = wide.as<Number>();
    q.rows = m.copies * n;
    q.k = k;
    q.y = m.data.as<std::uint8_t>();
    q.scales = m.scales.as<float>();
    kc::quantise_rows(q, {stream_.get(), false});
    stream_.synchronise("quantisation");
    return m;
  }

  Json skinny(bool fp8) {
    struct Shape {
      const char* name;
      std::int64_t n, k;
      kc::SkinnyOutput output;
    };
    Json list = Json::array();
    for (const Shape& s : {Shape{"8B qkv", 6144, 4096, kc::SkinnyOutput::kStore}, Shape{"8B o", 4096, 4096, kc::SkinnyOutput::kAdd},
                           Shape{"8B gate_up", 14336, 4096, kc::SkinnyOutput::kSwiglu}, Shape{"8B down", 4096, 14336, kc::SkinnyOutput::kAdd},
                           Shape{"8B lm_head", 128256, 4096, kc::SkinnyOutput::kLogits}, Shape{"70B o", 8192, 8192, kc::SkinnyOutput::kAdd},
                           Shape{"70B qkv", 10240, 8192, kc::SkinnyOutput::kStore}, Shape{"16384 x 16384", 16384, 16384, kc::SkinnyOutput::kStore},
                           Shape{"1024 x 8192", 1024, 8192, kc::SkinnyOutput::kStore}, Shape{"65536 x 4096", 65536, 4096, kc::SkinnyOutput::kStore}}) {
      const bool paired = s.output == kc::SkinnyOutput::kSwiglu;
      const Matrices w = matrices(paired ? 2 * s.n : s.n, s.k, fp8);
      const DeviceBuffer x = exec::cuda::random_numbers(element_, 8 * s.k, 3, stream_);
      const DeviceBuffer norm = exec::cuda::random_numbers(element_, s.k, 4, stream_);
      DeviceBuffer y(static_cast<std::size_t>(8 * s.n) * sizeof(float));
      for (const int m : {1, 2, 4, 8}) {
        if (!kc::skinny_fits(m, s.k)) continue;
        for (const bool dependent : {false, true}) {
          const bool with_norm = s.output == kc::SkinnyOutput::kStore || paired;
          const Timed t = time_launches(stream_, 24, [&](int i) {
            const exec::cuda::DeviceMatrix matrix = w.at(i);
            kc::SkinnyGemm g = exec::cuda::skinny_of(matrix.rows(0, s.n), m);
            if (paired) {
              const exec::cuda::DeviceMatrix up = matrix.rows(s.n, s.n);
              g.up = up.data;
              g.up_scales = up.scales;
            }
            g.x = x.as<Number>();
            g.norm = with_norm ? norm.as<Number>() : nullptr;
            g.eps = 1e-5F;
            g.y = y.as<void>();
            g.output = s.output;
            kc::skinny_gemm(g, {stream_.get(), dependent});
          });
          const double share = w.bytes() / t.median_s / bandwidth_;
          if (m == 1 || m == 8) {
            fmt::print("skinny {:4} {:>14} m {} {:>9}: {:7.2f} us, {:5.1f} % of read\n", name_of(fp8 ? Dtype::kFp8 : dtype_), s.name, m,
                       dependent ? "chained" : "alone", t.median_s * 1e6, share * 100);
          }
          list.push_back({{"name", s.name}, {"weights", name_of(fp8 ? Dtype::kFp8 : dtype_)}, {"m", m}, {"n", w.n}, {"k", s.k},
                          {"dependent_launch", dependent}, {"time", times(t)}, {"bytes", w.bytes()}, {"share_of_read", share}});
        }
      }
    }
    return list;
  }

  Json blas(bool fp8) {
    Json list = Json::array();
    struct Shape {
      const char* name;
      std::int64_t n, k;
    };
    // Dense FP8 is twice the bf16 rate on every tensor core that has it.
    const double matrix_rate = matrix_rate_ * (fp8 ? 2.0 : 1.0);
    for (const Shape& s : {Shape{"8B qkv", 6144, 4096}, Shape{"8B o", 4096, 4096}, Shape{"8B gate_up", 28672, 4096}, Shape{"8B down", 4096, 14336},
                           Shape{"8B lm_head", 128256, 4096}}) {
      const Matrices w = matrices(s.n, s.k, fp8);
      std::vector<const void*> all;
      for (std::int64_t i = 0; i < w.copies; ++i) all.push_back(w.at(i).data);
      for (const std::int64_t m : {1, 8, 16, 64, 256, 2048, 8192}) {
        if (m > 256 && s.n > 100000) continue;
        if (fp8 && m < 16) continue;
        const DeviceBuffer x = exec::cuda::random_numbers(element_, m * s.k, 3, stream_);
        const DeviceBuffer y(static_cast<std::size_t>(m * s.n) * sizeof(Number));
        exec::cuda::Products products(fp8, m, m * s.k);
        products.tune(w.at(0), all, x.as<Number>(), m, y.as<void>(), false, false, stream_.get());
        exec::cuda::OperandSource source;
        source.element = w.element;
        source.x = x.as<Number>();
        source.rows = m;
        source.k = s.k;
        const exec::cuda::Operand operand = products.prepare(fp8, source, nullptr, {stream_.get(), false});
        const Timed t = time_launches(stream_, m > 256 ? 3 : 12,
                                      [&](int i) { products.multiply(w.at(i), operand, m, y.as<void>(), false, false, stream_.get()); },
                                      m > 256 ? 5 : 10);
        const double flop = 2.0 * static_cast<double>(m * s.n * s.k);
        const double bytes = w.bytes() + static_cast<double>(m) * static_cast<double>(2 * s.n + (fp8 ? 1 : 2) * s.k);
        const double floor = std::max(flop / matrix_rate, bytes / bandwidth_);
        fmt::print("blas {:4} {:>12} m {:>5}: {:9.2f} us, {:5.1f} % of roofline ({:.0f} TFLOP/s)\n", name_of(fp8 ? Dtype::kFp8 : dtype_), s.name, m,
                   t.median_s * 1e6, floor / t.median_s * 100, flop / t.median_s / 1e12);
        list.push_back({{"name", s.name}, {"weights", name_of(fp8 ? Dtype::kFp8 : dtype_)}, {"m", m}, {"n", s.n}, {"k", s.k}, {"time", times(t)},
                        {"roofline_share", floor / t.median_s}});
      }
    }
    return list;
  }

  // Pages of `sequences` × `context` positions, every sequence on its own pages.
  struct Cache {
    DeviceBuffer pages, table, row, position, cos, sin;
    std::int64_t stride = 0;
  };
  Cache cache(int sequences, int context, int kv_heads, int head_dim) {
    Cache c;
    c.stride = (context + 1 + kc::kDevicePageTokens - 1) / kc::kDevicePageTokens;
    c.pages = exec::cuda::random_numbers(element_, sequences * c.stride * 2 * kv_heads * kc::kDevicePageTokens * head_dim, 5, stream_);
    std::vector<int> table, row, position;
    for (int s = 0; s < sequences; ++s) {
      row.push_back(s);
      position.push_back(context);
      for (std::int64_t p = 0; p < c.stride; ++p) table.push_back(static_cast<int>(s * c.stride + p));
    }
    const auto upload = [](const std::vector<int>& v) {
      DeviceBuffer b(v.size() * sizeof(int));
      exec::cuda::check(cudaMemcpy(b.as<void>(), v.data(), b.bytes(), cudaMemcpyHostToDevice), "copy");
      return b;
    };
    c.table = upload(table);
    c.row = upload(row);
    c.position = upload(position);
    c.cos = DeviceBuffer(static_cast<std::size_t>(context + 2) * static_cast<std::size_t>(head_dim) / 2 * sizeof(float));
    c.sin = DeviceBuffer(c.cos.bytes());
    return c;
  }

  Json decode() {
    constexpr int kQ = 32, kKv = 8, kDim = 128;
    Json list = Json::array();
    for (const auto& [batch, context] : std::vector<std::pair<int, int>>{{1, 128}, {1, 1024}, {1, 4096}, {1, 16384}, {1, 65536}, {8, 1024}, {8, 4096}, {8, 16384}, {64, 1024}, {64, 4096}}) {
      const double bytes = 2.0 * 2.0 * kKv * kDim * static_cast<double>(batch) * context;
      // Like GEMM weights, keys must come from memory and not from L2.
      const int copies = std::max(1, static_cast<int>(kBeyondL2 / bytes)) > 24 ? 24 : static_cast<int>(kBeyondL2 / bytes) + 1;
      std::vector<Cache> caches;
      for (int i = 0; i < copies; ++i) caches.push_back(cache(batch, context, kKv, kDim));
      const std::int64_t width = (kQ + 2 * kKv) * kDim;
      const DeviceBuffer qkv = exec::cuda::random_numbers(element_, batch * width, 6, stream_);
      const DeviceBuffer out(static_cast<std::size_t>(batch) * kQ * kDim * 2);
      const int splits = kc::decode_splits(kc::multiprocessors(), batch, kKv);
      const DeviceBuffer tickets(static_cast<std::size_t>(batch) * kKv * sizeof(unsigned));
      const DeviceBuffer partials(kc::decode_partial_floats(batch, kKv, splits, kDim) * sizeof(float));
      for (const bool dependent : {false, true}) {
        const Timed t = time_launches(stream_, 24, [&](int i) {
          const Cache& c = caches[static_cast<std::size_t>(i % copies)];
          kc::DecodeAttention a;
          a.element = element_;
          a.kv = {c.pages.as<Number>(), kKv, kDim};
          a.heads = {kQ, kQ / kKv, 0};
          a.transform = {nullptr, nullptr, 0.0F, c.cos.as<float>(), c.sin.as<float>()};
          a.qkv = {qkv.as<Number>(), width};
          a.row = c.row.as<int>();
          a.position = c.position.as<int>();
          a.table = c.table.as<int>();
          a.table_stride = c.stride;
          a.sequences = batch;
          a.scale = 0.088F;
          a.splits = splits;
          a.tickets = tickets.as<unsigned>();
          a.partials = partials.as<float>();
          a.out = out.as<Number>();
          a.ld_out = kQ * kDim;
          kc::attention_decode(a, {stream_.get(), dependent});
        });
        fmt::print("decode attention batch {:>2} context {:>5} {:>9}: {:7.2f} us (bytes at read rate {:.1f})\n", batch, context,
                   dependent ? "chained" : "alone", t.median_s * 1e6, bytes / bandwidth_ * 1e6);
        list.push_back({{"batch", batch}, {"context", context}, {"dependent_launch", dependent}, {"time", times(t)},
                        {"bytes", bytes}, {"share_of_read", bytes / bandwidth_ / t.median_s}});
      }
    }
    return list;
  }

  Json prefill() {
    constexpr int kQ = 32, kKv = 8, kDim = 128;
    Json list = Json::array();
    for (const int tokens : {1024, 2048, 4096, 8192, 16384}) {
      const Cache c = cache(1, tokens, kKv, kDim);
      const std::int64_t width = (kQ + 2 * kKv) * kDim;
      const DeviceBuffer qkv = exec::cuda::random_numbers(element_, tokens * width, 6, stream_);
      const DeviceBuffer out(static_cast<std::size_t>(tokens) * kQ * kDim * 2);
      std::vector<kc::PrefillTile> tiles;
      for (int t = tokens - kc::kPrefillTileRows; t >= 0; t -= kc::kPrefillTileRows) tiles.push_back({{0, tokens, 0, 0}, t});
      const DeviceBuffer device_tiles(tiles.size() * sizeof(kc::PrefillTile));
      exec::cuda::check(cudaMemcpy(device_tiles.as<void>(), tiles.data(), device_tiles.bytes(), cudaMemcpyHostToDevice), "copy");
      for (const bool portable : {true, false}) {
      const Timed t = time_launches(stream_, 3, [&](int) {
        kc::PrefillAttention a;
        a.element = element_;
        a.rows = tokens;
        a.portable = portable;
        a.kv = {c.pages.as<Number>(), kKv, kDim};
        a.heads = {kQ, kQ / kKv, 0};
        a.qkv = {qkv.as<Number>(), width};
        a.tiles = device_tiles.as<kc::PrefillTile>();
        a.count = static_cast<int>(tiles.size());
        a.table = c.table.as<int>();
        a.table_stride = c.stride;
        a.scale = 0.088F;
        a.out = out.as<Number>();
        a.ld_out = kQ * kDim;
        kc::attention_prefill(a, {stream_.get(), false});
      }, 5);
      // Causal: half of the square, counted once.
      const double flop = 4.0 * kQ * kDim * static_cast<double>(tokens) * tokens / 2.0;
      fmt::print("prefill attention {:>5} tokens {:>8}: {:8.1f} us, {:.0f} TFLOP/s (causal half)\n", tokens,
                 portable ? "portable" : "device", t.median_s * 1e6, flop / t.median_s / 1e12);
      list.push_back({{"tokens", tokens}, {"portable", portable}, {"time", times(t)}, {"flop", flop}, {"flop_per_s", flop / t.median_s}});
      }
    }
    return list;
  }

  Stream stream_;
  std::string only_;
  Dtype dtype_;
  Element element_;
  double bandwidth_ = 0.0;
  double matrix_rate_ = 0.0;
};

}  // namespace
}  // namespace lindos::bench

int main(int argc, char** argv) {
  // Whole lines at once: what was measured shows even when a time limit ends the program.
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  std::string out;
  std::string only;
  std::string dtype = "bf16";
  for (int i = 1; i < argc; i += 2) {
    const std::string option = argv[i];
    std::string* target = option == "--out" ? &out : option == "--only" ? &only : option == "--dtype" ? &dtype : nullptr;
    if (target == nullptr || i + 1 >= argc) {
      fmt::print(stderr,
                 "usage: gpu_kernels [--out FILE.json] [--only skinny|blas|attention|fp8|choice|experts|meetings] [--dtype bf16|f16]\n");
      return 2;
    }
    *target = argv[i + 1];
  }
  if (std::set<std::string>{"", "skinny", "blas", "attention", "fp8", "choice", "experts", "meetings"}.count(only) == 0) {
    fmt::print(stderr, "gpu_kernels: --only: expected skinny, blas, attention, fp8, choice, experts or meetings, saw \"{}\"\n", only);
    return 2;
  }
  if (dtype != "bf16" && dtype != "f16") {
    fmt::print(stderr, "gpu_kernels: --dtype: expected bf16 or f16, saw \"{}\"\n", dtype);
    return 2;
  }
  try {
    const lindos::exec::cuda::DeviceInfo device = lindos::exec::cuda::device_or_throw();
    nlohmann::ordered_json result = lindos::bench::Bench(only, *lindos::find_dtype(dtype)).run();
    result["device"] = device.name;
    result["driver_cuda"] = device.driver;
    if (!out.empty()) std::ofstream(out) << result.dump(1) << '\n';
  } catch (const lindos::Error& e) {
    fmt::print(stderr, "gpu_kernels: {}\n", e.what());
    return e.exit_code();
  }
  return 0;
}
