// SPDX-License-Identifier: Apache-2.0
#include "exec/cuda/device_info.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <utility>

#include "scenarios/error.h"

#ifdef LINDOS_HAS_CUDA
#include <cuda_runtime_api.h>

#include "exec/cuda/nccl.h"
#endif

namespace lindos::exec::cuda {

namespace {

constexpr double kMemoryTolerance = 0.1;   // drivers keep some, vendors round

// Words of letters and digits: "NVIDIA A100-SXM4-80GB" has four.
std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : text) {
    if (c != ' ' && c != '-' && c != ',') {
      word += c;
      continue;
    }
    if (!word.empty()) words.push_back(std::exchange(word, {}));
  }
  if (!word.empty()) words.push_back(word);
  return words;
}

bool has_digit(const std::string& word) { return word.find_first_of("0123456789") != std::string::npos; }

}  // namespace

bool is_kind_of(const DeviceInfo& gpu, const Device& device) {
  if (gpu.compute_capability != device.compute_capability) return false;
  const std::vector<std::string> label = words_of(device.label);
  const auto model = std::find_if(label.begin(), label.end(), has_digit);
  const std::vector<std::string> name = words_of(gpu.name);
  if (model == label.end() || std::find(name.begin(), name.end(), *model) == name.end()) return false;
  return std::abs(gpu.memory / device.memory - 1.0) <= kMemoryTolerance;
}

#ifdef LINDOS_HAS_CUDA

namespace {

constexpr int kOldestCapability = 80;

std::string version_text(int version) { return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10); }

}  // namespace

std::variant<std::vector<DeviceInfo>, Unavailable> devices() {
  // Streams beyond so many share a queue, and a kernel that waits for another rank would stop that rank's (tensor_group.h). Read when
  // the device is first used; 32 is the most.
  (void)setenv("CUDA_DEVICE_MAX_CONNECTIONS", "32", 0);
  int driver = 0;
  int runtime = 0;
  (void)cudaDriverGetVersion(&driver);
  (void)cudaRuntimeGetVersion(&runtime);
  if (driver == 0) return Unavailable{"no NVIDIA driver on this machine"};
  if (driver / 1000 < runtime / 1000) {
    return Unavailable{"the NVIDIA driver supports CUDA " + version_text(driver) + ", this build needs " + version_text(runtime) +
                       ": update the driver"};
  }
  int count = 0;
  if (const cudaError_t status = cudaGetDeviceCount(&count); status != cudaSuccess) {
    (void)cudaGetLastError();
    return Unavailable{std::string("no usable NVIDIA GPU: ") + cudaGetErrorString(status)};
  }
  std::vector<DeviceInfo> found;
  std::string skipped;
  for (int ordinal = 0; ordinal < count; ++ordinal) {
    cudaDeviceProp properties{};
    if (cudaGetDeviceProperties(&properties, ordinal) != cudaSuccess) continue;
    DeviceInfo info;
    info.ordinal = ordinal;
    info.name = properties.name;
    char bus[32] = {};
    if (cudaDeviceGetPCIBusId(bus, sizeof bus, ordinal) == cudaSuccess) info.pci_bus_id = bus;
    info.compute_capability = properties.major * 10 + properties.minor;
    info.multiprocessors = properties.multiProcessorCount;
    info.memory = Bytes{static_cast<double>(properties.totalGlobalMem)};
    info.driver = version_text(driver);
    info.runtime = version_text(runtime);
    if (info.compute_capability < kOldestCapability) {
      skipped += "; " + info.name + " is sm_" + std::to_string(info.compute_capability) + ", the oldest supported is sm_80";
      continue;
    }
    std::size_t free = 0;
    std::size_t total = 0;
    if (cudaSetDevice(ordinal) == cudaSuccess && cudaMemGetInfo(&free, &total) == cudaSuccess) {
      info.free_memory = Bytes{static_cast<double>(free)};
    }
    found.push_back(info);
  }
  if (found.empty()) return Unavailable{"no usable NVIDIA GPU" + skipped};
  (void)cudaSetDevice(found.front().ordinal);
  return found;
}

bool ranks_may_share_a_gpu() {
  const std::optional<int> version = nccl_version();
  return version && *version >= kFirstNcclWithSharedGpus;
}

#else

bool ranks_may_share_a_gpu() { return false; }

std::variant<std::vector<DeviceInfo>, Unavailable> devices() {
  return Unavailable{"this build has no CUDA backend (nvcc was not found when it was configured)"};
}

#endif

void take_own_device() {
  const char* place = nullptr;
  for (const char* name : {"OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID", "LOCAL_RANK"}) {
    if (place = std::getenv(name); place != nullptr) break;
  }
  if (place == nullptr) return;
  const auto index = static_cast<std::size_t>(std::strtoul(place, nullptr, 10));
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  std::vector<std::string> devices;
  for (std::string_view rest = visible == nullptr ? "" : visible; !rest.empty();) {
    const std::size_t comma = rest.find(',');
    devices.emplace_back(rest.substr(0, comma));
    rest = comma == std::string_view::npos ? "" : rest.substr(comma + 1);
  }
  if (devices.size() == 1) return;
  // Beyond the list CUDA sees no device, and says so.
  const std::string own = visible == nullptr ? std::to_string(index) : index < devices.size() ? devices[index] : "-1";
  (void)setenv("CUDA_VISIBLE_DEVICES", own.c_str(), 1);
}

std::map<std::string, std::string> libraries_of(const DeviceInfo& gpu) {
  std::map<std::string, std::string> libraries{{"cuda-driver", gpu.driver}, {"cuda-runtime", gpu.runtime}};
  const auto opened = DynamicLibrary::open({"libcublasLt.so.13", "libcublasLt.so"});
  if (const auto* library = std::get_if<DynamicLibrary>(&opened)) {
    if (auto* version = library->symbol<std::size_t()>("cublasLtGetVersion")) {
      const std::size_t v = version();   // 130100 = 13.1.0
      libraries["cublaslt"] = std::to_string(v / 10000) + "." + std::to_string(v / 100 % 100) + "." + std::to_string(v % 100);
    }
  }
#ifdef LINDOS_HAS_CUDA
  if (const std::optional<int> v = nccl_version()) libraries["nccl"] = nccl_version_text(*v);
#endif
  return libraries;
}

DeviceInfo device_or_throw() {
  auto found = devices();
  if (const auto* none = std::get_if<Unavailable>(&found)) throw Error(ErrorKind::kEnvironment, "GPU", none->reason);
  return std::get<std::vector<DeviceInfo>>(found).front();
}

}  // namespace lindos::exec::cuda
