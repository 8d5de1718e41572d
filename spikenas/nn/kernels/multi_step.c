/* A multi-step neuron, float32, alone or behind batch norm: forward, and backward with the membrane
   recomputed; and the passes over rows x channels that batch norm needs.

   x, s, g are [T, rows, C], dense: T steps of rows * C membranes. At each step, v_0 = 0,
       y = scale_c x + shift_c;  h = CHARGE(y, v);  s = h >= threshold
       v = h - threshold s  with a soft reset,  else s ? 0 : h
       dL/dh = dL/ds f'(h - threshold) + dL/dv (dv/dh + r dv/ds f'),  r = 0 for a detached reset
   Tiles of membranes stay in the cache while time runs over them, so each array is read once. An x
   that is the same at every step is [1, rows, C], its x_step 0. Sums are not contracted
   (-ffp-contract=off), so for finite currents spikes equal those of the definition. Sums over rows
   are taken in a fixed number of parts, so they do not depend on the number of threads; `sums` is
   room for them, PARTS x 2 x C zeros. */

#include <math.h>
#include <stdint.h>
#include <string.h>

#define TILE 128
#define MAX_STEPS 64
#define PARTS 32 /* of a sum over rows */
#define SOME 32  /* rows whose mean is a first guess */
#define FLUSH 64 /* tiles that are summed in single precision */

/* a b + c, in one step where the processor has one; only where the last bit does not matter. */
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
#define FMA(a, b, c) __builtin_fmaf(a, b, c)
#else
#define FMA(a, b, c) ((a) * (b) + (c))
#endif

/* 2^x for x <= 0, to 1.3 units in the last place, by a minimax polynomial; without a branch, so it
   vectorises. */
static inline float exp2_negative(float x) {
    x = x < -126.0f ? -126.0f : x;
    float n = rintf(x), r = x - n;
    float p = 1.3276470126584172e-3f;
    p = FMA(p, r, 9.675540961325169e-3f);
    p = FMA(p, r, 5.550713092088699e-2f);
    p = FMA(p, r, 2.4022120237350464e-1f);
    p = FMA(p, r, 6.931469440460205e-1f);
    p = FMA(p, r, 1.0000001192092896f);
    int32_t bits;
    memcpy(&bits, &p, sizeof bits);
    bits += (int32_t)n * (1 << 23);
    memcpy(&p, &bits, sizeof p);
    return p;
}

/* Slopes of the surrogates; alpha 4, alpha 2, gamma 2.5 as in spikenas.nn.surrogate. With
   e = exp(-2 y), 1 - tanh(y)^2 = 4 e / (1 + e)^2, and a logistic curve is a tanh. */
static inline float bell(float e) { return e / ((1.0f + e) * (1.0f + e)); }
static inline float sigmoid(float u) {
    return 4.0f * bell(exp2_negative(-5.7707801635558535f * fabsf(u))); /* 4 log2 e */
}
static inline float atan_(float u) {
    float y = 3.14159265358979f * u;
    return 1.0f / FMA(y, y, 1.0f);
}
static inline float dspike(float u) { /* 2.5 / (2 tanh 2.5) 4 bell */
    float slope = 5.06783657f * bell(exp2_negative(-7.2134752044448170f * fabsf(u)));
    return fabsf(u) <= 1.0f ? slope : 0.0f;
}

#define LEAKY(y, v, c) ((v) + ((y) - (v)) / (c))     /* c = tau */
#define DECAY(y, v, c) ((y) + (c) * (v))             /* c = what is kept; 1 for no leak */
#define LEARNT(y, v, c) ((v) + ((y) - (v)) * (c))    /* c = 1 / tau */

/* A tile is whole rows, or of more channels than fit into one a part of a row: then the tiles of the
   same channels follow each other. */
typedef struct {
    int64_t rows, channels, size, count;
} Tiles;

static Tiles tiles_of(int64_t rows, int64_t channels) {
    if (channels > TILE)
        return (Tiles){rows, channels, TILE, rows * ((channels + TILE - 1) / TILE)};
    int64_t size = TILE / channels * channels;
    return (Tiles){rows, channels, size, (rows * channels + size - 1) / size};
}

