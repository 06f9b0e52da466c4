// Products of dense matrices by cuBLAS, queued on the backend's stream, once use_cublas has found it.
#pragma once
#include <cstdint>

namespace easting::cuda {

// c [rows][columns] = (a or aᵀ) (b or bᵀ) + beta c, summed over `depth`; row after row, `pitch` numbers apart.
template <class Real>
struct Gemm {
  int rows, columns, depth;
  const Real* a;
  int a_pitch;
  bool a_transposed;
  const Real* b;
  int b_pitch;
  bool b_transposed;
  Real beta;
  Real* c;
  int c_pitch;
};
template <class Real>
void multiply(const Gemm<Real>& gemm);

// Whether cuBLAS is in use and the product large enough for it to beat gemm.cuh: a guess, as no GPU has measured it yet.
bool blas_takes(std::int64_t rows, std::int64_t columns, std::int64_t depth);

}  // namespace easting::cuda
