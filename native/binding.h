// From a C++ signature to a JavaScript function: one conversion per argument type, one place that catches.
#pragma once
#include <napi.h>

#include <cmath>
#include <exception>
#include <functional>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

#include "memory.h"
#include "types.h"

namespace easting {

enum class Type : std::uint8_t { f32, f64, i32, u8, bf16 };
inline constexpr std::size_t type_bytes[] = {4, 8, 4, 1, 2};
inline constexpr const char* type_names[] = {"f32", "f64", "i32", "u8", "bf16"};
template <class T>
inline constexpr Type type_of = Type::u8;
template <>
inline constexpr Type type_of<float> = Type::f32;
template <>
inline constexpr Type type_of<double> = Type::f64;
template <>
inline constexpr Type type_of<std::int32_t> = Type::i32;
template <>
inline constexpr Type type_of<bfloat16> = Type::bf16;

struct Buffer {
  void* data = nullptr;
  std::int64_t size = 0;
  std::uint32_t generation = 0;
  Type type = Type::f32;
  Device device = Device::cpu;
};

// The buffers of one JavaScript environment. A handle is slot + generation * 2^24, so a freed handle never finds a later
// buffer: using it is an error with a name, not a crash.
class Buffers {
 public:
  ~Buffers() {
    for (Buffer& buffer : slots_)
      if (buffer.data) release(buffer.device, buffer.data);
  }
  double add(Device device, Type type, std::int64_t size) {
    void* data = allocate(device, static_cast<std::size_t>(size) * type_bytes[static_cast<int>(type)]);
    if (free_.empty()) {
      free_.push_back(static_cast<std::uint32_t>(slots_.size()));
      slots_.push_back({.generation = 1});
    }
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    Buffer& buffer = slots_[slot];
    buffer.data = data;
    buffer.size = size;
    buffer.type = type;
    buffer.device = device;
    return static_cast<double>(slot) + static_cast<double>(buffer.generation) * slot_range;
  }
  Buffer& find(double handle) {
    const auto whole = static_cast<std::uint64_t>(handle);
    const std::uint64_t slot = whole % slot_range, generation = whole / slot_range;
    if (slot >= slots_.size() || !slots_[slot].data || slots_[slot].generation != generation)
      throw std::invalid_argument("buffer: expected a live buffer, got one that was freed");
    return slots_[slot];
  }
  void remove(double handle) {
    Buffer& buffer = find(handle);
    release(buffer.device, buffer.data);
    buffer.data = nullptr;
    ++buffer.generation;
    free_.push_back(static_cast<std::uint32_t>(&buffer - slots_.data()));
  }

 private:
  static constexpr std::uint64_t slot_range = 1u << 24;
  std::vector<Buffer> slots_;
  std::vector<std::uint32_t> free_;
};

Buffers& buffers_of(Napi::Env env);

template <class T>
struct Argument;

// The device of the kernel whose arguments are being read: its buffers must lie there.
inline thread_local Device device_of_kernel = Device::cpu;

template <class T, class Span>
Span span_of(const Napi::Value& value) {
  if (value.IsNull() || value.IsUndefined()) return {};
  if (!value.IsNumber()) throw std::invalid_argument("kernel: expected a buffer handle or null");
  Buffer& buffer = buffers_of(value.Env()).find(value.As<Napi::Number>().DoubleValue());
  if (buffer.type != type_of<T>)
    throw std::invalid_argument(std::string("kernel: expected a buffer of ") + type_names[static_cast<int>(type_of<T>)] +
                                ", got " + type_names[static_cast<int>(buffer.type)] +
                                (buffer.type == Type::bf16 ? "; convert it with cast" : ""));
  if (buffer.device != device_of_kernel)
    throw std::invalid_argument(std::string("kernel: expected buffers on ") + device_names[static_cast<int>(device_of_kernel)] +
                                ", got one on " + device_names[static_cast<int>(buffer.device)] + "; move the tensor with moveTo()");
  return {static_cast<T*>(buffer.data), buffer.size};
}

template <class T>
struct Argument<In<T>> {
  static In<T> from(const Napi::Value& value) { return span_of<T, In<T>>(value); }
};
template <class T>
struct Argument<Out<T>> {
  static Out<T> from(const Napi::Value& value) { return span_of<T, Out<T>>(value); }
};
template <>
struct Argument<double> {
  static double from(const Napi::Value& value) {
    if (!value.IsNumber()) throw std::invalid_argument("kernel: expected a number");
    return value.As<Napi::Number>().DoubleValue();
  }
};

// A whole number in [low, high]; the comparison also refuses NaN.
inline std::int64_t whole_from(const Napi::Value& value, std::int64_t low, std::int64_t high) {
  const double number = Argument<double>::from(value);
  if (!(number >= static_cast<double>(low) && number <= static_cast<double>(high)) || number != std::trunc(number))
    throw std::invalid_argument("kernel: expected a whole number from " + std::to_string(low) + " to " +
                                std::to_string(high));
  return static_cast<std::int64_t>(number);
}
template <class Number>
Number whole_from(const Napi::Value& value) {
  return static_cast<Number>(whole_from(value, std::numeric_limits<Number>::min(), std::numeric_limits<Number>::max()));
}

template <>
struct Argument<std::int32_t> {
  static std::int32_t from(const Napi::Value& value) { return whole_from<std::int32_t>(value); }
};
template <>
struct Argument<bool> {
  static bool from(const Napi::Value& value) {
    if (!value.IsBoolean()) throw std::invalid_argument("kernel: expected true or false");
    return value.As<Napi::Boolean>().Value();
  }
};

template <class Number, std::size_t n>
void numbers_from(const Napi::Value& value, Number (&numbers)[n]) {
  if (!value.IsArray() || value.As<Napi::Array>().Length() != n)
    throw std::invalid_argument("kernel: expected an array of " + std::to_string(n) + " numbers");
  const auto array = value.As<Napi::Array>();
  for (std::size_t i = 0; i < n; ++i) numbers[i] = whole_from<Number>(array.Get(i));
}
template <>
struct Argument<ConvShape> {
  static ConvShape from(const Napi::Value& value) {
    std::int32_t d[9];
    numbers_from(value, d);
    for (int i = 0; i < 9; ++i)
      if (d[i] < (i < 8 ? 1 : 0)) throw std::invalid_argument("kernel: expected a shape whose extents and stride are at least 1");
    return {d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7], d[8]};
  }
};
template <>
struct Argument<RandomKey> {
  static RandomKey from(const Napi::Value& value) {
    std::uint32_t d[4];
    numbers_from(value, d);
    return {d[0], d[1], d[2], d[3]};
  }
};