static inline void place(const Tiles *t, int64_t i, int64_t *start, int64_t *n, int64_t *channel) {
    int64_t left;
    if (t->channels > TILE) {
        *channel = i / t->rows * TILE;
        *start = i % t->rows * t->channels + *channel;
        left = t->channels - *channel;
    } else {
        *channel = 0;
        *start = i * t->size;
        left = t->rows * t->channels - *start;
    }
    *n = left < t->size ? left : t->size;
}

/* Return one value per element of a tile: the channels' own, repeated over its rows in `space`;
   `missing` where there are none, which needs one channel. */
__attribute__((noinline)) static const float *spread(const float *of_channels, const Tiles *t, float *space, float missing) {
    if (t->channels > TILE) return of_channels;
    for (int64_t j = 0; j < t->channels; j++) space[j] = of_channels ? of_channels[j] : missing;
    for (int64_t j = t->channels; j < TILE; j++) space[j] = space[j - t->channels];
    return space;
}

/* Add the sums of a tile's elements to those of its channels, and clear them. */
__attribute__((noinline)) static void flush(double *sums, float *of_elements, const Tiles *t, int64_t channel) {
    int64_t width = t->channels - channel < t->size ? t->channels - channel : t->size;
    for (int64_t row = 0; row < t->size; row += width < t->channels ? t->size : t->channels)
        for (int64_t j = 0; j < width && row + j < t->size; j++) {
            sums[channel + j] += of_elements[row + j];
            of_elements[row + j] = 0.0f;
        }
}

/* Run a body, which adds to of_first[] and of_second[], on the tile of every start, n and channel,
   after SETUP for each part; `sums` then holds both sums of each channel. `centres` are those of the
   tile's elements. */
#define OVER_TILES(SETUP, ...)                                                                    \
    Tiles tiles = tiles_of(rows, channels);                                                       \
    _Pragma("omp parallel for num_threads(threads)")                                              \
    for (int64_t part = 0; part < PARTS; part++) {                                                \
        double *first = sums + part * 2 * channels, *second = first + channels;                   \
        float of_first[TILE] = {0}, of_second[TILE] = {0}, space[3][TILE];                        \
        const float *all_centres = spread(centre, &tiles, space[0], 0.0f);                        \
        SETUP                                                                                     \
        int64_t until = tiles.count * (part + 1) / PARTS, start, n, channel = 0, held = 0;        \
        for (int64_t i = tiles.count * part / PARTS; i < until; i++) {                            \
            place(&tiles, i, &start, &n, &channel);                                               \
            const float *restrict centres = all_centres + channel;                                \
            __VA_ARGS__;                                                                          \
            int ends = i + 1 == until || (channels > TILE && (i + 1) % rows == 0);                \
            if (++held == FLUSH || ends) {                                                        \
                flush(first, of_first, &tiles, channel);                                          \
                flush(second, of_second, &tiles, channel);                                        \
                held = 0;                                                                         \
            }                                                                                     \
        }                                                                                         \
    }                                                                                             \
    for (int64_t part = 1; part < PARTS; part++)                                                  \
        for (int64_t c = 0; c < 2 * channels; c++) sums[c] += sums[part * 2 * channels + c];

#define SUMS(U, W)                                                                                \
    OVER_TILES(, for (int64_t j = 0; j < n; j++) {                                                  \
        int64_t k = start + j;                                                                    \
        float u = U;                                                                              \
        of_first[j] += u;                                                                         \
        of_second[j] += W;                                                                        \
    })

/* Mean and biased variance of each channel of x [rows, C], about the mean of some rows, so that
   squares stay small. */
void moments(const float *restrict x, int64_t rows, int64_t channels, float *mean,
             float *restrict variance, double *sums, int threads) {
    int64_t some = rows < SOME ? rows : SOME;
    for (int64_t c = 0; c < channels; c++) mean[c] = 0.0f;
    for (int64_t i = 0; i < some; i++)
        for (int64_t c = 0; c < channels; c++)
            mean[c] += x[i * rows / some * channels + c] / (float)some;
    const float *centre = mean;
    SUMS(x[k] - centres[j], u * u)
    for (int64_t c = 0; c < channels; c++) {
        double off = sums[c] / (double)rows;
        double spread_out = sums[channels + c] / (double)rows - off * off;
        mean[c] = (float)(centre[c] + off);
        variance[c] = spread_out > 0.0 ? (float)spread_out : 0.0f;
    }
}

