// Finding a shared library and its functions.
#pragma once
#include <initializer_list>
#include <string>

#include "library.h"

namespace easting::cuda {

class Opened {
 public:
  // `files` are names as the loader knows them, the best first; the environment variable EASTING_<suffix>, if set, names
  // the one file to open instead. Throws std::runtime_error that says what was tried.
  Opened(const char* name, const char* suffix, std::initializer_list<const char*> files);
  // `property` is its …GetProperty.
  Library describe(int (*property)(int, int*)) const;

  // Throws std::runtime_error where the library has no such function.
  template <class Function>
  void find(Function*& function, const char* symbol) const {
    function = reinterpret_cast<Function*>(address(symbol));
  }

 private:
  void* address(const char* symbol) const;

  std::string name_, file_;
  void* library_ = nullptr;  // never closed: its threads and device memory live as long as the process
};

Library cusparse_library();
Library cublas_library();

}  // namespace easting::cuda
