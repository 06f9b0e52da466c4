// How every CUDA kernel is started: one check of errors, one choice of grid.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>

namespace easting::cuda {

// Throws std::runtime_error with the name of the call and CUDA's own words.
void check(cudaError_t error, const char* call);

constexpr int threads_per_block = 256;
constexpr std::int64_t most_blocks = 4096;

// The elements of this thread in a grid-stride loop.
#define EASTING_EACH(i, n)                                                                                    \
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < (n);                         \
       i += std::int64_t{gridDim.x} * blockDim.x)

// Starts `kernel` over `elements`; it must loop with EASTING_EACH.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), std::int64_t elements, Arguments... arguments) {
  if (elements <= 0) return;
  const std::int64_t blocks = (elements + threads_per_block - 1) / threads_per_block;
  kernel<<<static_cast<unsigned>(blocks < most_blocks ? blocks : most_blocks), threads_per_block>>>(arguments...);
  check(cudaGetLastError(), "kernel launch");
}

}  // namespace easting::cuda
