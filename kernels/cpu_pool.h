// SPDX-License-Identifier: Apache-2.0
// The CPU's "stream": a fixed team of threads that runs one parallel region at a time. Workers spin for a
// short while between regions (kernels follow each other within microseconds), then sleep.
// Ownership: one pool per rank. Threading: run() is called by the owning thread only; it takes part as
// member 0 and returns when all members are done. The body must not throw and must not run() the same pool.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

namespace lindos::kernels {

class CpuPool {
 public:
  explicit CpuPool(int threads);  // less than 1 counts as 1; 1 starts no thread
  ~CpuPool();
  CpuPool(const CpuPool&) = delete;
  CpuPool& operator=(const CpuPool&) = delete;
  [[nodiscard]] int threads() const { return threads_; }

  // body(member, threads()) on every member.
  template <class Body>
  void run(Body&& body) {
    auto call = [](void* context, int member, int threads) {
      (*static_cast<std::remove_reference_t<Body>*>(context))(member, threads);
    };
    run_erased(call, &body);
  }

 private:
  using Call = void (*)(void* context, int member, int threads);
  void run_erased(Call call, void* context);
  struct State;
  int threads_;
  std::unique_ptr<State> state_;
};

// The part of [0, total) that belongs to `member`, in multiples of `granule`.
struct Part {
  std::int64_t begin, end;
};
[[nodiscard]] constexpr Part part_of(std::int64_t total, std::int64_t granule, int member, int threads) {
  const std::int64_t units = (total + granule - 1) / granule;
  const std::int64_t b = units * member / threads * granule;
  const std::int64_t e = units * (member + 1) / threads * granule;
  return {b < total ? b : total, e < total ? e : total};
}

}  // namespace lindos::kernels
