#include "runtime.h"

#include <new>
#include <stdexcept>

#include "launch.cuh"

namespace easting::cuda {
namespace {

// Exists to ask whether this build holds code for the device.
__global__ void probe() {}

std::string version(int number) { return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10); }

Status look() {
  int count = 0, driver = 0, runtime = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaErrorNoDevice || (error == cudaSuccess && count == 0))
    return {"CUDA: expected an NVIDIA GPU, got a driver without one; check nvidia-smi and CUDA_VISIBLE_DEVICES", {}};
  if (error == cudaErrorInsufficientDriver) {
    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&runtime);
    if (driver == 0) return {"CUDA: expected an NVIDIA driver, got none; install one to use a GPU", {}};
    return {"CUDA: expected a driver for CUDA " + version(runtime) + " or later, got one for CUDA " + version(driver) +
                "; update the NVIDIA driver",
            {}};
  }
  if (error != cudaSuccess) return {std::string("CUDA: expected a usable GPU, got: ") + cudaGetErrorString(error), {}};

  Status found;
  for (int device = 0; device < count; ++device) {
    cudaDeviceProp properties;
    check(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
    found.devices.emplace_back(properties.name);
  }
  cudaFuncAttributes attributes;
  if (const cudaError_t image = cudaFuncGetAttributes(&attributes, probe); image != cudaSuccess) {
    cudaGetLastError();
    return {"CUDA: expected a GPU that this build can run on, got " + found.devices[0] + ": " +
                cudaGetErrorString(image) + "; rebuild with EASTING_CUDA_ARCHS set to its architecture",
            {}};
  }
  return found;
}

}  // namespace

void check(cudaError_t error, const char* call) {
  if (error == cudaSuccess) return;
  throw std::runtime_error(std::string(call) + ": expected success, got " + cudaGetErrorName(error) + ": " +
                           cudaGetErrorString(error));
}

const Status& status() {
  static const Status once = look();
  return once;
}

void* allocate(std::size_t bytes) {
  void* block = nullptr;
  const cudaError_t error = cudaMalloc(&block, bytes);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // not to be reported again by the next launch
    throw std::bad_alloc();
  }
  check(error, "cudaMalloc");
  return block;
}

// Also called while the process exits, when the driver may be gone already.
void release(void* block) { static_cast<void>(cudaFree(block)); }

namespace {
cudaStream_t queue = nullptr;
}

cudaStream_t stream() {
  if (!queue) check(cudaStreamCreateWithFlags(&queue, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  return queue;
}

void synchronize() {
  if (queue) check(cudaStreamSynchronize(queue), "cudaStreamSynchronize");
}

// A block that became too small is kept: what was queued or captured may still use it. Sizes double, so that all of them
// together are less than twice the largest.
void* scratch(int slot, std::size_t bytes) {
  static struct {
    void* block;
    std::size_t size;
  } slots[4];
  auto& [block, size] = slots[slot];
  if (bytes > size) {
    const std::size_t wanted = bytes > 2 * size ? bytes : 2 * size;
    block = allocate(wanted);
    size = wanted;
  }
  return block;
}

void upload(void* device, const void* host, std::size_t bytes) {
  check(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, stream()), "cudaMemcpyAsync");
}

void copy(void* to, const void* from, std::size_t bytes) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream()), "cudaMemcpyAsync");
}

void download(void* host, const void* device, std::size_t bytes) {
  check(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, stream()), "cudaMemcpyAsync");
  synchronize();
}

}  // namespace easting::cuda
