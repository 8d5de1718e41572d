/* What computes or counts only what is not zero, float32.

   Convolutions: x is [images, H, W, C], y and its gradient g [images, H', W', D], weights [D, C, k, k];
   a linear map is k = 1. Each image's non-zeros are listed once; an output then adds up rows of D
   weights, one for each non-zero that it sees, and the gradient of the weights adds rows of g. Sums
   are taken in a fixed number of parts, whatever the number of threads. */

#include <omp.h>
#include <stdint.h>
#include <string.h>

#define LANES 16
#define PARTS 8
#define TILE 512

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

/* One bit for each of at most 64 numbers that is not zero. */
static inline uint64_t bits_of(const float *x, int64_t n) {
    uint8_t flags[64] = {0};
    uint64_t bits = 0;
    for (int64_t j = 0; j < n; j++) flags[j] = x[j] != 0.0f;
    for (int64_t j = 0; j < (n + 7) / 8; j++) { /* gathers the lowest bits of eight bytes */
        uint64_t bytes;
        memcpy(&bytes, flags + 8 * j, sizeof bytes);
        bits |= (bytes * 0x0102040810204080u >> 56) << (8 * j);
    }
    return bits;
}

static inline void pack(const float *x, int64_t d, uint64_t *words) {
    for (int64_t from = 0; from < d; from += 64) *words++ = bits_of(x + from, d - from < 64 ? d - from : 64);
}

typedef struct {
    int64_t images, height, width, channels, out_height, out_width, out_channels;
    int64_t kernel_size, stride, padding;
} Shape;

static int64_t padded(const Shape *s) { return (s->out_channels + LANES - 1) / LANES * LANES; }

/* The non-zeros of an image: those of position p are first[p] to first[p + 1]; `key` is
   column C + channel. */
typedef struct {
    int32_t *first, *key;
    float *value;
} Events;

/* The part of the caller's room that is a thread's own: H W (2 C + 1) + 1 words each. */
static Events events_of_thread(const Shape *s, int32_t *room) {
    int64_t positions = s->height * s->width, all = positions * s->channels;
    int32_t *own = room + omp_get_thread_num() * (2 * all + positions + 1);
    return (Events){own, own + positions + 1, (float *)(own + positions + 1 + all)};
}

static void list(const Shape *s, const float *x, Events e) {
    int64_t wide = s->width * s->channels;
    int32_t n = 0, *first = e.first;
    for (int64_t row = 0; row < s->height; row++) {
        int64_t end = 0; /* of the positions whose events began */
        for (int64_t from = 0; from < wide; from += 64) {
            const float *at = x + row * wide + from;
            uint64_t bits = bits_of(at, wide - from < 64 ? wide - from : 64);
            for (; bits; bits &= bits - 1, n++) {
                int64_t key = from + __builtin_ctzll(bits);
                for (; key >= end; end += s->channels) *first++ = n;
                e.key[n] = (int32_t)key;
                e.value[n] = at[key - from];
            }
        }
        for (; end < wide; end += s->channels) *first++ = n;
    }
    *first = n;
}

/* For the output at (row, column), run a body for each row of the kernel: what it sees of x lies side
   by side, its events are k = e.first[begin] to e.first[end], and `weights` points at the row of
   event k in WEIGHTS [k, k, C, D]. */
#define OVER_KERNEL_ROWS(WEIGHTS, ...)                                                            \
    for (int64_t i = 0; i < s->kernel_size; i++) {                                                \
        int64_t y_of_x = row * s->stride + i - s->padding;                                        \
        int64_t left = column * s->stride - s->padding, right = left + s->kernel_size;            \
        if (y_of_x < 0 || y_of_x >= s->height) continue;                                          \
        int64_t begin = y_of_x * s->width + (left > 0 ? left : 0);                                \
        int64_t end = y_of_x * s->width + (right < s->width ? right : s->width);                  \
        int64_t skipped = (i * s->kernel_size - left) * s->channels;                              \
        for (int32_t k = e.first[begin]; k < e.first[end]; k++) {                                 \
            vec *weights = (vec *)((WEIGHTS) + (skipped + e.key[k]) * wide + from);               \
            __VA_ARGS__                                                                           \
        }                                                                                         \
    }

