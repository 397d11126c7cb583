"""The library that an exported program is for: no package brings its sources, and one brings its kernels.

The wheel of tflite-micro holds them in one extension module, whose C++ symbols are public. So headers of our own
declare what a ``main.cc`` uses of them, and nothing more, and the program is loaded beside that module, in a process of
its own. Where a later wheel has another layout, the answers are others.
"""

import subprocess
import sys
from pathlib import Path

INTERPRETER = """
#pragma once
#include <cstddef>
#include <cstdint>

#define TFLITE_SCHEMA_VERSION 3

namespace tflite {
// What a flatbuffer's root has in its first slot.
struct Model {
  uint32_t version() const {
    const uint8_t* table = reinterpret_cast<const uint8_t*>(this);
    const uint8_t* slots = table - *reinterpret_cast<const int32_t*>(table);
    return *reinterpret_cast<const uint32_t*>(table + *reinterpret_cast<const uint16_t*>(slots + 4));
  }
};
inline const Model* GetModel(const void* data) {
  const uint8_t* bytes = static_cast<const uint8_t*>(data);
  return reinterpret_cast<const Model*>(bytes + *reinterpret_cast<const uint32_t*>(bytes));
}
struct Operator;
enum BuiltinOperator : int32_t {};

namespace micro {
enum TfLiteStatus { kTfLiteOk, kTfLiteError };
union TfLitePtrUnion { uint8_t* uint8; int8_t* int8; };
struct TfLiteTensor {
  struct { int type; void* params; } quantization;
  struct { float scale; int32_t zero_point; } params;
  TfLitePtrUnion data;
  void* dims;
  size_t bytes;
  int type, allocation_type;
  bool is_variable;
};
struct TFLMRegistration {
  void *init, *free, *prepare, *invoke, *reset;
  int32_t builtin_code;
  const char* custom_name;
};
class BuiltinDataAllocator;
class MicroResourceVariables;
class MicroProfilerInterface;
using Parser = TfLiteStatus (*)(const Operator*, BuiltinDataAllocator*, void**);
struct MicroOpResolver {
  virtual const TFLMRegistration* FindOp(BuiltinOperator op) const = 0;
  virtual const TFLMRegistration* FindOp(const char* op) const = 0;
  virtual Parser GetOpDataParser(BuiltinOperator op) const = 0;
  virtual ~MicroOpResolver() {}
};
class MicroInterpreter {
 public:
  MicroInterpreter(const Model*, const MicroOpResolver&, uint8_t*, size_t, MicroResourceVariables* = nullptr,
                   MicroProfilerInterface* = nullptr, bool = false);
  ~MicroInterpreter();
  TfLiteStatus AllocateTensors();
  TfLiteStatus Invoke();
  TfLiteTensor* input(size_t);
  TfLiteTensor* output(size_t);

 private:
  alignas(16) uint8_t members_[8192];  // more than it has: it makes itself in here
};
}  // namespace micro
using micro::MicroInterpreter;
}  // namespace tflite
using tflite::micro::kTfLiteError;
using tflite::micro::kTfLiteOk;
using tflite::micro::TfLiteStatus;
using tflite::micro::TfLiteTensor;
"""

_PARSERS = {  # where it is not Parse and the method's own name
    "AveragePool2D": "Pool", "MaxPool2D": "Pool", "Mean": "Reducer", "ReduceMax": "Reducer", "Sum": "Reducer",
}  # fmt: skip

_RESOLVER = """
#pragma once
#include <cstdio>
#include "tensorflow/lite/micro/micro_interpreter.h"

namespace tflite {{
namespace micro {{
{declarations}
template <unsigned N>
class MicroMutableOpResolver : public MicroOpResolver {{
 public:
  const TFLMRegistration* FindOp(BuiltinOperator op) const override {{
    for (unsigned i = 0; i < size_; ++i)
      if (kept_[i].builtin_code == op) return used_[i] = true, &kept_[i];
    return nullptr;
  }}
  const TFLMRegistration* FindOp(const char*) const override {{ return nullptr; }}
  Parser GetOpDataParser(BuiltinOperator op) const override {{
    for (unsigned i = 0; i < size_; ++i)
      if (kept_[i].builtin_code == op) return parsers_[i];
    return nullptr;
  }}
  ~MicroMutableOpResolver() override {{
    unsigned used = 0;
    for (unsigned i = 0; i < size_; ++i) used += used_[i];
    std::printf("resolver %u of %u, used %u\\n", size_, N, used);
  }}
{methods}

 private:
  TfLiteStatus Add(int32_t code, TFLMRegistration registration, Parser parser) {{
    if (size_ == N) return std::printf("no room in the resolver\\n"), kTfLiteError;
    kept_[size_] = registration;
    kept_[size_].builtin_code = code;
    parsers_[size_++] = parser;
    return kTfLiteOk;
  }}
  TFLMRegistration kept_[N];
  Parser parsers_[N];
  mutable bool used_[N] = {{}};
  unsigned size_ = 0;
}};
}}  // namespace micro
using micro::MicroMutableOpResolver;
}}  // namespace tflite
"""

_RUN = """
import ctypes, sys
ctypes.CDLL(sys.argv[1], ctypes.RTLD_GLOBAL)
code = ctypes.CDLL(sys.argv[2]).main()
ctypes.CDLL(None).fflush(None)
sys.exit(code)
"""


def headers(folder: Path) -> None:
    """Write what a program includes."""
    from ai_edge_litert.schema_py_generated import BuiltinOperator

    from edgecnn.targets.micro_export import RESOLVER_METHODS

    declarations, methods, parsers = [], [], set()
    for operator, method in RESOLVER_METHODS.items():
        parser = _PARSERS.get(method[3:], method[3:])
        declarations.append(f"TFLMRegistration Register_{operator}();")
        parsers.add(f"TfLiteStatus Parse{parser}(const Operator*, BuiltinDataAllocator*, void**);")
        code = getattr(BuiltinOperator, operator)
        methods.append(f"  TfLiteStatus {method}() {{ return Add({code}, Register_{operator}(), Parse{parser}); }}")
    texts = {
        "micro/micro_interpreter.h": INTERPRETER,
        "micro/micro_mutable_op_resolver.h": _RESOLVER.format(
            declarations="\n".join((*declarations, *sorted(parsers))), methods="\n".join(methods)
        ),
        "schema/schema_generated.h": "#pragma once\n",
    }
    for name, text in texts.items():
        place = folder / "tensorflow" / "lite" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)


def run(folder: Path, main: str = "main.cc", *flags: str) -> "subprocess.CompletedProcess[str]":
    """Compile an exported program, and run it with the real kernels.

    Args:
        folder: where ``model.c`` and the program are.
        main: the program's file.
        flags: more for both compilers.
    """
    from tflite_micro.python.tflite_micro import _runtime

    headers(folder)
    program = folder / f"{main}.so"
    strict = ("-Wall", "-Wextra", "-Werror", "-pedantic", "-fPIC", "-O1")
    for command in (
        ["gcc", *strict, *flags, "-std=c99", "-c", "model.c", "-o", "model.o"],
        ["g++", *strict, *flags, "-std=c++17", "-I.", "-shared", main, "model.o", "-o", str(program)],
    ):
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    command = [sys.executable, "-c", _RUN, str(_runtime.__file__), str(program)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)
