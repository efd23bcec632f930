// A stack of autoregressive layers of any sizes and its gradients, in float32 on a CPU.
//
// stack.py, made.py and spline.py say what is computed; names and formulas here are theirs. Products are
// those of the BLAS that PyTorch brings. All else is one pass over memory for each activation and
// one for the splines, tile by tile of points, so that a tile's bins stay in the nearest cache.
// Arrays are feature-major, (rows, B), without gaps.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

namespace {

using Gemm = void (*)(const char*, const char*, const int*, const int*, const int*, const float*,
                      const float*, const int*, const float*, const int*, const float*, float*,
                      const int*);

constexpr int TILE = 32;  // points whose splines are evaluated together
constexpr float MIN_BIN = 1e-3f, MIN_SLOPE = 1e-3f, SIGHT = 1e6f, GRADIENT_LIMIT = 1e10f;

}  // namespace

// One layer, as engine.py describes it.
struct Layer {
  int features, context, width, blocks, bins;
  int fixed;          // outputs that no hidden unit drives: the first feature's
  int panels;         // row ranges in which the masked matrices are multiplied
  const int* groups;  // (features), after the last hidden unit of degree 0, 1, ...
  const int* ends;    // (panels), after the last hidden unit of each panel
  float bound, unit_slope;
  Gemm gemm;
  int per_feature() const { return 3 * bins - 1; }
  int driven() const { return features * per_feature() - fixed; }
  // What a tape keeps of each point.
  int kept() const { return 2 * features + driven() + width * (1 + (context > 0) + 2 * blocks); }
};

struct Stack {
  Layer layer;
  int layers, size;  // size: weights of a layer
  const int* flips;  // (layers), whether the features are reversed after each layer
};

namespace {

// Memory that is not set to zero.
struct Scratch {
  std::unique_ptr<float[]> memory;
  explicit Scratch(size_t size) : memory(new float[size]) {}
  float* data() { return memory.get(); }
};

// y (m, n) = a (m, k) x (k, n) + beta y, where rows of a are `stride` apart.
void product(const Layer& l, int m, int n, int k, const float* a, int stride, const float* x,
             float* y, float beta) {
  const float one = 1;
  if (m && k) return l.gemm("N", "N", &n, &m, &k, &one, x, &n, a, &stride, &beta, y, &n);
  if (beta == 0) std::fill(y, y + size_t(m) * n, 0.0f);
}

// y (m, n) = a^T x, where a is (k, m) and x is (k, n).
void product_t(const Layer& l, int m, int n, int k, const float* a, int stride, const float* x,
               float* y) {
  const float one = 1, zero = 0;
  if (m && k) return l.gemm("N", "T", &n, &m, &k, &one, x, &n, a, &stride, &zero, y, &n);
  std::fill(y, y + size_t(m) * n, 0.0f);
}

// a (m, k) = g u^T, where g is (m, n) and u is (k, n).
void outer(const Layer& l, int m, int k, int n, const float* g, const float* u, float* a,
           int stride) {
  const float one = 1, zero = 0;
  if (m && k) l.gemm("T", "N", &k, &m, &n, &one, u, &n, g, &n, &zero, a, &stride);
}

// Weights, or gradients by them, in their flat order (Layout.entries).
template <class T>
struct Weights {
  T *first, *first_bias, *context, *context_bias, *last, *last_bias;
  struct Block {
    T *given, *given_bias, *matrix[2], *bias[2];
  };
  std::vector<Block> blocks;

  Weights(const Layer& l, T* flat) {
    auto take = [&flat](size_t size) { return std::exchange(flat, flat + size); };
    const size_t w = l.width, c = l.context, out = l.features * l.per_feature();
    first = take(w * l.features), first_bias = take(w);
    context = take(w * c), context_bias = take(c ? w : 0);
    for (int i = 0; i < l.blocks; ++i) {
      Block b;
      b.given = take(w * c), b.given_bias = take(c ? w : 0);
      for (int j : {0, 1}) b.matrix[j] = take(w * w), b.bias[j] = take(w);
      blocks.push_back(b);
    }
    last = take(out * w), last_bias = take(out);
  }
};

// What a layer is given, gives, and leaves for its vector-Jacobian product, in arrays (rows, B).
struct Tape {
  float *given, *image, *raw, *h, *context;
  std::vector<float*> u, v;