/* Both passes over one image, for V vectors of output channels from `from` on. */
#define PASSES(V)                                                                                 \
    static void forward_##V(const Shape *s, Events e, float *w, float *y, int64_t from) {         \
        int64_t wide = padded(s), left = s->out_channels - from;                                  \
        size_t n = (size_t)(left < V * LANES ? left : V * LANES);                                 \
        for (int64_t row = 0; row < s->out_height; row++)                                         \
            for (int64_t column = 0; column < s->out_width; column++) {                           \
                vec sum[V] = {0};                                                                 \
                OVER_KERNEL_ROWS(                                                                 \
                    w, for (int v = 0; v < V; v++) sum[v] += e.value[k] * weights[v];)            \
                int64_t place = (row * s->out_width + column) * s->out_channels + from;           \
                memcpy(y + place, sum, n * sizeof(float));                                        \
            }                                                                                     \
    }                                                                                             \
    static void gradient_##V(const Shape *s, Events e, const float *g, float *gw, int64_t from) { \
        int64_t wide = padded(s), left = s->out_channels - from;                                  \
        size_t n = (size_t)(left < V * LANES ? left : V * LANES);                                 \
        for (int64_t row = 0; row < s->out_height; row++)                                         \
            for (int64_t column = 0; column < s->out_width; column++) {                           \
                vec grad[V] = {0};                                                                \
                int64_t place = (row * s->out_width + column) * s->out_channels + from;           \
                memcpy(grad, g + place, n * sizeof(float));                                       \
                OVER_KERNEL_ROWS(                                                                 \
                    gw, for (int v = 0; v < V; v++) weights[v] += e.value[k] * grad[v];)          \
            }                                                                                     \
    }

PASSES(1)
PASSES(2)
PASSES(4)

/* Run PASS on an image, as many output channels at once as registers hold. */
#define OVER_CHANNELS(PASS, ...)                                                                  \
    for (int64_t from = 0, wide = padded(&s); from < wide;) {                                     \
        int64_t vectors = (wide - from) / LANES;                                                  \
        if (vectors >= 4) {                                                                       \
            PASS##_4(&s, e, __VA_ARGS__, from);                                                   \
            from += 4 * LANES;                                                                    \
        } else if (vectors >= 2) {                                                                \
            PASS##_2(&s, e, __VA_ARGS__, from);                                                   \
            from += 2 * LANES;                                                                    \
        } else {                                                                                  \
            PASS##_1(&s, e, __VA_ARGS__, from);                                                   \
            from += LANES;                                                                        \
        }                                                                                         \
    }

/* `w` is room for the weights as [k, k, C, D], zeros, D a multiple of LANES. */
void forward(const float *x, const float *weight, float *y, float *w, int32_t *room, Shape s,
             int threads) {
    int64_t wide = padded(&s), taps = s.kernel_size * s.kernel_size;
    for (int64_t o = 0; o < s.out_channels; o++)
        for (int64_t c = 0; c < s.channels; c++)
            for (int64_t t = 0; t < taps; t++)
                w[(t * s.channels + c) * wide + o] = weight[(o * s.channels + c) * taps + t];
    _Pragma("omp parallel num_threads(threads)")
    {
        Events e = events_of_thread(&s, room);
        _Pragma("omp for")
        for (int64_t image = 0; image < s.images; image++) {
            list(&s, x + image * s.height * s.width * s.channels, e);
            OVER_CHANNELS(forward, w, y + image * s.out_height * s.out_width * s.out_channels)
        }
    }
}

