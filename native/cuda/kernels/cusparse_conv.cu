// Sparse convolution by cuSPARSE: of each tap's weights, a CSR matrix, and the run of the padded input that it reads, the
// product is added to the output. One product for 1x1; a read and a write of the output for every tap beyond the first,
// which is why the fused kernels of sparse_conv.cu are the ones for training.
#include "../../kernels.h"

#include "../kernels.h"
#include "../padded.cuh"
#include "../vendor/cusparse.h"

namespace easting::EASTING_VARIANT {
namespace {

using cuda::CsrMatrix, cuda::DenseMatrix, cuda::launch, cuda::scratch;

__global__ void pick(In<Real> values, In<int32_t> position, Real* to) {
  EASTING_EACH(k, position.size) to[k] = position[k] < 0 ? Real(0) : values[position[k]];
}

__global__ void put(const Real* from, In<int32_t> position, Out<Real> values, bool accumulate) {
  EASTING_EACH(k, position.size) {
    if (position[k] < 0) continue;
    Real& to = values[position[k]];
    to = accumulate ? to + from[k] : from[k];
  }
}

// cuSPARSE reads up to 16 bytes at once and does not look where an array begins.
constexpr std::int64_t aligned_count(std::int64_t count) { return (count + 3) / 4 * 4; }

// Calls f(CSR matrix of the tap [rows][columns], its row, its column) for every tap that has entries.
template <class F>
void each_tap(In<int32_t> start, In<int32_t> entry, const List<int32_t>& nonzeros, const Real* values, std::int64_t rows,
              std::int64_t columns, const ConvShape& s, F f) {
  std::int64_t first = 0;
  for (int tap = 0; tap < s.taps(); ++tap) {
    const std::int64_t count = nonzeros[tap];
    if (count > 0)
      f(CsrMatrix<Real>{start.data + tap * aligned_count(rows + 1), entry.data + first, values + first, rows, columns, count},
        tap / s.kw, tap % s.kw);
    first += aligned_count(count);
  }
}

// Where the product is made: in the activation itself if that is a matrix already.
Real* destination(Out<Stored> to, const Padded& p, int height, int width, int n, int slot) {
  if (std::is_same_v<Stored, Real> && p.plain(height, width, n)) return reinterpret_cast<Real*>(to.data);
  return static_cast<Real*>(scratch(slot, p.size() * sizeof(Real)));
}

void clear(Real* to, std::int64_t size) {
  if (size == 0) return;
  cuda::check(cudaMemsetAsync(to, 0, size * sizeof(Real), cuda::stream()), cuda::kernel_name());
}

}  // namespace

void cusparse_conv_forward(In<Stored> x, In<Real> values, In<int32_t> tap_start, In<int32_t> tap_entry,
                           In<int32_t> tap_value, List<int32_t> nonzeros, ConvShape shape, Out<Stored> y) {
  const ConvShape s = flattened(shape);
  const Padded from = Padded::input(s), to = Padded::output(s);
  auto* picked = static_cast<Real*>(scratch(2, tap_value.size * sizeof(Real)));
  launch(pick, tap_value.size, values, tap_value, picked);
  const Real* input = padded(Planes{x.data, s.in_plane()}, from, s.h, s.w, s.n, 0);
  Real* output = destination(y, to, s.out_h(), s.out_w(), s.n, 1);
  if (values.size == 0) clear(output, to.size());
  Real beta = 0;
  each_tap(tap_start, tap_entry, nonzeros, picked, s.o, s.c, s, [&](const CsrMatrix<Real>& weights, int top, int left) {
    cuda::multiply(weights, DenseMatrix<Real>{input + from.tap(top, left), s.c, from.run(s), from.pitch()}, beta,
                   DenseMatrix<Real>{output, s.o, from.run(s), to.pitch()});
    beta = 1;
  });
  if (static_cast<void*>(output) != y.data)
    launch(read_padded<Stored>, y.size, output, to, s.out_h(), s.out_w(), s.n, y.data, false);
}

// Every tap adds Wᵀ dy to the run of dx that it read in forward, and takes its weights' gradients as the products of x and
// dy at their places. Pixels that are none are 0 in dy.
void cusparse_conv_backward(In<Stored> x, In<Stored> dy, In<Real> values, In<int32_t> tap_start, In<int32_t> tap_entry,
                            In<int32_t> tap_value, List<int32_t> nonzeros, ConvShape shape, Out<Stored> dx,
                            bool accumulate_dx, Out<Real> dvalues, bool accumulate_dvalues) {
  const ConvShape s = flattened(shape);
  const Padded from = Padded::input(s), to = Padded::output(s);
  auto* picked = static_cast<Real*>(scratch(2, tap_value.size * sizeof(Real)));
  const Real* gradient = padded(Planes{dy.data, s.out_plane()}, to, s.out_h(), s.out_w(), s.n, 1);
  const DenseMatrix<Real> outputs{gradient, s.o, from.run(s), to.pitch()};
  const auto inputs = [&](const Real* data, int top, int left) {
    return DenseMatrix<Real>{data + from.tap(top, left), s.c, from.run(s), from.pitch()};
  };
  if (dvalues) {
    const Real* input = padded(Planes{x.data, s.in_plane()}, from, s.h, s.w, s.n, 0);
    clear(picked, tap_value.size);  // whether a factor of 0 keeps it from being read is not said
    each_tap(tap_start, tap_entry, nonzeros, picked, s.c, s.o, s, [&](const CsrMatrix<Real>& weights, int top, int left) {
      cuda::multiply_sampled(inputs(input, top, left), outputs, weights);
    });
    launch(put, tap_value.size, picked, tap_value, dvalues, accumulate_dvalues);
  }
  if (!dx) return;
  launch(pick, tap_value.size, values, tap_value, picked);
  Real* input = destination(dx, from, s.h, s.w, s.n, 0);
  const bool in_place = static_cast<void*>(input) == dx.data;
  if (!in_place || !accumulate_dx) clear(input, from.size());
  each_tap(tap_start, tap_entry, nonzeros, picked, s.c, s.o, s, [&](const CsrMatrix<Real>& weights, int top, int left) {
    cuda::multiply(weights, outputs, Real(1), inputs(input, top, left));
  });
  if (!in_place) launch(read_padded<Stored>, dx.size, input, from, s.h, s.w, s.n, dx.data, accumulate_dx);
}

}  // namespace easting::EASTING_VARIANT