  Tape(const Layer& l, size_t n, float* tape) {
    auto take = [&](size_t rows) { return std::exchange(tape, tape + rows * n); };
    given = take(l.features), image = take(l.features);
    raw = take(l.driven()), h = take(l.width), context = take(l.context ? l.width : 0);
    for (int i = 0; i < l.blocks; ++i) u.push_back(take(l.width)), v.push_back(take(l.width));
  }
};

// Exponential and logarithm by the polynomials of Cephes, which a compiler can turn into vector
// instructions; both pass on what is not a number.
inline float exponential(float x) {
  x = x < -87.3f ? -87.3f : x;
  x = x > 88.3f ? 88.3f : x;
  const float shifted = x * 1.44269504f + 12582912.0f, n = shifted - 12582912.0f;
  const float r = x - n * 0.693359375f + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  for (float coefficient : {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f,
                            1.6666665459e-1f, 5.0000001201e-1f})
    p = p * r + coefficient;
  uint32_t bits;
  std::memcpy(&bits, &shifted, 4);
  bits = (bits << 23) + (127u << 23);
  float power;
  std::memcpy(&power, &bits, 4);
  return (p * r * r + r + 1) * power;
}

inline float logarithm(float x) {
  const bool tiny = x < 1.17549435e-38f;  // below it floats have fewer digits
  const float scaled = tiny ? x * 8388608.0f : x;
  uint32_t bits;
  std::memcpy(&bits, &scaled, 4);
  float exponent = float(int32_t(bits >> 23) - 126) - (tiny ? 23.0f : 0.0f), m;
  bits = (bits & 0x007fffffu) | 0x3f000000u;
  std::memcpy(&m, &bits, 4);
  const bool low = m < 0.707106781f;
  exponent = low ? exponent - 1 : exponent;
  m = low ? m + m - 1 : m - 1;
  float p = 7.0376836292e-2f;
  for (float coefficient :
       {-1.1514610310e-1f, 1.1676998740e-1f, -1.2420140846e-1f, 1.4249322787e-1f,
        -1.6668057665e-1f, 2.0000714765e-1f, -2.4999993993e-1f, 3.3333331174e-1f})
    p = p * m + coefficient;
  const float z = m * m, tail = p * m * z - 2.12194440e-4f * exponent - 0.5f * z;
  const float value = m + tail + 0.693359375f * exponent;
  const bool ordinary = x > 0 && x < INFINITY;
  return ordinary ? value : (x == 0 ? -INFINITY : (x > 0 ? x : NAN));
}

inline float softplus(float x) {
  return (x > 0 ? x : 0) + logarithm(1 + exponential(x > 0 ? -x : x));
}

inline float sigmoid(float x) { return 1 / (1 + exponential(-x)); }

// A number for each point of a tile.
struct alignas(64) Lanes {
  float at[TILE];
  float& operator[](int i) { return at[i]; }
  float operator[](int i) const { return at[i]; }
};

template <class F>
inline __attribute__((always_inline)) void each(F function) {
#pragma GCC ivdep
  for (int i = 0; i < TILE; ++i) function(i);
}

// Splines of one feature at TILE points at a time (spline.py).
struct Spline {
  int bins;
  float bound, unit_slope, spread;
  bool shared = false;  // whether all points have the parameters of the last call of `knots`
  std::vector<Lanes> share[2], edge[2], slope;  // (K), (K + 1), (K + 1): widths, then heights

  Spline(const Layer& l)
      : bins(l.bins), bound(l.bound), unit_slope(l.unit_slope),
        spread(2 * l.bound * (1 - MIN_BIN * l.bins)), slope(l.bins + 1) {
    for (int a : {0, 1}) share[a].resize(bins), edge[a].resize(bins + 1);
  }

  // Take the parameters of `lanes` points: bias (3K - 1), and raw (3K - 1, B) if it is given.
  void knots(const float* raw, size_t stride, const float* bias, int lanes) {
    auto load = [&](int k, Lanes& to) {
      const float b = bias[k];
      each([&](int i) { to[i] = b; });
      if (raw && lanes == TILE) {
        const float* from = raw + k * stride;
        each([&](int i) { to[i] += from[i]; });
      } else if (raw) {
        for (int i = 0; i < lanes; ++i) to[i] += raw[k * stride + i];
      }
    };
    const float least = 2 * bound * MIN_BIN, free = spread;
    for (int a : {0, 1}) {
      Lanes top, sum;
      each([&](int i) { top[i] = -INFINITY, sum[i] = 0; });
      for (int k = 0; k < bins; ++k) {
        Lanes& to = share[a][k];
        load(a * bins + k, to);
        each([&](int i) { top[i] = to[i] > top[i] ? to[i] : top[i]; });
      }
      for (int k = 0; k < bins; ++k) {
        Lanes& to = share[a][k];
        each([&](int i) {
          to[i] = exponential(to[i] - top[i]);
          sum[i] += to[i];
        });
      }
      each([&](int i) { sum[i] = 1 / sum[i]; });
      each([&](int i) { edge[a][0][i] = -bound; });
      for (int k = 0; k < bins; ++k) {
        Lanes &to = share[a][k], &left = edge[a][k], &right = edge[a][k + 1];
        each([&](int i) {
          to[i] *= sum[i];
          right[i] = left[i] + (to[i] * free + least);
        });
      }
      each([&](int i) { edge[a][bins][i] = bound; });
    }
    for (int k = 1; k < bins; ++k) load(2 * bins + k - 1, slope[k]);
    each([&](int i) { slope[0][i] = slope[bins][i] = unit_slope; });
  }

