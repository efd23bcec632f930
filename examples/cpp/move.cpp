// Moves the rows of a CSV file by a model of `flowmorph export`, with the C API of onnxruntime.
//
//     g++ -std=c++17 -O2 move.cpp -I <headers of onnxruntime> -lonnxruntime -o move
//     ./move transport.onnx pt_moved,tau21_moved < rows.csv > moved.csv
//
// The first line of the input names its columns, which are the inputs of the model: features and
// conditions, and columns such as n_tracks_uniform with random numbers, 0 <= u < 1. A name with a
// colon and `int` behind it (era:int) is a category. The model is of the default precision, float32.
#include <onnxruntime_c_api.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

namespace {

const OrtApi* api = OrtGetApiBase()->GetApi(ORT_API_VERSION);

void check(OrtStatus* status) {
    if (!status) return;
    std::fprintf(stderr, "error: %s\n", api->GetErrorMessage(status));
    api->ReleaseStatus(status);
    std::exit(1);
}

std::vector<std::string> split(const std::string& line) {
    std::vector<std::string> parts;
    std::stringstream stream(line);
    for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
    return parts;
}

struct Column {
    std::string name;
    bool category;
    std::vector<float> numbers;
    std::vector<int64_t> codes;
};

OrtValue* tensor(Column& column, const OrtMemoryInfo* memory, int64_t rows) {
    OrtValue* value = nullptr;
    void* data = column.category ? static_cast<void*>(column.codes.data()) : column.numbers.data();
    const size_t size = rows * (column.category ? sizeof(int64_t) : sizeof(float));
    const auto type = column.category ? ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64
                                      : ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
    check(api->CreateTensorWithDataAsOrtValue(memory, data, size, &rows, 1, type, &value));
    return value;
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 3) {
        std::fprintf(stderr, "usage: move MODEL OUTPUT,... < rows.csv\n");
        return 2;
    }
    std::vector<Column> columns;
    std::string line;
    std::getline(std::cin, line);
    for (const auto& name : split(line)) {
        const auto colon = name.rfind(":int");
        columns.push_back({name.substr(0, colon), colon != std::string::npos, {}, {}});
    }
    int64_t rows = 0;
    for (; std::getline(std::cin, line); ++rows) {
        const auto fields = split(line);
        for (size_t i = 0; i < columns.size(); ++i) {
            if (columns[i].category) columns[i].codes.push_back(std::stoll(fields.at(i)));
            else columns[i].numbers.push_back(std::stof(fields.at(i)));
        }
    }

    // Once a program:
    OrtEnv* env = nullptr;
    OrtSessionOptions* options = nullptr;
    OrtSession* session = nullptr;
    OrtMemoryInfo* memory = nullptr;
    check(api->CreateEnv(ORT_LOGGING_LEVEL_WARNING, "flowmorph", &env));
    check(api->CreateSessionOptions(&options));
    check(api->SetIntraOpNumThreads(options, 1));
    check(api->CreateSession(env, arguments[1], options, &session));
    check(api->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &memory));

    // For each batch of rows, a single one or thousands:
    const auto wanted = split(arguments[2]);
    std::vector<const char*> inputs, outputs;
    std::vector<OrtValue*> given, moved(wanted.size(), nullptr);
    for (auto& column : columns) {
        inputs.push_back(column.name.c_str());
        given.push_back(tensor(column, memory, rows));
    }
    for (const auto& name : wanted) outputs.push_back(name.c_str());
    const auto run = [&] {
        for (auto*& value : moved) {
            if (value) api->ReleaseValue(value);
            value = nullptr;
        }
        check(api->Run(session, nullptr, inputs.data(), given.data(), given.size(), outputs.data(),
                       outputs.size(), moved.data()));
    };
    run();

    // The processor's time, once the session has allocated its memory, in the first run.
    const int repeats = rows < 200 ? 200 : 1;
    const auto begin = std::clock();
    for (int i = 0; i < repeats; ++i) run();
    const double taken = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    std::fprintf(stderr, "%lld rows in %.3g seconds\n", static_cast<long long>(rows),
                 taken / repeats);

    std::vector<float*> values;
    for (auto* value : moved) {
        void* data = nullptr;
        check(api->GetTensorMutableData(value, &data));
        values.push_back(static_cast<float*>(data));
    }
    std::printf("%s\n", arguments[2]);
    for (int64_t row = 0; row < rows; ++row)
        for (size_t i = 0; i < values.size(); ++i)
            std::printf("%.9g%c", values[i][row], i + 1 < values.size() ? ',' : '\n');

    for (auto* value : moved) api->ReleaseValue(value);
    for (auto* value : given) api->ReleaseValue(value);
    api->ReleaseMemoryInfo(memory);
    api->ReleaseSession(session);
    api->ReleaseSessionOptions(options);
    api->ReleaseEnv(env);
}
