// SPDX-License-Identifier: Apache-2.0
#include "scenarios/text_file.h"

#include <cstdint>
#include <fstream>
#include <iterator>
#include <system_error>

#include "scenarios/error.h"

namespace lindos {

std::string read_text_file(const std::filesystem::path& path, const std::string& where) {
  static constexpr std::uintmax_t kLargest = 16 * 1024 * 1024;
  const auto refuse = [&](const std::string& why) {
    throw Error(ErrorKind::kInput, where, "cannot read \"" + path.string() + "\": " + why);
  };
  std::error_code ec;
  const auto status = std::filesystem::status(path, ec);
  if (!std::filesystem::exists(status)) refuse("no such file");
  // Devices and pipes could block or never end.
  if (!std::filesystem::is_regular_file(status)) refuse("not a regular file");
  const std::uintmax_t size = std::filesystem::file_size(path, ec);
  if (ec) refuse(ec.message());
  if (size > kLargest) refuse("larger than 16 MiB");
  std::ifstream in(path, std::ios::binary);
  if (!in) refuse("permission denied or disk error");
  std::string text((std::istreambuf_iterator<char>(in)), {});
  if (in.bad()) refuse("disk error");
  return text;
}

}  // namespace lindos
