// Dense convolution as products of matrices (gemm.cuh). Forward and data gradient are weights x patches; the weight gradient
// is the gradient's channels x the input's channels seen through every tap, summed over pixels and images. Large products
// are cuBLAS's where that is in use (vendor/cublas.h).
#include "../../kernels.h"
#include "../../affine.h"
#include "../../channels.h"
#include "../padded.cuh"
#include "../patches.cuh"
#include "../sums.cuh"
#include "../vendor/cublas.h"

namespace easting::EASTING_VARIANT {
namespace {

using cuda::Divisor;
using cuda::Four;
using cuda::Grid;
using cuda::launch;
namespace gemm = cuda::gemm;

// Rows of consecutive numbers: of all there are, or of those that `named` lists.
template <class T>
struct Rows {
  static constexpr bool along_k = true;
  using Line = const T*;
  const T* data;
  std::int64_t pitch;
  const std::int32_t* named;
  bool fours;

  Rows(const T* data, std::int64_t pitch, const std::int32_t* named = nullptr)
      : data(data), pitch(pitch), named(named), fours(pitch % 4 == 0 && cuda::aligned(data)) {}
  __device__ Line line(int row, int count) const {
    const int at = row < count ? row : count - 1;
    return data + (named ? named[at] : at) * pitch;
  }
  __device__ Four<Real> load(Line line, int k, int end) const {
    Four<Real> to = {};
    if (fours) {
      if (k >= end) return to;
      const auto from = *reinterpret_cast<const Four<T>*>(line + k);
      for (int i = 0; i < 4; ++i) to.v[i] = from.v[i];
    } else {
      for (int i = 0; i < 4; ++i)
        if (k + i < end) to.v[i] = line[k + i];
    }
    return to;
  }
};

// to[c][o][tap of the phase] = weight[o][c][tap]
__global__ void pack(In<Real> weight, ConvShape s, Axis rows, Axis columns, Real* to) {
  const int taps = rows.taps * columns.taps;
  EASTING_EACH(i, std::int64_t{s.c} * s.o * taps) {
    const auto tap = static_cast<int>(i % taps);
    const std::int64_t c = i / taps / s.o, o = i / taps % s.o;
    to[i] = weight[(o * s.c + c) * s.taps() + (rows.tap_first + rows.tap_step * (tap / columns.taps)) * s.kw +
                   columns.tap_first + columns.tap_step * (tap % columns.taps)];
  }
}

// Whether activations are matrices [channels][pixels and images] as they are, which a 1x1 convolution multiplies.
bool pointwise(const ConvShape& s) {
  return std::is_same_v<Stored, Real> && s.kh == 1 && s.kw == 1 && s.stride == 1 && s.padding == 0;
}

}  // namespace

void dense_conv_forward(In<Stored> x, In<Real> weight, ConvShape s, Out<Stored> y) {
  if (pointwise(s) && cuda::blas_takes(s.o, s.in_plane(), s.c)) {
    const int columns = gemm::dimension(s.in_plane());
    return cuda::multiply(cuda::Gemm<Real>{s.o, columns, s.c, weight.data, s.c, false,
                                           reinterpret_cast<const Real*>(x.data), columns, false, 0,
                                           reinterpret_cast<Real*>(y.data), columns});
  }
  cuda::correlate<Real>(Rows<Real>(weight.data, s.c * s.taps()), cuda::forward_correlation(x.data, s, y.data));
}

void dense_conv_backward_data(In<Stored> dy, In<Real> weight, ConvShape s, Out<Stored> dx, bool accumulate) {
  if (pointwise(s) && cuda::blas_takes(s.c, s.in_plane(), s.o)) {
    const int columns = gemm::dimension(s.in_plane());
    return cuda::multiply(cuda::Gemm<Real>{s.c, columns, s.o, weight.data, s.c, true,
                                           reinterpret_cast<const Real*>(dy.data), columns, false, Real(accumulate),
                                           reinterpret_cast<Real*>(dx.data), columns});
  }
  auto* packed = static_cast<Real*>(cuda::scratch(1, weight.size * sizeof(Real)));
  for (int v = 0; v < s.stride; ++v)
    for (int h = 0; h < s.stride; ++h) {
      const auto p = cuda::backward_correlation(dy.data, s, v, h, dx.data, accumulate);
      launch(pack, std::int64_t{p.depth()} * s.c, weight, s, p.rows, p.columns, packed);
      cuda::correlate<Real>(Rows<Real>(packed, p.depth()), p);
    }
}

namespace {

// Channels that a weight gradient has to look at, in ascending order, for every channel its place among them or -1, and
// the numbers of rows and columns of the product.
struct Listed {
  std::int32_t *rows, *columns, *row_place, *column_place, *there;
};

constexpr int list_threads = 1024;

template <class Wanted>
__device__ int list(int count, Wanted wanted, std::int32_t* listed, std::int32_t* place) {
  __shared__ int found[list_threads / 32];
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  int total = 0;
  for (int first = 0; first < count; first += list_threads) {
    const int i = first + static_cast<int>(threadIdx.x);
    const bool is = i < count && wanted(i);
    const unsigned votes = __ballot_sync(~0u, is);
    __syncthreads();  // the counts of the round before have been read
    if (lane == 0) found[warp] = __popc(votes);
    __syncthreads();
    int at = total + __popc(votes & ((1u << lane) - 1));
    for (int w = 0; w < list_threads / 32; ++w) {
      if (w < warp) at += found[w];
      total += found[w];
    }
    if (is) listed[at] = i;
    if (i < count) place[i] = is ? at : -1;
  }
  return total;
}

struct HasGradient {
  In<int32_t> dy_kind, needed;
  __device__ bool operator()(int o) const {
    return kind_of(dy_kind, o) == Kind::plane && (!needed || needed[o] == Need::always);
  }
};

struct HasPlane {
  In<int32_t> x_kind;
  __device__ bool operator()(int c) const { return kind_of(x_kind, c) == Kind::plane; }
};

// One block for the rows, one for the columns.
__global__ void __launch_bounds__(list_threads) list_channels(HasGradient gradient, HasPlane plane, ConvShape s, Listed to) {
  if (blockIdx.x == 0) {
    const int rows = list(s.o, gradient, to.rows, to.row_place);
    if (threadIdx.x == 0) to.there[0] = rows;
  } else {
    const int planes = list(s.c, plane, to.columns, to.column_place);
    if (threadIdx.x == 0) to.there[1] = planes * static_cast<int>(s.taps());
  }
}

// What the input's channels hold: planes as they are or normalised and rectified, or one number everywhere.
struct Input {
  In<Stored> x;
  In<int32_t> kind;
  In<Real> value, norm_weight, norm_bias, norm_mean, norm_deviation;

