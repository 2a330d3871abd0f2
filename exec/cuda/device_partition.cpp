// SPDX-License-Identifier: Apache-2.0
#include "exec/cuda/device_partition.h"

#include <algorithm>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include <cuda.h>
#include <cuda_runtime_api.h>

#include "exec/cuda/cuda_error.h"
#include "exec/runner/dynamic_library.h"
#include "kernels/cuda/device_limits.h"
#include "scenarios/error.h"

namespace lindos::exec::cuda {

namespace {

thread_local std::shared_ptr<const DevicePartition> current_partition;

DynamicLibrary driver_or_throw() {
  auto opened = DynamicLibrary::open({"libcuda.so.1"});
  if (const auto* absent = std::get_if<Unavailable>(&opened)) throw Error(ErrorKind::kEnvironment, "CUDA driver", absent->reason);
  return std::get<DynamicLibrary>(std::move(opened));
}

}  // namespace

// The few functions of the driver that the runtime has no name for.
struct DevicePartition::Driver {
  DynamicLibrary library = driver_or_throw();
#define LINDOS_CUDA_DRIVER(name) std::remove_reference_t<decltype(::name)>& name = library.symbol_or_throw<decltype(::name)>(#name)
  LINDOS_CUDA_DRIVER(cuDeviceGet);
  LINDOS_CUDA_DRIVER(cuDeviceGetDevResource);
  LINDOS_CUDA_DRIVER(cuDevResourceGenerateDesc);
  LINDOS_CUDA_DRIVER(cuDevSmResourceSplitByCount);
  LINDOS_CUDA_DRIVER(cuGetErrorString);
  LINDOS_CUDA_DRIVER(cuGreenCtxCreate);
  LINDOS_CUDA_DRIVER(cuGreenCtxDestroy);
  LINDOS_CUDA_DRIVER(cuGreenCtxStreamCreate);
#undef LINDOS_CUDA_DRIVER

  void check(CUresult result, const char* what) const {
    if (result == CUDA_SUCCESS) return;
    const char* text = nullptr;
    (void)cuGetErrorString(result, &text);
    throw Error(ErrorKind::kEnvironment, "parts of a GPU, " + std::string(what),
                text == nullptr ? "error " + std::to_string(static_cast<int>(result)) : text);
  }
};

std::vector<std::shared_ptr<const DevicePartition>> DevicePartition::cut(const std::vector<int>& multiprocessors) {
  const auto driver = std::make_shared<const Driver>();
  int ordinal = 0;
  // Also makes the device's primary context, which all parts share.
  cuda::check(cudaGetDevice(&ordinal), "the current device");
  cuda::check(cudaFree(nullptr), "start of the device");
  CUdevice device = 0;
  driver->check(driver->cuDeviceGet(&device, ordinal), "device");
  CUdevResource whole{};
  driver->check(driver->cuDeviceGetDevResource(device, &whole, CU_DEV_RESOURCE_TYPE_SM), "multiprocessors");
  // One cut into the smallest groups: neither a group nor what is left over can be cut again, but a part may have several.
  const unsigned step = std::max(1U, whole.sm.minSmPartitionSize);
  unsigned count = whole.sm.smCount / step;
  std::vector<CUdevResource> groups(count);
  CUdevResource left_over{};
  driver->check(driver->cuDevSmResourceSplitByCount(groups.data(), &count, &whole, &left_over, 0, step), "cutting");
  groups.resize(count);
  std::vector<std::shared_ptr<const DevicePartition>> parts;
  auto next = groups.begin();
  for (const int wanted : multiprocessors) {
    const auto first = next;
    int has = 0;
    while (has < wanted && next != groups.end()) has += static_cast<int>((next++)->sm.smCount);
    if (wanted < 1 || has < wanted) {
      std::string asked;
      for (const int n : multiprocessors) asked += (asked.empty() ? "" : " + ") + std::to_string(n);
      throw Error(ErrorKind::kInput, "parts of a GPU",
                  asked + " multiprocessors; the device has " + std::to_string(whole.sm.smCount) + ", of which " + std::to_string(count) +
                      " groups of " + std::to_string(groups.empty() ? 0U : groups.front().sm.smCount) + " can be dealt out");
    }
    CUdevResourceDesc description = nullptr;
    driver->check(driver->cuDevResourceGenerateDesc(&description, &*first, static_cast<unsigned>(next - first)), "description");
    CUgreenCtx context = nullptr;
    driver->check(driver->cuGreenCtxCreate(&context, description, device, CU_GREEN_CTX_DEFAULT_STREAM), "context");
    parts.emplace_back(new DevicePartition(driver, context, has));
  }
  return parts;
}

DevicePartition::DevicePartition(std::shared_ptr<const Driver> driver, void* context, int multiprocessors)
    : driver_(std::move(driver)), context_(context), multiprocessors_(multiprocessors) {}

DevicePartition::~DevicePartition() { (void)driver_->cuGreenCtxDestroy(static_cast<CUgreenCtx>(context_)); }

CUstream_st* DevicePartition::make_stream() const {
  CUstream stream = nullptr;
  driver_->check(driver_->cuGreenCtxStreamCreate(&stream, static_cast<CUgreenCtx>(context_), CU_STREAM_NON_BLOCKING, 0), "stream");
  return stream;
}

std::shared_ptr<const DevicePartition> DevicePartition::current() { return current_partition; }

DevicePartition::Scope::Scope(std::shared_ptr<const DevicePartition> partition)
    : before_(std::exchange(current_partition, std::move(partition))) {
  kernels::cuda::use_multiprocessors(current_partition ? current_partition->multiprocessors() : 0);
}

DevicePartition::Scope::~Scope() {
  current_partition = std::move(before_);
  kernels::cuda::use_multiprocessors(current_partition ? current_partition->multiprocessors() : 0);
}

}  // namespace lindos::exec::cuda