// The elements of an array, converted one after the other to whatever the fields of a struct are.
struct Fields {
  Napi::Array array;
  std::uint32_t next = 0;
  Fields(const Napi::Value& value, std::uint32_t count) {
    if (!value.IsArray() || value.As<Napi::Array>().Length() != count)
      throw std::invalid_argument("kernel: expected an array of " + std::to_string(count) + " arguments or null");
    array = value.As<Napi::Array>();
  }
  template <class T>
  operator T() {
    return Argument<T>::from(array.Get(next++));
  }
};
template <class Stored>
struct Argument<BatchNormForward<Stored>> {
  static BatchNormForward<Stored> from(const Napi::Value& value) {
    if (value.IsNull()) return {};
    Fields f(value, 17);
    return {f, f, f, f, f, f, f, f, f, f, f, f, f, f, f, f, f};
  }
};
template <class Stored>
struct Argument<BatchNormBackward<Stored>> {
  static BatchNormBackward<Stored> from(const Napi::Value& value) {
    if (value.IsNull()) return {};
    Fields f(value, 22);
    return {f, f, f, f, f, f, f, f, f, f, f, f, f, f, f, f, f, f, f, f, f, f};
  }
};

template <class T>
inline constexpr std::uint32_t field_count = 1;
template <class Real>
inline constexpr std::uint32_t field_count<SgdTensor<Real>> = 3;
template <class Real>
inline constexpr std::uint32_t field_count<AdamTensor<Real>> = 4;

// A flat array: the fields of the first, of the second ...
template <class T>
struct Argument<List<T>> {
  static List<T> from(const Napi::Value& value) {
    constexpr std::uint32_t fields = field_count<T>;
    const std::uint32_t length = value.IsArray() ? value.As<Napi::Array>().Length() : 1;
    if (!value.IsArray() || length % fields != 0)
      throw std::invalid_argument("kernel: expected an array of buffer handles, " + std::to_string(fields) + " each");
    Fields f(value, length);
    List<T> list(length / fields);
    for (T& item : list) {
      if constexpr (fields == 1) item = f.template operator T();
      else if constexpr (fields == 3) item = {f, f, f};
      else item = {f, f, f, f};
    }
    return list;
  }
};

// What a C++ exception is in JavaScript: an error with a code.
struct Failure {
  std::string code, message;  // both empty: none
};
Failure failure_of(const std::exception_ptr& error);

// Turns C++ exceptions into JavaScript errors with a code.
template <class F>
Napi::Value guarded(const Napi::CallbackInfo& info, F f) {
  try {
    return f();
  } catch (const Napi::Error& error) {
    error.ThrowAsJavaScriptException();
  } catch (...) {
    const auto [code, message] = failure_of(std::current_exception());
    Napi::Error error = Napi::Error::New(info.Env(), message);
    error.Set("code", code);
    error.ThrowAsJavaScriptException();
  }
  return info.Env().Undefined();
}

}  // namespace easting