  __device__ Affine norm(std::int64_t c) const {
    return norm_weight ? affine(norm_weight[c], norm_bias[c], norm_mean[c], norm_deviation[c]) : Affine{1, 0};
  }
  __device__ Real number(std::int64_t c) const {
    if (kind[c] == Kind::unneeded) return 0;
    if (kind[c] == Kind::constant) return value[c];
    const Real shift = norm(c).shift;
    return shift < 0 ? Real(0) : shift;
  }
};

// As write_padded takes them: what the convolution read, and the gradient where it counts.
struct Activation {
  Input input;
  std::int64_t plane;
  __device__ Real operator()(int channel, int at) const {
    if (kind_of(input.kind, channel) != Kind::plane) return input.number(channel);
    const Real x = input.x[channel * plane + at];
    if (!input.norm_weight) return x;
    const Affine norm = input.norm(channel);
    const Real v = x * norm.scale + norm.shift;
    return v < 0 ? Real(0) : v;
  }
};

struct Gradient {
  HasGradient counts;
  Planes dy;
  __device__ Real operator()(int channel, int at) const { return counts(channel) ? dy(channel, at) : Real(0); }
};

// dweight [o][c][tap] from products [tap][o][c].
__global__ void write_taps(const Real* products, ConvShape s, In<Real> factor, Out<Real> dweight, bool accumulate) {
  const std::int64_t taps = s.taps(), matrix = std::int64_t{s.o} * s.c;
  const Real scale = factor ? factor[0] : Real(1);
  EASTING_EACH(i, dweight.size) {
    const Real value = scale * products[i % taps * matrix + i / taps];
    dweight[i] = accumulate ? dweight[i] + value : value;
  }
}

// A product of whole matrices for each tap: the gradient and the run of the padded input that the tap reads.
void weight_gradient_by_blas(const Input& input, In<Stored> dy, const HasGradient& counts, const ConvShape& shape,
                             In<Real> factor, Out<Real> dweight, bool accumulate) {
  const ConvShape s = flattened(shape);
  const Padded from = Padded::input(s), to = Padded::output(s);
  const bool complete = !input.kind && !input.norm_weight, all = !counts.dy_kind && !counts.needed;
  const Planes planes{input.x.data, s.in_plane()}, gradients{dy.data, s.out_plane()};
  const Real* x = complete ? padded(planes, from, s.h, s.w, s.n, 0)
                           : padded(Activation{input, s.in_plane()}, from, s.h, s.w, s.n, 0);
  const Real* g = all ? padded(gradients, to, s.out_h(), s.out_w(), s.n, 1)
                      : padded(Gradient{counts, gradients}, to, s.out_h(), s.out_w(), s.n, 1);
  const std::int64_t matrix = std::int64_t{s.o} * s.c;
  auto* products = static_cast<Real*>(cuda::scratch(2, sizeof(Real) * s.taps() * matrix));
  const int depth = gemm::dimension(from.run(s)), x_pitch = gemm::dimension(from.pitch());
  for (int tap = 0; tap < s.taps(); ++tap)
    cuda::multiply(cuda::Gemm<Real>{s.o, s.c, depth, g, gemm::dimension(to.pitch()), false,
                                    x + from.tap(tap / s.kw, tap % s.kw), x_pitch, true, 0, products + tap * matrix, s.c});
  launch(write_taps, dweight.size, products, s, factor, dweight, accumulate);
}

// Column (listed channel, tap): the channel at the pixel that the tap reads for output pixel and image k.
template <bool fours>
struct Shifted {
  static constexpr bool along_k = true;
  struct Line {
    const Stored* plane;
    int top, left;
    Affine norm;
  };
  Input input;
  ConvShape s;
  const std::int32_t* named;
  cuda::Taps taps;
  cuda::Pixels pixels;

