// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/attention.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/cuda/device_limits.h"
#include "tests/kernels/cuda/device_fixture.h"

namespace lindos::kernels::cuda::test {

namespace {

struct Shape {
  int q_heads, kv_heads, group, q_offset, head_dim;
  int window = 0;
  bool norm = false;
};

struct Sequence {
  int context;   // before the new tokens
  int tokens;    // new
};

// Sequences over pages dealt out in a shuffled order; the reference works on plain arrays in double.
class Scene {
 public:
  Scene(Element element, const Shape& shape, const std::vector<Sequence>& sequences, unsigned seed)
      : element_(element), shape_(shape), sequences_(sequences) {
    int longest = 0;
    int pages = 0;
    for (const Sequence& s : sequences) {
      longest = std::max(longest, s.context + s.tokens);
      pages += pages_of(s);
    }
    stride_ = (longest + kDevicePageTokens - 1) / kDevicePageTokens + 1;
    std::vector<int> order(static_cast<std::size_t>(pages));
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), std::mt19937(seed));
    const auto d = static_cast<std::size_t>(shape.head_dim);
    const auto kv_heads = static_cast<std::size_t>(shape.kv_heads);
    pages_.assign(static_cast<std::size_t>(pages) * 2 * kv_heads * kDevicePageTokens * d, 0.0F);
    table_.assign(sequences.size() * static_cast<std::size_t>(stride_), 0);
    std::size_t next = 0;
    int row = 0;
    for (std::size_t s = 0; s < sequences.size(); ++s) {
      for (int p = 0; p < pages_of(sequences[s]); ++p) table_[s * static_cast<std::size_t>(stride_) + static_cast<std::size_t>(p)] = order[next++];
      rows_.push_back(row);
      for (int t = 0; t < sequences[s].tokens; ++t) {
        position_.push_back(sequences[s].context + t);
        row_table_.push_back(static_cast<int>(s));
      }
      row += sequences[s].tokens;
      keys_.push_back(random_values(element_, static_cast<std::size_t>(sequences[s].context + sequences[s].tokens) * kv_heads * d, seed + 10 + static_cast<unsigned>(s)));
      values_.push_back(random_values(element_, static_cast<std::size_t>(sequences[s].context + sequences[s].tokens) * kv_heads * d, seed + 50 + static_cast<unsigned>(s)));
    }
    total_rows_ = row;
    width_ = (shape.q_heads + 2 * shape.kv_heads) * shape.head_dim;
    qkv_ = random_values(element_, static_cast<std::size_t>(row * width_), seed + 1);
    q_norm_ = random_values(element_, d, seed + 2);
    k_norm_ = random_values(element_, d, seed + 3);
    for (int p = 0; p <= longest; ++p) {
      for (int i = 0; i < shape.head_dim / 2; ++i) {
        const double angle = p * std::pow(10000.0, -2.0 * i / shape.head_dim);
        cos_.push_back(static_cast<float>(std::cos(angle)));
        sin_.push_back(static_cast<float>(std::sin(angle)));
      }
    }
    // The context's keys are in their pages already; those of the new tokens come from the projections.
    for (std::size_t s = 0; s < sequences.size(); ++s) {
      for (int p = 0; p < sequences[s].context; ++p) {
        for (int h = 0; h < shape.kv_heads; ++h) {
          for (int i = 0; i < shape.head_dim; ++i) {
            pages_[place(s, p, h, false) + static_cast<std::size_t>(i)] = keys_[s][index(p, h, i)];
            pages_[place(s, p, h, true) + static_cast<std::size_t>(i)] = values_[s][index(p, h, i)];
          }
        }
      }
      for (int t = 0; t < sequences[s].tokens; ++t) {
        const float* row_values = qkv_.data() + static_cast<std::size_t>((rows_[s] + t) * width_);
        for (int h = 0; h < shape.kv_heads; ++h) {
          const std::vector<double> k = transformed(row_values + (shape.q_heads + h) * shape.head_dim, k_norm_, sequences[s].context + t);
          for (int i = 0; i < shape.head_dim; ++i) {
            keys_[s][index(sequences[s].context + t, h, i)] = rounded(element_, static_cast<float>(k[static_cast<std::size_t>(i)]));
            values_[s][index(sequences[s].context + t, h, i)] = row_values[(shape.q_heads + shape.kv_heads + h) * shape.head_dim + i];
          }
        }
      }
    }
  }

