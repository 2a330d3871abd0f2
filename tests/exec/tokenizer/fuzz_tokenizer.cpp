// SPDX-License-Identifier: Apache-2.0
// Any tokenizer.json and any text: a value or an Error, never a crash or a hang. The input is the
// JSON, a zero byte and a text; without a zero byte a fixed text is used. Ids come back from the
// text and go through both decoders.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "exec/tokenizer/tokenizer.h"
#include "exec/tokenizer/unicode.h"
#include "scenarios/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t zero = input.find('\0');
  const std::string_view json = input.substr(0, zero);
  const std::string_view text = zero == std::string_view::npos
                                    ? "It's 2024:  caf\u00e9 \U0001f600\n<s>"
                                    : input.substr(zero + 1);
  try {
    const auto tokenizer = lindos::exec::parse_tokenizer(json, "fuzz");
    const auto ids = tokenizer->encode(text, true);
    lindos::exec::StreamDecoder stream(*tokenizer);
    std::string streamed;
    for (const std::int32_t id : ids) streamed += stream.push(id);
    streamed += stream.finish();
    const bool half_character =
        lindos::exec::find_invalid_utf8(streamed).has_value() ||
        lindos::exec::find_invalid_utf8(tokenizer->decode(ids, false)).has_value();
    if (half_character) std::abort();
  } catch (const lindos::Error&) {
    // The legitimate answer to most inputs.
  }
  return 0;
}