/* Sums over rows of g, and of g (x - centre), of each channel. */
void gradient_sums(const float *restrict x, const float *restrict g, const float *centre,
                   int64_t rows, int64_t channels, float *restrict of_g, float *restrict of_gx,
                   double *sums, int threads) {
    SUMS(g[k], u * (x[k] - centres[j]))
    for (int64_t c = 0; c < channels; c++) {
        of_g[c] = (float)sums[c];
        of_gx[c] = (float)sums[channels + c];
    }
}

/* out = a_c p + b_c (q - centre_c) + d_c over [rows, C]; out may be p; without q there is no b. */
void combine(const float *p, const float *q, const float *a, const float *b, const float *centre,
             const float *d, float *out, int64_t rows, int64_t channels, int threads) {
    Tiles tiles = tiles_of(rows, channels);
    _Pragma("omp parallel num_threads(threads)")
    {
        float space[4][TILE];
        const float *as = spread(a, &tiles, space[0], 1.0f), *ds = spread(d, &tiles, space[1], 0.0f);
        const float *bs = q ? spread(b, &tiles, space[2], 0.0f) : NULL;
        const float *cs = q ? spread(centre, &tiles, space[3], 0.0f) : NULL;
        _Pragma("omp for")
        for (int64_t i = 0; i < tiles.count; i++) {
            int64_t start, n, c;
            place(&tiles, i, &start, &n, &c);
            if (q)
                for (int64_t j = 0; j < n; j++)
                    out[start + j] = as[c + j] * p[start + j]
                                     + (bs[c + j] * (q[start + j] - cs[c + j]) + ds[c + j]);
            else
                for (int64_t j = 0; j < n; j++) out[start + j] = p[start + j] * as[c + j] + ds[c + j];
        }
    }
}

#define FORWARD(NAME, CHARGE)                                                                     \
    int64_t forward_##NAME(const float *x, int64_t x_step, const float *scale,                    \
                           const float *shift, float *s, int64_t T, int64_t rows,                 \
                           int64_t channels, float constant, float threshold, int soft,           \
                           int threads) {                                                         \
        Tiles tiles = tiles_of(rows, channels);                                                   \
        int64_t spikes = 0;                                                                       \
        _Pragma("omp parallel num_threads(threads) reduction(+ : spikes)")                        \
        {                                                                                         \
            float space[2][TILE];                                                                 \
            const float *all_scales = spread(scale, &tiles, space[0], 1.0f);                      \
            const float *all_shifts = spread(shift, &tiles, space[1], 0.0f);                      \
            _Pragma("omp for")                                                                    \
            for (int64_t i = 0; i < tiles.count; i++) {                                           \
                int64_t start, n, c;                                                              \
                place(&tiles, i, &start, &n, &c);                                                 \
                const float *restrict scales = all_scales + c, *restrict shifts = all_shifts + c; \
                float v[TILE] = {0};                                                              \
                int32_t fired = 0;                                                                \
                for (int64_t t = 0; t < T; t++) {                                                 \
                    const float *restrict xt = x + t * x_step + start;                            \
                    float *restrict st = s + t * rows * channels + start;                         \
                    for (int64_t j = 0; j < n; j++) {                                             \
                        float y = xt[j] * scales[j] + shifts[j];                                  \
                        float h = CHARGE(y, v[j], constant);                                      \
                        int fires = h >= threshold;                                               \
                        float reset = soft ? h - threshold : 0.0f;                                \
                        st[j] = fires ? 1.0f : 0.0f;                                              \
                        v[j] = fires ? reset : h;                                                 \
                        fired += fires;                                                           \
                    }                                                                             \
                }                                                                                 \
                spikes += fired;                                                                  \
            }                                                                                     \
        }                                                                                         \
        return spikes;                                                                            \
    }

#define GRADIENT_OF_H(SLOPE)                                                                      \
    ({                                                                                            \
        float slope = SLOPE(now[j] - threshold);                                                  \
        float kept = soft || now[j] < threshold ? 1.0f : 0.0f;                                    \
        kept -= r * (soft ? threshold : now[j]) * slope;                                          \
        FMA(gt[j], slope, carry[j] * kept);                                                       \
    })
#define DRIVE (xt[j] * scales[j] + shifts[j] - AFTER(before[j])) /* dH/dc of a learnt leak */
#define AFTER(h) ((h) >= threshold ? (soft ? (h) - threshold : 0.0f) : (h))