  // The bin of each point, and the point's relative position xi in it.
  struct Chosen {
    Lanes x, w, y, h, raw_k, raw_k1, d_k, d_k1, xi;
  };

  void choose(const Lanes& safe, bool inverse, Chosen& b) const {
    Lanes x1 = edge[0][1], y1 = edge[1][1];
    b.x = edge[0][0], b.y = edge[1][0], b.raw_k = slope[0], b.raw_k1 = slope[1];
    for (int k = 1; k < bins; ++k) {
      const Lanes& knot = edge[inverse][k];
      auto take = [&](Lanes& to, const Lanes& from) {
        each([&](int i) {
          const float now = to[i], then = from[i];
          to[i] = safe[i] >= knot[i] ? then : now;
        });
      };
      take(b.x, edge[0][k]), take(x1, edge[0][k + 1]), take(b.raw_k, slope[k]);
      take(b.y, edge[1][k]), take(y1, edge[1][k + 1]), take(b.raw_k1, slope[k + 1]);
    }
    each([&](int i) {
      b.w[i] = x1[i] - b.x[i], b.h[i] = y1[i] - b.y[i];
      b.d_k[i] = softplus(b.raw_k[i]) + MIN_SLOPE, b.d_k1[i] = softplus(b.raw_k1[i]) + MIN_SLOPE;
    });
    if (!inverse) return each([&](int i) { b.xi[i] = (safe[i] - b.x[i]) / b.w[i]; });
    each([&](int i) {
      const float s = b.h[i] / b.w[i], rise = safe[i] - b.y[i];
      const float lift = rise * (b.d_k[i] + b.d_k1[i] - 2 * s), linear = b.h[i] * b.d_k[i] - lift;
      const float square = linear * linear + 4 * (b.h[i] * (s - b.d_k[i]) + lift) * (s * rise);
      const float xi = 2 * (s * rise) / (linear + std::sqrt(square < 0 ? 0 : square));
      b.xi[i] = xi < 0 ? 0 : (xi > 1 ? 1 : xi);
    });
  }

  // Image, and log dy/dx of the forward map times `sign`, which is added to log_det.
  void evaluate(const float* values, bool inverse, int lanes, float* image, float sign,
                float* log_det) const {
    Lanes v, safe, y, log_slope;
    Chosen b;
    each([&](int i) { v[i] = i < lanes ? values[i] : 0; });
    each([&](int i) { safe[i] = std::fabs(v[i]) <= bound ? v[i] : 0; });
    choose(safe, inverse, b);
    each([&](int i) {
      const float xi = b.xi[i], s = b.h[i] / b.w[i], rest = xi * (1 - xi);
      const float denominator = s + (b.d_k[i] + b.d_k1[i] - 2 * s) * rest;
      const float there = inverse ? xi * b.w[i] + b.x[i]
                                  : b.y[i] + b.h[i] * (s * xi * xi + b.d_k[i] * rest) / denominator;
      const float rate = b.d_k1[i] * xi * xi + 2 * s * rest + b.d_k[i] * (1 - xi) * (1 - xi);
      const float ratio = s / denominator, log_rate = logarithm(rate * ratio * ratio);
      const bool inside = std::fabs(v[i]) <= bound;
      y[i] = inside ? there : v[i], log_slope[i] = inside ? log_rate : 0;
    });
    for (int i = 0; i < lanes; ++i) image[i] = y[i], log_det[i] += sign * log_slope[i];
  }

