// Products with a sparse matrix by cuSPARSE, queued on the backend's stream. Workspaces lie in scratch slot 3.
#pragma once
#include <cstdint>

namespace easting::cuda {

// Row after row, `pitch` numbers apart.
template <class Real>
struct DenseMatrix {
  const Real* data;
  std::int64_t rows, columns, pitch;
};

template <class Real>
struct CsrMatrix {
  const std::int32_t* row_start;
  const std::int32_t* column;
  const Real* values;
  std::int64_t rows, columns, nonzeros;
};

// c = a b + beta c.
template <class Real>
void multiply(const CsrMatrix<Real>& a, const DenseMatrix<Real>& b, Real beta, const DenseMatrix<Real>& c);

// c.values = (a bᵀ) at the places of c.
template <class Real>
void multiply_sampled(const DenseMatrix<Real>& a, const DenseMatrix<Real>& b, const CsrMatrix<Real>& c);

}  // namespace easting::cuda
