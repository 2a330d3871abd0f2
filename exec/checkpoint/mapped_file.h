// SPDX-License-Identifier: Apache-2.0
// A whole file mapped read-only. Pages arrive when touched, so a rank pays only for the slices it
// reads. Owns the mapping; movable. The file must not be truncated while mapped (POSIX answers with
// SIGBUS).
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace lindos::exec {

class MappedFile {
 public:
  // Throws Error{kInput} when `file` cannot be opened or is not a regular file, kEnvironment when
  // mapping fails.
  explicit MappedFile(const std::filesystem::path& file);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  MappedFile& operator=(MappedFile&&) = delete;

  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace lindos::exec