  // Pull gradients by image and log dy/dx back to the values and to share and slope.
  void pull(const float* values, bool inverse, int lanes, const float* g_image,
            const float* g_log, float sign, float* g_values, std::vector<Lanes>* by_share,
            std::vector<Lanes>& by_slope) {
    Lanes v, safe, by_image, by_log, g_v, left[2], right[2], g_k, g_k1;
    Chosen b;
    each([&](int i) { v[i] = i < lanes ? values[i] : 2 * bound; });
    each([&](int i) {
      safe[i] = std::fabs(v[i]) <= bound ? v[i] : 0;
      by_image[i] = i < lanes ? g_image[i] : 0, by_log[i] = i < lanes ? sign * g_log[i] : 0;
    });
    choose(safe, inverse, b);
    each([&](int i) {
      const bool inside = std::fabs(v[i]) <= bound;
      const float xi = b.xi[i], w = b.w[i], h = b.h[i], d_k = b.d_k[i], d_k1 = b.d_k1[i];
      const float s = h / w, away = 1 - xi, rest = xi * away, turn = away - xi, xi2 = xi * xi;
      const float bend = d_k + d_k1 - 2 * s, denominator = s + bend * rest;
      const float rate = d_k1 * xi2 + 2 * s * rest + d_k * away * away;
      const float rate_xi = 2 * (d_k1 * xi + s * turn - d_k * away);
      const float g_l = inside ? by_log[i] : 0, g_rate = g_l / rate;
      float g_y = inside ? by_image[i] : 0;
      if (inverse) {
        const float log_xi = rate_xi / rate - 2 * bend * turn / denominator;
        g_y = (g_y + g_l * log_xi / w) * (denominator / s) * (denominator / s) / rate;
      }
      g_v[i] = g_y;
      g_y = inverse ? -g_y : g_y;
      const float ratio = (s * xi2 + d_k * rest) / denominator, g_numerator = g_y * h / denominator;
      const float g_denominator = -(g_numerator * ratio) - 2 * g_l / denominator;
      const float g_s = 2 * (g_l / s + rest * g_rate) + (1 - 2 * rest) * g_denominator +
                        xi2 * g_numerator;
      const float g_xi = (g_rate * rate_xi + g_denominator * bend * turn +
                          g_numerator * (2 * s * xi + d_k * turn)) / w;
      const float g_w = -(g_s * s) / w - g_xi * xi, g_h = g_y * ratio + g_s / w;
      g_v[i] = inside ? (inverse ? g_v[i] : g_xi) : by_image[i];
      left[0][i] = -g_xi - g_w, right[0][i] = g_w, left[1][i] = g_y - g_h, right[1][i] = g_h;
      g_k[i] = (away * away * g_rate + rest * (g_denominator + g_numerator)) * sigmoid(b.raw_k[i]);
      g_k1[i] = (xi2 * g_rate + rest * g_denominator) * sigmoid(b.raw_k1[i]);
    });
    std::copy(g_v.at, g_v.at + lanes, g_values);
    // A wider bin k moves both edges of a point's bin beyond k, and the right edge of its own; the
    // last edge stays.
    const auto& along = edge[inverse];
    for (int a : {0, 1}) {
      each([&](int i) { right[a][i] = safe[i] >= along[bins - 1][i] ? 0 : right[a][i]; });
      for (int k = 0; k < bins; ++k) {
        Lanes &to = by_share[a][k], &l = left[a], &r = right[a];
        const Lanes &start = along[k], &end = along[k + 1];
        const float never = k == bins - 1 ? 0 : 1;
        each([&](int i) {
          const float own = r[i], further = never * l[i];
          const float by = (safe[i] >= start[i] ? own : 0) + (safe[i] >= end[i] ? further : 0);
          to[i] = (shared ? to[i] : 0) + by;
        });
      }
    }
    // Knot k is the left one of bin k and the right one of bin k - 1.
    for (int k = 1; k < bins; ++k) {
      Lanes& to = by_slope[k];
      const Lanes &before = along[k - 1], &knot = along[k], &after = along[k + 1];
      const float last = k == bins - 1 ? INFINITY : 0;
      each([&](int i) {
        const float as_left = g_k[i], as_right = g_k1[i];
        const float left_of = safe[i] >= before[i] ? as_right : 0;
        const float right_of = safe[i] >= after[i] + last ? 0 : as_left;
        to[i] = (shared ? to[i] : 0) + (safe[i] >= knot[i] ? right_of : left_of);
      });
    }
  }

