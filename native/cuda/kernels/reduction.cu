#include "../../kernels.h"

#include "../launch.cuh"
#include "../sums.cuh"
#include "../tensor_list.cuh"

namespace easting::EASTING_VARIANT {
namespace {

using cuda::Grid, cuda::launch;
using Squares = cuda::TensorBatch<In<Real>>;

constexpr int threads = cuda::threads_per_block;
constexpr std::int64_t sum_chunk = 16384, bias_chunk = 4096;  // elements of one block

template <class T>
struct At {
  const T* x;
  __device__ T operator()(std::int64_t i) const { return x[i]; }
};
struct Product {
  const Real *a, *b;
  __device__ Real operator()(std::int64_t i) const { return a[i] * b[i]; }
};

// Σ f(i) over [begin, end) in all threads of a block: four at a time in f's type, then in double.
template <class F>
__device__ double block_total(F f, std::int64_t begin, std::int64_t end) {
  double total = 0;
  std::int64_t i = begin + threadIdx.x;
  for (; i + 3 * threads < end; i += 4 * threads)
    total += static_cast<double>((f(i) + f(i + threads)) + (f(i + 2 * threads) + f(i + 3 * threads)));
  for (; i < end; i += threads) total += static_cast<double>(f(i));
  return cuda::block_sum<threads>(total);
}

// y[segment] of a row of segments that are equally long, a block each.
template <class F>
__global__ void segment_sums(F f, std::int64_t length, double factor, Out<Real> y, bool accumulate) {
  const std::int64_t segment = blockIdx.x;
  const double total = factor * block_total(f, segment * length, (segment + 1) * length);
  if (threadIdx.x == 0) y[segment] = static_cast<Real>(accumulate ? static_cast<double>(y[segment]) + total : total);
}

// The same for every chunk of them.
template <class F>
__global__ void chunk_sums(F f, std::int64_t length, std::int64_t chunks, double* partial) {
  const std::int64_t segment = blockIdx.x / chunks, begin = blockIdx.x % chunks * sum_chunk;
  const std::int64_t end = begin + sum_chunk < length ? begin + sum_chunk : length;
  const double total = block_total(f, segment * length + begin, segment * length + end);
  if (threadIdx.x == 0) partial[blockIdx.x] = total;
}

template <class F>
void reduce(F f, std::int64_t segments, std::int64_t length, double factor, Out<Real> y, bool accumulate) {
  const std::int64_t chunks = (length + sum_chunk - 1) / sum_chunk;
  const Grid whole{dim3(static_cast<unsigned>(segments))};
  if (chunks <= 1) return launch(segment_sums<F>, whole, f, length, factor, y, accumulate);
  auto* partial = static_cast<double*>(cuda::scratch(0, segments * chunks * sizeof(double)));
  launch(chunk_sums<F>, Grid{dim3(static_cast<unsigned>(segments * chunks))}, f, length, chunks, partial);
  launch(segment_sums<At<double>>, whole, At<double>{partial}, chunks, factor, y, accumulate);
}

__global__ void square_sums(const __grid_constant__ Squares batch, double* partial) {
  const auto [tensor, begin] = batch.part();
  const In<Real> x = batch.tensors[tensor];
  const std::int64_t end = begin + cuda::list_chunk < x.size ? begin + cuda::list_chunk : x.size;
  const double total = block_total(Product{x.data, x.data}, begin, end);
  if (threadIdx.x == 0) partial[blockIdx.x] = total;
}

__global__ void tensor_sums(const __grid_constant__ Squares batch, const double* partial, Real* y) {
  const double total =
      block_total(At<double>{partial}, batch.first_chunk[blockIdx.x], batch.first_chunk[blockIdx.x + 1]);
  if (threadIdx.x == 0) y[blockIdx.x] = static_cast<Real>(total);
}

__global__ void broadcast_scalar(In<Real> x, double factor, Out<Real> y, bool accumulate) {
  const Real value = static_cast<Real>(factor * static_cast<double>(x[0]));
  EASTING_EACH(i, y.size) y[i] = accumulate ? y[i] + value : value;
}

__global__ void add_channel_bias(In<Real> x, In<Real> bias, std::int64_t inner, std::int64_t chunks, Out<Real> y) {
  const std::int64_t channel = blockIdx.x / chunks, begin = blockIdx.x % chunks * bias_chunk;
  const std::int64_t end = begin + bias_chunk < inner ? begin + bias_chunk : inner;
  const Real b = bias[channel];
  for (std::int64_t i = channel * inner + begin + threadIdx.x; i < channel * inner + end; i += threads) y[i] = x[i] + b;
}

__global__ void scale_by_scalar(In<Real> x, In<Real> factor, Out<Real> y, bool accumulate) {
  const Real f = factor[0];
  EASTING_EACH(i, y.size) y[i] = accumulate ? y[i] + f * x[i] : f * x[i];
}

__global__ void gather_at(In<Real> x, In<std::int32_t> positions, Out<Real> y) {
  EASTING_EACH(j, y.size) y[j] = positions[j] < 0 ? Real(0) : x[positions[j]];
}

__global__ void scatter_to(In<Real> x, In<std::int32_t> positions, Out<Real> y) {
  EASTING_EACH(j, positions.size) y[positions[j]] = x[j];
}

}  // namespace

void sum(In<Real> x, double factor, Out<Real> y, bool accumulate) {
  reduce(At<Real>{x.data}, 1, x.size, factor, y, accumulate);
}

void dot(In<Real> a, In<Real> b, Out<Real> y, bool accumulate) {
  reduce(Product{a.data, b.data}, 1, a.size, 1, y, accumulate);
}

void channel_sum(In<Real> x, std::int32_t channels, Out<Real> y, bool accumulate) {
  if (channels > 0) reduce(At<Real>{x.data}, channels, x.size / channels, 1, y, accumulate);
}

void sum_of_squares(List<In<Real>> xs, Out<Real> y) {
  const auto size = [](In<Real> x) { return x.size; };
  cuda::in_batches(xs, size, [=](const Squares& batch, std::int64_t first) {
    const auto chunks = static_cast<unsigned>(batch.chunks());
    auto* partial = static_cast<double*>(cuda::scratch(0, chunks * sizeof(double)));
    if (chunks > 0) launch(square_sums, Grid{dim3(chunks)}, batch, partial);
    launch(tensor_sums, Grid{dim3(static_cast<unsigned>(batch.count))}, batch, partial, y.data + first);
  });
}

void broadcast(In<Real> x, double factor, Out<Real> y, bool accumulate) {
  launch(broadcast_scalar, y.size, x, factor, y, accumulate);
}

void add_bias(In<Real> x, In<Real> bias, std::int32_t channels, Out<Real> y) {
  if (x.size == 0) return;
  const std::int64_t inner = x.size / channels, chunks = (inner + bias_chunk - 1) / bias_chunk;
  launch(add_channel_bias, Grid{dim3(static_cast<unsigned>(channels * chunks))}, x, bias, inner, chunks, y);
}

void scale_by(In<Real> x, In<Real> factor, Out<Real> y, bool accumulate) {
  launch(scale_by_scalar, y.size, x, factor, y, accumulate);
}

void gather(In<Real> x, In<std::int32_t> positions, Out<Real> y) { launch(gather_at, y.size, x, positions, y); }

void scatter(In<Real> x, In<std::int32_t> positions, Out<Real> y) {
  launch(scatter_to, positions.size, x, positions, y);
}

}  // namespace easting::EASTING_VARIANT
