// SPDX-License-Identifier: Apache-2.0
// A shared library that a machine may or may not have (NVML, cuBLASLt, NCCL), loaded at run time so that one
// binary works with and without it. Owns the handle; moving hands it on. What must outlive the library's own
// threads or exit handlers has to outlive this object: pointers from symbol() die with it.
//
//   auto opened = DynamicLibrary::open({"libnvidia-ml.so.1"});
//   if (const auto* absent = std::get_if<Unavailable>(&opened)) say(absent->reason);
#pragma once

#include <memory>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

namespace lindos::exec {

// Legitimate answer where a machine lacks a library, a device or a counter: said, never zero.
struct Unavailable {
  std::string reason;
  bool operator==(const Unavailable&) const = default;
};

class DynamicLibrary {
 public:
  // The first of `names` that loads. A name with a slash is a path; others are searched as the loader does.
  // Symbols are resolved at once and stay private to this handle. The reason names every try.
  // REQUIRES: at least one name.
  [[nodiscard]] static std::variant<DynamicLibrary, Unavailable> open(const std::vector<std::string>& names);

  // The function of that name, nullptr when the library lacks it. `Function` is its exact type, as in
  // symbol<int(unsigned)>("f"); the loader cannot check it.
  template <class Function>
  [[nodiscard]] Function* symbol(const char* name) const {
    static_assert(std::is_function_v<Function>, "symbol<T>: T is a function type, not a pointer");
    return reinterpret_cast<Function*>(address(name));
  }
  // The same; throws Error{kEnvironment} naming library and symbol when it is absent.
  template <class Function>
  [[nodiscard]] Function& symbol_or_throw(const char* name) const {
    static_assert(std::is_function_v<Function>, "symbol_or_throw<T>: T is a function type, not a pointer");
    return *reinterpret_cast<Function*>(address_or_throw(name));
  }

  // The name under which it was loaded.
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  struct Close {
    void operator()(void* handle) const;
  };
  DynamicLibrary(std::unique_ptr<void, Close> handle, std::string name);
  [[nodiscard]] void* address(const char* name) const;
  [[nodiscard]] void* address_or_throw(const char* name) const;

  std::unique_ptr<void, Close> handle_;
  std::string name_;
};

}  // namespace lindos::exec
