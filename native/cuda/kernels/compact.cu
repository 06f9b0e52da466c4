// Compact activations to complete ones, for ops that know nothing of kinds.
#include "../../kernels.h"
#include "../../channels.h"
#include "../launch.cuh"
#include "../sums.cuh"

namespace easting::EASTING_VARIANT {
namespace {

using cuda::Grid;
using cuda::launch;
using cuda::threads_per_block;

// A block takes one part of one channel's plane.
constexpr int loads = 16;
constexpr std::int64_t part = loads * threads_per_block;

std::int64_t parts_of(std::int64_t plane) { return (plane + part - 1) / part; }

Grid parts_of_channels(std::int64_t plane, std::int32_t channels) {
  return {dim3(static_cast<unsigned>(parts_of(plane) * channels))};
}

__global__ void expand(In<Stored> x, In<int32_t> x_kind, In<Real> x_value, std::int64_t plane, std::int64_t parts,
                       Out<Stored> y) {
  const std::int64_t channel = blockIdx.x / parts, first = blockIdx.x % parts * part + threadIdx.x;
  const Stored* from = x.data + channel * plane;
  Stored* to = y.data + channel * plane;
  const bool there = x_kind[channel] == Kind::plane;
  const Real value = x_kind[channel] == Kind::constant ? x_value[channel] : Real(0);
  for (int i = 0; i < loads; ++i)
    if (const std::int64_t at = first + i * threads_per_block; at < plane) to[at] = there ? from[at] : value;
}

// Planes that are there are copied or added to, and of constant ones the sum of each part is taken.
__global__ void expand_gradient(In<Stored> dy, In<int32_t> x_kind, In<int32_t> dx_kind, std::int64_t plane,
                                std::int64_t parts, Out<Stored> dx, double* sums, bool accumulate) {
  const std::int64_t channel = blockIdx.x / parts, first = blockIdx.x % parts * part + threadIdx.x;
  const Stored* from = dy.data + channel * plane;
  Stored* to = dx.data + channel * plane;
  const auto kind = x_kind[channel];
  const bool add = accumulate && dx_kind[channel] == Kind::plane;
  if (kind != Kind::plane && kind != Kind::constant) return;
  Real sum = 0;
  for (int i = 0; i < loads; ++i)
    if (const std::int64_t at = first + i * threads_per_block; at < plane) {
      if (kind == Kind::constant) sum += from[at];
      else to[at] = add ? to[at] + from[at] : from[at];
    }
  if (kind != Kind::constant) return;
  const double total = cuda::block_sum(static_cast<double>(sum));
  if (threadIdx.x == 0) sums[blockIdx.x] = total;
}

// After `expand_gradient`, which reads the kinds that this sets.
__global__ void set_kinds(In<int32_t> x_kind, std::int64_t parts, const double* sums, Out<int32_t> dx_kind,
                          Out<Real> dx_value, bool accumulate) {
  const std::int64_t channel = blockIdx.x;
  const auto kind = x_kind[channel];
  double sum = 0;
  if (kind == Kind::constant)
    for (std::int64_t i = threadIdx.x; i < parts; i += 32) sum += sums[channel * parts + i];
  sum = cuda::warp_sum(sum);
  if (threadIdx.x > 0) return;
  if (kind == Kind::constant) put_constant(dx_kind, dx_value, channel, sum, accumulate);
  else dx_kind[channel] = kind == Kind::plane ? Kind::plane : Kind::zero;
}

}  // namespace

void expand_forward(In<Stored> x, In<int32_t> x_kind, In<Real> x_value, int32_t channels, Out<Stored> y) {
  if (y.size == 0) return;
  const std::int64_t plane = y.size / channels;
  launch(expand, parts_of_channels(plane, channels), x, x_kind, x_value, plane, parts_of(plane), y);
}

void expand_backward(In<Stored> dy, In<int32_t> x_kind, int32_t channels, Out<Stored> dx, Out<int32_t> dx_kind,
                     Out<Real> dx_value, bool accumulate) {
  if (dy.size == 0) return;
  const std::int64_t plane = dy.size / channels, parts = parts_of(plane);
  auto* sums = static_cast<double*>(cuda::scratch(0, channels * parts * sizeof(double)));
  launch(expand_gradient, parts_of_channels(plane, channels), dy, x_kind, In<int32_t>{dx_kind.data, dx_kind.size}, plane,
         parts, dx, sums, accumulate);
  launch(set_kinds, Grid{dim3(static_cast<unsigned>(channels)), dim3(32)}, x_kind, parts, sums, dx_kind, dx_value,
         accumulate);
}

}  // namespace easting::EASTING_VARIANT