  [[nodiscard]] std::vector<double> reference() const {
    std::vector<double> out;
    for (std::size_t s = 0; s < sequences_.size(); ++s) {
      for (int t = 0; t < sequences_[s].tokens; ++t) {
        const int position = sequences_[s].context + t;
        const int oldest = shape_.window > 0 ? std::max(0, position - shape_.window + 1) : 0;
        const float* row_values = qkv_.data() + static_cast<std::size_t>((rows_[s] + t) * width_);
        for (int h = 0; h < shape_.q_heads; ++h) {
          std::vector<double> q = transformed(row_values + h * shape_.head_dim, q_norm_, position);
          for (double& v : q) v = static_cast<double>(rounded(element_, static_cast<float>(v)));
          const int kv = (h + shape_.q_offset) / shape_.group;
          std::vector<double> weights;
          double largest = -1e300;
          for (int p = oldest; p <= position; ++p) {
            double dot = 0.0;
            for (int i = 0; i < shape_.head_dim; ++i) dot += q[static_cast<std::size_t>(i)] * static_cast<double>(keys_[s][index(p, kv, i)]);
            weights.push_back(dot / std::sqrt(static_cast<double>(shape_.head_dim)));
            largest = std::max(largest, weights.back());
          }
          double total = 0.0;
          for (double& w : weights) {
            w = std::exp(w - largest);
            total += w;
          }
          for (int i = 0; i < shape_.head_dim; ++i) {
            double sum = 0.0;
            for (int p = oldest; p <= position; ++p) sum += weights[static_cast<std::size_t>(p - oldest)] * static_cast<double>(values_[s][index(p, kv, i)]);
            out.push_back(sum / total);
          }
        }
      }
    }
    return out;
  }

