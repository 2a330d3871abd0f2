// SPDX-License-Identifier: Apache-2.0
#include "exec/runner/dynamic_library.h"

#include <dlfcn.h>

#include <utility>

#include "scenarios/error.h"

namespace lindos::exec {

void DynamicLibrary::Close::operator()(void* handle) const { ::dlclose(handle); }

DynamicLibrary::DynamicLibrary(std::unique_ptr<void, Close> handle, std::string name)
    : handle_(std::move(handle)), name_(std::move(name)) {}

std::variant<DynamicLibrary, Unavailable> DynamicLibrary::open(const std::vector<std::string>& names) {
  LINDOS_ASSERT(!names.empty(), "DynamicLibrary::open needs a name");
  std::string reasons;
  for (const std::string& name : names) {
    std::unique_ptr<void, Close> handle(::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL));
    if (handle) return DynamicLibrary(std::move(handle), name);
    const char* why = ::dlerror();   // begins with the name of the file at fault
    if (!reasons.empty()) reasons += "; ";
    reasons += why != nullptr ? why : name + ": cannot be loaded";
  }
  return Unavailable{reasons};
}

void* DynamicLibrary::address(const char* name) const { return ::dlsym(handle_.get(), name); }

void* DynamicLibrary::address_or_throw(const char* name) const {
  if (void* found = address(name)) return found;
  throw Error(ErrorKind::kEnvironment, name_, std::string("has no function ") + name + "; another version is needed");
}

}  // namespace lindos::exec