  // Gradients by raw parameters (3K - 1, stride) from those by share and slope.
  void raw_gradients(std::vector<Lanes>* by_share, std::vector<Lanes>& by_slope, int lanes,
                     size_t stride, float* g_raw) const {
    for (int a : {0, 1}) {
      Lanes mean{}, by;
      for (int k = 0; k < bins; ++k)
        each([&](int i) { mean[i] += share[a][k][i] * by_share[a][k][i]; });
      for (int k = 0; k < bins; ++k) {
        each([&](int i) { by[i] = share[a][k][i] * (by_share[a][k][i] - mean[i]) * spread; });
        std::copy(by.at, by.at + lanes, g_raw + (a * bins + k) * stride);
      }
    }
    for (int k = 1; k < bins; ++k)
      std::copy(by_slope[k].at, by_slope[k].at + lanes, g_raw + (2 * bins + k - 1) * stride);
  }
};

// Splines of feature f at all points; raw is (3K - 1, B), or none where all points share the bias.
void splines(const Layer& l, Spline& spline, int n, int f, const float* bias, const float* raw,
             const float* values, bool inverse, float* image, float* log_det) {
  for (int j = 0; j < n; j += TILE) {
    const int lanes = std::min(TILE, n - j);
    if (raw || j == 0) spline.knots(raw ? raw + j : raw, n, bias + f * l.per_feature(), lanes);
    const size_t at = size_t(f) * n + j;
    spline.evaluate(values + at, inverse, lanes, image + at, inverse ? -1 : 1, log_det + j);
  }
}

void splines_vjp(const Layer& l, Spline& spline, int n, int f, const float* bias, const float* raw,
                 const float* values, bool inverse, const float* g_image, const float* g_log,
                 float* g_values, float* g_raw) {
  std::vector<Lanes> by_share[2] = {std::vector<Lanes>(l.bins), std::vector<Lanes>(l.bins)};
  std::vector<Lanes> by_slope(l.bins + 1);
  for (auto* part : {&by_share[0], &by_share[1], &by_slope})
    std::memset(part->data(), 0, part->size() * sizeof(Lanes));
  spline.shared = !raw;
  for (int j = 0; j < n; j += TILE) {
    const int lanes = std::min(TILE, n - j);
    if (raw || j == 0) spline.knots(raw ? raw + j : raw, n, bias + f * l.per_feature(), lanes);
    const size_t at = size_t(f) * n + j;
    spline.pull(values + at, inverse, lanes, g_image + j, g_log + j, inverse ? -1 : 1,
                g_values + at, by_share, by_slope);
    if (raw) spline.raw_gradients(by_share, by_slope, lanes, n, g_raw + j);
  }
  if (raw) return;
  auto add_up = [](Lanes& lanes) {
    float sum = 0;
    for (float value : lanes.at) sum += value;
    lanes[0] = sum;
  };
  for (auto* part : {&by_share[0], &by_share[1], &by_slope})
    for (Lanes& lanes : *part) add_up(lanes);
  spline.raw_gradients(by_share, by_slope, 1, 1, g_raw);
}

// Rows [from, to) of t: t + bias + more, and its positive part in u, if it is wanted.
void add(int from, int to, size_t n, const float* bias, const float* more, float* t, float* u,
         const float* term = nullptr) {
  for (int row = from; row < to; ++row) {
    const float b = (bias ? bias[row] : 0) + (more ? more[row] : 0);
    float* at = t + row * n;
    if (term)
      for (size_t i = 0; i < n; ++i) at[i] += term[row * n + i];
    for (size_t i = 0; i < n; ++i) at[i] += b;
    if (u)
      for (size_t i = 0; i < n; ++i) u[row * n + i] = at[i] < 0 ? 0 : at[i];
  }
}

void seen(size_t size, const float* x, float* to) {
  for (size_t i = 0; i < size; ++i)
    to[i] = x[i] < -SIGHT ? -SIGHT : (x[i] > SIGHT ? SIGHT : x[i]);
}

void sums(int rows, size_t n, const float* g, float* to) {
  for (int row = 0; row < rows; ++row) {
    Lanes part{};
    size_t i = 0;
    for (; i + TILE <= n; i += TILE) each([&](int j) { part[j] += g[row * n + i + j]; });
    float sum = 0;
    for (float value : part.at) sum += value;
    for (; i < n; ++i) sum += g[row * n + i];
    to[row] = sum;
  }
}

// Rows where the gate is not positive become zero.
void gate(size_t size, const float* open, float* g) {
  for (size_t i = 0; i < size; ++i) g[i] = open[i] > 0 ? g[i] : 0;
}

// The hidden units' contribution of the condition, before the first block.
void condition(const Layer& l, const Weights<const float>& w, int n, const float* c, Tape& tape) {
  if (!l.context) return;
  product(l, l.width, n, l.context, w.context, l.context, c, tape.context, 0);
  add(0, l.width, n, w.context_bias, nullptr, tape.context, tape.context);
}

// Hidden units [from, to), which see units [0, to) and, of the features, `known`.
void hidden(const Layer& l, const Weights<const float>& w, int n, int from, int to, int known,
            const float* x, const float* c, Tape& tape) {
  const int rows = to - from, d = l.width;
  const size_t at = size_t(from) * n;
  product(l, rows, n, known, w.first + size_t(from) * l.features, l.features, x, tape.h + at, 0);
  add(from, to, n, w.first_bias, nullptr, tape.h, l.blocks ? tape.u[0] : nullptr,
      l.context ? tape.context : nullptr);
  for (int i = 0; i < l.blocks; ++i) {
    const auto& b = w.blocks[i];
    float *u = tape.u[i], *v = tape.v[i];
    product(l, rows, n, to, b.matrix[0] + size_t(from) * d, d, u, v + at, 0);
    if (l.context)
      product(l, rows, n, l.context, b.given + size_t(from) * l.context, l.context, c, v + at, 1);
    add(from, to, n, b.bias[0], l.context ? b.given_bias : nullptr, v, v);
    product(l, rows, n, to, b.matrix[1] + size_t(from) * d, d, v, tape.h + at, 1);
    add(from, to, n, b.bias[1], nullptr, tape.h, i + 1 < l.blocks ? tape.u[i + 1] : nullptr);
  }
}

// Gradients by hidden units [from, to) from that by their output, in g_h; units from `from` on are
// driven by them. `inner` has, block by block, the gradients by first and second products.
void hidden_vjp(const Layer& l, const Weights<const float>& w, int n, int from, int to, Tape& tape,
                float* g_h, std::vector<float*>& inner, float* spare) {
  const int rows = to - from, above = l.width - from, d = l.width;
  const size_t at = size_t(from) * n, corner = size_t(from) * d + from, size = size_t(rows) * n;
  for (int i = l.blocks - 1; i >= 0; --i) {
    float *g_t = inner[2 * i], *g_out = inner[2 * i + 1];
    std::copy(g_h + at, g_h + at + size, g_out + at);
    product_t(l, rows, n, above, w.blocks[i].matrix[1] + corner, d, g_out + at, g_t + at);
    gate(size, tape.v[i] + at, g_t + at);
    product_t(l, rows, n, above, w.blocks[i].matrix[0] + corner, d, g_t + at, spare);
    gate(size, tape.u[i] + at, spare);
    for (size_t k = 0; k < size; ++k) g_h[at + k] += spare[k];
  }
}

void weight_gradients(const Layer& l, int n, const float* x, const float* c, Tape& tape,
                      const float* g_fixed, const float* g_raw, float* g_h,
                      const std::vector<float*>& inner, float* flat, size_t size) {
  Weights<float> w(l, flat);
  std::fill(flat, flat + size, 0.0f);
  const int d = l.width;
  // The masks leave the columns up to the end of a panel.
  auto lower = [&](const float* g, const float* u, float* a) {
    for (int p = 0, from = 0; p < l.panels; from = l.ends[p++])
      outer(l, l.ends[p] - from, l.ends[p], n, g + size_t(from) * n, u, a + size_t(from) * d, d);
  };
  outer(l, d, l.features, n, g_h, x, w.first, l.features);
  sums(d, n, g_h, w.first_bias);
  for (int i = 0; i < l.blocks; ++i) {
    const float *g_t = inner[2 * i], *g_out = inner[2 * i + 1];
    lower(g_t, tape.u[i], w.blocks[i].matrix[0]);
    lower(g_out, tape.v[i], w.blocks[i].matrix[1]);
    sums(d, n, g_t, w.blocks[i].bias[0]);
    sums(d, n, g_out, w.blocks[i].bias[1]);
    if (!l.context) continue;
    outer(l, d, l.context, n, g_t, c, w.blocks[i].given, l.context);
    std::copy(w.blocks[i].bias[0], w.blocks[i].bias[0] + d, w.blocks[i].given_bias);
  }
  outer(l, l.driven(), d, n, g_raw, tape.h, w.last + size_t(l.fixed) * d, d);
  std::copy(g_fixed, g_fixed + l.fixed, w.last_bias);
  sums(l.driven(), n, g_raw, w.last_bias + l.fixed);
  if (!l.context) return;
  gate(size_t(d) * n, tape.context, g_h);  // which nobody needs any more
  outer(l, d, l.context, n, g_h, c, w.context, l.context);
  sums(d, n, g_h, w.context_bias);
}

// Arrays of a vector-Jacobian product that are not kept.
struct Gradients {
  Scratch memory;
  float *raw, *h, *spare, *x;
  std::vector<float*> inner;
  std::vector<float> fixed;

