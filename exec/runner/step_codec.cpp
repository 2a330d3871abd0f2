// SPDX-License-Identifier: Apache-2.0
#include "exec/runner/step_codec.h"

#include <cstring>

#include "scenarios/error.h"

namespace lindos::exec {

namespace {

// A slice on the wire: its pages are an offset into the common block list.
struct WireSlice {
  std::int64_t first_position, tokens, row, first_block;
};

template <class T>
void put(std::vector<std::byte>& out, const std::vector<T>& values) {
  const auto count = static_cast<std::uint64_t>(values.size());
  const auto* head = reinterpret_cast<const std::byte*>(&count);
  out.insert(out.end(), head, head + sizeof(count));
  const auto* data = reinterpret_cast<const std::byte*>(values.data());
  out.insert(out.end(), data, data + values.size() * sizeof(T));
}

template <class T>
std::vector<T> get(std::span<const std::byte>& in) {
  std::uint64_t count = 0;
  LINDOS_ASSERT(in.size() >= sizeof(count), "step message cut short");
  std::memcpy(&count, in.data(), sizeof(count));
  in = in.subspan(sizeof(count));
  std::vector<T> values(count);
  LINDOS_ASSERT(in.size() >= count * sizeof(T), "step message cut short");
  if (count > 0) std::memcpy(values.data(), in.data(), count * sizeof(T));
  in = in.subspan(count * sizeof(T));
  return values;
}

}  // namespace

StepInput make_step_input(const scheduler::Step& step) {
  StepInput input;
  for (const scheduler::KvCopy& copy : step.copies)
    input.copies.push_back({copy.to == scheduler::KvCopy::To::kHost ? 1 : 0, copy.device, copy.host});
  std::vector<std::size_t> first_block;
  for (const scheduler::StepSlice& slice : step.slices) {
    const auto row = static_cast<std::int64_t>(input.positions.size());
    const auto tokens = static_cast<std::int64_t>(slice.tokens.size());
    input.ids.insert(input.ids.end(), slice.tokens.begin(), slice.tokens.end());
    for (std::int64_t i = 0; i < tokens; ++i) input.positions.push_back(slice.first_position + i);
    input.slices.push_back({slice.first_position, tokens, row, nullptr});
    first_block.push_back(input.blocks.size());
    input.blocks.insert(input.blocks.end(), slice.blocks.begin(), slice.blocks.end());
    if (slice.wants_logits) {
      input.logit_rows.push_back(row + tokens - 1);
      input.logit_requests.push_back(slice.request);
    }
  }
  for (std::size_t i = 0; i < input.slices.size(); ++i) {
    input.slices[i].blocks = input.blocks.data() + first_block[i];
  }
  return input;
}

std::vector<std::byte> encode(const StepInput& input) {
  std::vector<WireSlice> slices;
  for (const kernels::AttentionSlice& s : input.slices) {
    slices.push_back({s.first_position, s.tokens, s.row, s.blocks - input.blocks.data()});
  }
  std::vector<std::byte> out;
  put(out, input.copies);
  put(out, input.ids);
  put(out, input.positions);
  put(out, slices);
  put(out, input.blocks);
  put(out, input.logit_rows);
  put(out, input.logit_requests);
  return out;
}

StepInput decode(std::span<const std::byte> bytes) {
  StepInput input;
  input.copies = get<kernels::KvBlockCopy>(bytes);
  input.ids = get<std::int32_t>(bytes);
  input.positions = get<std::int64_t>(bytes);
  const auto slices = get<WireSlice>(bytes);
  input.blocks = get<std::int32_t>(bytes);
  input.logit_rows = get<std::int64_t>(bytes);
  input.logit_requests = get<std::uint64_t>(bytes);
  for (const WireSlice& s : slices) {
    input.slices.push_back({s.first_position, s.tokens, s.row, input.blocks.data() + s.first_block});
  }
  return input;
}

}  // namespace lindos::exec
