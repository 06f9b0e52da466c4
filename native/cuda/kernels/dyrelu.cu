#include "../../kernels.h"

#include <cmath>

#include "../../elementwise.h"
#include "../launch.cuh"

// DyReLU-B as native/cpu/kernels/dyrelu.cc defines it. A thread keeps the coefficients of its images in registers and
// walks some pixels of one channel. `beta` lies in the device's memory, so that a captured step follows the phase.
namespace easting::EASTING_VARIANT {
namespace {

using cuda::Grid, cuda::launch;

constexpr int coefficients = 4, threads = cuda::threads_per_block;
constexpr int steps = 16;  // pixels of one thread: as many are summed in Real before double takes them

// `width` neighbouring images of one pixel.
template <int width>
struct alignas(width * sizeof(Stored)) Images {
  Stored of[width];
};

// A block takes `columns` threads along the images and `rows` pixels at a time, `steps` times: a chunk of one channel.
struct Tiling {
  std::int64_t pixels, batch, chunks;
  int width, columns, column_tiles, rows;
  Tiling(std::int64_t plane, std::int64_t batch, int width) : pixels(plane / batch), batch(batch), width(width) {
    const std::int64_t all = batch / width;
    column_tiles = static_cast<int>((all + threads - 1) / threads);
    columns = static_cast<int>((all + column_tiles - 1) / column_tiles);
    rows = threads / columns;
    chunks = (pixels + std::int64_t{rows} * steps - 1) / (std::int64_t{rows} * steps);
  }
  Grid grid(std::int64_t channels) const {
    return {dim3(static_cast<unsigned>(channels * chunks), static_cast<unsigned>(column_tiles)), dim3(threads)};
  }
  __device__ std::int64_t channel() const { return blockIdx.x / chunks; }
  __device__ std::int64_t chunk() const { return blockIdx.x % chunks; }
  __device__ int row() const { return static_cast<int>(threadIdx.x) / columns; }
  __device__ std::int64_t image() const {
    return (std::int64_t{blockIdx.y} * columns + threadIdx.x % columns) * width;
  }
  __device__ bool idle() const { return row() >= rows || image() >= batch; }
  // f(first element) for each pixel of this thread.
  template <class F>
  __device__ void each(F f) const {
    std::int64_t pixel = chunk() * rows * steps + row();
    for (int step = 0; step < steps && pixel < pixels; ++step, pixel += rows)
      f((channel() * pixels + pixel) * batch + image());
  }
};

struct Phase {
  Real beta, identity, relu;  // delta's weight in a1 and a2, the constant part of a1, the ReLU's weight
  bool blends;
  __device__ Phase(double b, bool blend_outputs)
      : beta(static_cast<Real>(b)),
        identity(static_cast<Real>(blend_outputs ? b : 1)),
        relu(static_cast<Real>(blend_outputs ? 1 - b : 0)),
        blends(blend_outputs && b < 1) {}
  __device__ Real slope(int q) const { return q < 2 ? beta : beta / 2; }
};

// 2 sigmoid(u) - 1
__device__ Real delta_of(Real u) { return std::tanh(u / 2); }

struct Branches {
  Real a1, a2, b1, b2;
  __device__ Branches(const Real* u, std::int64_t batch, Phase phase) {
    const Real d1 = delta_of(u[0]), d2 = delta_of(u[batch]), d3 = delta_of(u[2 * batch]), d4 = delta_of(u[3 * batch]);
    // A NaN in any coefficient reaches a1 and, by the order of the comparisons below, the output.
    a1 = phase.identity + phase.slope(0) * d1 + 0 * (d2 + d3 + d4);
    a2 = phase.slope(1) * d2;
    b1 = phase.slope(2) * d3;
    b2 = phase.slope(3) * d4;
  }
  __device__ Branches() {}
  __device__ Real first(Real x) const { return a1 * x + b1; }
  __device__ Real second(Real x) const { return a2 * x + b2; }
};

template <int width>
__device__ void load(Branches (&branches)[width], In<Real> u, const Tiling& tiling, Phase phase) {
  const Real* of = u.data + tiling.channel() * coefficients * tiling.batch + tiling.image();
  for (int j = 0; j < width; ++j) branches[j] = Branches(of + j, tiling.batch, phase);
}

template <int width>
__global__ void forward(In<Stored> x, In<Real> u, Tiling tiling, In<double> phase_out, bool blend_outputs,
                        Out<Stored> y) {
  using Pack = Images<width>;
  if (tiling.idle()) return;
  const elementwise::Relu<Real> rectified;
  if (phase_out[0] <= 0)
    return tiling.each([&](std::int64_t i) {
      Pack pack = *reinterpret_cast<const Pack*>(x.data + i);
      for (int j = 0; j < width; ++j) pack.of[j] = rectified(pack.of[j]);
      *reinterpret_cast<Pack*>(y.data + i) = pack;
    });
  const Phase phase(phase_out[0], blend_outputs);
  Branches branches[width];
  load(branches, u, tiling, phase);
  tiling.each([&](std::int64_t i) {
    Pack pack = *reinterpret_cast<const Pack*>(x.data + i);
    for (int j = 0; j < width; ++j) {
      const Real v = pack.of[j], first = branches[j].first(v), second = branches[j].second(v);
      const Real best = first < second ? second : first;
      pack.of[j] = phase.blends ? best + phase.relu * rectified(v) : best;
    }
    *reinterpret_cast<Pack*>(y.data + i) = pack;
  });
}

// dx, and what each coefficient of an image receives from one chunk: partial[channel][chunk][coefficient][image].
template <int width>
__global__ void backward(In<Stored> x, In<Real> u, In<Stored> dy, Tiling tiling, In<double> phase_out,
                         bool blend_outputs, Out<Stored> dx, double* partial) {
  using Pack = Images<width>;
  const bool idle = tiling.idle(), dynamic = phase_out[0] > 0;
  const Phase phase(phase_out[0], blend_outputs);
  Real sums[coefficients][width] = {};
  if (!idle) {
    Branches branches[width];
    if (dynamic) load(branches, u, tiling, phase);
    tiling.each([&](std::int64_t i) {
      const Pack at = *reinterpret_cast<const Pack*>(x.data + i), gradient = *reinterpret_cast<const Pack*>(dy.data + i);
      Pack result;
      for (int j = 0; j < width; ++j) {
        const Real v = at.of[j], g = gradient.of[j];
        if (dynamic) {
          const bool first = !(branches[j].first(v) < branches[j].second(v));
          sums[0][j] += first ? g * v : Real(0);
          sums[1][j] += first ? Real(0) : g * v;
          sums[2][j] += first ? g : Real(0);
          sums[3][j] += first ? Real(0) : g;
          Real slope = first ? branches[j].a1 : branches[j].a2;
          if (phase.blends && v > Real(0)) slope += phase.relu;
          result.of[j] = slope * g;
        } else {
          result.of[j] = elementwise::ReluGradient<Real>{}(v, g);
        }
      }
      *reinterpret_cast<Pack*>(dx.data + i) = result;
    });
  }
  if (!dynamic) return;
  __shared__ Real of_thread[width][threads];
  const std::int64_t batch = tiling.batch;
  for (int q = 0; q < coefficients; ++q) {
    __syncthreads();
    for (int j = 0; j < width; ++j) of_thread[j][threadIdx.x] = sums[q][j];
    __syncthreads();
    if (idle || tiling.row() != 0) continue;
    double* to = partial + (std::int64_t{blockIdx.x} * coefficients + q) * batch + tiling.image();
    for (int j = 0; j < width; ++j) {
      double total = 0;
      for (int row = 0; row < tiling.rows; ++row)
        total += static_cast<double>(of_thread[j][row * tiling.columns + threadIdx.x]);
      to[j] = total;
    }
  }
}

// du, one thread per coefficient and image: the chunks' sums in order.
__global__ void finish(In<Real> u, std::int64_t batch, std::int64_t chunks, In<double> phase_out, bool blend_outputs,
                       const double* partial, Out<Real> du) {
  const bool dynamic = phase_out[0] > 0;
  const Phase phase(phase_out[0], blend_outputs);
  const std::int64_t block = coefficients * batch;
  EASTING_EACH(i, du.size) {
    double total = 0;
    if (dynamic)
      for (std::int64_t chunk = 0; chunk < chunks; ++chunk) total += partial[(i / block * chunks + chunk) * block + i % block];
    const Real delta = delta_of(u[i]), slope = phase.slope(static_cast<int>(i % block / batch)) / 2;
    du[i] = dynamic ? slope * static_cast<Real>(total) * (1 - delta * delta) : Real(0);
  }
}

// Whether all of them start where four elements may be read at once.
template <class... Pointers>
bool in_fours(std::int64_t batch, const Pointers*... at) {
  return batch % 4 == 0 && ((reinterpret_cast<std::uintptr_t>(at) % sizeof(Images<4>) == 0) && ...);
}

}  // namespace

void dyrelu_forward(In<Stored> x, In<Real> u, std::int32_t channels, std::int32_t batch, In<double> phase_out,
                    bool blend_outputs, Out<Stored> y) {
  if (x.size == 0) return;
  const int width = in_fours(batch, x.data, y.data) ? 4 : 1;
  const Tiling tiling(x.size / channels, batch, width);
  launch(width == 4 ? forward<4> : forward<1>, tiling.grid(channels), x, u, tiling, phase_out, blend_outputs, y);
}

void dyrelu_backward(In<Stored> x, In<Real> u, In<Stored> dy, std::int32_t channels, std::int32_t batch,
                     In<double> phase_out, bool blend_outputs, Out<Stored> dx, Out<Real> du) {
  if (x.size == 0) return;
  const int width = in_fours(batch, x.data, dy.data, dx.data) ? 4 : 1;
  const Tiling tiling(x.size / channels, batch, width);
  auto* partial = static_cast<double*>(cuda::scratch(0, tiling.chunks * du.size * sizeof(double)));
  launch(width == 4 ? backward<4> : backward<1>, tiling.grid(channels), x, u, dy, tiling, phase_out, blend_outputs, dx,
         partial);
  launch(finish, du.size, u, batch, tiling.chunks, phase_out, blend_outputs, partial, du);
}

}  // namespace easting::EASTING_VARIANT