  Gradients(const Layer& l, size_t n)
      : memory((l.driven() + (2 + 2 * l.blocks) * l.width + 2 * l.features) * n), fixed(l.fixed) {
    float* at = memory.data();
    auto take = [&](size_t rows) { return std::exchange(at, at + rows * n); };
    raw = take(l.driven()), h = take(l.width), spare = take(l.width), x = take(2 * l.features);
    for (int i = 0; i < 2 * l.blocks; ++i) inner.push_back(take(l.width));
  }
};

// The raw parameters of feature f, which the first one may not have.
template <class T>
T* of_feature(const Layer& l, int n, int f, T* raw) {
  return l.fixed && f == 0 ? nullptr : raw + (size_t(f) * l.per_feature() - l.fixed) * n;
}

void forward(const Layer& l, int n, const float* c, const float* flat, Tape& tape,
             float* log_det) {
  Weights<const float> w(l, flat);
  const float* x = tape.given;
  Scratch clamped(size_t(l.features) * n);
  seen(size_t(l.features) * n, x, clamped.data());
  condition(l, w, n, c, tape);
  for (int p = 0, from = 0; p < l.panels; from = l.ends[p++])
    hidden(l, w, n, from, l.ends[p], l.features, clamped.data(), c, tape);
  product(l, l.driven(), n, l.width, w.last + size_t(l.fixed) * l.width, l.width, tape.h, tape.raw,
          0);
  std::fill(log_det, log_det + n, 0.0f);
  Spline spline(l);
  for (int f = 0; f < l.features; ++f)
    splines(l, spline, n, f, w.last_bias, of_feature(l, n, f, tape.raw), x, false, tape.image,
            log_det);
}

void forward_vjp(const Layer& l, int n, const float* c, const float* flat, Tape& tape,
                 const float* g_image, const float* g_log, float* g_x, float* g_flat, int size) {
  Weights<const float> w(l, flat);
  const float* x = tape.given;
  Gradients g(l, n);
  Spline spline(l);
  for (int f = 0; f < l.features; ++f) {
    float* g_raw = of_feature(l, n, f, g.raw);
    splines_vjp(l, spline, n, f, w.last_bias, of_feature(l, n, f, tape.raw), x, false,
                g_image + size_t(f) * n, g_log, g_x, g_raw ? g_raw : g.fixed.data());
  }
  product_t(l, l.width, n, l.driven(), w.last + size_t(l.fixed) * l.width, l.width, g.raw, g.h);
  for (int p = l.panels - 1; p >= 0; --p)
    hidden_vjp(l, w, n, p ? l.ends[p - 1] : 0, l.ends[p], tape, g.h, g.inner, g.spare);
  float *clamped = g.x, *through = g.x + size_t(l.features) * n;
  seen(size_t(l.features) * n, x, clamped);
  product_t(l, l.features, n, l.width, w.first, l.features, g.h, through);
  for (size_t i = 0; i < size_t(l.features) * n; ++i)
    g_x[i] += std::fabs(x[i]) <= SIGHT ? through[i] : 0;
  if (g_flat)
    weight_gradients(l, n, clamped, c, tape, g.fixed.data(), g.raw, g.h, g.inner, g_flat, size);
}

void inverse(const Layer& l, int n, const float* c, const float* flat, Tape& tape,
             float* log_det) {
  Weights<const float> w(l, flat);
  const float* y = tape.given;
  float* x = tape.image;
  Scratch clamped(size_t(l.features) * n);
  condition(l, w, n, c, tape);
  std::fill(log_det, log_det + n, 0.0f);
  Spline spline(l);
  for (int g = 0, from = 0; g < l.features; from = l.groups[g++]) {
    const int to = l.groups[g];
    if (to > from) hidden(l, w, n, from, to, g, clamped.data(), c, tape);
    float* raw = of_feature(l, n, g, tape.raw);
    const size_t row = size_t(g) * l.per_feature();
    if (raw) product(l, l.per_feature(), n, to, w.last + row * l.width, l.width, tape.h, raw, 0);
    splines(l, spline, n, g, w.last_bias, raw, y, true, x, log_det);
    seen(n, x + size_t(g) * n, clamped.data() + size_t(g) * n);
  }
}

void inverse_vjp(const Layer& l, int n, const float* c, const float* flat, Tape& tape,
                 const float* g_x, const float* g_log, float* g_y, float* g_flat, int size) {
  Weights<const float> w(l, flat);
  const float *y = tape.given, *x = tape.image;
  Gradients g(l, n);
  Spline spline(l);
  float *clamped = g.x, *by_x = g.x + size_t(l.features) * n;
  seen(size_t(l.features) * n, x, clamped);
  for (int f = l.features - 1; f >= 0; --f) {
    const int from = f ? l.groups[f - 1] : 0, to = l.groups[f], above = l.width - to;
    // Feature f feeds the units of higher degree, all of which are finished by now.
    product_t(l, 1, n, above, w.first + size_t(to) * l.features + f, l.features,
              g.h + size_t(to) * n, by_x);
    const size_t at = size_t(f) * n;
    for (int i = 0; i < n; ++i)
      by_x[i] = g_x[at + i] + (std::fabs(x[at + i]) <= SIGHT ? by_x[i] : 0);
    float* g_raw = of_feature(l, n, f, g.raw);
    splines_vjp(l, spline, n, f, w.last_bias, of_feature(l, n, f, tape.raw), y, true, by_x, g_log,
                g_y, g_raw ? g_raw : g.fixed.data());
    if (to == from) continue;
    const int outputs = (l.features - f) * l.per_feature();
    product_t(l, to - from, n, outputs, w.last + size_t(f) * l.per_feature() * l.width + from,
              l.width, g_raw, g.h + size_t(from) * n);
    hidden_vjp(l, w, n, from, to, tape, g.h, g.inner, g.spare);
  }
  if (g_flat)
    weight_gradients(l, n, clamped, c, tape, g.fixed.data(), g.raw, g.h, g.inner, g_flat, size);
}

// Copy features, in their order or reversed.
void copy(int features, size_t n, const float* from, float* to, bool reversed) {
  for (int f = 0; f < features; ++f)
    std::copy(from + f * n, from + (f + 1) * n, to + (reversed ? features - 1 - f : f) * n);
}

}  // namespace