  // What the kernels give for all rows.
  std::vector<float> run(cudaStream_t stream, bool decode, bool dependent, int repeats = 1, bool portable = false) {
    DeviceNumbers pages(element_, pages_);
    const DeviceNumbers q_norm(element_, q_norm_), k_norm(element_, k_norm_);
    const Device<float> cos(cos_), sin(sin_);
    const Device<int> table(table_), position(position_), row_table(row_table_), rows(rows_);
    const DeviceNumbers out(element_, static_cast<std::size_t>(total_rows_ * shape_.q_heads * shape_.head_dim));
    DeviceKv kv{pages.get(), shape_.kv_heads, shape_.head_dim};
    const HeadMap heads{shape_.q_heads, shape_.group, shape_.q_offset};
    const HeadTransform transform{shape_.norm ? q_norm.get() : nullptr, shape_.norm ? k_norm.get() : nullptr, 1e-5F, cos.get(), sin.get()};
    const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(shape_.head_dim)));
    const Launch launch{stream, dependent};
    for (int i = 0; i < repeats; ++i) {
      const DeviceNumbers qkv(element_, qkv_);
      if (decode) {
        DecodeAttention a;
        a.element = element_;
        a.kv = kv;
        a.heads = heads;
        a.transform = transform;
        a.qkv = {qkv.get(), width_};
        a.row = rows.get();
        a.position = position.get();
        a.table = table.get();
        a.table_stride = stride_;
        a.sequences = static_cast<int>(sequences_.size());
        a.scale = scale;
        a.window = shape_.window;
        a.splits = decode_splits(multiprocessors(), a.sequences, shape_.kv_heads);
        Device<unsigned> tickets(sequences_.size() * static_cast<std::size_t>(shape_.kv_heads));
        tickets.zero();
        const Device<float> partials(decode_partial_floats(a.sequences, shape_.kv_heads, a.splits, shape_.head_dim));
        a.tickets = tickets.get();
        a.partials = partials.get();
        a.out = out.get();
        a.ld_out = shape_.q_heads * shape_.head_dim;
        attention_decode(a, launch);
        EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
        for (const unsigned t : tickets.read()) EXPECT_EQ(t, 0U);
      } else {
        RopeKvWrite write;
        write.element = element_;
        write.kv = kv;
        write.heads = heads;
        write.transform = transform;
        write.qkv = {qkv.get(), width_};
        write.row_table = row_table.get();
        write.position = position.get();
        write.count = total_rows_;
        write.table = table.get();
        write.table_stride = stride_;
        rope_kv_write(write, launch);
        std::vector<PrefillTile> tiles;
        for (std::size_t s = 0; s < sequences_.size(); ++s) {
          for (int t = 0; t < sequences_[s].tokens; t += kPrefillTileRows) {
            tiles.push_back({{rows_[s], sequences_[s].tokens, sequences_[s].context, static_cast<int>(s)}, t});
          }
        }
        const Device<PrefillTile> device_tiles(tiles);
        PrefillAttention a;
        a.element = element_;
        a.rows = total_rows_;
        a.portable = portable;
        a.kv = kv;
        a.heads = heads;
        a.qkv = {qkv.get(), width_};
        a.tiles = device_tiles.get();
        a.count = static_cast<int>(tiles.size());
        a.table = table.get();
        a.table_stride = stride_;
        a.scale = scale;
        a.window = shape_.window;
        a.out = out.get();
        a.ld_out = shape_.q_heads * shape_.head_dim;
        attention_prefill(a, launch);
        EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
      }
    }
    EXPECT_EQ(cudaGetLastError(), cudaSuccess);
    // The new tokens' keys and values have reached their pages.
    const std::vector<float> written = pages.read();
    double worst = 0.0;
    for (std::size_t s = 0; s < sequences_.size(); ++s) {
      for (int p = 0; p < sequences_[s].context + sequences_[s].tokens; ++p) {
        for (int h = 0; h < shape_.kv_heads; ++h) {
          for (int i = 0; i < shape_.head_dim; ++i) {
            worst = std::max(worst, std::abs(static_cast<double>(written[place(s, p, h, false) + static_cast<std::size_t>(i)] - keys_[s][index(p, h, i)])));
            worst = std::max(worst, std::abs(static_cast<double>(written[place(s, p, h, true) + static_cast<std::size_t>(i)] - values_[s][index(p, h, i)])));
          }
        }
      }
    }
    // One unit in the last place of values up to 8.
    EXPECT_LE(worst, element_ == Element::kF16 ? 0.0625 / 8.0 : 0.0625);
    return out.read();
  }

 private:
  static int pages_of(const Sequence& s) { return (s.context + s.tokens + kDevicePageTokens - 1) / kDevicePageTokens; }
  [[nodiscard]] std::size_t index(int position, int head, int i) const {
    return static_cast<std::size_t>((position * shape_.kv_heads + head) * shape_.head_dim + i);
  }
  [[nodiscard]] std::size_t place(std::size_t s, int position, int head, bool value) const {
    const int block = table_[s * static_cast<std::size_t>(stride_) + static_cast<std::size_t>(position / kDevicePageTokens)];
    return static_cast<std::size_t>((((block * 2 + (value ? 1 : 0)) * shape_.kv_heads + head) * kDevicePageTokens + position % kDevicePageTokens) * shape_.head_dim);
  }
  [[nodiscard]] std::vector<double> transformed(const float* head, const std::vector<float>& norm, int position) const {
    const auto d = static_cast<std::size_t>(shape_.head_dim);
    std::vector<double> x(head, head + d);
    if (shape_.norm) {
      double squares = 0.0;
      for (const double v : x) squares += v * v;
      const double scale = 1.0 / std::sqrt(squares / static_cast<double>(d) + 1e-5);
      for (std::size_t i = 0; i < d; ++i) x[i] *= scale * static_cast<double>(norm[i]);
    }
    std::vector<double> y(d);
    for (std::size_t i = 0; i < d / 2; ++i) {
      const auto c = static_cast<double>(cos_[static_cast<std::size_t>(position) * (d / 2) + i]);
      const auto s = static_cast<double>(sin_[static_cast<std::size_t>(position) * (d / 2) + i]);
      y[i] = x[i] * c - x[i + d / 2] * s;
      y[i + d / 2] = x[i + d / 2] * c + x[i] * s;
    }
    return y;
  }

  Element element_;
  Shape shape_;
  std::vector<Sequence> sequences_;
  int stride_ = 0;
  int total_rows_ = 0;
  int width_ = 0;
  std::vector<int> table_, rows_, row_table_, position_;
  std::vector<float> pages_, qkv_, q_norm_, k_norm_, cos_, sin_;
  std::vector<std::vector<float>> keys_, values_;   // [sequence][position][head][dim]
};

