// Sums in two stages: a block adds a chunk whose bounds depend on the size alone, then one block adds the chunks in order.
#include "../../kernels.h"

#include "../launch.cuh"
#include "../sums.cuh"
#include "../tensors.cuh"

namespace easting::EASTING_VARIANT {
namespace {

using cuda::Grid;
using cuda::launch;
using cuda::scratch;
constexpr int threads = cuda::threads_per_block;
constexpr std::int64_t chunk = 8192;  // elements of one block: 32 a thread are added in Real, all else in double

std::int64_t chunks_of(std::int64_t size) { return size > 0 ? (size + chunk - 1) / chunk : 1; }

struct Itself {
  In<Real> x;
  __device__ Real operator()(std::int64_t i) const { return x[i]; }
};
struct Product {
  In<Real> a, b;
  __device__ Real operator()(std::int64_t i) const { return a[i] * b[i]; }
};

// Σ f(i) over one chunk of [0, size), by all threads of a block.
template <class F>
__device__ double chunk_sum(F f, std::int64_t size, std::int64_t number) {
  const std::int64_t begin = number * chunk, end = begin + chunk < size ? begin + chunk : size;
  Real own = 0;
  for (std::int64_t i = begin + threadIdx.x; i < end; i += threads) own += f(i);
  return cuda::block_sum(static_cast<double>(own));
}

template <class F>
__global__ void chunk_sums(F f, std::int64_t size, double* parts) {
  const double sum = chunk_sum(f, size, blockIdx.x);
  if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

__global__ void add_chunks(const double* parts, std::int64_t count, double factor, Out<Real> y, bool accumulate) {
  double own = 0;
  for (std::int64_t i = threadIdx.x; i < count; i += threads) own += parts[i];
  const double total = factor * cuda::block_sum(own);
  if (threadIdx.x == 0) y[0] = static_cast<Real>(accumulate ? static_cast<double>(y[0]) + total : total);
}

template <class F>
void total(F f, std::int64_t size, double factor, Out<Real> y, bool accumulate) {
  const std::int64_t count = chunks_of(size);
  double* parts = static_cast<double*>(scratch(0, count * sizeof(double)));
  launch(chunk_sums<F>, Grid{dim3(static_cast<unsigned>(count))}, f, size, parts);
  launch(add_chunks, Grid{dim3(1)}, parts, count, factor, y, accumulate);
}

// Block b adds a chunk of the tensor that it belongs to.
__global__ void square_sums(cuda::Tensors<In<Real>> tensors, double* parts) {
  const auto [at, number] = tensors.find(blockIdx.x);
  const In<Real> x = tensors.items[at];
  const double sum = chunk_sum(Product{x, x}, x.size, number);
  if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

__global__ void add_square_sums(cuda::Tensors<In<Real>> tensors, const double* parts, Real* y) {
  double own = 0;
  for (int i = tensors.first[blockIdx.x] + static_cast<int>(threadIdx.x); i < tensors.first[blockIdx.x + 1]; i += threads)
    own += parts[i];
  const double sum = cuda::block_sum(own);
  if (threadIdx.x == 0) y[blockIdx.x] = static_cast<Real>(sum);
}

__global__ void spread(In<Real> x, double factor, Out<Real> y, bool accumulate) {
  const Real value = static_cast<Real>(factor * static_cast<double>(x[0]));
  EASTING_EACH(i, y.size) y[i] = accumulate ? y[i] + value : value;
}

__global__ void sum_channels(In<Real> x, std::int64_t inner, Out<Real> y, bool accumulate) {
  const std::int64_t channel = blockIdx.x;
  const In<Real> plane{x.data + channel * inner, inner};
  double sum = 0;
  for (std::int64_t number = 0; number < (inner + chunk - 1) / chunk; ++number) sum += chunk_sum(Itself{plane}, inner, number);
  if (threadIdx.x == 0) y[channel] = static_cast<Real>(accumulate ? static_cast<double>(y[channel]) + sum : sum);
}

__global__ void shift_channels(In<Real> x, In<Real> bias, std::int64_t inner, Out<Real> y) {
  EASTING_EACH(i, y.size) y[i] = x[i] + bias[i / inner];
}

__global__ void scale_all(In<Real> x, In<Real> factor, Out<Real> y, bool accumulate) {
  EASTING_EACH(i, y.size) {
    const Real value = factor[0] * x[i];
    y[i] = accumulate ? y[i] + value : value;
  }
}

__global__ void gather_all(In<Real> x, In<std::int32_t> positions, Out<Real> y) {
  EASTING_EACH(i, y.size) y[i] = positions[i] < 0 ? Real(0) : x[positions[i]];
}

__global__ void scatter_all(In<Real> x, In<std::int32_t> positions, Out<Real> y) {
  EASTING_EACH(i, positions.size) y[positions[i]] = x[i];
}

}  // namespace

void sum(In<Real> x, double factor, Out<Real> y, bool accumulate) { total(Itself{x}, x.size, factor, y, accumulate); }

void dot(In<Real> a, In<Real> b, Out<Real> y, bool accumulate) { total(Product{a, b}, a.size, 1, y, accumulate); }

void sum_of_squares(List<In<Real>> xs, Out<Real> y) {
  cuda::each_group(xs, chunk, [](In<Real> x) { return x.size; },
                   [&](const cuda::Tensors<In<Real>>& tensors, unsigned blocks, std::size_t from) {
                     double* parts = static_cast<double*>(scratch(0, blocks * sizeof(double)));
                     launch(square_sums, Grid{dim3(blocks)}, tensors, parts);
                     launch(add_square_sums, Grid{dim3(static_cast<unsigned>(tensors.count))}, tensors, parts, y.data + from);
                   });
}

void broadcast(In<Real> x, double factor, Out<Real> y, bool accumulate) {
  launch(spread, y.size, x, factor, y, accumulate);
}

void channel_sum(In<Real> x, std::int32_t channels, Out<Real> y, bool accumulate) {
  launch(sum_channels, Grid{dim3(static_cast<unsigned>(channels))}, x, x.size / channels, y, accumulate);
}

void add_bias(In<Real> x, In<Real> bias, std::int32_t channels, Out<Real> y) {
  launch(shift_channels, y.size, x, bias, x.size / channels, y);
}

void scale_by(In<Real> x, In<Real> factor, Out<Real> y, bool accumulate) {
  launch(scale_all, y.size, x, factor, y, accumulate);
}

void gather(In<Real> x, In<std::int32_t> positions, Out<Real> y) { launch(gather_all, y.size, x, positions, y); }

void scatter(In<Real> x, In<std::int32_t> positions, Out<Real> y) {
  launch(scatter_all, positions.size, x, positions, y);
}

}  // namespace easting::EASTING_VARIANT
