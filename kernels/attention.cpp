// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "kernels/bf16.h"
#include "kernels/cpu/table.h"
#include "kernels/f16.h"

namespace lindos::kernels {
namespace {

// Query rows (tokens x heads) that share one pass over the keys: four microtiles, so that a group's K and V
// are read from L2 once per 24 rows, and small enough that a short prompt still yields work for all members.
constexpr std::int64_t kItemRows = 24;
// Items per member below which the keys of one item are divided, too.
constexpr std::int64_t kItemsPerMember = 4;

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

const void* head_begin(const void* cache, const KvView& kv, std::int64_t head) {
  return static_cast<const char*>(cache) + head * kv.head_dim * kPageTokens * bytes_of(kv.type);
}

std::int64_t rows_of(const AttentionPart& p) { return p.tokens * p.heads; }
std::int64_t groups_of(const AttentionPart& p) { return p.group_end - p.group_begin; }
std::int64_t work_of(const AttentionPart& p) { return rows_of(p) * groups_of(p); }

// One part per (slice, KV head, run of tokens).
void list_parts(const KvView& kv, const AttentionShape& shape, const AttentionSlice* slices, std::int64_t n_slices,
                const float* q, std::int64_t ldq, float* out, std::int64_t ldo, std::vector<AttentionPart>& parts) {
  for (std::int64_t s = 0; s < n_slices; ++s) {
    const AttentionSlice& slice = slices[s];
    for (std::int64_t head = 0; head < shape.q_heads;) {
      const std::int64_t kv_head = (shape.q_head_offset + head) / shape.group;
      const std::int64_t heads = std::min(shape.q_heads, (kv_head + 1) * shape.group - shape.q_head_offset) - head;
      const std::int64_t step = std::max<std::int64_t>(1, kItemRows / heads);
      for (std::int64_t token = 0; token < slice.tokens; token += step) {
        AttentionPart part;
        part.k = head_begin(kv.k, kv, kv_head);
        part.v = head_begin(kv.v, kv, kv_head);
        part.type = kv.type;
        part.head_dim = kv.head_dim;
        part.page_stride = kv.kv_heads * kv.head_dim * kPageTokens;
        part.blocks = slice.blocks;
        part.first_position = slice.first_position + token;
        part.tokens = std::min(step, slice.tokens - token);
        part.heads = heads;
        part.q = q + (slice.row + token) * ldq + head * kv.head_dim;
        part.ldq = ldq;
        part.out = out + (slice.row + token) * ldo + head * kv.head_dim;
        part.ldo = ldo;
        part.scale = static_cast<float>(shape.scale);
        part.window = shape.window;
        const std::int64_t oldest =
            shape.window > 0 ? std::max<std::int64_t>(0, part.first_position - shape.window + 1) : 0;
        part.group_begin = oldest / kKeyGroup;
        part.group_end = ceil_div(part.first_position + part.tokens, kKeyGroup);
        parts.push_back(part);
      }
      head += heads;
    }
  }
}

// Members take the next part as they become free; who computes a part does not change its bits.
template <class Body>
void run_dynamic(CpuPool& pool, std::int64_t count, Body body) {
  if (count == 1) {
    body(0);
    return;
  }
  std::atomic<std::int64_t> next{0};
  pool.run([&](int, int) {
    for (std::int64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) body(i);
  });
}

void compute(AttentionPart part) {
  part.scratch = thread_scratch(ScratchSlot::kAttention,
                                static_cast<std::size_t>(attention_scratch(rows_of(part), part.head_dim)));
  kernel_table().attention(part);
}

// Too few parts for the members (decode of a small batch): divides the key groups, then merges them.
void run_divided(CpuPool& pool, std::vector<AttentionPart>& parts) {
  std::int64_t floats = 0;
  for (const AttentionPart& p : parts) floats += work_of(p) * (p.head_dim + 2);
  float* partial = thread_scratch(ScratchSlot::kAttentionPartial, static_cast<std::size_t>(floats));
  const std::int64_t chunks =
      ceil_div(kItemsPerMember * pool.threads(), static_cast<std::int64_t>(parts.size()));
  std::vector<AttentionPart> divided;
  for (AttentionPart& p : parts) {
    p.partial = partial;
    const std::int64_t group_floats = rows_of(p) * (p.head_dim + 2);
    partial += groups_of(p) * group_floats;
    const std::int64_t count = std::min(chunks, groups_of(p));
    for (std::int64_t c = 0; c < count; ++c) {
      AttentionPart chunk = p;
      chunk.group_begin = p.group_begin + groups_of(p) * c / count;
      chunk.group_end = p.group_begin + groups_of(p) * (c + 1) / count;
      chunk.partial = p.partial + (chunk.group_begin - p.group_begin) * group_floats;
      divided.push_back(chunk);
    }
  }
  run_dynamic(pool, static_cast<std::int64_t>(divided.size()),
              [&](std::int64_t i) { compute(divided[static_cast<std::size_t>(i)]); });
  run_dynamic(pool, static_cast<std::int64_t>(parts.size()), [&](std::int64_t i) {
    AttentionPart part = parts[static_cast<std::size_t>(i)];
    part.scratch = thread_scratch(ScratchSlot::kAttention,
                                  static_cast<std::size_t>(attention_scratch(rows_of(part), part.head_dim)));
    kernel_table().attention_merge(part);
  });
}

// How numbers lie in a page.
struct AsF32 {
  using Element = float;
  static float of(float x) { return x; }
};
struct AsBf16 {
  using Element = std::uint16_t;
  static std::uint16_t of(float x) { return to_bf16(x); }
};
struct AsF16 {
  using Element = std::uint16_t;
  static std::uint16_t of(float x) { return to_f16(x); }
};

// `tokens` consecutive positions from `slot` on, all in one page.
template <class Stored>
void write_page(const KvView& kv, std::int64_t block, std::int64_t slot, std::int64_t tokens, const float* k,
                std::int64_t ldk, const float* v, std::int64_t ldv) {
  using Element = typename Stored::Element;
  const std::int64_t d = kv.head_dim;
  for (std::int64_t head = 0; head < kv.kv_heads; ++head) {
    const std::int64_t base = (block * kv.kv_heads + head) * d * kPageTokens;
    Element* k_page = static_cast<Element*>(kv.k) + base + slot;
    Element* v_page = static_cast<Element*>(kv.v) + base + slot * d;
    for (std::int64_t t = 0; t < tokens; ++t) {
      const float* k_row = k + t * ldk + head * d;
      const float* v_row = v + t * ldv + head * d;
      for (std::int64_t i = 0; i < d; ++i) {
        k_page[i * kPageTokens + t] = Stored::of(k_row[i]);
        v_page[t * d + i] = Stored::of(v_row[i]);
      }
    }
  }
}

// Tokens [begin, end) of the slices laid end to end.
template <class Stored>
void write_tokens(const KvView& kv, const AttentionSlice* slices, std::int64_t n_slices, Part part, const float* k,
                  std::int64_t ldk, const float* v, std::int64_t ldv) {
  std::int64_t before = 0;
  for (std::int64_t s = 0; s < n_slices && before < part.end; before += slices[s].tokens, ++s) {
    const AttentionSlice& slice = slices[s];
    const std::int64_t end = std::min(part.end - before, slice.tokens);
    for (std::int64_t t = std::max<std::int64_t>(0, part.begin - before); t < end;) {
      const std::int64_t position = slice.first_position + t;
      const std::int64_t slot = position % kPageTokens;
      const std::int64_t tokens = std::min(kPageTokens - slot, end - t);
      const std::int64_t row = slice.row + t;
      write_page<Stored>(kv, slice.blocks[position / kPageTokens], slot, tokens, k + row * ldk, ldk, v + row * ldv,
                          ldv);
      t += tokens;
    }
  }
}

}  // namespace

void kv_write(CpuPool& pool, const KvView& kv, const AttentionSlice* slices, std::int64_t n_slices, const float* k,
              std::int64_t ldk, const float* v, std::int64_t ldv) {
  std::int64_t tokens = 0;
  for (std::int64_t s = 0; s < n_slices; ++s) tokens += slices[s].tokens;
  const auto write = kv.type == WeightType::kF32    ? write_tokens<AsF32>
                     : kv.type == WeightType::kBf16 ? write_tokens<AsBf16>
                                                    : write_tokens<AsF16>;
  // Below this much data waking the pool costs more than it saves.
  constexpr std::int64_t kSerialElements = 8192;
  if (tokens * kv.kv_heads * kv.head_dim <= kSerialElements) {
    write(kv, slices, n_slices, {0, tokens}, k, ldk, v, ldv);
    return;
  }
  pool.run([&](int member, int threads) {
    write(kv, slices, n_slices, part_of(tokens, 1, member, threads), k, ldk, v, ldv);
  });
}

void kv_prefetch(const KvView& kv, const AttentionSlice* slices, std::int64_t n_slices) {
  constexpr std::int64_t kLine = 64;
  // More pages than this do not stay in a core's own cache until they are written.
  constexpr std::int64_t kMostSlices = 16;
  if (n_slices > kMostSlices) return;
  const std::int64_t page = kv.kv_heads * kv.head_dim * kPageTokens * bytes_of(kv.type);
  for (std::int64_t s = 0; s < n_slices; ++s) {
    if (slices[s].tokens != 1) continue;   // a prompt writes whole lines
    const std::int64_t block = slices[s].blocks[slices[s].first_position / kPageTokens];
    const char* k = static_cast<const char*>(kv.k) + block * page;
    const char* v = static_cast<const char*>(kv.v) + block * page;
    for (std::int64_t at = 0; at < page; at += kLine) {
      __builtin_prefetch(k + at, 1);
      __builtin_prefetch(v + at, 1);
    }
  }
}

void attention(CpuPool& pool, const KvView& kv, const AttentionShape& shape, const AttentionSlice* slices,
               std::int64_t n_slices, const float* q, std::int64_t ldq, float* out, std::int64_t ldo) {
  std::vector<AttentionPart> parts;
  list_parts(kv, shape, slices, n_slices, q, ldq, out, ldo, parts);
  if (parts.empty()) return;
  const auto count = static_cast<std::int64_t>(parts.size());
  const bool divisible = std::any_of(parts.begin(), parts.end(), [](const auto& p) { return groups_of(p) > 1; });
  if (pool.threads() > 1 && count < kItemsPerMember * pool.threads() && divisible) {
    run_divided(pool, parts);
    return;
  }
  // Longest first, so that the members finish together.
  std::stable_sort(parts.begin(), parts.end(),
                   [](const AttentionPart& a, const AttentionPart& b) { return work_of(a) > work_of(b); });
  run_dynamic(pool, count, [&](std::int64_t i) { compute(parts[static_cast<std::size_t>(i)]); });
}

}  // namespace lindos::kernels
