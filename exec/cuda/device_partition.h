// SPDX-License-Identifier: Apache-2.0
// A part of a GPU's multiprocessors that kernels keep to: a green context of the driver. Memory, its bandwidth and L2 stay
// shared. Parts of different size on one GPU stand in for a group of different devices.
//
//   const auto parts = DevicePartition::cut({40, 80});
//   {
//     const DevicePartition::Scope scope(parts[0]);   // streams made by this thread belong to the part
//     CudaModel model(…);
//   }
#pragma once

#include <memory>
#include <vector>

struct CUstream_st;

namespace lindos::exec::cuda {

class DevicePartition {
 public:
  // Parts of the current device, in this order; each as large as asked, rounded up to whole groups of what the device can
  // cut (8 multiprocessors on Hopper: 15 groups of the 132). Throws Error{kInput} when the
  // device has fewer, Error{kEnvironment} when its driver cannot cut it.
  [[nodiscard]] static std::vector<std::shared_ptr<const DevicePartition>> cut(const std::vector<int>& multiprocessors);
  ~DevicePartition();
  DevicePartition(const DevicePartition&) = delete;
  DevicePartition& operator=(const DevicePartition&) = delete;

  [[nodiscard]] int multiprocessors() const { return multiprocessors_; }
  // Does not wait for the default stream, as all of ours.
  [[nodiscard]] CUstream_st* make_stream() const;

  // Of this thread; null: the whole device.
  [[nodiscard]] static std::shared_ptr<const DevicePartition> current();
  class Scope {
   public:
    explicit Scope(std::shared_ptr<const DevicePartition> partition);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    std::shared_ptr<const DevicePartition> before_;
  };

 private:
  struct Driver;
  DevicePartition(std::shared_ptr<const Driver> driver, void* context, int multiprocessors);
  std::shared_ptr<const Driver> driver_;
  void* context_;
  int multiprocessors_;
};

}  // namespace lindos::exec::cuda