  Shifted(const Input& input, const ConvShape& s, const std::int32_t* named)
      : input(input), s(s), named(named), taps(s.kh, s.kw), pixels(s.out_w(), s.n) {}

  __device__ Line line(int column, int count) const {
    int top, left;
    const std::int64_t channel = named[taps.split(column < count ? column : count - 1, &top, &left)];
    return {input.x.data + channel * s.in_plane(), top - s.padding, left - s.padding, input.norm(channel)};
  }
  __device__ Real number(const Line& line, Real x) const {
    if (!input.norm_weight) return x;
    const Real v = x * line.norm.scale + line.norm.shift;
    return v < 0 ? Real(0) : v;
  }
  // Where output pixel and image k read, or -1.
  __device__ int offset(const Line& line, int k) const {
    int w, image;
    const int h = pixels.split(k, &w, &image) * s.stride + line.top;
    w = w * s.stride + line.left;
    return h >= 0 && h < s.h && w >= 0 && w < s.w ? (h * s.w + w) * s.n + image : -1;
  }
  __device__ Four<Real> load(const Line& line, int k, int end) const {
    Four<Real> to = {};
    if constexpr (fours) {
      const int at = k < end ? offset(line, k) : -1;
      if (at < 0) return to;
      const auto from = *reinterpret_cast<const Four<Stored>*>(line.plane + at);
      for (int i = 0; i < 4; ++i) to.v[i] = number(line, from.v[i]);
    } else {
      for (int i = 0; i < 4; ++i)
        if (const int at = k + i < end ? offset(line, k + i) : -1; at >= 0) to.v[i] = number(line, line.plane[at]);
    }
    return to;
  }
};

// sums[o][pixel] = Σ of dy over the images; a warp each.
__global__ void pixel_sums(In<Stored> dy, ConvShape s, std::int64_t pixels, const std::int32_t* row_place, double* sums) {
  const std::int64_t pixel = std::int64_t{blockIdx.x} * blockDim.y + threadIdx.y;
  if (pixel >= s.o * pixels || row_place[pixel / pixels] < 0) return;
  double total = 0;
  for (int first = 0; first < s.n; first += 8 * 32) {
    Real part = 0;
    for (int j = first + static_cast<int>(threadIdx.x); j < s.n && j < first + 8 * 32; j += 32)
      part += dy[pixel * s.n + j];
    total += static_cast<double>(part);
  }
  total = cuda::warp_sum(total);
  if (threadIdx.x == 0) sums[pixel] = total;
}

// windows[o][tap] = Σ of dy over the output pixels whose tap lies inside the image: what a channel that is 1 everywhere
// has as its weight gradient. A warp each.
__global__ void window_sums(const double* sums, ConvShape s, const std::int32_t* row_place, double* windows) {
  const std::int64_t o = blockIdx.x;
  const auto tap = static_cast<int>(blockIdx.y);
  if (row_place[o] < 0) return;
  const int out_w = s.out_w(), pixels = s.out_h() * out_w;
  const int top = tap / s.kw - s.padding, left = tap % s.kw - s.padding;
  double total = 0;
  for (int i = static_cast<int>(threadIdx.x); i < pixels; i += 32) {
    const int h = i / out_w * s.stride + top, w = i % out_w * s.stride + left;
    if (h >= 0 && h < s.h && w >= 0 && w < s.w) total += sums[o * pixels + i];
  }
  total = cuda::warp_sum(total);
  if (threadIdx.x == 0) windows[o * s.taps() + tap] = total;
}

// Rows of outputs without a gradient, or that are not needed, are 0, and so are columns of inputs that are 0 everywhere.
__global__ void write(gemm::Parts<Real> parts, int splits, Listed listed, Input input, const double* windows, ConvShape s,
                      In<Real> factor, Out<Real> dweight, bool accumulate) {
  const std::int64_t taps = s.taps(), columns = s.c * taps;
  const Real scale = factor ? factor[0] : Real(1);
  EASTING_EACH(i, dweight.size) {
    const std::int64_t o = i / columns, column = i % columns, c = column / taps, tap = column % taps;
    const std::int32_t row = listed.row_place[o], place = listed.column_place[c];
    double sum = 0;
    if (row >= 0 && place >= 0) {
      const std::int64_t at = place * taps + tap;
      for (int k = 0; k < splits; ++k) sum += static_cast<double>(parts.at(k, row, at / 4 * 4).v[at % 4]);
    } else if (row >= 0) {
      const Real number = input.number(c);
      if (number != 0) sum = static_cast<double>(number) * windows[o * taps + tap];
    }
    const auto value = static_cast<Real>(static_cast<double>(scale) * sum);
    dweight[i] = accumulate ? dweight[i] + value : value;
  }
}

}  // namespace

void dense_conv_backward_weight(In<Stored> x, In<int32_t> x_kind, In<Real> x_value, In<Real> norm_weight,
                                In<Real> norm_bias, In<Real> norm_mean, In<Real> norm_deviation, In<Stored> dy,
                                In<int32_t> dy_kind, In<int32_t> needed, ConvShape s, In<Real> factor,
                                Out<Real> dweight, bool accumulate) {
  if (dweight.size == 0) return;
  const Input input{x, x_kind, x_value, norm_weight, norm_bias, norm_mean, norm_deviation};
  if (cuda::blas_takes(s.o, s.c, s.out_plane()))
    return weight_gradient_by_blas(input, dy, {dy_kind, needed}, s, factor, dweight, accumulate);
  auto* memory = static_cast<std::int32_t*>(cuda::scratch(1, (2 + 2 * (s.c + s.o)) * sizeof(std::int32_t)));
  const Listed listed{memory + 2, memory + 2 + s.o, memory + 2 + s.o + s.c, memory + 2 + 2 * s.o + s.c, memory};
  launch(list_channels, Grid{dim3(2), dim3(list_threads)}, HasGradient{dy_kind, needed}, HasPlane{x_kind}, s, listed);

  double* windows = nullptr;
  if (x_kind) {  // there may be constant channels
    const std::int64_t pixels = std::int64_t{s.out_h()} * s.out_w();
    windows = static_cast<double*>(cuda::scratch(2, (s.taps() + pixels) * s.o * sizeof(double)));
    double* sums = windows + s.taps() * s.o;
    launch(pixel_sums, Grid{dim3(static_cast<unsigned>((pixels * s.o + 7) / 8)), dim3(32, 8)}, dy, s, pixels,
           listed.row_place, sums);
    launch(window_sums, Grid{dim3(static_cast<unsigned>(s.o), static_cast<unsigned>(s.taps())), dim3(32)}, sums, s,
           listed.row_place, windows);
  }

  ConvShape flat = s;
  if (s.kh == 1 && s.kw == 1 && s.stride == 1 && s.padding == 0)
    flat.n = gemm::dimension(s.in_plane()), flat.h = flat.w = 1;  // pixels are then no more than images
  gemm::dimension(s.in_plane());
  const int columns = gemm::dimension(s.c * s.taps()), depth = gemm::dimension(s.out_plane());
  const std::int64_t pitch = gemm::ceil_divide(columns, 4) * 4;
  const gemm::Split split = gemm::split(s.o, columns, depth, sizeof(Real));
  const gemm::Parts<Real> parts{static_cast<Real*>(cuda::scratch(0, sizeof(Real) * split.count * s.o * pitch)), s.o, pitch};
  const auto run = [&]<bool fours>(std::bool_constant<fours>) {
    using Columns = Shifted<fours>;
    launch(gemm::product<Real, Rows<Stored>, Columns, gemm::Parts<Real>>, gemm::grid(s.o, columns, split),
           Rows<Stored>(dy.data, s.out_plane(), listed.rows), Columns(input, flat, listed.columns), parts, s.o, columns,
           depth, split.run, listed.there);
  };
  if (flat.n % 4 == 0 && cuda::aligned(x.data)) run(std::true_type{});
  else run(std::false_type{});
  launch(write, dweight.size, parts, split.count, listed, input, windows, s, factor, dweight, accumulate);
}

}  // namespace easting::EASTING_VARIANT
