// SPDX-License-Identifier: Apache-2.0
#include "exec/checkpoint/mapped_file.h"

#include <cerrno>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scenarios/error.h"

namespace lindos::exec {
namespace {

std::string reason(int error_number) { return std::generic_category().message(error_number); }

// Closes the descriptor on every way out; the mapping outlives it.
struct Descriptor {
  int value;
  ~Descriptor() {
    if (value >= 0) ::close(value);
  }
};

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& file) {
  const Descriptor descriptor{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
  if (descriptor.value < 0) {
    throw Error(ErrorKind::kInput, file.string(), "cannot be opened: " + reason(errno));
  }
  struct stat status = {};
  if (::fstat(descriptor.value, &status) != 0) {
    throw Error(ErrorKind::kEnvironment, file.string(), "cannot be examined: " + reason(errno));
  }
  if (!S_ISREG(status.st_mode))
    throw Error(ErrorKind::kInput, file.string(), "is not a regular file");
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size == 0) return;  // mmap refuses empty ranges; an empty span says the same
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor.value, 0);
  if (address == MAP_FAILED) {
    throw Error(ErrorKind::kEnvironment, file.string(), "cannot be mapped: " + reason(errno));
  }
  bytes_ = {static_cast<const std::byte*>(address), size};
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

}  // namespace lindos::exec
