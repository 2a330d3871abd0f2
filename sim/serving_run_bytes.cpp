// SPDX-License-Identifier: Apache-2.0
#include "sim/serving_run_bytes.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

#include "scenarios/error.h"

namespace lindos::sim {

namespace {

constexpr FlopPerSecond kUnitPeak{1.0};

template <class T>
void put(std::string& bytes, const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  const std::size_t at = bytes.size();
  bytes.resize(at + sizeof value);
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  template <class T>
  [[nodiscard]] T get() {
    static_assert(std::is_trivially_copyable_v<T>);
    if (bytes_.size() < sizeof(T)) broken();
    T value;
    std::memcpy(&value, bytes_.data(), sizeof value);
    bytes_.remove_prefix(sizeof value);
    return value;
  }
  // A count of items of at least `size` bytes each, so that a broken one cannot ask for more
  // memory.
  [[nodiscard]] std::size_t count(std::size_t size) {
    const auto n = get<std::uint64_t>();
    if (n > bytes_.size() / size) broken();
    return static_cast<std::size_t>(n);
  }
  void end() const {
    if (!bytes_.empty()) broken();
  }

 private:
  [[noreturn]] static void broken() {
    throw Error(ErrorKind::kEnvironment, "simulation process", "its result is not whole");
  }
  std::string_view bytes_;
};

void put(std::string& bytes, const std::vector<Seconds>& values) {
  put(bytes, static_cast<std::uint64_t>(values.size()));
  for (const Seconds value : values) put(bytes, value.count());
}

std::vector<Seconds> get_seconds(Reader& reader) {
  std::vector<Seconds> values(reader.count(sizeof(double)));
  for (Seconds& value : values) value = Seconds(reader.get<double>());
  return values;
}

}  // namespace

std::string to_bytes(const ServingRun& run) {
  std::string bytes;
  put(bytes, run.end.count());
  put(bytes, run.prefix_query_tokens);
  put(bytes, run.prefix_hit_tokens);
  put(bytes, run.host_hit_tokens);
  put(bytes, run.totals);
  for (std::size_t i = 0; i < kCauseCount; ++i)
    put(bytes, run.ledger.amount(static_cast<Cause>(i)));
  put(bytes, run.step_times);
  put(bytes, run.power.slice_length().count());
  put(bytes, static_cast<std::uint64_t>(run.power.slices().size()));
  for (const PowerSeries::Slice& slice : run.power.slices()) put(bytes, slice);
  put(bytes, static_cast<std::uint64_t>(run.timelines.size()));
  for (const RequestTimeline& t : run.timelines) {
    put(bytes, t.id);
    put(bytes, t.arrival.count());
    put(bytes, t.prompt_tokens);
    put(bytes, t.tenant);
    put(bytes, t.token_times);
  }
  return bytes;
}

ServingRun serving_run_from_bytes(std::string_view bytes) {
  Reader reader(bytes);
  ServingRun run;
  run.end = Seconds(reader.get<double>());
  run.prefix_query_tokens = reader.get<std::int64_t>();
  run.prefix_hit_tokens = reader.get<std::int64_t>();
  run.host_hit_tokens = reader.get<std::int64_t>();
  run.totals = reader.get<WorkTotals>();
  for (std::size_t i = 0; i < kCauseCount; ++i) {
    run.ledger.book(static_cast<Cause>(i), Seconds(reader.get<double>()), kUnitPeak);
  }
  run.step_times = get_seconds(reader);
  const Seconds slice_length(reader.get<double>());
  std::vector<PowerSeries::Slice> slices(reader.count(sizeof(PowerSeries::Slice)));
  for (PowerSeries::Slice& slice : slices) slice = reader.get<PowerSeries::Slice>();
  run.power = PowerSeries(slice_length, std::move(slices));
  constexpr std::size_t kSmallestTimeline = 4 * sizeof(std::uint64_t) + sizeof(std::uint32_t);
  run.timelines.resize(reader.count(kSmallestTimeline));
  for (RequestTimeline& t : run.timelines) {
    t.id = reader.get<std::uint64_t>();
    t.arrival = Seconds(reader.get<double>());
    t.prompt_tokens = reader.get<std::int64_t>();
    t.tenant = reader.get<std::uint32_t>();
    t.token_times = get_seconds(reader);
  }
  reader.end();
  return run;
}

}  // namespace lindos::sim