/* Writes dL/dy of each step to gy, for an x that is the same at every step their sum over time; and
   for each channel the sums of dL/dy and of dL/dy (x - centre). Returns dL/dc of a learnt leak. */
#define BACKWARD(NAME, CHARGE, SLOPE, IS_LEARNT)                                                  \
    double backward_##NAME##_##SLOPE(                                                             \
        const float *x, int64_t x_step, const float *scale, const float *shift,                   \
        const float *centre, const float *g, float *gy, float *of_g, float *of_gx, double *sums,  \
        int64_t T, int64_t rows, int64_t channels, float constant, float threshold, int soft, float dh_dx,   \
        float dh_dv, int through_reset, int threads) {                                            \
        double leaks[PARTS] = {0};                                                                \
        float r = through_reset ? 1.0f : 0.0f;                                                    \
        OVER_TILES(const float *all_scales = spread(scale, &tiles, space[1], 1.0f);               \
                   const float *all_shifts = spread(shift, &tiles, space[2], 0.0f);, {            \
            const float *restrict scales = all_scales + channel;                                  \
            const float *restrict shifts = all_shifts + channel;                                  \
            float h[MAX_STEPS][TILE];                                                             \
            float carry[TILE] = {0}, zero[TILE] = {0}, leak[TILE] = {0}, total[TILE] = {0};       \
            for (int64_t t = 0; t < T; t++) {                                                     \
                const float *restrict xt = x + t * x_step + start;                                \
                const float *restrict before = t ? h[t - 1] : zero;                               \
                float *restrict now = h[t];                                                       \
                for (int64_t j = 0; j < n; j++) {                                                 \
                    float y = xt[j] * scales[j] + shifts[j], v = AFTER(before[j]);                \
                    now[j] = CHARGE(y, v, constant);                                              \
                }                                                                                 \
            }                                                                                     \
            for (int64_t t = T - 1; t >= 0; t--) {                                                \
                const float *restrict xt = x + t * x_step + start;                                \
                const float *restrict gt = g + t * rows * channels + start;                       \
                const float *restrict before = t ? h[t - 1] : zero, *restrict now = h[t];         \
                float *restrict out = gy + t * x_step + start;                                    \
                if (centre || !x_step)                                                            \
                    for (int64_t j = 0; j < n; j++) {                                             \
                        float gh = GRADIENT_OF_H(SLOPE);                                          \
                        float grad = gh * dh_dx;                                                  \
                        carry[j] = gh * dh_dv;                                                    \
                        total[j] += grad;                                                         \
                        out[j] = x_step ? grad : total[j];                                        \
                        of_second[j] = FMA(grad, xt[j] - centres[j], of_second[j]);               \
                        if (IS_LEARNT) leak[j] += gh * DRIVE;                                     \
                    }                                                                             \
                else /* a neuron alone */                                                         \
                    for (int64_t j = 0; j < n; j++) {                                             \
                        float gh = GRADIENT_OF_H(SLOPE);                                          \
                        carry[j] = gh * dh_dv;                                                    \
                        out[j] = gh * dh_dx;                                                      \
                        if (IS_LEARNT) leak[j] += gh * DRIVE;                                     \
                    }                                                                             \
            }                                                                                     \
            for (int64_t j = 0; j < n; j++) of_first[j] += total[j];                              \
            if (IS_LEARNT)                                                                        \
                for (int64_t j = 0; j < n; j++) leaks[part] += leak[j];                           \
        })                                                                                        \
        for (int64_t c = 0; c < channels; c++) {                                                  \
            of_g[c] = (float)sums[c];                                                             \
            of_gx[c] = (float)sums[channels + c];                                                 \
        }                                                                                         \
        double g_leak = 0.0;                                                                      \
        for (int64_t part = 0; part < PARTS; part++) g_leak += leaks[part];                       \
        return g_leak;                                                                            \
    }

#define NEURON(NAME, CHARGE, IS_LEARNT)                                                           \
    FORWARD(NAME, CHARGE)                                                                         \
    BACKWARD(NAME, CHARGE, sigmoid, IS_LEARNT)                                                    \
    BACKWARD(NAME, CHARGE, atan_, IS_LEARNT)                                                      \
    BACKWARD(NAME, CHARGE, dspike, IS_LEARNT)

NEURON(leaky, LEAKY, 0)
NEURON(decay, DECAY, 0)
NEURON(learnt, LEARNT, 1)
