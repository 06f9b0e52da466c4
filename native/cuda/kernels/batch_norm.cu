// BatchNorm in three launches: sums of tiles; per channel what they add up to; and what is done with it, tile by tile.
#include "../../kernels.h"

#include "../../affine.h"
#include "../../channels.h"
#include "../launch.cuh"
#include "../pack.cuh"
#include "../sums.cuh"

namespace easting::EASTING_VARIANT {
namespace {

using cuda::launch;
using cuda::load;
using cuda::store;
using cuda::warp_sum;

constexpr int threads = 256, packs = 4;  // a thread's packs are `threads` packs apart

// A block's part of a plane.
template <int width>
struct Tile {
  static constexpr std::int64_t size = std::int64_t{threads} * packs * width;
  std::int64_t channel, begin, count;

  static EASTING_BOTH std::int64_t of(std::int64_t plane) { return (plane + size - 1) / size; }
  __device__ explicit Tile(std::int64_t plane) {
    const std::int64_t tiles = of(plane);
    channel = blockIdx.x / tiles;
    begin = blockIdx.x % tiles * size;
    count = plane - begin < size ? plane - begin : size;
  }
  // Where pack k of this thread starts in the tile; not in the tile from `count` on.
  static __device__ int at(int k) { return (k * threads + static_cast<int>(threadIdx.x)) * width; }
};

cuda::Grid tiles_of(std::int64_t channels, std::int64_t tiles) { return {dim3(static_cast<unsigned>(channels * tiles))}; }

// Of one tile: Σ x and Σ (x - the tile's mean)²; backward Σ g and Σ g (x - mean).
struct Sums {
  double first, second;
};

// What a channel's second launch leaves for its third.
struct Application {
  Affine affine;
  bool own, other;  // whether x and the residual have planes
};

template <int width>
__global__ void tile_statistics(In<Stored> x, In<int32_t> x_kind, std::int64_t size, Sums* sums) {
  const Tile<width> tile(size);
  if (kind_of(x_kind, tile.channel) != Kind::plane) return;
  const Stored* from = x.data + tile.channel * size + tile.begin;
  Real v[packs][width], lane = 0;
  for (int k = 0; k < packs; ++k) {
    if (tile.at(k) >= tile.count) continue;
    load(from + tile.at(k), v[k]);
    for (Real value : v[k]) lane += value;
  }
  const double sum = cuda::block_sum<threads>(static_cast<double>(lane));
  const double mean = sum / static_cast<double>(tile.count);
  const Real center = static_cast<Real>(mean);
  lane = 0;
  for (int k = 0; k < packs; ++k) {
    if (tile.at(k) >= tile.count) continue;
    for (Real value : v[k]) lane += (value - center) * (value - center);
  }
  const double squares = cuda::block_sum<threads>(static_cast<double>(lane)), gap = mean - static_cast<double>(center);
  if (threadIdx.x == 0) sums[blockIdx.x] = {sum, squares - static_cast<double>(tile.count) * gap * gap};
}

// Mean and inverse deviation of channel c, and the running estimates; by the one thread that owns it.
__device__ void put_statistics(const BatchNormForward<Stored>& norm, std::int64_t c, double mean, double variance,
                               std::int64_t size) {
  norm.mean[c] = static_cast<Real>(mean);
  norm.inverse_deviation[c] = static_cast<Real>(1 / sqrt(variance + norm.epsilon));
  if (!norm.running_mean) return;
  const double unbiased = size > 1 ? variance * static_cast<double>(size) / static_cast<double>(size - 1) : variance;
  const auto move = [&](Real& running, double now) {
    running = static_cast<Real>((1 - norm.momentum) * static_cast<double>(running) + norm.momentum * now);
  };
  move(norm.running_mean[c], mean);
  move(norm.running_variance[c], unbiased);
}

// One warp per channel.
__global__ void channel_statistics(In<int32_t> x_kind, BatchNormForward<Stored> norm, std::int64_t size,
                                   std::int64_t tile_size, int tiles, const Sums* sums, Application* applications) {
  const std::int64_t c = blockIdx.x;
  const int lane = static_cast<int>(threadIdx.x);
  const auto kind = kind_of(x_kind, c);
  double mean = 0, variance = 0;
  if (norm.training && kind == Kind::plane) {
    const Sums* own = sums + c * tiles;
    for (int t = lane; t < tiles; t += 32) mean += own[t].first;
    mean = warp_sum(mean) / static_cast<double>(size);
    for (int t = lane; t < tiles; t += 32) {
      const std::int64_t rest = size - t * tile_size;
      const double count = static_cast<double>(rest < tile_size ? rest : tile_size), gap = own[t].first / count - mean;
      variance += own[t].second + count * gap * gap;
    }
    variance = warp_sum(variance) / static_cast<double>(size);
    if (variance < 0) variance = 0;
  }
  if (lane != 0) return;
  Application& application = applications[c];
  application = {{0, 0}, false, false};
  if (kind == Kind::unneeded) {
    if (norm.y) norm.y_kind[c] = Kind::zero;
    return;
  }
  if (norm.training) {
    put_statistics(norm, c, mean, variance, size);
  } else {
    norm.mean[c] = norm.running_mean[c];
    norm.inverse_deviation[c] =
        static_cast<Real>(1 / sqrt(static_cast<double>(norm.running_variance[c]) + norm.epsilon));
  }
  if (!norm.y) return;
  Affine a = affine(norm.weight[c], norm.bias[c], norm.mean[c], norm.inverse_deviation[c]);
  const auto residual_kind = norm.residual ? kind_of(norm.residual_kind, c) : Kind::zero;
  const bool own = kind == Kind::plane, other = residual_kind == Kind::plane;
  if (residual_kind == Kind::constant) a.shift += norm.residual_value[c];
  application = {a, own, other};
  if (!own && !other) {
    const Real value = norm.relu && a.shift < 0 ? Real(0) : a.shift;  // NaN passes
    // Behind a ReLU a zero passes nothing on; without one its gradient still counts.
    norm.y_kind[c] = norm.relu && value == 0 ? Kind::zero : Kind::constant;
    norm.y_value[c] = value;
  } else if (norm.y_kind) {
    norm.y_kind[c] = Kind::plane;
  }
}

template <int width>
__global__ void normalize(In<Stored> x, BatchNormForward<Stored> norm, std::int64_t size,
                          const Application* applications) {
  const Tile<width> tile(size);
  const Application application = applications[tile.channel];
  if (!application.own && !application.other) return;
  const std::int64_t base = tile.channel * size + tile.begin;
  for (int k = 0; k < packs; ++k) {
    const int at = tile.at(k);
    if (at >= tile.count) continue;
    Real v[width] = {}, r[width] = {};
    if (application.own) load(x.data + base + at, v);
    if (application.other) load(norm.residual.data + base + at, r);
    for (int i = 0; i < width; ++i) {
      Real value = application.own ? v[i] * application.affine.scale + application.affine.shift : application.affine.shift;
      if (application.other) value += r[i];
      v[i] = norm.relu && value < 0 ? Real(0) : value;  // NaN passes
    }
    store(norm.y.data + base + at, v);
  }
}

template <int width>
void forward(In<Stored> x, In<int32_t> x_kind, int32_t channels, const BatchNormForward<Stored>& norm) {
  const std::int64_t size = x.size / channels, tiles = Tile<width>::of(size);
  auto* sums = static_cast<Sums*>(cuda::scratch(0, channels * tiles * sizeof(Sums)));
  auto* applications = static_cast<Application*>(cuda::scratch(1, channels * sizeof(Application)));
  if (norm.training) launch(tile_statistics<width>, tiles_of(channels, tiles), x, x_kind, size, sums);
  launch(channel_statistics, {dim3(channels), dim3(32)}, x_kind, norm, size, Tile<width>::size,
         static_cast<int>(tiles), sums, applications);
  if (norm.y) launch(normalize<width>, tiles_of(channels, tiles), x, norm, size, applications);
}

// What the gradient of a plane is made of: dx = scale (g - mean - (x - center) slope); not `own`: x has no plane.
struct Slope {
  Affine affine;
  Real center, mean, slope;
  bool own, there;  // not `there`: the gradient is zero
};

__device__ bool has_gradient(const BatchNormBackward<Stored>& norm, std::int64_t c) {
  return kind_of(norm.y_kind, c) == Kind::plane && kind_of(norm.dy_kind, c) == Kind::plane;
}

// The gradient behind the ReLU, which y tells of, or x alone.
template <int width>
__device__ void mask(const BatchNormBackward<Stored>& norm, std::int64_t at, const Real (&x)[width], Affine a,
                     Real (&g)[width]) {
  Real y[width];
  if (norm.y) load(norm.y.data + at, y);
  for (int i = 0; i < width; ++i) {
    const Real pre = norm.y ? y[i] : x[i] * a.scale + a.shift;
    g[i] = pre > 0 ? g[i] : Real(0);
  }
}

template <int width>
__global__ void tile_gradients(BatchNormBackward<Stored> norm, std::int64_t size, Sums* sums) {
  const Tile<width> tile(size);
  const std::int64_t c = tile.channel, base = c * size + tile.begin;
  if (!has_gradient(norm, c)) return;
  const bool own = kind_of(norm.x_kind, c) == Kind::plane;
  const Affine a = affine(norm.weight[c], norm.bias[c], norm.mean[c], norm.inverse_deviation[c]);
  const Real center = norm.mean[c];
  Real sum = 0, product = 0;
  for (int k = 0; k < packs; ++k) {
    const int at = tile.at(k);
    if (at >= tile.count) continue;
    Real x[width] = {}, g[width];
    if (own) load(norm.x.data + base + at, x);
    load(norm.dy.data + base + at, g);
    if (norm.relu) {
      mask(norm, base + at, x, a, g);
      if (norm.residual) store(norm.dy.data + base + at, g);
    }
    for (int i = 0; i < width; ++i) {
      sum += g[i];
      if (own) product += g[i] * (x[i] - center);
    }
  }
  const double total = cuda::block_sum<threads>(static_cast<double>(sum));
  const double products = cuda::block_sum<threads>(static_cast<double>(product));
  if (threadIdx.x == 0) sums[blockIdx.x] = {total, products};
}

// One warp per channel.
__global__ void channel_gradients(BatchNormBackward<Stored> norm, std::int64_t size, int tiles, const Sums* sums,
                                  Slope* slopes) {
  const std::int64_t c = blockIdx.x;
  const int lane = static_cast<int>(threadIdx.x);
  const bool own = kind_of(norm.x_kind, c) == Kind::plane, there = has_gradient(norm, c);
  double sum = 0, product = 0;
  if (there) {
    for (int t = lane; t < tiles; t += 32) {
      sum += sums[c * tiles + t].first;
      product += sums[c * tiles + t].second;
    }
    sum = warp_sum(sum);
    product = warp_sum(product);
  }
  if (lane != 0) return;
  const auto out_kind = kind_of(norm.y_kind, c);
  const double deviation = static_cast<double>(norm.inverse_deviation[c]);
  // A channel without a plane: xhat is the same number everywhere, 0 in training.
  const double lone = norm.training || out_kind == Kind::zero ? 0 : -static_cast<double>(norm.mean[c]) * deviation;
  if (out_kind == Kind::constant && kind_of(norm.dy_kind, c) == Kind::constant)
    sum = static_cast<double>(norm.dy_value[c]);
  product = own && there ? product * deviation : sum * lone;
  const double count = static_cast<double>(size);
  slopes[c] = {affine(norm.weight[c], norm.bias[c], norm.mean[c], norm.inverse_deviation[c]), norm.mean[c],
               static_cast<Real>(norm.training ? sum / count : 0),
               static_cast<Real>(norm.training ? product / count * deviation : 0), own, there};
  const auto put = [&](Out<Real> to, double value) {
    if (to) to[c] = static_cast<Real>(norm.accumulate ? static_cast<double>(to[c]) + value : value);
  };
  put(norm.dweight, product);
  put(norm.dbias, sum);
  if (!norm.dresidual_kind) return;
  const auto kind = kind_of(norm.residual_kind, c);
  norm.dresidual_kind[c] = kind == Kind::plane && !there ? Kind::zero : kind > 0 ? kind : Kind::zero;
  norm.dresidual_value[c] = static_cast<Real>(sum);
}

template <int width>
__global__ void denormalize(BatchNormBackward<Stored> norm, std::int64_t size, const Slope* slopes) {
  const Tile<width> tile(size);
  const Slope slope = slopes[tile.channel];
  if (!slope.own) return;
  const std::int64_t base = tile.channel * size + tile.begin;
  for (int k = 0; k < packs; ++k) {
    const int at = tile.at(k);
    if (at >= tile.count) continue;
    Real x[width], g[width] = {};
    if (slope.there) {
      load(norm.x.data + base + at, x);
      load(norm.dy.data + base + at, g);
      if (norm.relu && !norm.residual) mask(norm, base + at, x, slope.affine, g);
      for (int i = 0; i < width; ++i)
        g[i] = slope.affine.scale * (g[i] - slope.mean - (x[i] - slope.center) * slope.slope);
    }
    store(norm.dx.data + base + at, g);
  }
}

template <int width>
void backward(int32_t channels, const BatchNormBackward<Stored>& norm) {
  const std::int64_t size = norm.x.size / channels, tiles = Tile<width>::of(size);
  auto* sums = static_cast<Sums*>(cuda::scratch(0, channels * tiles * sizeof(Sums)));
  auto* slopes = static_cast<Slope*>(cuda::scratch(1, channels * sizeof(Slope)));
  launch(tile_gradients<width>, tiles_of(channels, tiles), norm, size, sums);
  launch(channel_gradients, {dim3(channels), dim3(32)}, norm, size, static_cast<int>(tiles), sums, slopes);
  if (norm.dx) launch(denormalize<width>, tiles_of(channels, tiles), norm, size, slopes);
}

}  // namespace

void batch_norm_forward(In<Stored> x, In<int32_t> x_kind, int32_t channels, BatchNormForward<Stored> norm) {
  if (x.size == 0) return;
  if (cuda::in_fours(x.size / channels, x.data, norm.residual.data, norm.y.data)) forward<4>(x, x_kind, channels, norm);
  else forward<1>(x, x_kind, channels, norm);
}

void batch_norm_backward(int32_t channels, BatchNormBackward<Stored> norm) {
  if (norm.x.size == 0) return;
  if (cuda::in_fours(norm.x.size / channels, norm.x.data, norm.y.data, norm.dy.data, norm.dx.data))
    backward<4>(channels, norm);
  else backward<1>(channels, norm);
}

}  // namespace easting::EASTING_VARIANT