class AttentionTest : public ElementTest {};
LINDOS_FOR_BOTH_ELEMENTS(AttentionTest);

constexpr Shape kLlama{32, 8, 4, 0, 128};

TEST_P(AttentionTest, DecodeEqualsTheReference) {
  for (const Shape& shape : {kLlama, Shape{9, 3, 3, 0, 64}, Shape{4, 2, 3, 1, 64}, Shape{8, 8, 1, 0, 128}, Shape{16, 1, 16, 0, 128},
                             Shape{14, 2, 7, 0, 64}, Shape{8, 2, 4, 0, 128, 100}, Shape{8, 2, 4, 0, 128, 0, true}}) {
    for (const std::vector<Sequence>& batch :
         {std::vector<Sequence>{{0, 1}}, {{63, 1}}, {{64, 1}}, {{1000, 1}}, {{4095, 1}}, {{5, 1}, {700, 1}, {64, 1}, {129, 1}, {2049, 1}}}) {
      SCOPED_TRACE(::testing::Message() << shape.q_heads << "/" << shape.kv_heads << " d " << shape.head_dim << " window " << shape.window
                                        << " first context " << batch.front().context << " of " << batch.size());
      Scene scene(GetParam(), shape, batch, 7);
      EXPECT_LT(relative_error(scene.run(stream_, true, false), scene.reference()), error_of(GetParam()) * 2);
    }
  }
}

TEST_P(AttentionTest, DecodeAgainAndUnderDependentLaunchGivesTheSame) {
  Scene scene(GetParam(), kLlama, {{3000, 1}, {17, 1}}, 3);
  const std::vector<float> once = scene.run(stream_, true, false);
  EXPECT_EQ(scene.run(stream_, true, true), once);
  EXPECT_EQ(scene.run(stream_, true, false, 5), once);
}

TEST_P(AttentionTest, PrefillEqualsTheReference) {
  for (const Shape& shape : {kLlama, Shape{9, 3, 3, 0, 64}, Shape{4, 2, 3, 1, 64}, Shape{8, 2, 4, 0, 128, 100}, Shape{8, 2, 4, 0, 128, 0, true}}) {
    for (const std::vector<Sequence>& batch : {std::vector<Sequence>{{0, 2}}, {{0, 300}}, {{100, 65}}, {{64, 128}, {0, 129}, {333, 7}}, {{300, 260}}}) {
      SCOPED_TRACE(::testing::Message() << shape.q_heads << "/" << shape.kv_heads << " d " << shape.head_dim << " window " << shape.window
                                        << " first " << batch.front().context << "+" << batch.front().tokens << " of " << batch.size());
      Scene scene(GetParam(), shape, batch, 11);
      const std::vector<double> reference = scene.reference();
      for (const bool portable : {true, false}) {
        SCOPED_TRACE(portable);
        EXPECT_LT(relative_error(scene.run(stream_, false, false, 1, portable), reference), error_of(GetParam()) * 2);
      }
    }
  }
}

TEST_P(AttentionTest, SanitizeSmall) {
  Scene decode(GetParam(), {4, 2, 2, 0, 128}, {{200, 1}, {3, 1}}, 5);
  EXPECT_LT(relative_error(decode.run(stream_, true, true), decode.reference()), error_of(GetParam()) * 2);
  Scene hopper(GetParam(), {2, 1, 2, 0, 128}, {{70, 140}}, 5);
  EXPECT_LT(relative_error(hopper.run(stream_, false, true), hopper.reference()), error_of(GetParam()) * 2);
  Scene prefill(GetParam(), {2, 1, 2, 0, 64}, {{70, 140}}, 5);
  EXPECT_LT(relative_error(prefill.run(stream_, false, true), prefill.reference()), error_of(GetParam()) * 2);
}

}  // namespace

}  // namespace lindos::kernels::cuda::test
