// What native/cuda/vendor uses of cuSPARSE, in plain loops over host memory, for the emulated device. It refuses what it
// does not do, so that a wrong enumeration or a matrix that is not aligned is an error and not a wrong number.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <type_traits>

#include "cuda_runtime.h"
#include "cuda/vendor/enums.h"

namespace enums = easting::cuda::enums;

namespace {

struct Context {
  cudaStream_t stream = nullptr;
};

struct Csr {
  std::int64_t rows, columns, nonzeros;
  const std::int32_t *start, *column;
  void* values;
  int type;
};

struct Dense {
  std::int64_t rows, columns, pitch;
  void* data;
  int type;
};

bool aligned(const void* data) { return reinterpret_cast<std::uintptr_t>(data) % 16 == 0; }

// Calls f with a number of the type.
template <class F>
int with_type(int type, F f) {
  if (type == enums::real_type<float>) return f(float{});
  if (type == enums::real_type<double>) return f(double{});
  return enums::invalid_value;
}

int queue(const Context* context, std::function<void()> work) {
  return context->stream->act(std::move(work)) == cudaSuccess ? enums::success : enums::invalid_value;
}

}  // namespace

extern "C" {

int cusparseGetProperty(int type, int* value) {
  *value = type == enums::major_version ? 12 : 0;
  return enums::success;
}

const char* cusparseGetErrorString(int) { return "refused by the emulated cuSPARSE"; }

int cusparseCreate(void** handle) {
  *handle = new Context;
  return enums::success;
}

int cusparseSetStream(void* handle, cudaStream_t stream) {
  static_cast<Context*>(handle)->stream = stream;
  return enums::success;
}

int cusparseCreateCsr(void** matrix, std::int64_t rows, std::int64_t columns, std::int64_t nonzeros, void* row_offsets,
                      void* column_indices, void* values, int offset_type, int index_type, int index_base,
                      int value_type) {
  if (nonzeros < 0 || offset_type != enums::index_32i || index_type != enums::index_32i || index_base != enums::base_zero ||
      !aligned(row_offsets) || !aligned(column_indices) || !aligned(values))
    return enums::invalid_value;
  *matrix = new Csr{rows, columns, nonzeros, static_cast<const std::int32_t*>(row_offsets),
                    static_cast<const std::int32_t*>(column_indices), values, value_type};
  return enums::success;
}

int cusparseDestroySpMat(const void* matrix) {
  delete static_cast<const Csr*>(matrix);
  return enums::success;
}

int cusparseCreateDnMat(void** matrix, std::int64_t rows, std::int64_t columns, std::int64_t pitch, void* values,
                        int value_type, int order) {
  if (order != enums::row_major || pitch < columns || !aligned(values)) return enums::invalid_value;
  *matrix = new Dense{rows, columns, pitch, values, value_type};
  return enums::success;
}

int cusparseDestroyDnMat(const void* matrix) {
  delete static_cast<const Dense*>(matrix);
  return enums::success;
}

int cusparseSpMM_bufferSize(void*, int, int, const void*, const void*, const void*, const void*, void*, int, int,
                            std::size_t* bytes) {
  *bytes = 64;
  return enums::success;
}

int cusparseSpMM(void* handle, int op_a, int op_b, const void* alpha, const void* a, const void* b, const void* beta,
                 void* c, int compute_type, int algorithm, void* workspace) {
  const Csr A = *static_cast<const Csr*>(a);
  const Dense B = *static_cast<const Dense*>(b), C = *static_cast<const Dense*>(c);
  if (op_a != enums::as_it_is || op_b != enums::as_it_is || algorithm != enums::csr_alg3 || !workspace ||
      A.type != compute_type || B.type != compute_type || C.type != compute_type || A.rows != C.rows ||
      A.columns != B.rows || B.columns != C.columns)
    return enums::invalid_value;
  return with_type(compute_type, [&](auto zero) {
    using Real = decltype(zero);
    return queue(static_cast<Context*>(handle), [=, by = *static_cast<const Real*>(alpha), keep = *static_cast<const Real*>(beta)] {
      for (std::int64_t row = 0; row < C.rows; ++row) {
        Real* to = static_cast<Real*>(C.data) + row * C.pitch;
        for (std::int64_t j = 0; j < C.columns; ++j) to[j] = keep == 0 ? Real(0) : keep * to[j];
        for (std::int32_t k = A.start[row]; k < A.start[row + 1]; ++k) {
          const Real factor = by * static_cast<const Real*>(A.values)[k];
          const Real* from = static_cast<const Real*>(B.data) + A.column[k] * B.pitch;
          for (std::int64_t j = 0; j < C.columns; ++j) to[j] += factor * from[j];
        }
      }
    });
  });
}

int cusparseSDDMM_bufferSize(void*, int, int, const void*, const void*, const void*, const void*, void*, int, int,
                             std::size_t* bytes) {
  *bytes = 64;
  return enums::success;
}

int cusparseSDDMM(void* handle, int op_a, int op_b, const void* alpha, const void* a, const void* b, const void* beta,
                  void* c, int compute_type, int algorithm, void* workspace) {
  const Dense A = *static_cast<const Dense*>(a), B = *static_cast<const Dense*>(b);
  const Csr C = *static_cast<const Csr*>(c);
  if (op_a != enums::as_it_is || op_b != enums::transposed || algorithm != enums::sddmm_default || !workspace ||
      A.type != compute_type || B.type != compute_type || C.type != compute_type || A.rows != C.rows ||
      B.rows != C.columns || A.columns != B.columns)
    return enums::invalid_value;
  return with_type(compute_type, [&](auto zero) {
    using Real = decltype(zero);
    return queue(static_cast<Context*>(handle), [=, by = *static_cast<const Real*>(alpha), keep = *static_cast<const Real*>(beta)] {
      for (std::int64_t row = 0; row < C.rows; ++row)
        for (std::int32_t k = C.start[row]; k < C.start[row + 1]; ++k) {
          const Real* left = static_cast<const Real*>(A.data) + row * A.pitch;
          const Real* right = static_cast<const Real*>(B.data) + C.column[k] * B.pitch;
          double sum = 0;
          for (std::int64_t j = 0; j < A.columns; ++j) sum += static_cast<double>(left[j]) * static_cast<double>(right[j]);
          Real& to = static_cast<Real*>(C.values)[k];
          to = by * static_cast<Real>(sum) + (keep == 0 ? Real(0) : keep * to);
        }
    });
  });
}

}  // extern "C"
