// SPDX-License-Identifier: Apache-2.0
// Memory of the current device, and page-locked memory of the host: owned, counted, movable, not copyable.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "exec/cuda/cuda_error.h"
#include "exec/cuda/device_partition.h"
#include "kernels/cuda/element.h"

namespace lindos::exec::cuda {

// What buffers hold.
using kernels::cuda::Element;
using kernels::cuda::Number;

class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  // Zeroed. Throws Error{kEnvironment} when the device has no room.
  explicit DeviceBuffer(std::size_t bytes) : bytes_(bytes) {
    if (bytes == 0) return;
    check(cudaMalloc(&data_, bytes), "allocation of device memory");
    check(cudaMemset(data_, 0, bytes), "clearing device memory");
    // Non-blocking streams do not wait for the default stream by themselves.
    check(cudaStreamSynchronize(cudaStreamLegacy), "clearing device memory");
  }
  DeviceBuffer(DeviceBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;
  ~DeviceBuffer() { (void)cudaFree(data_); }

  template <class T>
  [[nodiscard]] T* as() const {
    return static_cast<T*>(data_);
  }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

class PinnedBuffer {
 public:
  PinnedBuffer() = default;
  explicit PinnedBuffer(std::size_t bytes) {
    if (bytes > 0) check(cudaMallocHost(&data_, bytes), "allocation of page-locked memory");
  }
  PinnedBuffer(PinnedBuffer&& other) noexcept : data_(std::exchange(other.data_, nullptr)) {}
  PinnedBuffer& operator=(PinnedBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    return *this;
  }
  PinnedBuffer(const PinnedBuffer&) = delete;
  PinnedBuffer& operator=(const PinnedBuffer&) = delete;
  ~PinnedBuffer() { (void)cudaFreeHost(data_); }

  template <class T>
  [[nodiscard]] T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  void* data_ = nullptr;
};

class Stream {
 public:
  // On the part of the device that this thread works on (device_partition.h).
  Stream() : partition_(DevicePartition::current()) {
    if (partition_) {
      stream_ = partition_->make_stream();
    } else {
      check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "creation of a stream");
    }
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() { (void)cudaStreamDestroy(stream_); }
  [[nodiscard]] cudaStream_t get() const { return stream_; }
  void synchronise(const char* what) const { check(cudaStreamSynchronize(stream_), what); }

 private:
  std::shared_ptr<const DevicePartition> partition_;
  cudaStream_t stream_ = nullptr;
};

class Event {
 public:
  // `timing` = false: for ordering only, cheaper.
  explicit Event(bool timing) {
    check(cudaEventCreateWithFlags(&event_, timing ? cudaEventDefault : cudaEventDisableTiming), "creation of an event");
  }
  Event(Event&& other) noexcept : event_(std::exchange(other.event_, nullptr)) {}
  Event& operator=(Event&& other) noexcept {
    std::swap(event_, other.event_);
    return *this;
  }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() {
    if (event_ != nullptr) (void)cudaEventDestroy(event_);
  }
  [[nodiscard]] cudaEvent_t get() const { return event_; }
  void record(const Stream& stream) const { check(cudaEventRecord(event_, stream.get()), "recording an event"); }

 private:
  cudaEvent_t event_ = nullptr;
};

}  // namespace lindos::exec::cuda
