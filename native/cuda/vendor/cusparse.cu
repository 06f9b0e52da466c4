#include "cusparse.h"

#include <memory>
#include <stdexcept>
#include <string>

#include "../launch.cuh"
#include "enums.h"
#include "library.h"
#include "open.h"

namespace easting::cuda {
namespace {

struct Functions {
  Opened library{"cuSPARSE", "CUSPARSE", {"libcusparse.so.12"}};  // CUDA 13's is called 12, too
#define FUNCTION(result, name, arguments) result(*name) arguments = nullptr;
#include "cusparse.def"
#undef FUNCTION
  Functions() {
#define FUNCTION(result, name, arguments) library.find(name, #name);
#include "cusparse.def"
#undef FUNCTION
  }
};

const Functions& functions() {
  static const Functions opened;  // tried again after a failure
  return opened;
}

void check(int status, const char* call) {
  if (status != enums::success)
    throw std::runtime_error(std::string(call) + ": expected success, got " + functions().cusparseGetErrorString(status));
}

void* handle() {
  static void* const created = [] {
    void* made = nullptr;
    const cudaStream_t queue = stream();  // chooses the device
    check(functions().cusparseCreate(&made), "cusparseCreate");
    check(functions().cusparseSetStream(made, queue), "cusparseSetStream");
    return made;
  }();
  return created;
}

struct Matrix {
  void* of = nullptr;
  int (*destroy)(const void*);
  explicit Matrix(int (*destroy)(const void*)) : destroy(destroy) {}
  Matrix(const Matrix&) = delete;
  ~Matrix() {
    if (of) destroy(of);
  }
};

template <class Real>
struct Dense : Matrix {
  explicit Dense(const DenseMatrix<Real>& m) : Matrix(functions().cusparseDestroyDnMat) {
    check(functions().cusparseCreateDnMat(&of, m.rows, m.columns, m.pitch, const_cast<Real*>(m.data),
                                          enums::real_type<Real>, enums::row_major),
          "cusparseCreateDnMat");
  }
};

template <class Real>
struct Csr : Matrix {
  explicit Csr(const CsrMatrix<Real>& m) : Matrix(functions().cusparseDestroySpMat) {
    check(functions().cusparseCreateCsr(&of, m.rows, m.columns, m.nonzeros, const_cast<std::int32_t*>(m.row_start),
                                        const_cast<std::int32_t*>(m.column), const_cast<Real*>(m.values), enums::index_32i,
                                        enums::index_32i, enums::base_zero, enums::real_type<Real>),
          "cusparseCreateCsr");
  }
};

}  // namespace

Library cusparse_library() {
  try {
    return functions().library.describe(functions().cusparseGetProperty);
  } catch (const std::runtime_error& error) {
    return {"cuSPARSE", "", "", error.what()};
  }
}

void use_cusparse() { handle(); }

template <class Real>
void multiply(const CsrMatrix<Real>& a, const DenseMatrix<Real>& b, Real beta, const DenseMatrix<Real>& c) {
  const Functions& f = functions();
  const Csr<Real> left(a);
  const Dense<Real> right(b), result(c);
  const Real alpha = 1;
  std::size_t bytes = 0;
  check(f.cusparseSpMM_bufferSize(handle(), enums::as_it_is, enums::as_it_is, &alpha, left.of, right.of, &beta, result.of,
                                  enums::real_type<Real>, enums::csr_alg3, &bytes),
        "cusparseSpMM_bufferSize");
  check(f.cusparseSpMM(handle(), enums::as_it_is, enums::as_it_is, &alpha, left.of, right.of, &beta, result.of,
                       enums::real_type<Real>, enums::csr_alg3, scratch(3, bytes)),
        "cusparseSpMM");
}

template <class Real>
void multiply_sampled(const DenseMatrix<Real>& a, const DenseMatrix<Real>& b, const CsrMatrix<Real>& c) {
  const Functions& f = functions();
  const Dense<Real> left(a), right(b);
  const Csr<Real> result(c);
  const Real alpha = 1, beta = 0;
  std::size_t bytes = 0;
  check(f.cusparseSDDMM_bufferSize(handle(), enums::as_it_is, enums::transposed, &alpha, left.of, right.of, &beta,
                                   result.of, enums::real_type<Real>, enums::sddmm_default, &bytes),
        "cusparseSDDMM_bufferSize");
  check(f.cusparseSDDMM(handle(), enums::as_it_is, enums::transposed, &alpha, left.of, right.of, &beta, result.of,
                        enums::real_type<Real>, enums::sddmm_default, scratch(3, bytes)),
        "cusparseSDDMM");
}

template void multiply(const CsrMatrix<float>&, const DenseMatrix<float>&, float, const DenseMatrix<float>&);
template void multiply(const CsrMatrix<double>&, const DenseMatrix<double>&, double, const DenseMatrix<double>&);
template void multiply_sampled(const DenseMatrix<float>&, const DenseMatrix<float>&, const CsrMatrix<float>&);
template void multiply_sampled(const DenseMatrix<double>&, const DenseMatrix<double>&, const CsrMatrix<double>&);

}  // namespace easting::cuda
