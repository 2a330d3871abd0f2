// SPDX-License-Identifier: Apache-2.0
#include "kernels/elementwise.h"

#include "kernels/bf16.h"
#include "kernels/cpu/table.h"
#include "kernels/f16.h"
#include "kernels/rows.h"

namespace lindos::kernels {

void embedding(CpuPool& pool, const PackedWeights& table, const std::int32_t* ids, std::int64_t m, float* out,
               std::int64_t ldo) {
  for_rows(pool, m, table.k, [&](std::int64_t row) {
    const std::int64_t lane = ids[row] % kPanel;
    const auto* panel = static_cast<const std::byte*>(table.data) + packed_bytes(table.type, ids[row] - lane, table.k);
    float* to = out + row * ldo;
    if (table.type == WeightType::kF32) {
      const float* from = reinterpret_cast<const float*>(panel) + lane;
      for (std::int64_t i = 0; i < table.k; ++i) to[i] = from[i * kPanel];
    } else if (table.type == WeightType::kBf16) {
      const auto* from = reinterpret_cast<const std::uint16_t*>(panel) + 2 * lane;
      for (std::int64_t i = 0; i < table.k; ++i) to[i] = from_bf16(from[i / 2 * 2 * kPanel + i % 2]);
    } else {
      const auto* from = reinterpret_cast<const std::uint16_t*>(panel) + lane;
      for (std::int64_t i = 0; i < table.k; ++i) to[i] = from_f16(from[i * kPanel]);
    }
  });
}

void rmsnorm(CpuPool& pool, const float* x, std::int64_t ldx, const float* weight, double eps, std::int64_t m,
             std::int64_t h, float* y, std::int64_t ldy) {
  const KernelTable& table = kernel_table();
  for_rows(pool, m, h, [&](std::int64_t row) { table.rmsnorm(x + row * ldx, weight, eps, h, y + row * ldy); });
}

void head_rmsnorm(CpuPool& pool, float* x, std::int64_t ldx, const float* weight, double eps, std::int64_t m,
                  std::int64_t heads, std::int64_t head_dim) {
  const KernelTable& table = kernel_table();
  for_rows(pool, m, heads * head_dim, [&](std::int64_t row) {
    for (std::int64_t head = 0; head < heads; ++head) {
      float* at = x + row * ldx + head * head_dim;
      table.rmsnorm(at, weight, eps, head_dim, at);
    }
  });
}

void rope(CpuPool& pool, float* x, std::int64_t ldx, std::int64_t m, std::int64_t heads, std::int64_t head_dim,
          const std::int64_t* positions, const float* cos, const float* sin) {
  const KernelTable& table = kernel_table();
  const std::int64_t half = head_dim / 2;
  for_rows(pool, m, heads * head_dim, [&](std::int64_t row) {
    const std::int64_t angle = positions[row] * half;
    for (std::int64_t head = 0; head < heads; ++head) {
      table.rope(x + row * ldx + head * head_dim, half, cos + angle, sin + angle);
    }
  });
}

void swiglu(CpuPool& pool, const float* gate_up, std::int64_t ldg, std::int64_t m, std::int64_t f, float* out,
            std::int64_t ldo) {
  const KernelTable& table = kernel_table();
  for_rows(pool, m, f, [&](std::int64_t row) {
    const float* gate = gate_up + row * ldg;
    table.swiglu(gate, gate + f, f, out + row * ldo);
  });
}

void residual_add(CpuPool& pool, float* x, std::int64_t ldx, const float* y, std::int64_t ldy, const float* bias,
                  std::int64_t m, std::int64_t h) {
  const KernelTable& table = kernel_table();
  for_rows(pool, m, h, [&](std::int64_t row) { table.add(x + row * ldx, y + row * ldy, bias, h); });
}

void bias_add(CpuPool& pool, float* x, std::int64_t ldx, const float* bias, std::int64_t m, std::int64_t n) {
  const KernelTable& table = kernel_table();
  for_rows(pool, m, n, [&](std::int64_t row) { table.add(x + row * ldx, nullptr, bias, n); });
}

}  // namespace lindos::kernels