/* `sums` is room for PARTS gradients as [k, k, C, D], zeros. */
void weight_gradient(const float *x, const float *g, float *of_weight, float *sums, int32_t *room,
                     Shape s, int threads) {
    int64_t wide = padded(&s), taps = s.kernel_size * s.kernel_size, size = taps * s.channels * wide;
    _Pragma("omp parallel for num_threads(threads)")
    for (int64_t part = 0; part < PARTS; part++) {
        Events e = events_of_thread(&s, room);
        for (int64_t image = s.images * part / PARTS; image < s.images * (part + 1) / PARTS; image++) {
            list(&s, x + image * s.height * s.width * s.channels, e);
            OVER_CHANNELS(gradient, g + image * s.out_height * s.out_width * s.out_channels,
                          sums + part * size)
        }
    }
    for (int64_t part = 1; part < PARTS; part++)
        for (int64_t k = 0; k < size; k++) sums[k] += sums[part * size + k];
    for (int64_t o = 0; o < s.out_channels; o++)
        for (int64_t c = 0; c < s.channels; c++)
            for (int64_t t = 0; t < taps; t++)
                of_weight[(o * s.channels + c) * taps + t] = sums[(t * s.channels + c) * wide + o];
}

/* How many of n numbers are not zero. */
int64_t count_non_zero(const float *x, int64_t n, int threads) {
    int64_t count = 0;
    _Pragma("omp parallel for num_threads(threads) reduction(+ : count)")
    for (int64_t start = 0; start < n; start += TILE) {
        int64_t end = n - start < TILE ? n : start + TILE;
        int32_t found = 0;
        for (int64_t j = start; j < end; j++) found += x[j] != 0.0f;
        count += found;
    }
    return count;
}

/* Over samples of tokens [N, D]: in how many channels a non-zero of q and one of k meet, summed over
   all pairs of tokens. */
int64_t meetings(const float *q, const float *k, int64_t samples, int64_t N, int64_t D, int threads) {
    int64_t total = 0;
    _Pragma("omp parallel for num_threads(threads) reduction(+ : total)")
    for (int64_t b = 0; b < samples; b++) {
        const float *qb = q + b * N * D, *kb = k + b * N * D;
        for (int64_t from = 0; from < D; from += TILE) {
            int64_t n = D - from < TILE ? D - from : TILE;
            int32_t of_q[TILE] = {0}, of_k[TILE] = {0};
            for (int64_t i = 0; i < N; i++)
                for (int64_t j = 0; j < n; j++) {
                    of_q[j] += qb[i * D + from + j] != 0.0f;
                    of_k[j] += kb[i * D + from + j] != 0.0f;
                }
            for (int64_t j = 0; j < n; j++) total += (int64_t)of_q[j] * of_k[j];
        }
    }
    return total;
}

/* The non-zeros of v at token m, for each pair (n, m) of tokens where q_n and k_m have a non-zero in
   the same channel of a head, summed over all; without v each pair counts once. Tokens are
   [N, heads, d]; `room` has (d + 63) / 64 (N + 1) + N words for each thread. */
int64_t attended(const float *q, const float *k, const float *v, uint64_t *room, int64_t samples,
                 int64_t N, int64_t heads, int64_t d, int threads) {
    int64_t total = 0, words = (d + 63) / 64;
    _Pragma("omp parallel for num_threads(threads) reduction(+ : total)")
    for (int64_t part = 0; part < samples * heads; part++) {
        int64_t first = part / heads * N * heads * d + part % heads * d;
        uint64_t *of_q = room + omp_get_thread_num() * (words + N * words + N);
        uint64_t *of_k = of_q + words, *in_v = of_k + N * words;
        for (int64_t m = 0; m < N; m++) {
            const float *vm = v ? v + first + m * heads * d : NULL;
            int32_t found = vm ? 0 : 1;
            for (int64_t j = 0; vm && j < d; j++) found += vm[j] != 0.0f;
            in_v[m] = (uint64_t)found;
            pack(k + first + m * heads * d, d, of_k + m * words);
        }
        for (int64_t n = 0; n < N; n++) {
            pack(q + first + n * heads * d, d, of_q);
            if (words == 1) {
                uint64_t one = of_q[0];
                for (int64_t m = 0; m < N; m++) total += one & of_k[m] ? (int64_t)in_v[m] : 0;
                continue;
            }
            for (int64_t m = 0; m < N; m++) {
                uint64_t common = 0;
                for (int64_t w = 0; w < words; w++) common |= of_q[w] & of_k[m * words + w];
                total += common ? (int64_t)in_v[m] : 0;
            }
        }
    }
    return total;
}
