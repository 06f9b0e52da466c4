// Pooling. A row of threads takes a run of images, one pixel (or channel) after the other, so that loads are consecutive.
#include "../../kernels.h"

#include <cmath>

#include "../../channels.h"
#include "../launch.cuh"
#include "../sums.cuh"

namespace easting::EASTING_VARIANT {
namespace {

using cuda::Grid;
using cuda::launch;
using cuda::threads_per_block;

// Threads side by side along the images: a power of two, at most a warp.
unsigned lanes_for(std::int64_t images) {
  unsigned lanes = 1;
  while (lanes < 32 && lanes < images) lanes *= 2;
  return lanes;
}

// Blocks of x = images, y = runs of images.
Grid runs_of_images(std::int64_t runs, std::int64_t images) {
  const unsigned lanes = lanes_for(images), rows = threads_per_block / lanes;
  return {dim3(static_cast<unsigned>((runs + rows - 1) / rows)), dim3(lanes, rows)};
}

// Of one channel and as many images as threads lie side by side; the other threads share out the pixels.
__global__ void means(In<Stored> x, In<std::int32_t> x_kind, In<Real> x_value, std::int64_t pixels, std::int32_t batch,
                      Out<Real> y) {
  __shared__ double parts[threads_per_block];
  const int lanes = static_cast<int>(blockDim.x), rows = static_cast<int>(blockDim.y);
  const int lane = static_cast<int>(threadIdx.x), row = static_cast<int>(threadIdx.y);
  const std::int64_t groups = (batch + lanes - 1) / lanes, channel = blockIdx.x / groups;
  const std::int64_t image = blockIdx.x % groups * lanes + lane;
  const auto kind = kind_of(x_kind, channel);
  double total = 0;
  if (kind == Kind::plane && image < batch) {
    const Stored* from = x.data + channel * pixels * batch + image;
    for (std::int64_t first = row; first < pixels; first += 8 * rows) {
      Real part = 0;
      for (int i = 0; i < 8; ++i)
        if (first + i * rows < pixels) part += from[(first + i * rows) * batch];
      total += static_cast<double>(part);
    }
  }
  parts[row * lanes + lane] = total;
  __syncthreads();
  if (row > 0 || image >= batch) return;
  for (int i = 1; i < rows; ++i) total += parts[i * lanes + lane];
  const Real value = kind == Kind::constant ? x_value[channel] : Real(0);
  y[channel * batch + image] = kind == Kind::plane ? static_cast<Real>(total / static_cast<double>(pixels)) : value;
}

__global__ void spread(In<Real> dy, In<std::int32_t> x_kind, In<std::int32_t> dx_kind, std::int64_t pixels,
                       std::int64_t runs, std::int32_t batch, Out<Stored> dx, bool accumulate) {
  const std::int64_t run = std::int64_t{blockIdx.x} * blockDim.y + threadIdx.y, channel = run / pixels;
  if (run >= runs || kind_of(x_kind, channel) != Kind::plane) return;
  const bool add = accumulate && kind_of(dx_kind, channel) == Kind::plane;
  Stored* to = dx.data + run * batch;
  for (int j = static_cast<int>(threadIdx.x); j < batch; j += static_cast<int>(blockDim.x)) {
    const Real value = dy[channel * batch + j] / static_cast<Real>(pixels);
    to[j] = add ? to[j] + value : value;
  }
}

// After `spread`, which reads the kinds that this sets.
__global__ void set_kinds(In<Real> dy, In<std::int32_t> x_kind, std::int32_t batch, Out<std::int32_t> dx_kind,
                          Out<Real> dx_value, bool accumulate) {
  const std::int64_t channel = blockIdx.x;
  const auto kind = x_kind[channel];
  double sum = 0;
  if (kind == Kind::constant)
    for (int j = static_cast<int>(threadIdx.x); j < batch; j += 32) sum += static_cast<double>(dy[channel * batch + j]);
  sum = cuda::warp_sum(sum);
  if (threadIdx.x > 0) return;
  if (kind == Kind::constant) put_constant(dx_kind, dx_value, channel, sum, accumulate);
  else dx_kind[channel] = kind == Kind::plane ? Kind::plane : Kind::zero;
}

__global__ void maxima(In<Stored> x, ConvShape s, std::int64_t runs, Out<Stored> y, Out<std::int32_t> winner) {
  const std::int64_t run = std::int64_t{blockIdx.x} * blockDim.y + threadIdx.y;
  if (run >= runs) return;
  const int out_h = s.out_h(), out_w = s.out_w(), pixel = static_cast<int>(run % (std::int64_t{out_h} * out_w));
  const std::int64_t channel = run / (std::int64_t{out_h} * out_w);
  const int top = pixel / out_w * s.stride - s.padding, left = pixel % out_w * s.stride - s.padding;
  const Stored* plane = x.data + channel * s.in_plane();
  for (int j = static_cast<int>(threadIdx.x); j < s.n; j += static_cast<int>(blockDim.x)) {
    Real best = -static_cast<Real>(INFINITY);
    std::int32_t won = -1;
    for (int h = top < 0 ? 0 : top; h < top + s.kh && h < s.h; ++h)
      for (int w = left < 0 ? 0 : left; w < left + s.kw && w < s.w; ++w) {
        const std::int32_t at = h * s.w + w;
        const Real v = plane[std::int64_t{at} * s.n + j];
        const bool better = v > best || v != v || won < 0;
        best = better ? v : best;
        won = better ? at : won;
      }
    y[run * s.n + j] = best;
    winner[run * s.n + j] = won;
  }
}

struct Range {
  int begin, end;
};

// The outputs whose window covers input position `at`.
__device__ inline Range covering(int at, int kernel, int stride, int padding, int size) {
  const int last = (at + padding) / stride, before = at + padding - kernel;
  const int first = before < 0 ? 0 : before / stride + 1;
  return {first, last < size ? last + 1 : size};
}

// Each input pixel asks the windows over it, in ascending order, whether it won.
__global__ void collect(In<Stored> dy, In<std::int32_t> winner, ConvShape s, std::int64_t runs, Out<Stored> dx,
                        bool accumulate) {
  const std::int64_t run = std::int64_t{blockIdx.x} * blockDim.y + threadIdx.y;
  if (run >= runs) return;
  const int out_w = s.out_w(), pixel = static_cast<int>(run % (std::int64_t{s.h} * s.w));
  const std::int64_t channel = run / (std::int64_t{s.h} * s.w);
  const Range h = covering(pixel / s.w, s.kh, s.stride, s.padding, s.out_h());
  const Range w = covering(pixel % s.w, s.kw, s.stride, s.padding, out_w);
  for (int j = static_cast<int>(threadIdx.x); j < s.n; j += static_cast<int>(blockDim.x)) {
    Real sum = accumulate ? static_cast<Real>(dx[run * s.n + j]) : Real(0);
    for (int ho = h.begin; ho < h.end; ++ho)
      for (int wo = w.begin; wo < w.end; ++wo) {
        const std::int64_t at = channel * s.out_plane() + (std::int64_t{ho} * out_w + wo) * s.n + j;
        if (winner[at] == pixel) sum += dy[at];
      }
    dx[run * s.n + j] = sum;
  }
}

}  // namespace

void average_pool_forward(In<Stored> x, In<std::int32_t> x_kind, In<Real> x_value, std::int32_t channels,
                          std::int32_t batch, Out<Real> y) {
  if (y.size == 0) return;
  const unsigned lanes = lanes_for(batch);
  const std::int64_t groups = (batch + lanes - 1) / lanes;
  const Grid grid{dim3(static_cast<unsigned>(channels * groups)), dim3(lanes, threads_per_block / lanes)};
  launch(means, grid, x, x_kind, x_value, x.size / y.size, batch, y);
}

void average_pool_backward(In<Real> dy, In<std::int32_t> x_kind, std::int32_t channels, std::int32_t batch,
                           Out<Stored> dx, Out<std::int32_t> dx_kind, Out<Real> dx_value, bool accumulate) {
  if (dx.size == 0) return;
  const std::int64_t runs = dx.size / batch;
  launch(spread, runs_of_images(runs, batch), dy, x_kind, In<std::int32_t>{dx_kind.data, dx_kind.size}, runs / channels,
         runs, batch, dx, accumulate);
  if (!x_kind) return;
  launch(set_kinds, Grid{dim3(static_cast<unsigned>(channels)), dim3(32)}, dy, x_kind, batch, dx_kind, dx_value,
         accumulate);
}

// `winner` is the input pixel hi * w + wi that gave each output, the first of equals; a NaN wins, as in PyTorch. A
// window that lies in the padding altogether gives -infinity and winner -1.
void max_pool_forward(In<Stored> x, ConvShape shape, Out<Stored> y, Out<std::int32_t> winner) {
  if (y.size == 0) return;
  const std::int64_t runs = y.size / shape.n;
  launch(maxima, runs_of_images(runs, shape.n), x, shape, runs, y, winner);
}

void max_pool_backward(In<Stored> dy, In<std::int32_t> winner, ConvShape shape, Out<Stored> dx, bool accumulate) {
  if (dx.size == 0) return;
  const std::int64_t runs = dx.size / shape.n;
  launch(collect, runs_of_images(runs, shape.n), dy, winner, shape, runs, dx, accumulate);
}

}  // namespace easting::EASTING_VARIANT