extern "C" {

// Image and log-determinant of x. `kept` has room for the tapes of all layers, or, without `keep`,
// of one.
void run(const Stack* stack, int backwards, int keep, int n, const float* x, const float* c,
         const float* flat, float* image, float* log_det, float* kept) {
  const Stack& s = *stack;
  const Layer& l = s.layer;
  Scratch part(n);
  std::fill(log_det, log_det + n, 0.0f);
  std::copy(x, x + size_t(l.features) * n, image);
  for (int i = 0; i < s.layers; ++i) {
    const int k = backwards ? s.layers - 1 - i : i;
    Tape tape(l, n, kept + (keep ? size_t(k) * l.kept() * n : 0));
    copy(l.features, n, image, tape.given, backwards && s.flips[k]);
    (backwards ? inverse : forward)(l, n, c, flat + size_t(k) * s.size, tape, part.data());
    for (int j = 0; j < n; ++j) log_det[j] += part.data()[j];
    copy(l.features, n, tape.image, image, !backwards && s.flips[k]);
  }
}

// Pull gradients by image and log-determinant back to the points and, if g_flat is given, to the
// weights.
void pull_back(const Stack* stack, int backwards, int n, const float* c, const float* flat,
               float* kept, const float* g_image, const float* g_log, float* g_x, float* g_flat) {
  const Stack& s = *stack;
  const Layer& l = s.layer;
  const size_t size = size_t(l.features) * n;
  Scratch other(size);
  std::copy(g_image, g_image + size, g_x);
  for (int i = 0; i < s.layers; ++i) {
    const int k = backwards ? i : s.layers - 1 - i;
    Tape tape(l, n, kept + size_t(k) * l.kept() * n);
    float* by_weights = g_flat ? g_flat + size_t(k) * s.size : nullptr;
    const float* weights = flat + size_t(k) * s.size;
    if (backwards) {
      inverse_vjp(l, n, c, weights, tape, g_x, g_log, other.data(), by_weights, s.size);
      copy(l.features, n, other.data(), g_x, s.flips[k]);
    } else {
      copy(l.features, n, g_x, other.data(), s.flips[k]);
      forward_vjp(l, n, c, weights, tape, other.data(), g_log, g_x, by_weights, s.size);
    }
    for (size_t j = 0; j < size; ++j)
      g_x[j] = g_x[j] < -GRADIENT_LIMIT ? -GRADIENT_LIMIT
                                        : (g_x[j] > GRADIENT_LIMIT ? GRADIENT_LIMIT : g_x[j]);
  }
}

}  // extern "C"
